"""What the killed runs work on, and what they have to leave: a project, batches of source rows, and an oracle.

The oracle is plain Python. It plays the attempts that were committed, one after the other, over the source as each
found it, and says which rows gold holds, who wrote them, with which source values, what is refused, and all counts.
"""

from __future__ import annotations

import collections
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

BATCH_SIZE = 40
DAY_ZERO = datetime(2024, 1, 1)
LATENESS = timedelta(days=1)

# model: materialization, source, watermark?, lateness?, capture
MODELS = {
    "gold_table": ("table", "versions", False, False, "exploded"),
    "gold_append": ("append", "arrivals", True, False, "exploded"),
    "gold_merge": ("merge", "versions_view", True, True, "compact"),
    "gold_delete_insert": ("delete+insert", "versions", True, True, "exploded"),
    "gold_overwrite": ("insert_overwrite", "versions", False, False, "compact"),
}
MODELS_OF = {
    "duckdb": ["gold_table", "gold_append", "gold_merge", "gold_delete_insert"],
    "spark": ["gold_table", "gold_append", "gold_merge", "gold_overwrite"],
}
COLUMNS = ("id", "amount", "region", "shout")
RUN_COLUMNS = (
    "run_id", "invocation_id", "status", "error_message", "input_record_count", "filtered_record_count",
    "rejected_record_count", "output_record_count", "watermark_to",
)  # fmt: skip
# The mapping of `shout` before and after the config changes to one that needs another source column.
SHOUT = {False: ("note", "upper(note)"), True: ("note|extra", "upper(concat(note, extra))")}


@dataclass(frozen=True)
class Row:
    """A source row."""

    id: str
    amount: str
    region: str
    note: str
    extra: str
    loaded_at: datetime | None

    def literals(self) -> str:
        values = ", ".join(f"'{value}'" for value in (self.id, self.amount, self.region, self.note, self.extra))
        loaded_at = "null" if self.loaded_at is None else f"timestamp '{self.loaded_at}'"
        return f"({values}, cast({loaded_at} as timestamp))"


# --- batches of source rows --------------------------------------------------------------------------------------


def arrivals(batch: int) -> list[Row]:
    """The new records of a batch: most are fine, some are filtered, refused or warned of."""
    rows = []
    for number in range(BATCH_SIZE):
        amount = {3: "bad", 5: "-5", 7: "5000"}.get(number % 10, str(batch * 100 + number))
        region = "out" if number % 10 == 9 else ("EU", "US")[number % 2]
        loaded_at = None if (batch, number) == (1, 0) else DAY_ZERO + timedelta(days=batch, seconds=number)
        rows.append(Row(f"b{batch}n{number:02}", amount, region, "a note", f"x{number}", loaded_at))
    return rows


def new_versions(batch: int) -> list[Row]:
    """A third of the records of the batch before, anew: some were refused and are fine now, some the other way round."""
    rows = []
    for number, old in enumerate(arrivals(batch - 1)):
        if number % 3 == 0:
            amount = "bad again" if number % 10 in (6, 2) else str(batch * 1000 + number)
            loaded_at = DAY_ZERO + timedelta(days=batch, hours=1, seconds=number)
            rows.append(Row(old.id, amount, old.region, "new", old.extra, loaded_at))
    return rows


def source_rows(table: str, batches: int) -> list[Row]:
    """What a source table holds after so many batches."""
    found: dict[str, Row] = {}
    for batch in range(1, batches + 1):
        found |= {row.id: row for row in arrivals(batch)}
        if table != "arrivals" and batch > 1:
            found |= {row.id: row for row in new_versions(batch)}
    return list(found.values())


def source_ddl(engine: str, schema: str) -> list[str]:
    """Statements that make the source tables, empty."""
    using = "using delta" if engine == "spark" else ""
    columns = "id string, amount string, region string, note string, extra string, loaded_at timestamp"
    return [
        f"create schema if not exists {schema}_raw",
        f"create table {schema}_raw.arrivals ({columns}) {using}",
        f"create table {schema}_raw.versions ({columns}) {using}",
        f"create view {schema}_raw.versions_view as select * from {schema}_raw.versions",
    ]


def batch_sql(schema: str, batch: int) -> list[str]:
    """Statements by which a batch arrives: `arrivals` only grows, `versions` replaces rows in place."""
    new = ", ".join(row.literals() for row in arrivals(batch))
    statements = [f"insert into {schema}_raw.{table} values {new}" for table in ("arrivals", "versions")]
    if batch > 1:
        changed = new_versions(batch)
        keys = ", ".join(f"'{row.id}'" for row in changed)
        values = ", ".join(row.literals() for row in changed)
        statements.append(f"delete from {schema}_raw.versions where id in ({keys})")
        statements.append(f"insert into {schema}_raw.versions values {values}")
    return statements


def grow_sql(schema: str) -> str:
    """The config change: `shout` needs a source column that gold does not hold yet."""
    columns, expression = SHOUT[True]
    return (
        f"update {schema}.field_mapping set source_columns = '{columns}', transform_expr = '{expression}' "
        "where target_column = 'shout'"
    )


# --- the project -------------------------------------------------------------------------------------------------


def model_sql(name: str) -> str:
    """A gold model: two lines, as a user writes it."""
    strategy, source, watermark, lateness, capture = MODELS[name]
    config = "materialized='table'"
    if strategy != "table":
        config = f"materialized='incremental', incremental_strategy='{strategy}'"
        if strategy in ("merge", "delete+insert"):
            config += ", unique_key=['id']"
        if strategy == "insert_overwrite":
            config += ", partition_by=['region']"
    arguments = f"source=source('raw', '{source}'), capture='{capture}'"
    arguments += ", watermark='loaded_at'" if watermark else ""
    arguments += ", lateness='1 day'" if lateness else ""
    return f"{{{{ config({config}) }}}}\n{{{{ lineage_audit.mapped_model('events', {arguments}) }}}}\n"


def project_parts(engine: str) -> dict[str, Any]:
    """The arguments of make_project."""
    names = MODELS_OF[engine]
    mapping = []
    for name in names:
        for position, (column, sources, others) in enumerate(
            (
                ("id", "id", {"is_primary_key": True}),
                ("amount", "amount", {"data_type": "int"}),
                ("region", "region", {}),
                ("shout", SHOUT[False][0], {"transform_expr": SHOUT[False][1]}),
            ),
            1,
        ):
            row = {"endpoint_name": "events", "target_table": name, "target_column": column}
            mapping.append(row | {"source_columns": sources, "column_position": position, **others})
    rules = [("F_OUT", "filter", "region <> 'out'", None)]
    rules += [("E_NEGATIVE", "validation", "amount >= 0", "ERROR"), ("W_LARGE", "validation", "amount < 5000", "WARN")]
    source = {"name": "raw", "schema": "{{ target.schema }}_raw"}
    source["tables"] = [{"name": name} for name in ("arrivals", "versions", "versions_view")]
    return {
        "models": {name: model_sql(name) for name in names},
        "properties": {"version": 2, "sources": [source]},
        "api_endpoints": [{"endpoint_name": "events"}],
        "field_mapping": mapping,
        "business_rules": [
            {"business_rule_id": name, "endpoint_name": "events", "rule_category": category}
            | {"rule_expression": expression, "severity": severity, "message": f"it's {name}"}
            for name, category, expression, severity in rules
        ],
        "name": "torture",
    }


# --- the oracle --------------------------------------------------------------------------------------------------


@dataclass
class Attempt:
    """A dbt command that was started on a model: what it found, and what became of it."""

    batches: int
    run_id: str | None
    full_refresh: bool = False
    grown: bool = False
    killed: bool = False
    invocation_id: str | None = None
    # Models whose table a killed --full-refresh has replaced already: they are read from the beginning.
    replaced: set[str] = field(default_factory=set)
    statements: list[dict] = field(default_factory=list, repr=False)

    @property
    def run(self) -> str | None:
        return self.run_id or self.invocation_id


@dataclass
class Expected:
    """What the store and gold have to hold."""

    gold: dict[str, tuple] = field(default_factory=dict)  # key: (amount, region, shout, warnings, invocation)
    open: dict[str, tuple] = field(default_factory=dict)  # key: (reasons, invocation)
    lineage: dict[tuple[str, str, str], dict] = field(default_factory=dict)  # (invocation, key, column): source values
    violations: collections.Counter = field(default_factory=collections.Counter)  # (invocation, key, rule)
    runs: dict[str, tuple] = field(default_factory=dict)  # invocation: (input, filtered, rejected, output, mark)
    mark: datetime | None = None


def judge(row: Row) -> tuple[str, list[str], list[str]]:
    """What becomes of a row: accepted, filtered or refused; the reasons; the violated rules."""
    if row.region == "out":
        return "filtered", [], []
    if row.amount.startswith("bad"):
        return "refused", ["cast:amount"], []
    if int(row.amount) < 0:
        return "refused", ["E_NEGATIVE"], ["E_NEGATIVE"]
    return "accepted", [], ["W_LARGE"] if int(row.amount) >= 5000 else []


def play(model: str, attempts: list[Attempt], committed: set[str]) -> Expected:
    """What those attempts that were committed leave behind, in their order."""
    strategy, source, watermark, lateness, _ = MODELS[model]
    expected = Expected()
    replaced = False
    for attempt in attempts:
        replaced = replaced or model in attempt.replaced
        if attempt.invocation_id not in committed:
            continue
        rows = source_rows(source, attempt.batches)
        whole = strategy == "table" or attempt.full_refresh or replaced or not expected.runs
        replaced = False
        if whole or strategy == "insert_overwrite":
            # Every run of gold_overwrite reads the whole source and meets each of its partitions.
            expected.gold = {}
        if watermark and not whole and expected.mark is not None:
            bound = expected.mark - (LATENESS if lateness else timedelta())
            rows = [row for row in rows if row.loaded_at is None or row.loaded_at > bound]
        _play_one(expected, attempt, rows, watermark, whole)
    return expected


def _play_one(expected: Expected, attempt: Attempt, rows: list[Row], watermark: bool, whole: bool) -> None:
    invocation = attempt.invocation_id
    counts = collections.Counter()
    for row in rows:
        outcome, reasons, violated = judge(row)
        if watermark and row.loaded_at is None and outcome != "filtered":
            outcome, reasons = "refused", ["not_null:loaded_at", *reasons]
        counts[outcome] += 1
        if outcome == "refused":
            expected.open[row.id] = (tuple(sorted(reasons)), invocation)
        else:
            expected.open.pop(row.id, None)
        if outcome == "accepted":
            shout = (row.note + (row.extra if attempt.grown else "")).upper()
            expected.gold[row.id] = (int(row.amount), row.region, shout, tuple(violated), invocation)
            values = {"id": ["id"], "amount": ["amount"], "region": ["region"]}
            values["shout"] = SHOUT[attempt.grown][0].split("|")
            for column, names in values.items():
                expected.lineage[invocation, row.id, column] = {name: getattr(row, name) for name in names}
        if outcome != "filtered":
            expected.violations.update((invocation, row.id, name) for name in violated)
    if watermark:
        read = [row.loaded_at for row in rows if row.loaded_at is not None]
        before = [] if whole or expected.mark is None else [expected.mark]
        expected.mark = max([*read, *before])
    expected.runs[invocation] = (
        len(rows),
        counts["filtered"],
        counts["refused"],
        counts["accepted"],
        f"{expected.mark:%Y-%m-%dT%H:%M:%S.%f}" if expected.mark else None,
    )


# --- what is there, and whether it is what has to be -------------------------------------------------------------


def queries(engine: str, schema: str, models: list[str]) -> dict[str, str]:
    """What is looked at after a run, on either engine."""
    audit = f"{schema}_audit"
    gold = "id, amount, region, shout, _lineage_warnings, _lineage_run_id, _lineage_invocation_id"
    return {
        **{f"gold of {model}": f"select {gold} from {schema}.{model}" for model in models},
        "events": "select target_table, event_type, run_id, invocation_id, attempt_id "
        f"from {audit}.run_event order by event_ts",
        "runs": f"select target_table, {', '.join(RUN_COLUMNS)} from {audit}.ingestion_run",
        "lineage": "select target_table, run_id, invocation_id, target_pk, target_column, source_values_json "
        f"from {audit}.column_lineage",
        "quarantine": f"select target_table, target_pk, failed_rules, invocation_id from {audit}.quarantine",
        "violations": f"select target_table, invocation_id, target_pk, business_rule_id from {audit}.rule_violation",
        "copied": " union all ".join(
            f"select attempt_id, count(*) as copied from {audit}.{table} group by attempt_id"
            for table in ("cell_lineage", "record_lineage")
        ),
        "refused": "select target_table, invocation_id, count(*) as refused "
        f"from {audit}.rejected_record group by target_table, invocation_id",
        "tables": "select table_name as name from information_schema.tables"
        if engine == "duckdb"
        else f"show tables in {schema}",
    }


def of_model(dump: dict, model: str) -> dict[str, list[dict]]:
    """What a dump holds of one model."""
    found = {
        name: [row for row in dump.get(name) or [] if row["target_table"] == model]
        for name in ("events", "runs", "lineage", "quarantine", "violations", "refused")
    }
    attempts = {row["attempt_id"] for row in found["events"]}
    return found | {
        "gold": dump.get(f"gold of {model}") or [],
        "copied": [row for row in dump.get("copied") or [] if row["attempt_id"] in attempts],
        # A temporary view of Spark's session ends with it.
        "tables": [row for row in dump.get("tables") or [] if not row.get("isTemporary")],
    }


def half_attempts(dump: dict, model: str) -> list[dict[str, Any]]:
    """The attempts that began and did not end, each with the rows that it left in gold and in the store."""
    dump = of_model(dump, model)
    ended = {row["invocation_id"] for row in dump["events"] if row["event_type"] != "STARTED"}
    found = []
    for row in dump["events"]:
        invocation = row["invocation_id"]
        if row["event_type"] == "STARTED" and invocation not in ended:
            in_gold = sum(1 for each in dump["gold"] if each["_lineage_invocation_id"] == invocation)
            copied = sum(each["copied"] for each in dump["copied"] if each["attempt_id"] == row["attempt_id"])
            refused = sum(each["refused"] for each in dump["refused"] if each["invocation_id"] == invocation)
            found.append({"invocation_id": invocation, "gold": in_gold, "store": copied + refused})
    return found


def problems(model: str, attempts: list[Attempt], dump: dict) -> list[str]:
    """What is not as it has to be after the last of these attempts, which came to its end."""
    dump = of_model(dump, model)
    found: list[str] = []

    def same(what: str, seen: Any, wanted: Any) -> None:
        if seen != wanted:
            found.append(f"{model}: {what}: {_difference(seen, wanted)}")

    started = [row["invocation_id"] for row in dump["events"] if row["event_type"] == "STARTED"]
    succeeded = [row["invocation_id"] for row in dump["events"] if row["event_type"] == "SUCCESS"]
    known = [attempt.invocation_id for attempt in attempts]
    same("each attempt starts at most once", len(started), len(set(started)))
    same("each attempt commits at most once", len(succeeded), len(set(succeeded)))
    same("nobody else starts", set(started) - set(known), set())
    unkilled = {attempt.invocation_id for attempt in attempts if not attempt.killed}
    same("who came to the end is committed", unkilled - set(succeeded), set())

    committed = [attempt for attempt in attempts if attempt.invocation_id in succeeded]
    expected = play(model, attempts, set(succeeded))

    gold = collections.Counter(
        (row["id"], row["amount"], row["region"], row["shout"], tuple(sorted(row["_lineage_warnings"])), row["_lineage_invocation_id"])
        for row in dump["gold"]
    )  # fmt: skip
    same("gold", gold, collections.Counter({(key, *row): 1 for key, row in expected.gold.items()}))

    # Of several attempts under one run_id that wrote the whole table, the last one's lineage counts.
    counting = _counting(model, committed)
    lineage = collections.Counter(
        (row["invocation_id"], row["target_pk"], row["target_column"], _canonical(row["source_values_json"]))
        for row in dump["lineage"]
    )
    wanted = collections.Counter({
        (*place, _canonical(values)): 1 for place, values in expected.lineage.items() if place[0] in counting
    })  # fmt: skip
    same("column_lineage", lineage, wanted)
    per_gold_row = collections.Counter((row["invocation_id"], row["target_pk"]) for row in dump["lineage"])
    without = [
        row["id"] for row in dump["gold"] if per_gold_row[row["_lineage_invocation_id"], row["id"]] != len(COLUMNS)
    ]
    same("gold rows that have not each column's lineage exactly once", without, [])

    quarantine = collections.Counter(
        (row["target_pk"], tuple(sorted(row["failed_rules"])), row["invocation_id"]) for row in dump["quarantine"]
    )
    same("quarantine", quarantine, collections.Counter({(key, *row): 1 for key, row in expected.open.items()}))

    violations = collections.Counter(
        (row["invocation_id"], row["target_pk"], row["business_rule_id"])
        for row in dump["violations"]
        if row["invocation_id"] in succeeded
    )
    same("rule_violation", violations, expected.violations)

    same("ingestion_run", _runs_seen(dump), _runs_wanted(attempts, set(started), expected))
    left = [row.get("name") or row["tableName"] for row in dump["tables"]]
    same("leftovers", [name for name in left if "__dbt_" in name or "__lineage_" in name], [])
    return found


def _counting(model: str, committed: list[Attempt]) -> set[str | None]:
    last_whole = {}
    for place, attempt in enumerate(committed):
        if MODELS[model][0] == "table" or attempt.full_refresh or place == 0:
            last_whole[attempt.run] = place
    return {attempt.invocation_id for place, attempt in enumerate(committed) if place >= last_whole.get(attempt.run, 0)}


def _runs_seen(dump: dict) -> collections.Counter:
    return collections.Counter(tuple(row[name] for name in RUN_COLUMNS) for row in dump["runs"])


def _runs_wanted(attempts: list[Attempt], started: set[str], expected: Expected) -> collections.Counter:
    """One row per run_id: that of its last attempt that got as far as to say so."""
    last = {attempt.run: attempt for attempt in attempts if attempt.invocation_id in started}
    rows = []
    for run, attempt in last.items():
        counts = expected.runs.get(attempt.invocation_id)
        outcome = ("SUCCESS", None, *counts) if counts else ("FAILED", "interrupted", None, None, None, None, None)
        rows.append((run, attempt.invocation_id, *outcome))
    return collections.Counter(rows)


def _canonical(values: str | dict) -> str:
    return json.dumps(json.loads(values) if isinstance(values, str) else values, sort_keys=True)


def _difference(seen: Any, wanted: Any) -> str:
    if isinstance(seen, collections.Counter):
        more, less = list((seen - wanted).elements()), list((wanted - seen).elements())
        return f"{len(more)} that should not be there, such as {more[:2]}; {len(less)} are missing, such as {less[:2]}"
    return f"{seen}, should be {wanted}"
