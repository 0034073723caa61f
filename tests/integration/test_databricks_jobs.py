"""Jobs at the same time on one audit store, two on one table, and faults of the connection: each run is complete, or counts for nothing."""

from __future__ import annotations

import itertools
import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from dbt_process import DbtProcess
from mapped_cases import create_source, insert_into_source, literal, mapped_columns, source_properties, table_of

pytestmark = pytest.mark.databricks

JOBS = 8
TYPES = {"id": "string", "amount": "string", "loaded_at": "timestamp"}
ROWS = [
    ("a1", "10", "sql:timestamp '2024-01-01 10:00:00'"),
    ("a2", "20", "sql:timestamp '2024-01-02 10:00:00'"),
    ("a3", "many", "sql:timestamp '2024-01-03 10:00:00'"),
]
GOLD = [f"gold_{number}" for number in range(1, JOBS + 1)]
MODEL = "{{ lineage_audit.mapped_model('items', source=source('raw', 'items')) }}"
INCREMENTAL = "{{ lineage_audit.mapped_model('items', source=source('raw', 'items'), watermark='loaded_at') }}"
MERGED = "{{ config(materialized='incremental', incremental_strategy='merge', unique_key='id') }}\n" + INCREMENTAL
APPENDED = "{{ config(materialized='incremental', incremental_strategy='append') }}\n" + INCREMENTAL
COLUMNS = (("id", "id", {"is_primary_key": True}), ("amount", "amount", {"data_type": "int"}))


def make_shop(make_project):
    project = make_project(
        "databricks",
        name="jobs",
        artifacts=True,
        config={"models": {"jobs": {"+materialized": "table"}}},
        models={**dict.fromkeys(GOLD, MODEL), "gold_merged": MERGED, "gold_appended": APPENDED},
        properties=source_properties("items"),
        api_endpoints=[{"endpoint_name": "items"}],
        field_mapping=[
            row for name in [*GOLD, "gold_merged", "gold_appended"] for row in mapped_columns("items", name, *COLUMNS)
        ],
        business_rules=[],
    )
    create_source(project, "items", TYPES, ROWS)
    project.dbt("seed")
    return project


def start_job(project, number: int, *arguments: str) -> DbtProcess:
    target = project.workspace / f"job_{number}" / "target"
    target.mkdir(parents=True, exist_ok=True)
    # The project as it was parsed already: to parse it takes a process longer than its one model.
    shutil.copy(project.target / "partial_parse.msgpack", target)
    places = {
        "--project-dir": project.directory, "--profiles-dir": project.workspace, "--target-path": target,
        "--log-path": target.with_name("logs"),
    }  # fmt: skip
    command = ["run", *arguments, *map(str, itertools.chain(*places.items())), "--no-use-colors"]
    return DbtProcess(command, target.with_name("printed"))


def answers(jobs: list[DbtProcess]) -> list[tuple[int, str]]:
    return [job.wait() for job in jobs]


def runs(project) -> list[tuple]:
    rows = project.query(
        "select target_table, status, input_record_count as i, rejected_record_count as r, output_record_count as o "
        f"from {project.schema}_audit.ingestion_run"
    )
    return table_of(rows, "target_table", "status", "i", "r", "o")


def lineage(project, *tables: str) -> list[tuple]:
    """(table, key, column, number of copies) of what gold holds now."""
    rows = []
    for table in tables:
        rows += project.query(
            f"select '{table}' as target, l.target_pk, l.target_column, count(*) as copies "
            f"from {project.schema}_audit.column_lineage as l inner join {project.schema}.{table} as gold "
            "on l.invocation_id = gold._lineage_invocation_id and l.target_pk = gold.id "
            f"where l.target_table = '{table}' group by all"
        )
    return table_of(rows, "target", "target_pk", "target_column", "copies")


def once(tables, keys) -> list[tuple]:
    return sorted((table, key, column, 1) for table in tables for key in keys for column in ("id", "amount"))


@pytest.mark.parametrize("store", ["there", "not yet there"])
def test_eight_jobs_write_one_store_at_once(make_project, databricks, store):
    """Of a store that is there every job brings the views up to date, too. The first job that makes a view is alone."""
    project = make_shop(make_project)
    views = ["package:lineage_audit"] if store == "there" else []
    if views:
        project.dbt("run", "--select", *views)
    ended = answers([start_job(project, number, "--select", name, *views) for number, name in enumerate(GOLD)])
    failed = [output for code, output in ended if code]
    assert not failed, "\n".join(failed)
    project.dbt("run", "--select", "package:lineage_audit")
    assert runs(project) == [(name, "SUCCESS", 3, 1, 2) for name in GOLD]
    assert lineage(project, *GOLD) == once(GOLD, ["a1", "a2"])
    open_records = project.query(f"select target_table, target_pk from {project.schema}_audit.quarantine")
    assert table_of(open_records, "target_table", "target_pk") == [(name, "a3") for name in GOLD]


def test_a_view_is_there_while_it_is_replaced(databricks):
    """Whoever reads, describes or lists it on the stand-in meets the old one or the new one."""
    view = "main.default.replaced"

    def replace(number: int) -> str:
        return f"create or replace view {view} (n comment 'a column') comment 'a view' as select {number} as n"

    databricks.query(replace(0))
    stop = threading.Event()

    def replace_on() -> None:
        with databricks.connect() as connected, connected.cursor() as cursor:
            for number in itertools.count(1):
                if stop.is_set():
                    break
                cursor.execute(replace(number))

    seen = []
    with ThreadPoolExecutor() as threads, databricks.connect() as connected, connected.cursor() as cursor:
        replacing = [threads.submit(replace_on) for _ in range(2)]
        try:
            for _ in range(40):
                seen += cursor.execute(f"select n from {view}").fetchall()
                described = json.loads(cursor.execute(f"describe table extended {view} as json").fetchall()[0][0])
                assert (described["comment"], described["columns"][0]["comment"]) == ("a view", "a column")
                assert "replaced" in [row.TABLE_NAME for row in cursor.tables("main", "default").fetchall()]
        finally:
            stop.set()
        for each in replacing:
            each.result()
    assert len(set(seen)) > 3
    databricks.query(f"drop view {view}")


@pytest.fixture(scope="module")
def shop(make_project, databricks_process):
    project = make_shop(make_project)
    project.dbt("run", "--select", "gold_1", "gold_2", "gold_merged", "gold_appended", "package:lineage_audit")
    return project


def amounts(project, table: str) -> list[tuple]:
    return table_of(project.query(f"select id, amount from {project.schema}.{table}"), "id", "amount")


@pytest.mark.parametrize("table", ["gold_1", "gold_merged"])
def test_two_jobs_on_one_table(shop, databricks, table):
    """At most one fails, and says why; what counts is right, and a plain run afterwards heals."""
    insert_into_source(shop, "items", [(f"b_{table}", "30", "sql:timestamp '2024-02-01 10:00:00'")])
    ended = answers([start_job(shop, number, "--select", table) for number in range(2)])
    failed = [output for code, output in ended if code]
    assert len(failed) <= 1, "\n".join(failed)
    assert all("lineage_audit" in output or "DELTA_" in output for output in failed), failed
    keys_with_lineage = {row[1] for row in lineage(shop, table)}
    shop.dbt("run", "--select", table)
    expected = [("a1", 10), ("a2", 20), (f"b_{table}", 30)]
    held = [row for row in amounts(shop, table) if row[0][0] == "a" or row[0] == f"b_{table}"]
    assert held == expected
    assert keys_with_lineage <= {row[0] for row in amounts(shop, table)}
    assert lineage(shop, table) == once([table], [row[0] for row in amounts(shop, table)])


FAULTS = ("unavailable", "lost", "unanswered", "expired")
# STARTED, gold, its lineage, SUCCESS: the text by which each statement is known.
STATEMENTS = ("'STARTED'", "create or replace table", "insert into `main`.`{schema}_audit`.`cell_lineage`", "'SUCCESS'")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_connection(shop, databricks, fault):
    """The run ends as SUCCESS with everything, or with nothing that counts; the next one is complete."""
    audit = f"{shop.schema}_audit"
    for statement in STATEMENTS:
        run_id = f"{fault} {statement}"
        databricks.inject(fault, statement.format(schema=shop.schema))
        run = shop.dbt("run", "--select", "gold_2", vars={"lineage_audit_run_id": run_id}, check=False)
        assert databricks.state()["faults"] == []
        of_run = "where run_id = " + literal("spark", run_id)
        found = shop.query(f"select status, output_record_count as records from {audit}.ingestion_run {of_run}")
        logged = shop.value(f"select count(*) from {audit}.column_lineage {of_run}")
        held = len(amounts(shop, "gold_2"))
        if found and found[0]["status"] == "SUCCESS":
            assert (found, logged) == ([{"status": "SUCCESS", "records": held}], 2 * held), run_id
        else:
            assert (run.success, logged) == (False, 0), run_id
        # The connector asks again where the service says that it may, and where it got no answer.
        assert run.success or fault != "unavailable", run.messages
    shop.dbt("run", "--select", "gold_2")
    assert lineage(shop, "gold_2") == once(["gold_2"], [key for key, _ in amounts(shop, "gold_2")])


def test_what_the_connector_sends_twice_does_not_count(shop, databricks):
    """It doesn't know whether a statement without an answer was executed. https://github.com/databricks/dbt-databricks/issues/1315"""
    insert_into_source(shop, "items", [("c1", "40", "sql:timestamp '2024-03-01 10:00:00'")])
    for table, said in (
        (f"`main`.`{shop.schema}_audit`.`cell_lineage`", "lineage does not add up"),
        (f"`main`.`{shop.schema}`.`gold_appended`", "records do not add up"),
    ):
        databricks.inject("unanswered", f"insert into {table}")
        run = shop.dbt("run", "--select", "gold_appended", check=False)
        assert databricks.state()["faults"] == []
        assert not run.success
        assert said in run.messages
        assert ("gold_appended", "c1", "id", 1) not in lineage(shop, "gold_appended")
    shop.dbt("run", "--select", "gold_appended")
    keys = [key for key, _ in amounts(shop, "gold_appended")]
    assert keys.count("c1") == 1
    assert lineage(shop, "gold_appended") == once(["gold_appended"], keys)
