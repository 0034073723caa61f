{{ config(materialized='view', schema=lineage_audit.settings().schema, database=lineage_audit.settings().database) }}
{%- do lineage_audit._stays_a_view() %}

{% set values_of_record = lineage_audit.items_at('records.source_values', 'mapping.source_positions') -%}
with {{ lineage_audit._committed_ctes() }},
{{ lineage_audit._mapping_cte() }}
select
  {{ lineage_audit._column_lineage_items('cells.target_pk', 'cells.source_values') }}
from {{ lineage_audit._store('cell_lineage') }} as cells
inner join committed on cells.attempt_id = committed.attempt_id
inner join mapping
  on committed.config_hash = mapping.config_hash
  and cells.column_position = mapping.column_position
union all
select
  {{ lineage_audit._column_lineage_items('records.target_pk', values_of_record) }}
from {{ lineage_audit._store('record_lineage') }} as records
inner join committed on records.attempt_id = committed.attempt_id
inner join mapping on committed.config_hash = mapping.config_hash
