"""What a generated case consists of: a source table, mapping rows and rules. Plain data, no SQL.

A kind is a type of value: ("text",), ("int",), ("decimal", 10, 2), ("list", kind), ("struct", ((field, kind), …)).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

TEXT, INT, BIGINT, DOUBLE, BOOLEAN, DATE = (
    ("text",), ("int",), ("bigint",), ("double",), ("boolean",), ("date",),
)  # fmt: skip
# Without a time zone, and a point in time.
CLOCK, INSTANT = ("clock",), ("instant",)


@dataclass(frozen=True)
class Node:
    """An expression: an operator and its arguments, which are nodes, or a name, or a value."""

    op: str
    args: tuple[Any, ...]

    def columns(self) -> set[str]:
        if self.op == "column":
            return {self.args[0]}
        return set().union(*(each.columns() for each in self.args if isinstance(each, Node)))


@dataclass(frozen=True)
class Column:
    """A row of field_mapping. Cells stand as somebody wrote them: with blanks around, or as the word null."""

    name: str
    sources: tuple[str, ...]
    # As the mapping spells the source columns; the source may spell them in another case.
    spelled: tuple[str, ...]
    expression: Node | None = None
    default: Node | None = None
    kind: tuple | None = None
    # transform_expr, or the id of the derivation rule that holds the expression
    derived_by: str | None = None
    default_rule: str | None = None
    named_rules: tuple[str, ...] = ()
    is_key: bool = False
    nullable: bool | None = None
    active: bool | None = None
    sensitivity: str | None = None
    position: str | None = None
    texts: dict[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Rule:
    id: str
    category: str
    expression: Node
    severity: str | None = None
    message: str | None = None
    active: bool | None = None
    # this (the case's target), endpoint (every target of it), other (another target)
    applies_to: str = "this"


@dataclass(frozen=True)
class Case:
    endpoint: str
    target: str
    # {column: kind}
    source: dict[str, tuple]
    rows: tuple[tuple, ...]
    columns: tuple[Column, ...]
    rules: tuple[Rule, ...]
    latest_by: str | None = None
    source_system: str | None = None
