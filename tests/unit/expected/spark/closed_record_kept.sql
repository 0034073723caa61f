insert into db.dev_audit.closed_record (
  run_id,
  invocation_id,
  target_relation,
  record_key,
  closed_as,
  closed_by,
  closed_ts,
  reason
)
with refused_before as (
  select case when order_id is null or line is null then null else to_json(array(order_id, cast(line as string))) end as record_key
  from db.gold.orders
  where size(_lineage_failed_rules) > 0
    and case when order_id is null or line is null then null else to_json(array(order_id, cast(line as string))) end is not null
    and _lineage_invocation_id <> '11111111-2222-3333-4444-555555555555'
  union all
  select sha2(to_json(named_struct('line_text', _lineage_source_values.line_text), map('ignoreNullFields', 'false')), 256) as record_key
  from db.gold.orders
  where size(_lineage_failed_rules) > 0
    and case when order_id is null or line is null then null else to_json(array(order_id, cast(line as string))) end is null
    and _lineage_invocation_id <> '11111111-2222-3333-4444-555555555555'
),
source_rows as (
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
  where (loaded_at > cast('2024-03-01T06:00:00.000000Z' as timestamp) - interval '3 days' or loaded_at is null)
),
filtered_out as (
  select
    *
  from source_rows
  where not (coalesce((not is_test), false) and coalesce((price > 0 or quantity > 0), false))
),
valued as (
  select
    order_id as _value_order_id,
    line_text as _value_line,
    quantity * price as _value_amount,
    upper(currency) as _value_currency,
    'USD' as _default_currency,
    due as `_value_Due Date`,
    sizes as _value_sizes,
    email as _value_email,
    phone as _value_phone,
    loaded_at as _lineage_watermark,
    loaded_at as _lineage_latest_by,
    to_json(named_struct('order_id', order_id, 'line_text', line_text, 'quantity', quantity, 'price', price, 'currency', currency, 'due', due, 'sizes', sizes, 'email', email, 'phone', phone), map('ignoreNullFields', 'false')) as _lineage_tie,
    named_struct(
      'line_text', line_text,
      'quantity', quantity,
      'price', price,
      'currency', currency,
      'due', due,
      'sizes', sizes,
      'email', sha2(java_method('java.lang.System', 'getenv', 'DBT_ENV_SECRET_LINEAGE_AUDIT_KEY') || ':' || sha2(java_method('java.lang.System', 'getenv', 'DBT_ENV_SECRET_LINEAGE_AUDIT_KEY') || ':' || email, 256), 256),
      'phone', case when phone is not null then '***' end
    ) as _lineage_source_values
  from filtered_out
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
    try_cast(`_value_Due Date` as date) as `Due Date`,
    `_value_Due Date`,
    case when coalesce(size(regexp_extract_all(regexp_replace(to_json(try_cast(_value_sizes as array<int>), map('ignoreNullFields', 'false')), '"(?:[^"\\\\]|\\\\.)*"', '""'), 'null', 0)) > size(regexp_extract_all(regexp_replace(to_json(_value_sizes, map('ignoreNullFields', 'false')), '"(?:[^"\\\\]|\\\\.)*"', '""'), 'null', 0)), false) then null else try_cast(_value_sizes as array<int>) end as sizes,
    _value_sizes,
    _value_email as email,
    _value_phone as phone,
    _lineage_watermark,
    _lineage_latest_by,
    _lineage_tie,
    _lineage_source_values
  from valued
),
filtered_records as (
  select
    case when order_id is null or line is null then null else to_json(array(order_id, cast(line as string))) end as record_key,
    sha2(to_json(named_struct('line_text', _lineage_source_values.line_text), map('ignoreNullFields', 'false')), 256) as source_key_1
  from mapped
),
looked_at as (
  select
    case when order_id is null or line is null then null else to_json(array(order_id, cast(line as string))) end as record_key,
    'accepted' as closed_as
  from db.gold.orders
  where _lineage_invocation_id = '11111111-2222-3333-4444-555555555555'
    and size(_lineage_failed_rules) = 0
  union all
  select
    sha2(to_json(named_struct('line_text', _lineage_source_values.line_text), map('ignoreNullFields', 'false')), 256) as record_key,
    'accepted' as closed_as
  from db.gold.orders
  where _lineage_invocation_id = '11111111-2222-3333-4444-555555555555'
    and size(_lineage_failed_rules) = 0
  union all
  select
    record_key,
    'filtered' as closed_as
  from filtered_records
  union all
  select
    source_key_1 as record_key,
    'filtered' as closed_as
  from filtered_records
)
select
  'run-1' as run_id,
  '11111111-2222-3333-4444-555555555555' as invocation_id,
  'db.gold.orders' as target_relation,
  record_key as record_key,
  min(closed_as) as closed_as,
  current_user() as closed_by,
  timestamp '2024-03-01 06:00:00.000000Z' as closed_ts,
  'a later run' as reason
from looked_at
where record_key in (select record_key from refused_before)
group by record_key
