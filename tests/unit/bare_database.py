"""Macros that ask the warehouse, in bare Jinja over a DuckDB connection: no dbt."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import duckdb
from bare_jinja import Macros, Relation


class Row(tuple):
    """A row of a result, by place and by name."""

    names: dict[str, int]

    def __getitem__(self, key):
        return super().__getitem__(self.names[key] if isinstance(key, str) else key)


class MacrosOverDatabase(Macros):
    """The package's macros for DuckDB; what they ask goes to a connection, and is kept in `asked`.

    nodes: {unique id: {database, schema, alias or identifier}}, as dbt's graph has them.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection | None, nodes: dict[str, dict], project_vars: dict[str, Any]
    ):
        self.connection, self._nodes = connection, nodes
        self.asked: list[str] = []
        super().__init__("duckdb", project_vars)

    def _context(self, project_vars: dict[str, Any]) -> dict[str, Any]:
        return {
            **super()._context(project_vars),
            "run_query": self._run_query,
            "load_relation": self._load_relation,
            "graph": SimpleNamespace(
                nodes={name: node for name, node in self._nodes.items() if not name.startswith("source.")},
                sources={name: node for name, node in self._nodes.items() if name.startswith("source.")},
            ),
        }

    def _run_query(self, sql: str) -> SimpleNamespace:
        self.asked.append(sql)
        cursor = self.connection.execute(sql)
        row_type = type("NamedRow", (Row,), {"names": {each[0]: at for at, each in enumerate(cursor.description)}})
        return SimpleNamespace(rows=[row_type(row) for row in cursor.fetchall()])

    def _load_relation(self, relation: Relation) -> Relation | None:
        there = "select 1 from information_schema.tables where (table_schema, table_name) = ($1, $2)"
        return relation if self.connection.execute(there, [relation.schema, relation.identifier]).fetchall() else None
