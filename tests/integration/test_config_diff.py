"""`config_diff` shows what changed in the config of a table between two runs, cell by cell."""

from __future__ import annotations

import json

import mapped_cases as cases
import pytest

KEY = ("id", "id", {"is_primary_key": True})
AMOUNT = {"transform_expr": "amount * 2", "data_type": "decimal(18,2)", "api_field_name": "amount"}
BEFORE = cases.mapped_columns(
    "shop", "gold", KEY, ("amount", "amount", AMOUNT), ("gone", "amount"), source_table="orders"
)
AFTER = cases.mapped_columns(
    "shop",
    "gold",
    KEY,
    ("amount", "amount|rate", AMOUNT | {"transform_expr": "amount * rate"}),
    ("new", "rate"),
    source_table="orders",
)
ENOUGH = cases.rule("ENOUGH", "shop", "validation", "amount > 0", severity="ERROR", message="It's \\ too ${little}.")
USUAL = cases.rule("USUAL", "shop", "validation", "amount < 9", severity="WARN", message="Much.")
MODEL = "{{ config(materialized='table') }}{{ lineage_audit.mapped_model('shop', source=source('raw', 'orders')) }}"
TYPES = {"id": "string", "amount": "int", "rate": "int"}


@pytest.fixture(scope="module")
def project(engine, make_project):
    """Built three times: with one config as `first` and `again`, with another as `third`."""
    project = make_project(
        engine,
        models={"gold": MODEL},
        analyses={"dashboard": "{{ lineage_audit.config_diff_sql('gold', 'first', 'third') }}"},
        api_endpoints=[{"endpoint_name": "shop"}],
        field_mapping=BEFORE,
        business_rules=[ENOUGH],
        properties=cases.source_properties("orders"),
    )
    cases.create_source(project, "orders", TYPES, [("a", 1, 1)])
    project.dbt("build", vars={"lineage_audit_run_id": "first"})
    project.dbt("run", vars={"lineage_audit_run_id": "again"})
    project.write("seeds/field_mapping.csv", AFTER)
    project.write("seeds/business_rules.csv", [ENOUGH | {"rule_expression": "amount > 1"}, USUAL])
    project.dbt("build", vars={"lineage_audit_run_id": "third"})
    return project


def config_diff(project, check: bool = True, **arguments):
    return project.dbt(
        "run-operation", "lineage_audit.config_diff", "--args", json.dumps(arguments), "--quiet", check=check
    )


def cells(differences: list[dict]) -> list[tuple]:
    return [
        tuple(each[key] for key in ("kind", "name", "change", "cell", "from_value", "to_value")) for each in differences
    ]


def of(found: list[tuple], name: str) -> list[tuple]:
    return [
        each[2:] for each in found if each[1] == name and each[3] not in ("source_types", "is_primary_key", "nullable")
    ]


def test_each_cell_that_changed_is_shown(project):
    answer = json.loads(config_diff(project, target_table="gold", output="json").output)
    assert (answer["schema_version"], answer["from_run"]["run_id"], answer["to_run"]["run_id"]) == (1, "again", "third")
    found = cells(answer["differences"])
    assert of(found, "amount") == [
        ("changed", "source_columns", '["amount"]', '["amount","rate"]'),
        ("changed", "transform_expr", "amount * 2", "amount * rate"),
    ]
    assert ("added", "transform_expr", None, "rate") in of(found, "new")
    assert ("removed", "transform_expr", "amount", None) in of(found, "gone")
    assert of(found, "ENOUGH") == [("changed", "rule_expression", "amount > 0", "amount > 1")]
    assert of(found, "USUAL") == [
        ("added", "rule_category", None, "validation"),
        ("added", "rule_expression", None, "amount < 9"),
        ("added", "severity", None, "WARN"),
        ("added", "message", None, "Much."),
    ]
    assert of(found, "id") == []


def test_two_runs_of_one_config_are_the_same(project):
    text = config_diff(project, target_table="gold", from_run_id="first", to_run_id="again").output
    assert text.startswith("gold: the config is the same\n")


def test_a_person_reads_a_line_per_cell(project):
    lines = config_diff(project, target_table="gold", from_run_id="third", to_run_id="first").output.splitlines()
    assert lines[0].endswith("cells of the config changed")
    assert "run third" in lines[1]
    assert [line.split()[:4] for line in lines if "ENOUGH" in line] == [
        ["rule", "ENOUGH", "changed", "rule_expression"]
    ]


def test_the_sql_serves_an_analysis(project):
    project.dbt("compile", "--select", "dashboard")
    rows = project.query(project.compiled("dashboard"))
    assert ("rule", "ENOUGH", "changed", "rule_expression", "amount > 0", "amount > 1") in cells(rows)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target_table": "golde"}, "Did you mean gold?"),
        ({"target_table": "gold", "from_run_id": "frist"}, "has the run_id 'frist'. Did you mean first"),
        ({"target_table": "gold", "output": "xml"}, "output 'xml' is unknown"),
    ],
)
def test_what_is_not_there_is_told(project, arguments, message):
    invocation = config_diff(project, check=False, **arguments)
    assert not invocation.success
    assert message in invocation.messages
