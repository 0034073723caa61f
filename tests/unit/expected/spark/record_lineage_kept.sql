insert into db.dev_audit.record_lineage (
  attempt_id,
  target_pk,
  source_values
)
select
  2784221307820241342 as attempt_id,
  case when order_id is null or line is null then null else to_json(array(order_id, cast(line as string))) end as target_pk,
  array(
    order_id,
    _lineage_source_values.line_text,
    cast(_lineage_source_values.quantity as string),
    cast(_lineage_source_values.price as string),
    _lineage_source_values.currency,
    _lineage_source_values.due,
    to_json(_lineage_source_values.sizes, map('ignoreNullFields', 'false', 'timeZone', 'UTC', 'timestampFormat', "yyyy-MM-dd'T'HH:mm:ss.SSSSSS", 'timestampNTZFormat', "yyyy-MM-dd'T'HH:mm:ss.SSSSSS")),
    _lineage_source_values.email,
    _lineage_source_values.phone
  ) as source_values
from db.gold.orders
where _lineage_invocation_id = '11111111-2222-3333-4444-555555555555'
  and size(_lineage_failed_rules) = 0
