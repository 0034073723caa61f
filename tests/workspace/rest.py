"""The REST endpoints that dbt-databricks calls when it builds SQL models, and those that read the stand-in back.

https://docs.databricks.com/api/workspace/introduction documents the platform's. Those of the stand-in lie below `/stand-in/`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workspace.session import Workspace
from workspace.thrift_service import ThriftService

Json = dict[str, Any]


class Rest:
    def __init__(self, workspace: Workspace, service: ThriftService):
        self._workspace = workspace
        self._service = service
        self._endpoints: dict[tuple[str, str], Callable[[str, Json], Json]] = {
            # What kind of host this is: a workspace of its own, not one of several behind one name.
            ("GET", "/.well-known/databricks-config"): lambda user, query: {"host_type": "workspace"},
            # https://docs.databricks.com/api/workspace/currentuser/me
            ("GET", "/api/2.0/preview/scim/v2/Me"): lambda user, query: {"id": "1", "userName": user},
            # https://docs.databricks.com/api/workspace/clusters/get
            ("GET", "/api/2.1/clusters/get"): lambda user, query: {**query, "state": "RUNNING"},
            ("GET", "/api/2.0/clusters/get"): lambda user, query: {**query, "state": "RUNNING"},
            ("GET", "/stand-in/state"): lambda user, query: self.state(),
            ("POST", "/stand-in/forget"): lambda user, query: self.forget(),
            ("POST", "/stand-in/expire-sessions"): lambda user, query: {"expired": service.expire_sessions()},
        }

    def call(self, method: str, path: str, user: str, query: Json) -> Json | None:
        """The answer, or None where there is no such endpoint: it is refused, and remembered."""
        endpoint = self._endpoints.get((method, path))
        if endpoint is None:
            self._workspace.record({"user": user, "endpoint": f"{method} {path}"}, refused=True)
            return None
        return endpoint(user, query)

    def state(self) -> Json:
        """What was set, what was asked, and what was refused because nothing here serves it."""
        return {
            "objects": self._workspace.governance.as_json(),
            "statements": list(self._workspace.log),
            "refused": list(self._workspace.refused),
        }

    def forget(self) -> Json:
        """Begin a new record: a test that asked for refusals has seen them."""
        self._workspace.log.clear()
        self._workspace.refused.clear()
        return {}
