"""Incremental models: what each run reads and writes, by strategy; what a failed run leaves; what a changed mapping does.

One project per engine lives through the runs below, in order; each fixture is a run, and the tests look at what it left.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from mapped_cases import create_source, insert_into_source, mapped_columns, quoted, rule, source_properties, table_of

EVENT_TYPES = {
    "id": "string", "amount": "string", "region": "string", "note": "string", "loaded_at": "timestamp",
    "odd name": "string",
}  # fmt: skip
FIELDS = [f"f{place:02}" for place in range(1, 31)]

# What every strategy's model maps. `shout` needs a column that gold does not hold, so `note` is kept in the struct.
EVENT_COLUMNS = (
    ("id", "id", {"is_primary_key": True}),
    ("amount", "amount", {"data_type": "int"}),
    ("region", "region"),
    ("shout", "note", {"transform_expr": "upper(note)"}),
)

STRATEGIES = {
    "duckdb": {
        "gold_append": ("append", None),
        "gold_merge": ("merge", "1 day"),
        "gold_delete_insert": ("delete+insert", "1 day"),
    },
    "spark": {"gold_append": ("append", None), "gold_merge": ("merge", "1 day")},
}

# A hook of the user's own, before the package's: where the var is set, the model fails after its rows are written.
# Spark would not evaluate a mere select, since nobody fetches its rows.
BREAKS = "{% if var('break', false) %}drop table the_hook_of_the_user_fails{% endif %}"


def event_row(engine: str, key: str, amount: str, region: str, loaded_at: str | None, note: str = "n") -> tuple:
    members = [(name, place) for place, name in enumerate(FIELDS, 1)]
    if engine == "duckdb":
        struct = "sql:{" + ", ".join(f"'{name}': {value}" for name, value in members) + "}"
    else:
        struct = "sql:named_struct(" + ", ".join(f"'{name}', {value}" for name, value in members) + ")"
    return (key, amount, region, note, loaded_at and f"sql:timestamp '{loaded_at}'", f"odd {key}", struct)


def event_types(engine: str, **changed: str) -> dict[str, str]:
    struct = (
        f"struct({', '.join(f'{name} int' for name in FIELDS)})"
        if engine == "duckdb"
        else f"struct<{', '.join(f'{name}: int' for name in FIELDS)}>"
    )
    return {**EVENT_TYPES, "fields": struct, **changed}


def create_events(project, rows: list[tuple], **changed_types: str) -> None:
    create_source(
        project,
        "events",
        event_types(project.engine, **changed_types),
        [event_row(project.engine, *row) for row in rows],
        properties="tblproperties ('delta.columnMapping.mode' = 'name')",
    )


def model(strategy: str, lateness: str | None, **configs: str) -> str:
    config = {
        "materialized": "'incremental'",
        "incremental_strategy": f"'{strategy}'",
        "post_hook": f'"{BREAKS}"',
        **configs,
    }
    if strategy in ("merge", "delete+insert"):
        config["unique_key"] = "['id']"
    arguments = ", watermark='loaded_at'" + (f", lateness='{lateness}'" if lateness else "")
    return (
        f"{{{{ config({', '.join(f'{name}={value}' for name, value in config.items())}) }}}}\n"
        f"{{{{ lineage_audit.mapped_model('events', source=source('raw', 'events'){arguments}) }}}}\n"
    )


def mapping(engine: str, *grown: tuple) -> list[dict]:
    """field_mapping; with what gold_append maps later, in place of or besides what it maps at first."""
    targets = [
        *STRATEGIES[engine],
        "wrong_key",
        "as_view",
        "as_ephemeral",
        "late_append",
        "foreign_table",
        "no_strategy",
    ]
    replaced = {name for name, *_ in grown}
    appended = [*(column for column in EVENT_COLUMNS if column[0] not in replaced), *grown]
    rows = mapped_columns("places", "gold_overwrite", ("id", "id", {"is_primary_key": True}), ("region", "region"))
    for target in targets:
        rows += mapped_columns("events", target, *(appended if target == "gold_append" else EVENT_COLUMNS))
    return rows


@pytest.fixture(scope="module")
def project(make_project, engine):
    grows = {"on_schema_change": "'append_new_columns'"}
    models = {
        name: model(strategy, lateness, **(grows if name == "gold_append" else {}))
        for name, (strategy, lateness) in STRATEGIES[engine].items()
    }
    plain = "{{{{ config({config}) }}}}\n{{{{ lineage_audit.mapped_model('events', source=source('raw', 'events'){arguments}) }}}}\n"
    models |= {
        "wrong_key": plain.format(
            config="materialized='incremental', incremental_strategy='merge', unique_key=['region']", arguments=""
        ),
        "as_view": plain.format(config="materialized='view'", arguments=""),
        "as_ephemeral": plain.format(config="materialized='ephemeral'", arguments=""),
        "reads_ephemeral": "select * from {{ ref('as_ephemeral') }}",
        "late_append": plain.format(
            config="materialized='incremental', incremental_strategy='append'",
            arguments=", watermark='loaded_at', lateness='3 days'",
        ),
        "foreign_table": plain.format(config="materialized='incremental', incremental_strategy='append'", arguments=""),
        "no_strategy": plain.format(config="materialized='incremental', incremental_strategy='merge'", arguments=""),
    }
    if engine == "spark":
        models["gold_overwrite"] = (
            "{{ config(materialized='incremental', incremental_strategy='insert_overwrite', partition_by=['region']) }}\n"
            "{{ lineage_audit.mapped_model('places', source=source('raw', 'places')) }}\n"
        )
    project = make_project(
        engine,
        models=models,
        properties=source_properties("events", "places"),
        api_endpoints=[{"endpoint_name": name} for name in ("events", "places")],
        field_mapping=mapping(engine),
        business_rules=[rule("F_REGION", "events", "filter", "region <> 'out'")],
        name="incremental",
    )
    create_events(
        project,
        [
            ("e1", "10", "EU", "2024-01-01 10:00:00"),
            ("e2", "bad", "EU", "2024-01-02 10:00:00"),
            ("e3", "30", "US", "2024-01-03 10:00:00"),
            ("e4", "40", "US", None),
            ("e8", "bad", "EU", "2024-01-01 11:00:00"),
        ],
    )
    create_source(project, "places", {"id": "string", "region": "string"}, [("p1", "EU"), ("p2", "US"), ("p3", "EU")])
    project.dbt("seed")
    return project


def run(project, run_id: str, *arguments: str, tables: list[str] | None = None, **variables):
    """One run of the strategies' models, or of these; a test that expects it to fail looks at what it says."""
    names = tables or list(STRATEGIES[project.engine])
    return project.dbt(
        "run", "--select", *names, *arguments, vars={"lineage_audit_run_id": run_id, **variables}, check=False
    )


@dataclass
class Seen:
    """What the tables and views held right after a run, so that no test depends on what ran before it."""

    tables: dict[str, str | None]  # the strategies' models, and their lateness
    invocation: object
    gold: dict[str, list[dict]]
    runs: list[dict]
    cells: list[dict]
    open: list[dict]
    closed: list[dict]

    def rows(self, table: str) -> list[tuple]:
        """(id, amount, the run that wrote the row)."""
        return table_of(self.gold[table], "id", "amount", "_lineage_run_id")

    def audit(self, table: str, run_id: str) -> tuple:
        """(status, input, filtered, rejected, output, watermark from, watermark to) of one run."""
        (row,) = [row for row in self.runs if (row["target_table"], row["run_id"]) == (table, run_id)]
        counted = [row[f"{name}_record_count"] for name in ("input", "filtered", "rejected", "output")]
        return (row["status"], *counted, row["watermark_from"], row["watermark_to"])

    def lineage(self, table: str, run_id: str) -> dict[tuple[str, str], dict]:
        """(target_pk, target_column): source values, of one run."""
        rows = [row for row in self.cells if (row["target_table"], row["run_id"]) == (table, run_id)]
        found = {(row["target_pk"], row["target_column"]): json.loads(row["source_values_json"]) for row in rows}
        assert len(found) == len(rows)
        return found

    def keys_with_lineage(self, table: str, run_id: str) -> list[str]:
        """The keys that have lineage of that run, each with a row per mapped column."""
        cells = self.lineage(table, run_id)
        keys = sorted({key for key, _ in cells})
        assert len(cells) == len(keys) * len({column for _, column in cells})
        return keys

    def open_records(self, table: str) -> list[tuple]:
        rows = [row for row in self.open if row["target_table"] == table]
        return table_of(rows, "target_pk", "failed_rules", "run_id")

    def closed_records(self, table: str, *keys: str) -> list[tuple]:
        # The target's name is the last part of target_relation.
        rows = [
            row for row in self.closed if row["target_relation"].endswith(f".{table}") and row["record_key"] in keys
        ]
        return table_of(rows, "record_key", "closed_as", "run_id")


def look(project, invocation, *more_tables: str) -> Seen:
    audit = f"{project.schema}_audit"
    tables = {name: lateness for name, (_, lateness) in STRATEGIES[project.engine].items()}
    return Seen(
        tables=tables,
        invocation=invocation,
        gold={name: project.query(f"select * from {project.schema}.{name}") for name in [*tables, *more_tables]},
        runs=project.query(f"select * from {audit}.ingestion_run"),
        cells=project.query(f"select * from {audit}.column_lineage"),
        open=project.query(f"select * from {audit}.quarantine"),
        closed=project.query(f"select * from {audit}.closed_record"),
    )


MARK_1 = "2024-01-03T10:00:00.000000"
MARK_3 = "2024-01-05T10:00:00.000000"


# --- the first run -----------------------------------------------------------------------------------------------


def overwritten(engine: str) -> list[str]:
    return ["gold_overwrite"] if engine == "spark" else []


@pytest.fixture(scope="module")
def first_run(project, engine):
    names = [*STRATEGIES[engine], *overwritten(engine), "package:lineage_audit"]
    return look(project, run(project, "r1", tables=names), *overwritten(engine))


def test_the_first_run_reads_the_whole_source(first_run):
    assert first_run.invocation.success
    for table in first_run.tables:
        assert first_run.rows(table) == [("e1", 10, "r1"), ("e3", 30, "r1")]
        assert first_run.audit(table, "r1") == ("SUCCESS", 5, 0, 3, 2, None, MARK_1)
        assert first_run.keys_with_lineage(table, "r1") == ["e1", "e3"]


def test_a_row_without_watermark_is_refused(first_run):
    for table in first_run.tables:
        assert first_run.open_records(table) == [
            ("e2", ["cast:amount"], "r1"),
            ("e4", ["not_null:loaded_at"], "r1"),
            ("e8", ["cast:amount"], "r1"),
        ]


# --- nothing new -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def empty_run(first_run, project):
    return look(project, run(project, "r2"))


def test_an_empty_run_keeps_the_mark_and_refuses_rows_without_watermark_again(empty_run):
    for table, lateness in empty_run.tables.items():
        # With lateness e3 is read once more: it is younger than 2024-01-02 10:00, and e2 is not.
        read = 2 if lateness else 1
        assert empty_run.audit(table, "r2") == ("SUCCESS", read, 0, 1, read - 1, MARK_1, MARK_1)
        assert empty_run.rows(table) == [("e1", 10, "r1"), ("e3", 30, "r2" if lateness else "r1")]
        assert empty_run.keys_with_lineage(table, "r2") == (["e3"] if lateness else [])
        # e4 was seen again, and is still one record.
        assert empty_run.open_records(table) == [
            ("e2", ["cast:amount"], "r1"),
            ("e4", ["not_null:loaded_at"], "r2"),
            ("e8", ["cast:amount"], "r1"),
        ]


# --- a run that fails after it has written -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def failed_run(empty_run, project):
    insert_into_source(
        project,
        "events",
        [
            event_row(project.engine, *row)
            for row in (
                ("e2", "20", "EU", "2024-01-04 10:00:00"),  # mended
                ("e3", "worse", "US", "2024-01-04 11:00:00"),  # a new version that is refused
                ("e5", "50", "EU", "2024-01-03 09:00:00"),  # late
                ("e6", "60", "EU", "2024-01-05 10:00:00"),
                ("e8", "bad", "out", "2024-01-04 12:00:00"),  # filtered now
            )
        ],
    )
    return look(project, run(project, "r3", **{"break": True}))


def test_nothing_of_a_failed_run_counts(failed_run):
    assert "the_hook_of_the_user_fails" in failed_run.invocation.messages
    for table in failed_run.tables:
        (status, *_, mark_from, mark_to) = failed_run.audit(table, "r3")
        assert (status, mark_from, mark_to) == ("FAILED", MARK_1, None)
        assert failed_run.lineage(table, "r3") == {}
        assert [key for key, *_ in failed_run.open_records(table)] == ["e2", "e4", "e8"]


def test_a_failed_run_is_known_to_have_started(failed_run):
    # On DuckDB nothing of the model's transaction outlives the failure, and the source's schema is one that dbt looks up
    # while it compiles the model.
    for table in failed_run.tables:
        (run,) = [run for run in failed_run.runs if (run["target_table"], run["run_id"]) == (table, "r3")]
        assert run["run_start_ts"] < run["run_end_ts"]


def test_a_failed_run_leaves_rows_only_where_the_engine_cannot_roll_back(failed_run, engine):
    dead = {"e2", "e6"} if engine == "spark" else set()
    assert {key for key, _, run_id in failed_run.rows("gold_append") if run_id == "r3"} == dead


# --- new, late, mended and refused rows --------------------------------------------------------------------------


def leave_what_a_killed_run_leaves(project) -> None:
    """A STARTED, and rows in gold, of an invocation that never said more."""
    gold, events = f"{project.schema}.gold_append", f"{project.schema}_audit.run_event"
    relation = project.value(f"select max(target_relation) from {events} where target_table = 'gold_append'")
    now = datetime.now(UTC).replace(tzinfo=None)
    without = "exclude" if project.engine == "duckdb" else "except"
    project.execute(
        f"insert into {events} (event_type, event_ts, run_id, invocation_id, target_relation, target_table) "
        f"values ('STARTED', timestamp '{now}', 'killed', 'killed', '{relation}', 'gold_append')",
        f"insert into {gold} by name select * {without} (id, _lineage_invocation_id), "
        f"'dead' as id, 'killed' as _lineage_invocation_id from {gold} where id = 'e1'",
    )


@pytest.fixture(scope="module")
def later_run(failed_run, project, engine):
    # The whole of gold_overwrite's source is replaced: one region is there again, the other is not.
    create_source(project, "places", {"id": "string", "region": "string"}, [("p4", "EU")])
    leave_what_a_killed_run_leaves(project)
    names = [*STRATEGIES[engine], *overwritten(engine)]
    # Under the run_id of the attempt that failed, as a job that retries does.
    return look(project, run(project, "r3", tables=names), *overwritten(engine))


def test_a_run_reads_what_is_newer_than_the_mark_and_leaves_no_dead_row(later_run):
    assert later_run.rows("gold_append") == [("e1", 10, "r1"), ("e2", 20, "r3"), ("e3", 30, "r1"), ("e6", 60, "r3")]
    # Read: e2, e3's refused version, e6, e8, which is filtered, and e4 once more.
    assert later_run.audit("gold_append", "r3") == ("SUCCESS", 5, 1, 2, 2, MARK_1, MARK_3)
    assert later_run.keys_with_lineage("gold_append", "r3") == ["e2", "e6"]


def test_a_killed_run_is_shown_as_interrupted(later_run):
    (run,) = [run for run in later_run.runs if run["run_id"] == "killed"]
    assert (run["status"], run["error_message"]) == ("FAILED", "interrupted")


def test_lateness_reads_rows_below_the_mark_and_writes_none_twice(later_run):
    late = [table for table, lateness in later_run.tables.items() if lateness]
    assert late
    for table in late:
        assert later_run.rows(table) == [
            ("e1", 10, "r1"),
            ("e2", 20, "r3"),
            ("e3", 30, "r3"),
            ("e5", 50, "r3"),
            ("e6", 60, "r3"),
        ]
        # Read besides: e3 as it was, and e5. The mark that is shown is the one before lateness.
        assert later_run.audit(table, "r3") == ("SUCCESS", 7, 1, 2, 4, MARK_1, MARK_3)
        assert later_run.keys_with_lineage(table, "r3") == ["e2", "e3", "e5", "e6"]


def test_a_mended_or_filtered_record_is_closed_and_a_refused_version_leaves_the_accepted_one(later_run):
    for table in later_run.tables:
        assert later_run.open_records(table) == [("e3", ["cast:amount"], "r3"), ("e4", ["not_null:loaded_at"], "r3")]
        # Closed once, by the attempt that succeeded.
        assert later_run.closed_records(table, "e2", "e8") == [("e2", "accepted", "r3"), ("e8", "filtered", "r3")]


def test_insert_overwrite_replaces_the_partitions_that_the_run_wrote(later_run, engine):
    for table in overwritten(engine):
        assert table_of(later_run.gold[table], "id", "region", "_lineage_run_id") == [
            ("p2", "US", "r1"),
            ("p4", "EU", "r3"),
        ]
        assert later_run.audit(table, "r3") == ("SUCCESS", 1, 0, 0, 1, None, None)
        assert later_run.keys_with_lineage(table, "r1") == ["p1", "p2", "p3"]
        assert later_run.keys_with_lineage(table, "r3") == ["p4"]


# --- a mapping that changes --------------------------------------------------------------------------------------


def leave_what_a_run_killed_before_it_grew_the_struct_leaves(project) -> None:
    """A STARTED that says which fields there were to be."""
    events = f"{project.schema}_audit.run_event"
    relation = project.value(f"select max(target_relation) from {events} where target_table = 'gold_append'")
    text = "varchar" if project.engine == "duckdb" else "string"
    fields = [{"name": "odd name", "type": text, "mark": "none", "field_type": text, "in_struct": True}]
    now = datetime.now(UTC).replace(tzinfo=None)
    project.execute(
        f"insert into {events} (event_type, event_ts, run_id, invocation_id, target_relation, whole_table, source_fields) "
        f"values ('STARTED', timestamp '{now}', 'killed', 'killed early', '{relation}', false, '{json.dumps(fields)}')"
    )


@pytest.fixture(scope="module")
def grown_run(later_run, project, engine):
    odd = quoted(engine, "odd name")
    grown = (
        # Another source column for a column that is there: `note` is used no more.
        ("shout", "region", {"transform_expr": "upper(region)"}),
        # Columns that gold does not have, made of source columns that its struct does not have.
        ("last_field", "fields", {"transform_expr": "fields.f30"}),
        ("odd one", "odd name", {"transform_expr": f"upper({odd})"}),
    )
    project.write("seeds/field_mapping.csv", mapping(engine, *grown))
    insert_into_source(project, "events", [event_row(engine, "e7", "70", "eu", "2024-01-06 10:00:00")])
    project.dbt("seed", "--select", "field_mapping")
    leave_what_a_run_killed_before_it_grew_the_struct_leaves(project)
    # An attempt that fails when its rows are written: what it added to the struct stays where nothing is rolled back.
    assert not run(project, "r4", tables=["gold_append"], **{"break": True}).success
    return look(project, run(project, "r4", tables=["gold_append"]))


def test_columns_that_are_mapped_later_are_added_and_explained(grown_run):
    assert grown_run.invocation.success
    rows = [row for row in grown_run.gold["gold_append"] if row["id"] in ("e6", "e7")]
    assert table_of(rows, "id", "shout", "last_field", "odd one") == [
        ("e6", "N", None, None),
        ("e7", "EU", 30, "ODD E7"),
    ]
    cells = grown_run.lineage("gold_append", "r4")
    (fields,) = cells.pop(("e7", "last_field")).values()
    assert json.loads(fields) == {name: place for place, name in enumerate(FIELDS, 1)}
    assert cells == {
        ("e7", "id"): {"id": "e7"},
        ("e7", "amount"): {"amount": "70"},
        ("e7", "region"): {"region": "eu"},
        ("e7", "shout"): {"region": "eu"},
        ("e7", "odd one"): {"odd name": "odd e7"},
    }


def test_the_struct_keeps_a_source_column_that_is_used_no_more(grown_run):
    kept = {row["id"]: row["_lineage_source_values"] for row in grown_run.gold["gold_append"]}
    assert (kept["e6"]["note"], kept["e7"]["note"]) == ("n", None)
    assert (kept["e6"]["odd name"], kept["e7"]["odd name"]) == (None, "odd e7")


def test_lineage_of_earlier_runs_says_what_was_used_then(grown_run):
    found = [
        {**row, "source_values_json": json.loads(row["source_values_json"])}
        for row in grown_run.cells
        if (row["target_table"], row["target_column"]) == ("gold_append", "shout") and row["target_pk"] in ("e6", "e7")
    ]
    assert table_of(found, "run_id", "transform_expr", "source_values_json") == [
        ("r3", "upper(note)", {"note": "n"}),
        ("r4", "upper(region)", {"region": "eu"}),
    ]


# --- a source type that changes, and a full refresh --------------------------------------------------------------


@pytest.fixture(scope="module")
def changed_type(grown_run, project):
    create_events(
        project,
        [
            ("e1", "11", "EU", "2024-01-01 10:00:00"),
            ("e3", "33", "US", "2024-01-02 10:00:00"),
            ("e4", "44", "US", None),
        ],
        amount="int",
    )
    return look(project, run(project, "r5"))


def test_a_changed_source_type_asks_for_a_full_refresh(changed_type, grown_run, engine):
    before, after = ("varchar", "integer") if engine == "duckdb" else ("string", "int")
    for table in changed_type.tables:
        assert changed_type.invocation.statuses[table] == "error"
        message = str(changed_type.invocation.nodes[table].message).lower()
        assert "source column amount" in message
        assert f"was {before}" in message
        assert f"is {after}" in message
        assert "--full-refresh" in message
        # Found before anything was written.
        assert changed_type.rows(table) == grown_run.rows(table)
        assert changed_type.audit(table, "r5")[0] == "FAILED"


@pytest.fixture(scope="module")
def refreshed(changed_type, project):
    return look(project, run(project, "r6", "--full-refresh"))


def test_a_full_refresh_starts_anew(refreshed):
    for table in refreshed.tables:
        assert refreshed.rows(table) == [("e1", 11, "r6"), ("e3", 33, "r6")]
        # Its mark is that of the source as it is now, lower than the one before.
        assert refreshed.audit(table, "r6") == ("SUCCESS", 3, 0, 1, 2, None, "2024-01-02T10:00:00.000000")
        assert refreshed.keys_with_lineage(table, "r6") == ["e1", "e3"]
        # The store keeps what was; e3 was accepted at last.
        assert refreshed.open_records(table) == [("e4", ["not_null:loaded_at"], "r6")]
        assert refreshed.keys_with_lineage(table, "r1") == ["e1", "e3"]


# --- a full refresh that fails when it has replaced the table ----------------------------------------------------


@pytest.fixture(scope="module")
def after_failed_refresh(refreshed, project):
    failed = run(project, "r7", "--full-refresh", **{"break": True})
    left = look(project, failed)
    return left, look(project, run(project, "r8"))


def test_a_failed_full_refresh_loses_no_row(after_failed_refresh, engine):
    left, seen = after_failed_refresh
    for table in seen.tables:
        replaced_by = {run_id for _, _, run_id in left.rows(table)}
        assert replaced_by == ({"r7"} if engine == "spark" else {"r6"})
        # The next run goes without the flag: it reads all where the table was replaced, and what is new where it was not.
        assert [(key, amount) for key, amount, _ in seen.rows(table)] == [("e1", 11), ("e3", 33)]
        assert seen.audit(table, "r8")[0] == "SUCCESS"
        for key, _, run_id in seen.rows(table):
            assert key in seen.keys_with_lineage(table, run_id)


# --- what is refused before any data moves -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def refused(project, first_run):
    project.execute(
        f"create table {project.schema}.foreign_table {'using delta' if project.engine == 'spark' else ''} as select 'e1' as id"
    )
    names = ["wrong_key", "as_view", "as_ephemeral", "reads_ephemeral", "late_append", "foreign_table", "no_strategy"]
    return project.dbt("run", "--select", *names, check=False)


@pytest.mark.parametrize(
    ("model_name", "message"),
    [
        ("wrong_key", "unique_key of wrong_key: [region] is not the key of field_mapping, [id]."),
        ("as_view", "a mapped model can't be 'view'."),
        ("late_append", "lateness reads rows again, and strategy append would write them twice."),
        ("foreign_table", "the table is there, and the audit store knows of no run that built it."),
        ("no_strategy", "unique_key of no_strategy: is missing, and strategy merge needs it."),
    ],
)
def test_a_model_that_cannot_work_is_refused(refused, project, model_name, message):
    assert refused.statuses[model_name] == "error"
    assert message in str(refused.nodes[model_name].message)
    assert (
        project.value(
            f"select count(*) from {project.schema}_audit.run_event where target_table = '{model_name}' and event_type = 'STARTED'"
        )
        == 0
    )


def test_an_ephemeral_mapped_model_is_refused(refused):
    # dbt reports an ephemeral model through the one that reads it.
    assert refused.statuses["reads_ephemeral"] in ("error", "skipped")
    assert "a mapped model can't be 'ephemeral'." in refused.messages
