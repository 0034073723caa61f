"""`what_if` of a table that runs of several configs wrote: what a run did not log is named, and the rest is evaluated."""

from __future__ import annotations

import json

import mapped_cases as cases
import pytest

TYPES = {"id": "varchar", "amount": "int", "rate": "decimal(9,2)", "day": "int"}
COLUMNS = [("id", "id", {"is_primary_key": True}), ("amount", "amount"), ("day", "day")]
RULES = [cases.rule("POSITIVE", "shop", "validation", "amount > 0", severity="ERROR")]


def model(arguments: str, config: str = "materialized='table'") -> str:
    return (
        f"{{{{ config({config}) }}}}{{{{ lineage_audit.mapped_model({arguments}, source=source('raw', 'orders')) }}}}"
    )


@pytest.fixture(scope="module")
def project(make_project):
    """Run `first` logs no rate; run `second` adds a record to the table, and logs it."""
    endpoints = [{"endpoint_name": "shop"}, {"endpoint_name": "web"}]
    others = [
        row
        for endpoint in ("shop", "web")
        for row in cases.mapped_columns(endpoint, "twice", ("id", "id", {"is_primary_key": True}))
    ]
    project = make_project(
        "duckdb",
        models={
            "merged": model(
                "'shop', watermark='day'",
                "materialized='incremental', incremental_strategy='merge', unique_key='id', on_schema_change='append_new_columns'",
            ),
            "one": model("'shop', target_table='twice'"),
            "other": model("'web', target_table='twice'"),
        },
        api_endpoints=endpoints,
        field_mapping=[*cases.mapped_columns("shop", "merged", *COLUMNS), *others],
        business_rules=RULES[:1],
        properties=cases.source_properties("orders"),
    )
    cases.create_source(project, "orders", TYPES, [("a", 1, "2.00", 1), ("b", 2, "3.00", 1), ("x", -1, "1.00", 1)])
    project.write("seeds/business_rules.csv", [{**RULES[0], "target_table": "merged"}])
    project.dbt("build", vars={"lineage_audit_run_id": "first"})
    cases.insert_into_source(project, "orders", [("c", 5, "1.50", 2), ("y", -2, "1.00", 2)])
    mapped = cases.mapped_columns("shop", "merged", *COLUMNS, ("rate", "rate"))
    project.write("seeds/field_mapping.csv", [*mapped, *others])
    project.dbt("build", "--select", "field_mapping", "merged", vars={"lineage_audit_run_id": "second"})
    return project


def what_if(project, check: bool = True, **arguments):
    result = project.dbt(
        "run-operation",
        "lineage_audit.what_if",
        "--args",
        json.dumps({"output": "json", **arguments}),
        "--quiet",
        check=check,
    )
    return json.loads(result.output) if check else result


def test_what_an_earlier_run_did_not_log_is_named(project):
    times_rate = {"target_column": "amount", "source_columns": "amount|rate", "transform_expr": "amount * rate"}
    answer = what_if(project, target_table="merged", changes={"field_mapping": [times_rate]})
    assert [(each["place"], each["reason"], each["record_count"]) for each in answer["not_evaluated"]] == [
        ("gold", "not_stored:rate", 2), ("quarantine", "not_stored:rate", 1),
    ]  # fmt: skip
    # 5 * 1.50: an expression without a data_type, whose number has more digits than gold's.
    assert [(each["record_key"], each["before"], each["after"]) for each in answer["sample_cells"]] == [
        ("c", "5", "7.50")
    ]
    assert (answer["quarantine"]["record_count"], answer["quarantine"]["still_refused_count"]) == (2, 1)


def test_a_mapping_without_what_was_not_logged_is_evaluated_for_all(project):
    changes = {
        "field_mapping": [{"target_column": "rate", "active_flag": False}],
        "business_rules": [{"business_rule_id": "POSITIVE", "rule_expression": "amount > -2"}],
    }
    answer = what_if(project, target_table="merged", changes=changes)
    assert answer["not_evaluated"] == []
    assert answer["gold"]["record_count"] == 3
    (rate,) = (each for each in answer["columns"] if each["target_column"] == "rate")
    # Gold holds a rate in one record alone.
    assert (rate["is_gone"], rate["changed_cell_count"]) == (True, 1)
    assert [(each["record_key"], each["change"]) for each in answer["sample_records"]] == [("x", "released")]
    assert answer["quarantine"]["still_refused_count"] == 1


def test_a_table_of_two_endpoints_is_asked_for_by_endpoint(project):
    changes = {
        "business_rules": [
            {
                "business_rule_id": "NEW",
                "rule_category": "validation",
                "severity": "ERROR",
                "rule_expression": "id <> 'a'",
            }
        ]
    }
    refused = what_if(project, check=False, target_table="twice", changes=changes)
    assert "'twice' is built from several endpoints: shop, web. Name one as endpoint_name." in refused.messages
    answer = what_if(project, target_table="twice", endpoint_name="web", changes=changes)
    assert (answer["endpoint_name"], answer["target_relation"].split(".")[-1]) == ("web", "other")
    assert [(each["reason"], each["record_count"]) for each in answer["refused"]] == [("NEW", 1)]
