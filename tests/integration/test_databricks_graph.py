"""Python models, and with them the lineage graph, on a stand-in for a Databricks workspace, through dbt-databricks as it is.

What passes here has gone through the adapter's code and protocol. It has not run on Databricks.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from datahub_aspects import EDGES, KINDS, edges_in, edges_of_graph

pytestmark = [pytest.mark.databricks, pytest.mark.core]

ROOT = Path(__file__).resolve().parents[2]
SQLGLOT = "sqlglot==30.30.0"
OPENLINEAGE = "openlineage-python==1.54.0"


def ask(project, operation: str, **arguments):
    return project.dbt("run-operation", operation, "--args", json.dumps(arguments), "--quiet")


# --- how a Python model gets its libraries --------------------------------------------------------------------------

TELLS_ITS_LIBRARY = """import sqlglot

def model(dbt, session):
    return session.createDataFrame([(sqlglot.__version__,)], "version string")
"""
ENVIRONMENTS = [{"environment_key": "sql", "spec": {"environment_version": "4", "dependencies": [SQLGLOT]}}]
# How each model is submitted: the adapter's settings.
SUBMITTED = {
    "serverless": {"submission_method": "serverless_cluster", "packages": [SQLGLOT], "notebook_scoped_libraries": True},
    "environment": {
        "submission_method": "serverless_cluster",
        "environment_key": "sql",
        "environment_dependencies": [SQLGLOT],
    },
    "job": {
        "submission_method": "workflow_job",
        "python_job_config": {"environments": ENVIRONMENTS, "additional_task_settings": {"environment_key": "sql"}},
    },
    "job_cluster": {
        "submission_method": "job_cluster",
        "job_cluster_config": {"spark_version": "17.3.x-scala2.13", "node_type_id": "i3.xlarge", "num_workers": 1},
        "packages": [SQLGLOT],
    },
    "command": {
        "submission_method": "all_purpose_cluster",
        "cluster_id": "by-command",
        "packages": [SQLGLOT],
        "notebook_scoped_libraries": True,
    },
    "notebook": {
        "submission_method": "all_purpose_cluster",
        "cluster_id": "by-notebook",
        "create_notebook": True,
        "packages": [SQLGLOT],
    },
    "undeclared": {"submission_method": "serverless_cluster"},
    "misplaced": {"submission_method": "serverless_cluster", "packages": [SQLGLOT]},
}


def test_a_python_model_runs_with_the_libraries_that_it_declares(make_project, databricks):
    project = make_project(
        "databricks",
        python_models=dict.fromkeys(SUBMITTED, TELLS_ITS_LIBRARY),
        properties={"models": [{"name": name, "config": config} for name, config in SUBMITTED.items()]},
        config={"models": {"consumer": {"+file_format": "delta"}}},
    )
    run = project.dbt("run", "--exclude", "lineage_audit", check=False)
    fails = {"undeclared", "misplaced"}
    assert {name for name in SUBMITTED if run.statuses[name] != "success"} == fails
    assert "ModuleNotFoundError: No module named 'sqlglot'" in run.nodes["undeclared"].message
    assert "Libraries field is not supported for serverless task" in run.nodes["misplaced"].message
    for name in SUBMITTED.keys() - fails:
        assert project.value(f"select version from {project.schema}.{name}") == SQLGLOT.partition("==")[2]
    assert sorted((each["compute"], *each["libraries"]) for each in databricks.state()["python"]) == [
        ("by-command", SQLGLOT),
        ("by-notebook", SQLGLOT),
        ("job_cluster", SQLGLOT),
        ("serverless",),
        *[("serverless", SQLGLOT)] * 3,
    ]


# --- the graph of the sample -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def graph(databricks_graph, databricks_process):
    return SimpleNamespace(project=databricks_graph, submitted=databricks_process.state()["python"])


def test_the_graph_says_what_it_needs(graph):
    """Without a cluster that somebody has to set up, each notebook installs what it imports."""
    submitted = sorted((each["compute"], *each["libraries"]) for each in graph.submitted)
    assert submitted == [("serverless",), *(("serverless", each) for each in (OPENLINEAGE, SQLGLOT, SQLGLOT))]


def test_all_sql_of_the_sample_is_read(graph, databricks):
    edges = f"main.{graph.project.schema}_audit.lineage_edge"
    assert databricks.query(f"select downstream_table, problem from {edges} where problem is not null") == []
    assert databricks.query(f"select origin, downstream_column from {edges} where masking is null") == []


def test_impact_goes_through_to_four_consumers(graph, databricks):
    answer = json.loads(ask(graph.project, "impact", table="raw_orders", column="amount", output="json").output)
    assert [(step["depth"], step["name"], step["column"]) for step in answer["steps"]] == [
        (0, "raw_orders", "amount"),
        (1, "stg_orders", "order_amount"),
        (2, "customer_orders_summary", "recent_revenue"),
        (2, "customer_orders_summary", "total_revenue"),
        (3, "customer_behavior", "recent_revenue"),
        (3, "customer_behavior", "total_revenue"),
        (4, "customer_engagement_features", "30_day_purchase_amount"),
        (4, "Customer Analytics Dashboard", "total_revenue"),
        (5, "churn_prediction_model", "30_day_purchase_amount"),
        (5, "Executive KPI Report", "revenue_per_country"),
    ]
    assert len(answer["consumers"]) == 4


def test_upstream_ends_in_the_external_system(graph, databricks):
    answer = json.loads(
        ask(graph.project, "upstream", table="customer_behavior", column="total_revenue", output="json").output
    )
    assert [(step["name"], step["column"]) for step in answer["steps"]] == [
        ("customer_behavior", "total_revenue"),
        ("customer_orders_summary", "total_revenue"),
        ("stg_orders", "order_amount"),
        ("raw_orders", "amount"),
        ("postgres://crm-db.example.com:5432/crm.public.orders", "amount"),
    ]


def test_a_sum_is_traced_to_the_rows_of_the_source(graph, databricks):
    arguments = {"target_table": "customer_behavior", "target_pk": {"customer_id": 1}, "output": "json"}
    traced = json.loads(ask(graph.project, "trace", target_column="total_revenue", **arguments).output)
    assert [(step["name"], step["column"], step["row_count"]) for step in traced["upstream"]] == [
        ("customer_orders_summary", "total_revenue", 1),
        ("stg_orders", "order_amount", 3),
        ("raw_orders", "amount", 3),
        ("postgres://crm-db.example.com:5432/crm.public.orders", "amount", None),
    ]
    proofs = [step["proof"] and (step["proof"]["value"], step["proof"]["verdict"]) for step in traced["upstream"]]
    assert proofs == [("77.00", "agrees")] * 3 + [None]


def test_the_map_is_that_of_the_docs(graph, databricks):
    def behavior(text: str) -> str:
        return text[text.index("### customer_behavior") :].partition("\n### ")[0].partition("\n## ")[0]

    printed = ask(graph.project, "lineage_map").output
    assert behavior(printed) == behavior((ROOT / "docs" / "lineage.md").read_text(encoding="utf-8"))


def test_datahub_is_told_of_the_same_edges(graph, databricks):
    told = json.loads(ask(graph.project, "datahub_lineage").output)
    aspects = {(each["aspectName"], each["entityUrn"]): each["aspect"]["json"] for each in told}
    audit = f"main.{graph.project.schema}_audit"
    edges, tables = (
        databricks.query(sql.format(f"{audit}.{name}"))
        for sql, name in ((EDGES, "lineage_edge"), (KINDS, "lineage_node"))
    )
    kept = edges_of_graph(edges, tables, "databricks")
    assert len(kept) > 20
    assert edges_in(aspects) == kept


def test_what_has_not_changed_is_not_read_again(graph, databricks):
    """A table that is there is found by its name of three parts, and its rows are taken over."""
    edges = f"main.{graph.project.schema}_audit.lineage_edge"
    (changed,) = databricks.query(
        f"update {edges} set expression = concat('as it was: ', expression) "
        "where upstream_column = 'order_amount' and expression is not null"
    )
    graph.project.dbt("run", "--select", "lineage_edge")
    (taken_over,) = databricks.query(
        f"update {edges} set expression = replace(expression, 'as it was: ') where expression like 'as it was: %'"
    )
    assert taken_over == changed
    assert taken_over["num_affected_rows"] > 0


# --- against the platform's own lineage ------------------------------------------------------------------------------

AGAINST_RECORDS = "('recorded_not_observed', 'observed_not_recorded', 'records_not_read')"
ASKS_WHETHER_IT_MAY = """begin
  declare refused boolean default false;
  begin
    declare exit handler for sqlexception set refused = true;
    execute immediate 'select * from system.access.column_lineage where false';
  end;
  select refused;
end"""


def findings(graph, databricks) -> list[tuple]:
    view = f"main.{graph.project.schema}_audit.lineage_reconciliation"
    rows = databricks.query(f"select * from {view} where finding in {AGAINST_RECORDS}")
    columns = ("finding", "name", "column_name", "upstream_table", "upstream_column")
    return sorted(tuple((row[column] or "").rpartition(".")[2] for column in columns) for row in rows)


def test_records_that_nobody_may_read_are_told(graph, databricks):
    assert findings(graph, databricks) == [("records_not_read", "", "", "", "")]
    databricks.record_lineage([])
    try:
        assert databricks.query("select count(*) as n from system.access.column_lineage") == [{"n": 0}]
        with pytest.raises(Exception, match=r"\[INSUFFICIENT_PERMISSIONS\]"):
            databricks.query("select * from system.access.column_lineage", token="reader-token")
        # A script can tell, and goes on.
        assert databricks.query(ASKS_WHETHER_IT_MAY, token="reader-token") == [{"refused": True}]
        assert databricks.query(ASKS_WHETHER_IT_MAY) == [{"refused": False}]
    finally:
        databricks.record_lineage(None)


def test_the_graph_is_compared_with_what_the_platform_recorded(graph, databricks):
    schema = graph.project.schema
    tables = {
        **dict.fromkeys(("raw_orders", "raw_products", "raw_customers"), f"main.{schema}_bronze"),
        "stg_orders": f"main.{schema}_silver",
        **dict.fromkeys(("customer_orders_summary", "customer_orders_summary__dbt_stg"), f"main.{schema}_gold"),
    }

    def record(source: str, target: str, **more: str) -> dict[str, str]:
        ends = {}
        for end, (table, _, column) in (("source", source.partition(".")), ("target", target.partition("."))):
            ends |= {f"{end}_table_full_name": f"{tables[table]}.{table}", f"{end}_column_name": column}
        return ends | more

    long_ago = (datetime.now(UTC) - timedelta(days=2)).isoformat()
    summary, step = "customer_orders_summary", "customer_orders_summary__dbt_stg"
    records = [
        # As the SQL has it, but for the amount.
        record("raw_orders.order_id", "stg_orders.order_id"),
        record("raw_orders.customer_id", "stg_orders.customer_id"),
        record("raw_orders.ordered_at", "stg_orders.order_date"),
        record("raw_products.category", "stg_orders.product_category"),
        # A column of the join, which every row depends on.
        record("raw_products.product_id", "stg_orders.order_id"),
        # What no SQL of the project does, now and before its SQL was as it is.
        record("raw_customers.country", "stg_orders.order_amount"),
        record("raw_customers.email", "stg_orders.order_amount", event_time=long_ago),
        # By way of a table that the adapter makes.
        record("stg_orders.order_date", f"{step}.first_order_date"),
        record(f"{step}.first_order_date", f"{summary}.first_order_date"),
        # Read, and written nowhere.
        {"source_table_full_name": f"{tables['stg_orders']}.stg_orders", "source_column_name": "order_id"},
    ]
    databricks.record_lineage(records)
    try:
        run = graph.project.dbt("run", "--select", "recorded_lineage")
    finally:
        databricks.record_lineage(None)
    reads = [sql for sql in run.statements_of("recorded_lineage") if "system.access.column_lineage" in sql]
    # Once whether it may be read, and once to read it.
    assert ["where false" in sql for sql in reads] == [True, False]
    lacking = [
        *(("customer_id", "customer_id"), ("last_order_date", "order_date"), ("category_count", "product_category")),
        *(("recent_revenue", "order_amount"), ("total_revenue", "order_amount")),
    ]
    assert findings(graph, databricks) == sorted(
        [
            ("recorded_not_observed", "stg_orders", "order_amount", "raw_customers", "country"),
            ("observed_not_recorded", "stg_orders", "order_amount", "raw_orders", "amount"),
            *(("observed_not_recorded", summary, column, "stg_orders", upstream) for column, upstream in lacking),
        ]
    )


# --- without Unity Catalog -------------------------------------------------------------------------------------------


def test_the_graph_is_made_in_hive_metastore(hive_sample, databricks):
    project = hive_sample
    project.dbt("run", "--select", "lineage_audit.graph")
    answer = json.loads(ask(project, "impact", table="raw_orders", column="amount", output="json").output)
    assert (len(answer["steps"]), len(answer["consumers"])) == (10, 4)
    store = f"{project.schema}_audit"
    assert project.query(f"select downstream_table, problem from {store}.lineage_edge where problem is not null") == []
    (finding,) = project.query(f"select detail from {store}.lineage_reconciliation where finding in {AGAINST_RECORDS}")
    assert finding["detail"].startswith("it tells of Unity Catalog alone")
