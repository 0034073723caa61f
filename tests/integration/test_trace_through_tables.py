"""`trace` goes on upstream, through the tables of a consumer's project, where it has the lineage graph."""

from __future__ import annotations

import json

import pytest

# DuckDB alone: dbt-spark runs no Python models.
ENGINE = "duckdb"
GRAPH = {"lineage_audit_graph": True}

# order_id, customer, amount, is_test, email. Of `ann` six orders count, 10.50 + 4.25 + 7 + 1 + 2 + 3 = 27.75; of `bob` one.
ORDERS = [
    (1, "ann", "10.50", False, "ann@secret.example"),
    (2, "ann", "4.25", False, "ann@secret.example"),
    (3, "bob", "20.00", False, "bob@secret.example"),
    (4, "ann", "7", False, "ann@secret.example"),
    (5, "ann", "99", True, "ann@secret.example"),
    (6, "ann", "1", False, "ann@secret.example"),
    (7, "ann", "2", False, "ann@secret.example"),
    (8, "ann", "3", False, "ann@secret.example"),
]

MODELS = {
    "staged": "select order_id, customer, cast(amount as decimal(10, 2)) as amount, email"
    " from {{ source('shop', 'orders') }} where not is_test",
    "totals": "select customer, count(*) as orders, sum(amount) as total, max(email) as email from {{ ref('gold') }} group by customer",
    "page": "select customer, total, total * 100 as cents from {{ ref('totals') }}",
    "largest": "select customer, amount from {{ ref('gold') }}"
    " qualify row_number() over (partition by customer order by amount desc) = 1",
    "shares": "select order_id, amount / sum(amount) over () as share from {{ ref('gold') }}",
    "per_day": "select count(*) as orders, sum(amount) as total from {{ ref('gold') }}",
    # DuckDB knows the factorial, the parser does not.
    "unreadable": "select customer, 5! as many from {{ ref('page') }}",
    "unreadable_gold": "select *, 5! as many from {{ ref('gold') }}",
}  # fmt: skip

UPSTREAM = {"upstream": [{"namespace": "db2://host", "name": "S.ORDERS", "method": "export"}]}
PROPERTIES = {
    "sources": [
        {
            "name": "shop",
            "schema": "{{ target.schema }}_raw",
            "tables": [{"name": "orders", "config": {"meta": {"lineage_audit": UPSTREAM}}}],
        }
    ]
}


def mapped(column: str, **more) -> dict:
    return {
        "endpoint_name": "shop", "target_layer": "gold", "target_table": "gold", "target_column": column, "source_table": "staged",
        "source_columns": column, "api_field_name": column, "api_json_path": f"$.{column}", **more,
    }  # fmt: skip


@pytest.fixture(scope="module")
def project(make_project):
    project = make_project(
        ENGINE,
        models={**MODELS, "gold": "{{ lineage_audit.mapped_model('shop', source=ref('staged')) }}"},
        properties=PROPERTIES,
        api_endpoints=[{"endpoint_name": "shop", "source_system": "Till"}],
        field_mapping=[
            mapped("order_id", is_primary_key=True),
            mapped("customer"),
            mapped("amount", transform_expr="amount * 1"),
            mapped("email", sensitivity="mask"),
        ],
        business_rules=[],
        config={"models": {"consumer": {"+materialized": "table", "staged": {"+materialized": "view"}}}, "vars": GRAPH},
    )
    project.execute(
        f"create schema {project.schema}_raw",
        f"create table {project.schema}_raw.orders (order_id int, customer varchar, amount varchar, is_test boolean, email varchar)",
        f"insert into {project.schema}_raw.orders values " + ", ".join(str(row) for row in ORDERS),
    )
    project.dbt("build", "--exclude", "lineage_audit.graph")
    project.dbt("run", "--select", "lineage_audit.graph")
    return project


def asked(project, table: str, key: dict, column: str | None = None, **more):
    arguments = {"target_table": table, "target_pk": key, "target_column": column, **more}
    variables = arguments.pop("vars", None)
    return project.dbt(
        "run-operation", "lineage_audit.trace", "--args", json.dumps(arguments), "--quiet", check=False, vars=variables
    )


def answer(project, *request, **more) -> dict:
    invocation = asked(project, *request, output="json", **more)
    assert invocation.success, invocation.messages
    return json.loads(invocation.output)


def places(traced: dict) -> list[tuple]:
    return [(step["depth"], step["name"], step["column"], step["row_count"]) for step in traced["upstream"]]


def verdict(step: dict) -> tuple | None:
    proof = step["proof"]
    return proof and (proof["expression"], proof["value"], proof["verdict"])


def test_a_mapped_cell_goes_on_to_the_api_field_and_the_external_system(project):
    traced = answer(project, "gold", {"order_id": 2}, "amount")
    assert [column["value"] for column in traced["columns"]] == ["4.25"]
    assert places(traced) == [
        (1, "api://Till/shop", "$.amount", None),
        (1, "staged", "amount", 1),
        (2, "orders", "amount", 1),
        (3, "db2://host/S.ORDERS", "amount", None),
    ]
    _, staged, orders, external = traced["upstream"]
    assert staged["rows"] == orders["rows"] == [{"order_id": "2", "customer": "ann", "amount": "4.25"}]
    assert verdict(staged) == ("amount * 1", "4.25", "agrees")
    assert verdict(orders) == ("cast(amount as decimal(10, 2))", "4.25", "agrees")
    assert external["expression"] == "export"


def test_a_sum_is_proved_from_its_rows(project):
    traced = answer(project, "page", {"customer": "ann"}, "cents")
    assert (traced["columns"][0]["value"], traced["gold_row_count"]) == ("2775.00", 1)
    assert places(traced) == [
        (1, "totals", "total", 1),
        (2, "gold", "amount", 6),
        (3, "api://Till/shop", "$.amount", None),
        (3, "staged", "amount", 6),
        (4, "orders", "amount", 6),
        (5, "db2://host/S.ORDERS", "amount", None),
    ]
    totals, gold, _, staged, orders, _ = traced["upstream"]
    assert verdict(totals) == ("total * 100", "2775.00", "agrees")
    assert verdict(gold) == ("sum(amount)", "27.75", "agrees")
    assert (gold["column_sum"], staged["column_sum"]) == ("27.75", "27.75")
    # The order that is a test is kept out, as the model's SQL does.
    assert verdict(orders) == ("cast(amount as decimal(10, 2))", "27.75", "agrees")
    # The first five of six, by what tells them.
    assert [(row["order_id"], row["amount"]) for row in orders["rows"]] == [
        *(("1", "10.50"), ("2", "4.25"), ("4", "7"), ("6", "1"), ("7", "2"))
    ]
    for step in (gold, staged, orders):
        assert len(project.query(step["query"])) == 6


def test_a_count_is_proved_by_rows(project):
    gold, *_ = answer(project, "totals", {"customer": "bob"}, "orders")["upstream"]
    assert (gold["name"], gold["column"], gold["row_count"], verdict(gold)) == ("gold", None, 1, ("count(*)", "1", "agrees"))  # fmt: skip


def test_a_number_that_its_rows_do_not_give_is_told(project):
    name = f"{project.schema}.totals"
    project.execute(f"update {name} set total = 28 where customer = 'ann'")
    try:
        printed = asked(project, "totals", {"customer": "ann"}, "total").output
    finally:
        project.execute(f"update {name} set total = 27.75 where customer = 'ann'")
    assert "sum(amount) gives 27.75, and above it is 28.00" in printed


@pytest.mark.parametrize(
    ("table", "key", "column", "said"),
    [
        ("largest", {"customer": "ann"}, "amount", "qualify row_number() over (partition by customer order by amount desc) = 1 picks among the rows"),
        ("shares", {"order_id": "1"}, "share", "these rows alone do not give the value"),
        ("per_day", {"orders": 7}, "total", "no column of per_day that tells these rows is a column of this table"),
        ("unreadable", {"customer": "ann"}, "many", "the SQL of unreadable does not say which rows"),
    ],
)  # fmt: skip
def test_sql_that_does_not_allow_it_says_why(project, table, key, column, said):
    assert said in asked(project, table, key, column).output


@pytest.mark.parametrize(
    ("table", "key", "column"),
    [
        ("gold", {"order_id": 2}, "email"),
        ("gold", {"order_id": 2}, "amount"),
        ("totals", {"customer": "ann"}, "email"),
        ("unreadable_gold", {"order_id": 1}, "email"),
        ("shop.orders", {"order_id": 1}, None),
    ],
)
def test_masked_values_are_never_shown(project, table, key, column):
    assert project.value(f"select email from {project.schema}.unreadable_gold where order_id = 1").endswith(
        "secret.example"
    )
    traced = asked(project, table, key, column, output="json")
    assert traced.success, traced.messages
    assert "secret" not in traced.output


def test_where_no_mark_was_noted_nothing_is_shown(project):
    def rows_of_orders():
        traced = answer(project, "page", {"customer": "ann"}, "cents")
        return next(step for step in traced["upstream"] if step["name"] == "orders")["rows"]

    # What an earlier version wrote of mapped models.
    versions = f"{project.schema}_audit.model_version"
    project.execute(
        f"create table kept as from {versions}",
        f"""update {versions} set mapping_json = regexp_replace(mapping_json, '"sensitivity": "(none|mask)"', '"x": 1', 'g')""",
    )
    try:
        hidden = rows_of_orders()
    finally:
        project.execute(f"delete from {versions}", f"insert into {versions} from kept", "drop table kept")
    assert not hidden
    assert rows_of_orders()


def test_the_answer_for_a_person(project):
    printed = asked(project, "totals", {"customer": "ann"}, "total").output
    lines = [" ".join(line.split()) for line in printed.splitlines()]
    assert lines[0] == "totals with customer ann: total = 27.75"
    assert "gold.amount: 6 rows, sum 27.75" in lines
    assert "sum(amount) gives 27.75, as above" in lines
    assert "… 1 more" in lines


def test_without_the_graph_trace_is_as_before_and_asks_no_more(project):
    with_it = asked(project, "gold", {"order_id": 2}, "amount", output="json")
    left_out = asked(project, "gold", {"order_id": 2}, "amount", output="json", upstream=False)
    off = {"lineage_audit_graph": False}
    without = asked(project, "gold", {"order_id": 2}, "amount", output="json", vars=off)
    plain, full = json.loads(without.output), json.loads(with_it.output)
    assert "upstream" not in plain
    assert {name: value for name, value in full.items() if name != "upstream"} == plain == json.loads(left_out.output)
    assert len(without.statements) == len(left_out.statements) < len(with_it.statements)
    refused = asked(project, "totals", {"customer": "ann"}, vars=off)
    assert "no mapped model builds 'totals'" in refused.messages
