-- The sample's own seeds stand behind the sources: depends_on {{ ref('raw_orders') }}, {{ ref('raw_products') }}
select
  orders.order_id,
  orders.customer_id,
  cast(orders.ordered_at as date) as order_date,
  cast(orders.amount as decimal(10, 2)) as order_amount,
  products.category as product_category
from {{ source('crm', 'raw_orders') }} as orders
left join {{ source('crm', 'raw_products') }} as products on orders.product_id = products.product_id
