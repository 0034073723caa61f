insert into db.dev_audit.cell_lineage (
  attempt_id,
  target_pk,
  column_position,
  source_values
)
with texts as (
  select
    case when order_id is null or line is null then null else cast(to_json([order_id, cast(line as varchar)]) as varchar) end as target_pk,
    order_id as text_1,
    _lineage_source_values.line_text as text_2,
    cast(_lineage_source_values.quantity as varchar) as text_3,
    cast(_lineage_source_values.price as varchar) as text_4,
    _lineage_source_values.currency as text_5,
    _lineage_source_values.due as text_6,
    case when _lineage_source_values.sizes is not null then '[' || coalesce(array_to_string(list_transform(_lineage_source_values.sizes, lambda e1: coalesce(to_json(e1)::varchar, 'null')), ','), '') || ']' end as text_7,
    _lineage_source_values.email as text_8,
    _lineage_source_values.phone as text_9
  from db.gold.orders
  where _lineage_invocation_id = '11111111-2222-3333-4444-555555555555'
)
select
  2784221307820241342 as attempt_id,
  target_pk as target_pk,
  unnest([1, 2, 3, 4, 5, 6, 7, 8]) as column_position,
  unnest([
    [text_1],
    [text_2],
    [text_3, text_4],
    [text_5],
    [text_6],
    [text_7],
    [text_8],
    [text_9]
  ]) as source_values
from texts
