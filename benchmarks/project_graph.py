"""The lineage graph of a generated dbt project: all of it, after one change, and `impact` on it; the OpenLineage events of a run. DuckDB."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import yaml
from checks import WrongResultError
from engines import ROOT, DuckDB
from lineage_speed import sql_of
from project import DbtFailedError

COLUMNS = 20
SCHEMA = "bench"
TABLE = re.compile(r"lake\.(main|raw)\.(\w+)")
HEADER = """
| models | columns of each | what | wall, seconds | peak resident memory, MiB |
| --- | --- | --- | --- | --- |"""


def report(place: Path, models: int) -> None:
    """Prints a line per dbt command. Each is a process of its own, parsing of the project included."""
    print(f"\nduckdb: a generated project, each line a dbt command\n{HEADER}", flush=True)
    engine = DuckDB(place / "graph")
    _write(engine, models)

    def command(what: str, *arguments: str) -> str:
        seconds, peak, printed = _run(engine, *arguments)
        print(f"| {models:,} | {COLUMNS} | {what} | {seconds:.1f} | {peak:,.0f} |", flush=True)
        return printed

    _run(engine, "deps")
    command("dbt run of all models, which are empty tables", "run", "--exclude", "package:lineage_audit")
    command("the graph of all", "run", "--select", "lineage_audit.graph")
    whole = _edges(engine)
    columns = {(table, column) for table, column, *_ in whole if column}
    problems = engine.query(
        f"select downstream_table, problem from {SCHEMA}_audit.lineage_edge where problem is not null"
    )
    if problems or len(columns) != models * COLUMNS:
        raise WrongResultError(f"of {models * COLUMNS} columns {len(columns)} have edges; not followed: {problems}")
    command("the graph, where nothing changed", "run", "--select", "lineage_audit.graph")
    if _edges(engine) != whole:
        raise WrongResultError("the graph of the same project is another one")
    changed = f"model_{models // 2 // 5 * 5:04}"
    path = engine.folder / "models" / f"{changed}.sql"
    path.write_text(path.read_text().replace("trim(raw_c04)", "ltrim(raw_c04)"))
    _run(engine, "run", "--select", changed)
    command("the graph after one model's change", "run", "--select", "lineage_audit.graph")
    if {name for name, _, *_ in _edges(engine) ^ whole} != {changed}:
        raise WrongResultError(f"{changed} has changed, and other edges differ")
    asked = "{table: raw.source_0000, column: raw_c04}"
    printed = command("impact of a source column", "run-operation", "lineage_audit.impact", "--args", asked, "--quiet")
    if "model_" not in printed:
        raise WrongResultError(printed)


def report_events(place: Path, models: int) -> None:
    """Prints what it costs to note what a run executed, to make OpenLineage events of it, and to send them."""
    engine = DuckDB(place / "events")
    _write(engine, models)
    run = ("run", "--exclude", "package:lineage_audit")
    graph = ("run", "--select", "lineage_audit.graph")
    for arguments in (("deps",), run, graph):
        _run(engine, *arguments)
    _send(engine, engine.folder / "first.jsonl")
    whole, *_ = _run(engine, *run)
    # dbt counts a package's hooks from 0: run events, compiled SQL, what ran.
    noting = _seconds_of(engine, "lineage_audit-on-run-end-2")
    with_graph, *_ = _run(engine, *graph)
    making = _seconds_of(engine, "openlineage_event")
    told = engine.query(
        f"select count(*), count(distinct run_id) from {SCHEMA}_audit.openlineage_event where kind = 'run'"
    )
    if told != [(models * 4, models * 2)]:
        raise WrongResultError(f"two runs of {models} models have other events: {told}")
    sent = engine.folder / "second.jsonl"
    sending = _send(engine, sent)
    ends = [json.loads(line)["eventType"] for line in sent.read_text().splitlines()]
    if sorted(ends) != ["COMPLETE"] * models + ["START"] * models:
        raise WrongResultError(f"of a run of {models} models other events were sent: {len(ends)}")
    print(
        f"\nduckdb: {models:,} generated models of {COLUMNS} columns, empty tables, a second run of all\n\n"
        "| what | seconds | share of the run |\n| --- | --- | --- |"
    )
    for what, seconds in {
        "dbt run of all models": whole,
        "in it: noting what ran": noting,
        "dbt run of the graph": with_graph,
        f"in it: the {len(ends)} events": making,
        "sending them, into a file": sending,
    }.items():
        print(f"| {what} | {seconds:.2f} | {seconds / whole:.1%} |", flush=True)


def _send(engine: DuckDB, log: Path) -> float:
    """Wall time of the script that sends what is pending, in seconds."""
    transport = {"type": "file", "log_file_path": str(log), "append": True}
    places = ["--project-dir", str(engine.folder), "--profiles-dir", str(engine.folder)]
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "send_openlineage.py"), *places],
        env={**os.environ, "OPENLINEAGE__TRANSPORT": json.dumps(transport)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DbtFailedError(done.stdout + done.stderr)
    return time.perf_counter() - begin


def _seconds_of(engine: DuckDB, name: str) -> float:
    """What dbt's last command says of a node or hook."""
    results = json.loads((engine.folder / "target" / "run_results.json").read_text())["results"]
    (seconds,) = (each["execution_time"] for each in results if each["unique_id"].endswith(name))
    return seconds


def _write(engine: DuckDB, models: int) -> None:
    """The project, and empty tables for its sources."""
    sources: set[str] = set()

    def reference(found: re.Match) -> str:
        if found[1] == "raw":
            sources.add(found[2])
            return f"{{{{ source('raw', '{found[2]}') }}}}"
        return f"{{{{ ref('{found[2]}') }}}}"

    files = {
        "profiles.yml": yaml.safe_dump(
            {"bench": {"target": "bench", "outputs": {"bench": engine.profile(SCHEMA)}}},
        ),
        "packages.yml": yaml.safe_dump({"packages": [{"local": str(ROOT)}]}),
        "dbt_project.yml": yaml.safe_dump(
            {
                "name": "bench", "version": "1.0", "profile": "bench", "vars": {"lineage_audit_graph": True},
                "models": {"bench": {"+materialized": "table"}}, "flags": {"send_anonymous_usage_stats": False},
            }
        ),
    }  # fmt: skip
    for number in range(models):
        files[f"models/model_{number:04}.sql"] = TABLE.sub(reference, sql_of(number, COLUMNS))
    tables = [{"name": name} for name in sorted(sources)]
    files["models/sources.yml"] = yaml.safe_dump({"sources": [{"name": "raw", "tables": tables}]})
    for name, content in files.items():
        path = engine.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    names = ["raw_id", "raw_key", "raw_happened_at", *(f"raw_c{place:02}" for place in range(4, COLUMNS + 1))]
    engine.query("create schema raw")
    for name in sources:
        engine.query(f"create table raw.{name} ({', '.join(f'{each} varchar' for each in names)})")


def _run(engine: DuckDB, *arguments: str) -> tuple[float, float, str]:
    """A dbt command in a process of its own: wall time in seconds, peak memory in MiB, and what it printed."""
    places = ["--project-dir", str(engine.folder), "--profiles-dir", str(engine.folder)]
    places += ["--log-path", str(engine.folder / "logs")]
    output = engine.folder / "printed.txt"
    begin = time.perf_counter()
    with output.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "dbt.cli.main", *arguments, *places], stdout=file, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise DbtFailedError(output.read_text())
    return seconds, usage.ru_maxrss / 1024, output.read_text()


def _edges(engine: DuckDB) -> set[tuple]:
    """The edges of the graph, by the last part of their tables' names."""
    last = "regexp_extract({}, '[^.]+$')"
    return set(
        engine.query(
            f"select {last.format('downstream_table')}, downstream_column, {last.format('upstream_table')}, upstream_column,"
            f" transformation_type, transformation_subtype, expression from {SCHEMA}_audit.lineage_edge"
        )
    )
