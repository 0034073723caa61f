"""What is read out of the config tables: order, marks, checks with their messages, and the plan of a column."""

from __future__ import annotations

from typing import Any

import pytest
from bare_jinja import CompilationError

MAPPING_COLUMNS = (
    "endpoint_name", "target_layer", "target_table", "target_column", "source_table", "source_columns",
    "api_field_name", "api_json_path", "transform_expr", "business_rule_id", "is_primary_key", "data_type",
    "nullable", "active_flag", "sensitivity", "description", "column_position",
)  # fmt: skip
RULE_COLUMNS = (
    "business_rule_id", "endpoint_name", "target_table", "rule_category", "rule_expression", "severity", "message",
    "active_flag",
)  # fmt: skip


def mapping(target_column: str | None, source_columns: str | None = None, **cells: Any) -> dict[str, Any]:
    row = dict.fromkeys(MAPPING_COLUMNS)
    return {
        **row,
        "endpoint_name": "orders_v2",
        "target_table": "gold_orders",
        "target_column": target_column,
        "source_columns": source_columns if source_columns is not None else target_column,
        **cells,
    }


def rule(business_rule_id: str, rule_category: str = "validation", rule_expression: str = "true", **cells: Any):
    row = dict.fromkeys(RULE_COLUMNS)
    return {
        **row,
        "business_rule_id": business_rule_id,
        "endpoint_name": "orders_v2",
        "rule_category": rule_category,
        "rule_expression": rule_expression,
        "severity": "ERROR" if rule_category == "validation" else None,
        **cells,
    }


KEY = mapping("order_id", is_primary_key="true")
COLUMNS = {"order_id": "varchar", "amount_raw": "integer", "fx_rate": "decimal(9,2)", "Currency": "varchar"}


def request(rows: list[dict], rules: list[dict] | None = None, **changes: Any) -> dict[str, Any]:
    """What a check looks at, for a model with these active rows; all that is not named is in order."""
    rules = rules or []
    return {
        "model_name": "gold_orders",
        "endpoint_name": "orders_v2",
        "target_table": "gold_orders",
        "source_name": "dev.silver_orders",
        "source_columns": [{"name": name, "type": type} for name, type in COLUMNS.items()],
        "source_known": True,
        "watermark": None,
        "lateness": None,
        "latest_by": None,
        "capture": "exploded",
        "rejected": "quarantine",
        "reprocess": False,
        "materialized": "table",
        "strategy": "append",
        "unique_key": [],
        "tables": {
            "api_endpoints": [{"endpoint_name": "orders_v2", "active_flag": "true"}, {"endpoint_name": "old", "active_flag": "false"}],
            "field_mapping": rows,
            "business_rules": rules,
        },
        "all_rows": rows,
        "rows": rows,
        "named_rules": [each for each in rules if each["active_flag"] != "false"],
        "marks": {},
        **changes,
    }  # fmt: skip


# --- order and marks --------------------------------------------------------------------------------------------


def test_columns_are_ordered_by_position_and_then_by_name(macros):
    rows = [
        mapping("zeta", column_position=None),
        mapping("tenth", column_position="10"),
        mapping("alpha", column_position=None),
        mapping("second", column_position="2"),
        mapping("before", column_position="-1"),
        mapping("second_too", column_position="2"),
        mapping("Beta", column_position=None),
        mapping("odd", column_position="first"),
    ]
    ordered = [row["target_column"] for row in macros("duckdb")._ordered(rows)]
    assert ordered == ["before", "second", "second_too", "tenth", "alpha", "Beta", "odd", "zeta"]


def test_the_strictest_mark_wins_whichever_row_sets_it(macros):
    rows = [
        mapping("a", "email", sensitivity="mask"),
        mapping("b", "EMAIL|phone", sensitivity="hash"),
        mapping("c", "phone|name", sensitivity="none"),
        mapping("d", "name"),
    ]
    assert macros("duckdb")._marks(rows) == {"email": "mask", "phone": "hash"}


@pytest.mark.parametrize(
    ("text", "parts"),
    [(None, []), ("", []), ("a", ["a"]), ("a|b", ["a", "b"]), (" a | b c ||", ["a", "b c"]), ("b|a|b", ["b", "a"])],
)
def test_lists_in_a_cell(macros, text, parts):
    assert macros("duckdb")._split(text) == parts


@pytest.mark.parametrize(
    ("text", "default", "expected"),
    [(None, True, True), (None, False, False), ("true", False, True), ("TRUE", False, True), ("false", True, False)],
)
def test_booleans_in_a_cell(macros, text, default, expected):
    assert macros("duckdb")._is_true(text, default) is expected


# --- nearest names ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("amount_rw", ["amount_raw"]),
        ("AMOUNT_RAW", ["amount_raw"]),
        ("fxrate", ["fx_rate"]),
        ("order", ["order_id"]),
        ("qqq", []),
        ("", []),
    ],
)
def test_nearest_names(macros, name, expected):
    assert macros("duckdb").nearest_names(name, ["order_id", "amount_raw", "fx_rate", "currency"]) == expected


def test_nearest_names_are_the_best_first_and_no_more_than_asked_for(macros):
    candidates = ["amount_net", "amount", "amounts", "amount_gross", "id"]
    assert macros("duckdb").nearest_names("amount", candidates, most=2) == ["amount", "amounts"]


# --- the plan of a column ---------------------------------------------------------------------------------------

DERIVE = rule("DERIVE", "derivation", "amount_raw * fx_rate")
DEFAULT = rule("DEFAULT", "default", "'USD'")


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (
            mapping("order_id", is_primary_key="true", data_type="string"),
            {"expression": "order_id", "data_type": None, "identity": True, "can_fail": False, "required": True},
        ),
        (
            mapping("amount", "amount_raw", data_type="decimal(18,2)"),
            {"expression": "amount_raw", "data_type": "decimal(18,2)", "identity": False, "can_fail": True},
        ),
        # A cast to text loses nothing.
        (mapping("amount", "amount_raw", data_type="varchar"), {"data_type": "varchar", "can_fail": False}),
        # The source's spelling counts, quoted.
        (mapping("currency", "CURRENCY"), {"expression": '"Currency"', "source_columns": ["Currency"]}),
        (
            mapping("amount", "amount_raw|fx_rate", business_rule_id="DERIVE"),
            {
                "expression": "amount_raw * fx_rate",
                "shown_expression": "amount_raw * fx_rate",
                "source_columns": ["amount_raw", "fx_rate"],
                "source_types": ["integer", "decimal(9,2)"],
                "rule_ids": ["DERIVE"],
                "type": None,
            },
        ),
        # An expression counts before a derivation rule.
        (
            mapping("amount", "amount_raw", transform_expr="-amount_raw", business_rule_id="DERIVE"),
            {"expression": "-amount_raw", "shown_expression": "-amount_raw"},
        ),
        (
            mapping("currency", "currency", business_rule_id="DEFAULT", nullable="false"),
            {"default_expression": "'USD'", "identity": False, "required": True},
        ),
        # An inactive rule is as if not named.
        (mapping("currency", business_rule_id="OFF"), {"rule_ids": [], "default_expression": None, "identity": True}),
        (mapping("sizes", "amount_raw", data_type="integer[]"), {"nested": True, "can_fail": True}),
        (mapping("Due Date", "order_id"), {"quoted": '"Due Date"', "value": '"_value_Due Date"'}),
        # A target of a marked source column is marked as that is.
        (mapping("copy", "order_id|amount_raw", transform_expr="order_id"), {"mark": "hash"}),
        (mapping("copy", "fx_rate|amount_raw", transform_expr="fx_rate"), {"mark": "mask"}),
    ],
)
def test_plan_of_a_column(macros, row, expected):
    rules = [DERIVE, DEFAULT, rule("OFF", "default", "'EUR'", active_flag="false")]
    marks = {"amount_raw": "hash", "fx_rate": "mask"} if row["target_column"] == "copy" else {}
    planned = macros("duckdb")._planned_column(row, request([row], rules, marks=marks))
    flags = {name for name, value in expected.items() if isinstance(value, bool)}
    assert {name: bool(planned[name]) if name in flags else planned[name] for name in expected} == expected


def test_a_source_value_that_gold_holds_is_not_kept_twice(macros):
    rows = [KEY, mapping("total", "amount_raw|order_id", transform_expr="amount_raw"), mapping("rate", "fx_rate")]
    engine_macros = macros("duckdb")
    this_request = request(rows, marks={"fx_rate": "mask"})
    columns = [engine_macros._planned_column(row, this_request) for row in rows]
    fields = {each["name"]: each for each in engine_macros._declared_fields(this_request, columns)}
    assert list(fields) == ["order_id", "amount_raw", "fx_rate"]
    assert fields["order_id"]["verbatim"] == "order_id"
    assert fields["amount_raw"]["verbatim"] is None
    # A marked value is in gold as it is, and in lineage masked: two different things.
    assert fields["fx_rate"]["verbatim"] is None
    assert fields["fx_rate"]["field_type"] == "varchar"


# --- checks -----------------------------------------------------------------------------------------------------

NO_PROBLEM: list[str] = []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # --- the endpoint
        ({}, NO_PROBLEM),
        ({"endpoint_name": "orders_v3"}, ["api_endpoints · endpoint orders_v3: there is no such endpoint. Did you mean orders_v2?"]),
        ({"endpoint_name": "xyz"}, ["api_endpoints · endpoint xyz: there is no such endpoint. Add a row to api_endpoints, or name one of: orders_v2, old."]),
        ({"endpoint_name": "old"}, ["api_endpoints · endpoint old: is inactive (active_flag is false). Set active_flag to true, or disable the model."]),
        # --- arguments
        ({"watermark": "fx_rat"}, ["model · mapped_model in gold_orders: watermark names column 'fx_rat', which dev.silver_orders does not have. Did you mean fx_rate?"]),
        ({"latest_by": "qqq"}, ["model · mapped_model in gold_orders: latest_by names column 'qqq', which dev.silver_orders does not have. It has: order_id, amount_raw, fx_rate, Currency."]),
        ({"lateness": "3 days"}, ["model · mapped_model in gold_orders: lateness is given without a watermark. Add watermark, or leave lateness out."]),
        ({"capture": "compact"}, NO_PROBLEM),
        ({"capture": "in_row"}, NO_PROBLEM),
        ({"capture": "all"}, ["model · mapped_model in gold_orders: capture 'all' is unknown. Write exploded, compact or in_row (argument capture, or var lineage_audit_capture)."]),
        ({"rejected": "drop"}, ["model · mapped_model in gold_orders: rejected 'drop' is unknown. Write quarantine or keep."]),
        ({"rejected": "keep"}, NO_PROBLEM),
        ({"rejected": "keep", "materialized": "incremental", "strategy": "append"}, NO_PROBLEM),
        ({"rejected": "keep", "materialized": "incremental", "strategy": "insert_overwrite"}, NO_PROBLEM),
        ({"rejected": "keep", "materialized": "incremental", "strategy": "delete+insert", "unique_key": ["order_id"]}, ["model · mapped_model in gold_orders: rejected='keep' with strategy delete+insert: a refused version of a record would replace the accepted one. Use rejected='quarantine', or set incremental_strategy to 'append' or 'insert_overwrite'."]),
        ({"rejected": "keep", "not_null_columns": ["order_id", "loaded_at"]}, ["model · mapped_model in gold_orders: rejected='keep' with an enforced contract that has order_id not null: a refused record may hold NULL there. Use rejected='quarantine', or take the constraint out; the data test not_null, on serving_view, does not mind refused records."]),
        ({"not_null_columns": ["order_id"]}, NO_PROBLEM),
        # --- materialization and key
        ({"materialized": "view"}, ["model · materialized of gold_orders: a mapped model can't be 'view'. Set materialized to 'table' or 'incremental'; for a view over it there is serving_view."]),
        ({"materialized": "incremental", "strategy": "microbatch"}, ["model · materialized of gold_orders: incremental_strategy 'microbatch' isn't supported. Use append, merge, delete+insert or insert_overwrite, as the adapter has them."]),
        ({"materialized": "incremental", "strategy": "append"}, NO_PROBLEM),
        ({"materialized": "incremental", "strategy": "merge", "unique_key": ["ORDER_ID"]}, NO_PROBLEM),
        ({"materialized": "incremental", "strategy": "merge"}, ["model · unique_key of gold_orders: is missing, and strategy merge needs it. Set unique_key=[order_id]."]),
        ({"materialized": "incremental", "strategy": "merge", "unique_key": ["id"]}, ["model · unique_key of gold_orders: [id] is not the key of field_mapping, [order_id]. Make the two name the same columns."]),
    ],
)  # fmt: skip
def test_checks_of_the_model(macros, changes, expected):
    assert (
        problems(macros("duckdb"), request([KEY], **changes), keep={"field_mapping": "endpoint_name" not in changes})
        == expected
    )


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (mapping("amount", "amount_rw"), ["source column 'amount_rw' does not exist in dev.silver_orders. Did you mean amount_raw?"]),
        (mapping("amount", "AMOUNT_RAW|currency", transform_expr="amount_raw"), NO_PROBLEM),
        (mapping("ORDER_ID", "order_id"), ["target column ORDER_ID is mapped twice (also by order_id). Leave one active row of it."]),
        (mapping("_lineage_x", "order_id"), ["names that begin with _lineage_, _value_ or _default_ are kept for the package. Rename target_column."]),
        (mapping("amount", "amount_raw", nullable="maybe"), ["nullable 'maybe' is no boolean. Write true or false."]),
        (mapping("amount", "amount_raw", sensitivity="secret"), ["sensitivity 'secret' is unknown. Write none, mask or hash."]),
        (mapping("amount", "amount_raw", target_layer="bronze"), ["target_layer 'bronze' is unknown. Write silver, gold or api_view."]),
        (mapping("amount", "amount_raw", column_position="1.5"), ["column_position '1.5' is no integer. Write 1, 2, 3 …, or leave it empty."]),
        (mapping("amount", "amount_raw", data_type="desimal(9,2)"), ["data_type 'desimal(9,2)' is no type of duckdb. Did you mean decimal, dec, real?"]),
        (mapping("amount", "amount_raw", data_type="timestamp with time zone"), NO_PROBLEM),
        (mapping("amount", "amount_raw", data_type="struct(a int)[]"), NO_PROBLEM),
        (mapping("amount", "amount_raw", transform_expr="amount_raw; drop table x"), ["transform_expr holds a semicolon (;). Write one expression; notes belong in description or message."]),
        (mapping("amount", "amount_raw", transform_expr="amount_raw -- net"), ["transform_expr holds a comment (--). Write one expression; notes belong in description or message."]),
        (mapping("amount", "amount_raw", transform_expr="amount_raw /* net */"), ["transform_expr holds a comment (/*). Write one expression; notes belong in description or message."]),
        (mapping("amount", "amount_raw", transform_expr="';' || '--' || 'it''s /*'"), NO_PROBLEM),
        (mapping("amount", "amount_raw", transform_expr="amount_raw) from t where (true"), ["transform_expr closes a parenthesis that it has not opened. Balance them."]),
        (mapping("amount", "amount_raw", transform_expr="amount_raw, 1"), ["transform_expr holds a comma outside of parentheses. Write one expression."]),
        (mapping("amount", "amount_raw", transform_expr="coalesce([amount_raw, {'a, b': 1, 'c': 2}.c][1], 1)"), NO_PROBLEM),
        (mapping("amount", "amount_raw", transform_expr="$$it's; (, --$$ || $$x$$"), NO_PROBLEM),
        (mapping("amount", "amount_raw", transform_expr="$$'$$; drop table x; select $$'$$"), ["transform_expr holds a semicolon (;). Write one expression; notes belong in description or message."]),
        (mapping("amount", "amount_raw", transform_expr="$a$'$a$ ; drop table x; select $a$'$a$"), ["transform_expr holds a text between dollar signs ($$ or $tag$). Write it between single quotes: 'text'."]),
        (mapping("amount", "amount_raw", transform_expr="a$$ || b$$"), ["transform_expr holds a text between dollar signs ($$ or $tag$). Write it between single quotes: 'text'."]),
        (mapping("amount", "amount_raw", data_type="int); drop table x"), ["data_type holds a semicolon (;). Write one expression; notes belong in description or message.", "data_type has 0 opening and 1 closing parentheses. Balance them."]),
        (mapping("amount", "amount_raw", data_type="int ) as a, (1"), ["data_type closes a parenthesis that it has not opened. Balance them."]),
        (mapping("amount", "amount_raw", active_flag="ture"), ["active_flag 'ture' is no boolean. Write true or false."]),
        (mapping("amount", "amount_raw", transform_expr="(amount_raw"), ["transform_expr has 1 opening and 0 closing parentheses. Balance them."]),
        (mapping("amount", "amount_raw", transform_expr="'abc"), ["transform_expr has a quote that is not closed. Close it; a quote within a text is written twice."]),
        (mapping("amount", "amount_raw", business_rule_id="POSITIV"), ["business_rule_id 'POSITIV' is unknown. Did you mean POSITIVE?"]),
        (mapping("amount", "amount_raw", business_rule_id="POSITIVE|D1|D2"), ["names 2 derivation rules: D1, D2. Leave one of them."]),
        (mapping("amount", "amount_raw", business_rule_id="D1|ELSEWHERE"), ["rule 'ELSEWHERE' belongs to endpoint other. Name a rule of orders_v2."]),
        (mapping("amount", "amount_raw|fx_rate", business_rule_id="OFF"), ["has no value: no transform_expr, no active derivation rule, and 2 source columns. Write transform_expr, activate the derivation rule, or leave one source column."]),
        (mapping("amount", "amount_raw", business_rule_id="OFF"), NO_PROBLEM),
        (mapping("amount", ""), ["has no value: no transform_expr, no active derivation rule, and no source columns. Write transform_expr, activate the derivation rule, or leave one source column."]),
        (mapping("amount", "", transform_expr="current_date"), NO_PROBLEM),
    ],
)  # fmt: skip
def test_checks_of_a_mapping_row(macros, row, expected):
    rules = [
        rule("POSITIVE"),
        rule("D1", "derivation", "amount_raw"),
        rule("D2", "derivation", "amount_raw"),
        rule("OFF", "derivation", "amount_raw", active_flag="false"),
        rule("ELSEWHERE", endpoint_name="other"),
    ]
    prefix = f"field_mapping · orders_v2 / gold_orders / {row['target_column']}: "
    assert problems(macros("duckdb"), request([KEY, row], rules)) == [prefix + text for text in expected]


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        (rule("R"), NO_PROBLEM),
        (rule("R", severity="warn"), ["severity 'warn' is unknown. Write WARN or ERROR."]),
        (rule("R", severity=None), ["severity '' is unknown. Write WARN or ERROR."]),
        (rule("R", "filter"), NO_PROBLEM),
        (rule("R", "check"), ["rule_category 'check' is unknown. Write derivation, default, filter or validation."]),
        (rule("R", rule_expression=None), ["rule_expression is empty. Write what must hold (filter, validation) or the value (derivation, default)."]),
        (rule("R", rule_expression="a > 0;"), ["rule_expression holds a semicolon (;). Write one expression; notes belong in description or message."]),
    ],
)  # fmt: skip
def test_checks_of_a_rule(macros, broken, expected):
    found = problems(macros("duckdb"), request([KEY], [broken]))
    assert found == [f"business_rules · rule R: {text}" for text in expected]


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        (rule("R", target_table="gold_order"), ["target_table 'gold_order' is unknown: field_mapping has no such table of orders_v2, so the rule acts nowhere. Did you mean gold_orders?"]),
        (rule("R", target_table="gold_order", active_flag="false"), NO_PROBLEM),
        (rule("R", target_table="gold_order", endpoint_name="old"), NO_PROBLEM),
        (rule("R", active_flag="on"), ["active_flag 'on' is no boolean. Write true or false."]),
    ],
)  # fmt: skip
def test_a_rule_that_would_be_passed_over(macros, broken, expected):
    this_request = request([KEY], [broken], named_rules=[])
    assert problems(macros("duckdb"), this_request) == [f"business_rules · rule R: {text}" for text in expected]


@pytest.mark.parametrize(
    ("seed", "columns", "expected"),
    [
        ("business_rules", [*RULE_COLUMNS, "remarks"], NO_PROBLEM),
        ("business_rules", ["business_rule_id", "endpoint_name", "rule_category", "rule_expression"], NO_PROBLEM),
        ("business_rules", ["business_rule_id", "endpoint", "rule_category", "rule_expression"], ["column endpoint: is not a column that the package reads, and endpoint_name is missing. Did you mean endpoint_name?"]),
        ("business_rules", ["business_rule_id", "endpoint_name", "kind", "rule_expression"], ["column rule_category: is missing. Add it to the header: without it no row says anything."]),
        ("field_mapping", [name.replace("sensitivity", "sensitivty") for name in MAPPING_COLUMNS], ["column sensitivty: is not a column that the package reads, and sensitivity is missing. Did you mean sensitivity?"]),
    ],
)  # fmt: skip
def test_columns_of_the_config_tables(macros, seed, columns, expected):
    found = problems(macros("duckdb"), request([KEY], config_columns={seed: columns}))
    assert found == [f"{seed} · {text}" for text in expected]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("upper(customer_name)", []),
        ("known + random_number + brand(1) + t.now() + nowhere()", []),
        ("'current_date and select now()' || \"current_date\"", []),
        ("selected or discovered(a)", []),
        ("coalesce(a, CURRENT_TIMESTAMP)", ["uses current_timestamp"]),
        ("rand() + Random () + rand()", ["uses rand, random"]),
        ("unix_timestamp(a)", []),
        ("unix_timestamp( )", ["uses unix_timestamp"]),
        ("(SELECT max(a) from b)", ["holds a subquery"]),
        ("sum(a) over (partition by b)", ["holds a window function"]),
    ],
)
def test_what_no_replay_can_prove(macros, expression, expected):
    found = macros("duckdb")._check_replay("field_mapping", "key", "transform_expr", expression)
    assert [each["severity"] for each in found] == ["warning"] * len(expected)
    for each, text in zip(found, expected, strict=True):
        assert each["problem"].startswith(f"transform_expr {text}")


def test_a_rule_that_stands_twice(macros):
    assert problems(macros("duckdb"), request([KEY], [rule("R"), rule("R")])) == [
        "business_rules · rule R: stands there more than once. business_rule_id is the key: leave one row of it."
    ]


@pytest.mark.parametrize("rule_id", ["duplicate_key", "cast:amount", "not_null:order_id"])
def test_a_rule_named_like_a_reason_of_the_package(macros, rule_id):
    (problem,) = problems(macros("duckdb"), request([KEY], [rule(rule_id)]))
    assert problem.startswith(f"business_rules · rule {rule_id}: 'duplicate_key', and what begins with 'cast:'")


def test_rules_may_contain_such_words(macros):
    assert problems(macros("duckdb"), request([KEY], [rule("NO_duplicate_key"), rule("duplicate_keys")])) == NO_PROBLEM


def test_no_key(macros):
    assert problems(macros("duckdb"), request([mapping("order_id")])) == [
        "field_mapping · orders_v2 / gold_orders: no active row is part of a primary key. "
        "Set is_primary_key to true for the key columns."
    ]


def test_a_key_cannot_be_masked(macros):
    assert problems(macros("duckdb"), request([KEY], marks={"order_id": "mask"})) == [
        "field_mapping · orders_v2 / gold_orders / order_id: source column 'order_id' is marked mask, and a key is made "
        "of it: masked keys would all be one. Mark it hash wherever it is marked mask."
    ]


def test_no_active_mapping(macros):
    inactive = mapping("order_id", active_flag="false")
    assert problems(macros("duckdb"), request([], all_rows=[inactive])) == [
        "field_mapping · orders_v2 / gold_orders: has no active mapping (1 inactive). Set active_flag of a row to true."
    ]
    elsewhere = mapping("order_id", target_table="gold_order")
    tables = {**request([])["tables"], "field_mapping": [elsewhere]}
    assert problems(macros("duckdb"), request([], tables=tables)) == [
        "field_mapping · orders_v2 / gold_orders: has no active mapping (0 inactive). Add rows, or give mapped_model the "
        "target_table that field_mapping names: gold_order."
    ]


@pytest.mark.parametrize(
    ("lateness", "is_interval"),
    [("3 days", True), ("1 hour", True), ("2 Days 6 hours", True), ("3d", False), ("three days", False), ("1 day'; --", False)],
)  # fmt: skip
def test_lateness_is_an_interval(macros, lateness, is_interval):
    columns = [{"name": "loaded_at", "type": "TIMESTAMP"}, {"name": "order_id", "type": "VARCHAR"}]
    found = problems(
        macros("duckdb"),
        request(
            [KEY], source_columns=columns, watermark="loaded_at", lateness=lateness, materialized="incremental",
            strategy="merge", unique_key=["order_id"],
        ),
    )  # fmt: skip
    assert len(found) == (0 if is_interval else 1)


@pytest.mark.parametrize(
    ("strategy", "type", "expected"),
    [
        ("merge", "timestamp", 0),
        ("delete+insert", "DATE", 0),
        ("append", "timestamp", 1),
        ("merge", "BIGINT", 1),
    ],
)
def test_lateness_reads_rows_again(macros, strategy, type, expected):
    columns = [{"name": "loaded_at", "type": type}, {"name": "order_id", "type": "VARCHAR"}]
    found = problems(
        macros("duckdb"),
        request(
            [KEY], source_columns=columns, watermark="loaded_at", lateness="3 days", materialized="incremental",
            strategy=strategy, unique_key=["order_id"],
        ),
    )  # fmt: skip
    assert len(found) == expected


def test_all_problems_come_in_one_message(macros):
    rows = [
        KEY,
        mapping("amount", "amount_rw", data_type="desimal"),
        mapping("rate", "fx_rate", business_rule_id="NONE"),
    ]
    engine_macros = macros("duckdb")
    found = engine_macros._config_problems(request(rows, materialized="view"))
    with pytest.raises(CompilationError) as caught:
        engine_macros._raise_problems("gold_orders", found)
    lines = str(caught.value).splitlines()
    assert lines[0] == "lineage_audit: 4 problems in the config of model gold_orders, found before any data moved:"
    assert [line[:5] for line in lines[1:]] == ["  1. ", "  2. ", "  3. ", "  4. "]


def test_a_seed_that_the_wrong_loader_filled_is_found_on_spark_alone(macros):
    spoilt = request([mapping("order_id", is_primary_key="true", description="None")])
    assert problems(macros("duckdb"), spoilt) == []
    (found,) = problems(macros("spark"), spoilt)
    assert found.startswith("field_mapping · column description: holds the text None")
    assert "search_order: [shop, lineage_audit, dbt]" in found


def problems(engine_macros, this_request: dict, keep: dict[str, bool] | None = None) -> list[str]:
    """The problems as the user reads them; those of another seed's making can be left out."""
    keep = keep or {}
    return [
        f"{each['seed']} · {each['key']}: {each['problem']} {each['remedy']}"
        for each in engine_macros._config_problems(this_request)
        if keep.get(each["seed"], True)
    ]
