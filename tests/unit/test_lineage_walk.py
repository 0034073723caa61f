"""The way through the lineage graph, over edges written out by hand."""

from __future__ import annotations

import pytest


def edge(way: str, subtype: str = "IDENTITY", *, origin: str = "observed", problem: str | None = None) -> dict:
    """An edge from `table.column > table.column`; `*` is no column."""
    ends = [end.strip().split(".") for end in way.split(">")]
    (upstream_table, upstream_column), (downstream_table, downstream_column) = ends
    return {
        "upstream_table": upstream_table,
        "upstream_column": None if upstream_column == "*" else upstream_column,
        "downstream_table": downstream_table,
        "downstream_column": None if downstream_column == "*" else downstream_column,
        "transformation_type": "DIRECT" if subtype in ("IDENTITY", "TRANSFORMATION", "AGGREGATION") else "INDIRECT",
        "transformation_subtype": subtype,
        "expression": way,
        "origin": origin,
        "problem": problem,
    }


@pytest.fixture(scope="module")
def walk(macros):
    """Lines of the tree: depth, table and column, and = where it was met before."""

    def lines(edges: list[dict], *asked: str, direction: str = "downstream", **arguments) -> list[str]:
        roots = [
            {"table": table, "column": None if column == "*" else column}
            for table, column in (each.split(".") for each in asked)
        ]
        package = macros("duckdb")
        steps = package._walk(edges, roots, direction, **arguments)["steps"]
        return [
            f"{line['step']['depth']} {line['step']['table']}.{line['step']['column'] or '*'}"
            f"{' =' if line['step']['again'] else ''}"
            for line in package._tree_lines(steps)
        ]

    return lines


DIAMOND = [
    edge("a.x > b.x"),
    edge("a.x > c.x", "TRANSFORMATION"),
    edge("b.x > d.x"),
    edge("c.x > d.x"),
    edge("d.x > e.x"),
    edge("a.y > b.y"),
]


def test_each_column_is_walked_on_from_once(walk):
    assert walk(DIAMOND, "a.x") == ["0 a.x", "1 b.x", "2 d.x", "3 e.x", "1 c.x", "2 d.x ="]


def test_upstream_is_the_way_back(walk):
    assert walk(DIAMOND, "e.x", direction="upstream") == [
        *("0 e.x", "1 d.x", "2 b.x", "3 a.x", "2 c.x", "3 a.x ="),
    ]


def test_several_columns_and_one_twice(walk):
    assert walk(DIAMOND, "b.y", "a.y", "a.y") == ["0 b.y", "0 a.y", "1 b.y ="]


def test_a_cycle_ends(walk):
    edges = [edge("a.x > b.x"), edge("b.x > a.x"), edge("b.x > b.x")]
    assert walk(edges, "a.x") == ["0 a.x", "1 b.x", "2 a.x =", "2 b.x ="]


def test_a_filter_reaches_every_row_and_goes_on_by_table(walk):
    edges = [
        edge("a.x > b.*", "FILTER"),
        edge("a.y > b.y"),
        edge("b.y > c.y"),
        edge("b.y > c.z", "TRANSFORMATION"),
        edge("c.y > d.y"),
    ]
    assert walk(edges, "a.x") == ["0 a.x", "1 b.*", "2 c.*", "3 d.*"]
    assert walk(edges, "a.x", indirect=False) == ["0 a.x"]
    assert walk(edges, "a.*") == ["0 a.*", "1 b.*", "2 c.*", "3 d.*"]


def test_a_count_of_rows_depends_on_no_column(walk):
    edges = [edge("a.* > b.n", "AGGREGATION"), edge("a.x > b.x")]
    assert walk(edges, "a.x") == ["0 a.x", "1 b.x"]
    assert walk(edges, "b.n", direction="upstream") == ["0 b.n", "1 a.*"]


def test_where_only_the_table_is_known_every_column_may_be_meant(walk):
    edges = [edge("a.* > b.*", problem="it can't be parsed"), edge("b.x > c.x"), edge("c.* > app.*", origin="declared")]
    assert walk(edges, "a.x") == ["0 a.x", "1 b.*", "2 c.*", "3 app.*"]
    assert walk(edges, "c.x") == ["0 c.x", "1 app.*"]
    assert walk(edges, "b.x", direction="upstream") == ["0 b.x", "1 a.*"]


def test_a_depth_ends_it_and_says_so(macros):
    walked = macros("duckdb")._walk(DIAMOND, [{"table": "a", "column": "x"}], "downstream", depth=2)
    assert [step["depth"] for step in walked["steps"]] == [0, 1, 1, 2, 2]
    assert walked["is_cut"] is True
    assert macros("duckdb")._walk(DIAMOND, [{"table": "a", "column": "x"}], "downstream", depth=3)["is_cut"] is False


def test_a_long_way_is_no_matter_of_recursion(walk):
    edges = [edge(f"t{number}.x > t{number + 1}.x") for number in range(1500)]
    lines = walk(edges, "t0.x")
    assert len(lines) == 1501
    assert lines[-1] == "1500 t1500.x"


# --- names ----------------------------------------------------------------------------------------------------------


def graph(**tables: tuple[str, str]) -> dict:
    return {
        "tables": {table.replace("__", "."): {"kind": kind, "name": name} for table, (kind, name) in tables.items()}
    }


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("orders", "db.dev.orders"),
        ("ORDERS", "db.dev.orders"),
        ("crm.orders", "db.raw.orders"),
        ("raw.orders", "db.raw.orders"),
        ("db.raw.orders", "db.raw.orders"),
        ("kpi", "exposure.p.kpi"),
        ("The KPIs", "exposure.p.kpi"),
        ("host/crm.public.orders", "host/crm.public.orders"),
    ],
)
def test_a_name_in_dbt_goes_before_the_last_part_of_a_relation(macros, asked, expected):
    tables = graph(
        db__dev__orders=("model", "orders"),
        db__raw__orders=("source", "crm.orders"),
        exposure__p__kpi=("exposure", "The KPIs"),
    )
    tables["tables"]["host/crm.public.orders"] = {"kind": "external", "name": "host/crm.public.orders"}
    assert macros("duckdb")._graph_table(tables, asked) == expected


def test_a_name_that_means_several_tables_is_refused(macros):
    tables = graph(db__a__orders=("source", "one.orders"), db__b__orders=("source", "two.orders"))
    with pytest.raises(Exception, match=r"can be several tables: db\.a\.orders, db\.b\.orders"):
        macros("duckdb")._graph_table(tables, "orders")
