{{ config(materialized='view', schema=lineage_audit.settings().schema, database=lineage_audit.settings().database) }}

with {{ lineage_audit._committed_ctes() }},
{{ lineage_audit._open_record_ctes() }},
messages as (
  select
    config_hash,
    {{ lineage_audit.map_of_rows('business_rule_id', "coalesce(message, '')") }} as message_of_rule
  from (
    select distinct
      config_hash,
      business_rule_id,
      message
    from {{ lineage_audit._store('config_version') }}
    where kind = 'rule'
  ) as rules
  group by config_hash
)
select
  open_records.run_id,
  open_records.endpoint_name,
  open_records.target_table,
  open_records.record_key,
  open_records.target_pk,
  open_records.failed_rules,
  {{ lineage_audit.messages_of('open_records.failed_rules', 'messages.message_of_rule') }} as messages,
  open_records.mapped_values_json,
  open_records.source_values_json,
  open_records.rejected_ts,
  open_records.target_relation,
  open_records.invocation_id,
  open_records.config_hash
from open_records
left join messages on open_records.config_hash = messages.config_hash
