"""Values as lossless text, per type: the SQL that makes it, and what DuckDB makes of that SQL."""

from __future__ import annotations

import json

import duckdb
import pytest

ISO = "'%Y-%m-%dT%H:%M:%S.%f'"


def spark_timestamp(expression: str) -> str:
    text = f"cast({expression} as string)"
    return f"rpad(replace({text}, ' ', 'T') || if({text} like '%.%', '', '.'), 26, '0')"


SPARK_NESTED = (
    "to_json(x, map('ignoreNullFields', 'false', 'timeZone', 'UTC', "
    "'timestampFormat', \"yyyy-MM-dd'T'HH:mm:ss.SSSSSS\", 'timestampNTZFormat', \"yyyy-MM-dd'T'HH:mm:ss.SSSSSS\"))"
)
SPARK_INSTANT = (
    "timestamp_ntz '1970-01-01 00:00:00' + make_dt_interval(0, 0, 0, cast(unix_micros(x) * 0.000001 as decimal(18, 6)))"
)


@pytest.mark.parametrize(
    ("type", "expected"),
    [
        ("VARCHAR", "x"),
        ("BOOLEAN", "cast(x as varchar)"),
        ("INTEGER", "cast(x as varchar)"),
        ("DECIMAL(18,3)", "cast(x as varchar)"),
        ("DOUBLE", "cast(x as varchar)"),
        ("DATE", "cast(x as varchar)"),
        ("UUID", "cast(x as varchar)"),
        ("JSON", "cast(x as varchar)"),
        ("BLOB", "to_base64(x)"),
        ("TIMESTAMP", f"strftime(x, {ISO})"),
        ("TIMESTAMP_S", f"strftime(x, {ISO})"),
        ("TIMESTAMP_NS", "strftime(x, '%Y-%m-%dT%H:%M:%S.%n')"),
        ("TIMESTAMP WITH TIME ZONE", f"strftime(x at time zone 'UTC', {ISO})"),
    ],
)
def test_text_of_on_duckdb(macros, type, expected):
    assert macros("duckdb").text_of("x", type) == expected
    assert macros("duckdb").text_of("x", type.lower()) == expected


@pytest.mark.parametrize(
    ("type", "expected"),
    [
        ("string", "x"),
        ("varchar(10)", "x"),
        ("char(2)", "x"),
        ("boolean", "cast(x as string)"),
        ("int", "cast(x as string)"),
        ("decimal(18,3)", "cast(x as string)"),
        ("double", "cast(x as string)"),
        ("date", "cast(x as string)"),
        ("binary", "base64(x)"),
        ("timestamp", spark_timestamp(SPARK_INSTANT)),
        ("timestamp_ltz", spark_timestamp(SPARK_INSTANT)),
        ("timestamp_ntz", spark_timestamp("x")),
        ("array<int>", SPARK_NESTED),
        ("struct<A:int,b:string>", SPARK_NESTED),
        ("map<string,int>", SPARK_NESTED),
        ("variant", SPARK_NESTED),
    ],
)
def test_text_of_on_spark(macros, type, expected):
    assert macros("spark").text_of("x", type) == expected
    assert macros("databricks").text_of("x", type.upper()) == expected


@pytest.mark.parametrize(
    ("type", "expected"),
    [
        ("INTEGER", {"kind": "scalar", "name": "integer"}),
        ("DECIMAL(18,3)", {"kind": "scalar", "name": "decimal(18,3)"}),
        ("INTEGER[]", {"kind": "list", "element": "INTEGER"}),
        ("DOUBLE[3][]", {"kind": "list", "element": "DOUBLE[3]"}),
        ("STRUCT(a INTEGER)[]", {"kind": "list", "element": "STRUCT(a INTEGER)"}),
        ("MAP(VARCHAR, INTEGER)", {"kind": "map", "key": "VARCHAR", "value": "INTEGER"}),
        (
            "MAP(STRUCT(a INTEGER, b VARCHAR), DECIMAL(18,3)[])",
            {"kind": "map", "key": "STRUCT(a INTEGER, b VARCHAR)", "value": "DECIMAL(18,3)[]"},
        ),
        (
            "STRUCT(a INTEGER, B VARCHAR)",
            {"kind": "struct", "fields": [{"name": "a", "type": "INTEGER"}, {"name": "B", "type": "VARCHAR"}]},
        ),
        (
            'STRUCT("it\'s, (odd]" STRUCT("q""t" DECIMAL(9,2)[], m MAP(VARCHAR, INTEGER[])), "Due Date" DATE)',
            {
                "kind": "struct",
                "fields": [
                    {"name": "it's, (odd]", "type": 'STRUCT("q""t" DECIMAL(9,2)[], m MAP(VARCHAR, INTEGER[]))'},
                    {"name": "Due Date", "type": "DATE"},
                ],
            },
        ),
        (
            "STRUCT(a ENUM('x, y', 'z)'), b TIMESTAMP WITH TIME ZONE)",
            {
                "kind": "struct",
                "fields": [
                    {"name": "a", "type": "ENUM('x, y', 'z)')"},
                    {"name": "b", "type": "TIMESTAMP WITH TIME ZONE"},
                ],
            },
        ),
    ],
)
def test_a_duckdb_type_is_taken_apart(macros, type, expected):
    assert macros("duckdb")._parse_duckdb_type(type) == expected


# Written as DuckDB itself would have to be asked, one row per kind of value; the text is what a person expects.
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("'it''s'", "it's"),
        ("null::varchar", None),
        ("true", "true"),
        ("9223372036854775807", "9223372036854775807"),
        ("100.10::decimal(9,2)", "100.10"),
        ("0.1::double", "0.1"),
        ("1e300::double", "1e+300"),
        ("date '2024-02-29'", "2024-02-29"),
        ("timestamp '2024-02-29 14:03:21'", "2024-02-29T14:03:21.000000"),
        ("timestamp '2024-02-29 14:03:21.123456'", "2024-02-29T14:03:21.123456"),
        ("timestamptz '2024-02-29 14:03:21+02:00'", "2024-02-29T12:03:21.000000"),
        ("'2024-02-29 14:03:21.123456789'::timestamp_ns", "2024-02-29T14:03:21.123456789"),
        ("'ab'::blob", "YWI="),
        ("[1, null, 3]", "[1,null,3]"),
        ("[]::integer[]", "[]"),
        ("null::integer[]", None),
        ("[1.50::decimal(9,2), 2]", "[1.50,2.00]"),
        ("['a\"b', null]", '["a\\"b",null]'),
        ("[date '2024-02-29', null]", '["2024-02-29",null]'),
        ("[[1], null, []]", "[[1],null,[]]"),
        ("['nan'::double, 1.5]", '["nan",1.5]'),
        ("{'Big Name': 1, 'B': null::varchar}", '{"Big Name":1,"B":null}'),
        (
            "{'at': timestamptz '2024-02-29 14:03:21+02:00', 'q\"t': {'a': 1.10::decimal(9,2)}}",
            '{"at":"2024-02-29T12:03:21.000000","q\\"t":{"a":1.10}}',
        ),
        ("{'a': 'x, y'::enum('x, y', 'z)'), 'b': 1}", '{"a":"x, y","b":1}'),
        ("map(['k\"1', 'k2'], [1.10::decimal(9,2), null])", '{"k\\"1":1.10,"k2":null}'),
        ("map([1], [[true, null]])", '{"1":[true,null]}'),
        ("[union_value(num := 2)]", '[{"num":2}]'),
        ("{'j': '{\"x\": [null]}'::json}", '{"j":{"x": [null]}}'),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_what_duckdb_makes_of_it(macros, value, expected, zone):
    with duckdb.connect() as connection:
        connection.execute(f"set TimeZone = '{zone}'")
        connection.execute(f"create table source as select {value} as x")
        (type,) = connection.execute("select data_type from duckdb_columns() where table_name = 'source'").fetchone()
        (text,) = connection.execute(f"select {macros('duckdb').text_of('x', type)} from source").fetchone()
    assert text == expected
    if type.endswith("]") or type.startswith(("STRUCT", "MAP")):
        json.loads(text or "null")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("'a'", "a"),
        ("12", "12"),
        ("timestamp '2024-02-29 14:03:21'", "2024-02-29T14:03:21.000000"),
        ("timestamptz '2024-02-29 14:03:21+02:00'", "2024-02-29T12:03:21.000000"),
    ],
)
def test_an_expression_without_a_type_is_asked_for_it(macros, value, expected):
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'America/New_York'")
        (text,) = connection.execute(
            f"select {macros('duckdb').text_of_value('x', None)} from (select {value} as x)"
        ).fetchone()
    assert text == expected


@pytest.mark.parametrize(
    ("value", "nulls"),
    [
        ("[1, null, 3]", 1),
        ("['null', 'a \"null\" b']", 0),
        ("{'a': null::varchar, 'b': [null::integer]}", 2),
        ("null::integer[]", None),
    ],
)
def test_nulls_within_a_nested_value(macros, value, nulls):
    with duckdb.connect() as connection:
        (counted,) = connection.execute(
            f"select {macros('duckdb').nulls_within('x')} from (select {value} as x)"
        ).fetchone()
    assert counted == nulls


@pytest.mark.parametrize(("text", "nulls"), [("[1, NULL, 3]", 1), ('{"a": null, "b": "null"}', 1), ("[]", 0)])
def test_nulls_within_a_text_that_is_to_become_a_nested_value(macros, text, nulls):
    with duckdb.connect() as connection:
        (counted,) = connection.execute(
            f"select {macros('duckdb').nulls_within('x', True)} from (select ? as x)", [text]
        ).fetchone()
    assert counted == nulls
