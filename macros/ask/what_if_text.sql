{#- What `what_if` prints for a reader. -#}
{% macro _what_if_text(answer) %}
  {% set gold = answer.gold %}
  {% set quarantine = answer.quarantine %}
  {% set pairs = [] %}
  {% for line in lineage_audit._config_change_lines(answer) %}
    {% do pairs.append(['config' if loop.first else '', line]) %}
  {% endfor %}
  {% set outcomes = [] %}
  {% for count, what in [
    [gold.changed_count, 'changed (' ~ lineage_audit._counted(answer.changed_cell_count, 'cell') ~ ')'], [gold.refused_count, 'newly refused'], [gold.filtered_count, 'newly filtered'],
    [gold.not_evaluated_count, 'not evaluated'], [gold.unchanged_count, 'as they are']
  ] if count %}
    {% do outcomes.append(count ~ ' ' ~ what) %}
  {% endfor %}
  {% do pairs.append(['gold', lineage_audit._counted(gold.record_count, 'record') ~ (': ' if outcomes else '') ~ outcomes | join(', ')]) %}
  {% set outcomes = [] %}
  {% for count, what in [
    [quarantine.released_count, 'released'], [quarantine.filtered_count, 'filtered'], [quarantine.still_refused_count, 'still refused'
      ~ (' (' ~ quarantine.refused_otherwise_count ~ ' for other reasons)' if quarantine.refused_otherwise_count else '')], [quarantine.not_evaluated_count, 'not evaluated']
  ] if count %}
    {% do outcomes.append(count ~ ' ' ~ what) %}
  {% endfor %}
  {% do pairs.append(['quarantine', lineage_audit._counted(quarantine.record_count, 'open record') ~ (': ' if outcomes else '') ~ outcomes | join(', ')]) %}
  {% for each in answer.not_evaluated %}
    {% do pairs.append(['not evaluated' if loop.first else '', each.record_count ~ ' of ' ~ each.place ~ ': ' ~ each.message]) %}
  {% endfor %}
  {% for note in answer.notes %}
    {% do pairs.append(['note' if loop.first else '', note]) %}
  {% endfor %}
  {% set parts = [answer.target_table ~ ': what the changed config would make of it' ~ (' (schema ' ~ answer.config_schema ~ ')' if answer.config_schema else '') ~ '\n' ~ lineage_audit._labelled(pairs)] %}
  {% set rows = [] %}
  {% for column in answer.columns %}
    {% set types = '' if column.is_new or column.is_gone or column.type_after is none or lineage_audit._same_type(column.type_before, column.type_after) else column.type_before | lower ~ ' to ' ~ column.type_after | lower %}
    {% if column.changed_cell_count or column.is_new or column.is_gone or types %}
      {% do rows.append([column.target_column, column.changed_cell_count | string, 'new' if column.is_new else 'gone' if column.is_gone else types]) %}
    {% endif %}
  {% endfor %}
  {% do parts.append(lineage_audit._table_text(['column', 'changed cells', 'type'], rows)) if rows %}
  {% set rows = [] %}
  {% for each in answer.refused %}
    {% do rows.append([each.reason, each.record_count | string, each.message]) %}
  {% endfor %}
  {% do parts.append(lineage_audit._table_text(['newly refused by', 'records', 'message'], rows)) if rows %}
  {% set rows = [] %}
  {% for each in answer.warnings %}
    {% do rows.append([each.business_rule_id, each.warned_count | string, each.no_longer_warned_count | string]) %}
  {% endfor %}
  {% do parts.append(lineage_audit._table_text(['warning of', 'new', 'gone'], rows)) if rows %}
  {% set rows = [] %}
  {% for each in answer.sample_cells %}
    {% do rows.append([each.record_key, each.target_column, lineage_audit._value_text(each.before), lineage_audit._value_text(each.after)]) %}
  {% endfor %}
  {% do parts.append(lineage_audit._table_text(['record', 'column', 'before', 'after'], rows)) if rows %}
  {% set rows = [] %}
  {% for each in answer.sample_records %}
    {% do rows.append([
      each.record_key, each.place, each.change.replace('_', ' '), each.reason if each.place == 'gold' or each.reason else (each.before or []) | join(', '),
      (each.after or []) | join(', ') if each.place == 'quarantine' else ''
    ]) %}
  {% endfor %}
  {% do parts.append(lineage_audit._table_text(['record', 'in', 'would be', 'reason', 'then'], rows)) if rows %}
  {% do return(parts | join('\n\n')) %}
{% endmacro %}

{#- A line per cell of the config that is not as it is loaded. -#}
{% macro _config_change_lines(answer) %}
  {% set lines = [] %}
  {% for each in answer.config_changes[:6] %}
    {% if each.change == 'changed' %}
      {% set values = lineage_audit._value_text(each.from_value) ~ ' -> ' ~ lineage_audit._value_text(each.to_value) %}
    {% else %}
      {% set values = lineage_audit._value_text(each.to_value if each.change == 'added' else each.from_value) ~ ' (' ~ each.change ~ ')' %}
    {% endif %}
    {% do lines.append(each.name ~ ' ' ~ each.cell ~ ': ' ~ values) %}
  {% endfor %}
  {% do lines.append('as it is loaded') if not lines %}
  {% set more = answer.config_changes | length - 6 %}
  {% do lines.append('and ' ~ lineage_audit._counted(more, 'cell') ~ ' more') if more > 0 %}
  {% do return(lines) %}
{% endmacro %}
