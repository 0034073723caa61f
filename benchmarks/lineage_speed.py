"""Time and memory to find the column edges of a generated project, in one process on one core.

    python benchmarks/lineage_speed.py                        1,000 models of 20 columns
    python benchmarks/lineage_speed.py --models 200 --columns 50 --dialect databricks

A fifth of the models each: a staging model (casts and renamed columns under `select *`), a join of two models by CTEs, an
aggregate with a case and a filter, a model with windows and a subquery, a union of two models. Every model reads ones before it,
and knows their columns as the parser found them.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "unit"))

from labelled_lineage import lineage_edge


def sql_of(number: int, columns: int) -> str:
    """The SQL of a model; its columns are `id`, `key`, `happened_at` and c04, c05 and so on."""
    names = [f"c{place:02}" for place in range(4, columns + 1)]
    one, other = (f"lake.main.model_{max(number - 1 - back, number % 5):04}" for back in (0, 3))
    if number < 5 or number % 5 == 0:
        items = ",\n    ".join(f"cast(nullif(trim(raw_{each}), '') as decimal(18, 2)) as {each}" for each in names)
        return f"""with source as (
  select * from lake.raw.source_{number:04}
),
renamed as (
  select
    raw_id as id,
    lower(raw_key) as key,
    cast(raw_happened_at as timestamp) as happened_at,
    {items}
  from source
)
select * from renamed"""
    if number % 5 == 1:
        items = ",\n    ".join(
            f"coalesce(a.{each}, b.{each}) as {each}" if place % 2 else f"a.{each} + b.{each} as {each}"
            for place, each in enumerate(names)
        )
        return f"""with a as (
  select * from {one} where key is not null
),
b as (
  select * from {other}
),
joined as (
  select
    a.id,
    b.key,
    a.happened_at,
    {items}
  from a
  left join b on a.id = b.id and a.happened_at >= b.happened_at
)
select * from joined"""
    if number % 5 == 2:
        items = ",\n  ".join(
            f"sum(case when key = 'a' then {each} else 0 end) as {each}" if place % 2 else f"avg({each}) as {each}"
            for place, each in enumerate(names)
        )
        return f"""select
  id,
  key,
  max(happened_at) as happened_at,
  {items}
from {one}
where happened_at > timestamp '2024-01-01 00:00:00'
group by id, key
having count(*) > 0"""
    if number % 5 == 3:
        items = ",\n    ".join(
            f"sum({each}) over (partition by key order by happened_at) as {each}"
            if place % 3 == 0
            else f"lag({each}) over (partition by key order by happened_at) as {each}"
            if place % 3 == 1
            else each
            for place, each in enumerate(names)
        )
        return f"""with ranked as (
  select
    id,
    key,
    happened_at,
    {items},
    row_number() over (partition by id order by happened_at desc) as place
  from {one}
)
select id, key, happened_at, {", ".join(names)}
from ranked
where place = 1 and id in (select id from {other} where key <> 'x')"""
    return f"select * from {one}\nunion all\nselect id, key, happened_at, {', '.join(names)} from {other}"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--models", type=int, default=1000)
    arguments.add_argument("--columns", type=int, default=20)
    arguments.add_argument("--dialect", choices=("duckdb", "databricks"), default="duckdb")
    given = arguments.parse_args()
    parser = lineage_edge()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    known: dict[str, list[str]] = {}
    edges, columns = [], 0
    wall, processor = time.perf_counter(), time.process_time()
    for number in range(given.models):
        lineage = parser.column_edges(sql_of(number, given.columns), given.dialect, known)
        if lineage.problems or len(lineage.columns) != given.columns:
            raise SystemExit(f"model {number}: {len(lineage.columns)} columns, {lineage.problems}")
        known[f"lake.main.model_{number:04}"] = lineage.columns
        edges += lineage.edges
        columns += len(lineage.columns)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        "| dialect | models | columns | edges | seconds | CPU seconds | peak memory, MiB | of it before the first model |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    print(
        f"| {given.dialect} | {given.models:,} | {columns:,} | {len(edges):,} | {wall:.1f} | {processor:.1f}"
        f" | {peak / 1024:.0f} | {before / 1024:.0f} |"
    )


if __name__ == "__main__":
    main()
