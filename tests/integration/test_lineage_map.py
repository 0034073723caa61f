"""The lineage map: the sample's in docs/ is what a fresh build prints, and a consumer's says what changed."""

from __future__ import annotations

import json
from pathlib import Path

import mapped_cases as cases
import pytest

# DuckDB alone: dbt-spark runs no Python models.
ENGINE = "duckdb"
ROOT = Path(__file__).resolve().parents[2]
GRAPH = ("run", "--select", "lineage_audit.graph")


def lineage_map(project, check: bool = True, **arguments):
    return project.dbt(
        *("run-operation", "lineage_audit.lineage_map", "--args", json.dumps(arguments), "--quiet"), check=check
    )


def test_the_samples_map_is_that_of_a_fresh_build(make_sample):
    project = make_sample(ENGINE)
    project.dbt("build", "--exclude", "lineage_audit.graph", "--exclude-resource-type", "test", "unit_test")
    project.dbt(*GRAPH)
    assert lineage_map(project).output == (ROOT / "docs" / "lineage.md").read_text(encoding="utf-8")


def test_the_samples_map_says_what_a_person_reads_in_the_project():
    lines = (ROOT / "docs" / "lineage.md").read_text(encoding="utf-8").splitlines()
    gold = lines[lines.index("### customer_behavior") :]
    place = gold.index("- **`total_revenue`**")
    # Worked out by hand from the SQL of the models, the meta of the source and that of the exposures.
    assert gold[place + 1 : place + 5] == [
        "  - `customer_orders_summary.total_revenue`: `coalesce(ordered.total_revenue, 0)`",
        "    - `stg_orders.order_amount`: `sum(order_amount)`, aggregated",
        "      - `raw_orders.amount`: `cast(orders.amount as decimal(10, 2))`",
        "        - `postgres://crm-db.example.com:5432/crm.public.orders.amount`: change data capture",
    ]
    # A count is made of no column, but of rows.
    place = gold.index("- **`event_count`**")
    assert gold[place + 1 : place + 5] == [
        "  - the rows of `stg_events`: `count(*)`, aggregated",
        "    - the rows of `raw_customer_events`",
        "      - `s3://example-landing/customer_events`",
        "        - `kafka://events.example.com:9092/customer-events`",
    ]
    for line in (
        "| `postgres://crm-db.example.com:5432/crm.public.orders` | change data capture | within seconds | `raw_orders` |",
        "| Customer analytics | CRM Platform | 1.0 | confidential | `raw_customers`, `raw_orders`, `raw_products` |",
        "| Executive KPI Report | analysis | Finance Reporting | finance-reporting@example.com | monthly"
        " | `Customer Analytics Dashboard` | `monthly_active_events`, `revenue_per_country` |",
        "| `stg_orders` | model | Customer Insights | confidential | 2 years"
        " | Orders of the CRM with exact amounts, each with the kind of product. |",
    ):
        assert lines.count(line) == 1, line
    (impact,) = [line for line in lines if line.startswith("| `amount` |")]
    cells = [cell.strip() for cell in impact.strip("|").split("|")]
    assert cells[1].split(", ") == [
        f"`{table}.{column}`"
        for table in ("customer_behavior", "customer_orders_summary")
        for column in ("recent_revenue", "total_revenue")
    ]
    assert set(cells[2].split(", ")) == {
        *("churn_prediction_model", "Customer Analytics Dashboard"),
        *("customer_engagement_features", "Executive KPI Report"),
    }
    assert [line[4:] for line in lines if line in ("### bronze", "### silver", "### gold", "### api")] == [
        *("bronze", "silver", "gold", "api"),
    ]


# --- what changed ---------------------------------------------------------------------------------------------------

MAPPING = cases.mapped_columns(
    "shop",
    "served",
    ("id", "id", {"is_primary_key": True}),
    ("cents", "amount", {"transform_expr": "amount * 100"}),
    source_table="cleaned",
)


@pytest.fixture(scope="module")
def consumer(make_project):
    """Two runs; the second has another expression in the config and one more model. No layer is called gold."""
    project = make_project(
        ENGINE,
        models={
            "cleaned": "select 1 as id, 2 as amount, 'a|b' as note",
            "served": "{{ config(materialized='table') }}{{ lineage_audit.mapped_model('shop', source=ref('cleaned')) }}",
            "kept": "select id, note || '|' as note from {{ ref('cleaned') }}",
        },
        properties={
            "exposures": [
                {"name": "app", "type": "application", "owner": {"name": "A|B"}, "depends_on": ["ref('served')"]}
            ]
        },
        api_endpoints=[{"endpoint_name": "shop", "source_system": "Till"}],
        field_mapping=MAPPING,
        business_rules=[],
        config={"vars": {"lineage_audit_graph": True}},
    )
    project.dbt("build", "--exclude", "lineage_audit.graph", vars={"lineage_audit_run_id": "first"})
    project.write("seeds/field_mapping.csv", [MAPPING[0], MAPPING[1] | {"transform_expr": "amount * 1000"}])
    project.write("models/added.sql", "select id from {{ ref('kept') }}")
    project.dbt("build", "--exclude", "lineage_audit.graph", vars={"lineage_audit_run_id": "second"})
    project.dbt(*GRAPH)
    return project


def test_what_changed_since_a_run(consumer):
    answer = json.loads(lineage_map(consumer, since="first", output="json").output)
    assert answer["changes"] == {
        "since": "first",
        "tables": [{"name": "added", "change": "new"}, {"name": "served", "change": "changed"}],
        "config": [
            {
                "table": "served",
                "kind": "mapping",
                "name": "cents",
                "change": "changed",
                "cell": "transform_expr",
                "from_value": "amount * 100",
                "to_value": "amount * 1000",
            }
        ],
        "consumers": ["app"],
    }
    # Without a layer of that name the last tables are explained.
    assert [chain["table"] for chain in answer["chains"]] == ["added", "served"]


def test_since_a_time_before_it_all_everything_is_new(consumer):
    answer = json.loads(lineage_map(consumer, since="2024-03-01", output="json").output)
    assert answer["changes"] == {
        "since": "2024-03-01",
        "tables": [{"name": name, "change": "new"} for name in ("added", "cleaned", "kept", "served")],
        "config": [],
        "consumers": ["app"],
    }


def test_nothing_changed_since_the_last_run_and_bars_are_no_cells(consumer):
    printed = lineage_map(consumer, since="second", layer="no such layer").output
    assert printed.endswith("## What changed since second\n\nNothing.\n")
    assert "| app | application | A\\|B |" in printed


@pytest.mark.parametrize(
    ("since", "said"),
    [
        ("secnd", "since 'secnd' is no run that the audit store knows, and no time. Did you mean second"),
        ("2024-03-01 noon", "since '2024-03-01 noon' is no time"),
    ],
)
def test_what_is_no_run_and_no_time_is_named(consumer, since, said):
    refused = lineage_map(consumer, check=False, since=since)
    assert not refused.success
    assert said in refused.messages
