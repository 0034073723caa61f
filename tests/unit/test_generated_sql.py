"""Whole statements, compared with SQL written down in tests/unit/expected, and the style that all of them keep."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from plans import column, compact_plan, field, full_plan, kept_plan, plain_plan, plan

EXPECTED = Path(__file__).parent / "expected"
ENGINES = ("duckdb", "spark")
PLANS = {"plain": plain_plan, "full": full_plan, "compact": compact_plan, "kept": kept_plan}
STATEMENTS = {
    "rejected_record": "_rejected_record_sql",
    "rule_violation": "_rule_violation_sql",
    "cell_lineage": "_lineage_sql",
    "record_lineage": "_lineage_sql",
    "success": "_success_sql",
    "started": "_started_sql",
    "closed_record": "_closed_record_sql",
}


def render(macros, monkeypatch, a_plan: dict, statement: str) -> str:
    """A statement of the run that the plan stands for."""
    if statement == "gold":
        return macros._gold_sql(a_plan)
    monkeypatch.setattr(macros, "_plan_of_run", lambda: a_plan)
    return getattr(macros, STATEMENTS[statement])()


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("gold", "plain"),
        ("gold", "full"),
        ("rejected_record", "plain"),
        ("rejected_record", "full"),
        ("rule_violation", "full"),
        ("cell_lineage", "plain"),
        ("cell_lineage", "full"),
        ("success", "plain"),
        ("success", "full"),
        ("record_lineage", "compact"),
        ("gold", "kept"),
        ("record_lineage", "kept"),
        ("success", "kept"),
        ("closed_record", "kept"),
    ],
)
@pytest.mark.parametrize("engine", ENGINES)
def test_statement_is_exactly_the_expected_one(macros, monkeypatch, engine, statement, kind):
    rendered = render(macros(engine), monkeypatch, PLANS[kind](engine), statement)
    expected = (EXPECTED / engine / f"{statement}_{kind}.sql").read_text(encoding="utf-8")
    assert rendered + "\n" == expected


# --- parts of a statement that the two plans above don't show ------------------------------------------------


def test_no_violation_statement_without_validations(macros, monkeypatch):
    assert render(macros("duckdb"), monkeypatch, plain_plan("duckdb"), "rule_violation") == ""


def test_refused_records_that_stay_in_gold_are_written_nowhere_else(macros, monkeypatch):
    assert render(macros("duckdb"), monkeypatch, kept_plan("duckdb"), "rejected_record") == ""
    assert render(macros("duckdb"), monkeypatch, kept_plan("duckdb"), "rule_violation") == ""


def test_in_row_copies_nothing(macros, monkeypatch):
    in_row = {**full_plan("duckdb"), "capture": "in_row"}
    assert render(macros("duckdb"), monkeypatch, in_row, "cell_lineage") == ""


def test_no_closing_statement_before_anything_was_rejected(macros, monkeypatch):
    assert render(macros("duckdb"), monkeypatch, full_plan("duckdb"), "closed_record") == ""


def test_without_a_mark_of_an_earlier_run_everything_is_read(macros):
    first_run = full_plan("duckdb")
    first_run["watermark"]["from"] = None
    source_rows = macros("duckdb")._gold_sql(first_run).split("filtered as (")[0]
    assert "where" not in source_rows


def test_rows_of_a_staged_source_are_those_of_the_run(macros):
    """The staging table was filled within the bounds already."""
    staged = {**full_plan("spark"), "staged": "db.gold.orders__lineage_source"}
    assert macros("spark")._read_bounds(staged) == []


def test_a_field_that_no_mapping_uses_any_more_stays_null(macros):
    grown = plain_plan("duckdb")
    grown["struct_fields"] = [field("old", "decimal(9,2)", column=None), *grown["struct_fields"]]
    assert "      'old': cast(null as decimal(9,2)),\n      'customer_note': customer_note\n" in macros(
        "duckdb"
    )._gold_sql(grown)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "_value_x"),
        ({"data_type": "int"}, "try_cast(_value_x as int)"),
        ({"default_expression": "0"}, "coalesce(_value_x, _default_x)"),
        (
            {"data_type": "int", "default_expression": "0"},
            "case when _value_x is null then try_cast(_default_x as int) else try_cast(_value_x as int) end",
        ),
    ],
)
def test_cast_and_default(macros, changes, expected):
    assert macros("duckdb")._cast(column("x", "x", "int", **changes)) == expected


# Acceptance and reasons are two sides of one thing: what the one lets through, the other has nothing against.
@pytest.mark.parametrize(
    ("changes", "accepted", "reason"),
    [
        ({}, [], []),
        ({"required": True}, ["x is not null"], ["case when x is null then 'not_null:x' end"]),
        (
            {"can_fail": True},
            ["not (_value_x is not null and x is null)"],
            ["case when (_value_x is not null and x is null) then 'cast:x' end"],
        ),
        (
            {"can_fail": True, "required": True},
            ["x is not null"],
            ["case when (_value_x is not null and x is null) then 'cast:x' when x is null then 'not_null:x' end"],
        ),
    ],
)
def test_acceptance_and_reasons(macros, changes, accepted, reason):
    one_column = plan([column("x", "x", "int", **changes)], [field("x", "int")])
    assert macros("duckdb")._acceptance(one_column) == accepted
    assert macros("duckdb")._reasons(one_column) == reason


@pytest.mark.parametrize(
    ("engine", "type", "literal"),
    [
        ("duckdb", "timestamp", "cast('2024-03-01T06:00:00.000000' as timestamp)"),
        ("duckdb", "TIMESTAMP WITH TIME ZONE", "cast('2024-03-01T06:00:00.000000Z' as TIMESTAMP WITH TIME ZONE)"),
        ("spark", "timestamp", "cast('2024-03-01T06:00:00.000000Z' as timestamp)"),
        ("spark", "timestamp_ntz", "cast('2024-03-01T06:00:00.000000' as timestamp_ntz)"),
    ],
)
def test_a_watermark_is_an_instant_in_utc(macros, engine, type, literal):
    assert macros(engine)._watermark_literal("2024-03-01T06:00:00.000000", type) == literal


def test_a_key_of_one_part_is_its_text_and_of_several_a_json_array(macros):
    key = {"is_key": True, "required": True}
    one = plan([column("id", "id", "integer", **key)], [])
    two = plan([column("id", "id", "integer", **key), column("line", "line", "varchar", **key)], [])
    assert macros("duckdb")._target_pk(one) == "cast(id as varchar)"
    assert macros("duckdb")._target_pk(two) == (
        "case when id is null or line is null then null else cast(to_json([cast(id as varchar), line]) as varchar) end"
    )


# --- style -----------------------------------------------------------------------------------------------------

TOKEN = re.compile(
    r"""
    (?P<text>'(?:[^'\\]|''|\\.)*')      # a literal
    | (?P<name>"(?:[^"]|"")*"|`[^`]*`)   # a quoted name
    | (?P<word>[A-Za-z_]\w*)
    | (?P<mark>[(),\[\]{}]|\n)
    """,
    re.VERBOSE,
)
ENDS_SELECT_LIST = {"from", "where", "group", "order", "union"}


def items_that_share_a_line(sql: str) -> list[str]:
    """Lines of a select list on which more than one item stands."""
    tokens = [(match.lastgroup, match.group(), match.end()) for match in TOKEN.finditer(sql)]
    in_select_list = [False]
    found = []
    for (kind, token, end), (_, following, _) in itertools.pairwise([*tokens, ("mark", "\n", len(sql))]):
        if token in "([{" and kind == "mark":
            in_select_list.append(False)
        elif token in ")]}" and kind == "mark":
            in_select_list.pop()
        elif kind == "word" and token == "select":
            in_select_list[-1] = True
        elif kind == "word" and token in ENDS_SELECT_LIST:
            in_select_list[-1] = False
        elif kind == "mark" and token == "," and in_select_list[-1] and following != "\n":
            found.append(sql[sql.rfind("\n", 0, end) + 1 :].split("\n")[0])
    return found


def words_outside_literals(sql: str) -> list[str]:
    return [match.group() for match in TOKEN.finditer(sql) if match.lastgroup == "word"]


def test_the_style_check_finds_what_it_is_for():
    assert items_that_share_a_line("select\n  a,\n  f(b, c) as d\nfrom t order by a, b") == []
    assert items_that_share_a_line("with x as (\n  select\n    a, b\n  from t\n)\nselect\n  'a, b'\nfrom x") == [
        "    a, b"
    ]


@pytest.mark.parametrize("statement", ["gold", *STATEMENTS])
@pytest.mark.parametrize("kind", PLANS)
@pytest.mark.parametrize("engine", ENGINES)
def test_generated_sql_keeps_to_the_style(macros, monkeypatch, engine, kind, statement):
    a_plan = PLANS[kind](engine)
    a_plan["history"]["has_rejected"] = True
    sql = render(macros(engine), monkeypatch, a_plan, statement)
    lines = sql.split("\n") if sql else []
    assert [line for line in lines if not line.strip()] == [], "stray blank lines"
    assert [line for line in lines if line != line.rstrip()] == [], "trailing spaces"
    assert [line for line in lines if "\t" in line] == [], "tabs"
    assert items_that_share_a_line(sql) == []
    assert [word for word in words_outside_literals(sql) if word != word.lower() and word != "T"] == []
