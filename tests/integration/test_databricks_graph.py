"""Python models, and with them the lineage graph, on a stand-in for a Databricks workspace, through dbt-databricks as it is.

What passes here has gone through the adapter's code and protocol. It has not run on Databricks.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

pytestmark = pytest.mark.databricks

ROOT = Path(__file__).resolve().parents[2]
GRAPH = ("run", "--select", "lineage_audit.graph")
SQLGLOT = "sqlglot==30.30.0"


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
def graph(make_sample, databricks_process):
    databricks_process.forget()
    project = make_sample("databricks")
    project.dbt("build", "--select", "lineage_audit.sample.customer_analytics", "--exclude-resource-type", "test")
    project.dbt(*GRAPH)
    state = databricks_process.state()
    assert not state["refused"]
    return SimpleNamespace(project=project, submitted=state["python"])


def test_the_graph_says_what_it_needs(graph):
    """Without a cluster that somebody has to set up, each notebook installs what it imports."""
    submitted = sorted((each["compute"], *each["libraries"]) for each in graph.submitted)
    assert submitted == [("serverless",), ("serverless", SQLGLOT), ("serverless", SQLGLOT)]


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


def test_what_has_not_changed_is_not_read_again(graph, databricks):
    """A table that is there is found by its name of three parts, and its rows are taken over."""
    edges = f"main.{graph.project.schema}_audit.lineage_edge"
    (changed,) = databricks.query(f"update {edges} set expression = 'as it was' where upstream_column = 'order_amount'")
    graph.project.dbt("run", "--select", "lineage_edge")
    taken_over = databricks.query(f"select count(*) as n from {edges} where expression = 'as it was'")
    assert taken_over == [{"n": changed["num_affected_rows"]}]
