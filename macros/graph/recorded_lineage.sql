{#- SQL of what Unity Catalog has recorded of the project's schemas, read once: the findings are made of this table. -#}
{% macro _recorded_lineage_sql() %}
  {% set days = lineage_audit._recorded_days() %}
  {% if not execute %}
    {% do return('select 1 as not_compiled') %}
  {% endif %}
  {% set places = lineage_audit._places_of_project() %}
  {% if not places %}
    {% do return(lineage_audit._no_records_sql('it tells of Unity Catalog alone, and none of the project\'s models lies there')) %}
  {% endif %}
  {#- A refusal comes back as data, where the read would end the run. -#}
  {% if lineage_audit.refusals([{'query': lineage_audit._select_of_records() ~ '\n  where false'}]) %}
    {% do return(lineage_audit._no_records_sql(
      'it is not there, or this user may not read it: an account admin enables the schema system.access, and grants use schema on it and select on '
      ~ 'the table; the var lineage_audit_recorded_days set to 0 leaves the comparison out'
    )) %}
  {% endif %}
  {% do return(lineage_audit._records_sql(days, places)) %}
{% endmacro %}

{#- How many days of records are read; 0: none. -#}
{% macro _recorded_days() %}
  {% set days = lineage_audit.settings().recorded_days | string %}
  {% if not modules.re.fullmatch('[0-9]{1,4}', days) %}
    {% do exceptions.raise_compiler_error("lineage_audit: the var lineage_audit_recorded_days is a number of days, 0 to leave out the platform's lineage, and not '" ~ days ~ "'.") %}
  {% endif %}
  {% do return(days | int) %}
{% endmacro %}

{#- Is the platform's own lineage read? Only Databricks keeps one. -#}
{% macro _has_records() %}
  {% do return(target.type == 'databricks' and lineage_audit._recorded_days() > 0) %}
{% endmacro %}

{#- A predicate for each catalog that the project's models lie in. -#}
{% macro _places_of_project() %}
  {% set schemas = {} %}
  {% for node in graph.nodes.values() if lineage_audit._is_in_graph(node) and node.database and node.database != 'hive_metastore' %}
    {% if node.schema | lower not in schemas.setdefault(node.database | lower, []) %}
      {% do schemas[node.database | lower].append(node.schema | lower) %}
    {% endif %}
  {% endfor %}
  {% set places = [] %}
  {% for database, names in schemas.items() %}
    {% do places.append('(target_table_catalog = ' ~ lineage_audit.text_literal(database) ~ ' and target_table_schema in ' ~ lineage_audit._in_list(names | sort) ~ ')') %}
  {% endfor %}
  {% do return(places) %}
{% endmacro %}

{% macro _select_of_records() -%}
select
    lower(source_table_full_name) as upstream_table,
    lower(source_column_name) as upstream_column,
    lower(target_table_full_name) as downstream_table,
    lower(target_column_name) as downstream_column,
    event_time as recorded_ts
  from system.access.column_lineage
{%- endmacro %}

{% macro _records_sql(days, places) -%}
{%- set step = lineage_audit.text_literal('__(lineage_source|dbt_stg|dbt_tmp[a-z0-9_]*)$') -%}
with records as (
  {{ lineage_audit._select_of_records() }}
  where
    -- The table is partitioned by it.
    event_date >= date_sub(current_date(), {{ days }})
    -- What was read and not written has no target, what was written from elsewhere no source.
    and source_column_name is not null
    and target_column_name is not null
    and (
      {{ places | join('\n      or ') }}
    )
),
-- What a build makes for itself on the way to its table, by the package and by the adapter.
steps as (
  select distinct
    upstream_table,
    upstream_column,
    downstream_table as step_table,
    downstream_column as step_column,
    regexp_replace(downstream_table, {{ step }}, '') as built_table
  from records
  where downstream_table rlike {{ step }}
)
select
  coalesce(steps.upstream_table, records.upstream_table) as upstream_table,
  coalesce(steps.upstream_column, records.upstream_column) as upstream_column,
  records.downstream_table,
  records.downstream_column,
  max(records.recorded_ts) as recorded_ts,
  cast(null as string) as problem
from records
left join steps
  on records.downstream_table = steps.built_table
  and records.upstream_table = steps.step_table
  and records.upstream_column = steps.step_column
where records.downstream_table not rlike {{ step }}
group by 1, 2, 3, 4
{%- endmacro %}

{% macro _no_records_sql(problem) -%}
select
  cast(null as string) as upstream_table,
  cast(null as string) as upstream_column,
  cast(null as string) as downstream_table,
  cast(null as string) as downstream_column,
  cast(null as timestamp) as recorded_ts,
  {{ lineage_audit.text_literal(problem) }} as problem
{%- endmacro %}
