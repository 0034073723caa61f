"""The process: HTTP, who may call, and what is called."""

from __future__ import annotations

import argparse
import json
import os
import socket
import ssl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from databricks.sql.thrift_api.TCLIService import TCLIService
from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.transport.TTransport import TMemoryBuffer

from workspace.engine import start_spark
from workspace.errors import InvalidParameterError
from workspace.governance import Governance
from workspace.names import Catalogs
from workspace.rest import Rest
from workspace.session import ADMIN, Workspace
from workspace.thrift_service import ThriftService

# https://docs.databricks.com/aws/en/integrations/compute-details shows the HTTP path of a warehouse and of a cluster.
WAREHOUSE_PATH = "/sql/1.0/warehouses/stand-in"
CLUSTER_PATH = "/sql/protocolv1/o/0/stand-in"
# Needs no token: the adapter asks before it has one.
_OPEN = ("/.well-known/databricks-config",)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    # Every dbt thread opens a connection of its own, and jobs start at once.
    request_queue_size = 128

    def __init__(self, workspace: Workspace, port: int = 0, certificate: Path | None = None):
        """With a certificate, a file that holds its private key too, it speaks HTTPS."""
        super().__init__(("127.0.0.1", port), Handler)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            # The thread that serves a connection shakes hands: a client that doesn't would hold up all others.
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.workspace = workspace
        self.service = ThriftService(workspace)
        self.rest = Rest(workspace, self.service)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *arguments: Any) -> None:
        """Said nowhere: what was asked stands in the record."""

    def do_GET(self) -> None:
        self._handle("GET")

    def do_POST(self) -> None:
        self._handle("POST")

    def do_PUT(self) -> None:
        self._handle("PUT")

    def do_PATCH(self) -> None:
        self._handle("PATCH")

    def _handle(self, method: str) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        user = self.server.workspace.users.get(token)
        if user is None and url.path not in _OPEN and not url.path.startswith("/stand-in/"):
            self._reply_json(403, {"error_code": "PERMISSION_DENIED", "message": "Invalid access token."})
        elif method == "POST" and url.path in (WAREHOUSE_PATH, CLUSTER_PATH):
            self._handle_thrift(body, user or "", on_cluster=url.path == CLUSTER_PATH)
        else:
            content = {name: values[0] for name, values in parse_qs(url.query).items()}
            if "json" in (self.headers.get("Content-Type") or "") and body:
                content |= json.loads(body)
            try:
                answer = self.server.rest.call(method, url.path, user or "", content)
            except InvalidParameterError as problem:
                self._reply_json(400, {"error_code": "INVALID_PARAMETER_VALUE", "message": str(problem)})
                return
            missing = {"error_code": "ENDPOINT_NOT_FOUND", "message": f"No API found for '{method} {url.path}'"}
            self._reply_json(404 if answer is None else 200, missing if answer is None else answer)

    def _handle_thrift(self, body: bytes, user: str, *, on_cluster: bool) -> None:
        fault = self.server.workspace.fault_of(body)
        if fault == "unavailable":
            # A service that is to be asked again: https://docs.databricks.com/api/workspace/introduction
            self.send_response(503)
            self.send_header("Retry-After", "1")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if fault == "expired":
            self.server.service.expire_sessions()
        if fault != "lost":
            answer = self._thrift(body, user, on_cluster=on_cluster)
        if fault in ("lost", "unanswered"):
            # The connection drops: before the statement reached anyone, or after it was executed.
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        else:
            self._reply(200, "application/x-thrift", answer)

    def _thrift(self, body: bytes, user: str, *, on_cluster: bool) -> bytes:
        service = self.server.service
        service.request.user, service.request.on_cluster = user, on_cluster
        written = TMemoryBuffer()
        TCLIService.Processor(service).process(TBinaryProtocol(TMemoryBuffer(body)), TBinaryProtocol(written))
        return written.getvalue()

    def _reply_json(self, code: int, content: dict[str, Any]) -> None:
        self._reply(code, "application/json", json.dumps(content, default=str).encode())

    def _reply(self, code: int, content_type: str, content: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"{text!r} is not name=value")
    return name, value


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m workspace", description="A Databricks workspace for tests.")
    parser.add_argument("--directory", type=Path, required=True, help="where tables and files of the workspace lie")
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    parser.add_argument("--certificate", type=Path, help="a PEM file with certificate and private key: speak HTTPS")
    parser.add_argument("--catalog", action="append", default=[], help="a catalog of Unity Catalog; may be repeated")
    parser.add_argument(
        "--user", action="append", type=_pair, default=[], help="TOKEN=NAME: a user without privileges; may be repeated"
    )
    parser.add_argument(
        "--secret",
        action="append",
        type=_pair,
        default=[],
        help="SCOPE/KEY=VARIABLE: the environment variable that holds it",
    )
    parser.add_argument("--conf", action="append", type=_pair, default=[], help="NAME=VALUE: a setting of Spark")
    options = parser.parse_args(arguments)

    catalogs = Catalogs(options.catalog or ["main", "governance"])
    spark = start_spark(options.directory, dict(options.conf))
    workspace = Workspace(
        spark=spark,
        catalogs=catalogs,
        governance=Governance(catalogs.names, ADMIN),
        directory=options.directory,
        users={"admin-token": ADMIN, **dict(options.user)},
    )
    for catalog in catalogs.names:
        # Every catalog has this schema from the start.
        spark.sql(f"create schema `{catalogs.schema_in_spark(catalog, 'default')}`")
    for name, variable in options.secret:
        scope, _, key = name.partition("/")
        property_name = f"workspace.secret.{scope}.{key}"
        spark._jvm.java.lang.System.setProperty(property_name, os.environ[variable])
        workspace.secrets[scope, key] = property_name
    with Server(workspace, options.port, options.certificate) as server:
        print(json.dumps({"port": server.server_port, "ready": True}), flush=True)
        try:
            server.serve_forever()
        finally:
            spark.stop()
