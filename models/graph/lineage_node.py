# The tables and columns of the lineage graph: what lineage_edge names, what dbt describes and what the warehouse holds.
# dbt ships this one file to a cluster: it imports nothing of the project.
import json

# The columns of the table, with the types that both engines know them by.
COLUMNS = {
    "table_name": "string",
    "column_name": "string",
    "kind": "string",
    "layer": "string",
    "owner": "string",
    "description": "string",
    "name": "string",
    "node_id": "string",
}


def model(dbt, session):
    """A row per table, and one per column of it."""
    dbt.config(materialized="table")
    edges = _rows_of(dbt.ref("lineage_edge"))
    versions = _rows_of(dbt.ref("current_model_version"))
    nodes = [node for row in _rows_of(dbt.ref("lineage_definition")) for node in json.loads(row["definitions"])]
    catalog = {}
    for row in sorted(_rows_of(dbt.ref("lineage_catalog")), key=lambda row: row["position"] or 0):
        catalog.setdefault(row["relation"], []).append(row["column_name"])
    return _frame(session, COLUMNS, project_nodes(edges, versions, nodes, catalog))


def project_nodes(edges, versions, nodes, catalog):
    """Rows of the table, in a fixed order; columns lie as they do in their table.

    edges: rows of lineage_edge; versions: rows of current_model_version; nodes: what lineage_definition tells of tables and
    exposures; catalog: columns by relation as built.
    """
    layers = {
        version["target_relation"]: json.loads(version["mapping_json"])["target_layer"]
        for version in versions
        if version["mapping_json"]
    }
    tables = {}
    # A seed that a source points at is that source.
    for node in sorted(nodes, key=lambda node: node["kind"] != "source"):
        tables.setdefault(node["relation"], {**node, "layer": layers.get(node["relation"]) or node["layer"]})
    named = {}
    for edge in edges:
        for end in ("upstream", "downstream"):
            if edge[f"{end}_table"]:
                columns = named.setdefault(edge[f"{end}_table"], {})
                if edge[f"{end}_column"]:
                    columns.setdefault(edge[f"{end}_column"])
    rows = []
    for table in sorted({*tables, *named}):
        # What dbt doesn't know lies outside of it, whether another system or a table that SQL names.
        node = tables.get(table) or {
            "kind": "external",
            "layer": None,
            "owner": None,
            "description": None,
            "columns": {},
        }
        described = {name.lower(): text for name, text in node["columns"].items()}
        common = {
            "table_name": table,
            "kind": node["kind"],
            "layer": node["layer"],
            "owner": node["owner"],
            "name": node.get("label") or node.get("name") or table,
            "node_id": node.get("id"),
        }
        rows.append({**common, "column_name": None, "description": node["description"] or None})
        columns = {
            name.lower(): name for name in [*catalog.get(table, []), *node["columns"], *sorted(named.get(table, {}))]
        }
        spelt = {name.lower(): name for name in catalog.get(table, [])}
        for lower, name in columns.items():
            rows.append({**common, "column_name": spelt.get(lower, name), "description": described.get(lower) or None})
    return rows


# --- where the model runs: DuckDB hands over relations and a connection, Spark data frames and a session -----------


def _rows_of(frame):
    if hasattr(frame, "fetchall"):
        return [dict(zip(frame.columns, row, strict=True)) for row in frame.fetchall()]
    return [row.asDict(recursive=True) for row in frame.collect()]


def _frame(session, columns, rows):
    """Rows as what dbt writes into a table on this engine; neither pandas nor pyarrow is needed."""
    if hasattr(session, "createDataFrame"):
        schema = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        return session.createDataFrame([tuple(row[name] for name in columns) for row in rows], schema)
    structure = json.dumps([{name: "VARCHAR" if kind == "string" else kind.upper() for name, kind in columns.items()}])
    texts = json.dumps([{name: row[name] for name in columns} for row in rows])
    return session.sql(f"select unnest(from_json($rows, '{structure}'), recursive := true)", params={"rows": texts})
