with

received as (

  select
    {{ lineage_audit.sample_payload_text('$.order.id') }} as order_id,
    {{ lineage_audit.sample_payload_text('$.order.customer.id') }} as customer_id,
    {{ lineage_audit.sample_payload_text('$.order.status') }} as status,
    {{ lineage_audit.sample_payload_text('$.order.created_at') }} as ordered_at,
    {{ lineage_audit.sample_payload_text('$.order.amount.value') }} as amount_text,
    {{ lineage_audit.sample_payload_text('$.order.amount.currency') }} as currency_code,
    {{ lineage_audit.sample_payload_text('$.order.note') }} as customer_note,
    coalesce({{ lineage_audit.sample_payload_text('$.order.test') }} = 'true', false) as is_test,
    loaded_at,
    -- Of several messages about one order the newest counts; equal times are ordered by what was sent.
    row_number() over (
      partition by {{ lineage_audit.sample_payload_text('$.order.id') }}
      order by loaded_at desc, payload desc
    ) as newest_first
  from {{ ref('bronze_orders_raw') }}

),

latest as (

  -- Messages without an id are no versions of one another: each stays, and gold refuses each.
  select *
  from received
  where
    newest_first = 1
    or order_id is null

)

select
  latest.order_id,
  latest.customer_id,
  latest.status,
  latest.ordered_at,
  latest.amount_text,
  {{ lineage_audit.sample_whole_number('latest.amount_text') | indent(2) }} as amount_raw,
  latest.currency_code,
  fx_rates.fx_rate,
  latest.customer_note,
  latest.is_test,
  latest.loaded_at
from latest
left join {{ ref('fx_rates') }} as fx_rates
  -- The rate has to be that of the currency that rule ORDERS_CURRENCY_DEFAULT will put in.
  on coalesce(upper(latest.currency_code), 'USD') = fx_rates.currency_code
