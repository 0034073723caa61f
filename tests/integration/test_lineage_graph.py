"""The lineage graph as a user makes it: of the sample, in a consumer's project, and what a plain install has of it."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

# DuckDB alone: dbt-spark runs no Python models.
ENGINE = "duckdb"
GRAPH = ("run", "--select", "lineage_audit.graph")


def ask(project, operation: str, **arguments: Any):
    return project.dbt("run-operation", operation, "--args", json.dumps(arguments), "--quiet", check=False)


def steps_of(project, operation: str, **arguments: Any) -> list[tuple[int, str]]:
    """Depth, table and column of each step, in the order in which they were met."""
    answer = json.loads(ask(project, operation, output="json", **arguments).output)
    return [(step["depth"], f"{step['name']}.{step['column'] or '*'}") for step in answer["steps"]]


# --- the sample ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sample(make_sample):
    project = make_sample(ENGINE)
    project.dbt("build", "--select", "lineage_audit.sample.customer_analytics", "--exclude-resource-type", "test")
    project.dbt(*GRAPH)
    return project


def test_the_impact_of_a_source_column_goes_through_to_four_consumers(sample):
    tree, consumers = ask(sample, "impact", table="raw_orders", column="amount").output.split("\n\n")
    # Worked out by hand from the SQL of the models and the meta of the exposures.
    assert [" ".join(line.split()) for line in tree.splitlines()] == [
        "raw_orders.amount",
        "└─ stg_orders.order_amount cast(orders.amount as decimal(10, 2))",
        "├─ customer_orders_summary.recent_revenue"
        " sum(case when order_date > newest_order_date - interval '30' day then order_amount else 0 end)",
        "│ └─ customer_behavior.recent_revenue coalesce(ordered.recent_revenue, 0)",
        "│ └─ customer_engagement_features.30_day_purchase_amount [ML Platform]",
        "│ └─ churn_prediction_model.30_day_purchase_amount [Data Science]",
        "└─ customer_orders_summary.total_revenue sum(order_amount)",
        "└─ customer_behavior.total_revenue coalesce(ordered.total_revenue, 0)",
        "└─ Customer Analytics Dashboard.total_revenue [Customer Insights]",
        "└─ Executive KPI Report.revenue_per_country total_revenue of the country's customers [Finance Reporting]",
    ]
    assert [len(line) - len(line.lstrip(" │├└─")) for line in tree.splitlines()] == [0, 3, 6, 9, 12, 15, 6, 9, 12, 15]
    lines = consumers.splitlines()
    assert lines[0] == "4 consumers, through 3 tables"
    assert [tuple(part.strip() for part in line.split("  ") if part) for line in lines[3:]] == [
        ("customer_engagement_features", "ml", "ML Platform", "30_day_purchase_amount"),
        ("Customer Analytics Dashboard", "dashboard", "Customer Insights", "total_revenue"),
        ("churn_prediction_model", "ml", "Data Science", "30_day_purchase_amount"),
        ("Executive KPI Report", "analysis", "Finance Reporting", "revenue_per_country"),
    ]


def test_a_gold_column_comes_from_the_external_system(sample):
    answer = json.loads(
        ask(sample, "upstream", table="customer_behavior", column="total_revenue", output="json").output
    )
    assert [(step["depth"], step["name"], step["column"], step["kind"], step["layer"]) for step in answer["steps"]] == [
        (0, "customer_behavior", "total_revenue", "model", "gold"),
        (1, "customer_orders_summary", "total_revenue", "model", "gold"),
        (2, "stg_orders", "order_amount", "model", "silver"),
        (3, "raw_orders", "amount", "source", "bronze"),
        (4, "postgres://crm-db.example.com:5432/crm.public.orders", "amount", "external", None),
    ]
    assert [[edge["expression"] for edge in step["edges"]] for step in answer["steps"]] == [
        [],
        ["coalesce(ordered.total_revenue, 0)"],
        ["sum(order_amount)"],
        ["cast(orders.amount as decimal(10, 2))"],
        ["change data capture"],
    ]
    assert [(end["name"], end["owner"], end["columns"]) for end in answer["origins"]] == [
        ("raw_orders", "CRM Platform", ["amount"]),
        ("postgres://crm-db.example.com:5432/crm.public.orders", None, ["amount"]),
    ]


def test_events_come_from_the_topic_by_way_of_the_object_storage(sample):
    printed = ask(sample, "upstream", table="stg_events", column="event_type").output.split("\n\n")[0]
    assert [" ".join(line.split()) for line in printed.splitlines()] == [
        "stg_events.event_type lower(event_type)".replace(" lower(event_type)", ""),
        "└─ raw_customer_events.event_type lower(event_type)",
        "└─ s3://example-landing/customer_events.event_type files loaded as they arrive",
        "└─ kafka://events.example.com:9092/customer-events.event_type stream to object storage",
    ]


def test_a_feature_of_another_name_derives_from_gold(sample):
    assert steps_of(sample, "impact", table="customer_behavior", column="last_order_date") == [
        (0, "customer_behavior.last_order_date"),
        (1, "customer_engagement_features.days_since_last_purchase"),
        (2, "churn_prediction_model.days_since_last_purchase"),
    ]


def test_a_key_column_reaches_every_row_and_so_every_consumer(sample):
    answer = json.loads(ask(sample, "impact", table="raw_orders", column="customer_id", output="json").output)
    met = {(step["name"], step["column"]) for step in answer["steps"]}
    assert ("customer_orders_summary", "customer_id") in met
    # Its rows are grouped by the column, so every column of them depends on it.
    assert ("customer_orders_summary", None) in met
    assert {end["name"] for end in answer["consumers"]} == {
        *("Customer Analytics Dashboard", "Executive KPI Report"),
        *("customer_engagement_features", "churn_prediction_model"),
    }
    alone = json.loads(
        ask(sample, "impact", table="raw_orders", column="customer_id", indirect=False, output="json").output
    )
    assert {(step["name"], step["column"]) for step in alone["steps"]} == {
        *(("raw_orders", "customer_id"), ("stg_orders", "customer_id"), ("customer_orders_summary", "customer_id"))
    }
    assert alone["indirect_edges_left_out"] == 2
    assert alone["consumers"] == []


def test_several_columns_and_a_depth(sample):
    assert steps_of(sample, "impact", table="raw_orders", column=["AMOUNT", "ordered_at"], depth=1) == [
        (0, "raw_orders.amount"),
        (0, "raw_orders.ordered_at"),
        (1, "stg_orders.order_amount"),
        (1, "stg_orders.order_date"),
    ]
    cut = ask(sample, "impact", table="raw_orders", column="amount", depth=1).output
    assert "More lies beyond depth 1." in cut


def test_tables_without_columns(sample):
    assert steps_of(sample, "impact", table="crm.raw_products") == [
        (0, "raw_products.*"),
        (1, "stg_orders.*"),
        (2, "customer_orders_summary.*"),
        (3, "customer_behavior.*"),
        (4, "Customer Analytics Dashboard.*"),
        (4, "customer_engagement_features.*"),
        (5, "Executive KPI Report.*"),
        (5, "churn_prediction_model.*"),
    ]


def test_the_edges_are_read_by_one_statement(sample):
    asked = ask(sample, "impact", table="raw_orders", column="amount")
    read = [each.sql for each in asked.statements if "lineage_" in each.sql and "information_schema" not in each.sql]
    assert len([sql for sql in read if "lineage_edge" in sql]) == 1
    assert len(read) == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"table": "raw_order"}, "has no table or exposure 'raw_order'. Did you mean raw_orders"),
        ({"table": "raw_orders", "column": "ammount"}, "has no column 'ammount'. Did you mean amount"),
        ({"table": "raw_orders", "depth": "all"}, "depth 'all' is no number of steps"),
        ({}, "name a table"),
        ({"table": "raw_orders", "output": "xml"}, "output 'xml' is unknown"),
        ({"compare_with": "nowhere"}, "the lineage graph is not in"),
    ],
)
def test_what_is_asked_wrongly_is_named_with_what_is_there(sample, arguments, said):
    refused = ask(sample, "impact", **arguments)
    assert not refused.success
    assert said in refused.messages


def test_nodes_say_whose_a_table_is_and_what_a_column_means(sample):
    audit = f"{sample.schema}_audit"
    rows = sample.query(
        f"select * from {audit}.lineage_node where table_name like '%raw_orders' and column_name in ('amount') or"
        " table_name like '%kpi_report' and column_name is null order by kind desc"
    )
    assert [{name: row[name] for name in ("kind", "layer", "owner", "name")} for row in rows] == [
        {"kind": "source", "layer": "bronze", "owner": "CRM Platform", "name": "crm.raw_orders"},
        {"kind": "exposure", "layer": "analysis", "owner": "Finance Reporting", "name": "Executive KPI Report"},
    ]
    assert rows[0]["description"].startswith("What the order cost, in US dollars")
    # The columns as the warehouse has them, each once.
    assert sample.query(
        f"select column_name from {audit}.lineage_node where table_name like '%stg_customers'"
        " and column_name is not null order by column_name"
    ) == [
        {"column_name": name}
        for name in ("country", "customer_id", "email", "email_normalized", "full_name", "updated_at")
    ]


def test_the_sample_declares_and_describes_what_its_sql_does(sample):
    # Who owns what is the team's to say, and only a part of the sample is built here.
    assert (
        sample.query(
            f"select * from {sample.schema}_audit.lineage_reconciliation where finding not in ('no_owner', 'no_lineage')"
            " or finding = 'no_lineage' and kind = 'exposure'"
        )
        == []
    )


# --- somebody else's project --------------------------------------------------------------------------------------

ON = {"lineage_audit_graph": True}
HOSTILE = 'it\'s "quoted" \\ 🚚 ${x} -- /* ' + "x" * 1_200_000

MODELS = {
    # Its two forms read other columns.
    "grown": """{{ config(materialized='incremental') }}
select id, amount{% if is_incremental() %} + correction{% endif %} as amount
from {{ source('shop', 'orders') }}
{% if is_incremental() %}where id > (select max(before.id) from {{ this }} as before){% endif %}""",
    "starred": "select * from {{ ref('grown') }}",
    "inlined": "{{ config(materialized='ephemeral') }} select id as key, amount as paid from {{ ref('starred') }}",
    "summed": "select max(key) as last_key, sum(paid) as paid from {{ ref('inlined') }}",
    # DuckDB knows the factorial, the parser does not.
    "unreadable": "select id, 5! as many from {{ ref('starred') }}",
    "stamped": "select '{{ invocation_id }}' as run, '{{ run_started_at }}' as started, id from {{ ref('starred') }}",
    "hostile": "select '" + HOSTILE.replace("'", "''") + "' as text, id from {{ ref('starred') }}",
}
PYTHON = "def model(dbt, session):\n    dbt.config(materialized='table')\n    return dbt.ref('grown')\n"

PROPERTIES = {
    "sources": [
        {
            "name": "shop",
            "schema": "{{ target.schema }}_raw",
            "tables": [
                {
                    "name": "orders",
                    "config": {
                        "meta": {
                            "lineage_audit": {
                                "upstream": [
                                    {
                                        "namespace": "db2://host/",
                                        "name": "S.O",
                                        "method": "export",
                                        "columns": {"id": "ONO"},
                                    }
                                ]
                            }
                        }
                    },
                }
            ],
        }
    ],
    "exposures": [
        {
            "name": name,
            "type": "dashboard",
            "owner": {"email": "a@example.com"},
            "depends_on": depends_on,
            "config": {"meta": {"lineage_audit": meta}},
        }
        for name, depends_on, meta in (
            ("listed", ["ref('summed')"], {"columns": ["summed.paid"], "feeds": ["listed_later"]}),
            ("wrong", [], {"columns": ["sumed.paid", "summed.payed"], "feeds": ["list"]}),
            ("unlisted", ["ref('starred')"], {}),
            ("listed_later", [], {}),
        )
    ],
}


@pytest.fixture(scope="module")
def consumer(make_project):
    """Two builds and a graph after each, with what the store and the graph held then."""
    project = make_project(
        ENGINE,
        with_sample=True,
        models=MODELS,
        python_models={"scripted": PYTHON},
        properties=PROPERTIES,
        api_endpoints=[{"endpoint_name": "shop", "source_system": "Till"}],
        field_mapping=[
            {
                "endpoint_name": "shop",
                "target_layer": "api_view",
                "target_table": "gold",
                "target_column": column,
                "source_table": "starred",
                "source_columns": sources,
                "transform_expr": expression,
                "api_json_path": path,
                "is_primary_key": column == "id",
            }
            for column, sources, expression, path in (
                ("id", "id", None, "$.id"),
                ("cents", "amount", "amount * 100", None),
                ("label", "id|amount", "case when amount > 5 then 'high' end || id", None),
            )
        ],
        business_rules=[],
        config={"models": {"consumer": {"+materialized": "view", "gold": {"+materialized": "table"}}}, "vars": ON},
    )
    project.write("models/gold/gold.sql", "{{ lineage_audit.mapped_model('shop', source=ref('starred')) }}")
    project.execute(
        f"create schema {project.schema}_raw",
        f"create table {project.schema}_raw.orders as select 1 as id, 2 as amount, 3 as correction",
    )
    project.dbt("seed")
    first = project.dbt("build", "--exclude", "lineage_audit.graph")
    project.dbt(*GRAPH)
    store = f"{project.schema}_audit"
    edges = f"select * from {store}.lineage_edge"
    versions = f"select * from {store}.model_version"
    taken = SimpleNamespace(
        project=project, first=first, edges=[project.query(edges)], versions=[project.query(versions)]
    )
    # What is taken over bears the mark still.
    project.execute(f"update {store}.lineage_edge set expression = expression || ' marked' where origin = 'observed'")
    taken.second = project.dbt("run", "--exclude", "lineage_audit.graph")
    project.dbt(*GRAPH)
    taken.edges.append(project.query(edges))
    taken.versions.append(project.query(versions))
    return taken


def edges_of(edges: list[dict], table: str) -> set[tuple]:
    """(upstream, column, column, subtype, origin) of the edges into a table, by the last part of its name."""
    return {
        (
            (edge["upstream_table"] or "").rpartition(".")[2],
            edge["upstream_column"],
            edge["downstream_column"],
            edge["transformation_subtype"],
            edge["origin"],
        )
        for edge in edges
        if edge["downstream_table"].rpartition(".")[2] == table
    }


def test_the_first_run_writes_each_model_once(consumer):
    first = consumer.versions[0]
    built = {*MODELS, "scripted", "gold"} - {"inlined"}
    assert sorted(row["target_relation"].rpartition(".")[2] for row in first) == sorted(built)
    assert {row["form"] for row in first} == {"full"}
    by_name = {row["target_relation"].rpartition(".")[2]: row for row in first}
    # What an ephemeral model reads stands for it.
    assert [name.rpartition(".")[2] for name in by_name["summed"]["depends_on"]] == ["starred"]
    assert by_name["scripted"]["language"] == "python"
    assert HOSTILE.replace("'", "''") in by_name["hostile"]["compiled_sql"]
    stamped = by_name["stamped"]["compiled_sql"]
    assert "':run_id' as run" in stamped
    assert "':run_started_at' as started" in stamped


def test_a_run_writes_what_is_not_there_yet_and_looks_once(consumer):
    first, second = consumer.versions
    new = [row for row in second if row not in first]
    assert [(row["target_relation"].rpartition(".")[2], row["form"]) for row in new] == [("grown", "incremental")]
    sent = [
        each.sql
        for each in consumer.second.statements
        if '"model_version"' in each.sql and "create view" not in each.sql
    ]
    reads = [sql for sql in sent if "insert into" not in sql and "information_schema" not in sql]
    assert len([sql for sql in sent if "insert into" in sql]) == 1
    assert len([sql for sql in reads if "newest_first = 1" in sql]) == 1
    # A text of more than a megabyte goes by itself.
    inserts = [
        each.sql for each in consumer.first.statements if "insert into" in each.sql and "compiled_sql" in each.sql
    ]
    assert len(inserts) == 3


def test_the_forms_of_an_incremental_model_are_one(consumer):
    first = {("orders", "id", "id", "IDENTITY", "observed"), ("orders", "amount", "amount", "IDENTITY", "observed")}
    assert edges_of(consumer.edges[0], "grown") == first
    assert edges_of(consumer.edges[1], "grown") == first | {
        ("orders", "amount", "amount", "TRANSFORMATION", "observed"),
        ("orders", "correction", "amount", "TRANSFORMATION", "observed"),
        ("orders", "id", None, "FILTER", "observed"),
        ("grown", "id", None, "FILTER", "observed"),
    }


def test_what_has_not_changed_is_not_read_again(consumer):
    marked = {
        edge["downstream_table"].rpartition(".")[2]
        for edge in consumer.edges[1]
        if (edge["expression"] or "").endswith(" marked")
    }
    assert marked >= {"starred", "summed", "stamped", "hostile"}
    assert "grown" not in marked


def test_a_star_and_an_ephemeral_model_are_followed(consumer):
    edges = consumer.edges[0]
    assert edges_of(edges, "starred") == {
        ("grown", "id", "id", "IDENTITY", "observed"),
        ("grown", "amount", "amount", "IDENTITY", "observed"),
    }
    assert edges_of(edges, "summed") == {
        ("starred", "id", "last_key", "AGGREGATION", "observed"),
        ("starred", "amount", "paid", "AGGREGATION", "observed"),
    }


def test_what_can_not_be_read_is_listed_with_the_reason(consumer):
    (edge,) = [edge for edge in consumer.edges[0] if edge["downstream_table"].endswith(".unreadable")]
    assert edge["upstream_table"].endswith(".starred")
    assert (edge["upstream_column"], edge["downstream_column"]) == (None, None)
    assert "can't be parsed (line 1" in edge["problem"]
    (edge,) = [edge for edge in consumer.edges[0] if edge["downstream_table"].endswith(".scripted")]
    assert edge["upstream_table"].endswith(".grown")
    assert edge["problem"] == "it is a python model: dbt's own dependencies are all that is known"


def test_the_mapping_is_merged_in(consumer):
    edges = edges_of(consumer.edges[1], "gold")
    assert {
        ("starred", "id", "id", "IDENTITY", "both"),
        ("starred", "amount", "cents", "TRANSFORMATION", "both"),
        ("starred", "id", "label", "TRANSFORMATION", "both"),
        # Declared as a source of the value; the SQL shows that it only decides which value is taken.
        ("starred", "amount", "label", "TRANSFORMATION", "declared"),
        ("starred", "amount", "label", "CONDITIONAL", "observed"),
        ("api://Till/shop", "$.id", "id", "TRANSFORMATION", "declared"),
    } <= edges
    rows = consumer.project.query(
        f"select distinct layer from {consumer.project.schema}_audit.lineage_node where name = 'gold'"
    )
    assert rows == [{"layer": "api_view"}]


def test_exposures_and_external_systems(consumer):
    edges = consumer.edges[0]
    assert edges_of(edges, "listed") == {("summed", "paid", "paid", "IDENTITY", "declared")}
    assert edges_of(edges, "listed_later") == {("listed", "paid", "paid", "IDENTITY", "declared")}
    assert edges_of(edges, "unlisted") == {("starred", None, None, "IDENTITY", "declared")}
    assert {
        (edge["upstream_table"], edge["upstream_column"], edge["downstream_column"])
        for edge in edges
        if edge["downstream_table"].endswith(".orders")
    } == {
        ("db2://host/S.O", column, to)
        for column, to in (("ONO", "id"), ("amount", "amount"), ("correction", "correction"))
    }
    assert sorted(edge["problem"] for edge in edges if edge["downstream_table"].endswith(".wrong")) == [
        "meta feeds list: there is no such exposure; did you mean listed, unlisted?",
        "meta names sumed.paid: there is no table or exposure sumed; did you mean summed, stamped?",
        "meta names summed.payed, a column that summed lacks; did you mean paid?",
    ]


def test_a_way_that_comes_back_to_itself_ends(consumer):
    """`grown` reads its own rows; what `unreadable` and `scripted` do with a column nobody knows."""
    assert steps_of(consumer.project, "lineage_audit.impact", table="shop.orders", column="id", depth=2) == [
        (0, "orders.id"),
        (1, "grown.*"),
        (1, "grown.id"),
        (2, "grown.*"),
        (2, "scripted.*"),
        (2, "starred.*"),
        (2, "grown.*"),
        (2, "scripted.*"),
        (2, "starred.id"),
    ]
    everything = json.loads(ask(consumer.project, "impact", table="shop.orders", column="id", output="json").output)
    assert {end["name"] for end in everything["consumers"]} == {"listed", "listed_later", "unlisted", "wrong"}


def test_two_graphs_are_compared(consumer):
    project = consumer.project
    same = ask(project, "impact", compare_with=f"{project.schema}_audit")
    assert same.output.strip().endswith(": the same")
    # Production, before `summed` was changed: its paid was that of `grown`, and it had a count.
    mine, other = f"{project.schema}_audit", "production_audit"
    project.execute(
        f"create schema {other}",
        f"create table {other}.lineage_node as select * replace (replace(table_name, '.{project.schema}.', '.production.')"
        f" as table_name) from {mine}.lineage_node",
        f"create table {other}.lineage_edge as select * replace (replace(upstream_table, '.{project.schema}.', '.production.')"
        f" as upstream_table, replace(downstream_table, '.{project.schema}.', '.production.') as downstream_table) from"
        f" {mine}.lineage_edge where not (downstream_table like '%.summed' and downstream_column = 'paid')",
        f"insert into {other}.lineage_edge by name select 'warehouse.production.grown' as upstream_table, 'amount' as"
        " upstream_column, 'warehouse.production.summed' as downstream_table, 'paid' as downstream_column, 'DIRECT' as"
        " transformation_type, 'AGGREGATION' as transformation_subtype, 'sum(paid)' as expression, 'observed' as origin",
    )
    printed = ask(project, "impact", compare_with=other).output
    assert [
        " ".join(line.split()) for line in printed.splitlines() if line.startswith(("Column", "+", "-", "Down"))
    ] == [
        f'Column lineage compared with "warehouse"."{other}": 1 edge appeared, 1 edge vanished',
        "+ summed.paid <- starred.amount aggregation sum(paid) marked",
        "- summed.paid <- grown.amount aggregation sum(paid)",
        "Downstream of them: 3 consumers",
    ]
    answer = json.loads(ask(project, "impact", compare_with=other, output="json").output)
    # What `wrong` names is no column of `summed`, so it may be any.
    assert [each["name"] for each in answer["consumers"]] == ["listed", "listed_later", "wrong"]
    assert [each["upstream"] for each in answer["vanished"]] == ["model.consumer.grown"]


# --- a plain install ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plain(make_project):
    project = make_project(ENGINE, models={"one": "select 1 as id"}, artifacts=True, with_sample=True)
    project.build = project.dbt("run")
    return project


def test_a_plain_install_has_nothing_of_the_graph(plain):
    names = {row["name"] for row in plain.query("select table_name as name from duckdb_tables()")}
    assert "run_event" in names
    graphs = ("lineage_", "openlineage_", "node_run", "model_version", "current_model_version")
    assert not {name for name in names if name.startswith(graphs)}
    assert not [
        each.sql for each in plain.build.statements if "model_version" in each.sql or "lineage_edge" in each.sql
    ]
    assert not [key for key in plain.manifest["nodes"] if key.endswith((".lineage_edge", ".lineage_node"))]


def test_without_a_graph_impact_says_how_to_get_one(plain):
    refused = ask(plain, "lineage_audit.impact", table="one")
    assert not refused.success
    assert "the var lineage_audit_graph is false" in refused.messages
