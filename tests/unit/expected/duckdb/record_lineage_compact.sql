insert into db.dev_audit.record_lineage (
  attempt_id,
  target_pk,
  source_values
)
select
  2784221307820241342 as attempt_id,
  case when order_id is null or line is null then null else cast(to_json([order_id, cast(line as varchar)]) as varchar) end as target_pk,
  [
    order_id,
    _lineage_source_values.line_text,
    cast(_lineage_source_values.quantity as varchar),
    cast(_lineage_source_values.price as varchar),
    _lineage_source_values.currency,
    _lineage_source_values.due,
    case when _lineage_source_values.sizes is not null then '[' || coalesce(array_to_string(list_transform(_lineage_source_values.sizes, lambda e1: coalesce(to_json(e1)::varchar, 'null')), ','), '') || ']' end,
    _lineage_source_values.email,
    _lineage_source_values.phone
  ] as source_values
from db.gold.orders
where _lineage_invocation_id = '11111111-2222-3333-4444-555555555555'
