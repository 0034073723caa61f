"""What `trace` makes of a key, an expression and an answer; the recomputation of cells, evaluated by DuckDB."""

from __future__ import annotations

import duckdb
import pytest
from bare_jinja import CompilationError

ROW = {
    "target_column": "total", "column_position": 2, "source_columns": ["amount", "rate"], "source_types": ["bigint", "decimal(9,2)"],
    "transform_expr": "amount * rate", "default_expr": None, "data_type": "decimal(18,2)", "sensitivity": "none",
}  # fmt: skip
TEXT = {"duckdb": "varchar", "spark": "string"}


def key_column(name: str, type: str | None, sensitivity: str = "none") -> dict:
    return {"name": name, "quoted": name, "type": type, "mark": "none", "sensitivity": sensitivity, "is_key": True}


def written(*key_columns: dict) -> dict:
    return {"target_table": "gold_orders", "key_columns": list(key_columns)}


# --- the key ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [["o'1", 2], '["o\'1", "2"]', {"LINE": 2, "order_id": "o'1"}, ("o'1", "2")])
def test_a_key_of_two_columns_may_be_written_in_several_ways(macros, given):
    asked = written(key_column("order_id", "varchar"), key_column("line", None))
    key = macros("duckdb")._asked_key(asked, given)
    assert macros("duckdb")._asked_pk(key) == "cast(to_json(['o''1', '2']) as varchar)"


@pytest.mark.parametrize("given", ["12345", 12345, ["12345"], {"order_id": 12345}])
def test_a_key_of_one_column_is_its_value(macros, given):
    key = macros("spark")._asked_key(written(key_column("order_id", "string")), given)
    assert macros("spark")._asked_pk(key) == "'12345'"


def test_a_text_that_looks_like_json_is_the_value_of_a_key_of_one_column(macros):
    key = macros("duckdb")._asked_key(written(key_column("id", "varchar")), '["a","b"]')
    assert macros("duckdb")._asked_pk(key) == '\'["a","b"]\''


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("o1", 'has 1 part. The key of gold_orders is order_id, line: write it as \'["order_id","line"]\''),
        ({"order_id": "o1"}, "line is missing in target_pk."),
        ({"order_id": "o1", "lien": 1, "line": 1}, "'lien' is no column of the key. Did you mean line?"),
        (["o1", None], "line is missing in target_pk."),
        (["o1", 1, 2], "has 3 parts."),
    ],
)
def test_a_key_that_is_none_is_told(macros, given, message):
    with pytest.raises(CompilationError) as error:
        macros("duckdb")._asked_key(written(key_column("order_id", "varchar"), key_column("line", "int")), given)
    assert message in str(error.value)


def test_a_hashed_part_is_hashed_unless_it_is_a_hash(macros):
    column = key_column("id", "varchar", "hash")
    assert macros("duckdb")._key_text("f" * 64, column) == f"'{'f' * 64}'"
    assert macros("duckdb")._key_text("ada", column) == macros("duckdb").keyed_hash_of("'ada'")


@pytest.mark.parametrize(
    ("given", "time"),
    [
        ("2024-03-01", "2024-03-01 00:00:00"),
        ("2024-03-01T06:30", "2024-03-01 06:30:00"),
        ("2024-03-01 06:30:59.25Z", "2024-03-01 06:30:59.25"),
        ("2024-03-01 06:30:59+00:00", "2024-03-01 06:30:59"),
    ],
)
def test_a_time_is_read_in_utc(macros, given, time):
    assert macros("duckdb")._time_asked(given) == time


@pytest.mark.parametrize("given", ["yesterday", "2024-03-01 06:30:00+02:00", "2024-03-01' or 1 = 1"])
def test_what_is_no_time_is_told(macros, given):
    with pytest.raises(CompilationError, match="is no time"):
        macros("duckdb")._time_asked(given)


# --- the expression -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("amount * rate", "100 * 1.07"),
        ("AMOUNT*rate + amount_of(rate) - t.rate", "100*1.07 + amount_of(1.07) - t.rate"),
        ("coalesce(note, 'amount')", "coalesce('it''s rate', 'amount')"),
        ('"Due Date" is null', "NULL is null"),
        ("Due Date", "NULL"),
        ("rates", "rates"),
    ],
)
def test_an_expression_with_the_values_put_in(macros, expression, shown):
    sources = [
        {"column": "amount", "type": "BIGINT", "value": "100"},
        {"column": "rate", "type": "DECIMAL(9,2)", "value": "1.07"},
        {"column": "note", "type": "VARCHAR", "value": "it's rate"},
        {"column": "Due Date", "type": "DATE", "value": None},
    ]
    assert macros("duckdb")._with_values(expression, sources) == shown


@pytest.mark.parametrize("engine", ["duckdb", "spark"])
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"transform_expr": "amount || 'now() select over'"}, None),
        ({"transform_expr": "now"}, "non_deterministic"),
        ({"transform_expr": "now", "source_columns": ["now"], "source_types": ["date"]}, None),
        ({"transform_expr": "coalesce(now, amount)", "source_columns": ["now", "amount"]}, None),
        ({"transform_expr": "CURRENT_DATE - amount"}, "non_deterministic"),
        ({"default_expr": "uuid()"}, "non_deterministic"),
        ({"transform_expr": "sum(amount) over ()"}, "reads_other_rows"),
        ({"transform_expr": "(select max(rate) from rates) * amount"}, "reads_other_rows"),
        ({"sensitivity": "mask"}, "masked_value"),
        ({"sensitivity": "hash"}, "masked_value"),
        ({"source_types": [None, "int"]}, "unreadable_type"),
        ({"source_types": ["variant", "int"]}, "unreadable_type"),
    ],
)
def test_what_can_not_be_proved_is_named(macros, engine, changes, reason):
    assert macros(engine)._why_unprovable(ROW | changes) == reason
    assert reason is None or reason in macros(engine)._unprovable_sentences()


# --- the recomputation --------------------------------------------------------------------------------------------

PLAIN = {"source_columns": ["note"], "source_types": ["varchar"], "transform_expr": "note"}


@pytest.mark.parametrize(
    ("changes", "texts", "value", "unreadable"),
    [
        ({}, ["100", "1.07"], "107.00", False),
        ({}, ["100", None], None, False),
        ({}, ["many", "1.07"], None, True),
        ({"default_expr": "0"}, [None, "1.07"], "0.00", False),
        ({**PLAIN, "data_type": None}, ["it's"], "it's", False),
        ({**PLAIN, "data_type": "int"}, ["12"], "12", False),
        ({**PLAIN, "data_type": "int"}, ["12x"], None, False),
        ({**PLAIN, "data_type": None, "default_expr": "'none'"}, [None], "none", False),
        ({**PLAIN, "data_type": "int[]"}, ["[1, 2]"], "[1,2]", False),
        ({**PLAIN, "data_type": "int[]"}, ["[1, x]"], None, False),
        ({"source_columns": [], "source_types": [], "transform_expr": "'it''s'", "data_type": None}, [], "it's", False),
        (
            {"source_columns": ["Due At"], "source_types": ["TIMESTAMP WITH TIME ZONE"], "transform_expr": "Due At", "data_type": None},
            ["2024-10-27T01:30:00.250000"], "2024-10-27T01:30:00.250000", False,
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_a_cell_is_recomputed_from_its_texts(macros, changes, texts, value, unreadable, zone):
    column = macros("duckdb")._pinned_column(ROW | changes)
    literals = macros("duckdb").list_of_texts(texts)
    cells = f"(select 'a' as run, 2 as _lineage_position, cast({literals} as varchar[]) as _lineage_values) as cells"
    with duckdb.connect() as connection:
        connection.execute(f"set TimeZone = '{zone}'")
        rows = connection.execute(macros("duckdb")._replayed_cells(cells, ["run"], [column])).fetchall()
    assert rows == [("a", 2, value, unreadable)]


def test_a_value_without_a_pinned_type_is_cast_to_the_type_that_gold_has(macros):
    row = ROW | {"data_type": None, "transform_expr": "amount"} | {"transform_expr": "amount + 0"}
    column = macros("duckdb")._pinned_column(row, [{"name": "TOTAL", "type": "DOUBLE"}])
    cells = "(select 2 as _lineage_position, ['1', '1'] as _lineage_values) as cells"
    with duckdb.connect() as connection:
        assert connection.execute(macros("duckdb")._replayed_cells(cells, [], [column])).fetchone()[1] == "1.0"


# --- the answer ---------------------------------------------------------------------------------------------------

CELL = ROW | {
    "gold_value": "107.00", "gold_row_count": 1, "source_values": ["100", "1.07"], "config_hash": "c0ffee00", "warnings": ["USUAL"],
    "business_rule_id": "FX", "api_field_name": "amount.value", "api_json_path": "$.amount.value", "source_table": "silver",
    "target_pk": "o1", "run_id": "nightly", "invocation_id": "i", "committed_ts": "2024-03-01T06:00:00.000000", "run_by": "ada",
    "code_version": "abcdef0123", "capture": "exploded",
}  # fmt: skip
RULES = [
    {"config_hash": "c0ffee00", "business_rule_id": "FX", "rule_category": "derivation", "transform_expr": "amount * rate",
     "severity": None, "message": "Times the rate."},
    {"config_hash": "c0ffee00", "business_rule_id": "USUAL", "rule_category": "validation", "transform_expr": "total < 9",
     "severity": "WARN", "message": "That is much."},
    {"config_hash": "0ld", "business_rule_id": "OLD", "rule_category": "validation", "transform_expr": "total > 9",
     "severity": "ERROR", "message": "Of another config."},
]  # fmt: skip
REPLAYED = {2: {"replayed_value": "107.00", "is_unreadable": False}}
REQUEST = {
    "written": {"target_table": "gold_orders", "target_relation": "db.gold.orders", "layouts": [{"columns": [{"name": "total"}]}]},
    "as_of": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "replayed", "verdict"),
    [
        ({}, {}, ("replays", None)),
        ({"gold_value": "107.01"}, {}, ("differs", "other_value")),
        ({"gold_value": None}, {}, ("differs", "other_value")),
        ({"gold_value": None}, {"replayed_value": None}, ("replays", None)),
        ({"gold_value": None}, {"replayed_value": None, "is_unreadable": True}, ("differs", "unreadable_value")),
        ({"gold_row_count": 0}, {}, ("not_provable", "not_in_gold")),
        ({"gold_row_count": 2}, {}, ("not_provable", "key_not_unique")),
        ({"target_column": "gone"}, {}, ("not_provable", "column_not_in_gold")),
        ({"sensitivity": "mask"}, {}, ("not_provable", "masked_value")),
    ],
)
def test_the_verdict(macros, changes, replayed, verdict):
    found = macros("duckdb")._verdict(REQUEST, CELL | changes, REPLAYED[2] | replayed)
    assert (found["verdict"], found["reason"]) == verdict


def test_a_person_reads_the_value_first(macros):
    answer = macros("duckdb")._trace_answer(REQUEST, [CELL], REPLAYED, RULES, [])
    assert macros("duckdb")._trace_text(answer) == "\n".join([
        "gold_orders o1: total = 107.00",
        "  expression     amount * rate  =  100 * 1.07, cast to decimal(18,2)",
        "  source silver  amount  100   bigint",
        "                 rate    1.07  decimal(9,2)",
        "  API field      amount.value at $.amount.value",
        "  rule           FX (derivation): Times the rate.",
        "                 USUAL (validation, WARN), violated: That is much. [total < 9]",
        "  run            2024-03-01 06:00:00 UTC by ada, run nightly, config c0ffee00, code abcdef01",
        "  replays        yes: the logged source values give 107.00 again",
    ])  # fmt: skip


def test_a_record_is_a_table_with_a_line_per_column(macros):
    other = CELL | {"target_column": "email", "column_position": 3, "sensitivity": "mask", "business_rule_id": None,
                    "source_columns": ["email"], "source_types": ["varchar"], "source_values": ["***"], "transform_expr": "email",
                    "gold_value": "***", "api_field_name": None, "api_json_path": None}  # fmt: skip
    request = REQUEST | {
        "written": REQUEST["written"] | {"layouts": [{"columns": [{"name": "total"}, {"name": "email"}]}]}
    }
    answer = macros("duckdb")._trace_answer(request, [CELL, other], REPLAYED, RULES, [])
    assert macros("duckdb")._trace_text(answer) == "\n".join([
        "gold_orders o1",
        "  column  value   expression                  API field     path in the payload  rule       replays",
        "  ------  ------  --------------------------  ------------  -------------------  ---------  -------",
        "  total   107.00  amount * rate = 100 * 1.07  amount.value  $.amount.value       FX, USUAL  yes",
        "  email   ***     email = '***'                                                             ?",
        "",
        "  warning  USUAL (validation, WARN), violated: That is much. [total < 9]",
        "  run      2024-03-01 06:00:00 UTC by ada, run nightly, config c0ffee00, code abcdef01",
        "  replays  email: can not be proved: its source values are logged masked or hashed",
    ])  # fmt: skip


REFUSAL = {
    "record_key": "o1", "target_pk": "o1", "failed_rules": ["cast:total", "USUAL"], "messages": ["The value of total …", "That is much."],
    "source_values_json": '{"amount": null}', "mapped_values_json": '{"total": "1"}', "run_id": "nightly", "invocation_id": "i",
    "refused_ts": "2024-03-01T06:00:00.000000", "run_by": "ada", "config_hash": "c0ffee00", "code_version": "abc", "is_last_refusal": True,
    "is_open": True, "closed_as": None, "closed_by": None, "closed_reason": None, "closed_ts": None,
}  # fmt: skip
CLOSED = {
    "is_open": False,
    "closed_as": "dismissed",
    "closed_by": "jane",
    "closed_reason": "sent twice",
    "closed_ts": "2024-03-02T06:00:00.0",
}


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "open"),
        (CLOSED, "dismissed"),
        (CLOSED | {"closed_as": "accepted"}, "accepted"),
        (CLOSED | {"is_last_refusal": False}, "refused_again"),
        ({"is_open": False, "failed_rules": ["duplicate_key"], "messages": [""]}, "superseded"),
    ],
)
def test_the_state_of_a_refusal(macros, changes, state):
    refusal = macros("duckdb")._answered_refusal(REFUSAL | changes, RULES)
    assert refusal["state"] == state
    assert (refusal["closed_by"] is not None) == (state in ("dismissed", "accepted"))


def test_a_refused_record_says_why(macros):
    answer = macros("duckdb")._trace_answer(REQUEST, [], {}, RULES, [REFUSAL | CLOSED])
    assert macros("duckdb")._trace_text(answer) == "\n".join([
        "gold_orders o1: refused, dismissed (2024-03-02 06:00:00 UTC by jane: sent twice)",
        "  reason  cast:total: The value of total …",
        "          USUAL (WARN): That is much. [total < 9]",
        "  source  amount  NULL",
        "  mapped  total  1",
        "  run     2024-03-01 06:00:00 UTC by ada, run nightly, config c0ffee00, code abc",
    ])  # fmt: skip
