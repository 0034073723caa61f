insert into db.dev_audit.cell_lineage (
  attempt_id,
  target_pk,
  column_position,
  source_values
)
with texts as (
  select
    case when order_id is null or line is null then null else to_json(array(order_id, cast(line as string))) end as target_pk,
    order_id as text_1,
    _lineage_source_values.line_text as text_2,
    cast(_lineage_source_values.quantity as string) as text_3,
    cast(_lineage_source_values.price as string) as text_4,
    _lineage_source_values.currency as text_5,
    _lineage_source_values.due as text_6,
    to_json(_lineage_source_values.sizes, map('ignoreNullFields', 'false', 'timeZone', 'UTC', 'timestampFormat', "yyyy-MM-dd'T'HH:mm:ss.SSSSSS", 'timestampNTZFormat', "yyyy-MM-dd'T'HH:mm:ss.SSSSSS")) as text_7,
    _lineage_source_values.email as text_8,
    _lineage_source_values.phone as text_9
  from db.gold.orders
  where _lineage_invocation_id = '11111111-2222-3333-4444-555555555555'
),
lists as (
  select
    target_pk,
    array(text_1) as `1`,
    array(text_2) as `2`,
    array(text_3, text_4) as `3`,
    array(text_5) as `4`,
    array(text_6) as `5`,
    array(text_7) as `6`,
    array(text_8) as `7`,
    array(text_9) as `8`
  from texts
)
select
  2784221307820241342 as attempt_id,
  target_pk as target_pk,
  cast(column_position as smallint) as column_position,
  source_values as source_values
from lists
unpivot include nulls (source_values for column_position in (`1`, `2`, `3`, `4`, `5`, `6`, `7`, `8`))
