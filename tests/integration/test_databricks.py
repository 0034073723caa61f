"""The package on a stand-in for a Databricks workspace, through dbt-databricks as it is.

What passes here has gone through the adapter's code, SQL and protocol. It has not run on Databricks.
"""

from __future__ import annotations

import json

import pytest

pytestmark = [pytest.mark.databricks, pytest.mark.core]

SUCCEEDED = {"success", "pass", "no-op"}
ADDS_UP = "input_record_count = filtered_record_count + rejected_record_count + output_record_count"


def outcomes(project) -> list[dict]:
    """Whether the runs in the store are done, and their counts add up: once each answer that there is."""
    return project.query(
        f"select distinct status, {ADDS_UP} as adds_up from {project.schema}_audit.ingestion_run order by status"
    )


# --- the sample ------------------------------------------------------------------------------------------------


def test_the_sample_builds_on_a_warehouse_with_unity_catalog(databricks_sample, databricks):
    build = databricks_sample.invocations[0]
    assert set(build.statuses.values()) <= SUCCEEDED
    assert len(build.statuses) > 80
    assert outcomes(databricks_sample) == [{"status": "SUCCESS", "adds_up": True}]
    for catalog in ("governance", "hive_metastore"):
        schemas = [row["databaseName"] for row in databricks.query(f"show schemas in {catalog}")]
        assert not [schema for schema in schemas if schema.startswith(databricks_sample.schema)]


def test_a_table_of_this_run_is_read_at_its_version(databricks_sample, databricks):
    statements = databricks_sample.invocations[0].statements_of("gold_customers")
    assert any("version as of" in sql for sql in statements)
    assert not any("__lineage_source" in sql for sql in statements)


def test_a_masked_table_is_read_once(databricks_sample, databricks):
    silver = f"main.{databricks_sample.schema}_silver.silver_customers"
    databricks.query(f"alter table {silver} alter column email set mask main.default.hide")
    statements = databricks_sample.dbt("run", "--select", "gold_customers").statements_of("gold_customers")
    databricks.query(f"alter table {silver} alter column email drop mask")
    assert not any("version as of" in sql for sql in statements)
    assert [sql for sql in statements if "create or replace table" in sql and "__lineage_source" in sql]
    assert not databricks.query(f"show tables in main.{databricks_sample.schema}_gold like '*__lineage_source'")


def test_the_config_is_checked(databricks_sample, databricks):
    printed = databricks_sample.dbt("run-operation", "validate_config", "--args", "{output: json}", "--quiet").output
    assert [each for each in json.loads(printed) if each["severity"] == "error"] == []


def test_setup_finds_the_store_complete(databricks_sample, databricks):
    setup = databricks_sample.dbt("run-operation", "setup")
    assert f"audit store `main`.`{databricks_sample.schema}_audit`: complete" in setup.output
    assert not [each.sql for each in setup.statements if "create table" in each.sql.lower()]


def test_a_value_is_traced_and_gives_itself_again(databricks_sample, databricks):
    arguments = {"target_table": "gold_orders", "target_pk": "12345", "target_column": "order_amount", "output": "json"}
    traced = databricks_sample.dbt("run-operation", "trace", "--args", json.dumps(arguments), "--quiet")
    (column,) = json.loads(traced.output)["columns"]
    assert (column["value"], column["transform_expr"]) == ("107.00", "amount_raw * fx_rate")
    assert [(each["column"], each["value"]) for each in column["sources"]] == [
        ("amount_raw", "100"),
        ("fx_rate", "1.07"),
    ]
    assert column["replay"]["verdict"] == "replays"


def test_a_model_runs_on_an_all_purpose_cluster(databricks_sample, databricks):
    databricks_sample.use_target(on_cluster=True)
    try:
        databricks_sample.dbt("run", "--select", "gold_customers", "gold_order_items")
    finally:
        databricks_sample.use_target()
    assert outcomes(databricks_sample) == [{"status": "SUCCESS", "adds_up": True}]


def test_the_sample_builds_in_hive_metastore(hive_sample, databricks):
    assert set(hive_sample.invocations[0].statuses.values()) <= SUCCEEDED
    assert outcomes(hive_sample) == [{"status": "SUCCESS", "adds_up": True}]
    schemas = [row["databaseName"] for row in databricks.query("show schemas in main")]
    assert not [schema for schema in schemas if schema.startswith(hive_sample.schema)]


# --- what the stand-in refuses -----------------------------------------------------------------------------------


def test_the_stand_in_refuses_what_the_platform_would(databricks):
    for sql, condition in (
        ("select * from main.default.nothing", "TABLE_OR_VIEW_NOT_FOUND"),
        ("select * from mian.default.nothing", "NO_SUCH_CATALOG_EXCEPTION"),
        ("set spark.sql.shuffle.partitions = 3", "CONFIG_NOT_AVAILABLE"),
        ("select secret('lineage_audit', 'other')", "INVALID_SECRET_LOOKUP"),
    ):
        with pytest.raises(Exception, match=rf"\[{condition}"):
            databricks.query(sql)
    for sql in (
        "select * from main.default.nothing",
        "create schema if not exists main.default",
        "begin execute immediate 'create table main.default.new (id int)'; end",
    ):
        with pytest.raises(Exception, match=r"\[INSUFFICIENT_PERMISSIONS\]"):
            databricks.query(sql, token="reader-token")


def test_an_unknown_statement_is_refused_and_remembered(databricks):
    with pytest.raises(Exception, match=r"\[PARSE_SYNTAX_ERROR\]"):
        databricks.query("call main.default.procedure()")
    (refused,) = databricks.state()["refused"]
    assert refused["sql"] == "call main.default.procedure()"
    databricks.forget()
