{% test run_reconciles(model) -%}
{{ lineage_audit._run_reconciles_test(model) }}
{%- endtest %}

{% macro _run_reconciles_test(rows) %}
  {% set tested = lineage_audit._tested_when_built(rows, {'the audit store': lineage_audit._store('record_lineage')}) %}
  {% if tested is string %}
    {% do return(tested) %}
  {% endif %}
  {% do return(lineage_audit._run_reconciles_sql(tested, lineage_audit._last_run_of_tested(tested))) %}
{% endmacro %}

{#- What the store says of the last successful run, or none. -#}
{% macro _last_run_of_tested(tested) %}
  {% set sql %}
select
  runs.run_id,
  runs.invocation_id,
  runs.attempt_id,
  runs.whole_table,
  coalesce(runs.capture, 'exploded') as capture,
  coalesce(runs.rejected, 'quarantine') as rejected,
  runs.input_record_count,
  runs.filtered_record_count,
  runs.rejected_record_count,
  runs.output_record_count,
  coalesce(mapped.column_count, 0) as column_count
from {{ lineage_audit._store('run_event') }} as runs
left join (
  select
    config_hash,
    count(distinct column_position) as column_count
  from {{ lineage_audit._store('config_version') }}
  where kind = 'mapping'
  group by config_hash
) as mapped
  on runs.config_hash = mapped.config_hash
where runs.event_type = 'SUCCESS' and runs.target_relation = {{ lineage_audit.text_literal(tested.target_relation) }}
order by runs.event_ts desc
limit 1
  {%- endset %}
  {% for row in run_query(sql).rows %}
    {% set run = {'run_id': row['run_id'], 'invocation_id': row['invocation_id'], 'attempt_id': row['attempt_id'], 'whole_table': row['whole_table'], 'capture': row['capture'], 'rejected': row['rejected']} %}
    {% for name in ['input_record_count', 'filtered_record_count', 'rejected_record_count', 'output_record_count', 'column_count'] %}
      {% do run.update({name: 'null' if row[name] is none else row[name] | int | string}) %}
    {% endfor %}
    {% do return(run) %}
  {% endfor %}
  {% do return(none) %}
{% endmacro %}

{#- The table is counted whole, whatever rows a `where` of the test leaves: the counts are of the whole run. -#}
{% macro _run_reconciles_sql(tested, run) -%}
{%- if run is none -%}
select
  'successful runs of the table' as what,
  cast(1 as {{ lineage_audit.store_types().count }}) as expected,
  cast(0 as {{ lineage_audit.store_types().count }}) as found,
  cast(null as {{ lineage_audit.store_types().text }}) as run_id
{%- else -%}
with compared as (
  {{ lineage_audit._compared_counts(tested, run) | join('\n  union all\n  ') }}
)
select
  what,
  expected,
  found,
  {{ lineage_audit.text_literal(run.run_id) }} as run_id
from compared
where expected <> found or expected is null or found is null
{%- endif -%}
{%- endmacro %}

{#- A select for each count of the run that a table can bear out. -#}
{% macro _compared_counts(tested, run) %}
  {% set gold = tested.built %}
  {% set keeps = run.rejected == 'keep' %}
  {% set accepted = [lineage_audit._is_accepted()] if keeps else [] %}
  {% set of_run = ['_lineage_invocation_id = ' ~ lineage_audit.text_literal(run.invocation_id), '_lineage_run_id = ' ~ lineage_audit.text_literal(run.run_id)] %}
  {% set of_attempt = ['attempt_id = ' ~ (run.attempt_id | int)] %}
  {% set sum = run.filtered_record_count ~ ' + ' ~ run.rejected_record_count ~ ' + ' ~ run.output_record_count %}
  {% set selects = [
    lineage_audit._compared_count('input_record_count = filtered + rejected + output', run.input_record_count, 'cast(' ~ sum ~ ' as ' ~ lineage_audit.store_types().count ~ ')'),
    lineage_audit._compared_count('output_record_count = rows of the run in gold', run.output_record_count, 'count(*)', gold, of_run + accepted)
  ] %}
  {% if run.whole_table %}
    {% do selects.append(lineage_audit._compared_count('output_record_count = all rows in gold, which the run wrote anew', run.output_record_count, 'count(*)', gold, accepted)) %}
  {% endif %}
  {% if keeps %}
    {% do selects.append(lineage_audit._compared_count(
      'rejected_record_count = refused rows of the run in gold', run.rejected_record_count, 'count(*)', gold, of_run + [lineage_audit._is_refused()]
    )) %}
  {% else %}
    {% do selects.append(lineage_audit._compared_count(
      'rejected_record_count = rows of the run in rejected_record', run.rejected_record_count, 'count(*)', lineage_audit._store('rejected_record'),
      ['invocation_id = ' ~ lineage_audit.text_literal(run.invocation_id), 'target_relation = ' ~ lineage_audit.text_literal(tested.target_relation)]
    )) %}
  {% endif %}
  {% if run.capture == 'exploded' %}
    {% do selects.append(lineage_audit._compared_count(
      'output_record_count * mapped columns = rows of the run in cell_lineage', run.output_record_count ~ ' * ' ~ run.column_count, 'count(*)', lineage_audit._store('cell_lineage'), of_attempt
    )) %}
  {% elif run.capture == 'compact' %}
    {% do selects.append(lineage_audit._compared_count(
      'output_record_count = rows of the run in record_lineage', run.output_record_count, 'count(*)', lineage_audit._store('record_lineage'), of_attempt
    )) %}
  {% endif %}
  {% do return(selects) %}
{% endmacro %}

{% macro _compared_count(what, expected, found, relation=none, predicates=[]) %}
  {% set from_sql = '\n  from ' ~ relation ~ ('\n' ~ lineage_audit._where(predicates, '  ') if predicates else '') if relation else '' %}
  {% do return(
    'select\n    ' ~ lineage_audit.text_literal(what) ~ ' as what,\n    cast(' ~ expected ~ ' as ' ~ lineage_audit.store_types().count ~ ') as expected,\n    ' ~ found ~ ' as found' ~ from_sql
  ) %}
{% endmacro %}
