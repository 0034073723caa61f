insert into db.dev_audit.run_event (
  event_type,
  event_ts,
  attempt_id,
  run_id,
  invocation_id,
  target_relation,
  pipeline_name,
  endpoint_name,
  source_system,
  target_table,
  node_id,
  whole_table,
  input_record_count,
  output_record_count,
  rejected_record_count,
  filtered_record_count,
  config_hash,
  code_version,
  run_by,
  watermark_from,
  watermark_to,
  source_fields,
  error_message,
  target_columns,
  capture,
  rejected
)
with read as (
  select
    count(*) as input,
    coalesce(sum(case when coalesce((not is_test), false) and coalesce((price > 0 or quantity > 0), false) then 0 else 1 end), 0) as filtered,
    max(loaded_at) as highest
  from db.silver.orders
  where (loaded_at > cast('2024-03-01T06:00:00.000000Z' as timestamp) - interval '3 days' or loaded_at is null)
),
refused as (
  select
    count(*) as rejected
  from db.dev_audit.rejected_record
  where invocation_id = '11111111-2222-3333-4444-555555555555'
    and target_relation = 'db.gold.orders'
),
written as (
  select
    count(*) as output
  from db.gold.orders
  where _lineage_invocation_id = '11111111-2222-3333-4444-555555555555'
),
logged as (
  select
    count(*) as lineage
  from db.dev_audit.cell_lineage
  where attempt_id = 2784221307820241342
)
select
  case
    when read.input <> read.filtered + refused.rejected + written.output then raise_error('lineage_audit: records do not add up in ' || 'db.gold.orders' || ': input ' || read.input || ', filtered ' || read.filtered || ', rejected ' || refused.rejected || ', output ' || written.output || '')
    when logged.lineage <> 8 * written.output then raise_error('lineage_audit: lineage does not add up in ' || 'db.gold.orders' || ': output ' || written.output || ', cell_lineage ' || logged.lineage || ' instead of 8 for each. Run it again.')
    else 'SUCCESS'
  end as event_type,
  timestamp '2024-03-01 06:00:00.000000Z' as event_ts,
  2784221307820241342 as attempt_id,
  'run-1' as run_id,
  '11111111-2222-3333-4444-555555555555' as invocation_id,
  'db.gold.orders' as target_relation,
  'shop' as pipeline_name,
  'orders_v2' as endpoint_name,
  'OrderService' as source_system,
  'gold_orders' as target_table,
  'model.shop.gold_orders' as node_id,
  false as whole_table,
  read.input as input_record_count,
  written.output as output_record_count,
  refused.rejected as rejected_record_count,
  read.filtered as filtered_record_count,
  'f00' as config_hash,
  'abc' as code_version,
  current_user() as run_by,
  '2024-03-01T06:00:00.000000' as watermark_from,
  rpad(replace(cast(timestamp_ntz '1970-01-01 00:00:00' + make_dt_interval(0, 0, 0, cast(unix_micros(greatest(read.highest, cast('2024-03-01T06:00:00.000000Z' as timestamp))) * 0.000001 as decimal(18, 6))) as string), ' ', 'T') || if(cast(timestamp_ntz '1970-01-01 00:00:00' + make_dt_interval(0, 0, 0, cast(unix_micros(greatest(read.highest, cast('2024-03-01T06:00:00.000000Z' as timestamp))) * 0.000001 as decimal(18, 6))) as string) like '%.%', '', '.'), 26, '0') as watermark_to,
  '[{"name": "line_text", "type": "string", "mark": "none", "field_type": "string", "in_struct": true, "gold_column": null, "position": 2}, {"name": "quantity", "type": "int", "mark": "none", "field_type": "int", "in_struct": true, "gold_column": null, "position": 3}, {"name": "price", "type": "decimal(9,2)", "mark": "none", "field_type": "decimal(9,2)", "in_struct": true, "gold_column": null, "position": 4}, {"name": "currency", "type": "string", "mark": "none", "field_type": "string", "in_struct": true, "gold_column": null, "position": 5}, {"name": "due", "type": "string", "mark": "none", "field_type": "string", "in_struct": true, "gold_column": null, "position": 6}, {"name": "sizes", "type": "array<string>", "mark": "none", "field_type": "array<string>", "in_struct": true, "gold_column": null, "position": 7}, {"name": "email", "type": "string", "mark": "hash", "field_type": "string", "in_struct": true, "gold_column": null, "position": 8}, {"name": "phone", "type": "string", "mark": "mask", "field_type": "string", "in_struct": true, "gold_column": null, "position": 9}, {"name": "order_id", "type": "string", "mark": "none", "field_type": "string", "in_struct": false, "gold_column": "order_id", "position": 1}]' as source_fields,
  cast(null as string) as error_message,
  '[{"name": "order_id", "type": "string", "is_key": true, "mark": "none", "source_field": "order_id"}, {"name": "line", "type": "int", "is_key": true, "mark": "none", "source_field": null}, {"name": "amount", "type": "decimal(18,2)", "is_key": false, "mark": "none", "source_field": null}, {"name": "currency", "type": "varchar(3)", "is_key": false, "mark": "none", "source_field": null}, {"name": "Due Date", "type": "date", "is_key": false, "mark": "none", "source_field": null}, {"name": "sizes", "type": "array<int>", "is_key": false, "mark": "none", "source_field": null}, {"name": "email", "type": "string", "is_key": false, "mark": "hash", "source_field": null}, {"name": "phone", "type": "string", "is_key": false, "mark": "mask", "source_field": null}]' as target_columns,
  'exploded' as capture,
  'quarantine' as rejected
from read
cross join refused
cross join written
cross join logged
