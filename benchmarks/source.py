"""The source that every model reads: orders as a table, or as a view that joins and removes duplicates."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

UPSTREAMS = ("table", "join")
KEYS = ("sequential", "uuid")
REJECTED_SHARE = 100  # one in so many records breaks AMOUNT_POSITIVE, and no other rule

# The orders as they arrive: of one in ten an earlier version too.
BRONZE_ORDERS = """
select
  {key} as order_id,
  cast(case when id % {share} = 0 then -(id % 1000) - 1 else id % 100000 end as bigint) + 2 - version as amount_raw,
  id % 50 as desk,
  case id % 3 when 0 then 'eur' when 1 then 'usd' else 'gbp' end as currency,
  'C' || cast(id * 7919 % 50021 as string) as customer_id,
  {moment} as ordered_at,
  'note ' || cast(id % 977 as string) as note,
  id % 7 as channel,
  version
from range({rows}) as ids(id)
cross join (select 1 as version union all select 2 as version) as versions
where version = 2 or id % 10 = 0
"""
FX_RATES = """
select currency, desk, cast(1 + desk / 100.0 as decimal(9, 2)) as fx_rate
from range(50) as desks(desk)
cross join (select 'eur' as currency union all select 'usd' union all select 'gbp') as currencies
"""
SILVER_ORDERS = {
    "table": """
{{ config(materialized='table') }}
select
  order_id, amount_raw, cast(1 + desk / 100.0 as decimal(9, 2)) as fx_rate, currency, customer_id, ordered_at, note, channel
from {{ ref('bronze_orders') }}
where version = 2
""",
    "join": """
{{ config(materialized='view') }}
select order_id, amount_raw, fx_rate, currency, customer_id, ordered_at, note, channel
from (
  select
    orders.*,
    fx_rates.fx_rate,
    row_number() over (partition by orders.order_id order by orders.version desc) as age
  from {{ ref('bronze_orders') }} as orders
  inner join {{ ref('fx_rates') }} as fx_rates
    on orders.currency = fx_rates.currency
    and orders.desk = fx_rates.desk
) as versions
where age = 1
""",
}
DIGEST = "md5(cast(id as string))"
KEY_SQL = {
    "sequential": "'order-' || cast(id as string)",
    "uuid": " || '-' || ".join(
        f"substr({DIGEST}, {start}, {length})" for start, length in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    ),
}
MICROSECONDS_UNTIL_2026 = 1767225600000000


def source_models(rows: int, upstream: str, keys: str, moment: str) -> dict[str, str]:
    """SQL of each model by its name; `silver_orders`, of so many rows, is the source. `moment`: the engine's SQL of a
    timestamp, with {} for its microseconds since 1970."""
    orders = BRONZE_ORDERS.format(
        key=KEY_SQL[keys],
        moment=moment.format(f"{MICROSECONDS_UNTIL_2026} + id * 1234567"),
        rows=rows,
        share=REJECTED_SHARE,
    )
    return {"bronze_orders": orders, "fx_rates": FX_RATES, "silver_orders": SILVER_ORDERS[upstream]}


def source_texts(number: int, keys: str) -> dict[str, str]:
    """The source values of one order as texts, worked out apart from the SQL that makes the source."""
    digest = hashlib.md5(str(number).encode()).hexdigest()
    uuid = "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:]))
    refused = number % REJECTED_SHARE == 0
    ordered_at = datetime(2026, 1, 1) + timedelta(microseconds=number * 1234567)
    return {
        "order_id": uuid if keys == "uuid" else f"order-{number}",
        "amount_raw": str(-(number % 1000) - 1 if refused else number % 100000),
        "fx_rate": f"{1 + number % 50 / 100:.2f}",
        "currency": ("eur", "usd", "gbp")[number % 3],
        "customer_id": f"C{number * 7919 % 50021}",
        "ordered_at": ordered_at.isoformat(timespec="microseconds"),
    }
