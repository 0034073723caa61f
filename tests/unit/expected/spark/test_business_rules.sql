with checked as (
  select
    case when order_id is null or `Line No` is null then null else to_json(array(order_id, cast(`Line No` as string))) end as target_pk,
    array_except(array(
      case when not (amount > 0) then 'AMOUNT_POSITIVE' end,
      case when not (status in ('a', 'b')) then 'STATUS_KNOWN' end
    ), array(cast(null as string))) as business_rule_ids
  from gold_orders
)
select
  target_pk,
  business_rule_id,
  case business_rule_id
    when 'AMOUNT_POSITIVE' then 'It\'s negative: \u0024{env:HOME}'
    when 'STATUS_KNOWN' then ''
  end as message
from checked lateral view explode(business_rule_ids) unnested as business_rule_id
