{#- What lineage_reconciliation tells of. -#}
{% macro _lineage_findings() %}
  {% do return([
    'declared_not_observed', 'observed_not_declared', 'not_delivered', 'not_read', 'no_lineage', 'no_description', 'no_owner', 'edge_appeared', 'edge_vanished',
    'recorded_not_observed', 'observed_not_recorded', 'records_not_read'
  ]) %}
{% endmacro %}

{#- SQL of the findings. Drift is what the run that makes the view has found: its id stands in the SQL. -#}
{% macro _lineage_reconciliation_sql() %}
{%- set config_tables = [] -%}
{%- if execute -%}
  {%- for node in graph.nodes.values() if node.name in ['api_endpoints', 'field_mapping', 'business_rules'] and node.resource_type in ['model', 'seed'] -%}
    {%- do config_tables.append(lineage_audit._node_relation(node)) -%}
  {%- endfor -%}
{%- endif -%}
with edges as (
  select *
  from {{ ref('lineage_audit', 'lineage_edge') }}
),
tables as (
  select *
  from {{ ref('lineage_audit', 'lineage_node') }}
  where
    column_name is null
    and kind <> 'external'
{%- if config_tables %}
    -- Macros read the config tables, which no SQL shows, and the package's docs tell their columns.
    and table_name not in {{ lineage_audit._in_list(config_tables) }}
{%- endif %}
),
versions as (
  select
    target_relation,
    max(mapping_json) as mapping_json,
    min(created_ts) as written_ts
  from {{ ref('lineage_audit', 'current_model_version') }}
  group by target_relation
),
mapped as (
  select target_relation
  from versions
  where mapping_json is not null
),
unread as (
  select distinct
    downstream_table,
    problem
  from edges
  where problem is not null
),
of_mapping as (
  select
    edges.upstream_table,
    edges.upstream_column,
    edges.downstream_table,
    edges.downstream_column,
    max(case when edges.origin <> 'observed' then edges.expression end) as declared_expression,
    max(case when edges.origin <> 'declared' then edges.expression end) as observed_expression,
    max(case when edges.origin <> 'observed' then 1 else 0 end) as is_declared,
    max(case when edges.origin <> 'declared' then 1 else 0 end) as is_observed,
    max(case when edges.origin <> 'declared' and edges.transformation_type = 'DIRECT' then 1 else 0 end) as is_made_of
  from edges
  inner join mapped on edges.downstream_table = mapped.target_relation
  -- API fields are told by the mapping alone.
  inner join tables on edges.upstream_table = tables.table_name
  where
    edges.upstream_column is not null
    and edges.downstream_column is not null
    and substring(edges.downstream_column, 1, 9) <> '_lineage_'
  group by
    edges.upstream_table,
    edges.upstream_column,
    edges.downstream_table,
    edges.downstream_column
),
led_to as (
  select distinct downstream_table as known_table
  from edges
  where upstream_table is not null
),
in_any_edge as (
  select known_table
  from led_to
  union
  select upstream_table as known_table
  from edges
  where upstream_table is not null
),
delivering as (
  select distinct relation
  from {{ ref('lineage_audit', 'lineage_catalog') }}
),
delivered as (
  select distinct
    relation,
    lower(column_name) as column_name
  from {{ ref('lineage_audit', 'lineage_catalog') }}
),
{%- if lineage_audit._has_records() %}
{{ lineage_audit._recorded_ctes() }}
{%- endif %}
findings as (
  select
    'declared_not_observed' as finding,
    of_mapping.downstream_table as table_name,
    of_mapping.downstream_column as column_name,
    of_mapping.upstream_table,
    of_mapping.upstream_column,
    'field_mapping declares the source column; the SQL that built the table makes no use of it for this column' as detail
  from of_mapping
  left join unread on of_mapping.downstream_table = unread.downstream_table
  where
    of_mapping.is_declared = 1
    and of_mapping.is_observed = 0
    -- Where the SQL can't be read, that is the finding.
    and unread.downstream_table is null
  union all
  select
    'observed_not_declared' as finding,
    downstream_table as table_name,
    downstream_column as column_name,
    upstream_table,
    upstream_column,
    'the SQL that built the table makes the column of it; field_mapping does not declare it: ' || coalesce(observed_expression, '') as detail
  from of_mapping
  where
    is_declared = 0
    and is_made_of = 1
  union all
  select
    'not_delivered' as finding,
    of_mapping.downstream_table as table_name,
    of_mapping.downstream_column as column_name,
    of_mapping.upstream_table,
    of_mapping.upstream_column,
    'field_mapping declares a source column that the source table does not have' as detail
  from of_mapping
  inner join delivering on of_mapping.upstream_table = delivering.relation
  left join delivered
    on of_mapping.upstream_table = delivered.relation
    and lower(of_mapping.upstream_column) = delivered.column_name
  where
    of_mapping.is_declared = 1
    and delivered.relation is null
  union all
  select
    'not_read' as finding,
    downstream_table as table_name,
    null as column_name,
    null as upstream_table,
    null as upstream_column,
    problem as detail
  from unread
  union all
  select
    'no_lineage' as finding,
    tables.table_name,
    null as column_name,
    null as upstream_table,
    null as upstream_column,
    case
      when tables.kind = 'exposure' then 'it depends on nothing, and its meta names nothing that it uses'
      when tables.kind <> 'model' then 'nothing is made of it, and its meta does not say where it comes from'
      when versions.target_relation is null then 'the store has no build of it: build it while the lineage graph is on'
      else 'its SQL reads no table'
    end as detail
  from tables
  left join led_to on tables.table_name = led_to.known_table
  left join in_any_edge on tables.table_name = in_any_edge.known_table
  left join versions on tables.table_name = versions.target_relation
  where
    case when tables.kind in ('model', 'exposure') then led_to.known_table else in_any_edge.known_table end is null
  union all
  select
    'no_description' as finding,
    nodes.table_name,
    nodes.column_name,
    null as upstream_table,
    null as upstream_column,
    'its properties in dbt do not say what it means' as detail
  from {{ ref('lineage_audit', 'lineage_node') }} as nodes
  inner join tables on nodes.table_name = tables.table_name
  where
    nodes.description is null
    -- Of an exposure's columns properties can't tell.
    and (nodes.kind <> 'exposure' or nodes.column_name is null)
    and (nodes.column_name is null or substring(nodes.column_name, 1, 9) <> '_lineage_')
  union all
  select
    'no_owner' as finding,
    table_name,
    null as column_name,
    null as upstream_table,
    null as upstream_column,
    'neither meta nor a group names an owner of the table and its columns' as detail
  from tables
  where owner is null
  union all
  select
    'edge_' || change as finding,
    downstream_table as table_name,
    downstream_column as column_name,
    upstream_table,
    upstream_column,
    lower(coalesce(transformation_subtype, 'from the table')) || coalesce(': ' || expression, '') as detail
  from {{ ref('lineage_audit', 'lineage_edge_history') }}
  where
    change <> 'first'
    and invocation_id = {{ lineage_audit.text_literal(invocation_id) }}
{%- if lineage_audit._has_records() %}
  union all
{{ lineage_audit._recorded_findings() }}
{%- endif %}
)
select
  findings.finding,
  findings.table_name,
  findings.column_name,
  findings.upstream_table,
  findings.upstream_column,
  findings.detail,
  nodes.kind,
  nodes.layer,
  nodes.owner,
  nodes.name
from findings
left join {{ ref('lineage_audit', 'lineage_node') }} as nodes
  on findings.table_name = nodes.table_name
  and nodes.column_name is null
{% endmacro %}

{#- What the platform has recorded of the SQL that the tables have now: what is older tells of SQL that is no more. -#}
{% macro _recorded_ctes() -%}
recorded as (
  select
    records.*,
    versions.target_relation
  from {{ ref('lineage_audit', 'recorded_lineage') }} as records
  inner join versions on records.downstream_table = lower(versions.target_relation)
  left join unread on versions.target_relation = unread.downstream_table
  where
    records.recorded_ts >= versions.written_ts
    and records.upstream_table <> records.downstream_table
    and substring(records.downstream_column, 1, 9) <> '_lineage_'
    -- Where the SQL can't be read, that is the finding.
    and unread.downstream_table is null
),
made_of as (
  select distinct
    edges.upstream_table,
    edges.upstream_column,
    edges.downstream_table,
    edges.downstream_column
  from edges
  inner join tables on edges.upstream_table = tables.table_name
  where
    edges.origin <> 'declared'
    and edges.transformation_type = 'DIRECT'
    and edges.upstream_column is not null
    and edges.downstream_column is not null
    and edges.upstream_table <> edges.downstream_table
    and substring(edges.downstream_column, 1, 9) <> '_lineage_'
    -- Unity Catalog does not know what lies there.
    and substring(edges.upstream_table, 1, 15) <> 'hive_metastore.'
),
{%- endmacro %}

{% macro _recorded_findings() -%}
  select
    'recorded_not_observed' as finding,
    recorded.target_relation as table_name,
    recorded.downstream_column as column_name,
    recorded.upstream_table,
    recorded.upstream_column,
    'the platform recorded that the column was written from it, last at ' || cast(recorded.recorded_ts as string) || '; the SQL that built the table does not show it' as detail
  from recorded
  left join edges
    on recorded.target_relation = edges.downstream_table
    and recorded.upstream_table = lower(edges.upstream_table)
    and (edges.upstream_column is null or recorded.upstream_column = lower(edges.upstream_column))
    and (edges.downstream_column is null or recorded.downstream_column = lower(edges.downstream_column))
  where edges.downstream_table is null
  union all
  select
    'observed_not_recorded' as finding,
    made_of.downstream_table as table_name,
    made_of.downstream_column as column_name,
    made_of.upstream_table,
    made_of.upstream_column,
    'the SQL that built the table makes the column of it; the platform recorded the table since, and not this' as detail
  from made_of
  inner join (select distinct target_relation from recorded) as seen on made_of.downstream_table = seen.target_relation
  left join recorded
    on made_of.downstream_table = recorded.target_relation
    and lower(made_of.downstream_column) = recorded.downstream_column
    and lower(made_of.upstream_table) = recorded.upstream_table
    and lower(made_of.upstream_column) = recorded.upstream_column
  where recorded.target_relation is null
  union all
  select
    'records_not_read' as finding,
    'system.access.column_lineage' as table_name,
    null as column_name,
    null as upstream_table,
    null as upstream_column,
    problem as detail
  from {{ ref('lineage_audit', 'recorded_lineage') }}
  where problem is not null
{%- endmacro %}
