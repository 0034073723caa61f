"""Column lineage as it stands in aspects for DataHub, and as `lineage_edge` has it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any


def place_of(urn: str) -> tuple[str, str, str | None]:
    """Platform, table and column of an urn of a dataset or of a column."""
    found = re.search(r"dataPlatform:(\w+),([^,]+),PROD\)(?:,(.+)\))?$", urn)
    return found[1], found[2], found[3]


def edges_in(aspects: Mapping[tuple[str, str], dict]) -> set[tuple]:
    """(platform, table, column) of both ends, and what is said of the edge, of all that dbt's entities are made of.

    aspects: {(kind of aspect, urn): aspect}.
    """
    return {
        (place_of(source), place_of(target), entry.get("transformOperation"))
        for (kind, urn), lineage in aspects.items()
        if kind == "upstreamLineage" and "dataPlatform:dbt" in urn
        for entry in lineage.get("fineGrainedLineages") or []
        for target in entry["downstreams"]
        for source in entry["upstreams"]
    }


# What is asked of lineage_edge and lineage_node.
EDGES = "select upstream_table, upstream_column, downstream_table, downstream_column, transformation_subtype, masking, expression from {}"
KINDS = "select table_name, kind from {} where column_name is null"


def edges_of_graph(
    edges: Iterable[Mapping[str, Any]], tables: Iterable[Mapping[str, Any]], platform: str
) -> set[tuple]:
    """What `edges_in` has to give: the edges of columns that dbt builds. edges, tables: the rows of EDGES and KINDS."""
    kinds = {each["table_name"]: each["kind"] for each in tables}
    return {
        (
            (
                "dbt" if kinds[each["upstream_table"]] == "source" else platform,
                each["upstream_table"],
                each["upstream_column"],
            ),
            ("dbt", each["downstream_table"], each["downstream_column"]),
            f"{each['transformation_subtype']}{' (masking)' if each['masking'] else ''}: {each['expression']}",
        )
        for each in edges
        if kinds.get(each["upstream_table"]) in ("source", "seed", "model")
        and kinds[each["downstream_table"]] == "model"
        and each["downstream_column"] is not None
    }
