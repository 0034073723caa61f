"""After a kill at any point the next run leaves every row once in gold, with its lineage, and counts nothing twice.

Everyday runs kill a few times; `make torture` kills everywhere. Environment variables:
LINEAGE_AUDIT_TORTURE=full for all of it, LINEAGE_AUDIT_TORTURE_SEED to repeat a run's choices, LINEAGE_AUDIT_TORTURE_DELTA_KILLS for the number on Delta.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import harness
import pytest
import world

FULL = os.environ.get("LINEAGE_AUDIT_TORTURE") == "full"
SEED = int(os.environ.get("LINEAGE_AUDIT_TORTURE_SEED") or random.SystemRandom().randrange(1_000_000))


@pytest.fixture(scope="module")
def duckdb_torture(make_project, tmp_path_factory):
    """dbt, ready to be forked and killed."""
    project = make_project("duckdb", **world.project_parts("duckdb"))
    torture = harness.DuckDBTorture(project, tmp_path_factory.mktemp("torture"), SEED)
    yield torture
    torture.close()


def _points(torture: harness.DuckDBTorture) -> list[harness.Point]:
    """Every place of a later run, and some of the other scenarios'; for everyday tests a few of each strategy."""
    points = []
    for model in world.MODELS_OF["duckdb"]:
        if not FULL:
            points += torture.random.sample(torture.points(harness.SCENARIOS["later run"], model), 4)
            points += torture.moments(harness.SCENARIOS["later run"], model, 1)
            continue
        points += torture.points(harness.SCENARIOS["later run"], model)
        for name in ("first run", "full refresh", "grown mapping"):
            points += torture.random.sample(torture.points(harness.SCENARIOS[name], model), 8)
            points += torture.moments(harness.SCENARIOS[name], model, 2)
    return points


def test_no_kill_loses_or_doubles_anything_on_duckdb(duckdb_torture):
    # One kill may hide what another has left, so most chains of the full run are short.
    duckdb_torture.torture(_points(duckdb_torture), lengths=(1, 1, 2, 3) if FULL else (2, 3))
    figures = duckdb_torture.figures
    print(f"DuckDB: {figures}")
    assert not figures.problems
    assert figures.half_attempts
    assert figures.kills >= (200 if FULL else 20)
    if FULL:
        for model in world.MODELS_OF["duckdb"]:
            place = f"{model}, later run"
            assert len(figures.boundaries[place]) == figures.of_boundaries[place]


@pytest.fixture(scope="module")
def delta_torture(make_project, tmp_path_factory, spark_settings):
    """A project whose processes have a Spark session, a warehouse and a metastore of their own."""
    written = make_project("duckdb", **world.project_parts("spark"))
    folder = tmp_path_factory.mktemp("torture_delta")
    project = type(written)(written.directory, folder, "spark", "torture_delta", profile="torture")
    shared = str(Path(spark_settings["spark.sql.warehouse.dir"]).parent)
    settings = {name: value.replace(shared, "{folder}") for name, value in spark_settings.items()}
    # A JVM that lives for a minute: what the optimizing compiler takes it never gives back.
    settings["spark.driver.extraJavaOptions"] += " -XX:TieredStopAtLevel=1"
    return harness.DeltaTorture(project, folder, settings, SEED)


@pytest.mark.spark
def test_no_kill_loses_or_doubles_anything_on_delta(delta_torture):
    # Each kill takes a JVM with it, and each start of one a minute: everyday the first run is killed and a later one, where both
    # leave something behind.
    kills = int(os.environ.get("LINEAGE_AUDIT_TORTURE_DELTA_KILLS") or 26) if FULL else 2
    delta_torture.torture(kills, kills_per_warehouse=8, earliest=1 if FULL else 8)
    figures = delta_torture.figures
    print(f"Delta: {figures}")
    assert not figures.problems
    assert figures.half_attempts
    # Of so many orders to kill, some come after the statement that they wait for.
    assert figures.kills >= (min(20, kills - 6) if FULL else 1)
    if FULL:
        assert figures.rows_of_the_dead_in_gold
