"""The sample on a stand-in for a Databricks workspace, through dbt-databricks as it is.

What passes here has gone through the adapter's code, SQL and protocol. It has not run on Databricks.
"""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def sample(make_sample):
    project = make_sample("databricks")
    project.dbt("build")
    return project


def test_the_sample_builds_on_a_warehouse_with_unity_catalog(sample, databricks):
    assert set(sample.invocations[0].statuses.values()) <= {"success", "pass", "no-op"}
    accounted = sample.query(
        f"select distinct input_record_count = filtered_record_count + rejected_record_count + output_record_count as adds_up "
        f"from main.{sample.schema}_audit.ingestion_run where status = 'SUCCESS'"
    )
    assert accounted == [{"adds_up": True}]


def test_nothing_is_left_in_another_catalog(sample, databricks):
    for catalog in ("governance", "hive_metastore"):
        assert databricks.query(f"show schemas in {catalog}") == [{"databaseName": "default"}]


def statements_for(databricks, model):
    return [each["sql"] for each in databricks.state()["statements"] if f'.{model}"' in each.get("sql", "")]


def test_a_table_of_this_run_is_read_at_its_version(sample, databricks):
    sample.dbt("run", "--select", "silver_customers", "gold_customers")
    statements = statements_for(databricks, "gold_customers")
    assert any("version as of" in sql for sql in statements)
    assert not any("create or replace table" in sql and "__lineage_source" in sql for sql in statements)


def test_a_masked_table_is_read_once(sample, databricks):
    silver = f"main.{sample.schema}_silver.silver_customers"
    databricks.query(f"alter table {silver} alter column email set mask main.default.hide")
    sample.dbt("run", "--select", "gold_customers")
    statements = statements_for(databricks, "gold_customers")
    assert any("create or replace table" in sql and "__lineage_source" in sql for sql in statements)
    databricks.query(f"alter table {silver} alter column email drop mask")


def test_a_cell_is_traced(sample, databricks):
    (row,) = sample.query(
        f"select target_pk, target_column, source_values_json from main.{sample.schema}_audit.column_lineage "
        f"where target_table = 'gold_orders' order by target_pk, target_column limit 1"
    )
    assert json.loads(row["source_values_json"])


def test_the_stand_in_refuses_what_the_platform_would(databricks):
    for sql, condition in (
        ("select * from main.default.nothing", "TABLE_OR_VIEW_NOT_FOUND"),
        ("select * from mian.default.nothing", "NO_SUCH_CATALOG_EXCEPTION"),
        ("set spark.sql.shuffle.partitions = 3", "CONFIG_NOT_AVAILABLE"),
        ("select secret('lineage_audit', 'other')", "INVALID_SECRET_LOOKUP"),
    ):
        with pytest.raises(Exception, match=rf"\[{condition}"):
            databricks.query(sql)
    with pytest.raises(Exception, match=r"\[INSUFFICIENT_PERMISSIONS\]"):
        databricks.query("select * from main.default.nothing", token="reader-token")


def test_an_unknown_statement_is_refused_and_remembered(databricks):
    with pytest.raises(Exception, match=r"\[PARSE_SYNTAX_ERROR\]"):
        databricks.query("call main.default.procedure()")
    (refused,) = databricks.state()["refused"]
    assert refused["sql"] == "call main.default.procedure()"
    databricks.forget()
