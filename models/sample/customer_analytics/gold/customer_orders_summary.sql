with

orders as (

  select
    *,
    max(order_date) over () as newest_order_date
  from {{ ref('stg_orders') }}

)

select
  customer_id,
  count(*) as order_count,
  sum(order_amount) as total_revenue,
  sum(case when order_date > newest_order_date - interval '30' day then order_amount else 0 end) as recent_revenue,
  min(order_date) as first_order_date,
  max(order_date) as last_order_date,
  count(distinct product_category) as category_count
from orders
group by customer_id
