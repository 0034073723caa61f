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
),
lists as (
  select
    target_pk,
    array(text_1) as `1`,
    array(text_2) as `2`
  from texts
)
select
  2784221307820241342 as attempt_id,
  target_pk as target_pk,
  cast(column_position as smallint) as column_position,
  source_values as source_values
from lists
unpivot include nulls (source_values for column_position in (`1`, `2`))
