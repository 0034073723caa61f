"""JSON paths as `payload_matches` follows them: what they mean, the SQL of each engine, and what a mapping lacks to be compared."""

from __future__ import annotations

import json

import duckdb
import pytest

NAMES = [
    "a",
    "a.b",
    "it's",
    'say "x"',
    "a/b~c",
    "größe 😀",
    "back\\slash",
    "*",
    "${env:HOME}",
    " blank",
    "0",
    "[0]",
    "?",
    "--;",
    "~1",
]


def quoted(name: str) -> str:
    return name.replace("\\", "\\\\").replace("'", "\\'").replace('"', '\\"')


def names(*each: str) -> list[dict]:
    return [{"name": name} for name in each]


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("$", []),
        ("$.order.amount.value", names("order", "amount", "value")),
        ("$['a.b'].c", names("a.b", "c")),
        ('$["a.b"]."c d"', names("a.b", "c d")),
        ("$['it\\'s']", names("it's")),
        ("$.it's.größe", names("it's", "größe")),
        ("$.a[0][12].b", [*names("a"), {"index": 0}, {"index": 12}, *names("b")]),
        ("$.items[*].line", [*names("items"), {"each": True}, *names("line")]),
        ("$[*]", [{"each": True}]),
    ],
)
def test_the_steps_of_a_path(macros, path, steps):
    assert macros("duckdb").json_path_steps(path) == steps


@pytest.mark.parametrize(
    "path",
    [
        "", "order.id", "$order", "$.", "$..id", "$.*", "$['*", "$['']", "$.a[?(@.b)]", "$.a[-1]", "$.a[1:2]", "$.a['b'", "$['it''s']",
        "$['a\\u0041']", "$.a\n.b; drop table x", "$.length()", "$.a[0]]", "$.a ]", "lax $.a", "$.a\n",
    ],
)  # fmt: skip
def test_what_is_no_path_to_one_value(macros, path):
    # A dot takes a line break as any other character of a name; nothing of it reaches SQL but as a literal.
    steps = macros("duckdb").json_path_steps(path)
    assert steps is None or "\n" in path


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("quote", ["'", '"'])
def test_duckdb_finds_the_value_whatever_the_name_is(macros, name, quote):
    duck = macros("duckdb")
    steps = duck.json_path_steps(f"$[{quote}{quoted(name)}{quote}].x[1]")
    others = {other: {"x": [0, "wrong", "wrong"]} for other in NAMES if other != name}
    document = json.dumps(others | {name: {"x": [None, 12, 0]}})
    with duckdb.connect() as connection:
        connection.execute("create table payloads as select ? as payload", [document])
        read = ", ".join(
            [
                duck.json_text_at("document", steps),
                duck.json_typed_at("document", steps, "decimal(9,2)") + "::varchar",
                duck.json_number_at("document", steps) + "::int",
            ]
        )
        row = connection.execute(
            f"select {read} from (select {duck.json_document('payload')} as document from payloads)"
        )
        assert row.fetchone() == ("12", "12.00", 12)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$.order.id", "get_json_object(x, '$[\\'order\\'][\\'id\\']')"),
        ("$['a.b'][2]", "get_json_object(x, '$[\\'a.b\\'][2]')"),
        ("$.it's", "get_json_object(x, '$.it\\'s')"),
        ("$['${x}']", "get_json_object(x, '$[\\'\\u0024{x}\\']')"),
        ('$["it\'s a.b"].c', "from_json(x, 'struct<`it\\'s a.b`:struct<`c`:string>>').`it's a.b`.`c`"),
        ("$['*']", "from_json(x, 'struct<`*`:string>').`*`"),
        ("$['a`b?.']", "from_json(x, 'struct<`a``b?.`:string>').`a``b?.`"),
        ("$", "x"),
    ],
)
def test_text_at_a_path_on_spark(macros, path, expected):
    spark = macros("spark")
    assert spark.json_text_at("x", spark.json_path_steps(path)) == expected


@pytest.mark.parametrize(
    ("type", "expected"),
    [
        ("string", "get_json_object(x, '$[\\'a\\'][1]')"),
        ("varchar(3)", "get_json_object(x, '$[\\'a\\'][1]')"),
        ("bigint", "try_cast(get_json_object(x, '$[\\'a\\'][1]') as bigint)"),
        (
            "decimal(9,2)",
            "coalesce(get(from_json(x, 'struct<`a`:array<decimal(9,2)>>').`a`, 1), try_cast(get_json_object(x, '$[\\'a\\'][1]') as decimal(9,2)))",
        ),
        ("array<int>", "get(from_json(x, 'struct<`a`:array<array<int>>>').`a`, 1)"),
    ],
)
def test_typed_value_at_a_path_on_spark(macros, type, expected):
    spark = macros("spark")
    assert spark.json_value_at("x", spark.json_path_steps("$.a[1]"), type) == expected


def test_elements_and_numbers_on_spark(macros):
    spark = macros("spark")
    assert spark.json_elements_at("x", names("items")) == "from_json(x, 'struct<`items`:array<string>>').`items`"
    assert spark.json_elements_at("x", []) == "from_json(x, 'array<string>')"
    assert spark.json_number_at("x", names("a")) == (
        "case when from_json(x, 'struct<`a`:double>').`a` is not null then from_json(x, 'struct<`a`:decimal(38,18)>').`a` end"
    )


@pytest.mark.parametrize(
    ("value", "type", "expected"),
    [
        ("null", "VARCHAR", None), ('"null"', "VARCHAR", "null"), ('""', "VARCHAR", ""), ("true", "VARCHAR", "true"), ("true", "BOOLEAN", "true"),
        ('{ "k": [1, null] }', "VARCHAR", '{"k":[1,null]}'), ("1e3", "INTEGER", "1000"), ("100.0", "DECIMAL(9,2)", "100.00"),
        ('"100"', "DECIMAL(9,2)", "100.00"), ("9007199254740993", "BIGINT", "9007199254740993"), ("12345678901234567.89", "DECIMAL(38,2)", "12345678901234567.89"),
        ('"2024-02-29T14:03:21Z"', "TIMESTAMP", "2024-02-29 14:03:21"), ('"n/a"', "INTEGER", None), ('{"k": 1}', "INTEGER", None),
        ('{"k": 1.10, "more": 2}', "STRUCT(k DECIMAL(9,2))", "{'k': 1.10}"), ('"no"', "INTEGER[]", None),
    ],
)  # fmt: skip
def test_values_of_every_kind_on_duckdb(macros, value, type, expected):
    duck = macros("duckdb")
    with duckdb.connect() as connection:
        read = duck.json_value_at("document", names("v"), type)
        row = connection.execute(
            f"select cast({read} as varchar) from (select cast(? as json) as document)", [f'{{"v": {value}}}']
        )
        assert row.fetchone() == (expected,)


# --- what of a mapping can be compared ----------------------------------------------------------------------------

TESTED = {"endpoint_name": "shop", "target_table": "gold"}


def row(name: str, path: str | None, **changes) -> dict:
    return {
        "target_column": name, "column_position": 1, "source_columns": [name], "source_types": ["VARCHAR"], "source_positions": [1],
        "transform_expr": name, "default_expr": None, "data_type": None, "sensitivity": "none", "is_primary_key": "false", "api_json_path": path,
    } | changes  # fmt: skip


def compared(macros, *rows: dict) -> dict:
    return macros("duckdb")._compared_paths(list(rows), [], TESTED)


def key(name: str = "id", path: str | None = "$.id", **changes) -> dict:
    return row(name, path, is_primary_key="true", **changes)


def test_paths_of_the_payload_and_of_the_element_of_the_key(macros):
    found = compared(
        macros, key(), key("line", "$.items[*].line"), row("sku", "$.items[*].article.sku"), row("note", None)
    )
    assert [(each["name"], each["in_array"], each["steps"]) for each in found["columns"]] == [
        ("id", False, names("id")),
        ("line", True, names("line")),
        ("sku", True, names("article", "sku")),
    ]
    assert [each["name"] for each in found["key"]] == ["id", "line"]
    assert (found["array"], found["problems"], found["unproved"]) == (names("items"), [], [])


def test_what_can_not_be_compared_is_named_with_its_reason(macros):
    found = compared(
        macros,
        key(),
        row("masked", "$.a", sensitivity="mask"),
        row("sum", "$.a", source_columns=["a", "b"], source_types=["INTEGER", "INTEGER"]),
        row("constant", "$.a", source_columns=[], source_types=[]),
        row("bytes", "$.a", source_types=["BLOB"]),
        row("unknown", "$.a", source_types=[None]),
        row("line", "$.lines[*].a"),
        row("hashed", "$.a", sensitivity="hash"),
    )
    assert [each["name"] for each in found["columns"]] == ["id", "hashed"]
    assert {each["name"]: each["reason"] for each in found["unproved"]} == {
        "masked": "masked_value", "sum": "not_one_source_column", "constant": "not_one_source_column", "bytes": "unreadable_type",
        "unknown": "unreadable_type", "line": "other_array",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([key(path=None)], "is part of the key, and has no api_json_path"),
        (
            [key(source_columns=["a", "b"], source_types=["VARCHAR", "VARCHAR"])],
            "is part of the key, and is made of 2 source columns",
        ),
        ([key(source_columns=[], source_types=[])], "is part of the key, and is made of no source columns"),
        ([key(path="$.a[*].b[*].c")], "goes through more than one array"),
        (
            [key(transform_expr="uuid()")],
            "can not be made of a payload again: the expression gives another value at another time",
        ),
        ([key(source_types=["BLOB"])], "can not be made of a payload again: a source type can not be read back"),
        (
            [key(path="$.a[*].b"), key("line", "$.c[*].d")],
            "the paths of the key go through different arrays: $.a[*].b, $.c[*].d.",
        ),
        ([key(), row("a", "$..a")], "api_json_path '$..a' is no path that payload_matches can follow"),
        (
            [key(), row("a", "$..a", sensitivity="mask")],
            "api_json_path '$..a' is no path that payload_matches can follow",
        ),
    ],
)
def test_what_has_to_be_mended_is_a_problem_of_its_row(macros, rows, said):
    found = compared(macros, *rows)
    (problem,) = found["problems"]
    assert said in problem["problem"]
    assert problem["remedy"].endswith(".")
    assert problem["key"].startswith("shop / gold")
    assert found["columns"] == []


def test_nothing_that_can_be_compared_is_no_row(macros):
    with duckdb.connect() as connection:
        sql = macros("duckdb")._payload_matches_sql({}, {}, {}, [])
        result = connection.execute(sql)
        assert [each[0] for each in result.description] == [
            "target_pk", "target_column", "api_json_path", "reason", "payload_value", "logged_value", "run_id",
        ]  # fmt: skip
        assert result.fetchall() == []
