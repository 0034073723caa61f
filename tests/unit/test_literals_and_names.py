"""The small macros from which all SQL is put together: literals, names, structs, lists, JSON."""

from __future__ import annotations

import json
from decimal import Decimal

import duckdb
import pytest
from bare_jinja import CompilationError
from hypothesis import given
from hypothesis import strategies as st

BOTH = ("duckdb", "spark")


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect() as connection:
        yield connection


# --- text_literal -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "duckdb_literal", "spark_literal"),
    [
        (None, "null", "null"),
        ("", "''", "''"),
        ("plain", "'plain'", "'plain'"),
        (17, "'17'", "'17'"),
        ("it's", "'it''s'", r"'it\'s'"),
        ("''", "''''''", r"'\'\''"),
        ('say "hi"', "'say \"hi\"'", "'say \"hi\"'"),
        (r"C:\temp", r"'C:\temp'", r"'C:\\temp'"),
        ("\\'", "'\\'''", r"'\\\''"),
        ("two\nlines", "'two\nlines'", "'two\nlines'"),
        ("${env:HOME}", "'${env:HOME}'", r"'\u0024{env:HOME}'"),
        ("100% {{ x }} -- ; /* */", "'100% {{ x }} -- ; /* */'", "'100% {{ x }} -- ; /* */'"),
        ("Füße 東京 👩‍👩‍👧", "'Füße 東京 👩‍👩‍👧'", "'Füße 東京 👩‍👩‍👧'"),
    ],
)
def test_text_literal(macros, value, duckdb_literal, spark_literal):
    assert macros("duckdb").text_literal(value) == duckdb_literal
    assert macros("spark").text_literal(value) == spark_literal
    assert macros("databricks").text_literal(value) == spark_literal


@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_duckdb_reads_a_text_literal_as_the_text_it_was(macros, connection, text):
    assert connection.execute(f"select {macros('duckdb').text_literal(text)}").fetchone() == (text,)


# --- quote_name -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "duckdb_name", "spark_name"),
    [
        ("order_id", "order_id", "order_id"),
        ("_line2", "_line2", "_line2"),
        ("OrderId", '"OrderId"', "`OrderId`"),
        ("order id", '"order id"', "`order id`"),
        ("2nd", '"2nd"', "`2nd`"),
        ("größe", '"größe"', "`größe`"),
        ("select", '"select"', "`select`"),
        ("timestamp", '"timestamp"', "`timestamp`"),
        ('a"b', '"a""b"', '`a"b`'),
        ("a`b", '"a`b"', "`a``b`"),
        ("a.b", '"a.b"', "`a.b`"),
        ("it's", '"it\'s"', "`it's`"),
    ],
)
def test_quote_name(macros, name, duckdb_name, spark_name):
    assert macros("duckdb").quote_name(name) == duckdb_name
    assert macros("spark").quote_name(name) == spark_name


def test_every_word_that_duckdb_reserves_is_quoted(macros, connection):
    keywords = connection.execute("select keyword_name from duckdb_keywords() where keyword_category = 'reserved'")
    for (word,) in keywords.fetchall():
        assert macros("duckdb").quote_name(word) == f'"{word}"'


@given(name=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
def test_duckdb_takes_any_quoted_name(macros, connection, name):
    assert connection.execute(f"select 1 as {macros('duckdb').quote_name(name)}").description[0][0] == name


# --- structs, lists, JSON ---------------------------------------------------------------------------------------

MEMBERS = [{"name": "amount", "expression": "x + 1"}, {"name": "it's", "expression": "null"}]


@pytest.mark.parametrize(
    ("engine", "expected"),
    [
        ("duckdb", "{'amount': x + 1, 'it''s': null}"),
        ("spark", r"named_struct('amount', x + 1, 'it\'s', null)"),
    ],
)
def test_struct_of(macros, engine, expected):
    assert macros(engine).struct_of(MEMBERS) == expected


@pytest.mark.parametrize(
    ("engine", "expected"),
    [
        ("duckdb", "{\n    'amount': x + 1,\n    'it''s': null\n  }"),
        ("spark", "named_struct(\n    'amount', x + 1,\n    'it\\'s', null\n  )"),
    ],
)
def test_struct_of_with_a_line_per_member(macros, engine, expected):
    assert macros(engine).struct_of(MEMBERS, "  ") == expected


def test_more_than_25_members_are_all_there(macros, connection):
    """Python functions with many arguments, and engines with a limit of 25 fields, are where such structs break."""
    members = [{"name": f"c{number}", "expression": str(number)} for number in range(300)]
    (struct,) = connection.execute(f"select {macros('duckdb').struct_of(members)}").fetchone()
    assert struct == {f"c{number}": number for number in range(300)}


@pytest.mark.parametrize(
    ("engine", "empty", "filled", "texts", "without_nulls", "length"),
    [
        (
            "duckdb",
            "cast([] as varchar[])",
            "[a, b]",
            "['x', 'it''s']",
            "list_filter([\n    a,\n    b\n  ], lambda reason: reason is not null)",
            "len(a)",
        ),
        (
            "spark",
            "cast(array() as array<string>)",
            "array(a, b)",
            r"array('x', 'it\'s')",
            "array_except(array(\n    a,\n    b\n  ), array(cast(null as string)))",
            "size(a)",
        ),
    ],
)
def test_lists(macros, engine, empty, filled, texts, without_nulls, length):
    engine_macros = macros(engine)
    assert engine_macros.list_of([]) == empty
    assert engine_macros.list_of(["a", "b"]) == filled
    assert engine_macros.list_of_texts(["x", "it's"]) == texts
    assert engine_macros.list_without_nulls([]) == empty
    assert engine_macros.list_without_nulls(["a", "b"]) == without_nulls
    assert engine_macros.list_length("a") == length


@pytest.mark.parametrize(
    ("engine", "json_object", "json_array", "json_of_lists"),
    [
        (
            "duckdb",
            "cast(to_json({'amount': x + 1, 'it''s': null}) as varchar)",
            "cast(to_json([a, b]) as varchar)",
            "cast(to_json(map(names, texts)) as varchar)",
        ),
        (
            "spark",
            r"to_json(named_struct('amount', x + 1, 'it\'s', null), map('ignoreNullFields', 'false'))",
            "to_json(array(a, b))",
            "to_json(map_from_arrays(names, texts))",
        ),
    ],
)
def test_json(macros, engine, json_object, json_array, json_of_lists):
    assert macros(engine).json_object(MEMBERS) == json_object
    assert macros(engine).json_array(["a", "b"]) == json_array
    assert macros(engine).json_of_lists("names", "texts") == json_of_lists


def test_json_of_duckdb_drops_no_null_and_no_quote(macros, connection):
    texts = {"plain": "x", "null": None, 'quo"te': 'a "b" \\ c\nd', "emoji": "🎁"}
    members = [{"name": name, "expression": macros("duckdb").text_literal(text)} for name, text in texts.items()]
    (written,) = connection.execute(f"select {macros('duckdb').json_object(members)}").fetchone()
    assert json.loads(written) == texts


# --- expressions from config ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "on_spark"),
    [
        ("amount_raw * fx_rate", "amount_raw * fx_rate"),
        ("'it''s'", "'it''s'"),
        ("concat('${a}', b)", r"concat('\u0024{a}', b)"),
        # A raw text has no escapes, so the two characters are parted.
        ("r'\\d${a}' || R\"${b}\"", "concat(r'\\d$', r'{a}') || concat(R\"$\", R\"{b}\")"),
        # Outside of a text it is the user's own variable.
        ("${variable} + 1", "${variable} + 1"),
        ("`${a}` || '${b}'", r"`${a}` || '\u0024{b}'"),
    ],
)
def test_an_expression_is_given_to_the_engine_as_it_was_written(macros, expression, on_spark):
    assert macros("duckdb").sql_expression(expression) == expression
    assert macros("spark").sql_expression(expression) == on_spark


# --- sensitivity ------------------------------------------------------------------------------------------------

DUCKDB_KEY = "getvariable('lineage_audit_key')"
SPARK_KEY = "java_method('java.lang.System', 'getenv', 'DBT_ENV_SECRET_LINEAGE_AUDIT_KEY')"
DATABRICKS_KEY = "secret('lineage_audit', 'hash_key')"


@pytest.mark.parametrize(
    ("engine", "mark", "expected"),
    [
        ("duckdb", "none", "email"),
        ("duckdb", "mask", "case when email is not null then '***' end"),
        ("duckdb", "hash", f"sha256({DUCKDB_KEY} || ':' || sha256({DUCKDB_KEY} || ':' || email))"),
        ("spark", "mask", "case when email is not null then '***' end"),
        ("spark", "hash", f"sha2({SPARK_KEY} || ':' || sha2({SPARK_KEY} || ':' || email, 256), 256)"),
        ("databricks", "hash", f"sha2({DATABRICKS_KEY} || ':' || sha2({DATABRICKS_KEY} || ':' || email, 256), 256)"),
    ],
)
def test_a_marked_value(macros, engine, mark, expected):
    assert macros(engine)._marked("email", "varchar" if engine == "duckdb" else "string", mark) == expected


def test_the_names_of_the_secret_are_settings(macros):
    named = macros("databricks", lineage_audit_secret_scope="it's", lineage_audit_secret_key="k")
    assert named.hash_key() == r"secret('it\'s', 'k')"


# --- adapters ---------------------------------------------------------------------------------------------------


def test_an_adapter_without_an_implementation_gets_a_clear_error(macros):
    with pytest.raises(CompilationError) as caught:
        macros("postgres").text_literal("x")
    message = str(caught.value)
    assert "adapter 'postgres' has no implementation of text_literal" in message
    assert "postgres__text_literal" in message
    assert "search_order: [shop, lineage_audit]" in message


def test_every_dispatched_macro_has_a_default_and_serves_every_engine(macros):
    names = [name.removeprefix("default__") for name in vars(macros("duckdb")) if name.startswith("default__")]
    assert len(names) > 20
    for name in names:
        for engine in BOTH:
            assert hasattr(macros(engine), f"{engine}__{name}"), f"{engine} lacks {name}"


# --- seeds ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "type", "expected"),
    [
        (None, "int", "cast(null as int)"),
        ("it's", "string", r"'it\'s'"),
        ("None", "string", "'None'"),
        ("2024-02-29", "date", "cast('2024-02-29' as date)"),
        (Decimal("1E+2"), "int", "cast(1E+2 as int)"),
        (Decimal("1.07"), "decimal(9,2)", "cast(1.07 as decimal(9,2))"),
        (True, "boolean", "cast('True' as boolean)"),
    ],
)
def test_a_value_of_a_seed(macros, value, type, expected):
    assert macros("spark")._seed_value(value, type) == expected


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], []),
        (["a", "b", "c"], [["a", "b"], ["c"]]),
        (["aaaa", "bbbb", "cccc"], [["aaaa"], ["bbbb"], ["cccc"]]),
        (["a", "b" * 100, "c"], [["a"], ["b" * 100], ["c"]]),
    ],
)
def test_rows_of_a_seed_are_sent_in_batches(macros, texts, expected):
    """At most two rows and seven characters each; a longer row stands alone."""
    assert macros("spark")._batches(texts, 2, 7) == expected
