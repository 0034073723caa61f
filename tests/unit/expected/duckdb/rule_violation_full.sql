insert into db.dev_audit.rule_violation (
  run_id,
  invocation_id,
  target_relation,
  target_table,
  record_key,
  target_pk,
  business_rule_id,
  severity
)
with violated as (
  select
    case when order_id is null or line is null then null else cast(to_json([order_id, cast(line as varchar)]) as varchar) end as record_key,
    case when order_id is null or line is null then null else cast(to_json([order_id, cast(line as varchar)]) as varchar) end as target_pk,
    _lineage_warnings as business_rule_ids
  from db.gold.orders
  where len(_lineage_warnings) > 0
    and _lineage_invocation_id = '11111111-2222-3333-4444-555555555555'
  union all
  select
    record_key,
    target_pk,
    warnings as business_rule_ids
  from db.dev_audit.rejected_record
  where invocation_id = '11111111-2222-3333-4444-555555555555'
    and target_relation = 'db.gold.orders'
  union all
  select
    record_key,
    target_pk,
    failed_rules as business_rule_ids
  from db.dev_audit.rejected_record
  where invocation_id = '11111111-2222-3333-4444-555555555555'
    and target_relation = 'db.gold.orders'
)
select
  'run-1' as run_id,
  '11111111-2222-3333-4444-555555555555' as invocation_id,
  'db.gold.orders' as target_relation,
  'gold_orders' as target_table,
  record_key as record_key,
  target_pk as target_pk,
  business_rule_id as business_rule_id,
  case when business_rule_id in ('IT''S_MUCH') then 'WARN' else 'ERROR' end as severity
from violated, unnest(business_rule_ids) as unnested(business_rule_id)
where business_rule_id in ('NOT_NEGATIVE', 'IT''S_MUCH')
