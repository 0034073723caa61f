insert into db.dev_audit.rejected_record (
  run_id,
  invocation_id,
  target_relation,
  target_table,
  record_key,
  target_pk,
  failed_rules,
  warnings,
  mapped_values_json,
  source_values_json
)
with source_rows as (
  select
    order_id,
    customer_note
  from db.silver.orders
),
valued as (
  select
    order_id as _value_order_id,
    trim(customer_note) as _value_note,
    named_struct(
      'customer_note', customer_note
    ) as _lineage_source_values
  from source_rows
),
mapped as (
  select
    _value_order_id as order_id,
    _value_note as note,
    _lineage_source_values
  from valued
),
checked as (
  select
    *,
    case
      when order_id is not null
        then cast(array() as array<string>)
      else array_except(array(
        case when order_id is null then 'not_null:order_id' end
      ), array(cast(null as string)))
    end as _lineage_failed_rules,
    cast(array() as array<string>) as _lineage_warnings
  from mapped
),
refused as (
  select
    order_id as target_pk,
    _lineage_failed_rules as failed_rules,
    _lineage_warnings as warnings,
    to_json(named_struct('order_id', order_id, 'note', note), map('ignoreNullFields', 'false')) as mapped_values_json,
    to_json(named_struct('order_id', order_id, 'customer_note', _lineage_source_values.customer_note), map('ignoreNullFields', 'false')) as source_values_json
  from checked
  where size(_lineage_failed_rules) > 0
)
select
  'run-1' as run_id,
  '11111111-2222-3333-4444-555555555555' as invocation_id,
  'db.gold.orders' as target_relation,
  'gold_orders' as target_table,
  coalesce(target_pk, sha2(source_values_json, 256)) as record_key,
  target_pk as target_pk,
  failed_rules as failed_rules,
  warnings as warnings,
  mapped_values_json as mapped_values_json,
  source_values_json as source_values_json
from refused
