"""Reads the statements of `tests/unit/lineage`, labelled by hand, and compares with them what a parser finds."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

FOLDER = Path(__file__).parent / "lineage"
MODEL = Path(__file__).parents[2] / "models" / "graph" / "lineage_edge.py"
DIRECT = ("IDENTITY", "TRANSFORMATION", "AGGREGATION")

_LABEL = re.compile(r"(?P<subtype>[A-Z_]+) (?P<column>.+?)(?P<masked> \(masked\))?")
_PART = re.compile(r"'([^']+)'|([^.']+)")


@dataclass(frozen=True)
class Edge:
    """An edge as the labels name it: names in lower case, since neither engine tells cases apart. None: the whole."""

    table: str
    column: str | None
    output: str | None
    subtype: str
    masked: bool = False

    @property
    def is_direct(self) -> bool:
        return self.subtype in DIRECT

    def __str__(self) -> str:
        return f"{self.output or 'every row'} <- {self.subtype} {self.table}.{self.column or '*'}{' (masked)' * self.masked}"


@dataclass(frozen=True)
class Statement:
    """A statement in one dialect, with the edges that a person reads out of it."""

    name: str
    dialect: str
    sql: str
    columns: tuple[str, ...]
    edges: frozenset[Edge]
    problem: str | None
    incomplete: bool
    known: str | None

    def __str__(self) -> str:
        return f"{self.dialect}: {self.name}"


@dataclass
class Score:
    """Edges in both, in what was found alone, and in the labels alone."""

    right: int = 0
    wrong: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)

    def add(self, statement: Statement, found: Iterable[Any], labelled: Iterable[Any]) -> None:
        found, labelled = set(found), set(labelled)
        self.right += len(found & labelled)
        self.wrong += [f"{statement}: {each}" for each in sorted(found - labelled, key=str)]
        self.missed += [f"{statement}: {each}" for each in sorted(labelled - found, key=str)]

    @property
    def precision(self) -> float:
        return self.right / ((self.right + len(self.wrong)) or 1)

    @property
    def recall(self) -> float:
        return self.right / ((self.right + len(self.missed)) or 1)


def tables() -> dict[str, list[str]]:
    """The columns that the parser is told of, by relation."""
    contents = yaml.safe_load((FOLDER / "tables.yml").read_text(encoding="utf-8"))
    return {name.lower(): columns for name, columns in contents.items()}


def statements() -> list[Statement]:
    """Every labelled statement, once for each dialect that it is labelled for."""
    found = []
    for path in sorted(FOLDER.glob("*.yml")):
        if path.name == "tables.yml":
            continue
        for entry in yaml.safe_load(path.read_text(encoding="utf-8")):
            found += [_statement(entry, dialect) for dialect in entry["dialects"]]
    names = [str(each) for each in found]
    if twice := {each for each in names if names.count(each) > 1}:
        raise ValueError(f"two statements of one name: {sorted(twice)}")
    return found


def _statement(entry: Mapping[str, Any], dialect: str) -> Statement:
    edges = [_edge(label, None) for label in entry.get("dataset", ())]
    for output, labels in entry["columns"].items():
        edges += [_edge(label, str(output)) for label in labels]
    return Statement(
        entry["name"],
        dialect,
        entry["sql"],
        tuple(str(each).lower() for each in entry["columns"]),
        frozenset(edges),
        entry.get("problem"),
        entry.get("incomplete", False),
        entry.get("known"),
    )


def _edge(label: str, output: str | None) -> Edge:
    match = _LABEL.fullmatch(label)
    if not match:
        raise ValueError(f"no label: {label!r}")
    *table, column = [(quoted or plain).lower() for quoted, plain in _PART.findall(match["column"])]
    return Edge(
        ".".join(table),
        None if column == "*" else column,
        output.lower() if output is not None else None,
        match["subtype"],
        bool(match["masked"]),
    )


def lineage_edge() -> ModuleType:
    """The file of the model, as a module."""
    spec = importlib.util.spec_from_file_location("lineage_edge", MODEL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def as_labelled(edges: Sequence[Any]) -> set[Edge]:
    """What the parser found, in the form of the labels."""
    return {
        Edge(
            each.upstream_table.lower(),
            each.upstream_column.lower() if each.upstream_column is not None else None,
            each.downstream_column.lower() if each.downstream_column is not None else None,
            each.transformation_subtype,
            each.masking,
        )
        for each in edges
    }
