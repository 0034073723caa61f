insert into db.dev_audit.cell_lineage (
  attempt_id,
  target_pk,
  column_position,
  source_values
)
with texts as (
  select
    order_id as target_pk,
    order_id as text_1,
    _lineage_source_values.customer_note as text_2
  from db.gold.orders
)
select
  2784221307820241342 as attempt_id,
  target_pk as target_pk,
  unnest([1, 2]) as column_position,
  unnest([
    [text_1],
    [text_2]
  ]) as source_values
from texts
