"""The lineage of one cell, asked of the view `column_lineage`, against a point query on the gold it explains."""

from __future__ import annotations

import itertools
import json
import random
import statistics
import time
from collections.abc import Collection
from pathlib import Path

from checks import WrongResultError, check
from engines import ENGINES
from forms import COLUMNS, LINEAGE_TABLES, PLAIN, Form, verdict
from project import Project
from source import source_texts

PAIRS = 20
SEED = 6
GOAL = 2.0  # times a point query on gold
COLUMN = "order_amount"
HEADER = """
| rows | cells | keys | capture | store | point query on gold, ms: median (range) | lineage of a cell, ms: median (range) | ratio of medians | goal |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |"""


def report(
    place: Path, engines: Collection[str], rows: Collection[int], keys: Collection[str], forms: Collection[Form]
) -> None:
    """Prints a table per engine. The gold and the lineage of each form are written by one run of its model; where the engine
    clusters tables later, they are asked once more after that, gold left as it is."""
    for engine in engines:
        print(f"\n{engine}: {PAIRS} queries of each kind, by turns\n{HEADER}", flush=True)
        for count, kind in itertools.product(rows, keys):
            project = Project(ENGINES[engine](place / f"{engine}_{count}_{kind}"), count, "table", kind, forms).build()
            project.dbt("run", "--select", PLAIN)
            for form in forms:
                project.dbt("run", "--select", form.name, "--threads", "1")
                check(project, form)
            _print_timings(project, forms, "as written")
            if project.engine.clusters_later:
                for form in forms:
                    project.engine.query(f"optimize {project.schema}_audit.{LINEAGE_TABLES[form.capture][0]}")
                _print_timings(project, forms, "optimized")
            project.remove()


def _print_timings(project: Project, forms: Collection[Form], store: str) -> None:
    for form in forms:
        gold, lineage = timings(project, form)
        ratio = statistics.median(lineage) / statistics.median(gold)
        print(
            f"| {project.rows:,} | {project.rows * len(COLUMNS):,} | {project.keys} | {form.capture} | {store}"
            f" | {_spread(gold)} | {_spread(lineage)} | {ratio:.2f} | {verdict(ratio, GOAL)} |",
            flush=True,
        )


def timings(project: Project, form: Form) -> tuple[list[float], list[float]]:
    """Milliseconds of each point query on gold, and of each query of a cell's lineage, for keys at random. Of both a
    first one is not counted."""
    numbers = random.Random(SEED).sample(range(project.rows), PAIRS + 1)
    gold, lineage = [], []
    with project.engine.session() as ask:
        for number in numbers:
            texts = source_texts(number, project.keys)
            key = texts["order_id"]
            found, milliseconds = _timed(
                ask, f"select {COLUMN}, amount_raw from {project.schema}.{form.name} where order_id = '{key}'"
            )
            gold.append(milliseconds)
            _expect([str(amount_raw) for _, amount_raw in found], [texts["amount_raw"]], key)
            found, milliseconds = _timed(
                ask,
                f"select source_values_json, transform_expr from {project.schema}_audit.column_lineage"
                f" where target_table = '{form.name}' and target_pk = '{key}' and target_column = '{COLUMN}'",
            )
            lineage.append(milliseconds)
            _expect(
                [json.loads(values) for values, _ in found],
                [{"amount_raw": texts["amount_raw"], "fx_rate": texts["fx_rate"]}],
                key,
            )
    return gold[1:], lineage[1:]


def _timed(ask, sql: str) -> tuple[list[tuple], float]:
    """What a query gives, and the milliseconds it took until its rows were here."""
    begin = time.perf_counter()
    found = ask(sql)
    return found, (time.perf_counter() - begin) * 1000


def _expect(found: list, wanted: list, key: str) -> None:
    if found != wanted:
        raise WrongResultError(f"{key}: {found} instead of {wanted}")


def _spread(milliseconds: list[float]) -> str:
    return f"{statistics.median(milliseconds):.1f} ({min(milliseconds):.1f}–{max(milliseconds):.1f})"
