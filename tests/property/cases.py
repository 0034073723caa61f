"""Generated cases: hypothesis strategies, and the SQL and config rows that a case is written as."""

from __future__ import annotations

import datetime
import functools
import json
import math
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st
from oracle import named_ids, result_kind
from shapes import BIGINT, BOOLEAN, CLOCK, DATE, DOUBLE, INSTANT, INT, TEXT, Case, Column, Node, Rule

# --- hostile contents ----------------------------------------------------------------------------------------------

FRAGMENTS = (
    "'", "''", '"', '""', "`", "\\", "\\'", "\\n", "\n", "\t", "🦆", "é", "ß", "{{ 1 / 0 }}", "{% raw %}", "{# x #}", "--", ";",
    "/*", "*/", "${env:HOME}", "$${x}", "${", "$1", "%s", "%(a)s", ":x", "?", "||", "null", "None", "true", "0", " ", ",",
    "\\u0027", "\u2028", "\u200b", "\x01", "\x7f", "[]", "{}", "a", "Z", "<>", "&amp;", "drop table x", "'; drop table x; --",
)  # fmt: skip
MEGABYTE = 1_048_576

# Blanks within, quotes, capitals, words that SQL reserves, and what would end a name or a statement elsewhere.
NAMES = (
    "id", "amount", "note", "v1", "e1", "reason", "x", "select", "group", "order", "table", "value", "true", "from",
    "current_date", "Order Id", "MiXed", "UPPER", "1st", "a-b", "a.b", "x,y", 'a"b', "it's", "tick`s", "back\\slash", "größe",
    "brace{}", "{{ jinja }}", "semi;colon", "--dash", "/*star*/", "(=;)", "🦆 duck", "%s", "$1", "#hash", "[0]", "tab\there",
    "new\nline", "key", "element", "config", "mapped", "source_rows", "rownum", "_x", "lambda", "interval 1 day",
)  # fmt: skip


@functools.cache
def hostile_texts(most: int = 4) -> st.SearchStrategy[str]:
    anything = st.characters(codec="utf-8", exclude_characters="\x00\r")
    return st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.sampled_from(FRAGMENTS), anything), max_size=most).map(
        "".join
    )


@functools.cache
def _place(count: int) -> st.SearchStrategy[int]:
    return st.integers(0, count - 1)


def pick(draw: Callable, options: Iterable) -> Any:
    """One of them; hypothesis takes longer to make a strategy than to draw from it."""
    options = options if isinstance(options, list | tuple | range | str) else list(options)
    return options[draw(_place(len(options)))]


def chance(draw: Callable, percent: int) -> bool:
    return draw(_place(100)) >= 100 - percent


# --- values --------------------------------------------------------------------------------------------------------

CODES = st.text("abXYZ01 _-", max_size=5)
SMALL = st.integers(-999_999, 999_999)
DATES = st.one_of(
    st.dates(datetime.date(1, 1, 1)), st.sampled_from([datetime.date(1, 1, 1), datetime.date(9999, 12, 31)])
)
TIMES = st.one_of(
    st.datetimes(datetime.datetime(1, 1, 1)),
    st.sampled_from(
        [
            datetime.datetime(1, 1, 1),
            datetime.datetime(9999, 12, 31, 23, 59, 59, 999999),
            datetime.datetime(2024, 2, 29, 1, 2, 3, 100000),
            datetime.datetime(1969, 12, 31, 23, 59, 59, 999999),
        ]
    ),
)
WHOLE_NUMBERS = st.one_of(st.integers(-9, 9), SMALL)
SPECIAL_DOUBLES = (math.nan, math.inf, -math.inf, -0.0, 0.0, 0.1, 1e20, 1e7, 1e-5, 123456.789, 1e300, 4.5e-300)


@functools.cache
def decimals(precision: int, scale: int) -> st.SearchStrategy[Decimal]:
    limit = 10**precision - 1
    return st.one_of(st.integers(-limit, limit), st.sampled_from([0, 1, -5, limit, -limit])).map(
        lambda digits: Decimal(f"{digits}E-{scale}")
    )


SMALL_NUMBERS = st.one_of(st.integers(-99, 99), decimals(6, 2))


@functools.cache
def values_of(kind: tuple) -> st.SearchStrategy:
    if kind == TEXT:
        return st.one_of(
            hostile_texts(), st.sampled_from(["", " ", "null", "None", "NaN", "a", "carriage\rreturn\r\n", "\x00"])
        )
    if kind == DOUBLE:
        # Eighths are exact, so that every engine's shortest digits are the same.
        return st.one_of(
            st.integers(-(2**30), 2**30).map(lambda eighths: eighths / 8), st.sampled_from(SPECIAL_DOUBLES)
        )
    if kind[0] == "decimal":
        return decimals(kind[1], kind[2])
    if kind[0] == "list":
        return st.lists(st.one_of(st.none(), values_of(kind[1])), max_size=3)
    if kind[0] == "struct":
        return st.fixed_dictionaries({name: st.one_of(st.none(), values_of(member)) for name, member in kind[1]})
    return {
        INT: st.one_of(SMALL, st.sampled_from([0, 1])),
        BIGINT: st.one_of(st.integers(-(2**63), 2**63 - 1), SMALL),
        BOOLEAN: st.booleans(),
        DATE: DATES,
        CLOCK: TIMES,
        INSTANT: TIMES.map(lambda moment: moment.replace(tzinfo=datetime.UTC)),
    }[kind]


GARBAGE = st.one_of(
    hostile_texts().map(lambda text: "#" + text), st.sampled_from(["", " ", "abc", "1,5", "n/a", "null", "--1"])
)


def padded(texts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(texts, texts, texts.map(lambda text: f" {text} "))


# Texts that may be read as another type: {what they look like: (strategy, types that the text is cast to)}.
WRITTEN: dict[str, tuple[st.SearchStrategy[str], tuple[tuple, ...]]] = {
    "whole": (
        padded(st.one_of(SMALL.map(str), SMALL.map(lambda n: f"{n:+d}"), SMALL.map(lambda n: f"{n:08d}"), st.sampled_from(["2147483647", "2147483648", "-2147483649", "-0", "12.5", "-12.5", "12.49", "1e3", "9" * 38]))),
        (INT, BIGINT, ("decimal", 10, 2), ("decimal", 38, 0), DOUBLE),
    ),
    "decimal": (
        padded(st.one_of(decimals(12, 4).map(lambda n: f"{n:f}"), decimals(38, 20).map(lambda n: f"{n:f}"), st.sampled_from(["1.005", "-1.005", "1e-5", "2.50E+2", ".5", "5.", "99999999.995", "NaN", "Infinity", "-inf", "-0.0"]))),
        (("decimal", 10, 2), ("decimal", 38, 20), DOUBLE),
    ),
    "date": (
        st.one_of(DATES.map(str), st.sampled_from(["2023-02-29", "31/12/2024", "2024-13-01", "2024-02-29"])),
        (DATE, CLOCK),
    ),
    "moment": (
        st.one_of(TIMES.map(str), TIMES.map(lambda moment: moment.isoformat()), st.sampled_from(["2024-02-29 12:34:56.5", "2023-02-29 00:00:00", "2024-01-01 25:00:00"])),
        (CLOCK, INSTANT),
    ),
    "flag": (st.sampled_from(["true", "false", "TRUE", "t", "f", "1", "0", " true ", "2"]), (BOOLEAN,)),
}  # fmt: skip

# What else a value may be cast to; a list or struct of texts loses an element where one is no number.
CASTS: dict[str, tuple[tuple, ...]] = {
    "text": (TEXT,),
    "int": (BIGINT, ("decimal", 10, 2), ("decimal", 5, 2), TEXT, DOUBLE),
    "bigint": (INT, ("decimal", 38, 6), TEXT),
    "decimal": (("decimal", 18, 2), ("decimal", 5, 1), ("decimal", 38, 0), INT, BIGINT),
    "double": (TEXT, DOUBLE),
    "boolean": (TEXT, BOOLEAN),
    "date": (TEXT, CLOCK, DATE),
    "clock": (TEXT, DATE, CLOCK),
    "instant": (INSTANT, TEXT),
}

KINDS = (
    TEXT, TEXT, TEXT, INT, BIGINT, ("decimal", 10, 2), ("decimal", 38, 10), ("decimal", 38, 37), ("decimal", 38, 0), DOUBLE, BOOLEAN,
    DATE, CLOCK, INSTANT, ("list", TEXT), ("list", INT), ("list", DOUBLE), ("list", ("decimal", 5, 2)), ("list", CLOCK),
    ("struct", (("a", TEXT), ("b b", TEXT))), ("struct", (("Re\"al", DOUBLE), ("at", INSTANT), ("amounts", ("list", INT)))),
    ("list", ("list", TEXT)),
)  # fmt: skip


# --- expressions -----------------------------------------------------------------------------------------------------


class Expressions:
    """Expressions over columns of known kinds, in a dialect that both engines share."""

    def __init__(self, draw: Callable, kinds: dict[str, tuple], codes: set[str], among: list[str] | None = None):
        self.draw, self.kinds, self.codes = draw, kinds, codes
        self.names = list(among or kinds)

    def pick(self, options) -> Any:
        return pick(self.draw, options)

    def of_kind(self, *kinds: tuple) -> list[str]:
        return [name for name in self.names if self.kinds[name] in kinds]

    def value(self, kind: tuple) -> Node:
        return Node("value", (self.draw(values_of(kind)),))

    def text_value(self) -> Node:
        return Node("value", (self.draw(hostile_texts()),))

    def text(self, depth: int = 2) -> Node:
        names = self.of_kind(TEXT)
        if not names:
            return self.text_value()
        options = ["column"] + (
            ["coalesce", "||", "case", "nullif"] + (["upper"] if self.codes & set(names) else []) if depth else []
        )
        op = self.pick(options)
        if op == "column":
            return Node("column", (self.pick(names),))
        if op == "upper":
            return Node("upper", (Node("column", (self.pick(sorted(self.codes & set(names))),)),))
        if op == "case":
            otherwise = self.pick([None, self.text_value(), self.text(0)])
            return Node("case", (self.condition(1), self.text(depth - 1), otherwise))
        return Node(op, (self.text(depth - 1), self.pick([self.text_value(), self.text(0)])))

    def number(self) -> Node | None:
        """Arithmetic that can't overflow."""
        names = self.of_kind(INT, ("decimal", 10, 2))
        if not names:
            return None
        left, right = (Node("column", (self.pick(names),)) for _ in range(2))
        if pick(self.draw, [True, False]):
            right = Node("value", (self.draw(SMALL_NUMBERS),))
        op = self.pick(["+", "-", "coalesce", "case"] + ["*"] * (self.kinds[left.args[0]] != INT))
        if op == "case":
            return Node("case", (self.condition(1), left, self.pick([None, right])))
        return Node(op, (left, right))

    def comparable(self) -> tuple[Node, Callable[[], Node]] | None:
        """Something, and a maker of literals to compare it with."""
        kinds = [
            TEXT,
            INT,
            BIGINT,
            ("decimal", 10, 2),
            ("decimal", 38, 10),
            ("decimal", 38, 0),
            ("decimal", 18, 2),
            DOUBLE,
        ]
        names = self.of_kind(*kinds)
        if not names:
            return None
        name = self.pick(names)
        column, kind = Node("column", (name,)), self.kinds[name]
        if kind == TEXT:
            if pick(self.draw, range(5)) == 0:
                return Node("length", (column,)), lambda: Node("value", (self.draw(_place(7)),))
            return column, lambda: self.text_value()
        if kind == DOUBLE:
            return column, lambda: Node("value", (self.draw(_place(9)) - 4,))
        # With digits after the point the engines would look for a type that both sides fit, and there is none.
        if kind in (INT, BIGINT, ("decimal", 38, 0)):
            return column, lambda: Node("value", (self.draw(WHOLE_NUMBERS),))
        return column, lambda: Node("value", (self.draw(decimals(8, 2)),))

    def condition(self, depth: int = 2) -> Node:
        """What may be true, false or NULL."""
        options = ["null test"] + ["compare", "compare", "in"] + (["and", "or", "not"] if depth else [])
        if self.of_kind(BOOLEAN):
            options.append("flag")
        op = self.pick(options)
        if op in ("and", "or"):
            return Node(op, (self.condition(depth - 1), self.condition(depth - 1)))
        if op == "not":
            return Node("not", (self.condition(depth - 1),))
        if op == "flag":
            return Node("column", (self.pick(self.of_kind(BOOLEAN)),))
        pair = self.comparable()
        if op == "null test" or pair is None:
            return Node(self.pick(["is null", "is not null"]), (Node("column", (self.pick(self.names),)),))
        value, literal = pair
        if op == "in":
            return Node(self.pick(["in", "not in"]), (value, *(literal() for _ in range(self.pick([1, 2, 3])))))
        return Node(self.pick(["=", "<>", "<", "<=", ">", ">="]), (value, literal()))


# --- cases -------------------------------------------------------------------------------------------------------------


@st.composite
def cases(draw) -> Case:
    source, looks, codes = _source(draw)
    rows = _rows(draw, source, looks, codes)
    columns, rules = _columns(draw, source, looks, codes)
    rules += _table_rules(draw, source, codes, columns, rules)
    columns = _marked(draw, columns)
    case = Case(
        endpoint=draw(hostile_texts(2)).strip(),
        target=draw(hostile_texts(2)).strip(),
        source=source,
        rows=tuple(rows),
        columns=tuple(draw(st.permutations(columns))),
        rules=tuple(draw(st.permutations(rules))),
        source_system=_cell_text(draw),
    )
    return _with_latest_by(draw, case)


def _names(draw, count: int) -> list[str]:
    names = list(NAMES)
    return [names.pop(draw(_place(len(names)))) for _ in range(count)]


def _source(draw) -> tuple[dict[str, tuple], dict[str, str], set[str]]:
    count = pick(draw, range(2, 8))
    names = _names(draw, count)
    source, looks, codes = {}, {}, set()
    for name in names:
        sort = pick(draw, ["kind", "kind", "written", "code"])
        source[name] = pick(draw, KINDS) if sort == "kind" else TEXT
        if sort == "written":
            looks[name] = pick(draw, list(WRITTEN))
        elif sort == "code":
            codes.add(name)
    return source, looks, codes


def _rows(draw, source, looks, codes) -> list[tuple]:
    strategies = []
    for name, kind in source.items():
        if name in looks:
            strategy = _written(looks[name])
        elif name in codes:
            strategy = CODES
        elif kind in (("list", TEXT), ("struct", (("a", TEXT), ("b b", TEXT))), ("list", ("list", TEXT))):
            strategy = _of_texts(kind)
        else:
            strategy = values_of(kind)
        # Of how many rows in a hundred the value is NULL.
        strategies.append((strategy, pick(draw, [0, 0, 0, 0, 10, 40])))
    rows = [
        tuple(None if nulls and chance(draw, nulls) else draw(strategy) for strategy, nulls in strategies)
        for _ in range(pick(draw, [0, 1, 2, 3, 3, 4, 4, 5, 6, 8]))
    ]
    if rows and chance(draw, 20):
        rows.append(rows[0])
    if chance(draw, 1):
        texts = [place for place, kind in enumerate(source.values()) if kind == TEXT]
        if rows and texts:
            long = ("'\n🦆${env:HOME}x" * MEGABYTE)[:MEGABYTE]
            rows[0] = tuple(long if place == texts[0] else value for place, value in enumerate(rows[0]))
    return rows


@functools.cache
def _written(look: str) -> st.SearchStrategy:
    written = WRITTEN[look][0]
    return st.one_of(written, written, written, written, GARBAGE)


@functools.cache
def _of_texts(kind: tuple) -> st.SearchStrategy:
    """Nested texts, most of them whole numbers, so that a cast may lose one or none."""
    if kind == TEXT:
        numbers = SMALL.map(str)
        return st.one_of(numbers, numbers, numbers, numbers, st.none(), hostile_texts())
    if kind[0] == "list":
        return st.lists(_of_texts(kind[1]), max_size=3)
    return st.fixed_dictionaries({name: _of_texts(member) for name, member in kind[1]})


NESTED_CASTS = {
    ("list", TEXT): ("list", INT),
    ("list", ("list", TEXT)): ("list", ("list", INT)),
    ("struct", (("a", TEXT), ("b b", TEXT))): ("struct", (("a", INT), ("b b", ("decimal", 8, 2)))),
    ("list", INT): ("list", ("decimal", 4, 0)),
}


def _castable(draw, kind: tuple, look: str | None) -> tuple | None:
    """A data_type, or none: the value stays as it is."""
    options: list[tuple | None] = [None]
    if look:
        options += [*WRITTEN[look][1]] * 2 + [TEXT]
    elif kind in NESTED_CASTS:
        options += [NESTED_CASTS[kind]] * 3
    elif kind == ("number",):
        options = [("decimal", 18, 2), ("decimal", 38, 10), ("decimal", 5, 1), BIGINT, INT]
    else:
        options += [*CASTS.get(kind[0], ())]
        if kind == ("decimal", 10, 2):
            options.append(TEXT)
    return pick(draw, options)


def _columns(draw, source, looks, codes) -> tuple[list[Column], list[Rule]]:
    count = pick(draw, [1, 2, 3, 3, 4, 4, 5, 6])
    names = _names(draw, count)
    keys = pick(draw, [1, 1, 1, 2, 2, 3])
    columns: list[Column] = []
    rules: list[Rule] = []
    for place, name in enumerate(names):
        columns.append(_column(draw, name, source, looks, codes, place < keys, rules))
    if chance(draw, 10):
        # Not applied, so it may name what is not there.
        columns.append(Column(name=names[0], sources=("nobody has it",), spelled=("nobody has it",), active=False))
    return columns, rules


def _column(draw, name, source, looks, codes, is_key, rules: list[Rule]) -> Column:
    how = pick(
        draw, ["plain", "plain", "plain", "text"] + ([] if is_key else ["text", "number", "condition", "constant"])
    )
    expressions = Expressions(
        draw, source, codes, among=sorted({pick(draw, list(source)) for _ in range(pick(draw, [1, 2, 2, 3]))})
    )
    expression = None
    if how == "text":
        expression = expressions.text()
    elif how == "number":
        expression = expressions.number()
    elif how == "condition":
        expression = expressions.condition()
    elif how == "constant" and not is_key:
        expression = expressions.text_value()
    if expression is None:
        first = pick(draw, list(source))
        kind, look = source[first], looks.get(first)
        sources = [first]
    else:
        kind, look = result_kind(expression, source), None
        sources = sorted(expression.columns())
    data_type = _castable(draw, kind, look)
    final = data_type or kind

    default = default_rule = None
    if chance(draw, 35):
        default = _default(draw, expressions, final if data_type else kind, bool(data_type))
        if default is not None:
            sources = list(dict.fromkeys([*sources, *sorted(default.columns())]))
            default_rule = _new_rule(draw, rules, "default", default)
    derived_by = None
    if expression is not None and sources and chance(draw, 40):
        # Switched off it must leave a value: one source column, of a kind that the rest of the row fits.
        derived_by = _new_rule(draw, rules, "derivation", expression, may_be_inactive=False)
    return Column(
        name=name,
        sources=tuple(sources),
        spelled=_spelled(draw, sources),
        expression=expression,
        default=default,
        kind=data_type,
        derived_by=derived_by,
        default_rule=default_rule,
        is_key=is_key,
        nullable=pick(draw, [None, None, True, False]),
        active=pick(draw, [None, True]),
        position=pick(draw, [None, None, "1", "2", "-5", "010", " 3 "]),
        texts={
            name: _cell_text(draw) if chance(draw, 40) else None
            for name in ("api_field_name", "api_json_path", "source_table", "description")
        },
    )  # fmt: skip


def _cell_text(draw) -> str:
    """Not the word null, which dbt reads as an empty cell, nor None, by which the package knows a seed that lost its NULLs."""
    text = draw(hostile_texts())
    return text + "." if text.strip().lower() in ("null", "none") else text


def _spelled(draw, sources: list[str]) -> tuple[str, ...]:
    """Source columns as the mapping spells them: now and then in another case, and then perhaps twice."""
    spelled = [each.swapcase() if each.isascii() and chance(draw, 10) else each for each in sources]
    return tuple(spelled) if spelled == sources or chance(draw, 50) else (*spelled, *sources)


def _default(draw, expressions: Expressions, kind: tuple, is_cast: bool) -> Node | None:
    if kind == TEXT:
        return pick(draw, [expressions.text_value(), expressions.text(0)])
    if not is_cast:
        return None
    # The default is cast as the value is; a text may or may not be read as the type.
    if kind in (INT, BIGINT, ("decimal", 10, 2), ("decimal", 18, 2)):
        return Node("value", (draw(decimals(10, 3) if kind[0] == "decimal" else WHOLE_NUMBERS),))
    if kind == DATE:
        return Node("value", (pick(draw, ["2024-02-29", "2023-02-29", "0001-01-01"]),))
    return None


def _new_rule(
    draw, rules: list[Rule], category: str, expression: Node, may_be_inactive: bool = True, **others: Any
) -> str:
    # Ids that a mapping row names are separated by |. The number keeps them apart.
    id = draw(hostile_texts(2)).replace("|", "") + f"_{category[0]}{len(rules)}"
    id = id.strip()
    active = pick(draw, [None, None, True, False]) if may_be_inactive else pick(draw, [None, True])
    message = _cell_text(draw) if chance(draw, 60) else None
    rules.append(Rule(id=id, category=category, expression=expression, message=message, active=active, **others))
    return id


def _table_rules(draw, source, codes, columns: list[Column], others: list[Rule]) -> list[Rule]:
    rules: list[Rule] = [*others]
    over_source = Expressions(draw, source, codes)
    for _ in range(pick(draw, [0, 0, 0, 1, 1, 2])):
        _new_rule(draw, rules, "filter", over_source.condition(), applies_to=_applies_to(draw))
    kinds = {}
    for column in columns:
        if column.active is not False:
            made = result_kind(column.expression, source) if column.expression else source[column.sources[0]]
            kinds[column.name] = column.kind or made
    over_target = Expressions(draw, kinds, set())
    for _ in range(pick(draw, [0, 1, 1, 2, 3])):
        severity = pick(draw, ["WARN", "ERROR"])
        _new_rule(draw, rules, "validation", over_target.condition(), severity=severity, applies_to=_applies_to(draw))
    made = rules[len(others) :]
    for rule in made:
        if chance(draw, 25):
            # Named by a row for reference, which changes nothing but what lineage shows.
            place = pick(draw, range(len(columns)))
            column = columns[place]
            columns[place] = Column(**{**column.__dict__, "named_rules": (*column.named_rules, rule.id)})
    return made


def _applies_to(draw) -> str:
    return pick(draw, ["this", "this", "endpoint", "other"])


def _marked(draw, columns: list[Column]) -> list[Column]:
    """Some rows mark their source columns; a key can't be masked."""
    if not chance(draw, 30):
        return columns
    of_keys = {name for column in columns if column.is_key for name in column.sources}
    marked = []
    for column in columns:
        marks = [None, "none", "hash"] if column.is_key or of_keys & set(column.sources) else [None, "hash", "mask"]
        marked.append(Column(**{**column.__dict__, "sensitivity": pick(draw, marks)}))
    return marked


def _with_latest_by(draw, case: Case) -> Case:
    """Ties of latest_by go to a fixed order that the documentation leaves open: here they are equal rows."""
    names = [name for name, kind in case.source.items() if kind in (INT, BIGINT, DATE, CLOCK, ("decimal", 38, 10))]
    keys = [column for column in case.columns if column.is_key and column.active is not False]
    of_doubles = any((column.kind or DOUBLE) == DOUBLE for column in keys)
    if not names or of_doubles or not chance(draw, 50):
        return case
    latest_by = pick(draw, names)
    place = list(case.source).index(latest_by)
    seen: dict[Any, tuple] = {}
    rows = []
    for row in case.rows:
        if seen.setdefault(row[place], row) == row:
            rows.append(row)
    return Case(**{**case.__dict__, "rows": tuple(rows), "latest_by": latest_by})


# --- SQL ---------------------------------------------------------------------------------------------------------------


def quoted(engine: str, name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if engine == "duckdb" else "`" + name.replace("`", "``") + "`"


def text_literal(engine: str, text: str) -> str:
    """As a person writes it into a cell: nothing is escaped that the engine does not ask for."""
    if engine == "duckdb":
        return "'" + text.replace("'", "''") + "'"
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def type_name(engine: str, kind: tuple) -> str:
    duckdb = engine == "duckdb"
    if kind[0] == "decimal":
        return f"decimal({kind[1]},{kind[2]})"
    if kind[0] == "list":
        element = type_name(engine, kind[1])
        return f"{element}[]" if duckdb else f"array<{element}>"
    if kind[0] == "struct":
        members = [(quoted(engine, name), type_name(engine, member)) for name, member in kind[1]]
        if duckdb:
            return f"struct({', '.join(f'{name} {member}' for name, member in members)})"
        return f"struct<{', '.join(f'{name}: {member}' for name, member in members)}>"
    return {
        TEXT: "string",
        CLOCK: "timestamp" if duckdb else "timestamp_ntz",
        INSTANT: "timestamptz" if duckdb else "timestamp",
    }.get(kind, kind[0])


def sql(node: Node, engine: str) -> str:
    args = node.args
    if node.op == "column":
        return quoted(engine, args[0])
    if node.op == "value":
        value = args[0]
        if isinstance(value, str):
            return text_literal(engine, value)
        text = f"{value:f}" if isinstance(value, Decimal) else str(value)
        return f"({text})" if text.startswith("-") else text
    if node.op == "case":
        condition, then, otherwise = args
        tail = f" else {sql(otherwise, engine)}" if otherwise is not None else ""
        return f"case when {sql(condition, engine)} then {sql(then, engine)}{tail} end"
    texts = [sql(each, engine) for each in args]
    if node.op in ("coalesce", "nullif", "upper", "length"):
        return f"{node.op}({', '.join(texts)})"
    if node.op in ("is null", "is not null"):
        return f"({texts[0]} {node.op})"
    if node.op in ("in", "not in"):
        return f"({texts[0]} {node.op} ({', '.join(texts[1:])}))"
    if node.op == "not":
        return f"(not {texts[0]})"
    return f"({texts[0]} {node.op} {texts[1]})"


# --- config rows ---------------------------------------------------------------------------------------------------------


def mapping_rows(case: Case, engine: str) -> list[dict[str, Any]]:
    rows = []
    for column in case.columns:
        rows.append(
            {
                "endpoint_name": case.endpoint,
                "target_table": case.target,
                "target_column": column.name,
                "source_columns": " | ".join(column.spelled),
                "transform_expr": sql(column.expression, engine)
                if column.expression and not column.derived_by
                else None,
                "business_rule_id": "|".join(named_ids(column)) or None,
                "is_primary_key": column.is_key,
                "data_type": type_name(engine, column.kind) if column.kind else None,
                "nullable": column.nullable,
                "active_flag": column.active,
                "sensitivity": column.sensitivity,
                "column_position": column.position,
                **column.texts,
            }
        )
    if any(rule.applies_to == "other" for rule in case.rules):
        # The table that those rules are for, which no model builds.
        other = {"endpoint_name": case.endpoint, "target_table": f"{case.target} other", "target_column": "k"}
        rows.append({**other, "source_columns": "k", "is_primary_key": True})
    return rows


def rule_rows(case: Case, engine: str) -> list[dict[str, Any]]:
    target = {"this": case.target, "endpoint": None, "other": f"{case.target} other"}
    return [
        {
            "business_rule_id": rule.id,
            "endpoint_name": case.endpoint,
            "target_table": target[rule.applies_to] if rule.category in ("filter", "validation") else None,
            "rule_category": rule.category,
            "rule_expression": sql(rule.expression, engine),
            "severity": rule.severity,
            "message": rule.message,
            "active_flag": rule.active,
        }
        for rule in case.rules
    ]


def model_sql(case: Case, source_table: str) -> str:
    latest_by = f", latest_by={jinja(case.latest_by)}" if case.latest_by else ""
    return (
        f"{{{{ lineage_audit.mapped_model({jinja(case.endpoint)}, source=source('raw', '{source_table}'),"
        f" target_table={jinja(case.target)}{latest_by}) }}}}"
    )


def jinja(text: str) -> str:
    """A text as a literal of Jinja, which ends a tag at its brackets even within quotes."""
    return (
        json.dumps(text, ensure_ascii=False)
        .replace("{", "\\u007b")
        .replace("}", "\\u007d")
        .replace("%", "\\u0025")
        .replace("#", "\\u0023")
    )
