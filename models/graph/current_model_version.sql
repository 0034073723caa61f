{{ config(materialized='view', schema=lineage_audit.settings().schema, database=lineage_audit.settings().database) }}

with versions as (
  select
    *,
    row_number() over (
      partition by target_relation, form
      order by created_ts desc, model_version
    ) as newest_first,
    first_value(code_version) over (
      partition by target_relation
      order by created_ts desc, model_version
    ) as newest_code_version
  from {{ lineage_audit._store('model_version') }}
)

select
  model_version,
  node_id,
  target_relation,
  form,
  language,
  dialect,
  compiled_sql,
  depends_on,
  mapping_json,
  created_ts
from versions
-- A form of code that is no more, such as the full build of an incremental model that was edited since, says nothing.
where
  newest_first = 1
  and code_version = newest_code_version
