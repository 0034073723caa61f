"""Times hand-written candidates of the audit store's physical shape.

    python benchmarks/shape.py --engine duckdb --rows 1000000 --rounds 3
    python benchmarks/shape.py --engine spark --rows 1000000 --rounds 3 --only cells

Every figure is a ratio: in each round a plain `create table as select` of the same gold runs right before the
candidate, so that whatever else the machine does hits both. What a candidate wrote is checked (row counts,
sample cells, counts per reason) before its figure is printed; a wrong candidate is printed as WRONG, without one.

The statements are the candidates, not the package's own SQL: `mapped_model` renders the winners.
`--engine conflicts` tries on Delta which statements fail when eight threads send them at once, `--rounds` times.
"""

import argparse
import os
import re
import statistics
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

DELTA_PACKAGE = "io.delta:delta-spark_4.2_2.13:4.4.0"

# Of 1000 source rows 10 are refused and of 50 one is filtered; `source_select` makes them so.
REFUSED_SHARE = 100
FILTERED_SHARE = 50

# target column -> the source columns it uses
MAPPING = {
    "order_id": ["order_id"],
    "order_amount": ["amount_raw", "fx_rate"],
    "currency": ["currency"],
    "customer_id": ["customer_id"],
    "status": ["status"],
    "amount_raw": ["amount_raw"],
    "fx_rate": ["fx_rate"],
    "updated_at": ["updated_at"],
}
SOURCE_COLUMNS = ["order_id", "amount_raw", "fx_rate", "currency", "customer_id", "status", "updated_at"]
RUN_ID = "'7f1f4f0c-5a56-4b52-9d0e-2f3f8f1c8a10'"
INVOCATION_ID = "'0d7f2c1e-8c1d-4a8e-9a30-6f2d7b1f6c11'"
TARGET_RELATION = "'warehouse.gold.gold_orders'"
CONFIG_HASH = "'b1946ac92492d2347c6235b4d2611184'"
CREATED_TS = "timestamp '2026-01-01 00:00:00'"


@dataclass
class Candidate:
    """One shape: `timed` is measured, `before` and `after` are not; `checks` are (query, expected value)."""

    group: str
    name: str
    timed: list
    before: list = field(default_factory=list)
    after: list = field(default_factory=list)
    checks: list = field(default_factory=list)
    baseline: str = "plain"
    # The stored table whose bytes per gold row are reported.
    sized: str = ""


# ---------------------------------------------------------------- engines
class DuckDB:
    name = "duckdb"
    text = "varchar"
    texts = "varchar[]"
    create = "create or replace table {table} as\n{query}"
    create_temporary = "create or replace temp table {table} as\n{query}"

    def __init__(self, directory, threads):
        import duckdb

        self.path = Path(directory) / "shape.duckdb"
        self.connection = duckdb.connect(str(self.path))
        self.connection.execute(f"set threads = {threads}")
        self.connection.execute("set timezone = 'UTC'")

    def run(self, statement):
        self.connection.execute(statement)

    def value(self, query):
        return self.connection.execute(query).fetchone()[0]

    def settle(self):
        """What an earlier statement left to be written must not fall into the next measurement."""
        self.connection.execute("checkpoint")

    def processor_seconds(self):
        return time.process_time()

    def bytes_of(self, table):
        self.settle()
        blocks = self.value(f"select count(distinct block_id) from pragma_storage_info('{table}') where block_id >= 0")
        return blocks * self.value("select block_size from pragma_database_size()")

    def empty_table(self, table, columns, properties=None):
        """`properties` are Delta's and have no counterpart here."""
        listed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        return [f"create or replace table {table} ({listed})"]

    def as_text(self, column, prefix=""):
        if column == "updated_at":
            return f"strftime({prefix}{column}, '%Y-%m-%dT%H:%M:%S.%f')"
        if column in ("amount_raw", "fx_rate"):
            return f"cast({prefix}{column} as varchar)"
        return f"{prefix}{column}"

    def list_of(self, items):
        return "[" + ", ".join(items) + "]"

    def struct_of(self, items):
        return "struct_pack(" + ", ".join(f"{name} := {value}" for name, value in items.items()) + ")"

    def json_of(self, items):
        return "cast(to_json(" + self.struct_of(items) + ") as varchar)"

    def compact(self, items):
        """A list without its NULLs."""
        return f"list_filter({self.list_of(items)}, lambda reason: reason is not null)"

    def length(self, value):
        return f"len({value})"

    empty_list = "cast([] as varchar[])"

    def source_select(self, rows):
        return source_select(
            f"range({rows}) as numbers(i)",
            text="varchar",
            padded="lpad(cast(i as varchar), 10, '0')",
            # 48271 microseconds apart: every timestamp has a fraction of its own.
            moment="timestamp '2024-01-01 00:00:00' + to_microseconds(i * 48271)",
            loaded="timestamp '2025-01-01 00:00:00' + to_microseconds(i * 1000)",
            digest="md5(cast(i as varchar))",
        )


class Spark:
    name = "spark"
    text = "string"
    texts = "array<string>"
    create = "create or replace table {table} using delta as\n{query}"
    create_temporary = "create or replace table {table} using delta as\n{query}"

    def __init__(self, directory, threads, extra=()):
        from pyspark.sql import SparkSession

        self.directory = Path(directory)
        builder = (
            SparkSession.builder.master(f"local[{threads}]")
            .config("spark.driver.memory", "8g")
            .config("spark.jars.packages", DELTA_PACKAGE)
            .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
            .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
            .config("spark.sql.warehouse.dir", str(directory))
            .config("spark.databricks.delta.snapshotPartitions", "2")
            .config("spark.sql.shuffle.partitions", "2")
            .config("spark.sql.session.timeZone", "UTC")
            .config("spark.ui.enabled", "false")
            .config("spark.ui.showConsoleProgress", "false")
        )
        for setting in extra:
            builder = builder.config(*setting.split("=", 1))
        self.session = builder.getOrCreate()
        self.session.sparkContext.setLogLevel("OFF")

    def run(self, statement):
        self.session.sql(statement).collect()

    def value(self, query):
        return self.session.sql(query).collect()[0][0]

    def settle(self):
        self.session._jvm.System.gc()

    def processor_seconds(self):
        # utime and stime of the Java process; Java's own bean is closed to py4j.
        stat = Path(f"/proc/{self.session.sparkContext._gateway.proc.pid}/stat")
        if not stat.exists():
            return float("nan")
        fields = stat.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def bytes_of(self, table):
        return self.session.sql(f"describe detail {table}").collect()[0]["sizeInBytes"]

    def empty_table(self, table, columns, properties=None):
        listed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        listed_properties = ", ".join(f"'{key}' = '{value}'" for key, value in (properties or {}).items())
        suffix = f" tblproperties ({listed_properties})" if properties else ""
        return [f"drop table if exists {table}", f"create table {table} ({listed}) using delta{suffix}"]

    def as_text(self, column, prefix=""):
        if column == "updated_at":
            return f"date_format({prefix}{column}, \"yyyy-MM-dd'T'HH:mm:ss.SSSSSS\")"
        if column in ("amount_raw", "fx_rate"):
            return f"cast({prefix}{column} as string)"
        return f"{prefix}{column}"

    def list_of(self, items):
        return "array(" + ", ".join(items) + ")"

    def struct_of(self, items):
        return "named_struct(" + ", ".join(f"'{name}', {value}" for name, value in items.items()) + ")"

    def json_of(self, items):
        return f"to_json({self.struct_of(items)}, map('ignoreNullFields', 'false'))"

    def compact(self, items):
        return f"array_compact({self.list_of(items)})"

    def length(self, value):
        return f"size({value})"

    empty_list = "cast(array() as array<string>)"

    def source_select(self, rows):
        return source_select(
            f"(select id as i from range({rows}))",
            text="string",
            padded="lpad(cast(i as string), 10, '0')",
            moment="timestamp_micros(1704067200000000 + i * 48271)",
            loaded="timestamp_micros(1735689600000000 + i * 1000)",
            digest="md5(cast(i as string))",
        )


def source_select(numbers, text, padded, moment, loaded, digest):
    """`silver_orders`: 7 columns that the mapping uses, 4 that it does not."""
    return f"""select
  'order-' || {padded} as order_id,
  case
    when i % 1000 between 3 and 6 then -1 * (i * 7919 % 100000 + 1)
    when i % 1000 between 7 and 8 then 3000000000 + i
    else i * 7919 % 100000
  end as amount_raw,
  cast(cast(i % 300 + 50 as decimal(11, 2)) * cast(0.01 as decimal(3, 2)) as decimal(9, 2)) as fx_rate,
  case
    when i % 50 = 49 then 'xts'
    when i % 3 = 0 then 'eur'
    when i % 3 = 1 then 'usd'
    else 'gbp'
  end as currency,
  case when i % 1000 >= 3 then 'customer-' || cast(i * 31 % 50021 as {text}) end as customer_id,
  case
    when i % 1000 = 9 then 'unheard of'
    when i % 4 = 0 then 'open'
    when i % 4 = 1 then 'paid'
    when i % 4 = 2 then 'shipped'
    else 'cancelled'
  end as status,
  {moment} as updated_at,
  {loaded} as loaded_at,
  {digest} as payload_digest,
  'note ' || cast(i % 997 as {text}) as note,
  i % 64 as batch
from {numbers}"""


def sample_order(number):
    """Source values of one order, worked out in Python, as the texts that the store must hold."""
    from datetime import datetime, timedelta

    moment = datetime(2024, 1, 1) + timedelta(microseconds=number * 48271)
    return {
        "order_id": f"order-{number:010d}",
        "amount_raw": str(number * 7919 % 100000),
        "fx_rate": f"{(number % 300 + 50) / 100:.2f}",
        "currency": ("eur", "usd", "gbp")[number % 3],
        "customer_id": f"customer-{number * 31 % 50021}",
        "status": ("open", "paid", "shipped", "cancelled")[number % 4],
        "updated_at": moment.strftime("%Y-%m-%dT%H:%M:%S.%f"),
    }


SAMPLE = 12345


# ---------------------------------------------------------------- gold
def gold_columns(engine):
    """Target column -> expression over the source."""
    return {
        "order_id": "order_id",
        "order_amount": "try_cast(amount_raw * fx_rate as decimal(18, 2))",
        "currency": "upper(currency)",
        "customer_id": "customer_id",
        "status": "status",
        "amount_raw": "amount_raw",
        "fx_rate": "fx_rate",
        "updated_at": "updated_at",
    }


def items(columns):
    return ",\n".join(
        f"  {expression} as {name}" if expression != name else f"  {name}" for name, expression in columns.items()
    )


def lineage_columns(engine, sources):
    return {
        "_lineage_run_id": RUN_ID,
        "_lineage_invocation_id": INVOCATION_ID,
        "_lineage_warnings": engine.empty_list,
        "_lineage_source_values": engine.struct_of({name: name for name in sources}),
    }


def gold_query(engine, sources=None):
    columns = gold_columns(engine)
    if sources is not None:
        columns |= lineage_columns(engine, sources)
    return f"select\n{items(columns)}\nfrom silver_orders"


def gold_candidates(engine, rows):
    """What gold's own lineage columns cost."""
    verbatim = [name for name, expression in gold_columns(engine).items() if expression == name]
    not_in_gold = [name for name in SOURCE_COLUMNS if name not in verbatim]

    def gold(name, sources, extra=None):
        query = gold_query(engine, sources)
        return Candidate(
            "gold",
            name,
            [engine.create.format(table="gold_candidate", query=query)],
            checks=[
                ("select count(*) from gold_candidate", rows),
                (
                    "select _lineage_source_values.currency from gold_candidate"
                    f" where order_id = '{sample_order(SAMPLE)['order_id']}'",
                    sample_order(SAMPLE)["currency"],
                ),
            ],
            after=["drop table if exists gold_candidate"],
            sized="gold_candidate",
        )

    candidates = [
        gold("struct of all source columns, run ids, warnings", SOURCE_COLUMNS),
        gold("struct without what gold holds verbatim, run ids, warnings", not_in_gold),
    ]
    plain_copy = gold("plain again (the noise of the measurement)", [])
    plain_copy.timed = [engine.create.format(table="gold_candidate", query=gold_query(engine))]
    plain_copy.checks = plain_copy.checks[:1]
    ids_only = gold("run ids and warnings, no struct", [])
    columns = gold_columns(engine) | lineage_columns(engine, ["currency"])
    del columns["_lineage_source_values"]
    ids_only.timed = [
        engine.create.format(table="gold_candidate", query=f"select\n{items(columns)}\nfrom silver_orders")
    ]
    ids_only.checks = ids_only.checks[:1]
    return [plain_copy, ids_only] + candidates


# ---------------------------------------------------------------- cell_lineage
# DuckDB: said in the DDL, spares the writer the analysis of what else would compress.
COMPRESSED = "varchar using compression zstd"
ALL_CONSTANTS = {
    "run_id": RUN_ID,
    "invocation_id": INVOCATION_ID,
    "target_relation": TARGET_RELATION,
    "config_hash": CONFIG_HASH,
    "target_table": "'gold_orders'",
}
FEW_CONSTANTS = {"invocation_id": INVOCATION_ID, "target_relation": TARGET_RELATION}
NO_CONSTANTS = {}
# One number for a run's work on one target, by which run_event tells all that is constant.
ONE_CONSTANT = {"attempt_id": "684212345678901234"}


def cells(engine, prefix="_lineage_source_values.", values=None, sources=None):
    """Target column -> SQL of its own source values as a list of texts (or what `values` makes of them)."""
    values = values or engine.list_of
    return {
        target: values(
            [engine.as_text(column, prefix if sources is None or column in sources else "") for column in used]
        )
        for target, used in MAPPING.items()
    }


def cell_insert(engine, constants, created, body):
    """`body` gives target_pk, target_column and source_values."""
    columns = list(constants) + ["target_pk", "target_column", "source_values"]
    selected = [f"{value} as {name}" for name, value in constants.items()]
    selected += ["target_pk", "target_column", "source_values"]
    if created:
        columns.append("created_ts")
        selected.append(f"{CREATED_TS} as created_ts")
    listed = ",\n  ".join(selected)
    return f"insert into cell_lineage ({', '.join(columns)})\nselect\n  {listed}\nfrom (\n{body}\n) as exploded"


def texts_once(engine, gold):
    """Gold with its source values as texts, converted once per row."""
    converted = ",\n".join(
        f"  {engine.as_text(column, '_lineage_source_values.')} as {column}" for column in SOURCE_COLUMNS
    )
    return f"(\nselect\n  order_id as target_pk,\n{converted.replace(' as order_id', ' as source_order_id')}\nfrom {gold}\n) as texts"


def text_cells(engine, values=None):
    values = values or engine.list_of
    return {
        target: values(["source_order_id" if column == "order_id" else column for column in used])
        for target, used in MAPPING.items()
    }


def text_or_json(engine, texts):
    """The value itself where there is one source column, else a JSON list of the values."""
    if len(texts) == 1:
        return texts[0]
    if engine.name == "duckdb":
        return f"cast(json_array({', '.join(texts)}) as varchar)"
    return f"to_json(array({', '.join(texts)}))"


def expected_text(texts):
    return texts[0] if len(texts) == 1 else '["' + '","'.join(texts) + '"]'


def union_all(cell_sql, source, key):
    return "\nunion all\n".join(
        f"select {key} as target_pk, '{target}' as target_column, {value} as source_values from {source}"
        for target, value in cell_sql.items()
    )


def cell_candidate(
    engine,
    rows,
    name,
    body,
    *,
    constants=None,
    created=True,
    positions=False,
    kind=None,
    key_kind=None,
    partitioned_by="",
    expected=None,
    properties=None,
    before=(),
    after=(),
    transform=None,
):
    constants = FEW_CONSTANTS if constants is None else constants
    kind = kind or engine.texts
    columns = {name: "bigint" if value.isdigit() else engine.text for name, value in constants.items()}
    columns |= {
        "target_pk": key_kind or engine.text,
        "target_column": "smallint" if positions else engine.text,
        "source_values": kind,
    }
    if created:
        columns["created_ts"] = "timestamp"
    empty = engine.empty_table("cell_lineage", columns, properties)
    if partitioned_by:
        empty[-1] = empty[-1].replace("using delta", f"using delta partitioned by ({partitioned_by})")
    sample = sample_order(SAMPLE)

    def expected_of(used):
        return expected([sample[column] for column in used]) if expected else "|".join(sample[c] for c in used)

    if expected:
        shown = f"cast(source_values as {engine.text})"
    elif engine.name == "duckdb":
        shown = "array_to_string(source_values, '|')"
    else:
        shown = "concat_ws('|', source_values)"
    checks = [("select count(*) from cell_lineage", len(MAPPING) * rows)]
    checks += [
        (
            f"select {shown} from cell_lineage where target_pk = '{sample['order_id']}'"
            f" and target_column = {list(MAPPING).index(target) if positions else repr(target)}",
            expected_of(MAPPING[target]),
        )
        for target in ("order_amount", "updated_at", "currency")
    ]
    statement = cell_insert(engine, constants, created, body)
    return Candidate(
        "cells",
        name,
        [transform(statement) if transform else statement],
        before=[*empty, *before],
        after=list(after),
        checks=checks,
        sized="cell_lineage",
    )


def duckdb_cells(engine, rows):
    sql = cells(engine)
    targets = engine.list_of([f"'{target}'" for target in sql])

    def unnest_structs(cell_sql, source="gold_struct", key="order_id"):
        structs = ",\n    ".join(
            engine.struct_of({"target_column": f"'{target}'", "source_values": value})
            for target, value in cell_sql.items()
        )
        return (
            "select target_pk, cell.target_column, cell.source_values from (\n"
            f"  select {key} as target_pk, unnest([\n    {structs}\n  ]) as cell\n  from {source}\n)"
        )

    def unnest_lists(cell_sql, source="gold_struct", key="order_id"):
        values = ",\n    ".join(cell_sql.values())
        return (
            f"select\n  {key} as target_pk,\n  unnest({targets}) as target_column,\n"
            f"  unnest([\n    {values}\n  ]) as source_values\nfrom {source}"
        )

    branches = "\n".join(f"    when {n} then {value}" for n, value in enumerate(sql.values()))
    named = ", ".join(f"({n}, '{target}')" for n, target in enumerate(sql))
    cross = (
        f"select\n  order_id as target_pk,\n  target.target_column,\n  case target.position\n{branches}\n"
        f"  end as source_values\nfrom gold_struct\ncross join (values {named}) as target(position, target_column)"
    )
    once = texts_once(engine, "gold_struct")
    in_gold = cells(engine, sources=["currency"])
    json_cells = cells(engine, values=lambda texts: f"cast(json_array({', '.join(texts)}) as varchar)")
    map_cells = {
        target: f"map {{{', '.join(f'{chr(39)}{c}{chr(39)}: ' + engine.as_text(c, '_lineage_source_values.') for c in used)}}}"
        for target, used in MAPPING.items()
    }
    text_cell_sql = cells(engine, values=lambda texts: text_or_json(engine, texts))
    text_once_sql = text_cells(engine, values=lambda texts: text_or_json(engine, texts))
    number_cells = {str(n): value for n, value in enumerate(sql.values())}
    plain_cast = {
        target: value.replace("strftime(", "cast(").replace(", '%Y-%m-%dT%H:%M:%S.%f')", " as varchar)")
        for target, value in sql.items()
    }

    def make(name, body, **options):
        return cell_candidate(engine, rows, name, body, **options)

    union = union_all(sql, "gold_struct", "order_id")
    candidates = [
        make("1 unnest of structs", unnest_structs(sql)),
        make("2 union all", union),
        make("3 cross join with target columns, case", cross),
        make("4 unnest of two parallel lists", unnest_lists(sql)),
        make("5 union all, 5 constants", union, constants=ALL_CONSTANTS),
        make("5 union all, no constants, no created_ts", union, constants=NO_CONSTANTS, created=False),
        make("5 unnest of two lists, 5 constants", unnest_lists(sql), constants=ALL_CONSTANTS),
        make("5 unnest of two lists, no constants", unnest_lists(sql), constants=NO_CONSTANTS, created=False),
        make("5 unnest of two lists, one constant", unnest_lists(sql), constants=ONE_CONSTANT, created=False),
        make(
            "6 union all, JSON text",
            union_all(json_cells, "gold_struct", "order_id"),
            kind="varchar",
            expected=lambda texts: '["' + '","'.join(texts) + '"]',
        ),
        make(
            "6 unnest of two lists, JSON text",
            unnest_lists(json_cells),
            kind="varchar",
            expected=lambda texts: '["' + '","'.join(texts) + '"]',
        ),
        make(
            "6 union all, text, JSON where several",
            union_all(text_cell_sql, "gold_struct", "order_id"),
            kind="varchar",
            expected=expected_text,
        ),
        make(
            "6 unnest of two lists, text, JSON where several",
            unnest_lists(text_cell_sql),
            kind="varchar",
            expected=expected_text,
        ),
        make(
            "6 unnest of two lists, text, JSON where several, one constant",
            unnest_lists(text_cell_sql),
            kind="varchar",
            expected=expected_text,
            constants=ONE_CONSTANT,
            created=False,
        ),
        make(
            "6 the same, keys and values compressed by zstd",
            unnest_lists(text_cell_sql),
            kind=COMPRESSED,
            key_kind=COMPRESSED,
            expected=expected_text,
            constants=ONE_CONSTANT,
            created=False,
        ),
        make(
            "6 unnest of two lists, text, JSON where several, texts once",
            unnest_lists(text_once_sql, once, "target_pk"),
            kind="varchar",
            expected=expected_text,
        ),
        make(
            "7 union all, texts converted once (materialized CTE)",
            union_all(text_cells(engine), "texts", "target_pk"),
            transform=lambda statement: statement.replace(
                "\nfrom (\n", f"\nfrom (\nwith texts as materialized (select * from {once})\n", 1
            ),
        ),
        make("7 unnest of two lists, texts converted once", unnest_lists(text_cells(engine), once, "target_pk")),
        make(
            "8 union all from gold without verbatim columns in the struct",
            union_all(in_gold, "gold_pruned", "order_id"),
        ),
        make("8 unnest of two lists, the same", unnest_lists(in_gold, "gold_pruned")),
        make(
            "9 union all, preserve_insertion_order false",
            union,
            before=["set preserve_insertion_order = false"],
            after=["set preserve_insertion_order = true"],
        ),
        make(
            "9 unnest of two lists, preserve_insertion_order false",
            unnest_lists(sql),
            before=["set preserve_insertion_order = false"],
            after=["set preserve_insertion_order = true"],
        ),
    ]
    maps = make("6 union all, map", union_all(map_cells, "gold_struct", "order_id"), kind="map(varchar, varchar)")
    maps.checks = maps.checks[:1]
    casts = make(
        "10 union all, timestamps by cast (text not as wanted)", union_all(plain_cast, "gold_struct", "order_id")
    )
    casts.checks = casts.checks[:1]
    numbers = make(
        "11 union all, position instead of target_column", union_all(number_cells, "gold_struct", "order_id")
    )
    numbers.checks = numbers.checks[:1]
    return candidates + [maps, casts, numbers]


def spark_cells(engine, rows):
    sql = cells(engine)
    quoted = ", ".join(f"'{target}'" for target in sql)

    def structs(cell_sql):
        return ",\n    ".join(
            f"named_struct('target_column', '{target}', 'source_values', {value})" for target, value in cell_sql.items()
        )

    def inline(cell_sql, source="gold_struct", key="order_id"):
        return (
            f"select {key} as target_pk, target_column, source_values from {source}\n"
            f"lateral view inline(array(\n    {structs(cell_sql)}\n  )) cell as target_column, source_values"
        )

    def stack(cell_sql, source="gold_struct", key="order_id"):
        values = ",\n    ".join(f"'{target}', {value}" for target, value in cell_sql.items())
        return (
            f"select {key} as target_pk, stack({len(cell_sql)},\n    {values}\n  ) as (target_column, source_values)\n"
            f"from {source}"
        )

    def explode(cell_sql, source="gold_struct", key="order_id"):
        return (
            f"select target_pk, cell.target_column, cell.source_values from (\n"
            f"  select {key} as target_pk, explode(array(\n    {structs(cell_sql)}\n  )) as cell\n  from {source}\n)"
        )

    def posexplode(cell_sql, source="gold_struct", key="order_id"):
        return (
            f"select target_pk, element_at(array({quoted}), position + 1) as target_column, source_values from (\n"
            f"  select {key} as target_pk, posexplode(array({', '.join(cell_sql.values())})) as (position, source_values)\n"
            f"  from {source}\n)"
        )

    def unpivot(cell_sql, source="gold_struct", key="order_id"):
        # Spark plans unpivot as Expand, which generates code and builds no intermediate array.
        listed = ",\n    ".join(f"{value} as `{target}`" for target, value in cell_sql.items())
        names = ", ".join(f"`{target}`" for target in cell_sql)
        return (
            f"select target_pk, target_column, source_values from (\n"
            f"  select {key} as target_pk,\n    {listed}\n  from {source}\n)\n"
            f"unpivot include nulls (source_values for target_column in ({names}))"
        )

    def cross(cell_sql, source="gold_struct", key="order_id"):
        branches = "\n".join(f"    when '{target}' then {value}" for target, value in cell_sql.items())
        rows_of = ", ".join(f"('{target}')" for target in cell_sql)
        return (
            f"select {key} as target_pk, target.target_column, case target.target_column\n{branches}\n  end as source_values\n"
            f"from {source} cross join (values {rows_of}) as target(target_column)"
        )

    once = texts_once(engine, "gold_struct")
    in_gold = cells(engine, sources=["currency"])
    statistics_few = {"delta.dataSkippingStatsColumns": "invocation_id,target_relation,target_pk"}
    statistics_none = {"delta.dataSkippingNumIndexedCols": "0"}

    def make(name, body, **options):
        return cell_candidate(engine, rows, name, body, **options)

    json_cells = cells(engine, values=lambda texts: f"to_json(array({', '.join(texts)}))")
    text_cell_sql = cells(engine, values=lambda texts: text_or_json(engine, texts))
    casts = make(
        "10 unpivot, timestamps by cast (text not as wanted)",
        unpivot(
            {
                target: value.replace("date_format(", "cast(").replace(
                    ", \"yyyy-MM-dd'T'HH:mm:ss.SSSSSS\")", " as string)"
                )
                for target, value in sql.items()
            }
        ),
    )
    casts.checks = casts.checks[:1]
    return [
        make("1 inline of structs", inline(sql)),
        make("2 union all", union_all(sql, "gold_struct", "order_id")),
        make("3 cross join with target columns, case", cross(sql)),
        make("4 stack", stack(sql)),
        make("4 explode of structs", explode(sql)),
        make("4 posexplode of lists", posexplode(sql)),
        make("4 unpivot", unpivot(sql)),
        make("5 unpivot, 5 constants", unpivot(sql), constants=ALL_CONSTANTS),
        make("5 unpivot, no constants, no created_ts", unpivot(sql), constants=NO_CONSTANTS, created=False),
        make("5 unpivot, one constant", unpivot(sql), constants=ONE_CONSTANT, created=False),
        make(
            "5 unpivot, two constants, partitioned by them",
            unpivot(sql),
            created=False,
            partitioned_by="target_relation, invocation_id",
        ),
        make(
            "6 unpivot, JSON text",
            unpivot(json_cells),
            kind="string",
            expected=lambda texts: '["' + '","'.join(texts) + '"]',
        ),
        make("6 unpivot, text, JSON where several", unpivot(text_cell_sql), kind="string", expected=expected_text),
        make("6 inline, text, JSON where several", inline(text_cell_sql), kind="string", expected=expected_text),
        make(
            "6 unpivot, text, JSON where several, one constant",
            unpivot(text_cell_sql),
            kind="string",
            expected=expected_text,
            constants=ONE_CONSTANT,
            created=False,
        ),
        make(
            "6 cross join, text, JSON where several, one constant",
            cross(text_cell_sql),
            kind="string",
            expected=expected_text,
            constants=ONE_CONSTANT,
            created=False,
        ),
        make("7 unpivot, texts converted once", unpivot(text_cells(engine), once, "target_pk")),
        make("7 inline, texts converted once", inline(text_cells(engine), once, "target_pk")),
        make("8 unpivot from gold without verbatim columns in the struct", unpivot(in_gold, "gold_pruned")),
        make("9 unpivot, statistics of 3 columns", unpivot(sql), properties=statistics_few),
        make("9 unpivot, no statistics", unpivot(sql), properties=statistics_none),
        make("9 inline, statistics of 3 columns", inline(sql), properties=statistics_few),
        casts,
        make(
            "12 unpivot, parquet dictionary off",
            unpivot(sql),
            before=["set parquet.enable.dictionary=false"],
            after=["set parquet.enable.dictionary=true"],
        ),
        make(
            "12 unpivot, zstd",
            unpivot(sql),
            before=["set spark.sql.parquet.compression.codec=zstd"],
            after=["set spark.sql.parquet.compression.codec=snappy"],
        ),
        make(
            "12 unpivot, lz4_raw",
            unpivot(sql),
            before=["set spark.sql.parquet.compression.codec=lz4_raw"],
            after=["set spark.sql.parquet.compression.codec=snappy"],
        ),
    ]


def cell_candidates(engine, rows):
    return duckdb_cells(engine, rows) if engine.name == "duckdb" else spark_cells(engine, rows)


# ---------------------------------------------------------------- record_lineage
def record_candidates(engine, rows):
    """One row per gold row: what capture `compact` would cost."""
    texts = engine.list_of([engine.as_text(column, "_lineage_source_values.") for column in SOURCE_COLUMNS])
    columns = dict.fromkeys(FEW_CONSTANTS, engine.text)
    columns |= {"target_pk": engine.text, "source_values": engine.texts, "created_ts": "timestamp"}
    constants = ",\n".join(f"  {value} as {name}" for name, value in FEW_CONSTANTS.items())
    shown = "array_to_string(source_values, '|')" if engine.name == "duckdb" else "concat_ws('|', source_values)"
    sample = sample_order(SAMPLE)
    return [
        Candidate(
            "records",
            "one row per gold row, list of texts",
            [
                f"insert into record_lineage\nselect\n{constants},\n  order_id as target_pk,\n  {texts} as source_values,\n"
                f"  {CREATED_TS} as created_ts\nfrom gold_struct"
            ],
            before=engine.empty_table("record_lineage", columns),
            checks=[
                ("select count(*) from record_lineage", rows),
                (
                    f"select {shown} from record_lineage where target_pk = '{sample['order_id']}'",
                    "|".join(sample[column] for column in SOURCE_COLUMNS),
                ),
            ],
            sized="record_lineage",
        )
    ]


# ---------------------------------------------------------------- rules and quarantine
FILTER = "currency <> 'xts'"
RULED_CASTS = {
    # Three casts that may fail: the value before, and the type.
    "order_amount": ("amount_raw * fx_rate", "decimal(18, 2)"),
    "amount_raw": ("amount_raw", "integer"),
    "fx_rate": ("fx_rate", "decimal(6, 2)"),
}
NOT_NULL = ["order_id", "customer_id"]
# What must hold; NULL passes.
VALIDATIONS = {
    "amount_not_negative": "mapped.order_amount >= 0",
    "currency_is_iso": "length(mapped.currency) = 3",
    "status_known": "mapped.status in ('open', 'paid', 'shipped', 'cancelled')",
}


def ruled_columns():
    columns = {
        "order_id": "order_id",
        "order_amount": None,
        "currency": "upper(currency)",
        "customer_id": "customer_id",
        "status": "status",
        "amount_raw": None,
        "fx_rate": None,
        "updated_at": "updated_at",
    }
    return {
        name: expression or f"try_cast({RULED_CASTS[name][0]} as {RULED_CASTS[name][1]})"
        for name, expression in columns.items()
    }


def ruled_plain(engine):
    """The same gold without rules, written by a plain CTAS: what D is measured against."""
    return engine.create.format(table="plain_ruled", query=f"select\n{items(ruled_columns())}\nfrom silver_orders")


def mapped_steps(engine, filtered=True):
    """CTE chain up to `mapped`: source values under `source__`, target values under their own names."""
    sources = ",\n".join(f"    {name} as source__{name}" for name in SOURCE_COLUMNS)
    where = f"\n  where {FILTER}" if filtered else ""
    # Mapped over the source's own names; the source values ride along.
    mapped = ",\n".join(f"    {expression} as {name}" for name, expression in ruled_columns().items())
    return f"""with mapped as (
  select
{mapped},
{sources}
  from silver_orders{where}
)"""


def over_source(expression):
    """A cast's input, written over the columns that ride along."""
    for column in ("amount_raw", "fx_rate"):
        expression = expression.replace(column, f"mapped.source__{column}")
    return expression


def reason_conditions(engine):
    """Reason -> condition under which it applies (true, or not)."""
    conditions = {
        f"cast:{name}": f"mapped.{name} is null and {over_source(value)} is not null"
        for name, (value, _) in RULED_CASTS.items()
    }
    conditions |= {f"not_null:{name}": f"mapped.{name} is null" for name in NOT_NULL}
    conditions |= {rule: f"not ({predicate})" for rule, predicate in VALIDATIONS.items()}
    return conditions


def failed_rules(engine):
    whens = [f"case when {condition} then '{reason}' end" for reason, condition in reason_conditions(engine).items()]
    return engine.compact(whens)


def accepted(engine):
    """The same conditions and-ed: what must hold, NULL passing where SQL CHECK lets it pass."""
    terms = [f"(mapped.{name} is not null or {over_source(value)} is null)" for name, (value, _) in RULED_CASTS.items()]
    terms += [f"mapped.{name} is not null" for name in NOT_NULL]
    terms += [f"coalesce({predicate}, true)" for predicate in VALIDATIONS.values()]
    return "\n  and ".join(terms)


def rejected(engine):
    terms = [f"coalesce({condition}, false)" for condition in reason_conditions(engine).values()]
    return "\n  or ".join(terms)


def source_value(engine, column):
    text = engine.as_text(column, "")
    return text.replace(column, f"mapped.source__{column}", 1)


def ruled_gold(engine, source="mapped"):
    columns = ",\n".join(f"  mapped.{name}" for name in ruled_columns())
    struct = engine.struct_of({name: f"mapped.source__{name}" for name in SOURCE_COLUMNS})
    return (
        f"select\n{columns},\n  {RUN_ID} as _lineage_run_id,\n  {INVOCATION_ID} as _lineage_invocation_id,\n"
        f"  {engine.empty_list} as _lineage_warnings,\n  {struct} as _lineage_source_values\nfrom {source} as mapped"
    )


def rejected_select(engine, reasons, source="mapped"):
    mapped_json = engine.json_of({name: f"cast(mapped.{name} as {engine.text})" for name in ruled_columns()})
    source_json = engine.json_of({name: source_value(engine, name) for name in SOURCE_COLUMNS})
    digest = "sha256({})" if engine.name == "duckdb" else "sha2({}, 256)"
    return (
        f"select\n  {RUN_ID} as run_id,\n  {INVOCATION_ID} as invocation_id,\n  {TARGET_RELATION} as target_relation,\n"
        f"  coalesce(mapped.order_id, {digest.format(source_json)}) as record_key,\n  mapped.order_id as target_pk,\n"
        f"  {reasons} as failed_rules,\n  {mapped_json} as mapped_values_json,\n  {source_json} as source_values_json\n"
        f"from {source} as mapped"
    )


def rejected_table(engine):
    return engine.empty_table(
        "rejected_record",
        {
            "run_id": engine.text,
            "invocation_id": engine.text,
            "target_relation": engine.text,
            "record_key": engine.text,
            "target_pk": engine.text,
            "failed_rules": engine.texts,
            "mapped_values_json": engine.text,
            "source_values_json": engine.text,
        },
    )


def count_queries(engine, gold="gold_ruled"):
    return {
        "input": "select count(*) from silver_orders",
        "filtered": f"select count(*) from silver_orders where not coalesce({FILTER}, false)",
        "rejected": f"select count(*) from rejected_record where invocation_id = {INVOCATION_ID}",
        "output": f"select count(*) from {gold}",
    }


def count_statements(engine, form):
    queries = count_queries(engine)
    if form == "separate queries":
        return list(queries.values())
    if form == "one statement with subqueries":
        listed = ",\n".join(f"  ({query}) as {name}_record_count" for name, query in queries.items())
        return [f"select\n{listed}"]
    # One scan gives input and filtered: each still counted on its own.
    return [
        "select\n  source.*,\n"
        f"  ({queries['rejected']}) as rejected_record_count,\n  ({queries['output']}) as output_record_count\n"
        "from (\n  select\n    count(*) as input_record_count,\n"
        f"    count(case when coalesce({FILTER}, false) then null else 1 end) as filtered_record_count\n"
        "  from silver_orders\n) as source"
    ]


def rule_candidates(engine, rows):
    steps = mapped_steps(engine)
    reasons = failed_rules(engine)
    gold_create = (
        "create or replace table gold_ruled as"
        if engine.name == "duckdb"
        else "create or replace table gold_ruled using delta as"
    )
    insert = "insert into rejected_record"
    refused_rows = rows // REFUSED_SHARE
    filtered_rows = rows // FILTERED_SHARE
    accepted_rows = rows - refused_rows - filtered_rows
    shown = "array_to_string(failed_rules, '|')" if engine.name == "duckdb" else "concat_ws('|', failed_rules)"
    sample = sample_order(SAMPLE)
    checks = [
        ("select count(*) from gold_ruled", accepted_rows),
        ("select count(*) from rejected_record", refused_rows),
        (f"select count(*) from rejected_record where {shown} = 'not_null:customer_id'", 3 * rows // 1000),
        (f"select count(*) from rejected_record where {shown} = 'cast:amount_raw'", 2 * rows // 1000),
        (f"select count(*) from rejected_record where {shown} = 'amount_not_negative'", 4 * rows // 1000),
        (f"select count(*) from rejected_record where {shown} = 'status_known'", rows // 1000),
        (
            f"select _lineage_source_values.customer_id from gold_ruled where order_id = '{sample['order_id']}'",
            sample["customer_id"],
        ),
    ]
    counted = count_statements(engine, "one scan for input and filtered")
    listed = f"select\n  mapped.*,\n  {reasons} as failed_rules\nfrom mapped"

    def make(name, timed, after=()):
        return Candidate(
            "rules",
            name,
            timed,
            before=rejected_table(engine),
            after=[*after, "drop table if exists gold_ruled"],
            checks=checks,
            baseline="plain_ruled",
        )

    by_and = f"{gold_create}\n{steps}\n{ruled_gold(engine)}\nwhere {accepted(engine)}"
    by_length = f"{gold_create}\n{steps}\n{ruled_gold(engine)}\nwhere {engine.length(reasons)} = 0"
    rejected_by_or = f"{insert}\n{steps}\n{rejected_select(engine, reasons)}\nwhere {rejected(engine)}"
    rejected_by_length = (
        f"{insert}\n{steps},\njudged as (\n{listed}\n)\n{rejected_select(engine, 'mapped.failed_rules', 'judged')}\n"
        f"where {engine.length('mapped.failed_rules')} > 0"
    )
    staged_gold = f"{gold_create}\n{ruled_gold(engine, 'staged')}\nwhere {engine.length('mapped.failed_rules')} = 0"
    staged_rejected = (
        f"{insert}\n{rejected_select(engine, 'mapped.failed_rules', 'staged')}\n"
        f"where {engine.length('mapped.failed_rules')} > 0"
    )
    staged = engine.create_temporary.format(table="staged", query=f"{steps}\n{listed}")
    candidates = [
        make(
            "0 gold alone, no rules, no filter (for the difference)",
            [f"{gold_create}\n{mapped_steps(engine, filtered=False)}\n{ruled_gold(engine)}"],
        ),
        make("0 gold where accepted, and-ed booleans, no quarantine", [by_and]),
        make("0 gold where accepted, length of failed_rules, no quarantine", [by_length]),
        make("1 second pruned scan, and-ed / or-ed booleans, without counts", [by_and, rejected_by_or]),
        make("1 second pruned scan, and-ed / or-ed booleans, with counts", [by_and, rejected_by_or, *counted]),
        make("1 second pruned scan, length of failed_rules, with counts", [by_length, rejected_by_length, *counted]),
        make(
            "2 one pass into a staged table, with counts",
            [staged, staged_gold, staged_rejected, *counted],
            after=["drop table staged"],
        ),
    ]
    candidates[0].checks = [("select count(*) from gold_ruled", rows)]
    for candidate in candidates[1:3]:
        candidate.checks = checks[:1] + checks[-1:]
    if engine.name == "spark":
        partitioned = (
            f"create or replace table staged using delta partitioned by (accepted) as\n{steps}\n"
            f"select judged.*, size(failed_rules) = 0 as accepted from (\n{listed}\n) as judged"
        )
        candidates.append(
            make(
                "2 the same, staged partitioned by acceptance",
                [
                    partitioned,
                    staged_gold.replace("size(mapped.failed_rules) = 0", "mapped.accepted"),
                    staged_rejected.replace("size(mapped.failed_rules) > 0", "not mapped.accepted"),
                    *counted,
                ],
                after=["drop table staged"],
            )
        )
        candidates.append(
            make(
                "2 the same, staged by cache table",
                [
                    f"cache table staged as\n{steps}\n{listed}",
                    staged_gold,
                    staged_rejected,
                    *counted,
                    "uncache table staged",
                ],
                after=["drop view if exists staged"],
            )
        )
    return candidates


def count_candidates(engine, rows):
    before = rejected_table(engine)
    expected = rows // FILTERED_SHARE
    return [
        Candidate(
            "counts",
            form,
            [each.replace("gold_ruled", "gold_struct") for each in count_statements(engine, form)],
            before=before,
            baseline="plain_ruled",
            checks=[(count_queries(engine)["filtered"], expected)],
        )
        for form in ("separate queries", "one statement with subqueries", "one scan for input and filtered")
    ]


# ---------------------------------------------------------------- the whole run
def whole_candidates(engine, rows):
    """Gold with its struct, then the exploded cells copied from it: the figure that the goals are about."""
    candidates = []
    for struct, sources in (("full struct", None), ("pruned struct", ["currency"])):
        lists = cells(engine, sources=sources)
        texts = cells(engine, sources=sources, values=lambda texts: text_or_json(engine, texts))
        create = engine.create.format(table="gold_whole", query=gold_query(engine, sources or SOURCE_COLUMNS))
        least = {"constants": ONE_CONSTANT, "created": False}
        compressed = {"kind": "string", "expected": expected_text}
        if engine.name == "duckdb":
            compressed |= {"kind": COMPRESSED, "key_kind": COMPRESSED}
        shapes = [
            ("lists, 2 constants and created_ts", lists, {}),
            ("lists, one constant, positions", dict(enumerate(lists.values())), least | {"positions": True}),
            ("texts, one constant", texts, least | compressed),
            (
                "texts, one constant, positions",
                dict(enumerate(texts.values())),
                least | compressed | {"positions": True},
            ),
        ]
        for name, cell_sql, options in shapes:
            cell = cell_candidate(engine, rows, f"{struct}; {name}", exploded(engine, cell_sql), **options)
            cell.group = "whole"
            cell.timed = [create, *cell.timed]
            # dbt-duckdb runs a model and its hooks in one transaction; on Delta each statement commits.
            if engine.name == "duckdb":
                cell.timed = ["begin", *cell.timed, "commit"]
            cell.after = ["drop table gold_whole"]
            candidates.append(cell)
    return candidates


def exploded(engine, cell_sql, source="gold_whole"):
    """The form that is taken on each engine; the keys of `cell_sql` are target columns or their positions."""
    keys = [str(key) if isinstance(key, int) else f"'{key}'" for key in cell_sql]
    values = list(cell_sql.values())
    if engine.name == "duckdb":
        listed = ",\n    ".join(values)
        return (
            f"select\n  order_id as target_pk,\n  unnest([{', '.join(keys)}]) as target_column,\n"
            f"  unnest([\n    {listed}\n  ]) as source_values\nfrom {source}"
        )
    structs = ",\n    ".join(f"struct({key}, {value})" for key, value in zip(keys, values, strict=True))
    return (
        f"select order_id as target_pk, target_column, source_values from {source}\n"
        f"lateral view inline(array(\n    {structs}\n  )) cell as target_column, source_values"
    )


GROUPS = {
    "gold": gold_candidates,
    "cells": cell_candidates,
    "records": record_candidates,
    "rules": rule_candidates,
    "counts": count_candidates,
    "whole": whole_candidates,
}


# ---------------------------------------------------------------- measuring
def timed(engine, statements):
    engine.settle()
    start, processor = time.perf_counter(), engine.processor_seconds()
    for statement in statements:
        engine.run(statement)
    return time.perf_counter() - start, engine.processor_seconds() - processor


def measure(engine, candidate, baselines, rounds, rows, warm_up):
    pairs = []
    wrong = []
    size = ""
    for number in range(rounds + warm_up):
        plain = timed(engine, [baselines[candidate.baseline]])
        for statement in candidate.before:
            engine.run(statement)
        own = timed(engine, candidate.timed)
        if number == 0:
            for query, expected in candidate.checks:
                found = engine.value(query)
                if found != expected:
                    wrong.append(f"{query}: {found!r}, expected {expected!r}")
            if candidate.sized and not wrong:
                size = f"{engine.bytes_of(candidate.sized) / rows:.0f}"
        for statement in candidate.after:
            engine.run(statement)
        if number >= warm_up:
            pairs.append((plain, own))
    return pairs, wrong, size


def report(candidate, pairs, wrong, size):
    if wrong:
        return f"| {candidate.group} | {candidate.name} | WRONG: {'; '.join(wrong)} | | | | |"
    ratios = [own[0] / plain[0] for plain, own in pairs]
    processor_ratios = [own[1] / plain[1] for plain, own in pairs]
    plain = statistics.median(plain[0] for plain, _ in pairs)
    own = statistics.median(own[0] for _, own in pairs)
    return (
        f"| {candidate.group} | {candidate.name} | **{statistics.median(ratios):.2f}** "
        f"| {min(ratios):.2f}–{max(ratios):.2f} | {statistics.median(processor_ratios):.2f} "
        f"| {plain:.2f} s, {own:.2f} s | {size} |"
    )


def run_shapes(engine, arguments):
    rows = arguments.rows
    engine.run(engine.create.format(table="silver_orders", query=engine.source_select(rows)))
    engine.run(engine.create.format(table="gold_struct", query=gold_query(engine, SOURCE_COLUMNS)))
    engine.run(engine.create.format(table="gold_pruned", query=gold_query(engine, ["currency"])))
    baselines = {
        "plain": engine.create.format(table="plain", query=gold_query(engine)),
        "plain_ruled": ruled_plain(engine),
    }
    for statement in baselines.values():
        engine.run(statement)
    print(f"\n{engine.name}, {rows:,} rows, {arguments.rounds} rounds, {arguments.threads} threads\n")
    print(
        "| group | candidate | ratio to plain CTAS, median | range | of processor time | plain, candidate | bytes per gold row |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    for group, build in GROUPS.items():
        if arguments.only and group not in arguments.only:
            continue
        for candidate in build(engine, rows):
            if arguments.name and not any(part in candidate.name for part in arguments.name):
                continue
            if arguments.show:
                print(f"-- {candidate.group}: {candidate.name}\n" + ";\n".join(candidate.timed) + ";\n")
                continue
            try:
                result = measure(engine, candidate, baselines, arguments.rounds, rows, arguments.warm_up)
            except Exception as error:  # a candidate that the engine refuses is a finding, not an end
                text = " ".join(str(error).split())[:160]
                print(f"| {group} | {candidate.name} | refused: {text} | | | | |", flush=True)
                continue
            print(report(candidate, *result), flush=True)


# ---------------------------------------------------------------- conflicts on Delta
CONFLICT_THREADS = 8
NEW_LOG = ["drop table if exists log", "create table log (number bigint, note string) using delta"]
STARTED_LOG = [*NEW_LOG, "insert into log values (0, 'x')"]
APPEND = "insert into log values ({number}, 'x')"

# What is tried: title, statements that prepare each repeat, statements of which the threads send one each, in turns.
CONFLICTS = [
    ("blind append", NEW_LOG, [APPEND]),
    (
        "append that reads another table",
        NEW_LOG,
        ["insert into log select id, 'x' from upstream where id % 8 = {number}"],
    ),
    (
        "append that reads another table, beside appends to that one",
        [*NEW_LOG, "create or replace table growing using delta as select id from upstream"],
        ["insert into log select count(*), 'x' from growing", "insert into growing values ({number})"],
    ),
    (
        "append that reads the table it writes, not exists",
        STARTED_LOG,
        ["insert into log select {number}, 'x' where not exists (select 1 from log where number = {number} + 100)"],
    ),
    (
        "append that reads the table it writes, through a view",
        [*STARTED_LOG, "create or replace view log_view as select * from log"],
        ["insert into log select max(number) + {number}, 'x' from log_view"],
    ),
    (
        "append that reads only the count of the table it writes",
        STARTED_LOG,
        ["insert into log select (select count(*) from log), 'x'"],
    ),
    (
        "create table if not exists, first time",
        ["drop table if exists fresh"],
        ["create table if not exists fresh (number bigint) using delta"],
    ),
    (
        "create table if not exists, table is there",
        ["create table if not exists fresh (number bigint) using delta"],
        ["create table if not exists fresh (number bigint) using delta"],
    ),
    (
        "create schema if not exists, first time",
        ["drop schema if exists fresh_schema cascade"],
        ["create schema if not exists fresh_schema"],
    ),
    ("create or replace view, the same", [], ["create or replace view upstream_view as select * from upstream"]),
    ("alter table add columns, a column each", NEW_LOG, ["alter table log add columns (c{number} string)"]),
    ("alter table add columns, the same column", NEW_LOG, ["alter table log add columns (c string)"]),
    ("alter table set tblproperties", NEW_LOG, ["alter table log set tblproperties ('p{number}' = '1')"]),
    (
        "delete of other rows each",
        [*NEW_LOG, "insert into log select id, 'x' from upstream where id < 8"],
        ["delete from log where number = {number}"],
    ),
    ("blind append beside queries of the table", NEW_LOG, [APPEND, "select count(*) from log"]),
    (
        "blind append beside deletes of other rows",
        STARTED_LOG,
        [APPEND, "delete from log where number = 1000 + {number}"],
    ),
    (
        "blind append beside alter table set tblproperties",
        NEW_LOG,
        [APPEND, "alter table log set tblproperties ('p{number}' = '1')"],
    ),
    (
        "blind append beside alter table add columns",
        NEW_LOG,
        ["insert into log (number, note) values ({number}, 'x')", "alter table log add columns (c{number} string)"],
    ),
]


def error_class(error):
    """`[DELTA_CONCURRENT_APPEND.…] …` gives what stands in the brackets; another error its Java class or first words."""
    text = str(error).strip()
    found = re.search(r"\[([A-Z][A-Z0-9_.]+)\]", text) or re.search(r"(\w+(?:Exception|Error))\b", text)
    return found.group(1) if found else text.split("\n")[0][:80]


def sent_at_once(engine, statements, threads):
    """The error class of each thread's statement, None where it passed."""
    barrier = threading.Barrier(threads)

    def send(number):
        barrier.wait()
        try:
            engine.run(statements[number % len(statements)].format(number=number))
        except Exception as error:
            return error_class(error)
        return None

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(send, range(threads)))


def run_conflicts(engine, repeats, names, threads=CONFLICT_THREADS):
    engine.run("create or replace table upstream using delta as select id from range(100000)")
    print(f"| {threads} threads at once, {repeats} times | pass | errors |\n| --- | --- | --- |", flush=True)
    for title, prepare, statements in CONFLICTS:
        if names and not any(part in title for part in names):
            continue
        outcomes = []
        for _ in range(repeats):
            for statement in prepare:
                engine.run(statement)
            outcomes += sent_at_once(engine, statements, threads)
        errors = Counter(outcome for outcome in outcomes if outcome)
        listed = ", ".join(f"{name} ({count})" for name, count in errors.items())
        print(f"| {title} | {outcomes.count(None)} of {len(outcomes)} | {listed} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=["duckdb", "spark", "conflicts"], default="duckdb")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--warm-up", type=int, default=1, help="rounds that are run first and not counted")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="*", choices=list(GROUPS), help="these groups of candidates")
    parser.add_argument("--name", nargs="*", help="candidates whose name contains one of these texts")
    parser.add_argument("--show", action="store_true", help="print the statements instead of timing them")
    parser.add_argument("--conf", nargs="*", default=[], help="further Spark settings, key=value")
    arguments = parser.parse_args()
    if arguments.rows % 1000:
        parser.error("--rows must be a multiple of 1000: the refused rows are counted per thousand")
    with tempfile.TemporaryDirectory(prefix="shape-") as directory:
        if arguments.engine == "duckdb":
            run_shapes(DuckDB(directory, arguments.threads), arguments)
        elif arguments.engine == "spark":
            run_shapes(Spark(directory, arguments.threads, arguments.conf), arguments)
        else:
            run_conflicts(Spark(directory, CONFLICT_THREADS, arguments.conf), arguments.rounds, arguments.name)


if __name__ == "__main__":
    main()
