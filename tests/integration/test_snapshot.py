"""A source that somebody writes to while models read it: what a run reads is one snapshot, and every row is accounted for."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest


def mapping(target_table: str) -> list[dict]:
    common = {"endpoint_name": "orders", "target_table": target_table, "source_table": "orders"}
    return [
        {
            **common,
            "target_column": "order_id",
            "source_columns": "order_id",
            "is_primary_key": True,
            "column_position": 1,
        },
        {**common, "target_column": "amount", "source_columns": "amount", "data_type": "integer", "column_position": 2},
    ]


# Of ten consecutive orders one is filtered, one is no number, one is refused by the rule and seven are accepted.
def order(number: int) -> tuple[int, str]:
    return number, {0: "-1000", 1: "n/a", 2: "0"}.get(number % 10, "5")


BUSINESS_RULES = [
    {"business_rule_id": "NO_TEST", "endpoint_name": "orders", "rule_category": "filter", "rule_expression": "amount <> '-1000'"},
    {
        "business_rule_id": "POSITIVE",
        "endpoint_name": "orders",
        "rule_category": "validation",
        "rule_expression": "amount > 0",
        "severity": "ERROR",
    },
]  # fmt: skip

COUNTS = ("input_record_count", "filtered_record_count", "rejected_record_count", "output_record_count")


def accounted(project, store: str, table: str, watermark: bool = False) -> dict:
    """The last run of a table, whose four counts are what gold and the store hold and what the orders' numbers say."""
    (run,) = project.query(
        f"select * from (select *, row_number() over (order by run_start_ts desc) as age"
        f" from {store}.ingestion_run where target_table = '{table}') as runs where age = 1"
    )
    assert run["status"] == "SUCCESS", run["error_message"]
    of_run = f"invocation_id = '{run['invocation_id']}'"
    gold = project.query(f"select order_id from {project.schema}.{table} where _lineage_{of_run}")
    rejected = project.query(
        f"select target_pk from {store}.rejected_record where {of_run} and target_relation = '{run['target_relation']}'"
    )
    cells = project.value(f"select count(*) from {store}.column_lineage where {of_run} and target_table = '{table}'")
    accepted = sorted(row["order_id"] for row in gold)
    refused = sorted(int(row["target_pk"]) for row in rejected)
    read = run["input_record_count"]
    assert accepted == [number for number in range(read) if number % 10 not in (0, 1, 2)]
    assert refused == [number for number in range(read) if number % 10 in (1, 2)]
    assert run["filtered_record_count"] == len([number for number in range(read) if number % 10 == 0])
    assert run["output_record_count"] == len(accepted)
    assert run["rejected_record_count"] == len(refused)
    assert cells == 2 * len(accepted)
    return run


def run_beside_a_writer(project, models, write, *arguments: str):
    """dbt run, calling `write` before each statement that is sent for the models; what dbt sent for them."""
    from dbt.cli.main import dbtRunner

    sent: list[tuple[str, str]] = []

    def before_statement(event) -> None:
        if event.info.name == "SQLQuery" and event.data.node_info.node_name in models:
            sent.append((event.data.node_info.node_name, event.data.sql))
            write()

    try:
        result = dbtRunner(callbacks=[before_statement]).invoke(
            [
                "run", "--select", "package:lineage_audit", *models, *arguments,
                "--project-dir", str(project.directory), "--profiles-dir", str(project.workspace),
                "--target-path", str(project.target), "--log-path", str(project.workspace / "logs"),
            ]
        )  # fmt: skip
    finally:
        project._let_go_of_the_database()
    assert result.success, [(each.node.name, each.message) for each in result.result.results]
    return sent


# --- Delta: a writer in a second thread ----------------------------------------------------------------------------

HALVES = ("orders_even", "orders_odd")
DELTA_MODELS = {
    "of_table": "{{ lineage_audit.mapped_model('orders', source=source('raw', 'orders')) }}",
    "of_view": "{{ lineage_audit.mapped_model('orders', source=source('raw', 'all_orders')) }}",
}


class Writer(threading.Thread):
    """Appends the next ten orders each time that it is woken, until it is told to stop."""

    def __init__(self, spark, schema: str):
        super().__init__(daemon=True)
        self.session = spark.newSession()
        self.schema = schema
        self.woken = threading.Event()
        self.stopped = False
        self.versions = 0
        self.error: BaseException | None = None

    def append(self) -> None:
        orders = [order(number) for number in range(10 * self.versions, 10 * self.versions + 10)]
        for table, wanted in (("orders", (0, 1)), ("orders_even", (0,)), ("orders_odd", (1,))):
            rows = ", ".join(f"({number}, '{amount}')" for number, amount in orders if number % 2 in wanted)
            self.session.sql(f"insert into {self.schema}.{table} values {rows}")
        self.versions += 1

    def run(self) -> None:
        try:
            while True:
                self.woken.wait()
                self.woken.clear()
                if self.stopped:
                    return
                self.append()
        except BaseException as error:
            self.error = error

    def stop(self) -> None:
        self.stopped = True
        self.woken.set()
        self.join()


@pytest.fixture(scope="module")
def busy_delta(make_project):
    project = make_project(
        "spark",
        models=DELTA_MODELS,
        properties={
            "sources": [
                {"name": "raw", "schema": "{{ target.schema }}", "tables": [{"name": "orders"}, {"name": "all_orders"}]}
            ]
        },
        api_endpoints=[{"endpoint_name": "orders"}],
        field_mapping=[row for model in DELTA_MODELS for row in mapping(model)],
        business_rules=BUSINESS_RULES,
        config={"models": {"consumer": {"+materialized": "table"}}},
    )
    schema = project.schema
    project.execute(f"create schema if not exists {schema}")
    for table in ("orders", *HALVES):
        project.execute(f"create table {schema}.{table} (order_id bigint, amount string) using delta")
    project.execute(
        f"create view {schema}.all_orders as"
        f" select * from {schema}.orders_even union all select * from {schema}.orders_odd"
    )
    project.dbt("seed")
    writer = Writer(project.spark, schema)
    writer.append()
    writer.start()
    try:
        sent = run_beside_a_writer(project, DELTA_MODELS, writer.woken.set)
    finally:
        writer.stop()
    return SimpleNamespace(project=project, store=f"{schema}_audit", writer=writer, sent=sent)


def statements_of(busy_delta, model: str) -> list[str]:
    return [sql for name, sql in busy_delta.sent if name == model]


@pytest.mark.spark
def test_writer_wrote_while_models_ran(busy_delta):
    """Else the tests below would prove nothing."""
    assert busy_delta.writer.error is None
    assert busy_delta.writer.versions > 3
    written = busy_delta.project.value(f"select count(*) from {busy_delta.project.schema}.orders")
    assert written == 10 * busy_delta.writer.versions
    assert written > accounted(busy_delta.project, busy_delta.store, "of_table")["input_record_count"]


@pytest.mark.spark
def test_delta_table_is_read_at_one_version(busy_delta):
    run = accounted(busy_delta.project, busy_delta.store, "of_table")
    assert run["input_record_count"] % 10 == 0
    reads = {
        word
        for sql in statements_of(busy_delta, "of_table")
        for word in sql.split("version as of ")[1:2]
        for word in word.split()[:1]
    }
    assert len(reads) == 1


@pytest.mark.spark
def test_view_over_two_tables_is_read_once(busy_delta):
    """Its two tables grow one after the other: what it gave at one moment need not be whole tens."""
    project = busy_delta.project
    run = view_run(busy_delta)
    assert run["status"] == "SUCCESS", run["error_message"]
    accepted = project.query(f"select order_id from {project.schema}.of_view")
    refused = project.query(
        f"select target_pk from {busy_delta.store}.rejected_record where target_relation = '{run['target_relation']}'"
    )
    numbers = {row["order_id"] for row in accepted} | {int(row["target_pk"]) for row in refused}
    # Of the numbers that were read the filtered ones are missing; each of the others stands in exactly one place.
    assert len(accepted) + len(refused) == len(numbers)
    even = {number for number in numbers if number % 2 == 0}
    odd = numbers - even
    assert even == {number for number in range(0, run_end(even), 2) if number % 10 != 0}
    assert odd == set(range(1, run_end(odd), 2))
    assert run["input_record_count"] == run_end(even) // 2 + run_end(odd) // 2
    assert run["filtered_record_count"] == run_end(even) // 10
    assert run["rejected_record_count"] == len(refused)
    assert run["output_record_count"] == len(accepted)


def run_end(numbers: set[int]) -> int:
    """Orders come in tens."""
    return (max(numbers) // 10 + 1) * 10


def view_run(busy_delta) -> dict:
    (run,) = busy_delta.project.query(f"select * from {busy_delta.store}.ingestion_run where target_table = 'of_view'")
    return run


@pytest.mark.spark
def test_staged_copy_of_the_view_is_gone(busy_delta):
    staged = [sql for sql in statements_of(busy_delta, "of_view") if "of_view__lineage_source" in sql]
    assert staged
    tables = {row["tableName"] for row in busy_delta.project.query(f"show tables in {busy_delta.project.schema}")}
    assert {table for table in tables if table.startswith("of_")} == {"of_table", "of_view"}
    reads = [sql for sql in statements_of(busy_delta, "of_view") if "all_orders" in sql and "select" in sql.lower()]
    reading = [sql for sql in reads if f"{busy_delta.project.schema}.all_orders" in sql]
    assert len(reading) == 1, "the view was read more than once"


# --- DuckDB: somebody writes before every statement that a model sends ------------------------------------------------

DUCKDB_MODELS = {
    "rebuilt": "{{ config(materialized='table') }}{{ lineage_audit.mapped_model('orders', source=source('raw', 'orders')) }}",
    "appended": (
        "{{ config(materialized='incremental', incremental_strategy='append') }}"
        "{{ lineage_audit.mapped_model('orders', source=source('raw', 'orders'), watermark='order_id') }}"
    ),
}


def append_ten_orders(project) -> None:
    """By another connection to the database that dbt has open."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    other = DuckDBConnectionManager.env().conn.cursor()
    first = other.execute(f"select count(*) from {project.schema}.orders").fetchone()[0]
    values = ", ".join(f"({number}, '{amount}')" for number, amount in map(order, range(first, first + 10)))
    other.execute(f"insert into {project.schema}.orders values {values}")
    other.close()


@pytest.fixture(scope="module")
def busy_duckdb(make_project):
    project = make_project(
        "duckdb",
        models=DUCKDB_MODELS,
        properties={"sources": [{"name": "raw", "schema": "{{ target.schema }}", "tables": [{"name": "orders"}]}]},
        api_endpoints=[{"endpoint_name": "orders"}],
        field_mapping=[row for name in DUCKDB_MODELS for row in mapping(name)],
        business_rules=BUSINESS_RULES,
    )
    project.execute(
        f"create schema {project.schema}",
        f"create table {project.schema}.orders (order_id bigint, amount varchar)",
    )
    project.dbt("seed")
    return project


def test_table_is_read_as_it_was_when_the_transaction_began(busy_duckdb):
    project = busy_duckdb
    sent = run_beside_a_writer(project, ["rebuilt"], lambda: append_ten_orders(project), "--threads", "1")
    assert len(sent) >= 8
    run = accounted(project, f"{project.schema}_audit", "rebuilt")
    # Some were written before the model read, and some after.
    assert 0 < run["input_record_count"] < project.value(f"select count(*) from {project.schema}.orders")


def test_incremental_runs_lose_and_double_no_row(busy_duckdb):
    project = busy_duckdb
    for _ in range(3):
        run_beside_a_writer(project, ["appended"], lambda: append_ten_orders(project), "--threads", "1")
    runs = project.query(
        f"select * from {project.schema}_audit.ingestion_run where target_table = 'appended' order by run_start_ts"
    )
    read = 0
    for run in runs:
        assert run["status"] == "SUCCESS"
        assert run["watermark_from"] == (str(read - 1) if read else None)
        assert run["input_record_count"] > 0
        read += run["input_record_count"]
        assert run["watermark_to"] == str(read - 1)
    assert len(runs) == 3
    gold = project.query(f"select order_id from {project.schema}.appended order by order_id")
    assert [row["order_id"] for row in gold] == [number for number in range(read) if number % 10 not in (0, 1, 2)]
    refused = project.query(f"select target_pk from {project.schema}_audit.quarantine where target_table = 'appended'")
    assert sorted(int(row["target_pk"]) for row in refused) == [n for n in range(read) if n % 10 in (1, 2)]
