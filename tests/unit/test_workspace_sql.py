"""The stand-in for a Databricks workspace reads SQL: its tokens, its names, and which catalog a name belongs to."""

from __future__ import annotations

import pytest
from workspace.errors import RefusalError, refused_by_spark
from workspace.names import Catalogs
from workspace.sql_text import bare, immediate_texts, literal, names_in, starts_with, tokens_of

CATALOGS = Catalogs(["main", "governance"])
SCHEMAS = {"main__dev", "main__default", "governance__audit"}


def to_spark(sql: str, current: str = "main") -> str:
    return CATALOGS.to_spark(sql, current, SCHEMAS.__contains__)


# --- tokens and names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ('/* {"app": "dbt"} */\nselect 1', "select 1"),
        ("-- why\n/* and */ select 1 ;", "select 1"),
        ("select ';' -- ;", "select ';'"),
        ("select /*+ broadcast(a) */ 1", "select /*+ broadcast(a) */ 1"),
        ("", ""),
    ],
)
def test_a_statement_without_comments_around_it(sql, expected):
    assert bare(sql) == expected


def test_texts_and_comments_hold_no_names():
    sql = (
        "select 'from main.dev.a', \"from main.dev.b\", r'\\', `x` /* from main.dev.c */ from main.dev.d -- main.dev.e"
    )
    assert [name.parts for name in names_in(sql) if len(name.parts) == 3] == [("main", "dev", "d")]


def test_names_may_be_quoted_and_spaced():
    (name,) = [each for each in names_in("select 1 from `main` . `a``b`.\nc") if each.names_relation]
    assert name.parts == ("main", "a`b", "c")


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("create table if not exists a (id int)", ["a"]),
        ("insert into a (x, y) select x, f(y) from range(5) join b (c)", ["a"]),
        ("create or replace view a (x comment 'y') as select 1 from d", ["a", "d"]),
    ],
)
def test_relations_by_their_place(sql, names):
    assert [name.parts[0] for name in names_in(sql) if name.names_relation] == names


def test_what_a_script_executes_from_texts():
    sql = "begin execute immediate 'create table a (b string comment \\'it\\\\s\\')'; select 'execute immediate', 'select 1'; end"
    (text,) = immediate_texts(sql)
    assert text.value == "create table a (b string comment 'it\\s')"
    assert literal(text.value) == sql[text.start : text.end]


def test_a_literal_has_the_value_that_it_was_made_of():
    value = "it's a \\ and a `"
    assert [token.value for token in tokens_of(literal(value))] == [value]


def test_first_words():
    assert starts_with("  Create  OR\nreplace Table x", "create", "or", "replace", "table")
    assert not starts_with("create", "create", "table")
    assert not starts_with("'create' table", "create")


# --- names of several catalogs ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select * from main.dev.a", "select * from `spark_catalog`.`main__dev`.`a`"),
        ("select * from `MAIN`.`Dev`.`A`", "select * from `spark_catalog`.`main__dev`.`A`"),
        ("insert into governance.audit.e values (1)", "insert into `spark_catalog`.`governance__audit`.`e` values (1)"),
        (
            "select main.dev.a.x from main.dev.a",
            "select `spark_catalog`.`main__dev`.`a`.`x` from `spark_catalog`.`main__dev`.`a`",
        ),
        # A schema of the current catalog, and one that this catalog doesn't have.
        ("select * from dev.a", "select * from `spark_catalog`.`main__dev`.`a`"),
        ("select * from audit.e", "select * from audit.e"),
        # A column of a struct, and a comparison, are no relation.
        ("select a.b.c from t where a.b.c is distinct from d.e.f", None),
        ("select x from t where main.y = 1", None),
        ("create schema if not exists main.new", "create schema if not exists `spark_catalog`.`main__new`"),
        ("create schema new", "create schema `spark_catalog`.`main__new`"),
        ("show tables in `main`.`dev`", "show tables in `spark_catalog`.`main__dev`"),
        ("show table extended in main.dev like 'x'", "show table extended in `spark_catalog`.`main__dev` like 'x'"),
        ("describe history hive_metastore.dev.a", "describe history `spark_catalog`.`hive_metastore__dev`.`a`"),
    ],
)
def test_names_in_spark(sql, expected):
    assert to_spark(sql) == (sql if expected is None else expected)


def test_a_schema_of_another_catalog_is_another_schema():
    assert to_spark("select * from main.audit.e") != to_spark("select * from governance.audit.e")
    assert to_spark("select * from audit.e", "governance") == to_spark("select * from governance.audit.e")


def test_a_catalog_that_is_not_there_is_refused():
    with pytest.raises(RefusalError) as refusal:
        to_spark("select * from mian.dev.a")
    assert (refusal.value.condition, refusal.value.sqlstate) == ("NO_SUCH_CATALOG_EXCEPTION", "42704")
    assert "'mian'" in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The table `spark_catalog`.`main__dev`.`a` cannot", "The table `main`.`dev`.`a` cannot"),
        ("spark_catalog.governance__audit.e", "governance.audit.e"),
        ("main__dev", "main.dev"),
        ("domain__dev main_dev __", "domain__dev main_dev __"),
    ],
)
def test_names_from_spark(text, expected):
    assert CATALOGS.from_spark(text) == expected


@pytest.mark.parametrize(
    ("condition", "text", "expected"),
    [
        ("A.B", "[A.B] Two\nlines. SQLSTATE: 42P01; line 1 pos 5", "[A.B] Two\nlines. SQLSTATE: 42P01"),
        (None, "something else", "[INTERNAL_ERROR] something else SQLSTATE: XX000"),
        ("DELTA_X", "[DELTA_X] No state.", "[DELTA_X] No state. SQLSTATE: XX000"),
    ],
)
def test_words_of_sparks_refusals(condition, text, expected):
    assert str(refused_by_spark(condition, text, unknown=False)) == expected


def test_names_in_python_code():
    code = 'df.write.saveAsTable("`main`.`dev`.`a`"); x = "`other`.`dev`.`a`"; y = "main.dev.a"'
    assert CATALOGS.in_code(code) == code.replace("`main`.`dev`.`a`", "`spark_catalog`.`main__dev`.`a`")
