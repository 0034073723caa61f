"""The inverse of lossless texts: the SQL that reads a value back, and that DuckDB gives the same text again."""

from __future__ import annotations

import duckdb
import pytest

VALUES = [
    ("'it''s'", "VARCHAR"), ("true", "BOOLEAN"), ("9223372036854775807", "BIGINT"), ("100.10", "DECIMAL(9,2)"),
    ("0.1", "DOUBLE"), ("'nan'", "DOUBLE"), ("1e300", "DOUBLE"), ("0.1", "FLOAT"), ("date '2024-02-29'", "DATE"),
    ("timestamp '2024-02-29 14:03:21.123456'", "TIMESTAMP"), ("'2024-02-29 14:03:21'", "TIMESTAMP_S"),
    ("'2024-02-29 14:03:21.123456789'", "TIMESTAMP_NS"), ("timestamptz '2024-10-27 00:30:00+00'", "TIMESTAMP WITH TIME ZONE"),
    ("timestamptz '2024-10-27 01:30:00+00'", "TIMESTAMP WITH TIME ZONE"), ("time '01:02:03.5'", "TIME"),
    ("interval '3 days 2 hours'", "INTERVAL"), ("'ab'", "BLOB"), ("'{\"x\": [null]}'", "JSON"), ("'y, z'", "ENUM('x', 'y, z')"),
    ("'11111111-2222-3333-4444-555555555555'", "UUID"), ("[1, null, 3]", "INTEGER[]"), ("[]", "INTEGER[]"),
    ("[1.50, 2]", "DECIMAL(9,2)[]"), ("['a\"b', null, '']", "VARCHAR[]"), ("['nan'::double, 1.5]", "DOUBLE[]"),
    ("[timestamp '2024-02-29 01:02:03.000004', null]", "TIMESTAMP[]"), ("{'Big Name': 1, 'b': null}", 'STRUCT("Big Name" INTEGER, b VARCHAR)'),
    ("map(['k\"1', 'k2'], [1.10, null])", "MAP(VARCHAR, DECIMAL(9,2))"), ("map([1], [[true, null]])", "MAP(INTEGER, BOOLEAN[])"),
    ("null", "INTEGER"), ("null", "INTEGER[]"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "type"), VALUES)
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_duckdb_reads_each_value_back_as_it_was(macros, value, type, zone):
    duck = macros("duckdb")
    assert duck.is_readable_type(type)
    read = duck.value_of("text", type)
    with duckdb.connect() as connection:
        connection.execute(f"set TimeZone = '{zone}'")
        connection.execute(f"create table source as select cast({value} as {type}) as x")
        connection.execute(f"create table logged as select {duck.text_of('x', type)} as text from source")
        same, kind = connection.execute(
            f"select x is not distinct from {read}, typeof({read}) = typeof(x) from source, logged"
        ).fetchone()
        again = connection.execute(
            f"select text is not distinct from {duck.text_of(read, type)} from logged"
        ).fetchone()
    assert (same, kind, again) == (True, True, (True,))


@pytest.mark.parametrize(
    "type", ["INTEGER", "DATE", "TIMESTAMP WITH TIME ZONE", "DECIMAL(9,2)", "INTEGER[]", "STRUCT(a INTEGER)"]
)
def test_a_text_that_is_none_of_the_type_is_null(macros, type):
    with duckdb.connect() as connection:
        read = macros("duckdb").value_of("'no such value'", type)
        assert connection.execute(f"select {read}").fetchone() == (None,)


@pytest.mark.parametrize(
    ("engine", "type"),
    [
        ("duckdb", "TIMESTAMP WITH TIME ZONE[]"), ("duckdb", "STRUCT(j JSON)"), ("duckdb", "BLOB[]"), ("duckdb", "VARIANT"),
        ("spark", "variant"), ("spark", "struct<a b:int>"), ("spark", "array<binary>"), ("spark", "interval day to second"),
    ],
)  # fmt: skip
def test_types_that_can_not_be_read_back(macros, engine, type):
    assert not macros(engine).is_readable_type(type)


@pytest.mark.parametrize(
    ("type", "expected"),
    [
        ("string", "x"),
        ("varchar(10)", "x"),
        ("decimal(18,3)", "try_cast(x as decimal(18,3))"),
        ("double", "try_cast(x as double)"),
        ("timestamp", "try_cast(x || 'Z' as timestamp)"),
        ("timestamp_ntz", "try_cast(x as timestamp_ntz)"),
        ("binary", "unbase64(x)"),
        (
            "array<struct<A:int,b:string>>",
            "from_json(x, 'array<struct<A:int,b:string>>', map('timeZone', 'UTC', "
            "'timestampFormat', \"yyyy-MM-dd'T'HH:mm:ss.SSSSSS\", 'timestampNTZFormat', \"yyyy-MM-dd'T'HH:mm:ss.SSSSSS\"))",
        ),
    ],
)
def test_value_of_on_spark(macros, type, expected):
    assert macros("spark").is_readable_type(type)
    assert macros("spark").value_of("x", type) == expected
