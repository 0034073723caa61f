"""What the case-by-case tests share: config rows in few words, source tables made in place, rows as tables to compare."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import yaml

# The columns that the contract fixes, in its order; more may follow them.
COLUMN_LINEAGE_COLUMNS = [
    "run_id", "endpoint_name", "target_table", "target_pk", "target_column", "api_field_name", "api_json_path",
    "source_table", "source_columns", "transform_expr", "business_rule_id", "source_values_json", "created_ts",
]  # fmt: skip


def mapped_columns(endpoint_name: str, target_table: str, *columns: tuple, **shared: Any) -> list[dict[str, Any]]:
    """Rows of field_mapping: each column is (target_column, source_columns, {other cells})."""
    rows = []
    for target_column, source_columns, *others in columns:
        row = {"endpoint_name": endpoint_name, "target_table": target_table, "target_column": target_column}
        row |= {"source_columns": source_columns, **shared, **(others[0] if others else {})}
        rows.append(row)
    return rows


def rule(business_rule_id: str, endpoint_name: str, category: str, expression: str, **others: Any) -> dict[str, Any]:
    """A row of business_rules."""
    return {
        "business_rule_id": business_rule_id,
        "endpoint_name": endpoint_name,
        "rule_category": category,
        "rule_expression": expression,
        **others,
    }


def source_properties(*tables: str) -> dict[str, Any]:
    """models/properties.yml that declares the tables of the source `raw`, which dbt did not make."""
    source = {"name": "raw", "schema": "{{ target.schema }}_raw", "tables": [{"name": name} for name in tables]}
    return {"version": 2, "sources": [source]}


def literal(engine: str, value: Any) -> str:
    """A Python value as SQL; a text that begins with `sql:` stands as it is."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return str(value)
    if value.startswith("sql:"):
        return value.removeprefix("sql:")
    if engine == "duckdb":
        return "'" + value.replace("'", "''") + "'"
    escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("${", "\\u0024{")
    return "'" + escaped + "'"


def quoted(engine: str, name: str) -> str:
    """A name as the engine takes it whatever stands in it."""
    return '"' + name.replace('"', '""') + '"' if engine == "duckdb" else "`" + name.replace("`", "``") + "`"


def create_source(project, table: str, types: dict[str, str], rows: list[tuple], properties: str = "") -> None:
    """Make, or make anew, a table of the source `raw` with these rows."""
    engine = project.engine
    selects = []
    for row in rows or [tuple(None for _ in types)]:
        items = [
            f"cast({literal(engine, value)} as {kind}) as {quoted(engine, name)}"
            for value, (name, kind) in zip(row, types.items(), strict=True)
        ]
        selects.append("select " + ", ".join(items))
    select = " union all ".join(selects) if rows else f"{selects[0]} where 1 = 0"
    using = f"using delta {properties}" if engine == "spark" else ""
    project.execute(
        f"create schema if not exists {project.schema}_raw",
        f"create or replace table {project.schema}_raw.{table} {using} as {select}",
    )


def insert_into_source(project, table: str, rows: list[tuple]) -> None:
    """Add rows to a table of the source `raw`."""
    values = ", ".join(f"({', '.join(literal(project.engine, value) for value in row)})" for row in rows)
    project.execute(f"insert into {project.schema}_raw.{table} values {values}")


def table_of(rows: list[dict[str, Any]], *columns: str) -> list[tuple]:
    """The rows as sorted tuples of these columns: a table that can be compared with one written by hand."""
    return sorted((tuple(row[name] for name in columns) for row in rows), key=repr)


def parsed(rows: list[dict[str, Any]], *columns: str) -> list[dict[str, Any]]:
    """The rows with JSON columns taken apart."""
    return [{**row, **{name: json.loads(row[name]) for name in columns}} for row in rows]


def counts(project, target_table: str) -> list[tuple]:
    """(input, filtered, rejected, output) of each run of the target, oldest first."""
    rows = project.query(
        "select input_record_count, filtered_record_count, rejected_record_count, output_record_count "
        f"from {project.schema}_audit.ingestion_run where target_table = '{target_table}' order by run_start_ts"
    )
    return [tuple(row.values()) for row in rows]


@contextlib.contextmanager
def session_zone(project, zone: str) -> Iterator[None]:
    """The session's time zone for a while: the profile's on DuckDB, the running session's on Spark."""

    def switch(to: str) -> None:
        if project.engine == "spark":
            project.spark.conf.set("spark.sql.session.timeZone", to)
            return
        path = project.workspace / "profiles.yml"
        profile = yaml.safe_load(path.read_text())
        profile[project.profile]["outputs"]["duckdb"]["settings"]["TimeZone"] = to
        project.write_file(path, yaml.safe_dump(profile))

    switch(zone)
    try:
        yield
    finally:
        switch("UTC")
