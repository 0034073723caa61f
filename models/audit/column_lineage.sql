{{ config(materialized='view', schema=lineage_audit.settings().schema, database=lineage_audit.settings().database) }}
{%- do lineage_audit._stays_a_view() %}

{#- A record has the values of all its columns: it meets the mapping where that has no place. Both tables are joined as
    one, since a join costs a query for one cell more than the cells do. -#}
{% set no_place = 'cast(null as ' ~ lineage_audit.store_types().position ~ ')' -%}
{% set of_record = lineage_audit.items_at('logged.source_values', 'placed.source_positions') -%}
{% set source_values = 'case when logged.place is null then ' ~ of_record ~ ' else logged.source_values end' -%}
with {{ lineage_audit._committed_ctes() }},
{{ lineage_audit._mapping_cte() }},
logged as (
  select
    attempt_id,
    target_pk,
    column_position as place,
    source_values
  from {{ lineage_audit._store('cell_lineage') }}
  union all
  select
    attempt_id,
    target_pk,
    {{ no_place }} as place,
    source_values
  from {{ lineage_audit._store('record_lineage') }}
),
placed as (
  select
    *,
    column_position as place
  from mapping
  union all
  select
    *,
    {{ no_place }} as place
  from mapping
)
select
  {{ lineage_audit._column_lineage_items('logged.target_pk', source_values, mapping='placed') }}
from logged
inner join committed on logged.attempt_id = committed.attempt_id
inner join placed
  on committed.config_hash = placed.config_hash
  and logged.place is not distinct from placed.place
