"""OpenLineage events of what dbt ran, from the store to a receiver."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from mapped_cases import mapped_columns, rule
from openlineage_receiver import ROOT, Receiver, columns_of, edges_of, identity_of, problems_of

# DuckDB alone: dbt-spark runs no Python models.
ENGINE = "duckdb"
GRAPH = ("run", "--select", "lineage_audit.graph")
# The graph is as it was: only the events are made.
EVENTS = ("run", "--select", "openlineage_event")


def rows_of(project) -> list[dict]:
    """The rows of openlineage_event, each with its event as a dict."""
    rows = project.query(
        f"select * from {project.schema}_audit.openlineage_event order by event_time, event_type desc, job_name"
    )
    return [{**row, "event": json.loads(row["event"])} for row in rows]


def last_events(rows: list[dict]) -> list[dict]:
    """What a catalog shows: the last event of each job that tells more than that something began."""
    return list({row["job_name"]: row["event"] for row in rows if row["event_type"] != "START"}.values())


# --- the samples -------------------------------------------------------------------------------------------------------


@pytest.fixture(
    scope="module", params=[ENGINE, pytest.param("databricks", marks=[pytest.mark.databricks, pytest.mark.core])]
)
def sample(request):
    """Both samples with their graph, then two models run once more. Databricks: on the stand-in, through dbt-databricks."""
    if request.param == "databricks":
        project = request.getfixturevalue("databricks_graph")
        warehouse, catalog = f"databricks://{project.output['host']}", project.output["catalog"]
    else:
        project = request.getfixturevalue("make_sample")(ENGINE)
        no_tests = ("--exclude-resource-type", "test", "unit_test")
        project.dbt("build", "--select", "lineage_audit.sample", "config", *no_tests)
        project.dbt(*GRAPH)
        warehouse, catalog = f"duckdb://{project.database_path}", project.database_path.stem
    first = rows_of(project)
    project.dbt("run", "--select", "customer_behavior", "gold_orders")
    project.dbt(*EVENTS)
    return SimpleNamespace(project=project, warehouse=warehouse, catalog=catalog, first=first, rows=rows_of(project))


def test_every_event_of_the_samples_is_valid(sample):
    assert {row["job_name"]: problems for row in sample.rows if (problems := problems_of(row["event"]))} == {}


def edges_told(rows: list[dict], warehouse: str) -> set[tuple]:
    """The edges of events as lineage_edge has them."""
    named = {warehouse: "", "dbt": ""}
    return {
        (named.get(namespace, f"{namespace}/") + name, column, named.get(made_in, f"{made_in}/") + made, *kind)
        for namespace, name, column, made_in, made, *kind in edges_of(last_events(rows))
    }


def edges_kept(project) -> set[tuple]:
    edges = project.query(
        "select upstream_table, upstream_column, downstream_table, downstream_column, transformation_type,"
        f" transformation_subtype, expression, masking from {project.schema}_audit.lineage_edge"
        " where upstream_table is not null"
    )
    return {tuple(edge.values()) for edge in edges}


def test_the_edges_of_the_events_are_those_of_the_graph(sample):
    kept = edges_kept(sample.project)
    assert len(kept) > 200
    assert edges_told(sample.rows, sample.warehouse) == kept


def test_a_second_run_adds_its_events_and_nothing_else(sample):
    added = [row for row in sample.rows if row not in sample.first]
    assert [row for row in sample.rows if row not in added] == sample.first
    assert sorted((row["job_name"].rpartition("lineage_audit.")[2], row["event_type"]) for row in added) == [
        ("customer_behavior", "COMPLETE"),
        ("customer_behavior", "START"),
        ("gold_orders", "COMPLETE"),
        ("gold_orders", "START"),
        ("gold_orders.test", "COMPLETE"),
        ("gold_orders.test", "START"),
    ]
    assert {row["job_name"] for row in added} <= {row["job_name"] for row in sample.first}
    before, after = ([row["event"] for row in rows] for rows in (sample.first, sample.rows))
    assert columns_of(after) == columns_of(before)
    assert edges_of(after) == edges_of(before)


@pytest.fixture(scope="module")
def receiver(tmp_path_factory):
    process = Receiver(tmp_path_factory.mktemp("received"))
    yield process
    process.stop()


def send(project, receiver) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "scripts" / "send_openlineage.py"), "--project-dir", str(project.directory)]
    command += ["--profiles-dir", str(project.workspace), "--target-path", str(project.target)]
    command += ["--log-path", str(project.workspace / "logs" / "send")]
    # The client's own setting, without the five times that it tries a receiver that is down.
    transport = {"type": "http", "url": receiver.url, "timeout": 5, "retry": {"total": 0}}
    environment = {**os.environ, "OPENLINEAGE__TRANSPORT": json.dumps(transport)}
    return subprocess.run(
        command, env=environment, cwd=project.workspace, capture_output=True, text=True, timeout=300, check=False
    )


def test_the_chain_of_a_gold_column_comes_out_of_what_a_receiver_holds(sample, receiver):
    project = sample.project
    receiver.forget()
    receiver.start()
    sent = send(project, receiver)
    assert (sent.returncode, f"{len(sample.rows)} events sent to http" in sent.stderr) == (0, True), sent.stderr
    assert set(receiver.held) == {identity_of(row["event"]) for row in sample.rows}
    assert len(receiver.received) == len(sample.rows)
    direct = {
        (namespace, name, column): (from_namespace, from_name, from_column)
        for from_namespace, from_name, from_column, namespace, name, column, kind, *_ in edges_of(
            receiver.held.values()
        )
        if kind == "DIRECT"
    }
    warehouse, schema = sample.warehouse, f"{sample.catalog}.{project.schema}"
    place = (warehouse, f"{schema}_gold.customer_behavior", "total_revenue")
    chain = []
    while place := direct.get(place):
        chain.append(place)
    # Worked out by hand from the SQL of the models and the meta of the source.
    assert chain == [
        (warehouse, f"{schema}_gold.customer_orders_summary", "total_revenue"),
        (warehouse, f"{schema}_silver.stg_orders", "order_amount"),
        (warehouse, f"{schema}_bronze.raw_orders", "amount"),
        ("postgres://crm-db.example.com:5432", "crm.public.orders", "amount"),
    ]
    (stored,) = project.query(
        f"select count(*) as events, count(distinct run_id || event_type || event_time) as identities from {project.schema}_audit.openlineage_delivery"
    )
    assert stored == {"events": len(sample.rows), "identities": len(sample.rows)}


# --- a consumer's project ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shop(make_project):
    project = make_project(
        ENGINE,
        models={
            "gold_orders": "{{ lineage_audit.mapped_model('shop', source=ref('orders')) }}",
            "gold_late": "{{ lineage_audit.mapped_model('shop', source=ref('orders')) }}",
            "summed": "select count(*) as orders, sum(amount) as amount from {{ ref('gold_orders') }}",
            "broken": "select cast(comment as integer) as number from {{ ref('orders') }}",
        },
        seeds={
            "orders": [
                {"order_id": "o1", "amount": 10, "comment": "hush-hush"},
                {"order_id": "o2", "amount": -5, "comment": "2"},
            ]
        },
        properties={
            "models": [
                {
                    "name": "gold_orders",
                    "columns": [{"name": "order_id", "data_tests": ["unique"]}],
                    "data_tests": [{"lineage_audit.primary_key": {}}],
                },
                {"name": "summed", "config": {"meta": {"owner": "Finance"}}, "description": "All orders."},
            ]
        },
        api_endpoints=[{"endpoint_name": "shop", "source_system": "Till"}],
        field_mapping=[
            *mapped_columns(
                "shop",
                "gold_orders",
                ("order_id", "order_id", {"is_primary_key": True}),
                ("amount", "amount"),
                ("comment", "comment", {"sensitivity": "mask"}),
                source_table="orders",
            ),
            *mapped_columns(
                "shop",
                "gold_late",
                ("order_id", "order_id", {"is_primary_key": True}),
                ("number", "comment", {"transform_expr": "cast(comment as integer)"}),
                source_table="orders",
            ),
        ],
        business_rules=[
            rule("POSITIVE", "shop", "validation", "amount > 0", severity="WARN", target_table="gold_orders")
        ],
        config={"models": {"consumer": {"+materialized": "table"}}, "vars": {"lineage_audit_graph": True}},
    )
    build = project.dbt("build", "--exclude", "lineage_audit.graph", check=False)
    project.dbt(*GRAPH)
    return SimpleNamespace(project=project, build=build, rows=rows_of(project))


def told(shop, job: str, event_type: str) -> dict:
    (event,) = (
        row["event"]
        for row in shop.rows
        if row["job_name"].endswith(f".consumer.{job}") and row["event_type"] == event_type
    )
    return event


def test_what_ran_is_written_by_one_insert(shop):
    assert len([each for each in shop.build.statements if "insert into" in each.sql and "node_run" in each.sql]) == 1
    runs = shop.project.query(f"select * from {shop.project.schema}_audit.node_run")
    assert {run["node_id"].split(".")[2]: run["status"] for run in runs if run["resource_type"] == "model"} == {
        "gold_orders": "success", "gold_late": "error", "summed": "success", "broken": "error",
    }  # fmt: skip
    assert sorted((run["test_name"], run["column_name"]) for run in runs if run["resource_type"] == "test") == [
        ("primary_key", None),
        ("unique", "order_id"),
    ]


def test_every_event_is_valid_and_each_run_has_a_beginning_and_an_end(shop):
    assert {row["job_name"]: problems for row in shop.rows if (problems := problems_of(row["event"]))} == {}
    assert sorted((row["job_name"].rpartition(".consumer.")[2], row["event_type"]) for row in shop.rows) == [
        ("broken", "FAIL"), ("broken", "START"), ("gold_late", "FAIL"), ("gold_late", "START"),
        ("gold_orders", "COMPLETE"), ("gold_orders", "START"), ("gold_orders.test", "COMPLETE"), ("gold_orders.test", "START"),
        ("summed", "COMPLETE"), ("summed", "START"),
    ]  # fmt: skip


@pytest.mark.parametrize("job", ["broken", "gold_late"])
def test_the_error_of_a_failed_run_shows_no_marked_value(shop, job):
    assert "hush-hush" in shop.build.messages
    message = told(shop, job, "FAIL")["run"]["facets"]["errorMessage"]["message"]
    assert "Conversion Error" in message
    assert not [row["event"] for row in shop.rows if "hush-hush" in json.dumps(row["event"])]


def test_counts_rules_tests_owners_and_the_way_to_trace(shop):
    gold = told(shop, "gold_orders", "COMPLETE")
    assert gold["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 2
    (orders,) = gold["inputs"]
    assert orders["inputFacets"]["inputStatistics"]["rowCount"] == 2
    assert '"target_table": "gold_orders"' in gold["job"]["facets"]["documentation"]["description"]
    assert 'from "warehouse"' in gold["job"]["facets"]["sql"]["query"]
    facets = told(shop, "gold_orders.test", "COMPLETE")["inputs"][0]["inputFacets"]
    assert [
        (each["assertion"], each.get("column"), each["success"], each["severity"], each["actual"])
        for each in facets["dataQualityAssertions"]["assertions"]
    ] == [
        ("business_rule", None, False, "warn", "1"),
        ("primary_key", None, True, "error", "0"),
        ("unique", "order_id", True, "error", "0"),
    ]
    (output,) = told(shop, "summed", "COMPLETE")["outputs"]
    assert output["facets"]["ownership"]["owners"] == [{"name": "Finance"}]
    assert output["facets"]["documentation"]["description"] == "All orders."
    assert [(field["name"], field["type"]) for field in output["facets"]["schema"]["fields"]] == [
        ("orders", "BIGINT"),
        ("amount", "HUGEINT"),
    ]


def test_a_run_that_was_killed_has_failed_once_the_next_one_began(shop):
    project = shop.project
    store = f"{project.schema}_audit"
    project.execute(
        f"insert into {store}.run_event by name select * replace ('killed' as invocation_id, 'killed' as run_id, -1 as attempt_id,"
        " event_ts + interval 1 hour as event_ts)"
        f" from {store}.run_event where event_type = 'STARTED' and target_table = 'gold_orders'"
    )
    killed = f"select event_type, error_message from {store}.openlineage_run where invocation_id = 'killed'"
    assert project.query(killed) == []
    project.execute(
        f"insert into {store}.run_event by name select * replace ('next' as invocation_id, 'next' as run_id, -2 as attempt_id,"
        " event_ts + interval 2 hour as event_ts)"
        f" from {store}.run_event where event_type = 'STARTED' and target_table = 'gold_orders' and invocation_id <> 'killed'"
    )
    assert project.query(killed) == [{"event_type": "FAIL", "error_message": "interrupted"}]


def test_more_events_than_one_batch_are_each_sent_and_noted_once(shop, tmp_path, monkeypatch):
    project = shop.project
    store = f"{project.schema}_audit"
    another = "left(run_id, 24) || lpad(cast(range as varchar), 12, '0')"
    project.execute(
        f"insert into {store}.openlineage_event by name select * exclude (range)"
        f" replace ({another} as run_id, replace(event, run_id, {another}) as event)"
        f" from (select * from {store}.openlineage_event where event_type = 'START' limit 1), range(501)"
    )
    commands = []

    def operation(name, arguments, _) -> str:
        """As the script's own, without a process of dbt's for each."""
        commands.append(json.dumps(arguments))
        return project.dbt("run-operation", f"lineage_audit.{name}", "--args", commands[-1], "--quiet").output

    log = tmp_path / "events.jsonl"
    transport = {"type": "file", "log_file_path": str(log), "append": True}
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT", json.dumps(transport))
    monkeypatch.setattr(sys, "argv", ["send_openlineage.py"])
    monkeypatch.syspath_prepend(ROOT / "scripts")
    script = importlib.import_module("send_openlineage")
    monkeypatch.setattr(script, "_operation", operation)
    assert [script.main(), script.main()] == [0, 0]

    identities = f"select run_id, event_type, event_time from {store}"
    kept = {tuple(row.values()) for row in project.query(f"{identities}.openlineage_event")}
    noted = [tuple(row.values()) for row in project.query(f"{identities}.openlineage_delivery")]
    told = [identity_of(json.loads(line)) for line in log.read_text().splitlines()]
    assert len(kept) > 500
    assert (len(noted), set(noted)) == (len(kept), kept)
    assert (len(told), len(set(told))) == (len(kept), len(kept))
    # Two batches, and the second call, which finds nothing; Linux takes 128 KiB as one argument of a command.
    assert len(commands) == 5
    assert max(map(len, commands)) < 128 * 1024
