"""What lineage_reconciliation finds in a project whose declarations are wrong in known ways, and the tests made of it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

# DuckDB alone: dbt-spark runs no Python models.
ENGINE = "duckdb"
GRAPH = ("run", "--select", "lineage_audit.graph")

SILVER = "select id, amount{} as amount, note from {{{{ source('shop', 'orders') }}}}"
MODELS = {
    "silver": SILVER.format(""),
    # DuckDB knows the factorial, the parser does not.
    "unreadable": "select id, 5! as many from {{ ref('silver') }}",
    "constant": "select 1 as one",
}

PROPERTIES = {
    "sources": [
        {
            "name": "shop",
            "schema": "{{ target.schema }}_raw",
            "config": {"meta": {"owner": "Till"}},
            "tables": [
                {"name": "orders", "description": "Orders.", "columns": [{"name": "id", "description": "Its number."}]},
                {"name": "unused", "description": "Read by nobody."},
            ],
        }
    ],
    "models": [
        {
            "name": "gold",
            "data_tests": [
                {
                    "lineage_audit.lineage_reconciles": {
                        "name": "gold_reconciles",
                        "arguments": {"findings": ["declared_not_observed", "not_delivered", "edge_vanished"]},
                        "config": {"error_if": ">2", "warn_if": ">0"},
                    }
                },
                {
                    "lineage_audit.lineage_reconciles": {
                        "name": "gold_reconciles_strictly",
                        "config": {"where": "id is not null"},
                    }
                },
            ],
        }
    ],
}
SINGULAR = """{{ config(error_if='>3', warn_if='>3', store_failures=true) }}
{{ lineage_audit.lineage_findings(findings=['not_read', 'no_lineage']) }}"""


@pytest.fixture(scope="module")
def reconciled(make_project):
    """Two builds and a graph after each; between them `silver` is changed and loses a column that the mapping reads."""
    project = make_project(
        ENGINE,
        models=MODELS,
        properties=PROPERTIES,
        api_endpoints=[{"endpoint_name": "shop", "source_system": "Till"}],
        field_mapping=[
            {
                "endpoint_name": "shop",
                "target_layer": "gold",
                "target_table": "gold",
                "target_column": column,
                "source_table": "silver",
                "source_columns": sources,
                "transform_expr": expression,
                "api_json_path": f"$.{column}",
                "is_primary_key": column == "id",
            }
            for column, sources, expression in (
                ("id", "id", None),
                ("cents", "amount|note", "amount * 100"),
                ("note", "note", None),
            )
        ],
        business_rules=[],
        files={"tests/lineage_reconciles.sql": SINGULAR},
        config={"models": {"consumer": {"+materialized": "table"}}, "vars": {"lineage_audit_graph": True}},
    )
    project.write("models/gold.sql", "{{ lineage_audit.mapped_model('shop', source=ref('silver')) }}")
    project.execute(
        f"create schema {project.schema}_raw",
        f"create table {project.schema}_raw.orders as select 1 as id, 2 as amount, 3 as fee, 'x' as note",
        f"create table {project.schema}_raw.unused as select 1 as id",
    )
    findings = f"select * from {project.schema}_audit.lineage_reconciliation"
    project.dbt("seed")
    project.dbt("run", "--exclude", "lineage_audit.graph")
    project.dbt(*GRAPH)
    first = project.query(findings)
    project.write("models/silver.sql", SILVER.format(" + fee"))
    project.write("models/unbuilt.sql", "select * from {{ ref('silver') }}")
    project.write("models/late.sql", "select id from {{ ref('silver') }}")
    project.dbt("run", "--select", "silver", "late")
    project.execute(f"alter table {project.schema}.silver drop column note")
    project.dbt(*GRAPH)
    return SimpleNamespace(project=project, findings=[first, project.query(findings)])


def told(findings: list[dict], *kinds: str) -> list[tuple]:
    """(finding, table, column, source column) of some findings, by the last part of the table's name."""
    return sorted(
        (row["finding"], row["table_name"].rpartition(".")[2], row["column_name"] or "", row["upstream_column"] or "")
        for row in findings
        if row["finding"] in kinds
    )


def test_the_mapping_against_the_sql_and_the_source(reconciled):
    kinds = ("declared_not_observed", "observed_not_declared", "not_delivered")
    # `amount * 100` makes no use of the note that the row declares.
    assert told(reconciled.findings[0], *kinds) == [("declared_not_observed", "gold", "cents", "note")]
    # Gold's SQL reads a column that is gone: what is told of it now is that.
    assert told(reconciled.findings[1], *kinds) == [
        ("not_delivered", "gold", "cents", "note"),
        ("not_delivered", "gold", "note", "note"),
    ]


def test_what_the_sql_makes_and_the_mapping_does_not_say(reconciled):
    project = reconciled.project
    edge = (
        f"insert into {project.schema}_audit.lineage_edge by name select upstream_table, 'amount' as upstream_column,"
        " downstream_table, 'note' as downstream_column, 'DIRECT' as transformation_type, 'TRANSFORMATION' as"
        " transformation_subtype, 'note || amount' as expression, 'observed' as origin"
        f" from {project.schema}_audit.lineage_edge where downstream_table like '%.gold' and origin = 'both' limit 1"
    )
    project.execute(edge)
    rows = project.query(f"select * from {project.schema}_audit.lineage_reconciliation")
    assert told(rows, "observed_not_declared") == [("observed_not_declared", "gold", "note", "amount")]


def test_tables_without_lineage_and_sql_that_is_not_read(reconciled):
    assert told(reconciled.findings[1], "no_lineage", "not_read") == [
        ("no_lineage", "constant", "", ""),
        ("no_lineage", "unbuilt", "", ""),
        ("no_lineage", "unused", "", ""),
        ("not_read", "gold", "", ""),
        ("not_read", "unreadable", "", ""),
    ]
    (unbuilt,) = [
        row["detail"]
        for row in reconciled.findings[1]
        if row["finding"] == "no_lineage" and row["table_name"].endswith(".unbuilt")
    ]
    assert unbuilt.startswith("the store has no build of it")


def test_what_nobody_has_described_or_owns(reconciled):
    first = reconciled.findings[0]
    assert ("no_description", "orders", "fee", "") in told(first, "no_description")
    assert ("no_description", "orders", "id", "") not in told(first, "no_description")
    assert ("no_description", "orders", "", "") not in told(first, "no_description")
    assert not [row for row in told(first, "no_description") if row[2].startswith("_lineage_")]
    # What the package itself brings and describes.
    assert not {row["name"] for row in first} & {"api_endpoints", "field_mapping", "business_rules"}
    assert told(first, "no_owner") == [
        ("no_owner", name, "", "") for name in ("constant", "gold", "silver", "unreadable")
    ]


def test_drift_is_told_of_tables_that_were_known(reconciled):
    kinds = ("edge_appeared", "edge_vanished")
    assert told(reconciled.findings[0], *kinds) == []
    # Nothing of `late`, whose edges are its first.
    assert told(reconciled.findings[1], *kinds) == [
        ("edge_appeared", "silver", "amount", "amount"),
        ("edge_appeared", "silver", "amount", "fee"),
        ("edge_vanished", "silver", "amount", "amount"),
    ]
    assert {row["detail"] for row in reconciled.findings[1] if row["finding"] == "edge_appeared"} == {
        "transformation: amount + fee"
    }


def test_an_edge_is_known_once(reconciled):
    history = f"{reconciled.project.schema}_audit.lineage_edge_history"
    again = reconciled.project.query(
        f"select upstream_table, upstream_column, downstream_table, downstream_column, transformation_subtype from {history}"
        " where change = 'first' group by all having count(*) > 1"
    )
    assert again == []


def test_a_test_in_ci_has_a_threshold(reconciled):
    project = reconciled.project
    tested = project.dbt("test", check=False)
    # Two findings, where one warns and three fail; several, where any fails; five, where four fail.
    assert {name: status for name, status in tested.statuses.items() if "reconciles" in name} == {
        "gold_reconciles": "warn",
        "gold_reconciles_strictly": "fail",
        "lineage_reconciles": "fail",
    }
    kept = project.query(f"select finding, name from {project.schema}_dbt_test__audit.lineage_reconciles order by all")
    assert [tuple(row.values()) for row in kept] == [
        ("no_lineage", "constant"),
        ("no_lineage", "shop.unused"),
        ("no_lineage", "unbuilt"),
        ("not_read", "gold"),
        ("not_read", "unreadable"),
    ]


def test_a_finding_that_is_none_is_named(reconciled):
    reconciled.project.write("tests/wrong.sql", "{{ lineage_audit.lineage_findings(findings=['no_linage']) }}")
    refused = reconciled.project.dbt("test", "--select", "wrong", check=False)
    reconciled.project.remove("tests/wrong.sql")
    assert not refused.success
    assert "'no_linage' is no finding of lineage_reconciliation. Did you mean no_lineage" in refused.messages
