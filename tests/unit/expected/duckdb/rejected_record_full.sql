insert into db.dev_audit.rejected_record (
  run_id,
  invocation_id,
  target_relation,
  target_table,
  record_key,
  target_pk,
  failed_rules,
  warnings,
  mapped_values_json,
  source_values_json
)
with source_rows as (
  select
    order_id,
    line_text,
    quantity,
    price,
    currency,
    due,
    sizes,
    email,
    phone,
    loaded_at,
    is_test
  from db.silver.orders
  where (loaded_at > cast('2024-03-01T06:00:00.000000' as timestamp) - interval '3 days' or loaded_at is null)
),
filtered as (
  select
    *
  from source_rows
  where (not is_test)
    and (price > 0 or quantity > 0)
),
valued as (
  select
    order_id as _value_order_id,
    line_text as _value_line,
    quantity * price as _value_amount,
    upper(currency) as _value_currency,
    'USD' as _default_currency,
    due as "_value_Due Date",
    sizes as _value_sizes,
    email as _value_email,
    phone as _value_phone,
    loaded_at as _lineage_watermark,
    loaded_at as _lineage_latest_by,
    cast(to_json({'order_id': order_id, 'line_text': line_text, 'quantity': quantity, 'price': price, 'currency': currency, 'due': due, 'sizes': sizes, 'email': email, 'phone': phone}) as varchar) as _lineage_tie,
    {
      'line_text': line_text,
      'quantity': quantity,
      'price': price,
      'currency': currency,
      'due': due,
      'sizes': sizes,
      'email': sha256(getvariable('lineage_audit_key') || ':' || sha256(getvariable('lineage_audit_key') || ':' || email)),
      'phone': case when phone is not null then '***' end
    } as _lineage_source_values
  from filtered
),
mapped as (
  select
    _value_order_id as order_id,
    try_cast(_value_line as int) as line,
    _value_line,
    try_cast(_value_amount as decimal(18,2)) as amount,
    _value_amount,
    case when _value_currency is null then try_cast(_default_currency as varchar(3)) else try_cast(_value_currency as varchar(3)) end as currency,
    _value_currency,
    _default_currency,
    try_cast("_value_Due Date" as date) as "Due Date",
    "_value_Due Date",
    case when coalesce(len(regexp_extract_all(regexp_replace(cast(to_json(try_cast(_value_sizes as integer[])) as varchar), '"(?:[^"\\]|\\.)*"', '""', 'g'), 'null')) > len(regexp_extract_all(regexp_replace(cast(to_json(_value_sizes) as varchar), '"(?:[^"\\]|\\.)*"', '""', 'g'), 'null')), false) then null else try_cast(_value_sizes as integer[]) end as sizes,
    _value_sizes,
    _value_email as email,
    _value_phone as phone,
    _lineage_watermark,
    _lineage_latest_by,
    _lineage_tie,
    _lineage_source_values
  from valued
),
checked as (
  select
    *,
    case
      when _lineage_watermark is not null
        and order_id is not null
        and line is not null
        and not (_value_amount is not null and amount is null)
        and currency is not null
        and not ("_value_Due Date" is not null and "Due Date" is null)
        and not (_value_sizes is not null and sizes is null)
        and coalesce((amount >= 0), true)
        then cast([] as varchar[])
      else list_filter([
        case when _lineage_watermark is null then 'not_null:loaded_at' end,
        case when order_id is null then 'not_null:order_id' end,
        case when (_value_line is not null and line is null) then 'cast:line' when line is null then 'not_null:line' end,
        case when (_value_amount is not null and amount is null) then 'cast:amount' end,
        case when ((_value_currency is not null or _default_currency is not null) and currency is null) then 'cast:currency' when currency is null then 'not_null:currency' end,
        case when ("_value_Due Date" is not null and "Due Date" is null) then 'cast:Due Date' end,
        case when (_value_sizes is not null and sizes is null) then 'cast:sizes' end,
        case when not (amount >= 0) then 'NOT_NEGATIVE' end
      ], lambda reason: reason is not null)
    end as _lineage_failed_rules,
    case
      when coalesce((amount <= 10000), true)
        then cast([] as varchar[])
      else list_filter([
        case when not (amount <= 10000) then 'IT''S_MUCH' end
      ], lambda reason: reason is not null)
    end as _lineage_warnings
  from mapped
),
ranked as (
  select
    *,
    row_number() over (partition by order_id, line, len(_lineage_failed_rules) > 0 order by _lineage_latest_by desc nulls last, _lineage_tie desc) as _lineage_rank
  from checked
),
refused as (
  select
    case when order_id is null or line is null then null else cast(to_json([order_id, cast(line as varchar)]) as varchar) end as target_pk,
    case when len(_lineage_failed_rules) > 0 or _lineage_rank = 1 then _lineage_failed_rules else ['duplicate_key'] end as failed_rules,
    _lineage_warnings as warnings,
    cast(to_json({'order_id': order_id, 'line': cast(line as varchar), 'amount': cast(amount as varchar), 'currency': cast(currency as varchar), 'Due Date': cast("Due Date" as varchar), 'sizes': case when sizes is not null then '[' || coalesce(array_to_string(list_transform(sizes, lambda e1: coalesce(cast(e1 as varchar), 'null')), ','), '') || ']' end, 'email': sha256(getvariable('lineage_audit_key') || ':' || sha256(getvariable('lineage_audit_key') || ':' || email)), 'phone': case when phone is not null then '***' end}) as varchar) as mapped_values_json,
    cast(to_json({'order_id': order_id, 'line_text': _lineage_source_values.line_text, 'quantity': cast(_lineage_source_values.quantity as varchar), 'price': cast(_lineage_source_values.price as varchar), 'currency': _lineage_source_values.currency, 'due': _lineage_source_values.due, 'sizes': case when _lineage_source_values.sizes is not null then '[' || coalesce(array_to_string(list_transform(_lineage_source_values.sizes, lambda e1: coalesce(to_json(e1)::varchar, 'null')), ','), '') || ']' end, 'email': _lineage_source_values.email, 'phone': _lineage_source_values.phone}) as varchar) as source_values_json
  from ranked
  where len(_lineage_failed_rules) > 0 or _lineage_rank > 1
)
select
  'run-1' as run_id,
  '11111111-2222-3333-4444-555555555555' as invocation_id,
  'db.gold.orders' as target_relation,
  'gold_orders' as target_table,
  coalesce(target_pk, sha256(source_values_json)) as record_key,
  target_pk as target_pk,
  failed_rules as failed_rules,
  warnings as warnings,
  mapped_values_json as mapped_values_json,
  source_values_json as source_values_json
from refused
