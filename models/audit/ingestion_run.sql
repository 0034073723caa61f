{{ config(materialized='view', schema=lineage_audit.settings().schema, database=lineage_audit.settings().database) }}
{%- do lineage_audit._stays_a_view() %}

with events as (
  select
    *,
    min(case when event_type = 'STARTED' then event_ts end) over (partition by attempt_id) as started_ts,
    max(case when event_type = 'SUCCESS' then 1 else 0 end) over (partition by attempt_id) as succeeded
  from {{ lineage_audit._store('run_event') }}
),
attempts as (
  select
    run_id,
    invocation_id,
    target_relation,
    max(pipeline_name) as pipeline_name,
    max(endpoint_name) as endpoint_name,
    max(source_system) as source_system,
    max(target_table) as target_table,
    coalesce(min(started_ts), min(event_ts)) as run_start_ts,
    max(case
      when event_type = 'SUCCESS' then event_ts
      when event_type = 'FAILED' and succeeded = 0 then event_ts
    end) as run_end_ts,
    max(succeeded) as succeeded,
    max(case when event_type = 'FAILED' then 1 else 0 end) as failed,
    max(input_record_count) as input_record_count,
    max(output_record_count) as output_record_count,
    max(rejected_record_count) as rejected_record_count,
    max(filtered_record_count) as filtered_record_count,
    max(error_message) as error_message,
    max(config_hash) as config_hash,
    max(code_version) as code_version,
    max(run_by) as run_by,
    max(watermark_from) as watermark_from,
    max(watermark_to) as watermark_to
  from events
  group by run_id, invocation_id, target_relation
),
placed as (
  select
    *,
    row_number() over (partition by run_id, target_relation order by run_start_ts desc, succeeded desc) as attempt_age,
    max(run_start_ts) over (partition by target_relation) as last_start_ts
  from attempts
)
select
  run_id,
  pipeline_name,
  endpoint_name,
  source_system,
  target_table,
  run_start_ts,
  run_end_ts,
  case
    when succeeded = 1 then 'SUCCESS'
    when failed = 1 or run_start_ts < last_start_ts then 'FAILED'
    else 'STARTED'
  end as status,
  input_record_count,
  output_record_count,
  rejected_record_count,
  case
    when succeeded = 0 and failed = 0 and run_start_ts < last_start_ts then 'interrupted'
    else error_message
  end as error_message,
  filtered_record_count,
  config_hash,
  code_version,
  run_by,
  watermark_from,
  watermark_to,
  target_relation,
  invocation_id
from placed
where attempt_age = 1
