"""The labels of `tests/unit/lineage` are true: DuckDB's own answers change only where a label says that they may.

Each labelled statement runs on tables of random values; then the values of one column are drawn anew, and it runs again. An output
column that changed depends on that column, whatever a person or a parser reads in the SQL.
"""

from __future__ import annotations

import random
from collections import Counter

import duckdb
import pytest
from labelled_lineage import Statement, statements, tables

# A column's values by its name; names that aren't here hold small numbers.
LETTERS = (
    "currency",
    "status",
    "category",
    "country",
    "name",
    "email",
    "title",
    "event_type",
    "ssn",
    "team",
    "label",
    "kind",
)
TEXTS = (*LETTERS, "fullname", "group", "select")
INSTANTS = ("created_at", "valid_from", "event_ts")
STRUCTS = {"address": "struct(city varchar, street struct(number integer), zip varchar)"}
ROWS = 12
DRAWS = 2  # how often a column is drawn anew: once may by chance leave an answer as it is

# DuckDB refuses these: what their labels say of the SQL can't be tried.
REFUSED = {
    "an unqualified column of a subquery is the inner one": "it compares a number with a text",
    "lambdas, whose variables are no columns": "its arrows are deprecated",
    "an incremental model that looks at itself": "its own table isn't there yet",
}
STATEMENTS = [
    each
    for each in statements()
    if each.dialect == "duckdb" and "raw." not in each.sql and each.problem is None and each.name not in REFUSED
]


def type_of(table: str, column: str) -> str:
    name = column.lower()
    if name in STRUCTS:
        return STRUCTS[name]
    if name in ("tags",):
        return "varchar[]"
    if name == "payload":
        return "json"
    return "varchar" if name in TEXTS else "timestamp" if name in INSTANTS else "integer"


def value_of(kind: str, chance: random.Random) -> object:
    if kind == "integer":
        return chance.randint(0, 6)
    if kind == "timestamp":
        return f"20{chance.randint(23, 25)}-0{chance.randint(1, 9)}-{chance.randint(10, 28)} 00:00:00"
    if kind == "varchar[]":
        # Always as long: how often a row is repeated by unnest is no edge.
        return [chance.choice("abx") for _ in range(2)]
    if kind == "json":
        number = chance.randint(0, 9)
        return f'{{"order": {{"amount": {{"value": "{number}"}}, "currency": "c{number}"}}, "id": "i{number}", "total": "{number}.5"}}'
    if kind.startswith("struct"):
        number = chance.randint(0, 9)
        return {"city": f"c{number}", "street": {"number": number}, "zip": f"z{number}"}
    return chance.choice(("paid", "open", "EUR", "USD", "DE", "FR", "a", "toy", "left", None))


def mentioned(statement: Statement) -> dict[str, list[str]]:
    """The known tables that a statement may read."""
    text = statement.sql.lower().replace('"', "")
    return {table: columns for table, columns in tables().items() if table in text}


class Database:
    """Tables of random values, any one column of which can be drawn anew."""

    def __init__(self, seed: int, needed: dict[str, list[str]]):
        self.needed = needed
        self.connection = duckdb.connect(config={"threads": 1})
        self.connection.execute("attach ':memory:' as warehouse; create schema shop; create schema warehouse.hr")
        chance = random.Random(seed)
        self.rows = {}
        for table, columns in needed.items():
            drawn = [self.drawn(table, column, chance) for column in columns]
            self.rows[table] = [list(row) for row in zip(*drawn, strict=True)]
        for table, columns in needed.items():
            listed = ", ".join(f'"{column}" {type_of(table, column)}' for column in columns)
            self.connection.execute(f"create table {self.quoted(table)} ({listed})")
            self.fill(table, self.rows[table])

    def drawn(self, table: str, column: str, chance: random.Random) -> list:
        """A column's values. The first of a table is its key, in any order: equal values would leave the order of rows open."""
        kind = type_of(table, column)
        if column == self.needed[table][0] and kind == "integer":
            return chance.sample(range(ROWS), ROWS)
        return [value_of(kind, chance) for _ in range(ROWS)]

    @staticmethod
    def quoted(table: str) -> str:
        return 'shop."my orders.v2"' if table == "shop.my orders.v2" else table

    def fill(self, table: str, rows: list[list]) -> None:
        self.connection.execute(f"delete from {self.quoted(table)}")
        row = f"({', '.join('?' for _ in rows[0])})"
        self.connection.execute(
            f"insert into {self.quoted(table)} values {', '.join([row] * len(rows))}",
            [each for one in rows for each in one],
        )

    def redrawn(self, table: str, column: str, seed: int) -> None:
        place = self.needed[table].index(column)
        values = self.drawn(table, column, random.Random(seed))
        self.fill(
            table,
            [[*row[:place], value, *row[place + 1 :]] for row, value in zip(self.rows[table], values, strict=True)],
        )

    def answer(self, sql: str) -> list[Counter]:
        """What each output column holds, in whatever order."""
        done = self.connection.execute(sql)
        rows = done.fetchall()
        return [Counter(repr(row[place]) for row in rows) for place in range(len(done.description))]


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda each: each.name)
def test_an_answer_changes_only_where_a_label_says_so(statement):
    needed = mentioned(statement)
    # What decides which rows there are may change every column.
    everywhere = {(each.table, each.column) for each in statement.edges if each.output is None}
    into = {(each.table, each.column, each.output) for each in statement.edges}
    for seed in range(DRAWS):
        database = Database(seed, needed)
        before = database.answer(statement.sql)
        assert len(before) == len(statement.columns)
        for table, columns in needed.items():
            for column in columns:
                if (table, column.lower()) in everywhere:
                    continue
                database.redrawn(table, column, seed + 1000)
                after = database.answer(statement.sql)
                database.fill(table, database.rows[table])
                changed = {
                    output
                    for output, one, other in zip(statement.columns, before, after, strict=True)
                    if one != other and (table, column.lower(), output) not in into
                }
                assert not changed, f"{changed} changed with {table}.{column}, which no label says"
