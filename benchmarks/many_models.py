"""A project of many small mapped models against the same models in plain SQL: wall time of the whole `dbt run`, DuckDB."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from checks import WrongResultError
from engines import DuckDB
from forms import COLUMN_NAMES, COLUMNS, LINEAGE_TABLES, Form, verdict
from matrix import spread
from project import DbtFailedError, Project

GOAL = 1.5  # times the plain project
HEADER = """
| models | rows of each | form | ratio, median (range) | mapped, seconds | plain, seconds | goal |
| --- | --- | --- | --- | --- | --- | --- |"""


def report(place: Path, rows: Collection[int], models: int, forms: Collection[Form], rounds: int) -> None:
    """Prints a line per form and number of rows. The plain project knows nothing of the package."""
    print(f"\nduckdb: a whole dbt run with one thread, {rounds} rounds\n{HEADER}", flush=True)
    names = [f"orders_{number:03}" for number in range(1, models + 1)]
    for count in rows:
        for form in forms:
            plain = Project(
                DuckDB(place / f"plain_{count}_{form.name}"), count, "table", "sequential", (), names
            ).build()
            copies = [replace(form, name=name) for name in names]
            mapped = Project(DuckDB(place / f"{form.name}_{count}"), count, "table", "sequential", copies, ()).build()
            measured = []
            for number in range(rounds + 1):
                pair = run_seconds(plain), run_seconds(mapped)
                if number == 0:
                    check(plain, mapped, form)
                else:
                    measured.append(pair)
            ratios = [of_mapped / of_plain for of_plain, of_mapped in measured]
            plain_seconds, mapped_seconds = (statistics.median(side) for side in zip(*measured, strict=True))
            print(
                f"| {models} | {count:,} | {form.meaning} | {spread(ratios)} | {mapped_seconds:.1f} | {plain_seconds:.1f}"
                f" | {verdict(statistics.median(ratios), GOAL)} |",
                flush=True,
            )


def run_seconds(project: Project) -> float:
    """Wall time of a dbt process that builds every gold model of a project, in seconds."""
    begin = time.perf_counter()
    done = subprocess.run(
        project.command("run", "--select", "path:models/gold", "--threads", "1"), capture_output=True, text=True
    )
    seconds = time.perf_counter() - begin
    if done.returncode:
        raise DbtFailedError(done.stdout + done.stderr)
    return seconds


def check(plain: Project, mapped: Project, form: Form) -> None:
    """After the first run: every mapped model holds what the plain ones hold, and has its lineage."""
    accepted, models = form.accepted(mapped.rows), len(mapped.forms)
    where = " where amount_raw >= 0" if form.rejected else ""

    def contents(project: Project, names: Collection[str]) -> set[tuple]:
        each = f"select {project.engine.fingerprint(COLUMN_NAMES)} from {project.schema}"
        return set(project.engine.query(" union ".join(f"{each}.{name}{where}" for name in names)))

    audit = f"{mapped.schema}_audit"
    cells = accepted * len(COLUMNS) * models if form.capture in LINEAGE_TABLES else 0
    facts = {
        "contents": (contents(mapped, [copy.name for copy in mapped.forms]), contents(plain, plain.plain)),
        "successful runs": (
            mapped.engine.query(
                f"select count(*) from {audit}.ingestion_run where status = 'SUCCESS' and output_record_count = {accepted}"
            ),
            [(models,)],
        ),
        "lineage": (mapped.engine.query(f"select count(*) from {audit}.column_lineage"), [(cells,)]),
    }
    for fact, (found, wanted) in facts.items():
        if found != wanted:
            raise WrongResultError(f"{fact}: {found} instead of {wanted}")
