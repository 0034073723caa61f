"""What is measured against a plain `create table as select`: the mapping, its rules, the forms of a mapped model, and goals."""

from __future__ import annotations

from dataclasses import dataclass

from source import REJECTED_SHARE

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
