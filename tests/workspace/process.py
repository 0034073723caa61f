"""The stand-in as a test uses it: started, reached by a profile or a connection, read back, stopped."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workspace.certificate import HOST, make_certificate
from workspace.server import CLUSTER_PATH, WAREHOUSE_PATH

ADMIN_TOKEN = "admin-token"


def _plain(value: Any) -> Any:
    """As PySpark gives it: a map is a dict, a point in time bears no zone, since it is in UTC."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        is_map = bool(value) and all(isinstance(each, tuple) for each in value)
        return {key: _plain(each) for key, each in value} if is_map else [_plain(each) for each in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    return value


class WorkspaceProcess:
    """A stand-in of its own process, which answers as soon as this is made."""

    def __init__(
        self,
        directory: Path,
        *,
        catalogs: Iterable[str] = ("main", "governance"),
        users: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        spark_settings: Mapping[str, str] | None = None,
    ):
        directory.mkdir(parents=True, exist_ok=True)
        self.log_path = directory / "spark.log"
        self.certificate = make_certificate(directory / "certificate.pem")
        command = [
            sys.executable,
            "-m",
            "workspace",
            "--directory",
            str(directory),
            "--certificate",
            str(self.certificate),
        ]
        for name in catalogs:
            command += ["--catalog", name]
        for option, pairs in (("--user", users), ("--secret", secrets), ("--conf", spark_settings)):
            for name, value in (pairs or {}).items():
                command += [option, f"{name}={value}"]
        with self.log_path.open("w") as log:
            self._process = subprocess.Popen(
                command,
                cwd=Path(__file__).parents[1],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=dict(os.environ),
            )
        ready = self._process.stdout.readline()
        if not ready.startswith("{"):
            self.stop()
            raise RuntimeError(f"the stand-in did not start:\n{self.log_path.read_text()}")
        self.port = json.loads(ready)["port"]

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    # --- how it is reached -----------------------------------------------------------------------------------

    @property
    def host(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a process of dbt needs so that the adapter's REST calls trust the certificate."""
        return {"REQUESTS_CA_BUNDLE": str(self.certificate)}

    def connection_parameters(self, http_path: str) -> dict[str, Any]:
        """A port of its own and a certificate of its own, and no report to the workspace of how it is used.

        The connector waits its longest delay before it asks again, a minute, whatever Retry-After says: here 5 s, the least it takes.
        """
        return {
            "_connection_uri": f"https://{self.host}{http_path}",
            "_tls_trusted_ca_file": str(self.certificate),
            "enable_telemetry": False,
            "_retry_delay_max": 5,
        }

    def profile_output(
        self,
        schema: str,
        *,
        catalog: str = "main",
        token: str = ADMIN_TOKEN,
        on_cluster: bool = False,
        threads: int = 4,
    ) -> dict[str, Any]:
        """A target of a dbt profile: a SQL warehouse, or an all-purpose cluster."""
        http_path = CLUSTER_PATH if on_cluster else WAREHOUSE_PATH
        return {
            "type": "databricks",
            "host": self.host,
            "http_path": http_path,
            "token": token,
            "catalog": catalog,
            "schema": schema,
            "threads": threads,
            "connect_retries": 0,
            "connection_parameters": self.connection_parameters(http_path),
        }

    def connect(self, *, catalog: str = "main", token: str = ADMIN_TOKEN, on_cluster: bool = False) -> Any:
        import databricks.sql

        http_path = CLUSTER_PATH if on_cluster else WAREHOUSE_PATH
        return databricks.sql.connect(
            server_hostname=self.host,
            http_path=http_path,
            access_token=token,
            catalog=catalog,
            **self.connection_parameters(http_path),
        )

    def query(self, sql: str, **connection: Any) -> list[dict[str, Any]]:
        with self.connect(**connection) as connected, connected.cursor() as cursor:
            cursor.execute(sql)
            return [_plain(row) for row in cursor.fetchall_arrow().to_pylist()]

    # --- what it knows ---------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        return self._call("GET", "state")

    def forget(self) -> None:
        """Begin a new record of statements and refusals."""
        self._call("POST", "forget")

    def record_lineage(self, records: list[dict[str, str]] | None) -> None:
        """From now on `system.access.column_lineage` holds these records; None: the schema is not enabled."""
        self._call("POST", "column-lineage", {"records": records})

    def expire_sessions(self) -> int:
        return self._call("POST", "expire-sessions")["expired"]

    def inject(self, fault: str, statement: str) -> None:
        """The next statement that holds this text meets a fault: `unavailable`, `lost`, `unanswered` or `expired`."""
        self._call("POST", "inject", {"fault": fault, "statement": statement})

    def _call(self, method: str, name: str, content: Mapping[str, Any] | None = None) -> dict[str, Any]:
        request = urllib.request.Request(
            f"https://{self.host}/stand-in/{name}",
            method=method,
            data=json.dumps(content).encode() if content else None,
            headers={"Content-Type": "application/json"},
        )
        trusted = ssl.create_default_context(cafile=self.certificate)
        with urllib.request.urlopen(request, timeout=60, context=trusted) as response:
            return json.load(response)
