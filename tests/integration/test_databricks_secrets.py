"""The hash key comes from a secret scope; neither it, nor a token, nor a marked value stands in SQL, logs, target/ or the store."""

from __future__ import annotations

import hashlib
import json
from types import SimpleNamespace

import pytest
from mapped_cases import create_source, mapped_columns, source_properties
from workspace.process import ADMIN_TOKEN

pytestmark = pytest.mark.databricks

# Planted: none of these may be found, in lower case.
EMAIL, PHONE, REFUSED = "planted-ada@example.com", "planted-555", "planted-years"


@pytest.fixture(scope="module")
def marked(make_project, databricks_process):
    """A model with marked columns, run with the key, and with a scope that doesn't exist."""
    project = make_project(
        "databricks",
        name="crm",
        artifacts=True,
        config={"models": {"crm": {"+materialized": "table"}}},
        models={"customers": "{{ lineage_audit.mapped_model('crm', source=source('raw', 'people')) }}"},
        properties=source_properties("people"),
        api_endpoints=[{"endpoint_name": "crm"}],
        field_mapping=mapped_columns(
            "crm",
            "customers",
            ("email", "email", {"is_primary_key": True, "sensitivity": "hash"}),
            ("phone", "phone", {"sensitivity": "mask"}),
            ("age", "age", {"data_type": "int", "sensitivity": "hash"}),
        ),
        business_rules=[],
    )
    create_source(
        project,
        "people",
        {"email": "string", "phone": "string", "age": "string"},
        [(EMAIL, PHONE, "36"), ("planted-bob@example.com", PHONE, REFUSED)],
    )
    databricks_process.forget()
    project.dbt("build")
    keyless = project.dbt(
        "run", "--select", "customers", vars={"lineage_audit_secret_scope": "no such scope"}, check=False
    )
    sent = [entry.get("sql", "") for entry in databricks_process.state()["statements"]]
    return SimpleNamespace(project=project, keyless=keyless, sent=sent)


def test_values_are_hashed_under_the_key_of_the_scope(marked, databricks, hash_key):
    def keyed(text: str) -> str:
        inner = hashlib.sha256(f"{hash_key}:{text}".encode()).hexdigest()
        return hashlib.sha256(f"{hash_key}:{inner}".encode()).hexdigest()

    store = f"{marked.project.schema}_audit"
    cells = databricks.query(f"select target_pk, target_column, source_values_json from {store}.column_lineage")
    assert {
        (row["target_pk"], row["target_column"]): json.loads(row["source_values_json"])[row["target_column"]]
        for row in cells
    } == {
        (keyed(EMAIL), "email"): keyed(EMAIL),
        (keyed(EMAIL), "phone"): "***",
        (keyed(EMAIL), "age"): keyed("36"),
    }
    (open_record,) = databricks.query(f"select target_pk, source_values_json from {store}.quarantine")
    assert open_record["target_pk"] == keyed("planted-bob@example.com")
    assert json.loads(open_record["source_values_json"])["age"] == keyed(REFUSED)


def test_a_missing_key_is_told_before_data_moves(marked, databricks):
    assert marked.keyless.statuses["customers"] == "error"
    assert "Put the key into secret scope no such scope under hash_key" in marked.keyless.messages
    assert not [sql for sql in marked.keyless.statements_of("customers") if "create or replace table" in sql]


def test_no_key_token_or_value_is_found_anywhere(marked, databricks, hash_key):
    project = marked.project
    assert [sql for sql in marked.sent if "secret('lineage_audit', 'hash_key')" in sql]
    store = f"{project.schema}_audit"
    tables = [row["tableName"] for row in databricks.query(f"show tables in {store}")]
    texts = {
        "SQL": "\n".join(marked.sent),
        **{f"store: {name}": repr(databricks.query(f"select * from {store}.{name}")) for name in tables},
        **{
            str(path.relative_to(project.workspace)): path.read_text(encoding="utf-8", errors="ignore")
            for folder in ("target", "logs")
            for path in (project.workspace / folder).rglob("*")
            if path.is_file()
        },
    }
    assert {"SQL", "store: cell_lineage", "target/manifest.json", "target/run_results.json"} <= set(texts)
    for secret in (hash_key, ADMIN_TOKEN, "planted-"):
        assert [name for name, text in texts.items() if secret in text.lower()] == [], secret
