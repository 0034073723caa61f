"""The SQL of the generic tests that is made of config, compared with SQL written down in tests/unit/expected."""

from __future__ import annotations

from pathlib import Path

import pytest

EXPECTED = Path(__file__).parent / "expected"
ENGINES = ("duckdb", "spark")
TYPES = {"duckdb": ("varchar", "integer"), "spark": ("string", "int")}
RULES = [
    {"id": "AMOUNT_POSITIVE", "expression": "amount > 0", "severity": "ERROR", "message": "It's negative: ${env:HOME}"},
    {"id": "STATUS_KNOWN", "expression": "status in ('a', 'b')", "severity": "ERROR", "message": ""},
]


def key_of(macros, engine: str) -> list[dict]:
    text, integer = TYPES[engine]
    return [
        macros(engine)._tested_column("order_id", text, "none"),
        macros(engine)._tested_column("Line No", integer, "none"),
    ]


def expected(engine: str, name: str) -> str:
    return (EXPECTED / engine / f"{name}.sql").read_text(encoding="utf-8")


@pytest.mark.parametrize("engine", ENGINES)
def test_business_rules_is_exactly_the_expected_statement(macros, engine):
    rendered = macros(engine)._business_rules_sql("gold_orders", key_of(macros, engine), RULES, "ERROR")
    assert rendered + "\n" == expected(engine, "test_business_rules")


@pytest.mark.parametrize("engine", ENGINES)
def test_primary_key_is_exactly_the_expected_statement(macros, engine):
    rendered = macros(engine)._primary_key_sql("gold_orders", key_of(macros, engine))
    assert rendered + "\n" == expected(engine, "test_primary_key")


def test_business_rules_without_a_rule_has_the_same_columns_and_no_row(macros):
    rendered = macros("duckdb")._business_rules_sql("gold_orders", key_of(macros, "duckdb"), [], "WARN")
    assert rendered == (
        "-- no active validation rule has severity WARN\n"
        "select\n"
        "  cast(null as varchar) as target_pk,\n"
        "  cast(null as varchar) as business_rule_id,\n"
        "  cast(null as varchar) as message\n"
        "where 1 = 0"
    )
