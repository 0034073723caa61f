"""Which rows of a table a model's row is made of, by its SQL; and what `trace` finds of them in a database. No dbt."""

from __future__ import annotations

import importlib.util
import json

import duckdb
import pytest
from bare_database import MacrosOverDatabase
from bare_jinja import ROOT, CompilationError


@pytest.fixture(scope="module")
def lineage_row():
    spec = importlib.util.spec_from_file_location("lineage_row", ROOT / "models" / "graph" / "lineage_row.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


COLUMNS = {
    "w.s.orders": ["order_id", "customer_id", "amount", "order"],
    "w.s.customers": ["customer_id", "country"],
    "w.s.old_orders": ["order_id", "customer_id", "amount"],
}


def keys(lineage_row, sql: str, dialect: str = "duckdb") -> dict[str, dict]:
    return {each["upstream_table"].split(".")[-1]: each for each in lineage_row.row_sources(sql, dialect, COLUMNS)}


# Worked out by hand: what equals what in every row, and what keeps rows out.
@pytest.mark.parametrize(
    ("sql", "table", "expected"),
    [
        ("select customer_id, sum(amount) as total from w.s.orders group by customer_id", "orders", {"customer_id": "customer_id"}),
        ("with o as (select *, max(amount) over () as m from w.s.orders) select customer_id as c, count(*) as n from o group by 1", "orders", {"c": "customer_id"}),
        ("select o.customer_id, c.country from w.s.orders as o left join w.s.customers as c on o.customer_id = c.customer_id", "customers", {"customer_id": "customer_id", "country": "country"}),
        ("select * from w.s.orders join w.s.customers using (customer_id)", "customers", {"customer_id": "customer_id", "country": "country"}),
        ("select x.id from (select order_id as id from w.s.orders) as x", "orders", {"id": "order_id"}),
        ("select upper(country) as land, count(*) as n from w.s.customers group by all", "customers", {"land": "upper(country)"}),
        ("select upper(country) as land from w.s.customers", "customers", {}),
        ("select order_id from w.s.orders union all select order_id from w.s.old_orders", "old_orders", {"order_id": "order_id"}),
        ('select "order" as place from w.s.orders', "orders", {"place": '"order"'}),
    ],
)  # fmt: skip
def test_columns_that_are_equal_in_both_tables(lineage_row, sql, table, expected):
    assert keys(lineage_row, sql)[table]["keys"] == expected


def test_conditions_on_one_table_filter_its_rows(lineage_row):
    sql = (
        "select o.order_id from w.s.orders as o join w.s.customers as c on o.customer_id = c.customer_id and c.country = 'NL'"
        " where o.amount > 0 and o.amount > length(c.country)"
    )
    found = keys(lineage_row, sql)
    assert found["orders"]["filters"] == ["amount > 0"]
    assert found["customers"]["filters"] == ["country = 'NL'"]
    assert found["orders"]["problems"] == ["not followed: where o.amount > length(c.country)"]
    # What an outer join asks keeps no row of the other side out.
    outer = keys(lineage_row, sql.replace("join", "left join").replace("c.country = 'NL'", "o.amount < 9"))
    assert outer["orders"]["filters"] == ["amount > 0"]


def test_an_expression_is_told_where_one_table_gives_it(lineage_row):
    sql = (
        "with o as (select customer_id, amount * 2 as twice from w.s.orders)"
        " select o.customer_id, sum(twice) + 1 as a, sum(twice * length(country)) as b, count(*) as c,"
        " max(twice) over () as d from o join w.s.customers as c using (customer_id) group by o.customer_id, twice"
    )
    orders = keys(lineage_row, sql)["orders"]
    assert orders["expressions"]["a"] == {"sql": "sum((amount * 2)) + 1", "is_aggregate": True}
    # Two tables; rows of which table; a window.
    assert not {"b", "c", "d"} & set(orders["expressions"])
    assert orders["problems"] == [
        "rows are joined before they are aggregated: one may count several times, or not at all"
    ]


@pytest.mark.parametrize(
    "sql",
    [
        "select 5! as broken from w.s.orders",
        "delete from w.s.orders",
        "select 1; select 2",
        "select * from " + " cross join ".join(f"w.s.orders as o{number}" for number in range(300)),
    ],
)
def test_what_is_not_followed_has_no_rows(lineage_row, sql):
    assert lineage_row.row_sources(sql, "duckdb", COLUMNS) == []


def test_what_picks_among_rows_is_said(lineage_row):
    sql = (
        "select order_id from w.s.orders qualify row_number() over (partition by order_id order by amount) = 1 limit 5"
    )
    (problems,) = [each["problems"] for each in keys(lineage_row, sql).values()]
    assert problems == [
        "qualify row_number() over (partition by order_id order by amount) = 1 picks among the rows",
        "limit picks among the rows",
    ]


# --- trace in a database ------------------------------------------------------------------------------------------

MODELS = {
    "stg": ("select id, customer, cast(amount as decimal(10, 2)) as amount, day from w.s.raw where id > 0", ["raw"]),
    "summary": ("select customer, count(*) as n, sum(amount) as total, max(day) as last from w.s.stg group by customer", ["stg"]),
    "page": ("select n.customer, n.name, coalesce(s.total, 0) as total from w.s.names as n left join w.s.summary as s on n.customer = s.customer", ["names", "summary"]),
}  # fmt: skip
# (upstream, column, downstream, column): the direct edges, by hand.
EDGES = [
    ("w.s.raw", "id", "w.s.stg", "id"),
    ("w.s.raw", "customer", "w.s.stg", "customer"),
    ("w.s.raw", "amount", "w.s.stg", "amount"),
    ("w.s.stg", "amount", "w.s.summary", "total"),
    ("w.s.stg", "at", "w.s.summary", "last"),
    ("w.s.summary", "total", "w.s.page", "total"),
    ("pg://host/raw", "amount", "w.s.raw", "amount"),
]


class Attributes(dict):
    __getattr__ = dict.__getitem__


@pytest.fixture(scope="module")
def macros():
    nodes = {f"model.p.{name}": Attributes(database="w", schema="s", alias=name) for name in ("raw", "names", *MODELS)}
    return MacrosOverDatabase(None, nodes, {"lineage_audit_graph": True})


@pytest.fixture
def traced(lineage_row, macros):
    connection = duckdb.connect()
    connection.execute("attach ':memory:' as w; use w; create schema s")
    connection.execute(
        "create table s.raw as select * from (values (1, 'a', 1.5, date '2024-01-01'), (2, 'a', 2.25, date '2024-01-02'),"
        " (3, 'b', 9, date '2024-01-03'), (-4, 'a', 100, date '2024-01-04')) as v(id, customer, amount, day);"
        " create table s.names as select * from (values ('a', 'Ann'), ('b', 'Bob'), ('c', 'Cem')) as v(customer, name);"
        " create table s.lineage_node as select 'w.s.summary' as table_name, 'total' as column_name;"
        " create table s.current_model_version (target_relation varchar, mapping_json varchar)"
    )
    for name, (sql, _) in MODELS.items():
        connection.execute(f"create table s.{name} as {sql}")
    tables = ["raw", "names", *MODELS]
    catalog = {
        f"w.s.{name}": [row[0] for row in connection.execute(f"describe s.{name}").fetchall()] for name in tables
    }
    versions = [
        {"target_relation": f"w.s.{name}", "form": "full", "created_ts": 1, "language": "sql", "dialect": "duckdb",
         "compiled_sql": sql, "depends_on": [f"w.s.{parent}" for parent in parents], "model_version": name}
        for name, (sql, parents) in MODELS.items()
    ]  # fmt: skip
    connection.execute(
        "create table s.lineage_row as select * from (select 'x' as "
        + ", 'x' as ".join(lineage_row.COLUMNS)
        + ") limit 0"
    )
    for row in lineage_row.project_rows(versions, catalog):
        connection.execute(f"insert into s.lineage_row values ({', '.join('?' * len(row))})", list(row.values()))
    lineage = {
        "tables": {
            f"w.s.{name}": Attributes(node_id=f"model.p.{name}", name=name, kind="model", layer=None, owner=None)
            for name in tables
        },
        "edges": [
            Attributes(upstream_table=a, upstream_column=b, downstream_table=c, downstream_column=d, transformation_type="DIRECT",
                       transformation_subtype="IDENTITY", expression="e", origin="observed", problem=None)
            for a, b, c, d in EDGES
        ],
        "lineage_node": "s.lineage_node",
        "lineage_row": "s.lineage_row",
        "current_model_version": "s.current_model_version",
    }  # fmt: skip
    macros.connection = connection

    def steps(table: str, column: str, key: dict, marked: dict | None = None):
        found = macros._upstream_steps(dict(lineage, readings={}), f"w.s.{table}", column, key, marked or {})
        return macros._shown_upstream(found)

    steps.macros, steps.connection, steps.lineage = macros, connection, lineage
    return steps


def test_a_sum_is_proved_from_its_rows_table_by_table(traced):
    summary, staged, raw, external = traced("page", "total", {"name": "Ann"})
    assert (summary["name"], summary["row_count"], summary["column_sum"]) == ("summary", 1, "3.75")
    assert (staged["name"], staged["column"], staged["row_count"], staged["column_sum"]) == ("stg", "amount", 2, "3.75")
    assert {**staged["proof"]} == {
        "expression": "sum(amount)", "value": "3.75", "expected": "3.75", "verdict": "agrees", "reason": None,
    }  # fmt: skip
    assert [row["amount"] for row in staged["rows"]] == ["1.50", "2.25"]
    # The row with a negative id is kept out by the filter of stg.
    assert (raw["name"], raw["row_count"], raw["proof"]["value"], raw["proof"]["verdict"]) == (
        "raw",
        2,
        "3.75",
        "agrees",
    )
    assert (external["name"], external["query"], external["expression"]) == ("pg://host/raw", None, "e")
    assert [step["depth"] for step in (summary, staged, raw, external)] == [1, 2, 3, 4]


def test_the_query_of_a_step_gives_its_rows(traced):
    (_, staged, *_) = traced("page", "total", {"name": "Ann"})
    assert len(traced.connection.execute(staged["query"]).fetchall()) == 2


def test_a_count_is_of_rows(traced):
    staged, _raw, external = traced("summary", "n", {"customer": "a"})
    assert (staged["name"], staged["column"], staged["row_count"]) == ("stg", None, 2)
    assert (staged["proof"]["expression"], staged["proof"]["verdict"]) == ("count(*)", "agrees")
    assert (external["column"], external["kind"]) == (None, "external")


def test_a_value_that_its_rows_do_not_give_differs(traced):
    traced.connection.execute("update s.summary set total = 4 where customer = 'a'")
    staged, *_ = traced("summary", "total", {"customer": "a"})
    assert (staged["proof"]["verdict"], staged["proof"]["value"], staged["proof"]["expected"]) == (
        "differs",
        "3.75",
        "4.00",
    )


def test_a_join_without_partner_has_no_rows(traced):
    summary, *_ = traced("page", "total", {"name": "Cem"})
    assert (summary["row_count"], summary["proof"]["verdict"], summary["proof"]["reason"]) == (
        0,
        "not_compared",
        "no_rows",
    )


def test_rows_that_no_column_tells_are_not_looked_up(lineage_row):
    """The column that joins is not in the output: nothing of it equals a column of the other table."""
    sql = "select o.order_id, c.country || '' as land from w.s.orders as o join w.s.customers as c using (customer_id)"
    assert keys(lineage_row, sql)["customers"]["keys"] == {}


def test_marked_values_are_not_shown(traced):
    mapping = {
        "source_relation": "w.s.raw",
        "columns": [
            {"target_column": "amount", "source_columns": ["amount"], "sensitivity": "mask"},
            {"target_column": "customer", "source_columns": ["customer"], "sensitivity": "none"},
        ],
    }
    traced.connection.execute("insert into s.current_model_version values ('w.s.stg', ?)", [json.dumps(mapping)])
    marked = traced.macros._marked_columns(traced.lineage)
    # The column, its source out to the external system, and all that is made of it.
    assert {**marked} == {
        "w.s.stg": ["amount"], "w.s.raw": ["amount"], "pg://host/raw": ["amount"], "w.s.summary": ["total"], "w.s.page": ["total"],
    }  # fmt: skip
    hidden = traced("summary", "total", {"customer": "a"}, marked)
    assert {(step["row_count"], step["query"], step["proof"], len(step["rows"])) for step in hidden} == {
        (None, None, None, 0)
    }
    staged, *_ = traced("summary", "n", {"customer": "a"}, marked)
    assert (staged["row_count"], staged["proof"]["value"]) == (2, "2")
    assert all("amount" not in row for row in staged["rows"])
    answer = traced.macros._plain_trace_answer(dict(traced.lineage), "summary", {"customer": "a"}, "total")
    assert "3.75" not in json.dumps(answer)
    assert "not shown" in traced.macros._plain_trace_text(answer)


def test_a_source_that_marked_columns_are_made_of_too_shows_no_values(traced):
    (staged, raw, _) = traced("summary", "total", {"customer": "a"}, {"w.s.raw": ["amount"]})
    assert (staged["column_sum"], staged["proof"]["verdict"]) == ("3.75", "agrees")
    assert (raw["row_count"], raw["column_sum"], raw["proof"]["verdict"]) == (2, None, "agrees")
    assert all("amount" not in row for row in raw["rows"])
    assert "its values are not shown" in raw["not_followed"]


def test_a_hostile_key_is_a_text(traced):
    with pytest.raises(CompilationError, match="has no row with"):
        traced.macros._plain_trace_answer(dict(traced.lineage), "summary", {"customer": "a' or 'a' = 'a"}, "total")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("sumary", {"customer": "a"}, None), "Did you mean summary"),
        (("summary", "a", None), "no mapping tells the key of w.s.summary: write target_pk as {customer: …}"),
        (("summary", {"custmer": "a"}, None), "Did you mean customer"),
        (("summary", {"customer": "a"}, "totl"), "Did you mean total"),
    ],
)
def test_what_is_asked_wrongly_of_a_plain_table(traced, arguments, said):
    with pytest.raises(CompilationError) as refused:
        traced.macros._plain_trace_answer(dict(traced.lineage), *arguments)
    assert said in str(refused.value)


def test_the_answer_for_a_person_and_for_a_program(traced):
    answer = traced.macros._plain_trace_answer(dict(traced.lineage), "summary", {"CUSTOMER": "a"}, "total")
    assert (answer["target_pk"], answer["gold_row_count"]) == ({"customer": "a"}, 1)
    assert answer["columns"][0]["value"] == "3.75"
    json.dumps(answer)
    lines = [" ".join(line.split()) for line in traced.macros._plain_trace_text(answer).splitlines()]
    assert lines[:4] == [
        "summary with customer a: total = 3.75",
        "made of, table by table",
        "stg.amount: 2 rows, sum 3.75",
        "sum(amount) gives 3.75, as above",
    ]
