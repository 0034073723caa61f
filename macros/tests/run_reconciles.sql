{% test run_reconciles(model) -%}
{{ lineage_audit._run_reconciles_test(model) }}
{%- endtest %}

{% macro _run_reconciles_test(rows) %}
  {% if not execute %}
    {% do return('select 1 as parsed_only') %}
  {% endif %}
  {% set tested = lineage_audit._tested_model(rows) %}
  {% set waits = lineage_audit._not_testable_yet(tested, {
    tested.name: tested.built, 'the audit store': lineage_audit._store('record_lineage')
  }) %}
  {% if waits %}
    {% do return(waits) %}
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
{%- set count = lineage_audit.store_type('count') -%}
{%- set accepted = ' where ' ~ lineage_audit._is_accepted() if run and run.rejected == 'keep' else '' -%}
{%- set rows_of_run = '_lineage_invocation_id = ' ~ lineage_audit.text_literal(run.invocation_id) ~ '\n    and _lineage_run_id = ' ~ lineage_audit.text_literal(run.run_id) if run else '' -%}
{%- if run is none -%}
select
  'successful runs of the table' as what,
  cast(1 as {{ count }}) as expected,
  cast(0 as {{ count }}) as found,
  cast(null as {{ lineage_audit.store_type('text') }}) as run_id
{%- else -%}
with compared as (
  select
    'input_record_count = filtered + rejected + output' as what,
    cast({{ run.input_record_count }} as {{ count }}) as expected,
    cast({{ run.filtered_record_count }} + {{ run.rejected_record_count }} + {{ run.output_record_count }} as {{ count }}) as found
  union all
  select
    'output_record_count = rows of the run in gold' as what,
    cast({{ run.output_record_count }} as {{ count }}) as expected,
    count(*) as found
  from {{ tested.built }}
  where {{ rows_of_run }}
{%- if accepted %}
    and {{ lineage_audit._is_accepted() }}
{%- endif %}
{%- if run.whole_table %}
  union all
  select
    'output_record_count = all rows in gold, which the run wrote anew' as what,
    cast({{ run.output_record_count }} as {{ count }}) as expected,
    count(*) as found
  from {{ tested.built }}{{ accepted }}
{%- endif %}
  union all
{%- if accepted %}
  select
    'rejected_record_count = refused rows of the run in gold' as what,
    cast({{ run.rejected_record_count }} as {{ count }}) as expected,
    count(*) as found
  from {{ tested.built }}
  where {{ rows_of_run }}
    and {{ lineage_audit._is_refused() }}
{%- else %}
  select
    'rejected_record_count = rows of the run in rejected_record' as what,
    cast({{ run.rejected_record_count }} as {{ count }}) as expected,
    count(*) as found
  from {{ lineage_audit._store('rejected_record') }}
  where invocation_id = {{ lineage_audit.text_literal(run.invocation_id) }}
    and target_relation = {{ lineage_audit.text_literal(tested.target_relation) }}
{%- endif %}
{%- if run.capture == 'exploded' %}
  union all
  select
    'output_record_count * mapped columns = rows of the run in cell_lineage' as what,
    cast({{ run.output_record_count }} * {{ run.column_count }} as {{ count }}) as expected,
    count(*) as found
  from {{ lineage_audit._store('cell_lineage') }}
  where attempt_id = {{ run.attempt_id | int }}
{%- elif run.capture == 'compact' %}
  union all
  select
    'output_record_count = rows of the run in record_lineage' as what,
    cast({{ run.output_record_count }} as {{ count }}) as expected,
    count(*) as found
  from {{ lineage_audit._store('record_lineage') }}
  where attempt_id = {{ run.attempt_id | int }}
{%- endif %}
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
