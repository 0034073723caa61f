{#- SQL of the views over the audit store. -#}

{#- CTEs every view starts from: the runs whose rows count. A SUCCESS commits its own invocation; of several attempts
    under one run_id the last one that wrote the whole table counts, and what was appended after it. -#}
{% macro _committed_ctes() %}
successes as (
  select
    run_id,
    invocation_id,
    target_relation,
    max(attempt_id) as attempt_id,
    max(endpoint_name) as endpoint_name,
    max(target_table) as target_table,
    max(config_hash) as config_hash,
    max(whole_table) as whole_table,
    max(event_ts) as committed_ts
  from {{ lineage_audit._store('run_event') }}
  where event_type = 'SUCCESS'
  group by run_id, invocation_id, target_relation
),
committed as (
  select successes.*
  from successes
  left join (
    select
      run_id,
      target_relation,
      max(committed_ts) as rebuilt_ts
    from successes
    where whole_table
    group by run_id, target_relation
  ) as rebuilt
    on successes.run_id = rebuilt.run_id
    and successes.target_relation = rebuilt.target_relation
  where rebuilt.rebuilt_ts is null or successes.committed_ts >= rebuilt.rebuilt_ts
)
{%- endmacro %}

{#- CTEs that follow _committed_ctes: the refused records that no later run took or filtered and nobody dismissed, of one
    target relation or of all. A record counts as its last refusal says. Who dismisses a record dismisses it as it is: it
    stays so when a later run refuses the same source values again, until a run takes it. -#}
{% macro _open_record_ctes(target_relation=none) %}
  {%- set of_target = [] if target_relation is none else ['rejected.target_relation = ' ~ lineage_audit.text_literal(target_relation)] -%}
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
        rejected.failed_rules,
        rejected.mapped_values_json,
        rejected.source_values_json
      order by rejected.target_pk
    ) as copy_number,
    min(committed.committed_ts) over (
      partition by
        rejected.target_relation,
        rejected.record_key,
        rejected.source_values_json
    ) as first_rejected_ts
  from {{ lineage_audit._store('rejected_record') }} as rejected
  inner join committed
    on rejected.invocation_id = committed.invocation_id
    and rejected.target_relation = committed.target_relation
{%- if of_target %}
{{ lineage_audit._where(of_target, '  ') }}
{%- endif %}
),
closings as (
  select
    closed.target_relation,
    closed.record_key,
    max(committed.committed_ts) as closed_ts,
    max(case when closed.closed_as = 'dismissed' then closed.closed_ts end) as dismissed_ts
  from {{ lineage_audit._store('closed_record') }} as closed
  left join committed
    on closed.invocation_id = committed.invocation_id
    and closed.target_relation = committed.target_relation
  where committed.invocation_id is not null or closed.closed_as = 'dismissed'
  group by closed.target_relation, closed.record_key
),
open_records as (
  select rejections.*
  from rejections
  left join closings
    on rejections.target_relation = closings.target_relation
    and rejections.record_key = closings.record_key
  where rejections.rejected_ts = rejections.last_rejected_ts
    and rejections.copy_number = 1
    and (closings.closed_ts is null or closings.closed_ts <= rejections.rejected_ts)
    and (
      closings.dismissed_ts is null
      or closings.dismissed_ts < rejections.first_rejected_ts
      or closings.dismissed_ts < closings.closed_ts
    )
    and {{ lineage_audit.list_length('rejections.failed_rules') }} > 0
    and not (rejections.failed_rules = {{ lineage_audit.list_of_texts(['duplicate_key']) }})
)
{%- endmacro %}
