{% test lineage_complete(model) -%}
{{ lineage_audit._lineage_complete_test(model) }}
{%- endtest %}

{% macro _lineage_complete_test(rows) %}
  {% set tested = lineage_audit._tested_when_built(rows, {'the audit store': lineage_audit._store('record_lineage')}) %}
  {% if tested is string %}
    {% do return(tested) %}
  {% endif %}
  {% set last = lineage_audit._last_config_of_tested(tested) %}
  {% do return(lineage_audit._lineage_complete_sql(tested, lineage_audit._target_pk({'columns': last.key}) if last.key else none, last.attempt)) %}
{% endmacro %}

{#- Of the last successful run, {key: the key columns of its config, attempt: its attempt_id}; of the last one at all, without
    an attempt, where none succeeded. All rows of a table share a key: a changed one asks for a full refresh. -#}
{% macro _last_config_of_tested(tested) %}
  {% set sql %}
select
  config.target_column,
  config.data_type,
  {{ lineage_audit.first_item('config.source_columns') }} as source_column,
  {{ lineage_audit.first_item('config.source_types') }} as source_type,
  config.transform_expr,
  config.sensitivity,
  last_event.committed_attempt
from {{ lineage_audit._store('config_version') }} as config
inner join (
  select
    config_hash,
    case when event_type = 'SUCCESS' then attempt_id end as committed_attempt
  from {{ lineage_audit._store('run_event') }}
  where target_relation = {{ lineage_audit.text_literal(tested.target_relation) }} and config_hash is not null
  order by case when event_type = 'SUCCESS' then 0 else 1 end, event_ts desc
  limit 1
) as last_event
  on config.config_hash = last_event.config_hash
where config.kind = 'mapping' and config.is_primary_key = 'true'
order by config.column_position
  {%- endset %}
  {% set last = {'key': [], 'attempt': none} %}
  {% for row in run_query(sql).rows %}
    {% if row['committed_attempt'] is not none %}
      {% do last.update({'attempt': row['committed_attempt'] | int}) %}
    {% endif %}
    {#- Two jobs may have written one config. -#}
    {% if not lineage_audit._find_column(last.key, row['target_column']) %}
      {#- Typed as the run typed it, so that the text is the same. -#}
      {% set type = row['data_type'] or (row['source_type'] if row['transform_expr'] == row['source_column'] else none) %}
      {% do last.key.append(lineage_audit._tested_column(row['target_column'], type, row['sensitivity'], 'gold')) %}
    {% endif %}
  {% endfor %}
  {% if lineage_audit._is_testing() and last.key | selectattr('mark', 'equalto', 'hash') | list %}
    {% set problems = lineage_audit._hash_key_problems({
      'endpoint_name': tested.endpoint_name, 'target_table': tested.target_table, 'target_column': (last.key | selectattr('mark', 'equalto', 'hash') | first).name
    }) %}
    {% if problems %}
      {% do lineage_audit._raise_problems(tested.name, problems) %}
    {% endif %}
  {% endif %}
  {% do return(last) %}
{% endmacro %}

{#- Rows and cells are counted by run and key: where a key stands in gold twice, so does its lineage. Where nothing is
    copied (capture in_row) a row is its own lineage, and lacks it only without source values. That gold lacks a row
    can be told of the last run alone, since a later one may have replaced the rows of those before it, and only where
    the test reads the whole table. -#}
{% macro _lineage_complete_sql(tested, target_pk, last_attempt) -%}
{%- set finds_lost_rows = tested.all_rows and last_attempt is not none -%}
with runs as (
  select
    attempt_id,
    invocation_id,
    run_id,
    config_hash,
    capture
  from {{ lineage_audit._store('run_event') }}
  where event_type = 'SUCCESS' and target_relation = {{ lineage_audit.text_literal(tested.target_relation) }}
),
mapping as (
  select distinct
    config_hash,
    column_position,
    target_column
  from {{ lineage_audit._store('config_version') }}
  where kind = 'mapping'
),
tested as (
  select *
  from {{ lineage_audit._accepted_of_tested(tested) }}
),
gold_rows as (
  select
    gold._lineage_run_id as run_id,
    runs.attempt_id,
    runs.config_hash,
    {{ target_pk or 'cast(null as ' ~ lineage_audit.store_types().text ~ ')' }} as target_pk
  from tested as gold
  left join runs
    on gold._lineage_invocation_id = runs.invocation_id
    and gold._lineage_run_id = runs.run_id
  where coalesce(runs.capture, '') <> 'in_row' or gold._lineage_source_values is null
),
gold_keys as (
  select
    run_id,
    attempt_id,
    config_hash,
    target_pk,
    count(*) as gold_row_count
  from gold_rows
  group by run_id, attempt_id, config_hash, target_pk
),
expected as (
  select
    gold_keys.run_id,
    gold_keys.attempt_id,
    gold_keys.target_pk,
    mapping.target_column,
    gold_keys.gold_row_count
  from gold_keys
  left join mapping on gold_keys.config_hash = mapping.config_hash
),
looked_at as (
  select *
  from runs
  where invocation_id in (select _lineage_invocation_id from tested)
{%- if finds_lost_rows %}
    or attempt_id = {{ last_attempt }}
{%- endif %}
),
lineage as (
  select
    looked_at.run_id,
    looked_at.attempt_id,
    cells.target_pk,
    mapping.target_column
  from {{ lineage_audit._store('cell_lineage') }} as cells
  inner join looked_at on cells.attempt_id = looked_at.attempt_id
  inner join mapping
    on looked_at.config_hash = mapping.config_hash
    and cells.column_position = mapping.column_position
  union all
  select
    looked_at.run_id,
    looked_at.attempt_id,
    records.target_pk,
    mapping.target_column
  from {{ lineage_audit._store('record_lineage') }} as records
  inner join looked_at on records.attempt_id = looked_at.attempt_id
  inner join mapping on looked_at.config_hash = mapping.config_hash
),
found as (
  select
    run_id,
    attempt_id,
    target_pk,
    target_column,
    count(*) as lineage_row_count
  from lineage
  group by run_id, attempt_id, target_pk, target_column
)
select
  coalesce(expected.target_pk, found.target_pk) as target_pk,
  coalesce(expected.target_column, found.target_column) as target_column,
  case
    when expected.gold_row_count is null then 'not_in_gold'
    when expected.attempt_id is null then 'no_successful_run'
    when coalesce(found.lineage_row_count, 0) < expected.gold_row_count then 'missing'
    else 'doubled'
  end as reason,
  coalesce(expected.gold_row_count, 0) as gold_row_count,
  coalesce(found.lineage_row_count, 0) as lineage_row_count,
  coalesce(expected.run_id, found.run_id) as run_id
from expected
{{ 'full outer' if finds_lost_rows else 'left' }} join found
  on expected.attempt_id = found.attempt_id
  and expected.target_pk = found.target_pk
  and expected.target_column = found.target_column
where coalesce(expected.gold_row_count, 0) <> coalesce(found.lineage_row_count, 0)
{%- if finds_lost_rows %}
  and (expected.gold_row_count is not null or found.attempt_id = {{ last_attempt }})
{%- endif %}
{%- endmacro %}
