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
  where (loaded_at > cast('2024-03-01T06:00:00.000000Z' as timestamp) - interval '3 days' or loaded_at is null)
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
ranked as (
  select
    *,
    row_number() over (partition by order_id, line order by _lineage_latest_by desc nulls last, _lineage_tie desc) as _lineage_rank
  from mapped
  where _lineage_watermark is not null
    and order_id is not null
    and line is not null
    and not (_value_amount is not null and amount is null)
    and currency is not null
    and not (`_value_Due Date` is not null and `Due Date` is null)
    and not (_value_sizes is not null and sizes is null)
    and coalesce((amount >= 0), true)
)
select
  order_id,
  line,
  amount,
  currency,
  `Due Date`,
  sizes,
  email,
  phone,
  'run-1' as _lineage_run_id,
  '11111111-2222-3333-4444-555555555555' as _lineage_invocation_id,
  case
    when coalesce((amount <= 10000), true)
      then cast(array() as array<string>)
    else array_except(array(
      case when not (amount <= 10000) then 'IT\'S_MUCH' end
    ), array(cast(null as string)))
  end as _lineage_warnings,
  _lineage_source_values
from ranked
where _lineage_rank = 1
