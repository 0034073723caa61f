"""Generated sources, mappings and rules with hostile contents: what a run leaves behind is what the oracle says.

Many cases are built by one dbt command, a model each. A case that fails is made smaller, many candidates per command,
and printed. `PROPERTY_SEED` gives other cases, `PROPERTY_CASES` another number of them.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import hashlib
import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cases import cases, mapping_rows, model_sql, quoted, rule_rows, sql, type_name
from hypothesis import HealthCheck, Phase, given, seed, settings
from oracle import Outcome, cell, shown, work_out
from shapes import TEXT, Case, Node

pytestmark = pytest.mark.usefixtures("spark_of_people")

# Cases per test run, and models per dbt command.
SIZES = {"duckdb": (1000, 125), "spark": (12, 12)}
# What has to happen now and then in so many cases.
EVENTS = (
    "output", "rejected", "filtered", "default", "WARN", "ERROR", "null key", "not null", "several reasons",
    "cast to int failed", "cast to decimal failed", "cast to list failed", "cast to struct failed",
)  # fmt: skip
CONFIG_TABLES = ("api_endpoints", "field_mapping", "business_rules")


def chosen_seed() -> int:
    """In CI always the same cases; elsewhere new ones in every run, whose seed is printed."""
    if "PROPERTY_SEED" in os.environ:
        return int(os.environ["PROPERTY_SEED"])
    return 1 if os.environ.get("CI") == "true" else random.SystemRandom().randrange(10**6)


def generated(count: int, seed_number: int) -> list[Case]:
    """Cases as hypothesis draws them. It can't run each on its own: they are collected here, and built together."""
    found: list[Case] = []

    @seed(seed_number)
    @settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        derandomize=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(cases())
    def collect(case: Case) -> None:
        found.append(case)

    collect()
    return found


def numbered(case: Case, number: int) -> Case:
    """Names that are unique in a project, and the texts by which mappings share their marks."""
    ids = {rule.id: f"{rule.id}.{number}" for rule in case.rules}
    columns = []
    for column in case.columns:
        texts = dict(column.texts)
        if texts.get("source_table"):
            texts["source_table"] = f"{texts['source_table']}.{number}"
        columns.append(
            replace(
                column,
                texts=texts,
                derived_by=ids.get(column.derived_by),
                default_rule=ids.get(column.default_rule),
                named_rules=tuple(ids[id] for id in column.named_rules if id in ids),
            )
        )
    return replace(
        case,
        endpoint=f"{case.endpoint}{number}",
        target=f"{case.target}{number}",
        columns=tuple(columns),
        rules=tuple(replace(rule, id=ids[rule.id]) for rule in case.rules),
    )


# --- build -----------------------------------------------------------------------------------------------------------


def make(make_project, engine: str, batch: list[Case], as_tables: bool = False):
    """A project with a model per case. The config comes as seeds, or as models over tables."""
    tables = [f"s{place}" for place in range(len(batch))]
    config = {
        "api_endpoints": [{"endpoint_name": case.endpoint, "source_system": case.source_system} for case in batch],
        "field_mapping": [row for case in batch for row in mapping_rows(case, engine)],
        "business_rules": [row for case in batch for row in rule_rows(case, engine)],
    }
    source_tables = [*tables, *([f"the_{name}" for name in CONFIG_TABLES] if as_tables else [])]
    types = {
        name: {"+column_types": dict.fromkeys(make_project.config_columns[name], "string")}
        for name in CONFIG_TABLES
        if not as_tables
    }
    models = {f"m{place}": model_sql(case, tables[place]) for place, case in enumerate(batch)}
    if as_tables:
        models |= {name: f"select * from {{{{ source('raw', 'the_{name}') }}}}" for name in CONFIG_TABLES}
    project = make_project(
        engine,
        models=models,
        properties={
            "version": 2,
            "sources": [
                {
                    "name": "raw",
                    "schema": "{{ target.schema }}_raw",
                    "tables": [{"name": name} for name in source_tables],
                }
            ],
        },
        config={"models": {"generated": {"+materialized": "table"}}, "seeds": {"generated": types}},
        name="generated",
        **({} if as_tables else config),
    )
    with writer(project) as write:
        for table, case in zip(tables, batch, strict=True):
            write(table, case.source, case.rows)
        if as_tables:
            for name in CONFIG_TABLES:
                columns = make_project.config_columns[name]
                rows = [tuple(_cell(row.get(column)) for column in columns) for row in config[name]]
                write(f"the_{name}", dict.fromkeys(columns, TEXT), rows)
    return project


def _cell(value: Any) -> str | None:
    return str(value).lower() if isinstance(value, bool) else value


@contextlib.contextmanager
def writer(project) -> Iterator[Any]:
    """Writes a source table as the engine's own client does, without SQL texts of the values."""
    schema = f"{project.schema}_raw"
    if project.engine == "spark":
        project.execute(f"create schema if not exists {schema}")
        yield lambda table, kinds, rows: _write_spark(project.spark, f"{schema}.{table}", kinds, rows)
        return
    with project.connect() as connection:
        connection.execute(f"create schema {schema}")

        def write(table: str, kinds: dict[str, tuple], rows) -> None:
            columns = ", ".join(f"{quoted('duckdb', name)} {type_name('duckdb', kind)}" for name, kind in kinds.items())
            connection.execute(f"create table {schema}.{table} ({columns})")
            if rows:
                places = ", ".join(f"cast(? as {type_name('duckdb', kind)})" for kind in kinds.values())
                connection.executemany(f"insert into {schema}.{table} values ({places})", [list(row) for row in rows])

        yield write


def _write_spark(session, table: str, kinds: dict[str, tuple], rows) -> None:
    schema = ", ".join(f"{quoted('spark', name)} {type_name('spark', kind)}" for name, kind in kinds.items())
    # Names that Parquet can't hold need column mapping.
    session.conf.set("spark.databricks.delta.properties.defaults.columnMapping.mode", "name")
    try:
        frame = session.createDataFrame([tuple(row) for row in rows], schema)
        frame.coalesce(1).write.format("delta").saveAsTable(table)
    finally:
        session.conf.unset("spark.databricks.delta.properties.defaults.columnMapping.mode")


def build(project) -> str:
    """dbt build; what it prints where it fails."""
    arguments = ["build", "--exclude-resource-type", "test", "unit_test"]
    if project.engine == "spark":
        run = project.dbt(*arguments, check=False)
        return "" if run.success else run.messages
    # dbt's time is Python's: a process of its own per project, and few environment variables, which dbt looks through often.
    names = ("PATH", "HOME", "TZ", "DBT_ENV_SECRET_LINEAGE_AUDIT_KEY")
    command = [Path(sys.executable).with_name("dbt"), "--no-write-json", "--log-level-file", "none", "--no-use-colors"]
    command += [*arguments, "--threads", "1", "--project-dir", project.directory, "--profiles-dir", project.workspace]
    command += [
        "--target-path",
        project.target,
        "--log-path",
        project.workspace / "logs",
        "--no-send-anonymous-usage-stats",
    ]
    finished = subprocess.run(
        list(map(str, command)),
        capture_output=True,
        text=True,
        check=False,
        env={name: os.environ[name] for name in names if name in os.environ} | {"PYTHONUTF8": "1"},
    )
    return "" if finished.returncode == 0 else finished.stdout + finished.stderr


# --- read and compare ------------------------------------------------------------------------------------------------


def object_of(text: str) -> tuple:
    """A JSON object of texts as sorted pairs."""
    return tuple(json.loads(text, object_pairs_hook=tuple))


def nested_as_read(value: Any) -> Any:
    """Spark writes JSON with other escapes than Python: there a text that is JSON is compared by what it says."""
    if isinstance(value, tuple):
        return tuple(map(nested_as_read, value))
    if isinstance(value, str) and value[:1] in ("[", "{"):
        with contextlib.suppress(ValueError):
            return repr(json.loads(value, parse_float=str, parse_int=str))
    return value


def _without_zones(frame):
    """Instants as UTC: Python can't make one of the year 1 from what Spark sends."""
    from pyspark.sql import functions, types

    def changed(kind):
        if isinstance(kind, types.ArrayType):
            return types.ArrayType(changed(kind.elementType))
        if isinstance(kind, types.StructType):
            return types.StructType([types.StructField(each.name, changed(each.dataType)) for each in kind.fields])
        return types.TimestampNTZType() if isinstance(kind, types.TimestampType) else kind

    return frame.select(
        [
            functions.col(quoted("spark", each.name)).cast(changed(each.dataType)).alias(each.name)
            for each in frame.schema
        ]
    )


class Found:
    """What a run left behind, read once for all models of a project."""

    def __init__(self, project, connection=None):
        self.project, self.connection = project, connection
        audit = f"{project.schema}_audit"
        self.runs = self._by_target(f"select * from {audit}.ingestion_run")
        self.rejected = self._by_target(f"select * from {audit}.rejected_record")
        self.quarantine = self._by_target(f"select * from {audit}.quarantine")
        self.violations = self._by_target(f"select * from {audit}.rule_violation")
        self.lineage = self._by_target(f"select * from {audit}.column_lineage")

    def gold(self, table: str) -> tuple[list[str], list[dict[str, Any]]]:
        """Names of the columns, and the rows."""
        query = f"select * from {self.project.schema}.{table}"
        if self.project.engine == "spark":
            frame = _without_zones(self.project.spark.sql(query))
            return frame.columns, [row.asDict(recursive=True) for row in frame.collect()]
        cursor = self.connection.execute(query)
        names = [column[0] for column in cursor.description]
        return names, [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def _by_target(self, query: str) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        for row in self.project.query(query):
            found.setdefault(row["target_table"], []).append(row)
        return found


def differences(found: Found, gold_table: str, case: Case, engine: str, key: str) -> list[str]:
    """What differs between the tables and what the oracle says, in words; nothing if nothing does."""
    expected = work_out(case, engine, key)
    problems: list[str] = []
    several_keys = sum(column.is_key for column in expected.columns) > 1
    settled = nested_as_read if engine == "spark" else lambda value: value

    def key_of(text: str | None) -> Any:
        return ("array", *json.loads(text)) if several_keys and text is not None else text

    def same(what: str, is_there: Any, should_be: Any) -> None:
        if isinstance(should_be, Counter):
            is_there, should_be = (Counter(map(settled, each.elements())) for each in (is_there, should_be))
            too_much, missing = is_there - should_be, should_be - is_there
            problems.extend(f"{what}, too much: {n} x {row!r}" for row, n in too_much.items())
            problems.extend(f"{what}, missing:  {n} x {row!r}" for row, n in missing.items())
        elif is_there != should_be:
            problems.append(f"{what}: is {is_there!r}, should be {should_be!r}")

    runs = found.runs.get(case.target, [])
    same("runs", [run["status"] for run in runs], ["SUCCESS"])
    if problems:
        return problems + [f"error_message: {run['error_message']}" for run in runs]
    (run,) = runs
    counts = {name: run[f"{name}_record_count"] for name in expected.counts}
    same("ingestion_run", counts, expected.counts)
    same("the sum", counts["input"], counts["filtered"] + counts["rejected"] + counts["output"])
    same("endpoint_name", run["endpoint_name"], case.endpoint)
    same("source_system", run["source_system"], cell(case.source_system))

    names, rows = found.gold(gold_table)
    same(
        "gold's columns",
        [name for name in names if not name.startswith("_lineage_")],
        [c.name for c in expected.columns],
    )
    if problems:
        return problems
    same("gold", Counter(_gold_row(row, expected) for row in rows), expected.gold)

    rejected = found.rejected.get(case.target, [])
    same("rejected_record", Counter(_refusal(row, key_of) for row in rejected), expected.rejected)
    open_records = {row: 1 for row in expected.rejected if row[1] != ("duplicate_key",)}
    quarantine = found.quarantine.get(case.target, [])
    same("quarantine", Counter(_refusal(row, key_of) for row in quarantine), Counter(open_records))
    for row in [*rejected, *quarantine]:
        record_key = row["target_pk"]
        if record_key is None:
            record_key = hashlib.sha256(row["source_values_json"].encode()).hexdigest()
        same("record_key", row["record_key"], record_key)
    for row in quarantine:
        for reason, message in zip(row["failed_rules"], row["messages"], strict=True):
            if reason in expected.messages:
                same(f"message of {reason!r}", message, expected.messages[reason])
            elif reason.partition(":")[2] not in message:
                problems.append(f"message of {reason!r}: {message!r}")

    same(
        "rule_violation",
        Counter(
            (key_of(row["target_pk"]), row["business_rule_id"], row["severity"])
            for row in found.violations.get(case.target, [])
        ),
        expected.violations,
    )
    lineage = found.lineage.get(case.target, [])
    in_words = Counter()
    for row, count in expected.lineage.items():
        in_words[tuple(sql(each, engine) if isinstance(each, Node) else each for each in row)] += count
    same("column_lineage", Counter(_cell_of(row, key_of) for row in lineage), in_words)
    constant = {(row["run_id"], row["endpoint_name"], row["created_ts"] is None) for row in lineage}
    same("column_lineage's run", constant, {(run["run_id"], case.endpoint, False)} if lineage else set())
    return problems


def _gold_row(row: dict[str, Any], expected: Outcome) -> tuple:
    kept = row["_lineage_source_values"]
    sources = []
    for name in expected.used:
        if name in kept:
            sources.append((name, shown(kept[name])))
        else:
            # Left out, since a column of gold holds it as it is.
            sources.append((name, shown(row[expected.verbatim[name]]) if name in expected.verbatim else "not kept"))
    values = tuple(shown(row[column.name]) for column in expected.columns)
    return values, tuple(sorted(row["_lineage_warnings"])), tuple(sources)


def _refusal(row: dict[str, Any], key_of) -> tuple:
    return (
        key_of(row["target_pk"]),
        tuple(sorted(row["failed_rules"])),
        object_of(row["mapped_values_json"]),
        tuple(sorted(object_of(row["source_values_json"]))),
    )


def _cell_of(row: dict[str, Any], key_of) -> tuple:
    texts = ("target_column", "api_field_name", "api_json_path", "source_table")
    return (
        key_of(row["target_pk"]),
        *(row[name] for name in texts),
        tuple(row["source_columns"]),
        row["transform_expr"],
        row["business_rule_id"],
        tuple(sorted(object_of(row["source_values_json"]))),
    )


def check(make_project, engine: str, batch: list[Case], key: str, as_tables: bool = False) -> dict[int, list[str]]:
    """Build the cases and compare: the differences of each case that has any."""
    batch = [numbered(case, place) for place, case in enumerate(batch)]
    project = make(make_project, engine, batch, as_tables)
    output = build(project)
    with project.connect() if engine == "duckdb" else contextlib.nullcontext() as connection:
        try:
            found = Found(project, connection)
        except Exception as error:
            pytest.fail(f"{error}\n{output[-6000:]}", pytrace=False)
        problems = {place: differences(found, f"m{place}", case, engine, key) for place, case in enumerate(batch)}
    failed = {place: each for place, each in problems.items() if each}
    if output and not failed:
        pytest.fail(output[-6000:], pytrace=False)
    return failed


# --- a case that fails, made smaller -----------------------------------------------------------------------------------


def smaller(case: Case) -> list[Case]:
    """The case with much less first, then without one row, rule, column, argument or cell."""
    found: list[Case] = []
    bare = tuple(replace(column, texts={}, position=None, named_rules=()) for column in case.columns)
    found.append(replace(case, columns=bare, latest_by=None))
    if len(case.rows) > 1:
        found += [replace(case, rows=(row,), columns=bare) for row in case.rows]
    named = {id for column in case.columns for id in (column.derived_by, column.default_rule)}
    found.append(replace(case, rules=tuple(rule for rule in case.rules if rule.id in named), columns=bare))
    if case.latest_by:
        found.append(replace(case, latest_by=None))
    for place, rule in enumerate(case.rules):
        if rule.id not in named:
            found.append(replace(case, rules=case.rules[:place] + case.rules[place + 1 :]))
    used = {name for rule in case.rules if rule.category == "validation" for name in rule.expression.columns()}
    for place, column in enumerate(case.columns):
        others = [each for each in case.columns if each is not column]
        if column.name not in used and any(each.is_key and each.active is not False for each in others):
            found.append(replace(case, columns=tuple(others)))
        changed = replace(
            column, sensitivity=None, default=None, default_rule=None, derived_by=None, spelled=column.sources
        )
        found.append(replace(case, columns=(*case.columns[:place], changed, *case.columns[place + 1 :])))
    used_names = {name for column in case.columns for name in column.sources} | {case.latest_by}
    used_names |= {name for rule in case.rules for name in rule.expression.columns()}
    places = [place for place, name in enumerate(case.source) if name in used_names]
    narrow = {name: kind for name, kind in case.source.items() if name in used_names}
    found.append(replace(case, source=narrow, rows=tuple(tuple(row[place] for place in places) for row in case.rows)))
    return [each for each in found if each != case]


def smallest(make_project, engine: str, case: Case, key: str, rounds: int = 4) -> tuple[Case, list[str]]:
    """Greedy: all cases that are a step smaller are built at once, and the shortest that still fails is the next."""
    problems: list[str] = ["differs only beside the others"]
    for _ in range(rounds):
        candidates = [case, *smaller(case)]
        failed = check(make_project, engine, candidates, key)
        if not failed:
            break
        place = min(failed, key=lambda each: len(repr(candidates[each])))
        case, problems = candidates[place], failed[place]
        if place == 0:
            break
    return case, problems


def described(case: Case, problems: list[str], engine: str) -> str:
    def cells(row: dict[str, Any]) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in row.items() if value is not None)

    lines = ["source: " + ", ".join(f"{name!r} {type_name(engine, kind)}" for name, kind in case.source.items())]
    lines += [f"  {row!r}"[:2000] for row in case.rows]
    lines += ["mapping:", *(f"  {cells(row)}" for row in mapping_rows(case, engine))]
    lines += ["rules:", *(f"  {cells(row)}" for row in rule_rows(case, engine))]
    lines += [f"latest_by: {case.latest_by!r}", "differs:", *(f"  {each}"[:2000] for each in problems[:12])]
    return "\n".join(lines)


# --- the tests -----------------------------------------------------------------------------------------------------------


def test_generated_mappings(make_project, engine, hash_key):
    total, per_project = SIZES[engine]
    total = int(os.environ.get("PROPERTY_CASES", total))
    seed_number = chosen_seed()
    everything = generated(total, seed_number)
    batches = [everything[start : start + per_project] for start in range(0, len(everything), per_project)]

    def checked(place: int) -> dict[int, list[str]]:
        # The last of several batches has its config in tables instead of seeds.
        return check(make_project, engine, batches[place], hash_key, as_tables=0 < place == len(batches) - 1)

    if engine == "spark":
        results = list(map(checked, range(len(batches))))
    else:
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            results = list(pool.map(checked, range(len(batches))))
    happened = sum((work_out(case, engine, hash_key).happened for case in everything), Counter())
    print(f"{engine}, seed {seed_number}: {len(everything)} mappings; {dict(sorted(happened.items()))}")
    failed = [
        (batch[place], problems)
        for batch, found in zip(batches, results, strict=True)
        for place, problems in found.items()
    ]
    if failed:
        for _, problems in failed:
            print(f"  {problems[0][:300]}")
        case, problems = min(failed, key=lambda each: len(repr(each[0])))
        case, problems = smallest(make_project, engine, case, hash_key)
        pytest.fail(
            f"seed {seed_number}: {len(failed)} of {len(everything)} mappings differ; one of them:\n"
            + described(case, problems, engine),
            pytrace=False,
        )
    # What the strategies are for does happen: cases of which none is refused would prove little.
    if total >= 1000:
        assert not set(EVENTS) - set(+happened), happened
