"""OpenLineage events from rows written out by hand, and their way to a receiver; no dbt, no warehouse."""

from __future__ import annotations

import copy
import importlib.util
import json
import uuid
from datetime import UTC, datetime, timedelta
from types import ModuleType

import pytest
from bare_jinja import ROOT
from openlineage_receiver import Receiver, edges_of, identity_of, problems_of


def loaded(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.replace("/", "_").removesuffix(".py"), ROOT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def events():
    return loaded("models/graph/openlineage_event.py")


@pytest.fixture(scope="module")
def sender():
    return loaded("scripts/send_openlineage.py")


# --- rows ------------------------------------------------------------------------------------------------------------

HOSTILE = 'it\'s "quoted" \\ 🚚 \u2028 </script> ${x}'
INVOCATION = "0fb8a7de-3a6f-4c59-8b5e-7f3d7d8c1a11"
BEGAN = datetime(2026, 3, 1, 6, 0, 0, 125)


def edge(upstream: str, downstream: str, kind: str = "DIRECT IDENTITY", **more) -> dict:
    """`db.dev.raw.amount` to `db.dev.gold.amount`; a name that ends with a dot has no column."""
    upstream_table, _, upstream_column = upstream.rpartition(".")
    downstream_table, _, downstream_column = downstream.rpartition(".")
    transformation_type, transformation_subtype = kind.split() if kind else (None, None)
    return {
        "upstream_table": upstream_table,
        "upstream_column": upstream_column or None,
        "downstream_table": downstream_table,
        "downstream_column": downstream_column or None,
        "transformation_type": transformation_type,
        "transformation_subtype": transformation_subtype,
        "expression": None,
        "masking": False,
        **more,
    }


EDGES = [
    edge("db.dev.raw.id", "db.dev.gold.id"),
    edge("db.dev.raw.amount", "db.dev.gold.amount", "DIRECT TRANSFORMATION", expression=f"amount + {HOSTILE}"),
    edge("db.dev.raw.amount", "db.dev.gold.amount", "INDIRECT CONDITIONAL"),
    edge("db.dev.raw.email", "db.dev.gold.email", "DIRECT TRANSFORMATION", masking=True),
    edge("db.dev.raw.amount", "db.dev.gold.", "INDIRECT FILTER", expression="amount > 0"),
    edge("api://Till/orders.$", "db.dev.gold.id", "DIRECT TRANSFORMATION", upstream_table="api://Till/orders", upstream_column="$.order.id"),
    # A count of rows, a cross join, and a model whose SQL nobody could read.
    edge("db.dev.gold.", "db.dev.summed.orders", "DIRECT AGGREGATION", expression="count(*)", masking=True),
    edge("db.dev.days.", "db.dev.summed.", "INDIRECT JOIN"),
    edge("db.dev.gold.", "db.dev.scripted.", "", masking=None),
    edge("s3://lake/in/orders.id", "db.dev.raw.id", expression="export"),
    edge("db.dev.summed.orders", "exposure.p.board.orders"),
    {**edge("x.y", "db.dev.broken.z"), "upstream_table": None, "transformation_type": None},
]  # fmt: skip
NODES = [
    {"table_name": table, "column_name": column, "kind": kind, "node_id": node_id, "owner": owner, "description": text}
    for table, kind, node_id, columns, owner, text in (
        ("db.dev.raw", "source", "source.p.crm.raw", ("id", "amount", "email"), None, HOSTILE),
        ("db.dev.gold", "model", "model.p.gold", ("id", "amount", "email"), "Finance", "Orders as sold."),
        ("db.dev.summed", "model", "model.p.summed", ("orders",), None, None),
        ("db.dev.scripted", "model", "model.p.scripted", (), None, None),
        ("s3://lake/in/orders", "external", None, ("id",), None, None),
        ("api://Till/orders", "external", None, ("$.order.id",), None, None),
        ("exposure.p.board", "exposure", "exposure.p.board", ("orders",), "Board", None),
    )
    for column in (None, *columns)
]
DEFINITIONS = [{"upstream": [{"namespace": "s3://lake", "name": "in/orders"}]}, {"upstream": None}, {}]
CATALOG = [{"relation": "db.dev.raw", "column_name": "amount", "data_type": "DECIMAL(10,2)"}]


def run(table: str, **more) -> dict:
    return {
        "kind": "run",
        "invocation_id": INVOCATION,
        "target_relation": f"db.dev.{table}",
        "node_id": f"model.p.{table}",
        "target_table": None,
        "event_type": "COMPLETE",
        "started_ts": BEGAN,
        "ended_ts": BEGAN + timedelta(seconds=2),
        "input_record_count": None,
        "output_record_count": None,
        "error_message": None,
        "compiled_sql": None,
        "dialect": None,
        **more,
    }


RUNS = [
    run("gold", target_table="gold", input_record_count=9, output_record_count=7, compiled_sql=HOSTILE, dialect="duckdb"),
    run("gold", kind="test", node_id=None),
    run("summed"),
    run("scripted", event_type="FAIL", error_message=f"Conversion Error {HOSTILE}"),
]  # fmt: skip
ASSERTIONS = [
    {
        "invocation_id": INVOCATION, "target_relation": "db.dev.gold", "check_type": assertion, "check_name": name,
        "success": count == 0, "column_name": column, "severity": severity, "failure_count": count,
        "description": HOSTILE, "rule_expression": expression,
    }
    for assertion, name, column, severity, count, expression in (
        ("business_rule", "POSITIVE", None, "WARN", 2, "amount > 0"),
        ("not_null", "test.p.not_null_gold_id", "id", "ERROR", 0, None),
    )
]  # fmt: skip


@pytest.fixture(scope="module")
def project(events):
    return events.Project(EDGES, NODES, DEFINITIONS, CATALOG, "duckdb:///w.duckdb", "dbt", "shop")


@pytest.fixture(scope="module")
def rows(events, project):
    """Rows of openlineage_event, each with its event as a dict."""
    made = [
        *events.run_events(project, RUNS, ASSERTIONS),
        *events.job_events(project, set(), datetime(2026, 3, 2, tzinfo=UTC)),
    ]
    return [{**row, "event": json.loads(row["event"])} for row in made]


def told(rows, job: str, event_type: str) -> dict:
    (event,) = (row["event"] for row in rows if (row["job_name"], row["event_type"]) == (job, event_type))
    return event


# --- what events say ---------------------------------------------------------------------------------------------------


def test_every_event_is_valid(rows):
    assert len(rows) == 10
    assert {row["job_name"] + " " + row["event_type"]: problems_of(row["event"]) for row in rows} == {
        row["job_name"] + " " + row["event_type"]: [] for row in rows
    }


def test_a_broken_event_is_found_out(rows):
    event = told(rows, "db.dev.p.gold", "COMPLETE")
    assert problems_of({**event, "eventTime": 7})
    assert problems_of({**event, "run": {"runId": "no uuid"}})


def test_the_edges_of_the_events_are_those_of_the_graph(project, rows):
    wanted = {
        (
            *project.name(edge["upstream_table"]),
            edge["upstream_column"],
            *project.name(edge["downstream_table"]),
            edge["downstream_column"],
            edge["transformation_type"],
            edge["transformation_subtype"],
            edge["expression"],
            edge["masking"],
        )
        # What failed made nothing.
        for edge in EDGES
        if edge["upstream_table"] and edge["downstream_table"] != "db.dev.scripted"
    }
    assert edges_of(row["event"] for row in rows) == wanted


def test_a_table_whose_sql_nobody_could_read_is_told_from_table_to_table(events, project):
    made = [json.loads(row["event"]) for row in events.run_events(project, [run("scripted")], [])]
    assert edges_of(made) == {
        (
            "duckdb:///w.duckdb",
            "db.dev.gold",
            None,
            "duckdb:///w.duckdb",
            "db.dev.scripted",
            None,
            None,
            None,
            None,
            None,
        )
    }


def test_datasets_have_the_names_that_openlineage_gives_them(project):
    assert [
        project.name(table) for table in ("db.dev.gold", "s3://lake/in/orders", "api://Till/orders", "exposure.p.board")
    ] == [
        ("duckdb:///w.duckdb", "db.dev.gold"),
        ("s3://lake", "in/orders"),
        ("api://Till", "orders"),
        ("dbt", "exposure.p.board"),
    ]


def test_what_a_run_says(rows):
    event = told(rows, "db.dev.p.gold", "COMPLETE")
    assert (event["eventTime"], event["producer"]) == ("2026-03-01T06:00:02.000125Z", "urn:dbt-package:lineage_audit")
    assert event["run"]["facets"]["parent"]["run"]["runId"] == INVOCATION
    job = event["job"]["facets"]
    assert (job["sql"]["query"], job["sql"]["dialect"]) == (HOSTILE, "duckdb")
    assert (job["jobType"]["integration"], job["jobType"]["jobType"]) == ("DBT", "MODEL")
    assert "lineage_audit.trace" in job["documentation"]["description"]
    (output,) = event["outputs"]
    assert output["outputFacets"]["outputStatistics"]["rowCount"] == 7
    assert output["facets"]["ownership"]["owners"][0]["name"] == "Finance"
    assert output["facets"]["documentation"]["description"] == "Orders as sold."
    (raw,) = (each for each in event["inputs"] if each["name"] == "db.dev.raw")
    assert raw["inputFacets"]["inputStatistics"]["rowCount"] == 9
    assert [(each["name"], each.get("type")) for each in raw["facets"]["schema"]["fields"]] == [
        ("id", None), ("amount", "DECIMAL(10,2)"), ("email", None),
    ]  # fmt: skip


def test_a_failed_run_says_why_and_makes_nothing(rows):
    event = told(rows, "db.dev.p.scripted", "FAIL")
    assert event["run"]["facets"]["errorMessage"]["message"] == f"Conversion Error {HOSTILE}"
    assert [(each["name"], each["facets"]) for each in event["outputs"]] == [("db.dev.scripted", {})]


def test_rules_and_tests_are_assertions_of_the_table_that_they_look_at(rows):
    event = told(rows, "db.dev.p.gold.test", "COMPLETE")
    (dataset,) = event["inputs"]
    assert [
        (each["assertion"], each["name"], each["success"], each.get("column"), each["severity"], each["actual"], each.get("content"))
        for each in dataset["inputFacets"]["dataQualityAssertions"]["assertions"]
    ] == [
        ("business_rule", "POSITIVE", False, None, "warn", "2", "amount > 0"),
        ("not_null", "test.p.not_null_gold_id", True, "id", "error", "0", None),
    ]  # fmt: skip
    assert event["outputs"] == []


def test_an_event_has_the_same_identity_whenever_it_is_made(events, project, rows):
    again = events.run_events(project, list(reversed(RUNS)), ASSERTIONS)
    identities = {(row["run_id"], row["event_type"], row["event_time"]) for row in rows if row["kind"] != "job"}
    assert {(row["run_id"], row["event_type"], row["event_time"]) for row in again} == identities
    assert len({run_id for run_id, _, _ in identities}) == 4
    assert all(str(uuid.UUID(run_id)) == run_id for run_id, _, _ in identities)


def test_a_job_that_dbt_does_not_run_is_told_once(events, project, rows):
    jobs = {row["run_id"]: row["job_name"] for row in rows if row["kind"] == "job"}
    assert sorted(jobs.values()) == ["exposure.p.board", "load.db.dev.raw"]
    later = datetime(2027, 1, 1, tzinfo=UTC)
    assert events.job_events(project, set(jobs), later) == []
    changed = events.Project([*EDGES, edge("db.dev.gold.id", "exposure.p.board.id")], NODES, DEFINITIONS, CATALOG, "d", "dbt", "shop")  # fmt: skip
    assert [row["job_name"] for row in events.job_events(changed, set(jobs), later) if "board" in row["job_name"]]


# --- on their way ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def receiving(tmp_path_factory):
    process = Receiver(tmp_path_factory.mktemp("received"))
    process.start()
    yield process
    process.stop()


@pytest.fixture
def receiver(receiving):
    receiving.forget()
    yield receiving
    receiving.behave()


@pytest.fixture
def send(sender, rows, receiver, monkeypatch, tmp_path):
    """Calls the command over a store in memory; the exit code, and what it says."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "openlineage.yml").write_text(
        json.dumps({"transport": {"type": "http", "url": receiver.url, "timeout": 2, "retry": {"total": 0}}})
    )
    delivered = []
    monkeypatch.setattr(sender, "BATCH", 4)

    def pending(options):
        left = [row for row in rows if [row["run_id"], row["event_type"], row["event_time"]] not in delivered]
        return copy.deepcopy(left[: sender.BATCH])  # the client writes into what it is given

    monkeypatch.setattr(sender, "_pending", pending)
    monkeypatch.setattr(sender, "_note", lambda options, identities, destination: delivered.extend(identities))

    def call(*arguments: str) -> int:
        monkeypatch.setattr(sender.sys, "argv", ["send_openlineage.py", *arguments])
        return sender.main()

    call.delivered = delivered
    return call


@pytest.mark.parametrize("trouble", ["killed", "slow", "fails", "garbage"])
def test_after_trouble_the_receiver_holds_every_event_once(send, receiver, rows, trouble, capfd):
    if trouble == "killed":
        receiver.stop()
    receiver.behave(trouble)
    assert send() == 1
    assert send.delivered == []
    assert "0 events sent" in capfd.readouterr().err
    if trouble == "killed":
        receiver.start()
    receiver.behave("accepts")
    assert send() == 0
    assert set(receiver.held) == {identity_of(row["event"]) for row in rows}
    # At least once: what came in time and was answered too late comes again.
    assert len(receiver.received) == len(rows) + (3 if trouble == "slow" else 0)
    assert len(send.delivered) == len(rows)
    assert send() == 0
    assert len(receiver.received) == len(rows) + (3 if trouble == "slow" else 0)


def test_what_is_received_is_what_the_table_holds(send, receiver, rows):
    assert send() == 0
    for event in receiver.received:
        if "run" in event:
            (tag,) = event["run"]["facets"].pop("tags")["tags"]
            assert tag["source"] == "OPENLINEAGE_CLIENT"  # the client's own, its version
        assert event in [row["event"] for row in rows]


def test_an_event_that_is_refused_keeps_no_other_back(send, sender, receiver, rows, monkeypatch):
    monkeypatch.setattr(sender, "BATCH", 100)
    receiver.behave("picky")
    assert send() == 1
    refused = [row for row in rows if sum(map(ord, row["job_name"])) % 2]
    assert refused
    assert len(receiver.held) == len(send.delivered) == len(rows) - len(refused)


def test_beside_dbt_ol_no_run_is_told_twice(send, receiver, rows):
    assert send("--beside-dbt-ol") == 0
    assert {(identity[0], identity[1]) for identity in receiver.held} == {
        ("db.dev.gold", None), ("db.dev.summed", None), ("exposure.p.board", None), ("load.db.dev.raw", None),
    }  # fmt: skip
    facets = [
        event["dataset"]["facets"]
        for event in receiver.received
        if event.get("dataset", {}).get("name") == "db.dev.gold"
    ]
    assert [each.get("columnLineage", {}).get("fields", {}).keys() for each in facets if "columnLineage" in each] == [
        {"id", "amount", "email"}
    ]
    (rules,) = (each["dataQualityAssertions"]["assertions"] for each in facets if "dataQualityAssertions" in each)
    assert [each["name"] for each in rules] == ["POSITIVE"]


def test_without_a_transport_nothing_is_sent_or_noted(send, tmp_path, capfd):
    (tmp_path / "openlineage.yml").unlink()
    assert send() == 1
    assert "set OPENLINEAGE_URL" in capfd.readouterr().err
    assert send.delivered == []


def test_a_file_is_a_destination_too(send, rows, tmp_path):
    path = tmp_path / "events.jsonl"
    (tmp_path / "openlineage.yml").write_text(
        json.dumps({"transport": {"type": "file", "log_file_path": str(path), "append": True}})
    )
    assert send() == 0
    assert {identity_of(json.loads(line)) for line in path.read_text().splitlines()} == {
        identity_of(row["event"]) for row in rows
    }
