"""Python models: the ways in which dbt-databricks has a workspace run them, as a command, a run or a job.

https://docs.databricks.com/api/workspace/introduction documents the endpoints. The code runs here, in a session of Spark of
its own, with the libraries that were declared where the compute takes them; both can be read back.
"""

from __future__ import annotations

import base64
import builtins
import itertools
import re
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import SimpleNamespace
from typing import Any

from workspace.errors import InvalidParameterError
from workspace.libraries import importer, install
from workspace.session import Workspace

Json = dict[str, Any]
# What a run's only task is called by, so that the output of a run can be asked for by its task.
_TASK_OFFSET = 1_000_000
# The adapter asks every ten seconds whether code has ended: an answer waits for the end, less long than the adapter's SDK for it.
_PATIENCE = 30


class PythonRuns:
    def __init__(self, workspace: Workspace):
        self._workspace = workspace
        self._numbers = itertools.count(1)
        self._threads = ThreadPoolExecutor()
        self._notebooks: dict[str, str] = {}
        self._jobs: dict[int, Json] = {}
        self._permissions: dict[str, Json] = {}
        # Of each run and command: the traceback, or None.
        self._runs: dict[int, Future[str | None]] = {}
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
            ("POST", "jobs/runs/submit"): self._run,
            ("GET", "jobs/runs/get"): self._run_status,
            ("GET", "jobs/runs/get-output"): self._run_output,
            ("GET", "jobs/list"): self._list_jobs,
            ("POST", "jobs/create"): self._create_job,
            ("POST", "jobs/reset"): self._reset_job,
            ("POST", "jobs/run-now"): lambda user, body: self._run(user, self._jobs[body["job_id"]]),
        }  # fmt: skip

    def permissions(self, method: str, what: str, body: Json) -> Json:
        if method != "GET":
            self._permissions[what] = body
        return {"object_id": what, **self._permissions.get(what, {"access_control_list": []})}

    # --- code ------------------------------------------------------------------------------------------------

    def _start(self, user: str, compute: str, code: str, libraries: list[str]) -> int:
        """Run the code with these libraries and those that it installs for itself; what it is known by."""
        for line in re.findall(r"^%pip install (.*)$", code, flags=re.MULTILINE):
            libraries = [*libraries, *(each for each in line.split() if not each.startswith("-") and "://" not in each)]
        self.submitted.append({"user": user, "compute": compute, "libraries": libraries})
        number = next(self._numbers)
        self._runs[number] = self._threads.submit(self._python, code, libraries)
        return number

    def _python(self, code: str, libraries: list[str]) -> str | None:
        catalogs = self._workspace.catalogs
        code = re.sub(r"^%pip install .*$", "", code, flags=re.MULTILINE)
        try:
            scope = {
                "spark": self._session(),
                "dbutils": SimpleNamespace(library=SimpleNamespace(restartPython=lambda: None)),
                "__name__": "__main__",
                "__builtins__": {**vars(builtins), "__import__": importer(install(libraries))},
            }
            exec(compile(catalogs.in_code(code), "<python model>", "exec"), scope)
        except Exception:
            return catalogs.from_spark(traceback.format_exc())
        return None

    def _session(self) -> Any:
        """A session of Spark that takes names of three quoted parts, as the code makes them while it runs."""
        session = self._workspace.spark.newSession()
        for owner, names in ((session, ("sql", "table")), (session.catalog, ("tableExists",))):
            for name in names:
                setattr(owner, name, self._with_catalogs(getattr(owner, name)))
        return session

    def _with_catalogs(self, method: Callable[[str], Any]) -> Callable[[str], Any]:
        return lambda text: method(self._workspace.catalogs.in_code(text))

    def _has_ended(self, number: int) -> bool:
        return bool(wait([self._runs[number]], timeout=_PATIENCE).done)

    # --- commands --------------------------------------------------------------------------------------------

    def _execute_command(self, user: str, body: Json) -> Json:
        return {"id": str(self._start(user, body["clusterId"], body["command"], []))}

    def _command_status(self, user: str, body: Json) -> Json:
        number = int(body["commandId"])
        if not self._has_ended(number):
            return {"id": body["commandId"], "status": "Running"}
        failure = self._runs[number].result()
        results = {"resultType": "text", "data": ""}
        if failure:
            results = {"resultType": "error", "cause": failure, "summary": failure.strip().splitlines()[-1]}
        return {"id": body["commandId"], "status": "Finished", "results": results}

    # --- runs and jobs ---------------------------------------------------------------------------------------

    def _import_notebook(self, user: str, body: Json) -> Json:
        self._notebooks[body["path"]] = base64.b64decode(body["content"]).decode()
        return {}

    def _run(self, user: str, settings: Json) -> Json:
        (task,) = settings["tasks"]
        libraries = [each["pypi"]["package"] for each in task.get("libraries") or []]
        if "new_cluster" in task or "job_cluster_key" in task:
            compute = "job_cluster"
        elif "existing_cluster_id" in task:
            compute = task["existing_cluster_id"]
        else:
            compute = "serverless"
            libraries = _libraries_without_cluster(settings, task)
        code = self._notebooks[task["notebook_task"]["notebook_path"]]
        return {"run_id": self._start(user, compute, code, libraries)}

    def _run_status(self, user: str, body: Json) -> Json:
        number = int(body["run_id"])
        state = {"life_cycle_state": "RUNNING", "state_message": "In run"}
        if self._has_ended(number):
            state = _FAILED if self._runs[number].result() else _SUCCEEDED
        task = {"run_id": number + _TASK_OFFSET, "task_key": "inner_notebook", "state": state}
        return {"run_id": number, "job_id": number, "state": state, "tasks": [task]}

    def _run_output(self, user: str, body: Json) -> Json:
        failure = self._runs[int(body["run_id"]) % _TASK_OFFSET].result()
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


_SUCCEEDED = {"life_cycle_state": "TERMINATED", "result_state": "SUCCESS", "state_message": ""}
_FAILED = {
    # So the platform says it of a run with a list of tasks: https://github.com/PrefectHQ/prefect-databricks/pull/13
    "life_cycle_state": "INTERNAL_ERROR",
    "result_state": "FAILED",
    "state_message": "Task inner_notebook failed with message: Workload failed, see run output for details.",
}


def _libraries_without_cluster(settings: Json, task: Json) -> list[str]:
    """Serverless compute takes libraries by an environment of the job, and refuses those of a task; in the platform's words:
    https://github.com/databricks/dbt-databricks/issues/943, https://github.com/databricks/dbt-databricks/issues/1055"""
    if task.get("libraries"):
        raise InvalidParameterError(
            "Libraries field is not supported for serverless task, please specify libraries in environment."
        )
    environments = {each["environment_key"]: each["spec"] for each in settings.get("environments") or []}
    key = task.get("environment_key")
    if key and key not in environments:
        raise InvalidParameterError(
            f"Job environment '{key}' used by task {task['task_key']} is not defined in field 'environments'."
        )
    return list(environments[key].get("dependencies") or []) if key else []
