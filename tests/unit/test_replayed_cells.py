"""The statement of `lineage_replays`, run by DuckDB over a store made by hand, in each capture mode."""

from __future__ import annotations

import duckdb
import pytest

GOLD = "db.gold.orders"
EVENT = {
    "source_fields": "[]",
    "target_columns": "[]",
    "config_hash": "c",
    "target_relation": GOLD,
    "event_type": "SUCCESS",
}
MAPPING = [
    {"target_column": "id", "column_position": 1, "source_columns": ["id"], "source_types": ["VARCHAR"], "source_positions": [1],
     "transform_expr": "id", "default_expr": None, "data_type": None, "sensitivity": "none"},
    {"target_column": "total", "column_position": 3, "source_columns": ["amount", "rate"], "source_types": ["INTEGER", "DECIMAL(9,2)"],
     "source_positions": [2, 3], "transform_expr": "amount * rate", "default_expr": "0", "data_type": "decimal(18,2)", "sensitivity": "none"},
]  # fmt: skip
RECORDS = [("a", ["a", "100", "1.07"], "107.00"), ("b", ["b", None, "2"], "0.00"), ("c", ["c", "3", "2.00"], "6.00")]


def column(name: str, type: str) -> dict:
    return {"name": name, "quoted": name, "type": type, "mark": "none", "sensitivity": "none", "is_key": name == "id"}


@pytest.fixture(params=["exploded", "compact", "in_row"])
def store(request, macros):
    """A connection to a store with one run, and the branches that the run makes."""
    duck, capture = macros("duckdb"), request.param
    fields = [
        {"name": name, "field_type": type, "verbatim": None}
        for name, type in (("id", "varchar"), ("amount", "integer"), ("rate", "decimal(9,2)"))
    ]
    columns = [column("id", "varchar"), column("total", "decimal(18,2)")]
    branch = {
        "config_hash": "c", "capture": capture, "target_relation": GOLD, "keeps_refused": False,
        "layout": {"hash": "f6383428b86fcf5dd16653be0ee5ff67", "fields": fields, "columns": columns},
        "columns": [
            {**duck._pinned_column(row), "in_gold": in_gold, "source_positions": row["source_positions"]}
            for row, in_gold in zip(MAPPING, columns, strict=True)
        ],
    }  # fmt: skip
    with duckdb.connect() as connection:
        connection.execute("attach ':memory:' as db; create schema db.dev_audit; create schema db.gold")
        for table in ("run_event", "cell_lineage", "record_lineage"):
            items = ", ".join(
                f"{name} {duck.store_types()[kind]}" for name, kind in duck._store_tables()[table].items()
            )
            connection.execute(f"create table db.dev_audit.{table} ({items})")
        event = EVENT | {"attempt_id": 7, "invocation_id": "i", "run_id": "r", "capture": capture}
        connection.execute(
            f"insert into db.dev_audit.run_event ({', '.join(event)}) values ({', '.join('?' for _ in event)})",
            list(event.values()),
        )
        connection.execute(
            f"create table {GOLD} (id varchar, total decimal(18,2), _lineage_run_id varchar, _lineage_invocation_id varchar,"
            " _lineage_source_values struct(id varchar, amount integer, rate decimal(9,2)))"
        )
        for key, texts, total in RECORDS:
            connection.execute(
                f"insert into {GOLD} values (?, ?, 'r', 'i', struct_pack(id := ?, amount := ?, rate := ?))",
                [key, total, *texts],
            )
            if capture == "exploded":
                connection.execute(
                    "insert into db.dev_audit.cell_lineage values (7, ?, 1, ?), (7, ?, 3, ?)",
                    [key, texts[:1], key, texts[1:]],
                )
            elif capture == "compact":
                connection.execute("insert into db.dev_audit.record_lineage values (7, ?, ?)", [key, texts])
        yield duck, connection, branch


def differing(store, rows: str = GOLD, sample_rows: int | None = None) -> list[tuple]:
    duck, connection, branch = store
    tested = {"rows": rows, "built": GOLD, "target_relation": GOLD}
    return sorted(connection.execute(duck._lineage_replays_sql(tested, [branch], sample_rows)).fetchall())


def test_what_was_written_replays(store):
    assert differing(store) == []
    assert differing(store, sample_rows=1) == []


def test_a_changed_value_differs(store):
    store[1].execute(f"update {GOLD} set total = 7 where id = 'c'")
    assert differing(store) == [("c", "total", "other_value", "7.00", "6.00", "r")]
    assert differing(store, rows=f"(select * from {GOLD} where id <> 'c') as rows") == []


def test_a_value_that_was_removed_differs(store):
    store[1].execute(f"update {GOLD} set total = null where id = 'b'")
    assert differing(store) == [("b", "total", "other_value", None, "0.00", "r")]


def test_another_pinned_expression_differs(store):
    duck, _, branch = store
    branch["columns"][1].update(duck._pinned_column(MAPPING[1] | {"transform_expr": "amount + rate"}))
    assert [each[0] for each in differing(store)] == ["a", "c"]


def test_rows_that_share_a_key_find_their_values_in_each_other(store):
    _, connection, branch = store
    connection.execute(
        f"insert into {GOLD} select 'a', 214, 'r', 'i', struct_pack(id := 'a', amount := 200, rate := 1.07)"
    )
    if branch["capture"] == "exploded":
        connection.execute(
            "insert into db.dev_audit.cell_lineage values (7, 'a', 1, ['a']), (7, 'a', 3, ['200', '1.07'])"
        )
    elif branch["capture"] == "compact":
        connection.execute("insert into db.dev_audit.record_lineage values (7, 'a', ['a', '200', '1.07'])")
    assert differing(store) == []
    connection.execute(f"update {GOLD} set total = 1 where total = 214")
    assert {each[:2] + each[4:] for each in differing(store)} == {("a", "total", "214.00", "r")}


def test_nothing_that_can_be_recomputed_is_no_row(macros):
    tested = {"rows": GOLD, "built": GOLD, "target_relation": GOLD}
    with duckdb.connect() as connection:
        assert connection.execute(macros("duckdb")._lineage_replays_sql(tested, [])).fetchall() == []
