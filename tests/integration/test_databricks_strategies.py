"""Every incremental strategy of dbt-databricks, in both of its flows (`use_materialization_v2`), what a failing model leaves, and the
package's views.

A project per flow: a first run, new rows, a second run; the expectations are worked out by hand.
"""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from mapped_cases import create_source, insert_into_source, mapped_columns, source_properties, table_of

pytestmark = pytest.mark.databricks

TYPES = {"id": "string", "region": "string", "amount": "string", "loaded_at": "timestamp"}
FIRST = [
    ("e1", "EU", "10", "sql:timestamp '2024-01-01 10:00:00'"),
    ("e2", "US", "20", "sql:timestamp '2024-01-01 11:00:00'"),
    ("e3", "EU", "bad", "sql:timestamp '2024-01-01 12:00:00'"),
    ("e5", "EU", "50", "sql:timestamp '2024-01-01 13:00:00'"),
]
# A new version and a new row, both of the region EU.
SECOND = [
    ("e1", "EU", "11", "sql:timestamp '2024-01-02 10:00:00'"),
    ("e4", "EU", "40", "sql:timestamp '2024-01-02 11:00:00'"),
]

NEW = [("e1", 11, "r2"), ("e4", 40, "r2")]
OF_THE_US = [("e2", 20, "r1")]
OF_THE_EU = [("e5", 50, "r1")]
# Model: its config, its arguments, and (id, amount, run) of its rows after the second run.
MODELS = {
    "gold_append": ("incremental_strategy='append'", "watermark='loaded_at'", [("e1", 10, "r1"), *NEW, *OF_THE_US, *OF_THE_EU]),
    "gold_merge": ("unique_key='id'", "watermark='loaded_at'", [*NEW, *OF_THE_US, *OF_THE_EU]),
    "gold_delete_insert": (
        "incremental_strategy='delete+insert', unique_key='id'", "watermark='loaded_at'", [*NEW, *OF_THE_US, *OF_THE_EU],
    ),
    # What lies in the region EU is replaced by the new rows.
    "gold_partitions": (
        "incremental_strategy='insert_overwrite', partition_by='region'", "watermark='loaded_at'", [*NEW, *OF_THE_US],
    ),
    "gold_clusters": (
        "incremental_strategy='insert_overwrite', liquid_clustered_by='region'", "watermark='loaded_at'", [*NEW, *OF_THE_US],
    ),
    "gold_predicate": (
        "incremental_strategy='replace_where', incremental_predicates=\"region = 'EU'\"", "watermark='loaded_at'", [*NEW, *OF_THE_US],
    ),
    "gold_whole": ("incremental_strategy='insert_overwrite'", "latest_by='loaded_at'", [*NEW, ("e2", 20, "r2"), ("e5", 50, "r2")]),
    "gold_table": (
        "materialized='table', use_safer_relation_operations=true", "latest_by='loaded_at'", [*NEW, ("e2", 20, "r2"), ("e5", 50, "r2")],
    ),
}  # fmt: skip
VIEWS = ["column_lineage", "ingestion_run", "quarantine"]
OF_THE_PACKAGE = {"+view_update_via_alter": True, "+persist_docs": {"relation": True, "columns": True}}
# (input, filtered, rejected, output) of the second run.
COUNTS = dict.fromkeys(MODELS, (2, 0, 0, 2)) | dict.fromkeys(["gold_whole", "gold_table"], (6, 0, 2, 4))


def model(config: str, arguments: str) -> str:
    return f"{{{{ config({config}) }}}}\n{{{{ lineage_audit.mapped_model('events', source=source('raw', 'events'), {arguments}) }}}}"


@pytest.fixture(scope="module", params=[False, True], ids=["v1", "v2"])
def flow(request, make_project):
    """A project after its two runs, with what each of them said."""
    columns = (
        ("id", "id", {"is_primary_key": True}),
        ("region", "region"),
        ("amount", "amount", {"data_type": "int"}),
    )
    failing = ("amount", "amount", {"transform_expr": "raise_error(concat('no ', amount))", "data_type": "int"})
    mapping = [row for name in MODELS for row in mapped_columns("events", name, *columns)]
    project = make_project(
        "databricks",
        name="flow",
        artifacts=True,
        config={
            "flags": {"use_materialization_v2": request.param},
            "models": {"flow": {"+materialized": "incremental"}, "lineage_audit": OF_THE_PACKAGE},
        },
        models={
            **{name: model(config, arguments) for name, (config, arguments, _) in MODELS.items()},
            "gold_failing": model("materialized='table'", "watermark=none"),
        },
        properties=source_properties("events"),
        api_endpoints=[{"endpoint_name": "events"}],
        field_mapping=[*mapping, *mapped_columns("events", "gold_failing", *columns[:2], failing)],
        business_rules=[],
    )
    create_source(project, "events", TYPES, FIRST)
    first = project.dbt("build", vars={"lineage_audit_run_id": "r1"}, check=False)
    insert_into_source(project, "events", SECOND)
    second = project.dbt("run", "--select", "flow", vars={"lineage_audit_run_id": "r2"}, check=False)
    return SimpleNamespace(project=project, is_v2=request.param, first=first, second=second)


def failed(run) -> list[str]:
    return [name for name, status in run.statuses.items() if status not in ("success", "pass")]


def test_only_the_failing_model_fails(flow, databricks):
    assert failed(flow.first) == failed(flow.second) == ["gold_failing"]


def test_the_flow_is_the_one_asked_for(flow, databricks):
    inserted = [sql for sql in flow.second.statements_of("gold_table") if "by name select * from" in sql]
    assert bool(inserted) == flow.is_v2


def test_rows_are_those_of_the_strategy(flow, databricks):
    for name, (_, _, expected) in MODELS.items():
        rows = flow.project.query(f"select id, amount, _lineage_run_id as run from {flow.project.schema}.{name}")
        assert table_of(rows, "id", "amount", "run") == sorted(expected), name


def test_counts_add_up(flow, databricks):
    runs = flow.project.query(
        "select target_table, run_id, status, input_record_count as i, filtered_record_count as f, "
        "rejected_record_count as r, output_record_count as o "
        f"from {flow.project.schema}_audit.ingestion_run where target_table <> 'gold_failing'"
    )
    assert table_of(runs, "target_table", "run_id", "status", "i", "f", "r", "o") == sorted(
        (name, run_id, "SUCCESS", *counts)
        for name in MODELS
        for run_id, counts in (("r1", (4, 0, 1, 3)), ("r2", COUNTS[name]))
    )


def test_each_row_has_its_lineage_once(flow, databricks):
    schema = flow.project.schema
    cells = flow.project.query(
        "select target_table, run_id, target_pk, target_column, source_values_json, count(*) as copies "
        f"from {schema}_audit.column_lineage group by all"
    )
    assert {row["copies"] for row in cells} == {1}
    logged = {(row["target_table"], row["run_id"], row["target_pk"], row["target_column"]): row for row in cells}
    assert not [key for key in logged if key[0] == "gold_failing"]
    for name, (_, _, expected) in MODELS.items():
        for key, amount, run_id in expected:
            assert json.loads(logged[name, run_id, key, "amount"]["source_values_json"]) == {"amount": str(amount)}
        # The second run logged the rows that it wrote, and no other.
        written = {key for key, _, run_id in expected if run_id == "r2"}
        assert {key for table, run_id, key, _ in logged if (table, run_id) == (name, "r2")} == written, name


def test_a_failing_model_has_started_and_failed(flow, databricks):
    events = flow.project.query(
        "select run_id, event_type, error_message is not null as says_why "
        f"from {flow.project.schema}_audit.run_event where target_table = 'gold_failing' order by event_ts"
    )
    assert [tuple(row.values()) for row in events] == [
        (run_id, event, event == "FAILED") for run_id in ("r1", "r2") for event in ("STARTED", "FAILED")
    ]


@pytest.mark.parametrize("flow", [False], ids=["v1"], indirect=True)
def test_docs_are_generated(flow, databricks):
    flow.project.dbt("docs", "generate")
    catalog = json.loads((flow.project.target / "catalog.json").read_text(encoding="utf-8"))
    assert catalog["errors"] is None
    assert "amount" in catalog["nodes"]["model.flow.gold_merge"]["columns"]
    assert "source_values_json" in catalog["nodes"]["model.lineage_audit.column_lineage"]["columns"]


@pytest.mark.parametrize("flow", [True], ids=["v2"], indirect=True)
def test_views_are_left_alone_that_are_as_they_should_be(flow, databricks):
    """By `view_update_via_alter`, so that jobs which build the views of one store at the same time don't meet in them."""

    written = ("create or replace view", "alter view", "comment on column")

    def written_by(*arguments: str) -> dict[str, set[str]]:
        run = flow.project.dbt("run", "--select", "lineage_audit.audit", *arguments)
        return {
            name: {how for how in written for sql in run.statements_of(name) if how in sql.lower()} for name in VIEWS
        }

    def described() -> list[tuple]:
        columns = flow.project.query(f"describe {quarantine}")
        return [(row["col_name"], row["data_type"], row["comment"]) for row in columns]

    quarantine = f"{flow.project.schema}_audit.quarantine"
    left_alone = {name: set() for name in VIEWS}
    columns, records = described(), flow.project.query(f"select * from {quarantine}")
    assert records
    assert all(comment for *_, comment in columns)
    assert written_by() == left_alone
    flow.project.query(f"alter view {quarantine} as select 1 as of_another_version")
    assert written_by() == left_alone | {"quarantine": {"alter view", "comment on column"}}
    assert (described(), flow.project.query(f"select * from {quarantine}")) == (columns, records)
    assert written_by("--full-refresh") == {name: {"create or replace view"} for name in VIEWS}
