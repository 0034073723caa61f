"""The parser of compiled SQL finds the column edges that a person reads out of it."""

from __future__ import annotations

import pytest
from labelled_lineage import Score, as_labelled, lineage_edge, statements, tables

STATEMENTS = statements()
TABLES = tables()


@pytest.fixture(scope="module")
def parser():
    pytest.importorskip("sqlglot")
    return lineage_edge()


@pytest.mark.parametrize("statement", STATEMENTS, ids=str)
def test_the_edges_are_those_that_a_person_reads(parser, statement):
    lineage = parser.column_edges(statement.sql, statement.dialect, TABLES)
    found = as_labelled(lineage.edges)
    if statement.known:
        assert found != statement.edges, f"found by now, no longer to be listed as known: {statement.known}"
        return
    assert sorted(map(str, found)) == sorted(map(str, statement.edges)), lineage.problems
    assert [each.lower() for each in lineage.columns] == list(statement.columns)
    assert lineage.complete is not statement.incomplete
    if statement.problem is None:
        assert lineage.problems == []
    else:
        assert any(statement.problem in each for each in lineage.problems), lineage.problems


def test_precision_and_recall(parser, capsys):
    direct, every = Score(), Score()
    for statement in STATEMENTS:
        found = as_labelled(parser.column_edges(statement.sql, statement.dialect, TABLES).edges)
        every.add(statement, found, statement.edges)
        direct.add(
            statement, [each for each in found if each.is_direct], [each for each in statement.edges if each.is_direct]
        )
    with capsys.disabled():
        print(
            f"\ncolumn edges of {len({each.name for each in STATEMENTS})} labelled statements:"
            f" DIRECT {direct.right} right, precision {direct.precision:.3f}, recall {direct.recall:.3f};"
            f" all kinds {every.right} right, precision {every.precision:.3f}, recall {every.recall:.3f}"
        )
    assert (direct.precision, direct.recall) == (1.0, 1.0), direct.wrong + direct.missed


# --- what labels don't say ---------------------------------------------------------------------------------------


def expressions(parser, sql: str, dialect: str = "duckdb") -> dict:
    """The expression of each edge by its output column and subtype."""
    edges = parser.column_edges(sql, dialect, TABLES).edges
    return {(each.downstream_column, each.transformation_subtype): each.expression for each in edges}


def test_an_expression_is_the_one_that_made_the_value(parser):
    sql = """
      with summed as (
        select customer_id, SUM(amount) AS total from shop.orders where status = 'Paid' and amount > 0 group by customer_id
      )
      select customer_id, total, total * 2 as twice from summed"""
    assert expressions(parser, sql) == {
        ("customer_id", "IDENTITY"): "customer_id",
        ("total", "AGGREGATION"): "sum(amount)",
        ("twice", "AGGREGATION"): "total * 2",
        (None, "FILTER"): "amount > 0",
        (None, "GROUP_BY"): "customer_id",
    }


def test_texts_and_quoted_names_keep_their_case(parser):
    sql = """select CASE WHEN Status = 'Paid' THEN "Amount" END AS paid from shop.orders"""
    assert expressions(parser, sql)["paid", "TRANSFORMATION"] == "case when status = 'Paid' then \"Amount\" end"


@pytest.mark.parametrize(
    ("written", "known", "expected"),
    [
        ("db.shop.orders", {"db.shop.orders": ["id"]}, "db.shop.orders"),
        ("shop.orders", {"db.shop.orders": ["id"], "db.other.orders": ["id"]}, "db.shop.orders"),
        ("orders", {"db.shop.orders": ["id"], "db.other.orders": ["id"]}, "orders"),
        ("spark_catalog.shop.orders", {"shop.orders": ["id"]}, "shop.orders"),
        ('"DB"."Shop"."Orders"', {}, "db.shop.orders"),
    ],
)
def test_a_relation_is_named_as_the_graph_knows_it(parser, written, known, expected):
    (edge,) = parser.column_edges(f"select id from {written}", "duckdb", known).edges
    assert edge.upstream_table == expected


def test_columns_are_spelled_as_their_table_spells_them(parser):
    lineage = parser.column_edges("select FULLNAME from shop.camelcase", "databricks", TABLES)
    assert lineage.edges[0].upstream_column == "FullName"


def test_a_problem_says_where_the_sql_is_broken(parser):
    lineage = parser.column_edges("select a\nfrom shop.fx\nwhere (((", "duckdb", TABLES)
    (problem,) = lineage.problems
    assert "line 3" in problem
    assert [(each.upstream_table, each.upstream_column) for each in lineage.edges] == [("shop.fx", None)]


@pytest.mark.parametrize("sql", ["", "-- nothing", "drop table shop.fx", "select 1; select 2"])
def test_what_is_no_select_is_told(parser, sql):
    lineage = parser.column_edges(sql, "duckdb", TABLES)
    assert len(lineage.problems) == 1
    assert not lineage.complete


def test_a_long_chain_of_operators_and_unions_is_followed(parser):
    chain = " || ".join(["name"] * 1500)
    lineage = parser.column_edges(f"select {chain} as long from shop.customers", "duckdb", TABLES)
    assert [(each.upstream_column, each.transformation_subtype) for each in lineage.edges] == [
        ("name", "TRANSFORMATION")
    ]
    unions = " union all ".join(["select name from shop.customers"] * 150)
    assert len(parser.column_edges(unions, "duckdb", TABLES).edges) == 1


def test_nesting_without_end_is_told_and_not_raised(parser):
    sql = "select " + "(" * 3000 + "name" + ")" * 3000 + " as name from shop.customers"
    lineage = parser.column_edges(sql, "duckdb", TABLES)
    assert {each.upstream_table for each in lineage.edges} == {"shop.customers"}
    assert lineage.problems
