"""The difference of two configs, as DuckDB finds it in a config_version made by hand, and as a person reads it."""

from __future__ import annotations

import duckdb
import pytest

ROWS = [
    {"config_hash": "old", "kind": "mapping", "target_column": "amount", "source_columns": ["a"], "transform_expr": "a"},
    {"config_hash": "new", "kind": "mapping", "target_column": "amount", "source_columns": ["a", "b"], "transform_expr": "a * b"},
    {"config_hash": "old", "kind": "mapping", "target_column": "note", "source_columns": ["n"], "transform_expr": "n"},
    {"config_hash": "new", "kind": "mapping", "target_column": "note", "source_columns": ["n"], "transform_expr": "n"},
    {"config_hash": "old", "kind": "rule", "business_rule_id": "R", "transform_expr": "a > 0", "message": "It's \\ low."},
    {"config_hash": "new", "kind": "rule", "business_rule_id": "Q", "transform_expr": "a > 1", "severity": "WARN"},
    {"config_hash": "other", "kind": "rule", "business_rule_id": "Z", "transform_expr": "z"},
]  # fmt: skip
DIFFERENCES = [
    ("mapping", "amount", "changed", "source_columns", '["a"]', '["a","b"]'),
    ("mapping", "amount", "changed", "transform_expr", "a", "a * b"),
    ("rule", "Q", "added", "rule_expression", None, "a > 1"),
    ("rule", "Q", "added", "severity", None, "WARN"),
    ("rule", "R", "removed", "message", "It's \\ low.", None),
    ("rule", "R", "removed", "rule_expression", "a > 0", None),
]


@pytest.mark.parametrize("copies", [1, 2])
def test_only_what_changed_is_a_difference(macros, copies):
    duck = macros("duckdb")
    kinds = duck._store_tables()["config_version"]
    with duckdb.connect() as connection:
        connection.execute("attach ':memory:' as db")
        connection.execute("create schema db.dev_audit")
        columns = ", ".join(f"{name} {duck.store_types()[kind]}" for name, kind in kinds.items())
        connection.execute(f"create table db.dev_audit.config_version ({columns})")
        for row in ROWS * copies:
            connection.execute(
                f"insert into db.dev_audit.config_version ({', '.join(row)}) values ({', '.join('?' for _ in row)})",
                list(row.values()),
            )
        cursor = connection.execute(duck._config_diff_sql("old", "new"))
        names = [column[0] for column in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    wanted = ("kind", "name", "change", "cell", "from_value", "to_value")
    assert sorted(tuple(row[name] for name in wanted) for row in rows) == DIFFERENCES


def run(run_id: str, config_hash: str) -> dict:
    return {"run_id": run_id, "committed_ts": "2024-03-01T06:00:00.000000", "config_hash": config_hash}


def test_a_person_reads_a_line_per_cell(macros):
    keys = ("kind", "name", "change", "cell", "from_value", "to_value")
    answer = {
        "target_table": "gold_orders", "from_run": run("one", "0123456789"), "to_run": run("two", "abc"),
        "differences": [dict(zip(keys, each, strict=True)) for each in (DIFFERENCES[1], DIFFERENCES[3])],
    }  # fmt: skip
    assert macros("duckdb")._config_diff_text(answer) == "\n".join([
        "gold_orders: 2 cells of the config changed",
        "  from  2024-03-01 06:00:00 UTC, run one, config 01234567",
        "  to    2024-03-01 06:00:00 UTC, run two, config abc",
        "",
        "  kind     name    change   cell            from  to",
        "  -------  ------  -------  --------------  ----  -----",
        "  mapping  amount  changed  transform_expr  a     a * b",
        "  rule     Q       added    severity              WARN",
    ])  # fmt: skip


def test_one_config_is_no_difference(macros):
    answer = {"target_table": "gold_orders", "from_run": run("one", "a"), "to_run": run("two", "a"), "differences": []}
    assert macros("duckdb")._config_diff_text(answer).startswith("gold_orders: the config is the same\n")
