"""The recomputation of all that a table holds, by the test `lineage_replays` and by `what_if`, against a full scan of its lineage."""

from __future__ import annotations

import itertools
import json
import statistics
import time
from collections.abc import Collection
from pathlib import Path

import yaml
from checks import WrongResultError, check
from engines import ENGINES
from forms import COLUMNS, LINEAGE_TABLES, Form, verdict
from matrix import spread
from project import Project

GOAL = 3.0  # of replay, times a scan of the lineage
CHANGED = "amount_raw * fx_rate * 2"
HEADER = """
| rows | cells | keys | form | scan of the lineage, seconds: median (range) | replay, seconds: median (range) | ratio of medians | goal | what-if, seconds: median (range) | ratio of medians |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"""


def report(
    place: Path,
    engines: Collection[str],
    rows: Collection[int],
    keys: Collection[str],
    forms: Collection[Form],
    rounds: int,
) -> None:
    """Prints a table per engine. The lineage of each form is written by one run of its model; of each question a first one is not counted."""
    for engine in engines:
        print(f"\n{engine}: {rounds} questions of each kind, by turns\n{HEADER}", flush=True)
        for count, kind in itertools.product(rows, keys):
            project = Project(ENGINES[engine](place / f"{engine}_{count}_{kind}"), count, "table", kind, forms).build()
            tests = [{"name": form.name, "data_tests": [_replays(form)]} for form in forms]
            (project.folder / "models" / "replays.yml").write_text(yaml.safe_dump({"models": tests}))
            project.dbt("run", "--select", "plain")
            for form in forms:
                project.dbt("run", "--select", form.name, "--threads", "1")
                check(project, form)
            for form in forms:
                scans, replays, what_ifs = zip(*(one_round(project, form) for _ in range(rounds + 1)), strict=True)
                medians = [statistics.median(each[1:]) for each in (scans, replays, what_ifs)]
                print(
                    f"| {count:,} | {form.accepted(count) * len(COLUMNS):,} | {kind} | {form.meaning} | {spread(scans[1:])} | {spread(replays[1:])}"
                    f" | {medians[1] / medians[0]:.2f} | {verdict(medians[1] / medians[0], GOAL)} | {spread(what_ifs[1:])} | {medians[2] / medians[0]:.2f} |",
                    flush=True,
                )
            project.remove()


def one_round(project: Project, form: Form) -> tuple[float, float, float]:
    """Seconds of engine time: a scan, all statements of the test, all statements of a what-if with its sample."""
    begin = time.perf_counter()
    project.engine.query(scan(project, form))
    scanned = time.perf_counter() - begin
    replayed = project.dbt("test", "--select", f"{form.name}_replays", "--threads", "1")[f"{form.name}_replays"].seconds
    arguments = {
        "target_table": form.name,
        "changes": {"field_mapping": [{"target_column": "order_amount", "transform_expr": CHANGED}]},
        "output": "json",
    }
    costs, printed = project.asked(
        "--quiet", "run-operation", "lineage_audit.what_if", "--args", json.dumps(arguments), "--threads", "1"
    )
    _expect(project, form, json.loads(printed))
    return scanned, replayed, sum(cost.seconds for cost in costs.values())


def scan(project: Project, form: Form) -> str:
    """Reads every value of the lineage that the last run of a form wrote."""
    if form.capture not in LINEAGE_TABLES:
        return f"select {project.engine.fingerprint(['_lineage_source_values'])} from {project.schema}.{form.name}"
    table = LINEAGE_TABLES[form.capture][0]
    columns = ["target_pk", "source_values"] + (["column_position"] if form.capture == "exploded" else [])
    audit = f"{project.schema}_audit"
    return (
        f"select {project.engine.fingerprint(columns)} from {audit}.{table} where attempt_id in"
        f" (select attempt_id from {audit}.run_event where target_table = '{form.name}' and event_type = 'SUCCESS')"
    )


def _expect(project: Project, form: Form, answer: dict) -> None:
    gold = f"{project.schema}.{form.name}" + (
        " where size(_lineage_failed_rules) = 0" if form.rejected == "keep" else ""
    )
    if form.rejected == "keep" and project.engine.name == "duckdb":
        gold = gold.replace("size(", "len(")
    changed = f"count(case when try_cast({CHANGED} as decimal(18,2)) is distinct from order_amount then 1 end)"
    wanted = tuple(project.engine.query(f"select count(*), {changed} from {gold}")[0])
    found = answer["gold"]["record_count"], answer["changed_cell_count"]
    if found != wanted:
        raise WrongResultError(f"{project.engine.name}, {form.name}: what_if counts {found} instead of {wanted}")


def _replays(form: Form) -> dict:
    return {"lineage_audit.lineage_replays": {"name": f"{form.name}_replays"}}
