{{ config(materialized='view', schema=lineage_audit.settings().schema, database=lineage_audit.settings().database) }}

with {{ lineage_audit._committed_ctes() }},
rejections as (
  select
    rejected.*,
    committed.endpoint_name,
    committed.config_hash,
    committed.committed_ts as rejected_ts,
    max(committed.committed_ts) over (partition by rejected.target_relation, rejected.record_key) as last_rejected_ts,
    row_number() over (
      partition by
        rejected.target_relation,
        rejected.invocation_id,
        rejected.record_key,
        rejected.mapped_values_json,
        rejected.source_values_json
      order by rejected.target_pk
    ) as copy_number
  from {{ lineage_audit._store('rejected_record') }} as rejected
  inner join committed
    on rejected.invocation_id = committed.invocation_id
    and rejected.target_relation = committed.target_relation
),
closings as (
  select
    closed.target_relation,
    closed.record_key,
    max(coalesce(committed.committed_ts, closed.closed_ts)) as closed_ts
  from {{ lineage_audit._store('closed_record') }} as closed
  left join committed
    on closed.invocation_id = committed.invocation_id
    and closed.target_relation = committed.target_relation
  where committed.invocation_id is not null or closed.closed_as = 'dismissed'
  group by closed.target_relation, closed.record_key
),
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
  rejections.run_id,
  rejections.endpoint_name,
  rejections.target_table,
  rejections.record_key,
  rejections.target_pk,
  rejections.failed_rules,
  {{ lineage_audit.messages_of('rejections.failed_rules', 'messages.message_of_rule') }} as messages,
  rejections.mapped_values_json,
  rejections.source_values_json,
  rejections.rejected_ts,
  rejections.target_relation,
  rejections.invocation_id,
  rejections.config_hash
from rejections
left join closings
  on rejections.target_relation = closings.target_relation
  and rejections.record_key = closings.record_key
left join messages on rejections.config_hash = messages.config_hash
where rejections.rejected_ts = rejections.last_rejected_ts
  and rejections.copy_number = 1
  and (closings.closed_ts is null or closings.closed_ts <= rejections.rejected_ts)
  and {{ lineage_audit.list_length('rejections.failed_rules') }} > 0
  and not (rejections.failed_rules = {{ lineage_audit.list_of_texts(['duplicate_key']) }})
