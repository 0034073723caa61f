"""Every form against a plain `create table as select` of the same gold: a table of figures per engine."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Collection, Sequence
from pathlib import Path

from checks import check
from engines import ENGINES
from forms import ADDED_GOALS, LINEAGE_TABLES, PLAIN, RATIO_GOALS, Form, verdict
from project import Cost, Project

HEADER = """
| rows | upstream | keys | form | ratio, median (range) | rules add | seconds | lineage, bytes per gold row | statements | scans | goal |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"""


def report(
    place: Path,
    engines: Collection[str],
    rows: Collection[int],
    upstreams: Collection[str],
    keys: Collection[str],
    forms: Collection[Form],
    rounds: int,
) -> None:
    """Prints a table per engine, line by line as the figures come in."""
    for engine in engines:
        print(f"\n{engine}: ratio to a plain create table as select, {rounds} rounds\n{HEADER}", flush=True)
        for count, upstream, kind in itertools.product(rows, upstreams, keys):
            folder = place / f"{engine}_{count}_{upstream}_{kind}"
            project = Project(ENGINES[engine](folder), count, upstream, kind, forms).build()
            sizes = warm_up(project)
            measured = [one_round(project) for _ in range(rounds)]
            for line in lines(project, sizes, measured):
                print(f"| {count:,} | {upstream} | {kind} | {line} |", flush=True)
            project.remove()


def one_round(project: Project) -> dict[str, Cost]:
    """Builds every model once, the plain one first; the cost of each."""
    return {name: build(project, name) for name in (PLAIN, *(form.name for form in project.forms))}


def build(project: Project, model: str) -> Cost:
    return project.dbt("run", "--select", model, "--threads", "1")[model]


def warm_up(project: Project) -> dict[str, float]:
    """A first round, which is not counted: warms all models alike, checks what they wrote, and gives the bytes per gold
    row of each: of plain gold; of a form what its gold and its lineage table take beyond that."""
    engine = project.engine
    build(project, PLAIN)
    sizes = {PLAIN: engine.bytes_of(f"{project.schema}.{PLAIN}") / project.rows}
    for form in project.forms:
        before = _lineage_bytes(project, form)
        build(project, form.name)
        lineage = (_lineage_bytes(project, form) - before) / form.accepted(project.rows)
        check(project, form)
        gold_rows = project.rows if form.rejected == "keep" else form.accepted(project.rows)
        sizes[form.name] = engine.bytes_of(f"{project.schema}.{form.name}") / gold_rows - sizes[PLAIN] + lineage
    return sizes


def _lineage_bytes(project: Project, form: Form) -> int:
    """The size of the table that this form writes lineage to, in bytes."""
    if form.capture not in LINEAGE_TABLES:
        return 0
    table, _ = LINEAGE_TABLES[form.capture]
    return project.engine.bytes_of(f"{project.schema}_audit.{table}")


def lines(project: Project, sizes: dict[str, float], measured: Sequence[dict[str, Cost]]) -> list[str]:
    """A line of the table per model."""
    ratios = {model: [costs[model].seconds / costs[PLAIN].seconds for costs in measured] for model in (PLAIN, *sizes)}
    found = [_line("plain create table as select", "1", "", measured, PLAIN, f"(gold: {sizes[PLAIN]:.0f})", "")]
    for form in project.forms:
        added = []
        if form.rejected and form.without_rules in ratios:
            pairs = zip(ratios[form.name], ratios[form.without_rules], strict=True)
            added = [with_rules - without for with_rules, without in pairs]
        found.append(
            _line(
                form.meaning, spread(ratios[form.name]), spread(added), measured, form.name, f"{sizes[form.name]:.0f}",
                _goal(project, form, ratios[form.name], added),
            )
        )  # fmt: skip
    return found


def _line(
    meaning: str, ratio: str, added: str, measured: Sequence[dict[str, Cost]], model: str, size: str, goal: str
) -> str:
    seconds = statistics.median(costs[model].seconds for costs in measured)
    last = measured[-1][model]
    scans = f"{last.scans}, its copy {last.copy_scans}" if last.copy_scans else str(last.scans)
    return " | ".join((meaning, ratio, added, f"{seconds:.2f}", size, str(last.statements), scans, goal))


def _goal(project: Project, form: Form, ratios: Sequence[float], added: Sequence[float]) -> str:
    """The goals are for a table upstream: the whole ratio without rules, what the rules add with them."""
    if project.upstream != "table":
        return ""
    if not form.rejected:
        return verdict(statistics.median(ratios), RATIO_GOALS[project.engine.name][form.capture])
    return f"+{verdict(statistics.median(added), ADDED_GOALS[form.rejected])}" if added else ""


def spread(values: Sequence[float]) -> str:
    """Median and range, nothing where there are no values."""
    if not values:
        return ""
    return f"{statistics.median(values):.2f} ({min(values):.2f}–{max(values):.2f})"
