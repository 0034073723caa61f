"""How a mapped row is made (filter, value, cast, default, not null, validation, latest_by), case by case.

One project and one `dbt build` per engine hold all the cases; what each must give is written out by hand.
"""

from __future__ import annotations

import hashlib
import json

import pytest
from mapped_cases import (
    COLUMN_LINEAGE_COLUMNS,
    counts,
    create_source,
    mapped_columns,
    parsed,
    rule,
    source_properties,
    table_of,
)

# --- the config ------------------------------------------------------------------------------------------------

pytestmark = pytest.mark.usefixtures("spark_of_people")

ORDERS = mapped_columns(
    "orders",
    "gold_orders",
    # In the file the columns stand in another order than the one that column_position and their names ask for.
    ("Switched", "plain", {"business_rule_id": "D_OFF|F_OFF"}),
    ("word", "word", {"nullable": False}),
    ("pair", "pair", {"data_type": "struct_of_two_integers"}),
    ("currency", "currency", {"business_rule_id": "C_USD", "data_type": "string", "column_position": "10"}),
    ("paid_on", "paid_text", {"data_type": "date", "nullable": False, "column_position": "9"}),
    ("both", "gross|tax", {"business_rule_id": "D_NET", "transform_expr": "gross + tax"}),
    ("order_id", "id", {"data_type": "string", "is_primary_key": True, "column_position": "1"}),
    (
        "net",
        "gross|tax",
        {
            "business_rule_id": "D_NET|V_NET|V_OFF",
            "data_type": "decimal(10,2)",
            "column_position": "2",
            "api_field_name": "amount.net",
            "api_json_path": "$.order.amount.net",
            "source_table": "shop_orders",
        },
    ),
    ("amounts", "amount_texts", {"data_type": "list_of_integers", "nullable": False}),
    (
        "quantity",
        "quantity_text|fallback",
        {"business_rule_id": "C_FALLBACK", "data_type": "int", "column_position": "-5"},
    ),
    # Not applied: the same target column once more, and one that needs a source column nobody has.
    ("word", "currency", {"active_flag": False}),
    ("nobody", "no_such_column", {"active_flag": "false"}),
)

RULES = [
    # Filters: two that act on gold_orders (one of them on the whole endpoint), and three that don't.
    rule("F_NOT_TEST", "orders", "filter", "not is_test"),
    rule("F_REGION", "orders", "filter", "region <> 'XX'", target_table="gold_orders"),
    rule("F_OFF", "orders", "filter", "1 = 0", active_flag=False),
    rule("F_REFS", "orders", "filter", "id <> 'k06'", target_table="gold_refs"),
    rule("F_OTHER_ENDPOINT", "prices", "filter", "price_text <> 'filtered'"),
    rule("D_NET", "orders", "derivation", "gross - tax"),
    rule("D_OFF", "orders", "derivation", "'never'", active_flag=False),
    rule("C_FALLBACK", "orders", "default", "fallback"),
    rule("C_USD", "orders", "default", "'USD'"),
    rule("V_NET", "orders", "validation", "net >= 0", severity="ERROR", message="Net must not be negative.", target_table="gold_orders"),
    rule("V_QUANTITY", "orders", "validation", "quantity < 100", severity="ERROR", target_table="gold_orders"),
    rule("V_OFF", "orders", "validation", "1 = 0", severity="ERROR", active_flag=False),
    rule("V_REFS", "orders", "validation", "ref <> 'k08'", severity="ERROR", message="Not this one.", target_table="gold_refs"),
    rule("W_BIG", "orders", "validation", "net < 1000", severity="WARN", message="A big one.", target_table="gold_orders"),
    rule("W_SEVEN", "orders", "validation", "quantity <> 7", severity="WARN", target_table="gold_orders"),
    rule("D_SAME_TYPE", "defaults", "default", "0.005"),
    rule("D_TEXT", "defaults", "default", "7"),
]  # fmt: skip

# Another target of the same endpoint: the endpoint's rules act here too, those of gold_orders don't.
REFS = mapped_columns("orders", "gold_refs", ("ref", "id", {"is_primary_key": True}))

# The key's parts stand in mapping order, which neither their names nor the file give.
PARTS = mapped_columns(
    "parts",
    "gold_parts",
    ("a_second", "second", {"is_primary_key": True, "data_type": "decimal(5,2)", "column_position": "2"}),
    ("note", "note"),
    ("b_first", "first", {"is_primary_key": True, "column_position": "1"}),
)

PRICES = mapped_columns(
    "prices",
    "gold_prices",
    ("sku", "sku", {"is_primary_key": True}),
    ("price", "price_text", {"data_type": "int", "nullable": False}),
)

# Defaults of a column that needs no cast of its own: the default does.
DEFAULTS = mapped_columns(
    "defaults",
    "gold_defaults",
    ("id", "id", {"is_primary_key": True}),
    ("amount", "amount", {"data_type": "decimal(10,2)", "business_rule_id": "D_SAME_TYPE"}),
    ("label", "label", {"data_type": "string", "business_rule_id": "D_TEXT"}),
)

# DuckDB alone casts a text to a list.
LISTS = mapped_columns(
    "lists",
    "gold_lists",
    ("id", "id", {"is_primary_key": True}),
    ("numbers", "written", {"data_type": "int[]"}),
)

TYPES = {
    "duckdb": {"struct_of_two_integers": "struct(a int, b int)", "list_of_integers": "int[]"},
    "spark": {"struct_of_two_integers": "struct<a: int, b: int>", "list_of_integers": "array<int>"},
}


def pair(engine: str, a: str | None, b: str | None) -> str:
    a, b = (f"'{each}'" if each else "cast(null as string)" for each in (a, b))
    return f"sql:{{'a': {a}, 'b': {b}}}" if engine == "duckdb" else f"sql:named_struct('a', {a}, 'b', {b})"


def texts(engine: str, *values: str | None) -> str:
    items = ", ".join("cast(null as string)" if value is None else f"'{value}'" for value in values)
    return f"sql:[{items}]" if engine == "duckdb" else f"sql:array({items})"


# --- the data ----------------------------------------------------------------------------------------------------


def create_orders(project) -> None:
    engine = project.engine
    names = [
        "id", "is_test", "region", "gross", "tax", "quantity_text", "fallback", "currency", "paid_text", "word",
        "amount_texts", "pair", "plain",
    ]  # fmt: skip
    # A record that passes; the others are it, but for what they name.
    good = {
        "is_test": False, "region": "EU", "gross": "10.00", "tax": "1.50", "quantity_text": "3", "fallback": "5",
        "currency": "EUR", "paid_text": "2024-02-29", "word": "w", "amount_texts": texts(engine, "1", "2"),
        "pair": pair(engine, "1", "2"), "plain": "p",
    }  # fmt: skip
    cases = [
        {"id": "k01"},
        {"id": "k02", "is_test": True},
        {"id": "k03", "is_test": None},
        {"id": "k04", "region": "XX"},
        {"id": "k05", "region": None},
        {"id": "k06", "quantity_text": None, "currency": None},
        {"id": "k07", "quantity_text": "abc"},
        {"id": "k08", "quantity_text": None, "fallback": None},
        {"id": "k09", "quantity_text": None, "fallback": "bad"},
        {"id": "k10", "word": None},
        {"id": "k11", "paid_text": "31/12/2024"},
        {"id": "k12", "paid_text": None},
        {"id": "k13", "gross": "1.00", "tax": "3.00"},
        {"id": "k14", "gross": "1.00", "tax": "3.00", "quantity_text": "x", "paid_text": None, "word": None},
        {"id": "k15", "gross": None},
        {"id": "k16", "gross": "5000.00", "tax": "0.00", "quantity_text": "7"},
        {"id": "k17", "amount_texts": texts(engine, "1", "x")},
        {"id": "k18", "amount_texts": texts(engine, "1", None)},
        {"id": "k19", "pair": pair(engine, "1", "x")},
        {"id": "k20", "pair": pair(engine, "1", None)},
        {"id": "k21", "amount_texts": None},
        {"id": "k22", "gross": "1.00", "tax": "3.00", "quantity_text": "7"},
        {"id": "k23", "quantity_text": ""},
        {"id": "k24", "gross": "99999999999.00"},
        {"id": "k25", "word": "null"},
        {"id": "k26", "word": "None"},
        {"id": "k27", "word": ""},
        {"id": "k28", "quantity_text": "100"},
        {"id": None, "word": "n1"},
        {"id": None, "word": "n1"},
        {"id": None, "word": "n2"},
    ]
    amounts, struct = (
        ("string[]", "struct(a string, b string)")
        if engine == "duckdb"
        else ("array<string>", "struct<a: string, b: string>")
    )
    types = dict.fromkeys(names, "string")
    types |= {
        "is_test": "boolean",
        "gross": "decimal(18,2)",
        "tax": "decimal(18,2)",
        "amount_texts": amounts,
        "pair": struct,
    }
    create_source(project, "orders", types, [tuple({**good, **case}[name] for name in names) for case in cases])


HOSTILE = [
    ("a", "x||y"), ("a||x", "y"), ('q"u', "it's"), ("back\\slash", "new\nline"), ("🦆", "naïve"), ("", "null"),
    ('["a","b"]', "[]"), ("comma,", "tab\tend"), (" space ", "${env:HOME}"),
]  # fmt: skip


PRICES_NOW = "select sku, price from {schema}.gold_prices order by sku"


@pytest.fixture(scope="module")
def project(make_project, engine):
    mapping = [{**row, "data_type": TYPES[engine].get(row.get("data_type"), row.get("data_type"))} for row in ORDERS]
    sources = {
        "gold_orders": "orders",
        "gold_refs": "orders",
        "gold_parts": "parts",
        "gold_prices": "prices",
        "gold_defaults": "defaults",
    }
    if engine == "duckdb":
        sources["gold_lists"] = "lists"
    arguments = {"gold_prices": ", latest_by='sequence'"}
    project = make_project(
        engine,
        models={
            name: f"{{{{ lineage_audit.mapped_model('{source}', source=source('raw', '{source}'){arguments.get(name, '')}) }}}}"
            for name, source in sources.items()
        },
        properties=source_properties("orders", "parts", "prices", "defaults", "lists"),
        api_endpoints=[
            {"endpoint_name": name, "source_system": "Shop"}
            for name in ("orders", "parts", "prices", "defaults", "lists")
        ],
        field_mapping=[*mapping, *REFS, *PARTS, *PRICES, *DEFAULTS, *LISTS],
        business_rules=RULES,
        name="algebra",
        config={"models": {"algebra": {"+materialized": "table"}}},
    )
    create_orders(project)
    create_source(
        project,
        "parts",
        {"first": "string", "second": "string", "note": "string"},
        [(first, "1.5", second) for first, second in HOSTILE]
        + [
            (None, "2", "n"),
            (None, "2", "n"),
            (None, None, "n"),
            ("z", "x", "n"),
            ("twice", "1", "n"),
            ("twice", "1", "m"),
        ],
    )
    create_source(
        project,
        "prices",
        {"sku": "string", "sequence": "int", "price_text": "string"},
        [
            ("a", 1, "10"), ("a", 2, "20"), ("b", None, "10"), ("b", 0, "20"), ("c", None, "10"),
            ("d", 5, "bad"), ("d", 4, "40"), ("e", 9, "1"), ("e", 9, "2"), ("f", 9, "2"), ("f", 9, "1"),
            ("g", 1, "7"), ("g", 1, "7"), ("h", 1, "bad"), ("h", 2, "bad"), (None, 1, "1"), (None, 2, "1"),
            ("i", 3, "30"), ("i", 9, "filtered"),
        ],
    )  # fmt: skip
    create_source(
        project,
        "defaults",
        {"id": "string", "amount": "decimal(10,2)", "label": "string"},
        [("1", "1.25", "own"), ("2", None, None)],
    )
    create_source(
        project,
        "lists",
        {"id": "string", "written": "string"},
        [("1", "[1, 2]"), ("2", "[1, NULL]"), ("3", "[1, x]"), ("4", "nothing"), ("5", None)],
    )
    project.dbt("build", "--exclude-resource-type", "test", vars={"lineage_audit_run_id": "first"})
    project.prices_of_first_run = project.query(PRICES_NOW.format(schema=project.schema))
    project.dbt("run", "--select", "gold_prices", vars={"lineage_audit_run_id": "second"})
    return project


# --- steps 1 to 6 ------------------------------------------------------------------------------------------------


def test_columns_stand_in_the_order_of_column_position_then_by_name(project):
    (row, *_) = project.query(f"select * from {project.schema}.gold_orders")
    assert list(row) == [
        "quantity", "order_id", "net", "paid_on", "currency",  # -5, 1, 2, 9, 10
        "amounts", "both", "pair", "Switched", "word",
        "_lineage_run_id", "_lineage_invocation_id", "_lineage_warnings", "_lineage_source_values",
    ]  # fmt: skip


def test_accepted_rows(project):
    rows = project.query(f"select *, cast(paid_on as string) as paid from {project.schema}.gold_orders")
    for row in rows:
        row["net"], row["both"] = str(row["net"]), str(row["both"])
    two = {"a": 1, "b": 2}
    assert table_of(
        rows, "order_id", "quantity", "net", "paid", "currency", "amounts", "both", "pair", "Switched", "word", "_lineage_warnings"
    ) == [
        ("k01", 3, "8.50", "2024-02-29", "EUR", [1, 2], "11.50", two, "p", "w", []),
        ("k06", 5, "8.50", "2024-02-29", "USD", [1, 2], "11.50", two, "p", "w", []),
        ("k08", None, "8.50", "2024-02-29", "EUR", [1, 2], "11.50", two, "p", "w", []),
        ("k15", 3, "None", "2024-02-29", "EUR", [1, 2], "None", two, "p", "w", []),
        ("k16", 7, "5000.00", "2024-02-29", "EUR", [1, 2], "5000.00", two, "p", "w", ["W_BIG", "W_SEVEN"]),
        ("k18", 3, "8.50", "2024-02-29", "EUR", [1, None], "11.50", two, "p", "w", []),
        ("k20", 3, "8.50", "2024-02-29", "EUR", [1, 2], "11.50", {"a": 1, "b": None}, "p", "w", []),
        ("k25", 3, "8.50", "2024-02-29", "EUR", [1, 2], "11.50", two, "p", "null", []),
        ("k26", 3, "8.50", "2024-02-29", "EUR", [1, 2], "11.50", two, "p", "None", []),
        ("k27", 3, "8.50", "2024-02-29", "EUR", [1, 2], "11.50", two, "p", "", []),
    ]  # fmt: skip


REFUSED = [
    ("k07", ["cast:quantity"]),
    ("k09", ["cast:quantity"]),
    ("k10", ["not_null:word"]),
    ("k11", ["cast:paid_on"]),
    ("k12", ["not_null:paid_on"]),
    ("k13", ["V_NET"]),
    ("k14", ["cast:quantity", "not_null:paid_on", "not_null:word", "V_NET"]),
    ("k17", ["cast:amounts"]),
    ("k19", ["cast:pair"]),
    ("k21", ["not_null:amounts"]),
    ("k22", ["V_NET"]),
    ("k23", ["cast:quantity"]),
    ("k24", ["cast:net"]),
    ("k28", ["V_QUANTITY"]),
    (None, ["not_null:order_id"]),
    (None, ["not_null:order_id"]),
    (None, ["not_null:order_id"]),
]

MESSAGES = {
    "V_NET": "Net must not be negative.",
    "V_QUANTITY": "",  # the rule has none
    "cast:quantity": "The value of quantity cannot be read as its data type.",
    "cast:paid_on": "The value of paid_on cannot be read as its data type.",
    "cast:amounts": "The value of amounts cannot be read as its data type.",
    "cast:pair": "The value of pair cannot be read as its data type.",
    "cast:net": "The value of net cannot be read as its data type.",
    "not_null:word": "word is empty and must not be.",
    "not_null:paid_on": "paid_on is empty and must not be.",
    "not_null:amounts": "amounts is empty and must not be.",
    "not_null:order_id": "order_id is empty and must not be.",
}


def test_refused_records_and_their_reasons(project):
    rows = project.query(f"select * from {project.schema}_audit.rejected_record where target_table = 'gold_orders'")
    assert table_of(rows, "target_pk", "failed_rules") == sorted(REFUSED, key=repr)


def test_quarantine_shows_each_record_once_with_messages(project):
    rows = project.query(f"select * from {project.schema}_audit.quarantine where target_table = 'gold_orders'")
    # Of the three without a key two are equal in every source column: they are one record.
    once = [*[case for case in REFUSED if case[0]], *REFUSED[-2:]]
    assert table_of(rows, "target_pk", "failed_rules", "messages") == sorted(
        [(key, reasons, [MESSAGES[reason] for reason in reasons]) for key, reasons in once], key=repr
    )


def test_record_key_is_the_key_or_a_hash_of_the_source_values(project):
    rows = project.query(f"select * from {project.schema}_audit.rejected_record where target_table = 'gold_orders'")
    for row in rows:
        expected = row["target_pk"] or hashlib.sha256(row["source_values_json"].encode()).hexdigest()
        assert row["record_key"] == expected
    words = sorted(json.loads(row["source_values_json"])["word"] for row in rows if row["target_pk"] is None)
    assert words == ["n1", "n1", "n2"]
    assert len({row["record_key"] for row in rows if row["target_pk"] is None}) == 2


def test_refused_records_keep_mapped_and_source_values(project):
    (row,) = parsed(
        project.query(f"select * from {project.schema}_audit.quarantine where target_pk = 'k14'"),
        "mapped_values_json",
        "source_values_json",
    )
    # Failed casts and NULLs are JSON null, and every declared source column is there.
    mapped = row["mapped_values_json"]
    assert json.loads(mapped.pop("amounts")) == [1, 2]
    assert json.loads(mapped.pop("pair")) == {"a": 1, "b": 2}
    assert mapped == {
        "quantity": None, "order_id": "k14", "net": "-2.00", "paid_on": None, "currency": "EUR",
        "both": "4.00", "Switched": "p", "word": None,
    }  # fmt: skip
    source = row["source_values_json"]
    assert json.loads(source.pop("amount_texts")) == ["1", "2"]
    assert json.loads(source.pop("pair")) == {"a": "1", "b": "2"}
    assert source == {
        "id": "k14", "gross": "1.00", "tax": "3.00", "quantity_text": "x", "fallback": "5", "currency": "EUR",
        "paid_text": None, "word": None, "plain": "p",
    }  # fmt: skip


def test_violated_rules(project):
    rows = project.query(f"select * from {project.schema}_audit.rule_violation where target_table = 'gold_orders'")
    assert table_of(rows, "target_pk", "business_rule_id", "severity") == [
        ("k13", "V_NET", "ERROR"),
        ("k14", "V_NET", "ERROR"),
        ("k16", "W_BIG", "WARN"),
        ("k16", "W_SEVEN", "WARN"),
        ("k22", "V_NET", "ERROR"),
        ("k22", "W_SEVEN", "WARN"),
        ("k28", "V_QUANTITY", "ERROR"),
    ]


def test_every_source_row_is_counted_in_one_place(project):
    # 31 source rows; k02 to k05 are filtered.
    assert counts(project, "gold_orders") == [(31, 4, 17, 10)]


def test_a_target_has_the_rules_of_its_endpoint_and_its_own(project):
    # F_NOT_TEST takes k02 and k03, F_REFS k06 and the three without a key (NULL is not true); V_REFS refuses k08.
    assert counts(project, "gold_refs") == [(31, 6, 1, 24)]
    rows = project.query(f"select * from {project.schema}_audit.quarantine where target_table = 'gold_refs'")
    assert table_of(rows, "target_pk", "failed_rules", "messages") == [("k08", ["V_REFS"], ["Not this one."])]


def test_a_default_is_cast_as_the_column_is(project):
    rows = project.query(f"select id, cast(amount as string) as amount, label from {project.schema}.gold_defaults")
    # 0.005 as decimal(10,2) is 0.01; 7 as text is '7'.
    assert table_of(rows, "id", "amount", "label") == [("1", "1.25", "own"), ("2", "0.01", "7")]


def test_a_text_cast_to_a_list_may_hold_null_and_must_not_lose_an_element(project, engine):
    if engine == "duckdb":
        rows = project.query(f"select id, numbers from {project.schema}.gold_lists")
        assert table_of(rows, "id", "numbers") == [("1", [1, 2]), ("2", [1, None]), ("5", None)]
        rows = project.query(f"select * from {project.schema}_audit.quarantine where target_table = 'gold_lists'")
        assert table_of(rows, "target_pk", "failed_rules") == [("3", ["cast:numbers"]), ("4", ["cast:numbers"])]


def test_every_run_adds_up(project, engine):
    rows = project.query(
        f"select * from {project.schema}_audit.ingestion_run where status = 'SUCCESS' "
        "and input_record_count = filtered_record_count + rejected_record_count + output_record_count"
    )
    assert {row["target_table"] for row in rows} == {
        *(["gold_lists"] if engine == "duckdb" else []),
        "gold_orders",
        "gold_refs",
        "gold_parts",
        "gold_prices",
        "gold_defaults",
    }


# --- keys --------------------------------------------------------------------------------------------------------


def test_composite_keys_are_json_arrays_in_mapping_order(project):
    rows = project.query(
        f"select distinct target_pk from {project.schema}_audit.column_lineage where target_table = 'gold_parts'"
    )
    # decimal(5,2) writes 1.5 with its scale.
    expected = [[first, "1.50"] for first, _ in HOSTILE] + [["twice", "1.00"]]
    assert sorted(json.loads(row["target_pk"]) for row in rows) == sorted(expected)


def test_composite_keys_with_missing_parts(project):
    rows = parsed(
        project.query(f"select * from {project.schema}_audit.rejected_record where target_table = 'gold_parts'"),
        "source_values_json",
    )
    assert table_of([{**row, "first": row["source_values_json"]["first"]} for row in rows], "first", "target_pk", "failed_rules") == [
        ("z", None, ["cast:a_second"]),
        (None, None, ["not_null:b_first", "not_null:a_second"]),
        (None, None, ["not_null:b_first"]),
        (None, None, ["not_null:b_first"]),
    ]  # fmt: skip
    assert len({row["record_key"] for row in rows}) == 3
    assert (
        project.value(f"select count(*) from {project.schema}_audit.quarantine where target_table = 'gold_parts'") == 3
    )


def test_rows_with_one_key_all_stay_without_latest_by(project):
    rows = project.query(f"select note from {project.schema}.gold_parts where b_first = 'twice'")
    assert table_of(rows, "note") == [("m",), ("n",)]
    assert counts(project, "gold_parts") == [(15, 0, 4, 11)]


# --- step 7: latest_by ---------------------------------------------------------------------------------------------


def test_latest_by_keeps_the_highest_of_what_is_still_in(project):
    rows = project.query(f"select sku, price from {project.schema}.gold_prices where sku not in ('e', 'f')")
    # b: NULL is lowest. d: its highest was refused. i: its highest was filtered.
    assert table_of(rows, "sku", "price") == [("a", 20), ("b", 20), ("c", 10), ("d", 40), ("g", 7), ("i", 30)]
    assert counts(project, "gold_prices") == [(19, 1, 10, 8)] * 2


def test_latest_by_breaks_ties_by_the_values(project):
    rows = project.query(f"select sku, price from {project.schema}.gold_prices where sku in ('e', 'f') order by sku")
    # The same two values, in the other order in the source.
    assert [row["sku"] for row in rows] == ["e", "f"]
    assert rows[0]["price"] == rows[1]["price"]


def test_a_second_run_breaks_ties_alike(project):
    assert project.query(PRICES_NOW.format(schema=project.schema)) == project.prices_of_first_run


@pytest.mark.parametrize("run_id", ["first", "second"])
def test_superseded_rows_are_rejected(project, run_id):
    refused = project.query(
        f"select * from {project.schema}_audit.rejected_record where target_table = 'gold_prices' and run_id = '{run_id}'"
    )
    assert table_of(refused, "target_pk", "failed_rules") == [
        *[(sku, ["duplicate_key"]) for sku in "ab"],
        ("d", ["cast:price"]),
        *[(sku, ["duplicate_key"]) for sku in "efg"],
        ("h", ["cast:price"]),
        ("h", ["cast:price"]),
        (None, ["not_null:sku"]),
        (None, ["not_null:sku"]),
    ]


def test_superseded_rows_are_never_in_quarantine(project):
    open_records = project.query(f"select * from {project.schema}_audit.quarantine where target_table = 'gold_prices'")
    # d is in gold by its older row, and its newer one is refused in each run. The rows of h are equal, as are the two
    # without a key: one record each.
    assert table_of(open_records, "target_pk", "failed_rules") == [
        ("d", ["cast:price"]),
        ("h", ["cast:price"]),
        (None, ["not_null:sku"]),
    ]


# --- lineage -----------------------------------------------------------------------------------------------------


def test_column_lineage_has_the_contracts_columns_in_its_order(project):
    (row,) = project.query(
        f"select * from {project.schema}_audit.column_lineage where target_pk = 'k01' and target_column = 'net'"
    )
    assert list(row)[: len(COLUMN_LINEAGE_COLUMNS)] == COLUMN_LINEAGE_COLUMNS
    del row["run_id"], row["created_ts"]
    assert {name: row[name] for name in COLUMN_LINEAGE_COLUMNS if name in row} == {
        "endpoint_name": "orders",
        "target_table": "gold_orders",
        "target_pk": "k01",
        "target_column": "net",
        "api_field_name": "amount.net",
        "api_json_path": "$.order.amount.net",
        "source_table": "shop_orders",
        "source_columns": ["gross", "tax"],
        "transform_expr": "gross - tax",
        "business_rule_id": "D_NET|V_NET",
        "source_values_json": row["source_values_json"],
    }
    assert json.loads(row["source_values_json"]) == {"gross": "10.00", "tax": "1.50"}


def test_column_lineage_says_which_expression_rule_and_values_made_each_cell(project):
    rows = project.query(
        f"select * from {project.schema}_audit.column_lineage where target_pk = 'k06' and target_table = 'gold_orders'"
    )
    for row in rows:
        values = json.loads(row["source_values_json"])
        row["values"] = {name: value for name, value in values.items() if name not in ("amount_texts", "pair")}
        assert set(values) == set(row["source_columns"])
    cells = {
        row["target_column"]: (row["source_columns"], row["transform_expr"], row["business_rule_id"], row["values"])
        for row in rows
    }
    assert len(cells) == len(rows)
    assert cells == {
        "quantity": (["quantity_text", "fallback"], "quantity_text", "C_FALLBACK", {"quantity_text": None, "fallback": "5"}),
        "order_id": (["id"], "id", None, {"id": "k06"}),
        "net": (["gross", "tax"], "gross - tax", "D_NET|V_NET", {"gross": "10.00", "tax": "1.50"}),
        "paid_on": (["paid_text"], "paid_text", None, {"paid_text": "2024-02-29"}),
        "currency": (["currency"], "currency", "C_USD", {"currency": None}),
        "amounts": (["amount_texts"], "amount_texts", None, {}),
        "both": (["gross", "tax"], "gross + tax", "D_NET", {"gross": "10.00", "tax": "1.50"}),
        "pair": (["pair"], "pair", None, {}),
        "Switched": (["plain"], "plain", None, {"plain": "p"}),
        "word": (["word"], "word", None, {"word": "w"}),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("target_table", "columns"),
    [("gold_orders", 10), ("gold_refs", 1), ("gold_parts", 3), ("gold_prices", 2), ("gold_defaults", 3)],
)
def test_column_lineage_has_a_row_per_gold_row_and_mapped_column(project, target_table, columns):
    per_column = project.query(
        f"select target_column, count(*) as cells from {project.schema}_audit.column_lineage "
        f"where target_table = '{target_table}' and run_id = 'first' group by target_column"
    )
    rows = project.value(f"select count(*) from {project.schema}.{target_table}")
    assert [row["cells"] for row in per_column] == [rows] * columns
