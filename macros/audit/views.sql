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
