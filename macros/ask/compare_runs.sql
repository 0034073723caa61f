{#- Operation: what a table said after one run and after another, and why it differs. See _ask.yml for the arguments and the form of the JSON. -#}
{% macro compare_runs(target_table, from_run_id=none, to_run_id=none, sample_rows=10, output='text') %}
  {% if not execute %}
    {% do return('') %}
  {% endif %}
  {% do lineage_audit._check_output(output) %}
  {% set compared = lineage_audit._compared_runs(target_table, from_run_id, to_run_id) %}
  {% if compared.from_run.run_id == compared.to_run.run_id %}
    {% do exceptions.raise_compiler_error(
      'lineage_audit: run ' ~ compared.to_run.run_id ~ ' of ' ~ compared.target_relation ~ ' would be compared with itself: '
      ~ ('name two runs.' if from_run_id and to_run_id else 'no earlier run of the table succeeded. Name the runs with from_run_id and to_run_id.')
    ) %}
  {% endif %}
  {% set rows = lineage_audit._json_rows(lineage_audit._compared_in_short_sql(compared, sample_rows | int)) %}
  {% set answer = lineage_audit._comparison(compared, rows, lineage_audit._config_differences(compared), sample_rows | int) %}
  {% do print(tojson(answer) if output == 'json' else lineage_audit._comparison_text(answer)) %}
{% endmacro %}

{#- The first differences of each kind, each with the number of its kind and of all records that changed; and a row of totals. -#}
{% macro _compared_in_short_sql(compared, sample_rows) %}
{{ lineage_audit._difference_ctes(compared) }},
numbered as (
  select
    differences.*,
    sum(record_count) over (partition by change, target_column, causes, failed_rules, reason) as kind_count,
    row_number() over (partition by change, target_column, causes, failed_rules, reason order by target_pk) as place,
    case when change = 'changed' and row_number() over (partition by change, target_pk order by target_column) = 1 then 1 else 0 end as is_first
  from differences
),
counted as (
  select
    numbered.*,
    sum(is_first) over () as changed_record_count
  from numbered
)
select
  change,
  target_pk,
  target_column,
  from_value,
  to_value,
  causes,
  failed_rules,
  reason,
  kind_count,
  changed_record_count,
  from_run_id,
  to_run_id,
  place,
  cast(null as {{ lineage_audit.store_types().count }}) as from_count,
  cast(null as {{ lineage_audit.store_types().count }}) as to_count
from counted
where place <= {{ [sample_rows, 1] | max }}
union all
select
  'total' as change,
  null as target_pk,
  null as target_column,
  null as from_value,
  null as to_value,
  {{ lineage_audit.list_of([]) }} as causes,
  {{ lineage_audit.list_of([]) }} as failed_rules,
  null as reason,
{%- if 'in_row' in compared.captures %}
  (select coalesce(max(from_lost), 0) from lost) as kind_count,
  (select coalesce(max(to_lost), 0) from lost) as changed_record_count,
{%- else %}
  0 as kind_count,
  0 as changed_record_count,
{%- endif %}
  null as from_run_id,
  null as to_run_id,
  0 as place,
  count(held.from_place) as from_count,
  count(held.to_place) as to_count
from held
{% endmacro %}

{#- The answer as its JSON has it. -#}
{% macro _comparison(compared, rows, config_rows, sample_rows) %}
  {% set total = rows | selectattr('change', 'equalto', 'total') | first %}
  {% set found = rows | rejectattr('change', 'equalto', 'total') | list %}
  {% set counts = {'from': total.from_count, 'to': total.to_count} %}
  {% for change in lineage_audit._changes() %}
    {% do counts.update({change: 0}) %}
  {% endfor %}
  {% set cells = [] %}
  {% set refusals = [] %}
  {% set not_compared = [] %}
  {% for row in found if row.place == 1 %}
    {% if row.change == 'changed' %}
      {% do counts.update({'changed': row.changed_record_count | int}) %}
      {% do cells.append({'target_column': row.target_column, 'causes': row.causes, 'cell_count': row.kind_count | int}) %}
    {% elif row.change == 'not_comparable' %}
      {% do not_compared.append({'target_column': row.target_column, 'reason': row.reason, 'record_count': row.kind_count | int}) %}
    {% else %}
      {% do counts.update({row.change: counts[row.change] + row.kind_count | int}) %}
      {% if row.failed_rules %}
        {% do refusals.append({'change': row.change, 'failed_rules': row.failed_rules, 'record_count': row.kind_count | int}) %}
      {% endif %}
    {% endif %}
  {% endfor %}
  {#- The first of each kind come first. -#}
  {% set sample = [] %}
  {% set examples = [] %}
  {% for change in lineage_audit._changes() %}
    {% do examples.extend(found | selectattr('change', 'equalto', change) | sort(attribute='target_pk')) %}
  {% endfor %}
  {% for row in examples | sort(attribute='place') %}
    {% if loop.index <= sample_rows %}
      {% do sample.append({
        'change': row.change, 'target_pk': row.target_pk, 'target_column': row.target_column, 'from_value': row.from_value, 'to_value': row.to_value,
        'causes': row.causes, 'failed_rules': row.failed_rules, 'from_run_id': row.from_run_id, 'to_run_id': row.to_run_id
      }) %}
    {% endif %}
  {% endfor %}
  {% do return({
    'schema_version': 1, 'target_table': compared.target_table, 'target_relation': compared.target_relation, 'from_run': compared.from_run, 'to_run': compared.to_run,
    'record_counts': counts, 'cell_changes': cells | sort(attribute='causes') | sort(attribute='target_column') | sort(attribute='cell_count', reverse=true) | list,
    'refusals': refusals | sort(attribute='failed_rules') | sort(attribute='change') | sort(attribute='record_count', reverse=true) | list,
    'not_compared': (not_compared | rejectattr('target_column') | list + not_compared | selectattr('target_column') | sort(attribute='target_column') | list)
      | sort(attribute='record_count', reverse=true) | list,
    'lineage_gone': {'from': total.kind_count | int, 'to': total.changed_record_count | int},
    'limits': lineage_audit._limits_of_comparison(compared), 'config_differences': config_rows, 'sample': sample
  }) %}
{% endmacro %}

{#- What the store can't tell of tables of this kind. -#}
{% macro _limits_of_comparison(compared) %}
  {% set limits = [] %}
  {% if compared.written.keeps_refused %}
    {% do limits.append('refusals_in_gold') %}
  {% endif %}
  {% if compared.strategy in ['insert_overwrite', 'replace_where', 'microbatch'] %}
    {% do limits.append('overwritten_parts') %}
  {% endif %}
  {% do return(limits) %}
{% endmacro %}

{% macro _limit_sentences() %}
  {% do return({
    'refusals_in_gold': "refused records stand in gold alone (rejected='keep'): what an earlier run refused shows as added, and versions that were refused beside an accepted one do not show",
    'overwritten_parts': 'runs overwrite parts of the table: a record that such a part lost without a refusal shows as still there'
  }) %}
{% endmacro %}

{% macro _changes() %}
  {% do return(['changed', 'refused', 'version_refused', 'released', 'gone', 'added']) %}
{% endmacro %}

{% macro _comparison_text(answer) %}
  {% set counts = answer.record_counts %}
  {% set parts = [] %}
  {% for change in lineage_audit._changes() if counts[change] > 0 %}
    {% do parts.append(counts[change] ~ ' ' ~ lineage_audit._change_text(change)) %}
  {% endfor %}
  {% set pairs = [] %}
  {% for label, run in {'from': answer.from_run, 'to': answer.to_run}.items() %}
    {% do pairs.append([label, lineage_audit._time_text(run.committed_ts) ~ ', run ' ~ run.run_id ~ ', config ' ~ run.config_hash[:8] ~ ', code ' ~ (run.code_version or '')[:8]
      ~ ': ' ~ lineage_audit._counted(counts[label], 'record') ~ (' and ' ~ answer.lineage_gone[label] ~ ' more of which nothing is kept' if answer.lineage_gone[label] > 0 else '')]) %}
  {% endfor %}
  {% set blocks = [answer.target_table ~ ': ' ~ (parts | join(', ') or 'no difference' ~ (' in what can be compared' if answer.not_compared else '')) ~ '\n' ~ lineage_audit._labelled(pairs)] %}
  {% set kinds = [] %}
  {% for each in answer.cell_changes %}
    {% do kinds.append([lineage_audit._counted(each.cell_count, 'cell'), each.target_column, lineage_audit._causes_text(each.causes)]) %}
  {% endfor %}
  {% for each in answer.refusals %}
    {% do kinds.append([lineage_audit._counted(each.record_count, 'record'), lineage_audit._change_text(each.change), each.failed_rules | join(', ')]) %}
  {% endfor %}
  {% if kinds %}
    {% do blocks.append(lineage_audit._table_text(['how many', 'what', 'why'], kinds)) %}
  {% endif %}
  {% set config = [] %}
  {% for each in answer.config_differences %}
    {% do config.append([each.name, each.change, each.cell, lineage_audit._value_text(each.from_value), lineage_audit._value_text(each.to_value)]) %}
  {% endfor %}
  {% if config %}
    {% set shown = config[:10] %}
    {% do blocks.append(
      lineage_audit._table_text(['config', 'change', 'cell', 'from', 'to'], shown) ~ ('\n  … ' ~ (config | length - shown | length) ~ ' more: config_diff shows them' if config | length > shown | length else '')
    ) %}
  {% endif %}
  {% set sample = [] %}
  {% for each in answer.sample %}
    {% set is_cell = each.change == 'changed' %}
    {% do sample.append([
      each.target_pk, lineage_audit._change_text(each.change), each.target_column, lineage_audit._short_text(each.from_value) if is_cell else none,
      lineage_audit._short_text(each.to_value) if is_cell else none, lineage_audit._causes_text(each.causes) or each.failed_rules | join(', ')
    ]) %}
  {% endfor %}
  {% if sample %}
    {% do blocks.append(lineage_audit._table_text(['record', 'change', 'column', 'from', 'to', 'why'], sample)) %}
  {% endif %}
  {% set untold = {} %}
  {% for each in answer.not_compared %}
    {% set key = 'of ' ~ lineage_audit._counted(each.record_count, 'record') ~ ': ' ~ lineage_audit._uncompared_sentences()[each.reason] %}
    {% do untold.setdefault(key, []).append(each.target_column) if each.target_column else untold.setdefault(key, []) %}
  {% endfor %}
  {% set lines = [] %}
  {% for sentence, columns in untold.items() %}
    {% do lines.append(['not compared' if loop.first else '', (columns | sort | join(', ') ~ ' ' if columns else '') ~ sentence]) %}
  {% endfor %}
  {% for limit in answer.limits %}
    {% do lines.append(['note' if loop.first else '', lineage_audit._limit_sentences()[limit]]) %}
  {% endfor %}
  {% if lines %}
    {% do blocks.append(lineage_audit._labelled(lines)) %}
  {% endif %}
  {% do return(blocks | join('\n\n')) %}
{% endmacro %}

{% macro _short_text(value) %}
  {% set text = lineage_audit._value_text(value) %}
  {% do return(text if text | length <= 40 else text[:39] ~ '…') %}
{% endmacro %}

{% macro _change_text(change) %}
  {% do return({'version_refused': 'kept (newer version refused)', 'refused': 'gone (refused)', 'released': 'added (refused before)'}.get(change, change)) %}
{% endmacro %}

{% macro _causes_text(causes) %}
  {% do return(causes | join(', ') | replace('_', ' ')) %}
{% endmacro %}

{% macro _uncompared_sentences() %}
  {% do return(dict(
    lineage_audit._unprovable_sentences(), key_not_unique='several rows of a run share the key',
    lineage_gone='a run kept lineage in the rows of gold alone (capture in_row), and gold holds them no more'
  )) %}
{% endmacro %}
