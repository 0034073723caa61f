with

received as (

  select
    {{ lineage_audit.sample_payload_text('$.item.order_id') }} as order_id,
    {{ lineage_audit.sample_payload_text('$.item.line') }} as line_text,
    {{ lineage_audit.sample_payload_text('$.item.sku') }} as sku,
    {{ lineage_audit.sample_payload_text('$.item.title') }} as title,
    {{ lineage_audit.sample_payload_text('$.item.quantity') }} as quantity_text,
    {{ lineage_audit.sample_payload_text('$.item.unit_price') }} as unit_price_text,
    {{ lineage_audit.sample_payload_text('$.item.discount') }} as discount_text,
    coalesce({{ lineage_audit.sample_payload_text('$.item.free_sample') }} = 'true', false) as is_free_sample,
    loaded_at
  from {{ ref('bronze_order_items_raw') }}

)

-- Corrected lines are here in every version: gold_order_items takes the newest (latest_by).
select
  order_id,
  {{ lineage_audit.sample_whole_number('line_text', 'int') | indent(2) }} as line_number,
  sku,
  title,
  quantity_text,
  {{ lineage_audit.sample_whole_number('quantity_text', 'int') | indent(2) }} as quantity,
  unit_price_text,
  try_cast(unit_price_text as decimal(18, 2)) as unit_price,
  discount_text,
  try_cast(discount_text as decimal(18, 2)) as discount_amount,
  is_free_sample,
  loaded_at
from received
