"""The lineage map as Markdown, and what it takes for a change, over answers written out by hand."""

from __future__ import annotations

import pytest

STEP = {"name": "a", "column": "x", "kind": "model", "depth": 0, "parent": None, "again": False, "edges": []}
ANSWER = {
    "project": "shop",
    "scopes": [],
    "source_systems": [],
    "layers": [
        {
            "layer": None,
            "connected": True,
            "tables": [
                {
                    "name": "a",
                    "kind": "model",
                    "owner": "x|y",
                    "classification": None,
                    "retention": None,
                    "description": "two\nlines | `a\\|b`",
                }
            ],
        }
    ],
    "chains": [
        {
            "table": "a",
            "columns": [
                {
                    "column": "x",
                    "steps": [
                        STEP,
                        {
                            **STEP,
                            "name": "b",
                            "depth": 1,
                            "parent": 0,
                            "edges": [
                                {"transformation_subtype": "AGGREGATION", "expression": "max(`x` | 1)", "problem": None}
                            ],
                        },
                        {**STEP, "name": "c", "column": None, "depth": 2, "parent": 1, "again": True},
                    ],
                },
                {"column": "n", "steps": [{**STEP, "column": "n"}]},
                {
                    "column": "m",
                    "steps": [
                        {**STEP, "column": "m"},
                        {**STEP, "name": "b", "column": "n", "depth": 1, "parent": 0},
                        {**STEP, "name": "s", "kind": "source", "column": "n", "depth": 1, "parent": 0},
                    ],
                },
            ],
            "rows": [{"transformation_subtype": "FILTER", "expression": "x | 1 > 0", "columns": ["b.x"]}],
        }
    ],
    "consumers": [],
    "impact": [],
    "problems": [{"table": "a", "problem": "can't be parsed | at all"}],
    "changes": None,
}


def test_a_map(macros):
    assert macros("duckdb")._lineage_map_text(ANSWER).split("\n\n")[2:] == [
        "## Tables by layer",
        "### no layer",
        "| table | kind | owner | description |\n| --- | --- | --- | --- |\n| `a` | model | x\\|y | two lines \\| `a\\|b` |",
        "## Where each column comes from",
        "### a",
        "- **`x`**\n  - `b.x`: `` max(`x` | 1) ``, aggregated\n    - the rows of `c` (see there)\n"
        "- **`n`**: of no column, such as a constant\n"
        "- **`m`**\n  - `b.n`: itself of no column, such as a constant\n  - `s.n`",
        "What decides which rows it has:",
        "| by | expression | over |\n| --- | --- | --- |\n| filter | `x \\| 1 > 0` | `b.x` |",
        "## Consumers",
        "None is known: dbt knows consumers as exposures.",
        "## Impact of each source column",
        "## What is not known",
        "| table | problem |\n| --- | --- |\n| `a` | can't be parsed \\| at all |",
    ]


def version(is_later: bool, name: str, form: str = "full", code: str = "c") -> dict:
    return {"is_later": is_later, "form": form, "model_version": name, "code_version": code}


@pytest.mark.parametrize(
    ("versions", "change"),
    [
        ([version(False, "1")], None),
        ([version(True, "1")], "new"),
        ([version(False, "1"), version(True, "2")], "changed"),
        # The way there and back.
        ([version(False, "1"), version(True, "1")], None),
        # The first incremental run of the same file.
        ([version(False, "1"), version(True, "2", form="incremental")], None),
        ([version(False, "1"), version(True, "2", form="incremental", code="d")], "changed"),
    ],
)
def test_what_counts_as_a_change(macros, versions, change):
    assert macros("duckdb")._change_of_versions(versions) == change


def test_layers_lie_as_data_go_and_circles_come_last(macros):
    def edge(above: str, below: str) -> dict:
        return {"upstream_table": above, "downstream_table": below}

    lineage = {
        "tables": {name: {"kind": "external" if name == "x" else "model"} for name in "xabcde"},
        "edges": [edge("x", "a"), edge("a", "b"), edge("a", "c"), edge("b", "c"), edge("d", "e"), edge("e", "d")],
    }
    depths = macros("duckdb")._table_depths(lineage)
    assert {name: depths[name] for name in "abcde"} == {"a": 0, "b": 1, "c": 2, "d": 6, "e": 6}
