"""The properties that `generate_properties` writes: dbt takes them, their contracts hold, and they say where columns come from."""

from __future__ import annotations

import json
from types import SimpleNamespace

import mapped_cases as cases
import pytest
import yaml

# DuckDB alone: what is asked of an engine is to describe a query.
ENGINE = "duckdb"
HOSTILE = 'It\'s "quoted": a {{ brace }}, {% tag %}, {# hash #} \\ 🚚 | # - `tick`\nand a second line'
TYPES = {
    "id": "string",
    "Order No": "string",
    "amount": "string",
    "rate": "decimal(9,2)",
    "note": "string",
    "at": "int",
}
KEY = ("id", "id", {"is_primary_key": True, "api_field_name": "id", "api_json_path": "$.order['the id']"})
ROWS = cases.mapped_columns(
    "shop",
    "gold",
    KEY,
    ("Order No", "Order No", {"description": HOSTILE, "column_position": 2}),
    (
        "total",
        "amount|rate",
        {
            "transform_expr": "try_cast(amount as int) * rate",
            "nullable": False,
            "business_rule_id": "FX",
            "api_field_name": HOSTILE,
            "column_position": 3,
        },
    ),
    ("note", "note", {"sensitivity": "mask", "column_position": 4}),
    ("whole", "amount", {"data_type": "int", "business_rule_id": "NONE", "column_position": 5}),
    source_table="orders",
    target_layer="gold",
)
LATER = cases.mapped_columns("shop", "gold", ("seen", "at", {"data_type": "bigint"}), source_table="orders")
KEPT = cases.mapped_columns("shop", "kept", KEY, ("whole", "amount", {"data_type": "int", "nullable": False}))
RULES = [
    cases.rule("FX", "shop", "derivation", "try_cast(amount as int) * rate"),
    cases.rule("NONE", "shop", "default", "0"),
    cases.rule("ENOUGH", "shop", "validation", "total >= 0", severity="ERROR", target_table="gold"),
    cases.rule("USUAL", "shop", "validation", "total < 100", severity="WARN", target_table="gold"),
]
INCREMENTAL = (
    "{{ config(materialized='incremental', incremental_strategy='merge', unique_key='id', on_schema_change='append_new_columns') }}"
    "{{ lineage_audit.mapped_model('shop', source=source('raw', 'orders')) }}"
)
TABLE = (
    "{{ config(materialized='table') }}"
    "{{ lineage_audit.mapped_model('shop', source=source('raw', 'orders'), rejected='keep') }}"
)
FILE = "models/gold/_gold.yml"


def generate(project, check: bool = True, **arguments):
    return project.dbt(
        *("run-operation", "lineage_audit.generate_properties"),
        *("--args", json.dumps(arguments), "--quiet"),
        check=check,
    )


@pytest.fixture(scope="module")
def consumer(make_project):
    """Described, built under that contract, described again; then mapped anew, described and built."""
    project = make_project(
        ENGINE,
        files={"models/gold/gold.sql": INCREMENTAL, "models/gold/kept.sql": TABLE},
        properties=cases.source_properties("orders"),
        api_endpoints=[{"endpoint_name": "shop", "source_system": "Till", "description": HOSTILE}],
        field_mapping=[*ROWS, *KEPT],
        business_rules=RULES,
        artifacts=True,
    )
    cases.create_source(project, "orders", TYPES, [("a", "1", "10", 2, "n", 1), ("b", "2", "x", 2, None, 1)])
    project.dbt("seed")
    before = generate(project).output
    project.write(FILE, before)
    parsed = project.dbt("parse", "--warn-error", "--no-partial-parse", check=False)
    built = project.dbt("build", "--exclude-resource-type", "seed", check=False)
    taken = SimpleNamespace(project=project, before=before, parsed=parsed, built=built, manifest=project.manifest)
    taken.again = generate(project).output
    project.write("seeds/field_mapping.csv", [*ROWS[:-1], *LATER, *KEPT])
    project.dbt("seed", "--select", "field_mapping")
    taken.grown = generate(project, target_table="gold").output
    project.write(FILE, taken.grown)
    taken.run = project.dbt("run", "--select", "gold", check=False)
    taken.grown_again = generate(project, target_table=["gold"]).output
    return taken


def columns_of(text: str, model: str) -> dict[str, dict]:
    (entry,) = [entry for entry in yaml.safe_load(text)["models"] if entry["name"] == model]
    return {column["name"]: column for column in entry["columns"]}


def test_same_config_same_bytes(consumer):
    # Before the first run, and after it with the contract in force.
    assert consumer.before == consumer.again
    assert [entry["name"] for entry in yaml.safe_load(consumer.before)["models"]] == ["gold", "kept"]


def test_dbt_takes_it_without_a_warning(consumer):
    assert consumer.parsed.success, consumer.parsed.messages


def test_the_contract_holds_and_the_tests_pass(consumer):
    nodes = consumer.manifest["nodes"]
    assert [nodes[f"model.consumer.{name}"]["contract"]["enforced"] for name in ("gold", "kept")] == [True, True]
    assert {name: status for name, status in consumer.built.statuses.items() if status not in ("success", "pass")} == {}
    tests = [name for name, result in consumer.built.nodes.items() if result.node.resource_type == "test"]
    assert sorted(tests) == [
        "lineage_audit_business_rules_gold_shop",
        "lineage_audit_business_rules_gold_shop__WARN",
        *("lineage_audit_lineage_complete_gold_", "lineage_audit_lineage_complete_kept_"),
        *("lineage_audit_lineage_replays_gold_", "lineage_audit_lineage_replays_kept_"),
        *("lineage_audit_primary_key_gold_", "lineage_audit_primary_key_kept_"),
        *("lineage_audit_run_reconciles_gold_", "lineage_audit_run_reconciles_kept_"),
        # kept holds NULL in its refused rows.
        *("not_null_gold_id", "not_null_gold_total"),
    ]


def test_types_are_the_engines_own(consumer):
    types = {name: column["data_type"] for name, column in columns_of(consumer.before, "gold").items()}
    assert types == {
        "id": "VARCHAR",
        "Order No": "VARCHAR",
        # Nobody declared it: the engine says what int * decimal(9,2) is, to DuckDB what 64 bits hold.
        "total": "DECIMAL(18,2)",
        "note": "VARCHAR",
        "whole": "INTEGER",
        "_lineage_run_id": "VARCHAR",
        "_lineage_invocation_id": "VARCHAR",
        "_lineage_warnings": "VARCHAR[]",
        "_lineage_source_values": "STRUCT(amount VARCHAR, rate DECIMAL(9,2), note VARCHAR)",
    }
    assert columns_of(consumer.before, "gold")["Order No"]["quote"] is True
    assert columns_of(consumer.before, "kept")["_lineage_failed_rules"]["data_type"] == "VARCHAR[]"


def test_docs_say_where_each_column_comes_from(consumer):
    model = consumer.manifest["nodes"]["model.consumer.gold"]
    described = {name: column["description"] for name, column in model["columns"].items()}
    assert model["description"] == HOSTILE + "\n\nMapped by `field_mapping` from endpoint `shop` of Till."
    assert described["Order No"] == HOSTILE + "\n\nFrom `orders.Order No`."
    assert described["id"] == "From `orders.id`. API field `id` at `$.order['the id']` of `shop` (Till)."
    assert described["total"] == (
        "From `orders.amount`, `orders.rate`: `try_cast(amount as int) * rate`."
        f" API field `` {HOSTILE.replace(chr(10), ' ')} `` of `shop` (Till). Rule: `FX`."
    )
    assert described["note"] == "From `orders.note`. Sensitivity: mask."
    assert described["whole"] == "From `orders.amount`: cast to `int`, else `0`. Rule: `NONE`."
    assert described["_lineage_warnings"].startswith("Ids of the WARN rules that the row violates")


def test_meta_says_it_to_programs(consumer):
    columns = consumer.manifest["nodes"]["model.consumer.gold"]["columns"]
    assert columns["total"]["config"]["meta"]["lineage_audit"] == {
        "endpoint_name": "shop",
        "target_layer": "gold",
        "api_field_name": HOSTILE,
        "source_table": "orders",
        "source_columns": ["amount", "rate"],
        "transform_expr": "try_cast(amount as int) * rate",
        "business_rules": ["FX"],
        "sensitivity": "none",
    }
    assert columns["id"]["config"]["meta"]["lineage_audit"]["is_primary_key"] is True
    assert columns["note"]["config"]["meta"]["lineage_audit"]["sensitivity"] == "mask"


def test_a_table_that_grows_keeps_its_contract(consumer):
    assert consumer.run.success, consumer.run.messages
    columns = columns_of(consumer.grown, "gold")
    # The column that is mapped no more stays in an incremental table, and the struct's new field comes last.
    assert list(columns)[:7] == ["Order No", "total", "note", "id", "seen", "whole", "_lineage_run_id"]
    assert columns["whole"]["description"] == "Mapped no more; NULL in new rows."
    assert (
        columns["_lineage_source_values"]["data_type"]
        == 'STRUCT(amount VARCHAR, rate DECIMAL(9,2), note VARCHAR, "at" INTEGER)'
    )
    assert consumer.grown_again == consumer.grown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"target_table": "gol"}, "no mapped model builds 'gol'. Did you mean gold"),
        ({"data_tests": ["primary_keys"]}, "data_tests has 'primary_keys'"),
    ],
)
def test_what_is_asked_wrongly_is_named(consumer, arguments, said):
    refused = generate(consumer.project, check=False, **arguments)
    assert not refused.success
    assert said in refused.messages


def test_tests_and_contract_can_be_left_out(consumer):
    text = generate(consumer.project, target_table="gold", contract=False, data_tests=["primary_key"]).output
    (model,) = yaml.safe_load(text)["models"]
    assert "config" not in model
    assert model["data_tests"] == ["lineage_audit.primary_key"]
    assert "data_tests" not in {key for column in model["columns"] for key in column}
