"""`compare_runs` says what a table held after one run and after another, and why it differs."""

from __future__ import annotations

import functools
import hashlib
import json

import mapped_cases as cases
import pytest

TYPES = {
    "id": "string", "line": "int", "amount": "string", "rate": "int", "email": "string", "phone": "string", "day": "int", "place": "string",
}  # fmt: skip
# bad is refused at first, worse later; late is refused, then filtered, then accepted; same has a refused row beside it.
FIRST = [
    ("same", 1, "10", 2, "a@x.y", "1", 1),
    ("same", 1, "refused, beside", 2, None, None, 1),
    ("changed", 1, "10", 2, "b@x.y", "2", 1),
    ("phoned", 1, "10", 2, "c@x.y", "3", 1),
    ("gone", 1, "10", 2, None, None, 1),
    ("bad", 1, "ten", 2, None, None, 1),
    ("late", 1, "ten", 2, None, None, 1),
    ("worse", 1, "10", 2, None, None, 1),
    ("it's \"\n", 1, "10", 2, None, None, 1),
]
SECOND = [
    ("same", 1, "10", 2, "a@x.y", "1", 2),
    ("same", 1, "refused, beside", 2, None, None, 2),
    ("changed", 1, "11", 2, "other@x.y", "2", 2),
    ("phoned", 1, "10", 2, "c@x.y", "4", 2),
    ("bad", 1, "10", 2, None, None, 2),
    ("late", 1, "test", 2, None, None, 2),
    ("worse", 1, "many", 2, None, None, 2),
    ("new", 1, None, 2, None, None, 2),
    ("it's \"\n", 1, None, 2, None, None, 2),
]
# Beside SECOND: an incremental run finds it new, a whole table then holds the key twice.
THIRD = [
    ("changed", 1, "12", 2, "b@x.y", "2", 3),
    ("same", 1, "refused once more", 2, None, None, 3),
    ("late", 1, "5", 2, None, None, 3),
]
TABLES = {"duckdb": ("in_row", "kept", "merged", "edited"), "spark": ("in_row", "edited")}
QUOTED = '["it\'s \\"\\n","1"]'


def rows(given: list[tuple]) -> list[tuple]:
    """No place is known."""
    return [(*each, None) for each in given]


def pk(name: str) -> str:
    return f'["{name}","1"]'


def mapping(table: str, total: str = "try_cast(amount as int) * rate") -> list[dict]:
    return cases.mapped_columns(
        "shop",
        table,
        ("id", "id", {"is_primary_key": True, "column_position": 1}),
        ("line", "line", {"is_primary_key": True, "column_position": 2}),
        (
            "amount",
            "amount",
            {
                "data_type": "decimal(9,1)",
                "column_position": 3,
                "api_field_name": "amount",
                "description": "What it costs.",
            },
        ),
        ("total", "amount|rate", {"transform_expr": total, "column_position": 4, "business_rule_id": "ZERO"}),
        ("email", "email", {"sensitivity": "mask", "column_position": 5}),
        ("phone", "phone", {"sensitivity": "hash", "column_position": 6}),
        (
            "fax",
            "place",
            {
                "api_field_name": "fax",
                "api_json_path": "$.fax",
                "transform_expr": "lower(place)",
                "description": "None.",
            },
        ),
        source_table="orders",
    )


def model(config: str, arguments: str = "") -> str:
    return f"{{{{ config({config}) }}}}{{{{ lineage_audit.mapped_model('shop', source=source('raw', 'orders'), {arguments}) }}}}"


@pytest.fixture(scope="module")
def project(engine, make_project, hash_key):
    table = "materialized='table'"
    tables = TABLES[engine]
    merge = "materialized='incremental', incremental_strategy='merge', unique_key=['id', 'line'], on_schema_change='append_new_columns'"
    models = {
        "in_row": model(table, "capture='in_row'"),
        "kept": model(table, "capture='compact', rejected='keep'"),
        "merged": model(merge, "watermark='day', capture='compact'"),
        "edited": model(table),
    }
    project = make_project(
        engine,
        models={name: models[name] for name in tables},
        analyses={
            "dashboard": "{{ lineage_audit.compare_runs_sql('edited', 'first', 'second') }}",
            "config": "{{ lineage_audit.config_diff_sql('edited') }}",
            "refusal": "{{ lineage_audit.refused_record_sql('edited', ['bad', 1]) }}",
            "record": "{{ lineage_audit.trace_sql('edited', ['bad', 1]) }}",
        },
        api_endpoints=[{"endpoint_name": "shop"}],
        field_mapping=[row for table in tables for row in mapping(table)],
        business_rules=[
            cases.rule("ZERO", "shop", "default", "0"),
            cases.rule("NO_TESTS", "shop", "filter", "coalesce(amount, '') <> 'test'"),
        ],
        properties=cases.source_properties("orders"),
    )
    cases.create_source(project, "orders", TYPES, rows(FIRST))
    if engine == "duckdb":
        project.unbuilt = project.dbt("compile", "--select", "dashboard", "config", "refusal", "record")
    project.dbt("build", vars={"lineage_audit_run_id": "first", "lineage_audit_code_version": "v1"})
    if engine == "duckdb":
        project.alone = compare(project, check=False, target_table="merged")
    cases.create_source(project, "orders", TYPES, rows(SECOND))
    project.dbt("run", vars={"lineage_audit_run_id": "second", "lineage_audit_code_version": "v1"})
    if engine == "spark":
        return project
    cases.insert_into_source(project, "orders", rows(THIRD))
    changed = [row for table in tables[:-1] for row in mapping(table)] + mapping(
        "edited", "try_cast(amount as int) * rate + 1"
    )
    project.write("seeds/field_mapping.csv", changed)
    project.dbt(
        "build", "--select", "field_mapping", "merged", "edited",
        vars={"lineage_audit_run_id": "third", "lineage_audit_code_version": "v2"},
    )  # fmt: skip
    project.execute(f"update {project.schema}.kept set total = 77 where id in ('same', 'changed')")
    project.execute(f"alter table {project.schema}.merged add column extra int")
    project.dbt("compile", "--select", "dashboard", "columns_with_thin_lineage")
    return project


@pytest.fixture
def on_duckdb(project):
    if project.engine != "duckdb":
        pytest.skip(
            "on Spark a table takes half a minute to build and a question ten seconds: two tables and three questions there"
        )


def compare(project, check: bool = True, **arguments):
    return project.dbt(
        "run-operation", "lineage_audit.compare_runs", "--args", json.dumps(arguments), "--quiet", check=check
    )


@functools.cache
def compared(project, table: str, from_run_id=None, to_run_id=None) -> dict:
    return json.loads(
        compare(project, target_table=table, from_run_id=from_run_id, to_run_id=to_run_id, output="json").output
    )


def cells(answer: dict) -> list[tuple]:
    names = ("target_pk", "target_column", "from_value", "to_value", "causes")
    return sorted(tuple(each[name] for name in names) for each in answer["sample"] if each["change"] == "changed")


def records(answer: dict) -> set[tuple]:
    return {
        (each["change"], each["target_pk"], *each["failed_rules"])
        for each in answer["sample"]
        if each["change"] != "changed"
    }


def counts(answer: dict) -> dict:
    return {name: count for name, count in answer["record_counts"].items() if count}


SOURCE = ["source_values"]
OTHER_VALUES = [
    (pk("changed"), "amount", "10.0", "11.0", SOURCE),
    (pk("changed"), "total", "20", "22", SOURCE),
    (QUOTED, "amount", "10.0", None, SOURCE),
    (QUOTED, "total", "20", "0", SOURCE),
]


def without_phone(found: list[tuple]) -> list[tuple]:
    return [each for each in found if each[1] != "phone"]


def test_records_added_gone_refused_and_released_and_cells_that_changed(project):
    answer = compared(project, "edited", "first", "second")
    assert (answer["schema_version"], answer["from_run"]["run_id"], answer["to_run"]["run_id"]) == (
        1,
        "first",
        "second",
    )
    assert counts(answer) == {"from": 6, "to": 6, "changed": 3, "refused": 1, "released": 1, "gone": 1, "added": 1}
    assert records(answer) == {
        ("refused", pk("worse"), "cast:amount"), ("released", pk("bad"), "cast:amount"), ("gone", pk("gone")), ("added", pk("new")),
    }  # fmt: skip
    assert without_phone(cells(answer)) == OTHER_VALUES
    assert answer["refusals"] == [
        {"change": change, "failed_rules": ["cast:amount"], "record_count": 1} for change in ("refused", "released")
    ]


def test_a_hashed_cell_is_compared_by_its_hash_and_a_masked_one_is_named(project, hash_key):
    def hashed(text):
        inner = hashlib.sha256(f"{hash_key}:{text}".encode()).hexdigest()
        return hashlib.sha256(f"{hash_key}:{inner}".encode()).hexdigest()

    answer = compared(project, "edited", "first", "second")
    assert [each for each in cells(answer) if each[1] == "phone"] == [
        (pk("phoned"), "phone", hashed("3"), hashed("4"), SOURCE)
    ]
    assert answer["not_compared"] == [{"target_column": "email", "reason": "masked_value", "record_count": 4}]


def test_a_value_that_its_lineage_does_not_give_is_unexplained(on_duckdb, project):
    answer = compared(project, "kept")
    assert without_phone(cells(answer)) == [
        OTHER_VALUES[0],
        (pk("changed"), "total", "20", "77", ["source_values", "unexplained"]),
        *OTHER_VALUES[2:],
        (pk("same"), "total", "20", "77", ["unexplained"]),
    ]


def test_a_changed_expression_and_code_are_named_and_a_key_twice_is_not_compared(on_duckdb, project):
    answer = compared(project, "edited")
    assert {each[0]: each[1:] for each in cells(answer)} == {
        **{pk(name): ("total", "20", "21", ["config", "code"]) for name in ("same", "phoned", "bad")},
    }
    assert [(each["name"], each["cell"]) for each in answer["config_differences"]] == [("total", "transform_expr")]
    assert [(each["target_column"], each["reason"], each["record_count"]) for each in answer["not_compared"]] == [
        ("email", "masked_value", 5), *((name, "key_not_unique", 1) for name in ("amount", "email", "fax", "id", "line", "phone", "total")),
    ]  # fmt: skip


def test_what_an_incremental_run_did_not_look_at_is_the_same(on_duckdb, project):
    answer = compared(project, "merged", "first", "second")
    assert counts(answer) == {"from": 6, "to": 8, "changed": 3, "version_refused": 1, "released": 1, "added": 1}
    assert records(answer) == {
        ("version_refused", pk("worse"), "cast:amount"), ("released", pk("bad"), "cast:amount"), ("added", pk("new")),
    }  # fmt: skip
    assert without_phone(cells(answer)) == OTHER_VALUES


def test_states_are_compared_as_of_each_run_in_either_order(on_duckdb, project):
    last = compared(project, "merged")
    assert (last["from_run"]["run_id"], last["to_run"]["run_id"]) == ("second", "third")
    assert counts(last) == {"from": 8, "to": 9, "changed": 1, "added": 1}
    assert ("released", pk("late"), "cast:amount") in records(compared(project, "merged", "first", "third"))
    assert cells(last) == [
        (pk("changed"), "amount", "11.0", "12.0", ["source_values", "code"]),
        (pk("changed"), "total", "22", "24", ["source_values", "code"]),
    ]
    back = compared(project, "merged", "second", "first")
    assert counts(back) == {"from": 8, "to": 6, "changed": 3, "refused": 1, "gone": 1}
    assert (pk("changed"), "amount", "11.0", "10.0", SOURCE) in cells(back)


def test_rows_that_gold_holds_no_more_are_not_compared_in_mode_in_row(project):
    answer = compared(project, "in_row")
    assert counts(answer) == {"to": 6}
    assert answer["not_compared"] == [{"target_column": None, "reason": "lineage_gone", "record_count": 6}]
    assert answer["lineage_gone"] == {"from": 6, "to": 0}


def test_a_table_that_keeps_refused_rows_tells_the_last_refusals(on_duckdb, project):
    answer = compared(project, "kept")
    assert answer["limits"] == ["refusals_in_gold"]
    assert counts(answer) == {"from": 6, "to": 6, "changed": 4, "refused": 1, "gone": 1, "added": 2}


def test_a_person_reads_what_changed_and_why(on_duckdb, project):
    lines = compare(
        project, target_table="edited", from_run_id="first", to_run_id="second", sample_rows=2
    ).output.splitlines()
    assert lines[0] == "edited: 3 changed, 1 gone (refused), 1 added (refused before), 1 gone, 1 added"
    assert next(line.split() for line in lines if "amount" in line) == ["2", "cells", "amount", "source", "values"]
    assert len([line for line in lines if line.startswith('  ["')]) == 2
    assert lines[-1] == "  not compared  email of 4 records: its source values are logged masked or hashed"


def test_the_sql_serves_an_analysis_and_waits_for_the_first_run(on_duckdb, project):
    for name in ("dashboard", "config", "refusal", "record"):
        assert "waits for a run of" in project.unbuilt.nodes[name].node.compiled_code
    found = project.query(project.compiled("dashboard"))
    assert cases.table_of([row for row in found if row["change"] == "changed"], "target_pk", "from_value", "to_value", "causes") == sorted(
        ((each[0], *each[2:]) for each in cells(compared(project, "edited", "first", "second"))), key=repr
    )  # fmt: skip
    assert cases.table_of([row for row in found if row["change"] != "changed"], "change", "target_pk", "record_count") == [
        ("added", pk("new"), 1), ("gone", pk("gone"), 1), ("not_comparable", None, 4), ("refused", pk("worse"), 1), ("released", pk("bad"), 1),
    ]  # fmt: skip


def test_what_is_not_there_is_told(on_duckdb, project):
    errors = [
        ({"target_table": "merged", "from_run_id": "frist"}, "has the run_id 'frist'. Did you mean first"),
        ({"target_table": "mergd"}, "Did you mean merged?"),
        ({"target_table": "merged", "from_run_id": "x", "to_run_id": "first"}, "There are: third, second, first"),
        ({"target_table": "merged", "from_run_id": "first", "to_run_id": "first"}, "name two runs"),
    ]
    for arguments, message in errors:
        invocation = compare(project, check=False, **arguments)
        assert not invocation.success
        assert message in invocation.messages


def test_one_run_alone_can_not_be_compared(on_duckdb, project):
    assert "no earlier run of the table succeeded" in project.alone.messages


def test_columns_whose_lineage_is_thin_are_found(on_duckdb, project):
    found = project.query(project.compiled("columns_with_thin_lineage"))
    thin = {(row["target_column"], row["finding"]) for row in found if row["target_relation"].endswith(".merged")}
    undescribed = ("id", "line", "total", "email", "phone")
    assert thin == {
        *((name, "no_api_field") for name in undescribed),
        *((name, "no_description") for name in undescribed),
        ("amount", "no_api_path"),
        ("email", "values_not_readable"),
        ("phone", "values_not_readable"),
        ("fax", "computed_without_rule"),
        ("fax", "always_null"),
        ("extra", "not_mapped"),
    }
