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
  94828026163355357 as attempt_id,
  target_pk as target_pk,
  cell.column_position as column_position,
  cell.source_values as source_values
from texts
lateral view inline(array(
  struct(1 as column_position, array(text_1) as source_values),
  struct(2 as column_position, array(text_2) as source_values)
)) cell as column_position, source_values
