-- The sample's own seed stands behind the source: depends_on {{ ref('raw_customer_events') }}
with

numbered as (

  -- Kafka may deliver an event twice.
  select
    *,
    row_number() over (
      partition by event_id
      order by event_at
    ) as delivery
  from {{ source('web', 'raw_customer_events') }}

)

select
  event_id,
  customer_id,
  lower(event_type) as event_type,
  event_at,
  cast(event_at as date) as event_date
from numbered
where
  delivery = 1
  -- Visitors who have not signed in are nobody's behaviour.
  and customer_id is not null
