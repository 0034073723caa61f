{#- The answer of `trace` for a person: the value first, then what it is made of. -#}
{% macro _trace_text(answer) %}
  {% set blocks = [] %}
  {% if answer.columns | length == 1 %}
    {% do blocks.append(lineage_audit._text_of_cell(answer, answer.columns[0])) %}
  {% elif answer.columns %}
    {% do blocks.append(lineage_audit._text_of_record(answer)) %}
  {% endif %}
  {% for refusal in answer.refusals %}
    {% do blocks.append(lineage_audit._text_of_refusal(answer, refusal)) %}
  {% endfor %}
  {% if answer.get('upstream') %}
    {% do blocks.append(lineage_audit._upstream_text(answer.upstream)) %}
  {% endif %}
  {% do return(blocks | join('\n\n')) %}
{% endmacro %}

{% macro _text_of_cell(answer, column) %}
  {% set made = column.transform_expr %}
  {% if column.expression_with_values != column.transform_expr %}
    {% set made = made ~ '  =  ' ~ column.expression_with_values %}
  {% endif %}
  {% set pairs = [['expression', made ~ (', cast to ' ~ column.data_type if column.data_type else '')]] %}
  {% if column.default_expr %}
    {% do pairs.append(['default', column.default_expr ~ ', where that is NULL']) %}
  {% endif %}
  {% set sources = [] %}
  {% for source in column.sources %}
    {% do sources.append([source.column, lineage_audit._value_text(source.value), source.type]) %}
  {% endfor %}
  {% for line in lineage_audit._aligned(sources) %}
    {% do pairs.append([('source ' ~ (column.source_table or '')) | trim if loop.first else '', line]) %}
  {% endfor %}
  {% if column.api_field_name or column.api_json_path %}
    {% do pairs.append(['API field', [column.api_field_name, column.api_json_path] | select | join(' at ')]) %}
  {% endif %}
  {% for rule in column.rules %}
    {% do pairs.append(['rule' if loop.first else '', lineage_audit._rule_text(rule)]) %}
  {% endfor %}
  {% do pairs.extend([['run', lineage_audit._run_text(answer.run)], ['replays', lineage_audit._replay_text(column)]]) %}
  {% do return(
    answer.target_table ~ ' ' ~ answer.target_pk ~ ': ' ~ column.target_column ~ ' = ' ~ lineage_audit._value_text(column.value)
    ~ lineage_audit._presence_text(answer) ~ '\n' ~ lineage_audit._labelled(pairs)
  ) %}
{% endmacro %}

{% macro _text_of_record(answer) %}
  {% set rows = [] %}
  {% set not_proved = [] %}
  {% for column in answer.columns %}
    {% set made = column.transform_expr %}
    {% if column.expression_with_values != column.transform_expr %}
      {% set made = made ~ ' = ' ~ column.expression_with_values %}
    {% endif %}
    {% do rows.append([
      column.target_column, lineage_audit._value_text(column.value), made, column.api_field_name, column.api_json_path,
      column.rules | map(attribute='business_rule_id') | join(', '),
      {'replays': 'yes', 'differs': 'NO', 'not_provable': '?'}[column.replay.verdict]
    ]) %}
    {% if column.replay.verdict != 'replays' %}
      {% do not_proved.append(column.target_column ~ ': ' ~ lineage_audit._replay_text(column)) %}
    {% endif %}
  {% endfor %}
  {% set pairs = [] %}
  {% for rule in answer.warnings %}
    {% do pairs.append(['warning' if loop.first else '', lineage_audit._rule_text(rule)]) %}
  {% endfor %}
  {% do pairs.append(['run', lineage_audit._run_text(answer.run)]) %}
  {% for line in not_proved %}
    {% do pairs.append(['replays' if loop.first else '', line]) %}
  {% endfor %}
  {% do return(
    answer.target_table ~ ' ' ~ answer.target_pk ~ lineage_audit._presence_text(answer) ~ '\n'
    ~ lineage_audit._table_text(['column', 'value', 'expression', 'API field', 'path in the payload', 'rule', 'replays'], rows) ~ '\n\n' ~ lineage_audit._labelled(pairs)
  ) %}
{% endmacro %}

{% macro _text_of_refusal(answer, refusal) %}
  {% set states = {
    'open': 'open in quarantine', 'superseded': 'not open, since a later version of the key was taken', 'refused_again': 'and refused again since',
    'accepted': 'accepted since', 'filtered': 'filtered out since', 'dismissed': 'dismissed'
  } %}
  {% set closed = '' %}
  {% if refusal.closed_ts %}
    {% set closed = ' (' ~ lineage_audit._time_text(refusal.closed_ts) ~ ' by ' ~ refusal.closed_by ~ ': ' ~ refusal.closed_reason ~ ')' %}
  {% endif %}
  {% set pairs = [] %}
  {% for reason in refusal.reasons %}
    {% do pairs.append(['reason' if loop.first else '', lineage_audit._rule_text({
      'business_rule_id': reason.reason, 'rule_category': none, 'severity': reason.severity, 'rule_expression': reason.rule_expression,
      'message': reason.message, 'is_violated': false
    })]) %}
  {% endfor %}
  {#- What is settled, and stands beside an answer, is told in short. -#}
  {% set shown = {'source': refusal.source_values, 'mapped': refusal.mapped_values} if refusal.state == 'open' or not answer.columns else {} %}
  {% for label, values in shown.items() %}
    {% set lines = [] %}
    {% for name, value in values.items() %}
      {% do lines.append([name, lineage_audit._value_text(value)]) %}
    {% endfor %}
    {% for line in lineage_audit._aligned(lines) %}
      {% do pairs.append([label if loop.first else '', line]) %}
    {% endfor %}
  {% endfor %}
  {% do pairs.append(['run', lineage_audit._run_text(refusal.run)]) %}
  {% do return(answer.target_table ~ ' ' ~ answer.target_pk ~ ': refused, ' ~ states[refusal.state] ~ closed ~ '\n' ~ lineage_audit._labelled(pairs)) %}
{% endmacro %}

{% macro _presence_text(answer) %}
  {% if answer.gold_row_count == 0 %}
    {% do return(' (gold does not hold the row as this run wrote it)') %}
  {% elif answer.gold_row_count > 1 %}
    {% do return(' (one of ' ~ answer.gold_row_count ~ ' rows with this key)') %}
  {% endif %}
  {% do return('') %}
{% endmacro %}

{% macro _rule_text(rule) %}
  {% set kind = [rule.rule_category, rule.severity] | select | join(', ') %}
  {% do return(
    rule.business_rule_id ~ (' (' ~ kind ~ ')' if kind else '') ~ (', violated' if rule.is_violated else '')
    ~ (': ' ~ rule.message if rule.message else '') ~ (' [' ~ rule.rule_expression ~ ']' if rule.rule_category in [none, 'validation'] and rule.rule_expression else '')
  ) %}
{% endmacro %}

{% macro _run_text(run) %}
  {% do return(
    lineage_audit._time_text(run.committed_ts) ~ ' by ' ~ run.run_by ~ ', run ' ~ run.run_id ~ ', config ' ~ run.config_hash[:8] ~ ', code ' ~ run.code_version[:8]
  ) %}
{% endmacro %}

{% macro _time_text(text) %}
  {% do return(text[:19].replace('T', ' ') ~ ' UTC') %}
{% endmacro %}

{% macro _replay_text(column) %}
  {% set replay = column.replay %}
  {% set given = lineage_audit._value_text(replay.replayed_value) %}
  {% if replay.verdict == 'replays' %}
    {% do return('yes: the logged source values give ' ~ given ~ ' again') %}
  {% elif replay.reason == 'unreadable_value' %}
    {% do return('no: a logged source value is no value of its type') %}
  {% elif replay.verdict == 'differs' %}
    {% do return('no: the logged source values give ' ~ given) %}
  {% endif %}
  {% do return('can not be proved: ' ~ lineage_audit._unprovable_sentences()[replay.reason]) %}
{% endmacro %}

{% macro _value_text(value) %}
  {% do return('NULL' if value is none else (value | string).replace('\n', '\\n')) %}
{% endmacro %}

{#- Lines with a label each, empty where it is the one before. -#}
{% macro _labelled(pairs) %}
  {% do return('  ' ~ lineage_audit._aligned(pairs) | join('\n  ')) %}
{% endmacro %}
