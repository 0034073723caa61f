"""The side that dies: dbt in a process of its own, which kills itself where it is told to.

Run as a script by harness.py. `serve` answers orders on standard input: it imports dbt and parses the project once, then
forks a child for every order, so that a kill on DuckDB costs no start. `spark` carries out the orders of one file in a
process group of its own with a Spark session: the whole group dies, JVM and all.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any


def die() -> None:
    """End at once, as a lost machine does: no handler runs, nothing is flushed. On Spark the JVM goes first."""
    if os.environ.get("LINEAGE_AUDIT_TORTURE_GROUP"):
        os.killpg(0, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


class Watch:
    """Follows dbt's statements, writes each down before and after it, and kills where `kill` says.

    kill: {"when": "before" | "after" | "during", "statement": n, "node": name or none, "delay": seconds}: the n-th
    statement of that node, or of the whole command. {"when": "moment", "delay": seconds}: so long after the first one.
    """

    def __init__(self, progress: Path, kill: dict[str, Any] | None):
        self.file = os.open(progress, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        self.kill = kill or {"when": "never"}
        self.counts: dict[str | None, int] = {}
        self.sent: dict[str, float] = {}
        self.lock = threading.Lock()

    def __call__(self, event) -> None:
        if event.info.name not in ("SQLQuery", "SQLQueryStatus"):
            return
        with self.lock:
            node = (event.data.node_info.unique_id or "..").split(".")[2]
            done = event.info.name == "SQLQueryStatus"
            if not done:
                for name in (None, node):
                    self.counts[name] = self.counts.get(name, 0) + 1
                self.sent[node] = time.perf_counter()
            self._note(event, node, done)
            self._act(node, done)

    def _note(self, event, node: str, done: bool) -> None:
        line = {
            "invocation_id": event.info.invocation_id,
            "node": node,
            "place": self.counts[node],
            "statement": self.counts[None],
            "done": done,
        }
        if done:
            line["seconds"] = time.perf_counter() - self.sent[node]
        else:
            line["sql"] = event.data.sql[:2000]
        # One write, so that a line is there whole or not at all.
        os.write(self.file, (json.dumps(line) + "\n").encode())

    def _act(self, node: str, done: bool) -> None:
        when = self.kill["when"]
        if when == "moment" and self.counts[None] == 1 and not done:
            self._die_later()
        elif when != "never" and when != "moment":
            here = self.kill.get("node")
            if here in (None, node) and self.counts[here] == self.kill["statement"] and done == (when == "after"):
                if when == "during":
                    self._die_later()
                else:
                    die()

    def _die_later(self) -> None:
        def wait() -> None:
            time.sleep(self.kill["delay"])
            die()

        threading.Thread(target=wait, daemon=True).start()


def run_dbt(order: dict[str, Any], manifest=None) -> bool:
    """One dbt command; whether it succeeded."""
    from dbt.cli.main import dbtRunner

    watch = Watch(Path(order["progress"]), order.get("kill"))
    variables = ["--vars", json.dumps(order["vars"])] if order.get("vars") else []
    result = dbtRunner(manifest=manifest, callbacks=[watch]).invoke([*order["arguments"], *variables])
    if not result.success and result.exception:
        print(result.exception)
    return result.success


def parse(arguments: list[str]):
    """The project's manifest."""
    from dbt.cli.main import dbtRunner

    parsed = dbtRunner().invoke(["parse", *arguments])
    if not parsed.success:
        raise SystemExit(f"dbt parse failed: {parsed.exception}")
    return parsed.result


# --- DuckDB: a fork for every order ------------------------------------------------------------------------------


def serve(parse_arguments: list[str]) -> None:
    """Answer orders, one JSON document a line, with the exit status of the child that carried each out."""
    answers = os.fdopen(os.dup(1), "w")
    # What dbt prints goes to where standard error goes, so that answers stay alone on their line.
    os.dup2(2, 1)
    manifest = parse(parse_arguments)
    # What was parsed stays where it is: a collector that touches it would copy it into every child.
    gc.collect()
    gc.freeze()
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if not child:
            _carry_out(order, manifest)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)


def _carry_out(order: dict[str, Any], manifest) -> None:
    success = False
    try:
        # Orders that come after this one are not for the child.
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ.update(order.get("environment", {}))
        output = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        success = run_dbt(order, manifest)
        _let_go_of_duckdb()
    finally:
        sys.stdout.flush()
        os._exit(0 if success else 1)


def _let_go_of_duckdb() -> None:
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    DuckDBConnectionManager.close_all_connections()


# --- Spark: one process, one session -----------------------------------------------------------------------------


def run_on_spark(orders: dict[str, Any]) -> None:
    """Carry out the steps of a file in one session: SQL to execute, tables to write down, dbt commands."""
    os.environ["LINEAGE_AUDIT_TORTURE_GROUP"] = "yes"
    os.environ["TZ"] = "UTC"
    time.tzset()
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.enableHiveSupport()
    for name, value in orders["settings"].items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    manifest = parse(orders["parse"])
    for step in orders["steps"]:
        if "execute" in step:
            for statement in step["execute"]:
                session.sql(statement)
        elif "dump" in step:
            Path(step["into"]).write_text(json.dumps(_dump(session, step["dump"]), default=str))
        elif not run_dbt(step, manifest):
            raise SystemExit(1)
    session.stop()


def _dump(session, queries: dict[str, str]) -> dict[str, list[dict[str, Any]] | None]:
    """The rows of each query; none where it can't be answered, as that of a table which is not there yet."""
    from pyspark.errors import AnalysisException

    found: dict[str, Any] = dict.fromkeys(queries)
    for name, sql in queries.items():
        with contextlib.suppress(AnalysisException):
            found[name] = [row.asDict(recursive=True) for row in session.sql(sql).collect()]
    return found


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2:])
    else:
        run_on_spark(json.loads(Path(sys.argv[2]).read_text()))
