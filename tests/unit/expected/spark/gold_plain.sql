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
)
select
  order_id,
  note,
  'run-1' as _lineage_run_id,
  '11111111-2222-3333-4444-555555555555' as _lineage_invocation_id,
  cast(array() as array<string>) as _lineage_warnings,
  _lineage_source_values
from mapped
where order_id is not null
