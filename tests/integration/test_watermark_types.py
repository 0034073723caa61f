"""A watermark of any type that has an order: the next run reads what is above it, and nothing else.

The session's time zone has daylight saving: the two instants are both 01:30 of one night there, and 02:30 of the other
night does not exist.
"""

from __future__ import annotations

import pytest
from mapped_cases import create_source, insert_into_source, mapped_columns, session_zone, source_properties

# name: (type on DuckDB, type on Spark, the value of the first row and of the second as SQL, and the marks as text)
WATERMARKS = {
    "number": ("bigint", "bigint", ("9", "10"), ("9", "10")),
    "amount": ("decimal(20,4)", "decimal(20,4)", ("1.5", "1.5001"), ("1.5000", "1.5001")),
    "word": ("varchar", "string", ("'b'", "'b''c'"), ("b", "b'c")),
    "day": ("date", "date", ("'2024-02-28'", "'2024-02-29'"), ("2024-02-28", "2024-02-29")),
    "naive": (
        "timestamp",
        "timestamp_ntz",
        ("'2024-03-10 02:30:00'", "'2024-03-10 02:30:00.000001'"),
        ("2024-03-10T02:30:00.000000", "2024-03-10T02:30:00.000001"),
    ),
    "instant": (
        "timestamptz",
        "timestamp",
        ("'2024-11-03 05:30:00Z'", "'2024-11-03 06:30:00Z'"),
        ("2024-11-03T05:30:00.000000", "2024-11-03T06:30:00.000000"),
    ),
}


@pytest.fixture(scope="module")
def runs(make_project, engine):
    """What ingestion_run says of the two runs of each watermark's model: {(name, run_id): row}."""
    models = {
        f"gold_by_{name}": (
            "{{ config(materialized='incremental', incremental_strategy='append') }}\n"
            f"{{{{ lineage_audit.mapped_model('marks', source=source('raw', 'marks'), watermark='{name}') }}}}\n"
        )
        for name in WATERMARKS
    }
    project = make_project(
        engine,
        models=models,
        properties=source_properties("marks"),
        api_endpoints=[{"endpoint_name": "marks"}],
        field_mapping=[
            row for table in models for row in mapped_columns("marks", table, ("id", "id", {"is_primary_key": True}))
        ],
        business_rules=[],
        name="watermarks",
    )
    kinds = {name: spark if engine == "spark" else duckdb for name, (duckdb, spark, *_) in WATERMARKS.items()}
    values = [
        [f"sql:cast({given[row]} as {kinds[name]})" for name, (_, _, given, _) in WATERMARKS.items()] for row in (0, 1)
    ]
    if engine == "spark":
        values[1][2] = "sql:'b\\'c'"
    with session_zone(project, "America/New_York"):
        create_source(project, "marks", {"id": "string", **kinds}, [("1", *values[0])])
        project.dbt("build", "--exclude-resource-type", "test", vars={"lineage_audit_run_id": "first"})
        insert_into_source(project, "marks", [("2", *values[1])])
        project.dbt("run", "--select", *models, vars={"lineage_audit_run_id": "second"})
    rows = project.query(f"select * from {project.schema}_audit.ingestion_run")
    return {(row["target_table"].removeprefix("gold_by_"), row["run_id"]): row for row in rows}


@pytest.mark.parametrize("name", WATERMARKS)
def test_the_next_run_reads_what_is_above_the_mark(runs, name):
    first, second = (
        tuple(
            runs[name, run_id][column]
            for column in ("status", "input_record_count", "output_record_count", "watermark_from", "watermark_to")
        )
        for run_id in ("first", "second")
    )
    before, after = WATERMARKS[name][3]
    assert first == ("SUCCESS", 1, 1, None, before)
    assert second == ("SUCCESS", 1, 1, before, after)
