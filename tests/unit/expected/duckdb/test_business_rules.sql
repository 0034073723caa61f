with checked as (
  select
    case when order_id is null or "Line No" is null then null else cast(to_json([order_id, cast("Line No" as varchar)]) as varchar) end as target_pk,
    list_filter([
      case when not (amount > 0) then 'AMOUNT_POSITIVE' end,
      case when not (status in ('a', 'b')) then 'STATUS_KNOWN' end
    ], lambda reason: reason is not null) as business_rule_ids
  from gold_orders
)
select
  target_pk,
  business_rule_id,
  case business_rule_id
    when 'AMOUNT_POSITIVE' then 'It''s negative: ${env:HOME}'
    when 'STATUS_KNOWN' then ''
  end as message
from checked, unnest(business_rule_ids) as unnested(business_rule_id)
