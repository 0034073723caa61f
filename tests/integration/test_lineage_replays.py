"""`lineage_replays`: green on what the package wrote in each capture mode, red on whatever was changed behind its back."""

from __future__ import annotations

from types import SimpleNamespace

import mapped_cases as cases
import pytest

TYPES = {
    "id": "string",
    "line": "int",
    "amount": "string",
    "rate": "double",
    "note": "string",
    "email": "string",
    "seen_at": "timestamp",
    "day": "int",
}
FIRST = [
    ("a'", 1, "10", 1.5, "sql:cast(null as {text})", "a@x.y", "sql:timestamp '2024-10-27 01:30:00.5'", 1),
    ("b", 1, "x", 1.5, "refused", None, None, 1),
    ("c", 1, "30", 0.1, "null", "c@x.y", None, 1),
    ("d", 1, "40", 0.2, "", None, None, 1),
]
THEN = [("c", 1, "31", 0.1, "again", None, None, 2), ("e", 2, "50", 0.5, "😀\n\\ ${env:HOME}", None, None, 2)]
MODES = ("exploded", "compact", "in_row")
TABLES = (*MODES, "merged", "kept")


def mapping(table: str, rate: str = "amount * rate") -> list[dict]:
    return cases.mapped_columns(
        "shop",
        table,
        ("id", "id", {"is_primary_key": True, "column_position": 1}),
        ("line", "line", {"is_primary_key": True, "data_type": "bigint", "column_position": 2}),
        ("amount", "amount", {"data_type": "int", "column_position": 3}),
        (
            "total",
            "amount|rate",
            {"transform_expr": rate.replace("amount", "cast(amount as int)"), "column_position": 4, "nullable": False},
        ),
        ("note", "note", {"business_rule_id": "NO_NOTE", "column_position": 5}),
        ("email", "email", {"sensitivity": "mask", "column_position": 6}),
        ("seen_at", "seen_at", {"column_position": 7}),
        source_table="orders",
    )


RULES = [
    cases.rule("NO_NOTE", "shop", "default", "'none'"),
    cases.rule("READABLE", "shop", "filter", "amount <> 'x'"),
    cases.rule("NOT_FORTY", "shop", "validation", "amount <> 40", severity="ERROR"),
]


def model(config: str, arguments: str) -> str:
    return f"{{{{ config({config}) }}}}{{{{ lineage_audit.mapped_model('shop', source=source('raw', 'orders'), {arguments}) }}}}"


def replays(name: str, **arguments) -> dict:
    config = {"config": arguments.pop("config")} if "config" in arguments else {}
    return {"lineage_audit.lineage_replays": {"name": name} | config | ({"arguments": arguments} if arguments else {})}


@pytest.fixture(scope="module")
def tested(make_project, engine):
    merged = "materialized='incremental', incremental_strategy='merge', unique_key=['id', 'line'], on_schema_change='append_new_columns'"
    project = make_project(
        engine,
        models={
            **{mode: model("materialized='table'", f"capture='{mode}'") for mode in MODES},
            "merged": model(merged, "watermark='day'"),
            "kept": model("materialized='table'", "rejected='keep', capture='compact'"),
        },
        api_endpoints=[{"endpoint_name": "shop"}],
        field_mapping=[row for table in TABLES for row in mapping(table)],
        business_rules=RULES,
        properties=cases.source_properties("orders")
        | {
            "models": [
                {"name": table, "data_tests": [replays(f"{table}_replays")]} for table in TABLES if table != "merged"
            ]
            + [
                {
                    "name": "merged",
                    "data_tests": [
                        replays("merged_replays"),
                        replays("merged_first", run_id="first"),
                        replays("merged_sample", sample_rows=1),
                        replays("merged_where", config={"where": "id = 'e'"}),
                        replays("merged_nowhere", run_id="nowhere"),
                    ],
                }
            ]
        },
    )
    text = "varchar" if engine == "duckdb" else "string"
    rows = [
        tuple(
            value.format(text=text) if isinstance(value, str) and value.startswith("sql:") else value for value in row
        )
        for row in FIRST
    ]
    cases.create_source(project, "orders", TYPES, rows)
    project.dbt("build", "--exclude-resource-type", "test", vars={"lineage_audit_run_id": "first"})
    cases.insert_into_source(project, "orders", THEN)
    # Rows of two configs stand in the merged table; each is judged by its own.
    merged_rows = mapping("merged", "amount * rate + 0.5")
    project.write(
        "seeds/field_mapping.csv",
        [row for table in TABLES[:3] for row in mapping(table)] + merged_rows + mapping("kept"),
    )
    project.dbt(
        "build",
        "--select",
        "field_mapping",
        "merged",
        "--exclude-resource-type",
        "test",
        vars={"lineage_audit_run_id": "second"},
    )
    good = project.dbt("test", check=False)
    tamper(project)
    bad = project.dbt("test", "--store-failures", check=False)
    return SimpleNamespace(project=project, good=good, bad=bad)


def tamper(project) -> None:
    """A gold value, a lineage row in each mode, a text that is no value of its type, and a pinned expression."""
    store, schema = f"{project.schema}_audit", project.schema
    if project.engine == "spark":
        for table in ("cell_lineage", "record_lineage", "config_version"):
            project.execute(f"alter table {store}.{table} set tblproperties ('delta.appendOnly' = 'false')")
    listed, unreadable = (
        ("['c']", "['31', '0.1x']") if project.engine == "duckdb" else ("array('c')", "array('31', '0.1x')")
    )
    attempt = f"(select attempt_id from {store}.run_event where event_type = 'SUCCESS' and target_table = '{{}}' and run_id = '{{}}')"
    exploded, merged = (
        project.value(f"select max(attempt_id) as attempt_id from {attempt.format(*of)} as attempts")
        for of in (("exploded", "first"), ("merged", "second"))
    )
    cells = f"update {store}.cell_lineage set source_values ="
    project.execute(
        f"update {schema}.exploded set note = 'changed' where id = 'c'",
        f"{cells} {unreadable} where attempt_id = {merged} and column_position = 4 and target_pk like '%c%'",
        f"{cells} {listed} where attempt_id = {exploded} and column_position = 1 and target_pk like '%a%'",
        f"update {store}.config_version set transform_expr = 'cast(amount as int) * rate + 1'"
        " where target_column = 'total' and target_table = 'compact'",
        f"update {schema}.in_row set total = 4 where id = 'c'",
        f"update {schema}.kept set seen_at = timestamp '2024-01-01 00:00:00' where id = 'c'",
    )


def failing(tested, test: str) -> list[tuple]:
    relation = tested.bad.nodes[test].node.relation_name
    rows = tested.project.query(f"select target_pk, target_column, reason, gold_value, replayed_value from {relation}")
    return sorted(tuple(row.values()) for row in rows)


def test_what_the_package_wrote_replays_in_every_mode(tested):
    statuses = {name: status for name, status in tested.good.statuses.items() if "on-run" not in name}
    assert statuses == {
        "exploded_replays": "pass", "compact_replays": "pass", "in_row_replays": "pass", "kept_replays": "pass",
        "merged_replays": "pass", "merged_first": "pass", "merged_sample": "pass", "merged_where": "pass", "merged_nowhere": "error",
    }  # fmt: skip


def test_a_run_that_is_not_there_is_told(tested):
    assert "finds no successful run 'nowhere'" in tested.good.messages


def test_what_can_not_be_proved_is_counted_and_named(tested):
    assert (
        "lineage_replays of exploded: 2 cells can not be proved, email: its source values are logged masked or hashed."
        in tested.good.log
    )


def test_a_tampered_gold_value_is_found(tested):
    assert ('["c","1"]', "note", "other_value", "changed", "null") in failing(tested, "exploded_replays")
    (in_row,) = failing(tested, "in_row_replays")
    assert in_row[:3] == ('["c","1"]', "total", "other_value")
    (kept,) = failing(tested, "kept_replays")
    assert kept == ('["c","1"]', "seen_at", "other_value", "2024-01-01T00:00:00.000000", None)


def test_a_tampered_lineage_row_is_found(tested):
    assert ('["a\'","1"]', "id", "other_value", "a'", "c") in failing(tested, "exploded_replays")


def test_a_text_that_is_no_value_of_its_type_is_found(tested):
    assert [each[:3] for each in failing(tested, "merged_replays")] == [('["c","1"]', "total", "unreadable_value")]
    assert tested.bad.statuses["merged_where"] == "pass"
    assert tested.bad.statuses["merged_first"] == "pass"


def test_a_tampered_config_row_is_found(tested):
    assert {each[1] for each in failing(tested, "compact_replays")} == {"total"}
    assert len(failing(tested, "compact_replays")) == 2
