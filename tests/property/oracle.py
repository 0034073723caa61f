"""What a mapped table has to hold, worked out in plain Python from the documentation alone.

Nothing here is taken from the package's macros: casts, three-valued logic, texts of values and hashes are written anew.
Where the engines' own dialects differ (docs/engines.md), `engine` decides.
"""

from __future__ import annotations

import datetime
import decimal
import hashlib
import json
import math
import re
from collections import Counter
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import Any

from shapes import BOOLEAN, CLOCK, DATE, DOUBLE, INSTANT, INT, TEXT, Case, Column, Node, Rule

# Digits enough for any sum or product of decimals of 38 digits.
DIGITS = 90
LIMITS = {"int": 2**31, "bigint": 2**63}


class _Failed:
    """The result of a cast that loses its value."""

    def __repr__(self) -> str:
        return "FAILED"


FAILED = _Failed()


# --- values ------------------------------------------------------------------------------------------------------


def evaluate(node: Node, row: dict[str, Any]) -> Any:
    """An expression over a row of values, with SQL's NULL as None."""
    args = node.args
    if node.op == "column":
        return row[args[0]]
    if node.op == "value":
        return args[0]
    if node.op == "coalesce":
        return next((value for each in args if (value := evaluate(each, row)) is not None), None)
    if node.op == "case":
        condition, then, otherwise = args
        if evaluate(condition, row) is True:
            return evaluate(then, row)
        return evaluate(otherwise, row) if otherwise is not None else None
    if node.op == "is null":
        return evaluate(args[0], row) is None
    if node.op == "is not null":
        return evaluate(args[0], row) is not None
    if node.op in ("and", "or"):
        left, right = (evaluate(each, row) for each in args)
        decisive = node.op == "or"
        if decisive in (left, right):
            return decisive
        return None if left is None or right is None else not decisive
    if node.op in ("in", "not in"):
        value = evaluate(args[0], row)
        if value is None:
            return None
        found = any(compare(value, each.args[0]) == 0 for each in args[1:])
        return found if node.op == "in" else not found
    values = [evaluate(each, row) for each in args]
    if node.op == "nullif":
        return None if None not in values and compare(*values) == 0 else values[0]
    if None in values:
        return None
    return {
        "not": lambda a: not a,
        "||": lambda a, b: a + b,
        "upper": lambda a: a.upper(),
        "length": lambda a: len(a),
        "+": lambda a, b: a + b,
        "-": lambda a, b: a - b,
        "*": lambda a, b: a * b,
        "=": lambda a, b: compare(a, b) == 0,
        "<>": lambda a, b: compare(a, b) != 0,
        "<": lambda a, b: compare(a, b) < 0,
        "<=": lambda a, b: compare(a, b) <= 0,
        ">": lambda a, b: compare(a, b) > 0,
        ">=": lambda a, b: compare(a, b) >= 0,
    }[node.op](*values)


def compare(a: Any, b: Any) -> int:
    """-1, 0 or 1. NaN equals itself and is above everything else; texts go by their bytes in UTF-8."""
    if isinstance(a, str):
        a, b = a.encode(), b.encode()
    a_nan, b_nan = (isinstance(each, float) and math.isnan(each) for each in (a, b))
    if a_nan or b_nan:
        return int(a_nan) - int(b_nan)
    return (a > b) - (a < b)


def cast(value: Any, kind: tuple, to: tuple, engine: str) -> Any:
    """try_cast: FAILED where the value has no place in the type."""
    if value is None:
        return None
    if to[0] == "list":
        elements = [cast(each, kind[1], to[1], engine) for each in value]
        return FAILED if FAILED in elements else elements
    if to[0] == "struct":
        elements = {name: cast(value[name], dict(kind[1])[name], member, engine) for name, member in to[1]}
        return FAILED if FAILED in elements.values() else elements
    if isinstance(value, str):
        return _read(value, to, engine)
    if to == TEXT:
        return _text_by_cast(value, kind, engine)
    if to[0] in LIMITS:
        # DuckDB rounds to the nearest integer, Spark cuts the digits off.
        whole = Decimal(value).quantize(Decimal(1), ROUND_HALF_UP if engine == "duckdb" else ROUND_DOWN)
        return int(whole) if -LIMITS[to[0]] <= whole < LIMITS[to[0]] else FAILED
    if to[0] == "decimal":
        return _fit(Decimal(value), to)
    if to == DOUBLE:
        return float(value)
    if to == DATE and isinstance(value, datetime.datetime):
        return value.date()
    if to == CLOCK and isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        return datetime.datetime.combine(value, datetime.time())
    assert kind == to, (value, kind, to)
    return value


def _fit(value: Decimal, kind: tuple) -> Any:
    _, precision, scale = kind
    if not value.is_finite():
        return FAILED
    # Python knows a decimal -0, SQL doesn't: adding 0 makes it one.
    rounded = value.quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP) + 0
    return rounded if abs(rounded) < Decimal(10) ** (precision - scale) else FAILED


def _read(text: str, to: tuple, engine: str) -> Any:
    """A text as a value of another type. Blanks around it don't count, but for DuckDB's booleans."""
    if to == TEXT:
        return text
    bare = text.strip(" \n\t\r")
    number = re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", bare)
    if to[0] in LIMITS:
        if engine == "spark" and not re.fullmatch(r"[+-]?[0-9]+", bare):
            return FAILED
        return cast(Decimal(bare), ("decimal", 38, 0), to, "duckdb") if number else FAILED
    if to[0] == "decimal":
        return _fit(Decimal(bare), to) if number else FAILED
    if to == DOUBLE:
        special = re.fullmatch(r"[+-]?(nan|inf|infinity)", bare.lower())
        return float(bare) if number or special else FAILED
    if to == BOOLEAN:
        word = (bare if engine == "spark" else text).lower()
        return {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}.get(word, FAILED)
    try:
        if to == DATE:
            return datetime.date.fromisoformat(bare) if re.fullmatch(r"\d{4}-\d\d-\d\d", bare) else FAILED
        if re.fullmatch(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d:\d\d(\.\d{1,6})?)?", bare):
            found = datetime.datetime.fromisoformat(re.sub(r"\.(\d+)$", lambda part: f".{part[1]:0<6}", bare))
            return found.replace(tzinfo=datetime.UTC) if to == INSTANT else found
    except ValueError:
        pass
    return FAILED


def _text_by_cast(value: Any, kind: tuple, engine: str) -> str:
    """The text that `cast(… as string)` gives: the engine's own, not that of the audit store."""
    if isinstance(value, datetime.datetime):
        text = value.replace(tzinfo=None).isoformat(" ", "microseconds").rstrip("0").rstrip(".")
        return text + ("+00" if kind == INSTANT and engine == "duckdb" else "")
    return text_of(value, kind, engine)


# --- texts -------------------------------------------------------------------------------------------------------


def text_of(value: Any, kind: tuple, engine: str) -> str | None:
    """A value as the audit store writes it."""
    if value is None:
        return None
    if kind == TEXT:
        return value
    if kind[0] in ("list", "struct"):
        return _json_of(value, kind, engine)
    if kind == DOUBLE:
        return _text_of_double(value, engine)
    if kind == BOOLEAN:
        return "true" if value else "false"
    if kind == DATE:
        return value.isoformat()
    if kind in (CLOCK, INSTANT):
        return value.replace(tzinfo=None).isoformat("T", "microseconds")
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _json_of(value: Any, kind: tuple, engine: str) -> str:
    if value is None:
        return "null"
    if kind[0] == "list":
        return "[" + ",".join(_json_of(each, kind[1], engine) for each in value) + "]"
    if kind[0] == "struct":
        members = (f"{json.dumps(name)}:{_json_of(value[name], member, engine)}" for name, member in kind[1])
        return "{" + ",".join(members) + "}"
    text = text_of(value, kind, engine)
    if kind == DOUBLE and not math.isfinite(value):
        return json.dumps(text)
    return text if kind[0] in ("int", "bigint", "decimal", "double", "boolean") else _json_text(text)


def _json_text(text: str) -> str:
    """Quoted as both engines do it: characters beyond ASCII as they are, hexadecimal digits in capitals."""

    def escaped(found: re.Match) -> str:
        return {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\b": "\\b", "\f": "\\f"}.get(
            found[0], f"\\u{ord(found[0]):04X}"
        )

    return '"' + re.sub("[\x00-\x1f]", escaped, text.replace("\\", "\\\\").replace('"', '\\"')) + '"'


def _text_of_double(value: float, engine: str) -> str:
    """Shortest digits that read back as the same double: as Python writes them on DuckDB, as Java does on Spark."""
    if engine == "duckdb":
        return repr(value)
    if not math.isfinite(value):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[repr(value)]
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        text = f"{Decimal(repr(value)):f}"
        return text if "." in text else text + ".0"
    digits = Decimal(repr(value)).as_tuple()
    figures = "".join(map(str, digits.digits)).rstrip("0")
    exponent = len(digits.digits) - 1 + digits.exponent
    return f"{'-' if digits.sign else ''}{figures[0]}.{figures[1:] or '0'}E{exponent}"


def keyed_hash(text: str, key: str) -> str:
    inner = hashlib.sha256(f"{key}:{text}".encode()).hexdigest()
    return hashlib.sha256(f"{key}:{inner}".encode()).hexdigest()


def marked(text: str | None, mark: str, key: str) -> str | None:
    if text is None or mark == "none":
        return text
    return "***" if mark == "mask" else keyed_hash(text, key)


# --- the config as it is read --------------------------------------------------------------------------------------


def cell(text: str | None) -> str | None:
    """A cell of a config table: blanks around it don't count, an empty one is NULL."""
    return (text or "").strip() or None


def ordered(columns: list[Column]) -> list[Column]:
    """Numbered columns first, by number; then the others by name, case ignored."""

    def place(column: Column):
        number = cell(column.position)
        return (0, int(number), column.name.lower()) if number else (1, 0, column.name.lower())

    return sorted(columns, key=place)


def result_kind(node: Node, kinds: dict[str, tuple]) -> tuple:
    """The kind of an expression's value; numbers of arithmetic are decimals of no certain scale."""
    if node.op == "column":
        return kinds[node.args[0]]
    if node.op == "value":
        value = node.args[0]
        return TEXT if isinstance(value, str) else BOOLEAN if isinstance(value, bool) else ("number",)
    if node.op in ("coalesce", "nullif"):
        return result_kind(node.args[0], kinds)
    if node.op == "case":
        return result_kind(node.args[1], kinds)
    if node.op in ("||", "upper"):
        return TEXT
    if node.op == "length":
        return INT
    if node.op in ("+", "-", "*"):
        return ("number",)
    return BOOLEAN


# --- the outcome ---------------------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What the run has to leave behind; rows as texts that can be compared, as often as they are there."""

    counts: dict[str, int]
    columns: list[Column]
    used: list[str]
    # {source column: a target column that holds it as it is}
    verbatim: dict[str, str]
    gold: Counter
    rejected: Counter
    violations: Counter
    lineage: Counter
    messages: dict[str, str]
    happened: Counter


def shown(value: Any) -> Any:
    """A value so that equal ones are equal and different ones are not: NaN, -0.0, decimals with their scale."""
    if isinstance(value, dict):
        return ("struct", *sorted((name, shown(each)) for name, each in value.items()))
    if isinstance(value, list | tuple):
        return ("list", *map(shown, value))
    if isinstance(value, float):
        return ("double", repr(value))
    if isinstance(value, Decimal):
        return ("decimal", f"{value:f}")
    if isinstance(value, datetime.datetime):
        return ("moment", value.replace(tzinfo=None).isoformat("T", "microseconds"))
    if isinstance(value, datetime.date):
        return ("date", value.isoformat())
    return value


def work_out(case: Case, engine: str, key: str) -> Outcome:
    with decimal.localcontext(prec=DIGITS):
        return _worked_out(case, engine, key)


def _worked_out(case: Case, engine: str, key: str) -> Outcome:
    columns = ordered([column for column in case.columns if column.active is not False])
    rules = [rule for rule in case.rules if rule.active is not False]
    by_id = {cell(rule.id): rule for rule in rules}
    acting = [rule for rule in rules if rule.applies_to != "other"]
    filters = [rule for rule in acting if rule.category == "filter"]
    validations = [rule for rule in acting if rule.category == "validation"]
    marks = strictest_marks(columns)
    happened: Counter = Counter()

    outputs, refusals, filtered = [], [], 0
    for values in case.rows:
        row = dict(zip(case.source, values, strict=True))
        if any(evaluate(rule.expression, row) is not True for rule in filters):
            filtered += 1
            continue
        record = _mapped(row, columns, by_id, validations, case, engine)
        happened.update(record["happened"])
        (refusals if record["reasons"] else outputs).append(record)
    if case.latest_by:
        outputs, late = _latest(outputs, columns, case.latest_by)
        refusals += late

    happened.update(output=len(outputs), rejected=len(refusals), filtered=filtered)
    make = _Writer(case, columns, by_id, marks, engine, key)
    return Outcome(
        counts={"input": len(case.rows), "filtered": filtered, "rejected": len(refusals), "output": len(outputs)},
        columns=columns,
        used=make.used,
        verbatim={
            column.sources[0]: column.name
            for column in columns
            if column.expression is None
            and column.default_rule not in by_id
            and column.kind in (None, case.source[column.sources[0]])
        },
        gold=Counter(make.gold(record) for record in outputs),
        rejected=Counter(make.rejected(record) for record in refusals),
        violations=Counter(each for record in outputs + refusals for each in make.violations(record)),
        lineage=Counter(each for record in outputs for each in make.lineage(record)),
        messages={id: cell(rule.message) or "" for id, rule in by_id.items()},
        happened=happened,
    )


def strictest_marks(columns: list[Column]) -> dict[str, str]:
    marks: dict[str, str] = {}
    for mark in ("hash", "mask"):
        for column in columns:
            if column.sensitivity == mark:
                marks |= dict.fromkeys(column.sources, mark)
    return marks


def _value_of(column: Column, row: dict[str, Any], by_id: dict[str, Rule]) -> tuple[Any, bool]:
    """Step 2; whether an expression made the value."""
    if column.expression is not None and (column.derived_by is None or column.derived_by in by_id):
        return evaluate(column.expression, row), True
    return row[column.sources[0]], False


def mapped_kind(column: Column, case: Case, by_id: dict[str, Rule]) -> tuple:
    if column.kind:
        return column.kind
    if column.expression is not None and (column.derived_by is None or column.derived_by in by_id):
        return result_kind(column.expression, case.source)
    return case.source[column.sources[0]]


def _mapped(row, columns, by_id, validations, case: Case, engine: str) -> dict[str, Any]:
    mapped: dict[str, Any] = {}
    reasons, happened = [], Counter()
    for column in columns:
        value, by_expression = _value_of(column, row, by_id)
        kind = result_kind(column.expression, case.source) if by_expression else case.source[column.sources[0]]
        if value is None and column.default is not None and column.default_rule in by_id:
            value, kind = evaluate(column.default, row), result_kind(column.default, case.source)
            happened["default"] += value is not None
        if column.kind:
            value = cast(value, kind, column.kind, engine)
        if value is FAILED:
            reasons.append(f"cast:{column.name}")
            happened[f"cast to {column.kind[0]} failed"] += 1
            value = None
        elif value is None and (column.is_key or column.nullable is False):
            reasons.append(f"not_null:{column.name}")
            happened["null key" if column.is_key else "not null"] += 1
        mapped[column.name] = value
    warnings = []
    for rule in validations:
        if evaluate(rule.expression, mapped) is False:
            (warnings if rule.severity == "WARN" else reasons).append(cell(rule.id))
            happened[rule.severity] += 1
    happened["several reasons"] += len(reasons) > 1
    return {"row": row, "mapped": mapped, "reasons": reasons, "warnings": warnings, "happened": happened}


def _latest(records, columns, latest_by) -> tuple[list, list]:
    """Step 7. Cases are made so that ties are equal rows."""
    groups: dict[Any, list] = {}
    for record in records:
        group = tuple(repr(shown(record["mapped"][column.name])) for column in columns if column.is_key)
        groups.setdefault(group, []).append(record)
    taken, late = [], []
    for group in groups.values():
        winner = group[0]
        for record in group[1:]:
            ours, theirs = record["row"][latest_by], winner["row"][latest_by]
            if ours is not None and (theirs is None or compare(ours, theirs) > 0):
                winner = record
        taken.append(winner)
        late += [{**record, "reasons": ["duplicate_key"]} for record in group if record is not winner]
    return taken, late


class _Writer:
    """Rows of the result tables as tuples."""

    def __init__(self, case: Case, columns: list[Column], by_id, marks, engine: str, key: str):
        self.case, self.columns, self.by_id = case, columns, by_id
        self.marks, self.engine, self.key = marks, engine, key
        self.used = list(dict.fromkeys(name for column in columns for name in column.sources))

    def _mark(self, column: Column) -> str:
        found = {self.marks.get(name, "none") for name in column.sources} | {column.sensitivity or "none"}
        return "mask" if "mask" in found else "hash" if "hash" in found else "none"

    def _mapped_text(self, record, column: Column) -> str | None:
        kind = mapped_kind(column, self.case, self.by_id)
        return marked(text_of(record["mapped"][column.name], kind, self.engine), self._mark(column), self.key)

    def _source_text(self, record, name: str) -> str | None:
        text = text_of(record["row"][name], self.case.source[name], self.engine)
        return marked(text, self.marks.get(name, "none"), self.key)

    def _target_pk(self, record) -> Any:
        texts = [self._mapped_text(record, column) for column in self.columns if column.is_key]
        if None in texts:
            return None
        return texts[0] if len(texts) == 1 else ("array", *texts)

    def gold(self, record) -> tuple:
        """The columns in their order, the warnings, and every source value that the mapping uses."""
        values = tuple(shown(record["mapped"][column.name]) for column in self.columns)
        return values, tuple(sorted(record["warnings"])), tuple((name, self._kept(record, name)) for name in self.used)

    def _kept(self, record, name: str) -> Any:
        """A source value as gold keeps it: as it is, or as it is marked."""
        return (
            self._source_text(record, name)
            if name in self.marks and self.marks[name] != "none"
            else shown(record["row"][name])
        )

    def rejected(self, record) -> tuple:
        return (
            self._target_pk(record),
            tuple(sorted(record["reasons"])),
            tuple((column.name, self._mapped_text(record, column)) for column in self.columns),
            tuple(sorted((name, self._source_text(record, name)) for name in self.used)),
        )

    def violations(self, record) -> list[tuple]:
        errors = [] if record["reasons"] == ["duplicate_key"] else [id for id in record["reasons"] if id in self.by_id]
        return [(self._target_pk(record), id, "ERROR") for id in errors] + [
            (self._target_pk(record), id, "WARN") for id in record["warnings"]
        ]

    def lineage(self, record) -> list[tuple]:
        return [
            (
                self._target_pk(record),
                column.name,
                *(cell(column.texts.get(name)) for name in ("api_field_name", "api_json_path", "source_table")),
                column.sources,
                self._shown_expression(column),
                "|".join(id for id in named_ids(column) if id in self.by_id) or None,
                tuple(sorted((name, self._source_text(record, name)) for name in column.sources)),
            )
            for column in self.columns
        ]

    def _shown_expression(self, column: Column) -> Any:
        if column.expression is not None and (column.derived_by is None or column.derived_by in self.by_id):
            return column.expression
        return column.sources[0]


def named_ids(column: Column) -> list[str]:
    """The rules that the mapping row names, in the order in which it does."""
    ids = [*column.named_rules, column.derived_by, column.default_rule]
    return list(dict.fromkeys(id for id in ids if id))
