{{ config(materialized='view', schema=lineage_audit.settings().schema, database=lineage_audit.settings().database) }}

with rules as (
  select distinct
    config_hash,
    business_rule_id,
    severity,
    message,
    transform_expr
  from {{ lineage_audit._store('config_version') }}
  where rule_category = 'validation'
),

violations as (
  select
    invocation_id,
    target_relation,
    business_rule_id,
    count(*) as violation_count
  from {{ lineage_audit._store('rule_violation') }}
  group by
    invocation_id,
    target_relation,
    business_rule_id
)

select
  invocation_id,
  target_relation,
  test_name as check_type,
  node_id as check_name,
  status = 'pass' as success,
  column_name,
  severity,
  failure_count,
  description,
  cast(null as {{ lineage_audit.store_types().text }}) as rule_expression
from {{ lineage_audit._store('node_run') }}
where resource_type = 'test'
union all
select
  run.invocation_id,
  run.target_relation,
  'business_rule' as check_type,
  rules.business_rule_id as check_name,
  violations.violation_count is null as success,
  cast(null as {{ lineage_audit.store_types().text }}) as column_name,
  rules.severity,
  coalesce(violations.violation_count, 0) as failure_count,
  rules.message as description,
  rules.transform_expr as rule_expression
from {{ lineage_audit._store('run_event') }} as run
inner join rules on run.config_hash = rules.config_hash
left join violations
  on run.invocation_id = violations.invocation_id
  and run.target_relation = violations.target_relation
  and rules.business_rule_id = violations.business_rule_id
where
  run.event_type = 'SUCCESS'
  -- Of a table that keeps its refused rows, gold alone knows which rules they violate.
  and coalesce(run.rejected, 'quarantine') <> 'keep'
