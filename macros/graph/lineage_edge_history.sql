{#- SQL of the changes of the graph that this run finds: what lineage_edge holds, against the last change of each edge. -#}
{% macro _lineage_edge_history_sql() %}
{%- if execute and config.get('materialized') != 'incremental' -%}
  {%- do exceptions.raise_compiler_error(
    'lineage_audit: lineage_edge_history has to be incremental, and is ' ~ config.get('materialized') ~ ' by your dbt_project.yml: it would forget the edges that were. '
    ~ 'Add there, below models, «lineage_audit: {graph: {lineage_edge_history: {+materialized: incremental}}}».'
  ) -%}
{%- endif -%}
{%- set key = ['upstream_table', 'upstream_column', 'downstream_table', 'downstream_column', 'transformation_type', 'transformation_subtype'] | join(',\n    ') -%}
with present as (
  select
    {{ key }},
    min(expression) as expression
  from {{ ref('lineage_audit', 'lineage_edge') }}
  where upstream_table is not null
  group by
    {{ key }}
)
{%- if is_incremental() %},
numbered as (
  select
    *,
    row_number() over (
      partition by
        {{ key.replace('\n', '\n    ') }}
      order by changed_ts desc
    ) as newest_first
  from {{ this }}
),
former as (
  select
    {{ key }},
    expression
  from numbered
  where
    newest_first = 1
    and change <> 'vanished'
),
known_tables as (
  select distinct downstream_table as known_table
  from {{ this }}
),
compared as (
  select
    {{ key }},
    expression,
    1 as is_present
  from present
  union all
  select
    {{ key }},
    expression,
    0 as is_present
  from former
),
changed as (
  select
    {{ key }},
    min(expression) as expression,
    max(is_present) as is_present
  from compared
  group by
    {{ key }}
  having count(*) = 1
)
{%- endif %}
select
  {{ lineage_audit._history_items() }},
{%- if is_incremental() %}
  case
    when changed.is_present = 0 then 'vanished'
    when known_tables.known_table is null then 'first'
    else 'appeared'
  end as change,
{%- else %}
  'first' as change,
{%- endif %}
  {{ lineage_audit._utc_now() }} as changed_ts,
  {{ lineage_audit.text_literal(invocation_id) }} as invocation_id
{%- if is_incremental() %}
from changed
left join known_tables on changed.downstream_table = known_tables.known_table
{%- else %}
from present
{%- endif %}
{% endmacro %}

{% macro _history_items() %}
  {% do return(
    ['upstream_table', 'upstream_column', 'downstream_table', 'downstream_column', 'transformation_type', 'transformation_subtype', 'expression'] | join(',\n  ')
  ) %}
{% endmacro %}
