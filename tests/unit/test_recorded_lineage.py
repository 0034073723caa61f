"""When the lineage graph is compared with the platform's own lineage, and what of it is read."""

from __future__ import annotations

import pytest
from bare_jinja import CompilationError


@pytest.mark.parametrize(
    ("adapter", "days", "expected"),
    [("duckdb", 30, False), ("spark", 30, False), ("databricks", 30, True), ("databricks", "7", True), ("databricks", 0, False)],
)  # fmt: skip
def test_only_databricks_keeps_records(macros, adapter, days, expected):
    assert macros(adapter, lineage_audit_recorded_days=days)._has_records() is expected


@pytest.mark.parametrize("days", ["a month", "-1", "1.5", None])
def test_days_are_a_number(macros, days):
    with pytest.raises(CompilationError, match=f"0 to leave out the platform's lineage, and not '{days}'"):
        macros("databricks", lineage_audit_recorded_days=days)._recorded_days()


def test_the_read_is_limited_in_time_and_place(macros):
    sql = macros("databricks")._records_sql(7, ["(target_table_catalog = 'main' and target_table_schema in ('gold'))"])
    assert sql.count("from system.access.column_lineage") == 1
    assert "event_date >= date_sub(current_date(), 7)\n" in sql
    assert "and (\n      (target_table_catalog = 'main' and target_table_schema in ('gold'))\n    )" in sql
