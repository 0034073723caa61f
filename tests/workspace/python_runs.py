"""Python models: the ways in which dbt-databricks has a workspace run them, as a command, a run or a job.

https://docs.databricks.com/api/workspace/introduction documents the endpoints. The code runs here, in a session of Spark of
its own; on which cluster and with which libraries it was to run can be read back.
"""

from __future__ import annotations

import base64
import itertools
import re
import threading
import traceback
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from workspace.session import Workspace

Json = dict[str, Any]
# What a run's only task is called by, so that the output of a run can be asked for by its task.
_TASK_OFFSET = 1_000_000


class PythonRuns:
    def __init__(self, workspace: Workspace):
        self._workspace = workspace
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._notebooks: dict[str, str] = {}
        self._jobs: dict[int, Json] = {}
        self._permissions: dict[str, Json] = {}
        # The traceback of each run and command, or None.
        self._failures: dict[int, str | None] = {}
        self.submitted: list[Json] = []
        self.endpoints: dict[tuple[str, str], Callable[[str, Json], Json]] = {
            ("GET", "clusters/get"): lambda user, body: {**body, "state": "RUNNING"},
            ("GET", "libraries/cluster-status"): lambda user, body: {**body, "library_statuses": []},
            ("POST", "contexts/create"): lambda user, body: {"id": str(next(self._numbers))},
            ("GET", "contexts/status"): lambda user, body: {"id": body["contextId"], "status": "Running"},
            ("POST", "contexts/destroy"): lambda user, body: {"id": body["contextId"]},
            ("POST", "commands/execute"): self._execute_command,
            ("GET", "commands/status"): self._command_status,
            ("POST", "workspace/mkdirs"): lambda user, body: {},
            ("POST", "workspace/import"): self._import_notebook,
            ("GET", "workspace/get-status"): lambda user, body: {
                "object_id": 1, "object_type": "NOTEBOOK", "language": "PYTHON", **body,
            },
            ("POST", "jobs/runs/submit"): lambda user, body: self._run(body, body["tasks"]),
            ("GET", "jobs/runs/get"): self._run_status,
            ("GET", "jobs/runs/get-output"): self._run_output,
            ("GET", "jobs/list"): self._list_jobs,
            ("POST", "jobs/create"): self._create_job,
            ("POST", "jobs/reset"): self._reset_job,
            ("POST", "jobs/run-now"): lambda user, body: self._run(body, self._jobs[body["job_id"]]["tasks"]),
        }  # fmt: skip

    def permissions(self, method: str, what: str, body: Json) -> Json:
        if method != "GET":
            self._permissions[what] = body
        return {"object_id": what, **self._permissions.get(what, {"access_control_list": []})}

    def _python(self, code: str) -> int:
        """Run the code to its end; what it is known by."""
        number = next(self._numbers)
        failure = None
        # A notebook may install packages for itself and start Python anew: here they are there.
        code = re.sub(r"^%pip install .*$", "", code, flags=re.MULTILINE)
        dbutils = SimpleNamespace(library=SimpleNamespace(restartPython=lambda: None))
        try:
            compiled = compile(self._workspace.catalogs.in_code(code), "<python model>", "exec")
            exec(compiled, {"spark": self._workspace.spark.newSession(), "dbutils": dbutils, "__name__": "__main__"})
        except Exception:
            failure = self._workspace.catalogs.from_spark(traceback.format_exc())
        self._failures[number] = failure
        return number

    def _execute_command(self, user: str, body: Json) -> Json:
        self.submitted.append({"user": user, "cluster": body["clusterId"]})
        return {"id": str(self._python(body["command"]))}

    def _command_status(self, user: str, body: Json) -> Json:
        failure = self._failures[int(body["commandId"])]
        results = {"resultType": "text", "data": ""}
        if failure:
            results = {"resultType": "error", "cause": failure, "summary": failure.strip().splitlines()[-1]}
        return {"id": body["commandId"], "status": "Finished", "results": results}

    def _import_notebook(self, user: str, body: Json) -> Json:
        self._notebooks[body["path"]] = base64.b64decode(body["content"]).decode()
        return {}

    def _run(self, body: Json, tasks: list[Json]) -> Json:
        self.submitted.append({**body, "tasks": tasks})
        (task,) = tasks
        return {"run_id": self._python(self._notebooks[task["notebook_task"]["notebook_path"]])}

    def _run_status(self, user: str, body: Json) -> Json:
        number = int(body["run_id"])
        result = "FAILED" if self._failures[number] else "SUCCESS"
        state = {"life_cycle_state": "TERMINATED", "result_state": result, "state_message": ""}
        task = {"run_id": number + _TASK_OFFSET, "task_key": "inner_notebook", "state": state}
        return {"run_id": number, "job_id": number, "state": state, "tasks": [task]}

    def _run_output(self, user: str, body: Json) -> Json:
        failure = self._failures[int(body["run_id"]) % _TASK_OFFSET]
        return {"error": failure.strip().splitlines()[-1], "error_trace": failure} if failure else {}

    def _list_jobs(self, user: str, body: Json) -> Json:
        found = [each for each in self._jobs.items() if each[1]["name"] == body.get("name")]
        return {"jobs": [{"job_id": number, "settings": {"name": settings["name"]}} for number, settings in found]}

    def _create_job(self, user: str, body: Json) -> Json:
        number = next(self._numbers)
        self._jobs[number] = body
        return {"job_id": number}

    def _reset_job(self, user: str, body: Json) -> Json:
        self._jobs[body["job_id"]] = body["new_settings"]
        return {}
