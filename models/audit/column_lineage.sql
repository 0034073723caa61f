{{ config(materialized='view', schema=lineage_audit.settings().schema, database=lineage_audit.settings().database) }}

with {{ lineage_audit._committed_ctes() }},
mapping as (
  select
    config_hash,
    column_position,
    target_column,
    api_field_name,
    api_json_path,
    source_table,
    source_columns,
    transform_expr,
    business_rule_id
  from (
    select
      *,
      row_number() over (partition by config_hash, column_position order by created_ts) as copy_number
    from {{ lineage_audit._store('config_version') }}
    where kind = 'mapping'
  ) as copies
  where copy_number = 1
)
select
  committed.run_id,
  committed.endpoint_name,
  committed.target_table,
  cells.target_pk,
  mapping.target_column,
  mapping.api_field_name,
  mapping.api_json_path,
  mapping.source_table,
  mapping.source_columns,
  mapping.transform_expr,
  mapping.business_rule_id,
  case
    when {{ lineage_audit.list_length('mapping.source_columns') }} = 0 then '{}'
    else {{ lineage_audit.json_of_lists('mapping.source_columns', 'cells.source_values') }}
  end as source_values_json,
  committed.committed_ts as created_ts,
  committed.target_relation,
  committed.invocation_id,
  committed.config_hash
from {{ lineage_audit._store('cell_lineage') }} as cells
inner join committed on cells.attempt_id = committed.attempt_id
inner join mapping
  on committed.config_hash = mapping.config_hash
  and cells.column_position = mapping.column_position
