"""The layout of docs/databricks.md in Unity Catalog: config and audit in a catalog of their own, by the settings and grants that
stand there, run by a job and read by an auditor who have no other privileges."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from mapped_cases import mapped_columns

pytestmark = [pytest.mark.databricks, pytest.mark.core]

ROOT = Path(__file__).parents[2]
DOCUMENTATION = (ROOT / "docs" / "databricks.md").read_text(encoding="utf-8")
# Each group of the page, and the one user who stands for it.
USERS = {"lineage_jobs": "job@example.com", "lineage_readers": "reader@example.com"}
AUDIT = "governance.audit"
STORE = [
    "cell_lineage",
    "closed_record",
    "config_version",
    "record_lineage",
    "rejected_record",
    "rule_violation",
    "run_event",
]
VIEWS = ["column_lineage", "ingestion_run", "quarantine"]


def blocks(language: str) -> list[str]:
    """The page's code in this language, with the test's names in place of the page's."""
    found = re.findall(rf"^```{language}\n(.*?)^```", DOCUMENTATION, flags=re.DOTALL | re.MULTILINE)
    for group, user in USERS.items():
        found = [block.replace(group, user) for block in found]
    return found


def block(language: str, start: str) -> str:
    (found,) = [each for each in blocks(language) if each.startswith(start)]
    return found


def statements(sql: str) -> list[str]:
    return [each.strip() for each in re.sub(r"^--.*\n", "", sql, flags=re.MULTILINE).split(";") if each.strip()]


@pytest.fixture(scope="module")
def layout(make_project, databricks_process):
    for sql in statements(block("sql", "-- Jobs").replace("main.sales", "main.shop_sales")):
        if " on schema " in sql:
            (schema,) = re.findall(r" on schema (\S+)", sql)
            databricks_process.query(f"create schema if not exists {schema}")
        databricks_process.query(sql)
    project = make_project(
        "databricks",
        name="shop",
        with_sample=True,
        config=yaml.safe_load(block("yaml", "# dbt_project.yml")),
        macros={"generate_schema_name": block("sql", "-- macros/generate_schema_name.sql")},
        models={"gold_orders": "{{ lineage_audit.mapped_model('orders', source=ref('orders')) }}"},
        seeds={
            "orders": [{"order_id": "o1", "amount": "12.50"}, {"order_id": "o2", "amount": "many"}],
            "config/api_endpoints": "endpoint_name\norders\n",
            "config/business_rules": "business_rule_id\n",
        },
        files={
            "seeds/config/field_mapping.csv": mapped_columns(
                "orders",
                "gold_orders",
                ("order_id", "order_id", {"is_primary_key": True}),
                ("amount", "amount", {"data_type": "decimal(10,2)"}),
            )
        },
    )
    project.schema = "shop_sales"
    project.use_target(token="job-token")
    project.dbt("build")
    return project


def test_config_audit_and_data_lie_where_the_page_says(layout, databricks):
    def tables(schema: str) -> list[str]:
        return sorted(row["tableName"] for row in databricks.query(f"show tables in {schema}"))

    assert tables("governance.config") == ["api_endpoints", "business_rules", "field_mapping"]
    assert tables(AUDIT) == sorted([*STORE, *VIEWS])
    assert tables("main.shop_sales") == ["gold_orders", "orders"]
    runs = databricks.query(f"select status, output_record_count, target_relation from {AUDIT}.ingestion_run")
    assert runs == [{"status": "SUCCESS", "output_record_count": 1, "target_relation": "main.shop_sales.gold_orders"}]
    assert databricks.query(f"select target_pk, failed_rules from {AUDIT}.quarantine") == [
        {"target_pk": "o2", "failed_rules": ["cast:amount"]}
    ]


def test_audit_tables_only_grow_and_are_clustered(layout, databricks):
    clustered = {}
    for table in STORE:
        (detail,) = databricks.query(f"describe detail {AUDIT}.{table}")
        assert detail["properties"]["delta.appendOnly"] == "true"
        if detail["clusteringColumns"]:
            clustered[table] = detail["clusteringColumns"]
    assert clustered == {
        "cell_lineage": ["target_pk", "attempt_id"],
        "record_lineage": ["target_pk", "attempt_id"],
        "rejected_record": ["target_relation", "record_key"],
    }
    with pytest.raises(Exception, match="DELTA_CANNOT_MODIFY_APPEND_ONLY"):
        databricks.query(f"delete from {AUDIT}.run_event")


def test_every_column_of_the_audit_has_a_comment(layout, databricks):
    columns = databricks.query(
        "select table_name, column_name, comment from system.information_schema.columns "
        "where table_catalog = 'governance' and table_schema = 'audit'"
    )
    assert {row["table_name"] for row in columns} == {*STORE, *VIEWS}
    assert [row for row in columns if not row["comment"]] == []
    comments = {(row["table_name"], row["column_name"]): row["comment"] for row in columns}
    assert comments["cell_lineage", "target_pk"].startswith("The primary key of the row as text")
    assert comments["cell_lineage", "attempt_id"].startswith("A number for one dbt invocation's work")


def test_tags_and_grants_are_those_of_the_project(layout, databricks):
    objects = databricks.state()["objects"]
    for name in [*STORE, *VIEWS]:
        about = objects[f"{AUDIT}.{name}"]
        assert about["tags"] == {"purpose": "lineage"}, name
        assert about["grants"] == {"reader@example.com": ["SELECT"]}, name
    # A changed config reaches the tables by the operation that looks after them.
    project_file = layout.directory / "dbt_project.yml"
    before = project_file.read_text()
    project_file.write_text(before.replace("reader@example.com", "auditor@example.com"))
    layout.dbt("run-operation", "lineage_audit.setup")
    project_file.write_text(before)
    for name in STORE:
        assert databricks.state()["objects"][f"{AUDIT}.{name}"]["grants"] == {"auditor@example.com": ["SELECT"]}, name
    layout.dbt("run-operation", "lineage_audit.setup")


def test_an_auditor_reads_the_audit_and_nothing_else(layout, databricks):
    (row,) = databricks.query(
        f"select source_values_json from {AUDIT}.column_lineage where target_column = 'amount'", token="reader-token"
    )
    assert row["source_values_json"] == '{"amount":"12.50"}'
    for refused in ("main.shop_sales.gold_orders", "governance.config.field_mapping"):
        with pytest.raises(Exception, match=r"\[INSUFFICIENT_PERMISSIONS\]"):
            databricks.query(f"select * from {refused}", token="reader-token")
    with pytest.raises(Exception, match=r"\[INSUFFICIENT_PERMISSIONS\]"):
        databricks.query(f"insert into {AUDIT}.run_event (run_id) values ('forged')", token="reader-token")
