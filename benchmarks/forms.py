"""What is measured against a plain `create table as select`: the forms of a mapped model, their goals, and what has to
stand in the tables that they wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from source import REJECTED_SHARE, source_texts

if TYPE_CHECKING:
    from project import Project

# Eight mapped columns of six source columns: target column, source columns, expression, data type.
COLUMNS = (
    ("order_id", "order_id", "", ""),
    ("order_amount", "amount_raw|fx_rate", "amount_raw * fx_rate", "decimal(18,2)"),
    ("amount_raw", "amount_raw", "", ""),
    ("fx_rate", "fx_rate", "", ""),
    ("currency_code", "currency", "upper(currency)", ""),
    ("customer_id", "customer_id", "", ""),
    ("order_day", "ordered_at", "", "date"),
    ("ordered_at", "ordered_at", "", ""),
)
COLUMN_NAMES = [name for name, *_ in COLUMNS]
# Each source column, as it can be had from plain gold (every currency of the source is in lower case).
SOURCE_VALUES = {
    "order_id": "order_id",
    "amount_raw": "amount_raw",
    "fx_rate": "fx_rate",
    "currency": "lower(currency_code)",
    "customer_id": "customer_id",
    "ordered_at": "ordered_at",
}
RULES = (
    ("AMOUNT_POSITIVE", "order_amount >= 0", "ERROR"),
    ("RATE_POSITIVE", "fx_rate > 0", "ERROR"),
    ("CURRENCY_KNOWN", "currency_code in ('EUR', 'USD', 'GBP')", "ERROR"),
    ("AMOUNT_PLAUSIBLE", "order_amount < 1000000", "WARN"),
    ("CUSTOMER_SHAPE", "length(customer_id) > 1", "WARN"),
)
PLAIN = "plain"

# The table that a capture mode writes lineage to, and its rows per accepted row of gold.
LINEAGE_TABLES = {"exploded": ("cell_lineage", len(COLUMNS)), "compact": ("record_lineage", 1)}


@dataclass(frozen=True)
class Form:
    """A mapped model: how lineage is captured, and where refused records go (None: it has no rules)."""

    name: str
    capture: str
    rejected: str | None = None

    @property
    def meaning(self) -> str:
        kept = {None: "no rules", "quarantine": "5 rules, 1 % quarantined", "keep": "5 rules, 1 % kept and flagged"}
        return f"{self.capture}, {kept[self.rejected]}"

    @property
    def without_rules(self) -> str:
        """The name of the same form without rules."""
        return self.capture

    def accepted(self, rows: int) -> int:
        return rows - (-(-rows // REJECTED_SHARE) if self.rejected else 0)


FORMS = {
    form.name: form
    for capture in ("exploded", "compact", "in_row")
    for form in (
        Form(capture, capture),
        Form(f"{capture}_quarantine", capture, "quarantine"),
        Form(f"{capture}_keep", capture, "keep"),
    )
}

# Goals where the source is a table. Of a capture mode: the ratio to plain. Of the rules: what they add to that ratio.
RATIO_GOALS = {
    "duckdb": {"in_row": 1.6, "compact": 2.2, "exploded": 4.5},
    "spark": {"in_row": 1.4, "compact": 2.0, "exploded": 4.0},
}
ADDED_GOALS = {"quarantine": 0.8, "keep": 0.4}


def verdict(value: float, goal: float) -> str:
    return f"{goal}: {'met' if value <= goal else '**missed**'}"


class WrongResultError(Exception):
    """A form wrote something else than it has to: its figures would be worth nothing."""


def check(project: Project, form: Form) -> None:
    """Compares all that the last run of a form wrote with plain gold, and the lineage of some rows with Python."""
    for question, found, wanted in _answers(project, form):
        if found != wanted:
            raise WrongResultError(f"{project.engine.name}, {form.name}: {found} instead of {wanted} from\n{question}")


def _answers(project: Project, form: Form) -> Iterator[tuple[str, object, object]]:
    """A query, what it gives and what it has to give, one after the other."""
    gold, plain = f"{project.schema}.{form.name}", f"{project.schema}.{PLAIN}"
    audit, engine = f"{project.schema}_audit", project.engine
    refused = "array_contains(_lineage_failed_rules, 'AMOUNT_POSITIVE')" if form.rejected == "keep" else "false"
    plain_refused = "order_amount < 0" if form.rejected else "false"
    accepted = form.accepted(project.rows)

    def same(columns: list[str], where: str, plain_columns: list[str], plain_where: str):
        question = f"select {engine.fingerprint(columns)} from {gold} where {where}"
        expected = f"select {engine.fingerprint(plain_columns)} from {plain} where {plain_where}"
        return question, engine.query(question), engine.query(expected)

    def counted(question: str, wanted: int):
        return question, engine.query(question)[0][0], wanted

    yield counted(f"select count(*) from {plain}", project.rows)
    yield counted(f"select count(*) from {gold} where not {refused}", accepted)
    yield same(COLUMN_NAMES, f"not {refused}", COLUMN_NAMES, f"not {plain_refused}")
    if form.rejected == "keep":
        yield same(COLUMN_NAMES, refused, COLUMN_NAMES, plain_refused)
    if form.capture == "in_row":
        fields = [f"_lineage_source_values.{name}" for name in SOURCE_VALUES]
        yield same(fields, f"not {refused}", list(SOURCE_VALUES.values()), f"not {plain_refused}")

    last_run = f"target_table = '{form.name}' order by run_start_ts desc limit 1"
    counts = f"select status, output_record_count, rejected_record_count from {audit}.ingestion_run where {last_run}"
    yield counts, [tuple(row) for row in engine.query(counts)], [("SUCCESS", accepted, project.rows - accepted)]
    if form.rejected:
        listed = f"from {audit}.quarantine where target_table = '{form.name}' and array_contains(failed_rules, 'AMOUNT_POSITIVE')"
        yield counted(f"select count(*) {listed}", project.rows - accepted if form.rejected == "quarantine" else 0)

    run_id = engine.query(f"select run_id from {audit}.ingestion_run where {last_run}")[0][0]
    lineage = f"{audit}.column_lineage where target_table = '{form.name}' and run_id = '{run_id}'"
    copied = form.capture in LINEAGE_TABLES
    yield counted(f"select count(*) from {lineage}", accepted * len(COLUMNS) if copied else 0)
    if copied:
        table, rows_per_row = LINEAGE_TABLES[form.capture]
        attempt = (
            f"select max(attempt_id) from {audit}.run_event where target_table = '{form.name}' and run_id = '{run_id}'"
        )
        question = f"select count(*) from {audit}.{table} where attempt_id = ({attempt})"
        yield counted(question, accepted * rows_per_row)
        for number in (7, project.rows // 2 + 1, project.rows - 1):
            if number % REJECTED_SHARE:
                yield _sampled(project, lineage, number)


def _sampled(project: Project, lineage: str, number: int) -> tuple[str, object, object]:
    """The lineage of all columns of one order, and what it has to be."""
    texts = source_texts(number, project.keys)
    question = f"select target_column, source_values_json from {lineage} and target_pk = '{texts['order_id']}'"
    found = {column: json.loads(values) for column, values in project.engine.query(question)}
    return question, found, {name: {each: texts[each] for each in sources.split("|")} for name, sources, *_ in COLUMNS}
