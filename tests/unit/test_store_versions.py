"""The store's tables only grow: what version 0.1.0 made is there, as it was."""

from __future__ import annotations

import re

import pytest
from bare_jinja import ROOT


@pytest.fixture(scope="module", params=["duckdb", "spark"])
def first_version(request) -> tuple[str, dict[str, dict[str, str]]]:
    """The engine, and the columns of each table with their types."""
    text = (ROOT / "tests" / "integration" / "store_0_1_0" / f"{request.param}.sql").read_text()
    tables = {
        name: dict(re.findall(r"^  (\w+) (.+?),?$", body, flags=re.MULTILINE))
        for name, body in re.findall(r"create table \{schema\}\.(\w+) \(\n(.*?)\n\)", text, flags=re.DOTALL)
    }
    return request.param, tables


def test_no_table_and_no_column_of_the_first_version_is_dropped_or_retyped(macros, first_version):
    engine, tables = first_version
    now = macros(engine)
    assert len(tables) == 6
    for table, columns in tables.items():
        kinds = now._store_tables()[table]
        assert {name: now.store_types()[kinds[name]] for name in columns} == columns


def test_the_columns_that_tell_a_table_is_the_packages_are_of_the_first_version(macros, first_version):
    engine, tables = first_version
    for table, columns in macros(engine)._row_columns().items():
        assert columns
        # A table that a later version adds is not among them.
        assert set(columns) <= set(tables.get(table, columns))


def test_every_table_has_columns_that_tell_it_is_the_packages(macros):
    store = macros("duckdb")
    assert {
        table: set(columns) - set(store._store_tables()[table]) for table, columns in store._row_columns().items()
    } == {table: set() for table in store._store_tables()}


@pytest.mark.parametrize(
    ("type", "fields"),
    [
        ("struct<>", {}),
        ("struct<a:string>", {"a": "string"}),
        (
            "struct<Run:array<string>,amount:decimal(10,2),nested:struct<x:int,y:map<string,array<int>>>,n:smallint>",
            {
                "run": "array<string>",
                "amount": "decimal(10,2)",
                "nested": "struct<x:int,y:map<string,array<int>>>",
                "n": "smallint",
            },
        ),
    ],
)
def test_fields_of_a_struct_type(macros, type, fields):
    assert macros("spark")._fields_of_struct_type(type) == fields


def test_ddl_that_adds_columns(macros):
    columns = {"warnings": "texts", "loaded_ts": "timestamp"}
    assert macros("duckdb").add_store_columns("audit.run_event", columns) == (
        "alter table audit.run_event add column if not exists warnings varchar[];\n"
        "alter table audit.run_event add column if not exists loaded_ts timestamp"
    )
    assert macros("spark").add_store_columns("audit.run_event", columns) == (
        "alter table audit.run_event add columns (\n  warnings array<string>,\n  loaded_ts timestamp\n)"
    )
