"""rejected='keep': refused records stay in the table, and everything says of them what it says in quarantine mode."""

from __future__ import annotations

import json
import re

import mapped_cases as cases
import pytest

TYPES = {"id": "string", "amount": "string", "kind": "string", "note": "string", "version": "int"}
ROWS = [
    ("a", "10", "real", "fine", 1),
    ("b", "x", "real", 'O\'Brien said "no" \\ ${env:HOME}', 1),
    ("c", "-5", "real", None, 1),
    ("d", "-7", "real", "😀\nlong", 1),
    (None, "3", "real", "no key", 1),
    (None, "y", "real", None, 1),
    ("e", "5000", "real", "much", 1),
    ("f", "1", "test", "filtered", 1),
    ("g", "1", None, "filtered by NULL", 1),
    ("h", "1", "real", "old", 1),
    ("h", "2", "real", "new", 2),
    ("h", "-1", "real", "refused and newest", 3),
]
RULES = [
    cases.rule("REAL", "events", "filter", "kind = 'real'"),
    cases.rule("POSITIVE", "events", "validation", "amount >= 0", severity="ERROR", message="It's negative."),
    cases.rule("NOT_LONG", "events", "validation", "note not like '%long'", severity="ERROR", message="too long"),
    cases.rule("MUCH", "events", "validation", "amount < 1000", severity="WARN", message="a lot"),
]
TABLES = ["quarantined", "kept", "quarantined_latest", "kept_latest"]


def mapping(target_table: str) -> list[dict]:
    return cases.mapped_columns(
        "events",
        target_table,
        ("id", "id", {"is_primary_key": True, "column_position": 1}),
        ("amount", "amount", {"data_type": "int", "column_position": 2}),
        ("note", "note", {"sensitivity": "hash", "column_position": 3}),
    )


def model(arguments: str = "", config: str = "materialized='table'") -> str:
    mapped = f"lineage_audit.mapped_model('events', source=source('raw', 'events'){arguments})"
    return f"{{{{ config({config}) }}}}{{{{ {mapped} }}}}"


TESTS = [
    "lineage_audit.lineage_complete",
    "lineage_audit.run_reconciles",
    {"lineage_audit.business_rules": {"arguments": {"endpoint_name": "events"}}},
]


@pytest.fixture(scope="module")
def project(engine, make_project):
    """The same config with refused records in quarantine and in the table, with and without latest_by."""
    project = make_project(
        engine,
        models={
            "quarantined": model(),
            "kept": model(", rejected='keep'"),
            "quarantined_latest": model(", latest_by='version'"),
            "kept_latest": model(", latest_by='version', rejected='keep', capture='in_row'"),
            "api_quarantined": "{{ lineage_audit.serving_view(ref('quarantined')) }}",
            "api_kept": "{{ lineage_audit.serving_view(ref('kept')) }}",
            "api_quarantined_latest": "{{ lineage_audit.serving_view(ref('quarantined_latest')) }}",
            "api_kept_latest": "{{ lineage_audit.serving_view(ref('kept_latest')) }}",
            "refused_kept": "{{ lineage_audit.rejected_rows(ref('kept')) }}",
            "refused_kept_latest": "{{ lineage_audit.rejected_rows(ref('kept_latest')) }}",
            "lineage_kept_latest": "{{ lineage_audit.column_lineage_of(ref('kept_latest')) }}",
        },
        api_endpoints=[{"endpoint_name": "events"}],
        field_mapping=[row for table in TABLES for row in mapping(table)],
        business_rules=RULES,
        properties=cases.source_properties("events")
        | {
            "models": [
                {
                    "name": name,
                    "data_tests": [*TESTS, *(["lineage_audit.primary_key"] if name.endswith("latest") else [])],
                }
                for name in TABLES
            ]
        },
    )
    cases.create_source(project, "events", TYPES, ROWS)
    project.dbt("build")
    return project


@pytest.mark.parametrize("suffix", ["", "_latest"])
def test_the_api_serves_the_same(project, suffix):
    served = [project.query(f"select * from {project.schema}.api_{mode}{suffix}") for mode in ("quarantined", "kept")]
    expected = [("a", 10), ("e", 5000), ("h", 2)] + ([] if suffix else [("h", 1)])
    assert cases.table_of(served[1], "id", "amount") == sorted(expected, key=repr)
    assert cases.table_of(served[1], *served[1][0]) == cases.table_of(served[0], *served[0][0])
    assert list(served[1][0]) == ["id", "amount", "note"]


@pytest.mark.parametrize("suffix", ["", "_latest"])
def test_counts_are_those_of_quarantine(project, suffix):
    expected = (12, 2, 7, 3) if suffix else (12, 2, 6, 4)
    assert cases.counts(project, f"quarantined{suffix}") == cases.counts(project, f"kept{suffix}") == [expected]


@pytest.mark.parametrize("suffix", ["", "_latest"])
def test_rejected_rows_is_what_quarantine_would_be(project, suffix):
    columns = ["record_key", "target_pk", "failed_rules", "messages", "mapped_values_json", "source_values_json"]
    kept = project.query(f"select * from {project.schema}.refused_kept{suffix}")
    quarantine = project.query(
        f"select * from {project.schema}_audit.quarantine where target_table = 'quarantined{suffix}'"
    )
    assert list(kept[0]) == list(quarantine[0])
    assert {row["target_table"] for row in kept} == {f"kept{suffix}"}
    assert cases.table_of(kept, *columns) == cases.table_of(quarantine, *columns)
    assert cases.table_of(kept, "target_pk", "failed_rules", "messages") == sorted(
        [
            ("b", ["cast:amount"], ["The value of amount cannot be read as its data type."]),
            ("c", ["POSITIVE"], ["It's negative."]),
            ("d", ["NOT_LONG", "POSITIVE"], ["too long", "It's negative."]),
            (None, ["not_null:id"], ["id is empty and must not be."]),
            (None, ["not_null:id", "cast:amount"],
             ["id is empty and must not be.", "The value of amount cannot be read as its data type."]),
            ("h", ["POSITIVE"], ["It's negative."]),
        ],
        key=repr,
    )  # fmt: skip


def test_refused_records_are_flagged_in_the_table(project):
    rows = project.query(f"select * from {project.schema}.kept_latest where id = 'h'")
    assert cases.table_of(rows, "amount", "_lineage_failed_rules") == [
        (-1, ["POSITIVE"]), (1, ["duplicate_key"]), (2, []),
    ]  # fmt: skip
    (suspicious,) = project.query(f"select * from {project.schema}.kept where id = 'e'")
    assert (suspicious["_lineage_warnings"], suspicious["_lineage_failed_rules"]) == (["MUCH"], [])


def test_only_accepted_records_get_lineage_and_nothing_stands_twice(project):
    audit = f"{project.schema}_audit"
    rows = project.query(
        f"select * from {audit}.column_lineage where target_table = 'kept' and target_column = 'amount'"
    )
    assert sorted(row["target_pk"] for row in rows) == ["a", "e", "h", "h"]
    in_row = project.query(f"select * from {project.schema}.lineage_kept_latest where target_column = 'amount'")
    assert {row["target_pk"]: json.loads(row["source_values_json"]) for row in in_row} == {
        "a": {"amount": "10"}, "e": {"amount": "5000"}, "h": {"amount": "2"},
    }  # fmt: skip
    for table in ("rejected_record", "rule_violation"):
        written = project.query(f"select distinct target_table from {audit}.{table}")
        assert sorted(row["target_table"] for row in written) == ["quarantined", "quarantined_latest"]


def test_generic_tests_see_what_they_see_in_quarantine_mode(project):
    """Refused rows break no rule and need no lineage; but one that is lost is missed."""
    project.execute(f"delete from {project.schema}.kept where id = 'c'")
    failed = project.dbt("test", "--select", "kept", check=False)
    assert [name for name, status in failed.statuses.items() if status == "fail"] == [
        "lineage_audit_run_reconciles_kept_"
    ]
    project.dbt("run", "--select", "kept")
    project.dbt("test", "--select", "kept")


def test_keep_writes_less(project):
    written = {
        name: [
            re.search(r"insert into \S*?(\w+)`?\W*\(", sql)[1]
            for sql in project.invocations[0].statements_of(name)
            if "insert into" in sql
        ]
        for name in ("quarantined", "kept", "kept_latest")
    }
    assert written == {
        "quarantined": [
            "run_event",
            "config_version",
            "rejected_record",
            "rule_violation",
            "cell_lineage",
            "run_event",
        ],
        "kept": ["run_event", "config_version", "cell_lineage", "run_event"],
        "kept_latest": ["run_event", "config_version", "run_event"],
    }


def test_a_table_that_keeps_none_has_no_rejected_rows(project):
    project.write("models/refused_quarantined.sql", "{{ lineage_audit.rejected_rows(ref('quarantined')) }}")
    failed = project.dbt("run", "--select", "refused_quarantined", check=False)
    project.remove("models/refused_quarantined.sql")
    assert "which keeps none: they are in the view quarantine" in failed.messages


def test_changing_from_quarantine_to_keep_asks_for_a_full_refresh(engine, make_project):
    project = make_project(
        engine,
        models={"gold": model(config="materialized='incremental', incremental_strategy='append'")},
        api_endpoints=[{"endpoint_name": "events"}],
        field_mapping=mapping("gold"),
        business_rules=RULES,
        properties=cases.source_properties("events"),
    )
    cases.create_source(project, "events", TYPES, ROWS)
    project.dbt("build")
    project.write(
        "models/gold.sql", model(", rejected='keep'", "materialized='incremental', incremental_strategy='append'")
    )
    refused = project.dbt("run", "--select", "gold", check=False)
    assert "rejected was 'quarantine' when" in refused.messages
    assert "Run the model once with --full-refresh." in refused.messages
    project.dbt("run", "--select", "gold", "--full-refresh")
    assert project.value(f"select count(*) from {project.schema}.gold") == 10
