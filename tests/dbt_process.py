"""dbt in a process of its own, forked from one that has dbt-databricks loaded: to load it takes as long as one model does."""

from __future__ import annotations

import multiprocessing
import os
import sys
from pathlib import Path

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["dbt.cli.main", "dbt.adapters.databricks"])


class DbtProcess:
    """A dbt command that runs beside others; what it prints goes into a file."""

    def __init__(self, arguments: list[str], output: Path):
        self._output = output
        self._process = _FORKS.Process(target=_run, args=(arguments, str(output), dict(os.environ)))
        self._process.start()

    def wait(self, seconds: int = 900) -> tuple[int, str]:
        """Its exit code and what it printed. Raises TimeoutError after so many seconds, and then it is stopped."""
        self._process.join(seconds)
        if self._process.exitcode is None:
            self._process.kill()
            raise TimeoutError(f"dbt has not ended in {seconds} s\n{self._output.read_text(encoding='utf-8')}")
        return self._process.exitcode, self._output.read_text(encoding="utf-8")


def _run(arguments: list[str], output: str, environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    written = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(written, stream)
    from dbt.cli.main import dbtRunner

    result = dbtRunner().invoke(arguments)
    if result.exception:
        print(result.exception)
    sys.exit(0 if result.success else 1)
