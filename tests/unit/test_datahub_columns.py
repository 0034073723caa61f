"""Edges of the lineage graph as DataHub's fineGrainedLineages."""

from __future__ import annotations

import pytest

TABLES = {"db.s.orders": "urn:li:dataset:(urn:li:dataPlatform:duckdb,db.s.orders,PROD)"}
MADE = "urn:li:dataset:(urn:li:dataPlatform:dbt,db.s.gold,PROD)"


def edge(upstream_column: str | None, downstream_column: str | None, expression: str | None, **others) -> dict:
    return {
        "upstream_table": "db.s.orders",
        "upstream_column": upstream_column,
        "downstream_table": "db.s.gold",
        "downstream_column": downstream_column,
        "transformation_type": "DIRECT",
        "transformation_subtype": "TRANSFORMATION",
        "expression": expression,
        "masking": False,
        **others,
    }


@pytest.fixture
def columns(macros):
    return lambda *edges: macros("duckdb")._datahub_columns(MADE, list(edges), TABLES)


def test_an_expression_has_one_entry_with_its_columns(columns):
    product = "amount * rate"
    (entry,) = columns(edge("rate", "total", product), edge("amount", "total", product), edge("rate", "total", product))
    field = "urn:li:schemaField:(" + TABLES["db.s.orders"] + ","
    assert entry == {
        "upstreamType": "FIELD_SET",
        "upstreams": [f"{field}amount)", f"{field}rate)"],
        "downstreamType": "FIELD",
        "downstreams": [f"urn:li:schemaField:({MADE},total)"],
        "transformOperation": "TRANSFORMATION: amount * rate",
        "confidenceScore": 1.0,
    }


def test_one_column_by_two_expressions_has_two_entries(columns):
    entries = columns(
        edge("amount", "total", "${HOME} || '\"'\n"),
        edge("amount", "total", "amount", transformation_type="INDIRECT", transformation_subtype="CONDITIONAL"),
    )
    assert [each["transformOperation"] for each in entries] == [
        "CONDITIONAL: amount",
        "TRANSFORMATION: ${HOME} || '\"'\n",
    ]


def test_a_count_is_made_of_the_table(columns):
    (entry,) = columns(edge(None, "orders", "count(*)", transformation_subtype="AGGREGATION", masking=True))
    assert (entry["upstreamType"], entry["upstreams"]) == ("DATASET", [TABLES["db.s.orders"]])
    assert entry["transformOperation"] == "AGGREGATION (masking): count(*)"


def test_names_are_written_as_datahub_writes_them_in_an_urn(columns):
    (entry,) = columns(edge("amount (net), €", "100 %", None))
    assert entry["upstreams"] == [f"urn:li:schemaField:({TABLES['db.s.orders']},amount %28net%29%2C €)"]
    assert entry["downstreams"] == [f"urn:li:schemaField:({MADE},100 %)"]
    assert entry["transformOperation"] == "TRANSFORMATION"


def test_what_comes_from_elsewhere_or_goes_to_rows_is_no_edge_of_a_column(columns):
    assert (
        columns(
            edge("amount", None, "amount > 0", transformation_type="INDIRECT", transformation_subtype="FILTER"),
            edge("$.amount", "total", "amount", upstream_table="api://till/orders"),
            edge(None, "total", None, transformation_type=None, transformation_subtype=None),
        )
        == []
    )
