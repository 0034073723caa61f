"""The peak memory of a dbt process that puts many rows through a form, with 2 GB for DuckDB."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

from checks import check
from engines import DuckDB
from forms import PLAIN, Form
from project import DbtFailedError, Project

SETTINGS = {"memory_limit": "2GB"}
HEADER = """
| rows | upstream | keys | form | peak resident memory, MiB, or error | seconds |
| --- | --- | --- | --- | --- | --- |"""


def report(
    place: Path, rows: Collection[int], upstreams: Collection[str], keys: Collection[str], forms: Collection[Form]
) -> None:
    """Prints a line per model. Python and dbt are part of the process, DuckDB's limit is not for them."""
    print(f"\nduckdb with memory_limit 2 GB: each model in a dbt process of its own\n{HEADER}", flush=True)
    for count, upstream, kind in itertools.product(rows, upstreams, keys):
        folder = place / f"memory_{count}_{upstream}_{kind}"
        project = Project(DuckDB(folder, SETTINGS), count, upstream, kind, forms).build()
        meanings = {PLAIN: "plain create table as select"} | {form.name: form.meaning for form in forms}
        for model, meaning in meanings.items():
            peak, seconds = in_own_process(project, model)
            print(f"| {count:,} | {upstream} | {kind} | {meaning} | {peak} | {seconds} |", flush=True)
        project.remove()


def in_own_process(project: Project, model: str) -> tuple[str, str]:
    """Builds a model in a new process: its peak memory in MiB, or what went wrong; and the engine's seconds."""
    try:
        with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as process:
            peak, seconds = process.submit(peak_of_build, project, model).result()
    except BrokenProcessPool:
        return "the process was killed", ""
    except DbtFailedError as error:
        return _engine_error(str(error)), ""
    for form in project.forms:
        if form.name == model:
            check(project, form)
    return f"{peak:,.0f}", f"{seconds:.1f}"


def peak_of_build(project: Project, model: str) -> tuple[float, float]:
    """Builds a model within this process: the process's peak memory in MiB, and the engine's seconds. Linux alone."""
    cost = project.dbt("run", "--select", model, "--threads", "1")[model]
    # Not getrusage: what it tells begins with the memory of the process that this one was forked from.
    kibibytes = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(kibibytes[1]) / 1024, cost.seconds


def _engine_error(printed: str) -> str:
    """DuckDB's own line of what dbt printed."""
    found = re.search(r"\w+(?: \w+)* Error: .*", printed)
    return found[0] if found else printed.splitlines()[-1]
