with

daily_events as (

  select
    customer_id,
    event_date,
    event_type,
    count(*) as event_count
  from {{ ref('stg_events') }}
  group by customer_id, event_date, event_type

)

select
  daily_events.customer_id,
  daily_events.event_date,
  daily_events.event_type,
  daily_events.event_count,
  customers.email_normalized,
  customers.country,
  coalesce(ordered.order_count, 0) as order_count,
  coalesce(ordered.total_revenue, 0) as total_revenue,
  coalesce(ordered.recent_revenue, 0) as recent_revenue,
  ordered.last_order_date
from daily_events
inner join {{ ref('stg_customers') }} as customers on daily_events.customer_id = customers.customer_id
left join {{ ref('customer_orders_summary') }} as ordered on daily_events.customer_id = ordered.customer_id
