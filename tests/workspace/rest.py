"""The REST endpoints that dbt-databricks calls, and those that read the stand-in back, below `/stand-in/`.

https://docs.databricks.com/api/workspace/introduction documents the platform's. Their versions are left aside.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from workspace.python_runs import PythonRuns
from workspace.session import Workspace
from workspace.thrift_service import ThriftService

Json = dict[str, Any]


class Rest:
    def __init__(self, workspace: Workspace, service: ThriftService):
        self._workspace = workspace
        self._runs = PythonRuns(workspace)
        self._endpoints: dict[tuple[str, str], Callable[[str, Json], Json]] = {
            # What kind of host this is: a workspace of its own, not one of several behind one name.
            ("GET", "/.well-known/databricks-config"): lambda user, body: {"host_type": "workspace"},
            ("GET", "preview/scim/v2/Me"): lambda user, body: {"id": "1", "userName": user},
            ("GET", "/stand-in/state"): lambda user, body: self.state(),
            ("POST", "/stand-in/forget"): lambda user, body: self.forget(),
            ("POST", "/stand-in/inject"): lambda user, body: self._inject(**body),
            ("POST", "/stand-in/expire-sessions"): lambda user, body: {"expired": service.expire_sessions()},
            ("POST", "/stand-in/column-lineage"): lambda user, body: self._record_lineage(body["records"]),
            **self._runs.endpoints,
        }

    def call(self, method: str, path: str, user: str, body: Json) -> Json | None:
        """The answer, or None where there is no such endpoint: it is refused, and remembered."""
        name = re.sub(r"^/api/\d\.\d/", "", path)
        if name.startswith("permissions/"):
            return self._runs.permissions(method, name, body)
        endpoint = self._endpoints.get((method, name))
        if endpoint is None:
            self._workspace.record({"user": user, "endpoint": f"{method} {path}"}, refused=True)
            return None
        return endpoint(user, body)

    def state(self) -> Json:
        """What was set, what was asked, what was refused because nothing here serves it, and the faults that are still to come."""
        return {
            "objects": self._workspace.governance.as_json(),
            "statements": list(self._workspace.log),
            "python": list(self._runs.submitted),
            "refused": list(self._workspace.refused),
            "faults": list(self._workspace.faults),
        }

    def _record_lineage(self, records: list[Json] | None) -> Json:
        self._workspace.column_lineage = records
        return {}

    def _inject(self, fault: str, statement: str) -> Json:
        """The next statement that holds this text meets a fault, as `server` knows them."""
        self._workspace.faults.append((fault, statement))
        return {}

    def forget(self) -> Json:
        """Begin a new record: a test that asked for refusals has seen them."""
        for record in (self._workspace.log, self._workspace.refused, self._runs.submitted):
            record.clear()
        return {}
