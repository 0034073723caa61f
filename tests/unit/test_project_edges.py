"""The edges of a project, from versions, definitions and a catalog written out by hand; no dbt, no warehouse."""

from __future__ import annotations

import datetime
import json
import re

import pytest
import yaml
from bare_jinja import ROOT
from labelled_lineage import lineage_edge


@pytest.fixture(scope="module")
def lineage():
    return lineage_edge()


def version(table: str, sql: str, *parents: str, **more) -> dict:
    return {
        "model_version": f"{table} {sql}",
        "node_id": f"model.p.{table}",
        "target_relation": f"db.dev.{table}",
        "form": "full",
        "language": "sql",
        "dialect": "duckdb",
        "compiled_sql": sql,
        "depends_on": [f"db.dev.{name}" for name in parents],
        "mapping_json": None,
        "created_ts": datetime.datetime(2024, 3, 1, 6),
        **more,
    }


def node(name: str, kind: str = "model", columns: tuple[str, ...] = (), **more) -> dict:
    relation = f"exposure.p.{name}" if kind == "exposure" else f"db.dev.{name}"
    described = dict.fromkeys(columns, "")
    return {"id": f"{kind}.p.{name}", "kind": kind, "name": name, "relation": relation, "columns": described, **more}


def ways(rows: list[dict]) -> list[str]:
    return [
        f"{row['upstream_table']}.{row['upstream_column']} > {row['downstream_table']}.{row['downstream_column']}"
        f" {row['transformation_subtype']} {row['origin']}"
        for row in rows
    ]


CATALOG = {"db.dev.Raw": ["Id", "Amount"], "db.dev.stg": ["id", "amount"]}
NODES = [node("Raw", "source"), node("stg")]


def test_names_are_those_of_the_warehouse_however_sql_spells_them(lineage):
    versions = [version("stg", 'select r.ID as ID, amount from "DB".dev.RAW as r', "Raw")]
    assert ways(lineage.project_edges(versions, NODES, CATALOG)) == [
        "db.dev.Raw.Amount > db.dev.stg.amount IDENTITY observed",
        "db.dev.Raw.Id > db.dev.stg.id IDENTITY observed",
    ]


def test_a_model_that_is_no_more_is_left_out_and_another_projects_stays(lineage):
    versions = [
        version("gone", "select id from db.dev.Raw", "Raw"),
        version("theirs", "select id from db.dev.Raw", "Raw", node_id="model.other.theirs"),
    ]
    assert ways(lineage.project_edges(versions, NODES, CATALOG)) == [
        "db.dev.Raw.Id > db.dev.theirs.id IDENTITY observed"
    ]


def test_sql_is_read_again_where_it_its_parents_columns_or_the_reader_have_changed(lineage, monkeypatch):
    read = []

    def column_edges(sql, dialect, columns_of):
        read.append(sql)
        return lineage.StatementLineage([lineage.ColumnEdge("db.dev.raw", "id", "id", "DIRECT", "IDENTITY", "id")])

    monkeypatch.setattr(lineage, "column_edges", column_edges)
    one = [version("stg", "select id from db.dev.Raw", "Raw")]
    first = lineage.project_edges(one, NODES, CATALOG)
    assert len(read) == 1
    assert lineage.project_edges(one, NODES, CATALOG, first) == first
    assert len(read) == 1
    lineage.project_edges([version("stg", "select 1 as id", "Raw")], NODES, CATALOG, first)
    assert len(read) == 2
    lineage.project_edges(one, NODES, {**CATALOG, "db.dev.Raw": ["Id", "Amount", "New"]}, first)
    assert len(read) == 3
    monkeypatch.setattr(lineage, "READER", "another")
    lineage.project_edges(one, NODES, CATALOG, first)
    assert len(read) == 4


def test_a_problem_without_any_table_stands_alone(lineage, monkeypatch):
    found = lineage.StatementLineage([], ["it can't be read"])
    monkeypatch.setattr(lineage, "column_edges", lambda *_: found)
    (row,) = lineage.project_edges([version("stg", "…")], NODES, CATALOG)
    assert (row["upstream_table"], row["downstream_table"], row["problem"]) == (None, "db.dev.stg", "it can't be read")
    (row,) = lineage.project_edges([version("stg", "…", "Raw")], NODES, CATALOG)
    assert (row["upstream_table"], row["transformation_type"], row["problem"]) == (
        "db.dev.Raw",
        None,
        "it can't be read",
    )


def test_a_count_of_rows_is_known_where_something_beside_it_is_not(lineage):
    versions = [version("stg", "select count(*) as amount, max(nothing) as id from db.dev.Raw as r", "Raw")]
    counted, *others = sorted(lineage.project_edges(versions, NODES, CATALOG), key=lambda row: bool(row["problem"]))
    assert ways([counted]) == ["db.dev.Raw.None > db.dev.stg.amount AGGREGATION observed"]
    assert (counted["masking"], counted["expression"], counted["problem"]) == (True, "count(*)", None)
    assert any("nothing" in (row["problem"] or "") for row in others)


def test_a_source_without_known_columns_comes_from_its_system_as_a_table(lineage):
    steps = [{"namespace": "s3://lake", "name": "far"}, {"namespace": "s3://lake/", "name": "near", "method": "copy"}]
    rows = lineage.project_edges([], [node("files", "source", upstream=steps)], {})
    assert ways(rows) == [
        "s3://lake/far.None > s3://lake/near.None IDENTITY declared",
        "s3://lake/near.None > db.dev.files.None IDENTITY declared",
    ]
    described = lineage.project_edges([], [node("files", "source", ("line",), upstream=steps[1:])], {})
    assert ways(described) == ["s3://lake/near.line > db.dev.files.line IDENTITY declared"]
    assert described[0]["expression"] == "copy"


def test_an_exposure_that_names_columns_of_the_one_that_feeds_it_gets_those_alone(lineage):
    nodes = [
        *NODES,
        node("board", "exposure", uses=["stg.id", {"name": "paid", "from": "stg.AMOUNT"}], feeds=["mail", "paper"]),
        node("mail", "exposure", uses=["board.paid"]),
        node("paper", "exposure"),
    ]
    assert ways(lineage.project_edges([], nodes, CATALOG)) == [
        "db.dev.stg.amount > exposure.p.board.paid IDENTITY declared",
        "db.dev.stg.id > exposure.p.board.id IDENTITY declared",
        "exposure.p.board.id > exposure.p.paper.id IDENTITY declared",
        "exposure.p.board.paid > exposure.p.mail.paid IDENTITY declared",
        "exposure.p.board.paid > exposure.p.paper.paid IDENTITY declared",
    ]


def test_a_cluster_installs_the_parser_that_is_tested(lineage):
    (pinned,) = re.findall(r'"(sqlglot==[\d.]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    source = (ROOT / "models" / "graph" / "lineage_edge.py").read_text(encoding="utf-8")
    assert set(re.findall(r"sqlglot==[\d.]+", source)) == {pinned}
    assert pinned in (ROOT / "docs" / "lineage_graph.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["lineage_edge", "lineage_node"])
def test_a_table_has_the_columns_that_its_description_says(name):
    path = ROOT / "models" / "graph" / f"{name}.py"
    described = {
        model["name"]: [column["name"] for column in model["columns"]]
        for model in yaml.safe_load((ROOT / "models" / "graph" / "_graph.yml").read_text(encoding="utf-8"))["models"]
    }
    (columns,) = re.findall(r"^COLUMNS = (\{.*?^\})", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert list(json.loads(re.sub(r",\s*\}", "}", columns))) == described[name]
