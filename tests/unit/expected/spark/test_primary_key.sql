with counted as (
  select
    order_id,
    `Line No`,
    count(*) as _lineage_row_count
  from gold_orders
  group by order_id, `Line No`
),
judged as (
  select
    to_json(array(order_id, cast(`Line No` as string))) as target_pk,
    array_except(array(
      case when order_id is null then 'not_null:order_id' end,
      case when `Line No` is null then 'not_null:Line No' end,
      case when _lineage_row_count > 1 and order_id is not null and `Line No` is not null then 'duplicate_key' end
    ), array(cast(null as string))) as reasons,
    _lineage_row_count as row_count
  from counted
)
select
  target_pk,
  reason,
  row_count
from judged lateral view explode(reasons) unnested as reason
