{{ config(materialized='view', schema=lineage_audit.settings().schema, database=lineage_audit.settings().database) }}

with invocations as (
  select
    invocation_id,
    max(ended_ts) as ended_ts
  from {{ lineage_audit._store('node_run') }}
  group by invocation_id
),

attempts as (
  select
    invocation_id,
    target_relation,
    max(run_id) as run_id,
    max(node_id) as node_id,
    max(target_table) as target_table,
    max(config_hash) as config_hash,
    max(rejected) as rejected,
    coalesce(min(case when event_type = 'STARTED' then event_ts end), min(event_ts)) as started_ts,
    max(case when event_type = 'SUCCESS' then event_ts end) as succeeded_ts,
    max(case when event_type = 'FAILED' then event_ts end) as failed_ts,
    max(input_record_count) as input_record_count,
    max(output_record_count) as output_record_count,
    max(error_message) as error_message
  from {{ lineage_audit._store('run_event') }}
  group by
    invocation_id,
    target_relation
),

placed as (
  select
    *,
    lead(started_ts) over (partition by target_relation order by started_ts, invocation_id) as next_started_ts
  from attempts
),

-- Over is what its dbt invocation says at its end, or what was killed: then another run of the table has followed.
mapped as (
  select
    placed.*,
    coalesce(placed.succeeded_ts, placed.failed_ts, placed.next_started_ts, invocations.ended_ts) as ended_ts
  from placed
  left join invocations on placed.invocation_id = invocations.invocation_id
  where
    invocations.invocation_id is not null
    or (
      placed.next_started_ts is not null
      and placed.started_ts >= (select min(noted.started_ts) from {{ lineage_audit._store('node_run') }} as noted)
    )
),

executed as (
  select *
  from {{ lineage_audit._store('node_run') }}
  where resource_type <> 'test'
),

runs as (
  select
    mapped.invocation_id,
    mapped.target_relation,
    mapped.run_id,
    mapped.node_id,
    mapped.target_table,
    case when mapped.succeeded_ts is null then 'FAIL' else 'COMPLETE' end as event_type,
    mapped.started_ts,
    mapped.ended_ts,
    mapped.input_record_count,
    mapped.output_record_count,
    case when mapped.succeeded_ts is null then coalesce(mapped.error_message, 'interrupted') end as error_message,
    executed.model_version
  from mapped
  left join executed
    on mapped.invocation_id = executed.invocation_id and mapped.target_relation = executed.target_relation
  union all
  select
    executed.invocation_id,
    executed.target_relation,
    executed.run_id,
    executed.node_id,
    cast(null as {{ lineage_audit.store_types().text }}) as target_table,
    case when executed.status = 'error' then 'FAIL' else 'COMPLETE' end as event_type,
    executed.started_ts,
    executed.ended_ts,
    cast(null as {{ lineage_audit.store_types().count }}) as input_record_count,
    executed.row_count as output_record_count,
    executed.error_message,
    executed.model_version
  from executed
  left join mapped
    on executed.invocation_id = mapped.invocation_id and executed.target_relation = mapped.target_relation
  where mapped.invocation_id is null
),

checks as (
  select
    invocation_id,
    target_relation,
    run_id,
    started_ts,
    ended_ts
  from {{ lineage_audit._store('node_run') }}
  where resource_type = 'test'
  union all
  select
    mapped.invocation_id,
    mapped.target_relation,
    mapped.run_id,
    mapped.succeeded_ts as started_ts,
    mapped.succeeded_ts as ended_ts
  from mapped
  where
    mapped.succeeded_ts is not null
    and coalesce(mapped.rejected, 'quarantine') <> 'keep'
    and mapped.config_hash in (
      select config.config_hash
      from {{ lineage_audit._store('config_version') }} as config
      where config.rule_category = 'validation'
    )
)

select
  'run' as kind,
  runs.invocation_id,
  runs.target_relation,
  runs.run_id as job_run_id,
  runs.node_id,
  runs.target_table,
  runs.event_type,
  runs.started_ts,
  runs.ended_ts,
  runs.input_record_count,
  runs.output_record_count,
  runs.error_message,
  versions.compiled_sql,
  versions.dialect
from runs
left join {{ lineage_audit._store('model_version') }} as versions on runs.model_version = versions.model_version
union all
select
  'test' as kind,
  invocation_id,
  target_relation,
  max(run_id) as job_run_id,
  cast(null as {{ lineage_audit.store_types().text }}) as node_id,
  cast(null as {{ lineage_audit.store_types().text }}) as target_table,
  'COMPLETE' as event_type,
  min(started_ts) as started_ts,
  max(ended_ts) as ended_ts,
  cast(null as {{ lineage_audit.store_types().count }}) as input_record_count,
  cast(null as {{ lineage_audit.store_types().count }}) as output_record_count,
  cast(null as {{ lineage_audit.store_types().text }}) as error_message,
  cast(null as {{ lineage_audit.store_types().text }}) as compiled_sql,
  cast(null as {{ lineage_audit.store_types().text }}) as dialect
from checks
group by
  invocation_id,
  target_relation
