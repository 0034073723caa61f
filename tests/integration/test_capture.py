"""Capture modes: whichever a model asks for, the same question gets the same answer, and old lineage stays readable."""

from __future__ import annotations

import mapped_cases as cases
import pytest

TYPES = {
    "duckdb": {"nested": "struct(a varchar, b integer)[]", "text": "varchar", "double": "double", "at": "timestamp"},
    "spark": {"nested": "array<struct<a: string, b: int>>", "text": "string", "double": "double", "at": "timestamp"},
}
NESTED = {
    "duckdb": "sql:[{{'a': '{text}', 'b': 1}}, {{'a': null, 'b': null}}]",
    "spark": "sql:array(named_struct('a', '{text}', 'b', 1), named_struct('a', null, 'b', null))",
}
HOSTILE = ["O'Brien", 'say "hi"', "a\\b", "line\nbreak", "😀 ünï", "{{ x }} -- ; ${env:HOME}", "", "a||b", '["x","y"]']
MODES = ("exploded", "compact", "in_row")


def source_types(engine: str) -> dict[str, str]:
    types = TYPES[engine]
    return {
        "order_id": types["text"], "Line No": "int", "amount": "decimal(20,6)", "rate": types["double"],
        "note": types["text"], "email": types["text"], "phone": types["text"], "items": types["nested"],
        "ordered_at": types["at"],
    }  # fmt: skip


def source_rows(engine: str) -> list[tuple]:
    nested = NESTED[engine]
    rows = []
    for number, text in enumerate(HOSTILE):
        items = None if number % 3 == 0 else nested.format(text="x" if number % 2 else "é")
        at = f"sql:timestamp '2024-03-0{number + 1} 01:02:03.000{number}'" if number % 2 else None
        rate = "sql:cast('NaN' as double)" if number == 4 else 0.1 * number
        rows.append((f"o{number}||", number, f"{number}.100000", rate, text, f"{number}@x.y", "555", items, at))
    rows.append(("o9", 9, None, None, None, None, None, None, None))
    # Both halves of the key without the other would be alike.
    rows.append((HOSTILE[0], 1, "1", 1, "apostrophe in a key", None, "", None, None))
    return rows


def mapping(target_table: str) -> list[dict]:
    return cases.mapped_columns(
        "orders",
        target_table,
        ("order_id", "order_id", {"is_primary_key": True, "column_position": 1}),
        ("Line", "Line No", {"is_primary_key": True, "column_position": 2, "data_type": "bigint"}),
        ("amount", "amount|rate", {"transform_expr": "amount * 2", "business_rule_id": "DOUBLED|NO_AMOUNT"}),
        ("raw amount", "amount"),
        ("note", "note", {"api_field_name": "note", "api_json_path": "$.note"}),
        ("email", "email", {"sensitivity": "hash"}),
        ("phone", "phone", {"sensitivity": "mask"}),
        ("items", "items"),
        ("ordered_at", "ordered_at"),
        ("constant", "", {"transform_expr": "'it''s'"}),
        source_table="raw.orders",
    )


RULES = [
    cases.rule("DOUBLED", "orders", "derivation", "amount * 2"),
    cases.rule("NO_AMOUNT", "orders", "default", "0"),
    cases.rule("NOT_LONG", "orders", "validation", "length(note) < 21", severity="ERROR", message="too long"),
]


def model(config: str, arguments: str = "") -> str:
    mapped = f"lineage_audit.mapped_model('orders', source=source('raw', 'orders'){arguments})"
    return f"{{{{ config({config}) }}}}{{{{ {mapped} }}}}"


@pytest.fixture(scope="module")
def project(engine, make_project):
    """The same config built in each mode, and the view over what each gold table holds."""
    tables = [f"gold_{mode}" for mode in MODES]
    project = make_project(
        engine,
        models={
            **{f"gold_{mode}": model("materialized='table'", f", capture='{mode}'") for mode in MODES},
            **{f"lineage_{mode}": f"{{{{ lineage_audit.column_lineage_of(ref('gold_{mode}')) }}}}" for mode in MODES},
        },
        api_endpoints=[{"endpoint_name": "orders", "source_system": "shop"}],
        field_mapping=[row for table in tables for row in mapping(table)],
        business_rules=RULES,
        properties=cases.source_properties("orders")
        | {
            "models": [
                {"name": table, "data_tests": ["lineage_audit.lineage_complete", "lineage_audit.run_reconciles"]}
                for table in tables
            ]
        },
    )
    by_name = "tblproperties ('delta.columnMapping.mode' = 'name')"  # for the blank in a name
    cases.create_source(project, "orders", source_types(engine), source_rows(engine), properties=by_name)
    project.dbt("build")
    return project


ANSWER = (
    "run_id, endpoint_name, target_pk, target_column, api_field_name, api_json_path, source_table, source_columns, "
    "transform_expr, business_rule_id, source_values_json, invocation_id"
)


def difference(project, one: str, other: str) -> list[dict]:
    """Rows that only one of two relations or queries holds, and how often."""
    counted = "(select {answer}, count(*) as copies from {rows} group by all)"
    left, right = (counted.format(answer=ANSWER, rows=rows) for rows in (one, other))
    return project.query(f"({left} except {right}) union all ({right} except {left})")


def lineage_of(project, table: str) -> str:
    return f"(select * from {project.schema}_audit.column_lineage where target_table = '{table}') as lineage"


def test_compact_answers_as_exploded_does(project):
    assert project.value(f"select count(*) from {lineage_of(project, 'gold_exploded')}") == 10 * 10
    assert difference(project, lineage_of(project, "gold_exploded"), lineage_of(project, "gold_compact")) == []


@pytest.mark.parametrize("mode", MODES)
def test_gold_shows_the_lineage_of_what_it_holds(project, mode):
    in_gold = f"{project.schema}.lineage_{mode}"
    assert difference(project, lineage_of(project, "gold_exploded"), in_gold) == []


def test_the_columns_are_those_of_column_lineage(project):
    columns = list(project.query(f"select * from {project.schema}.lineage_in_row limit 1")[0])
    assert columns == list(project.query(f"select * from {project.schema}_audit.column_lineage limit 1")[0])
    assert columns[: len(cases.COLUMN_LINEAGE_COLUMNS)] == cases.COLUMN_LINEAGE_COLUMNS


def test_what_is_stored(project):
    """A row per cell, a row per record, none; and a list where JSON could stand."""
    audit = f"{project.schema}_audit"
    attempts = {
        row["target_table"]: row["attempt_id"]
        for row in project.query(f"select target_table, attempt_id from {audit}.run_event where event_type = 'SUCCESS'")
    }
    stored = {
        mode: [
            project.value(f"select count(*) from {audit}.{table} where attempt_id = {attempts[f'gold_{mode}']}")
            for table in ("cell_lineage", "record_lineage")
        ]
        for mode in MODES
    }
    assert stored == {"exploded": [100, 0], "compact": [0, 10], "in_row": [0, 0]}
    (record,) = project.query(f"select source_values from {audit}.record_lineage where target_pk like '%o9%'")
    assert record["source_values"] == ["o9", "9", None, None, None, None, None, None, None]


def test_in_row_holds_every_source_value_in_the_struct(project):
    """What gold holds verbatim may be left out of the struct only where hooks copy it."""
    struct = "_lineage_source_values"
    assert project.query(f"select {struct}.order_id from {project.schema}.gold_in_row where order_id = 'o9'")
    row = project.query(f"select {struct} from {project.schema}.gold_exploded where order_id = 'o9'")[0][struct]
    assert "order_id" not in row


def test_a_row_without_source_values_is_found_incomplete(project):
    project.execute(f"update {project.schema}.gold_in_row set _lineage_source_values = null where order_id = 'o9'")
    failed = project.dbt("test", "--select", "gold_in_row", check=False)
    assert [name for name, status in failed.statuses.items() if status == "fail"] == [
        "lineage_audit_lineage_complete_gold_in_row_"
    ]
    project.dbt("run", "--select", "gold_in_row")


# --- a mode that changes between runs -------------------------------------------------------------------------


SWITCHED = cases.mapped_columns(
    "orders",
    "switched",
    ("order_id", "order_id", {"is_primary_key": True, "column_position": 1}),
    ("note", "note", {"column_position": 2}),
    ("length", "note", {"transform_expr": "length(note)", "column_position": 3}),
    ("key_length", "order_id", {"transform_expr": "length(order_id)", "column_position": 4}),
)


def switching_models() -> dict[str, str]:
    return {
        "switched": model("materialized='incremental', incremental_strategy='merge', unique_key='order_id'"),
        "lineage_now": "{{ lineage_audit.column_lineage_of(ref('switched')) }}",
    }


@pytest.fixture(scope="module")
def switched(engine, make_project):
    """One incremental model, in each run another mode; every run brings an order and corrects the first one."""
    types = {name: TYPES[engine][kind] for name, kind in (("order_id", "text"), ("note", "text"))}
    project = make_project(
        engine,
        models=switching_models(),
        api_endpoints=[{"endpoint_name": "orders"}],
        field_mapping=SWITCHED,
        business_rules=[],
        properties=cases.source_properties("orders")
        | {"models": [{"name": "switched", "data_tests": ["lineage_audit.lineage_complete"]}]},
    )
    project.dbt("seed")
    for number, mode in enumerate(["exploded", "in_row", "compact", "in_row"]):
        cases.create_source(project, "orders", types, [(f"o{number}", f"note {number}"), ("again", f"run {number}")])
        project.dbt(
            "build",
            "--exclude-resource-type",
            "seed",
            vars={"lineage_audit_capture": mode, "lineage_audit_run_id": f"run-{number}"},
        )
    return project


def test_old_lineage_stays_readable(switched):
    rows = switched.query(
        f"select run_id, target_pk, source_values_json from {switched.schema}_audit.column_lineage "
        "where target_column = 'length'"
    )
    assert cases.table_of(rows, "run_id", "target_pk", "source_values_json") == [
        ("run-0", "again", '{"note":"run 0"}'),
        ("run-0", "o0", '{"note":"note 0"}'),
        ("run-2", "again", '{"note":"run 2"}'),
        ("run-2", "o2", '{"note":"note 2"}'),
    ]


def test_gold_shows_each_row_as_its_run_wrote_it(switched):
    """Values that the run of a row left in the column alone are read there."""
    rows = switched.query(
        f"select run_id, target_pk, target_column, source_values_json from {switched.schema}.lineage_now"
    )
    assert cases.table_of(rows, "run_id", "target_pk", "target_column", "source_values_json") == sorted(
        (run, key, column, f'{{"{source}":"{key if source == "order_id" else note}"}}')
        for run, key, note in [
            ("run-0", "o0", "note 0"), ("run-1", "o1", "note 1"), ("run-2", "o2", "note 2"),
            ("run-3", "o3", "note 3"), ("run-3", "again", "run 3"),
        ]
        for column, source in [("order_id", "order_id"), ("note", "note"), ("length", "note"), ("key_length", "order_id")]
    )  # fmt: skip


def test_a_view_built_before_the_config_changed_says_so(switched):
    rows = cases.mapped_columns(
        "orders", "switched", ("extra", "note|order_id", {"transform_expr": "note || order_id"})
    )
    switched.write("seeds/field_mapping.csv", SWITCHED + rows)
    switched.dbt("seed", "--select", "field_mapping")
    switched.dbt("run", "--select", "switched", "--full-refresh", vars={"lineage_audit_capture": "in_row"})
    with pytest.raises(Exception, match=r"build the view again: dbt run --select lineage_now"):
        switched.query(f"select * from {switched.schema}.lineage_now")
    switched.dbt("run", "--select", "lineage_now")
    assert switched.value(f"select count(*) from {switched.schema}.lineage_now") == 2 * 5
