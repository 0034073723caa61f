"""How a run, and the questions to the store, grow with the runs that the store remembers, DuckDB."""

from __future__ import annotations

import itertools
import statistics
import time
from pathlib import Path

from engines import DuckDB
from forms import Form
from matrix import build, spread
from project import Project
from source import source_texts

REMEMBERED = (0, 10_000, 100_000, 1_000_000)
TARGETS = 200  # that the remembered runs are of
ROUNDS = 5
HEADER = f"""
| runs of {TARGETS} other models | run_event, MB | a run of one model, seconds | its last run in ingestion_run, ms | a cell in column_lineage, ms |
| --- | --- | --- | --- | --- |"""

# The events of the first run of this project, as other models would have written them an hour apart.
REMEMBER = """
insert into {store}.run_event by name
select first_run.* replace (
  event_ts - to_hours(id // {targets} + 1) as event_ts,
  attempt_id + id + 1 as attempt_id,
  'run-' || id // {targets} as run_id,
  'run-' || id // {targets} as invocation_id,
  target_relation || '_' || id % {targets} as target_relation,
  target_table || '_' || id % {targets} as target_table
)
from first_run
cross join range({first}, {end}) as ids(id)
"""


def report(place: Path, rows: int, form: Form) -> None:
    """Prints a line per number of remembered runs."""
    print(f"\nduckdb: {form.meaning}, {rows:,} rows, {ROUNDS} rounds\n{HEADER}", flush=True)
    project = Project(DuckDB(place / "history"), rows, "table", "sequential", [form], ()).build()
    store = f"{project.schema}_audit"
    build(project, form.name)
    project.engine.query(f"create table first_run as from {store}.run_event where target_table = '{form.name}'")
    for first, end in itertools.pairwise((0, *REMEMBERED)):
        project.engine.query(REMEMBER.format(store=store, targets=TARGETS, first=first, end=end))
        runs = [build(project, form.name).seconds for _ in range(ROUNDS + 1)][1:]
        size = project.engine.bytes_of(f"{store}.run_event") / 1e6
        last_run = (
            f"select * from {store}.ingestion_run where target_table = '{form.name}' order by run_start_ts desc limit 1"
        )
        key = source_texts(rows // 2, project.keys)["order_id"]
        cell = f"select * from {store}.column_lineage where target_table = '{form.name}' and target_pk = '{key}'"
        print(
            f"| {end:,} | {size:.1f} | {spread(runs)} | {_milliseconds(project, last_run)} | {_milliseconds(project, cell)} |",
            flush=True,
        )
    project.remove()


def _milliseconds(project: Project, question: str) -> str:
    """Median of some times that a question takes in one session; a first one is not counted."""
    taken = []
    with project.engine.session() as ask:
        for _ in range(ROUNDS + 1):
            begin = time.perf_counter()
            ask(question)
            taken.append((time.perf_counter() - begin) * 1000)
    return f"{statistics.median(taken[1:]):.1f}"
