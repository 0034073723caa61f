"""databricks-sql-connector itself speaks to the stand-in's server; what a statement gives is made up here, without Spark."""

from __future__ import annotations

import datetime
import threading
import urllib.error
import urllib.request
from decimal import Decimal

import databricks.sql
import pyarrow
import pytest
from databricks.sql.exc import Error
from workspace import thrift_service
from workspace.errors import RefusalError
from workspace.governance import Governance
from workspace.names import Catalogs
from workspace.server import CLUSTER_PATH, WAREHOUSE_PATH, Server
from workspace.session import ADMIN, Workspace

ROWS = pyarrow.table(
    {
        "id": pyarrow.array([1, 2, None], pyarrow.int32()),
        "amount": pyarrow.array([Decimal("1.50"), None, Decimal("-2.25")], pyarrow.decimal128(10, 2)),
        "at": pyarrow.array([datetime.datetime(2020, 1, 2, 3, 4, 5)] * 3, pyarrow.timestamp("us", "UTC")),
        "name": pyarrow.array(["a", "ü\n'\\", None], pyarrow.string()),
        "list": pyarrow.array([["x", None], [], None], pyarrow.list_(pyarrow.string())),
    }
)


class MadeUpSession:
    def __init__(self, workspace, user, catalog, schema, *, on_cluster):
        workspace.catalogs.check(catalog)
        self.asked = f"{user} {catalog}.{schema} {'cluster' if on_cluster else 'warehouse'}"

    def configure(self, parameter, value):
        self.asked += f" {parameter}={value}"

    def execute(self, sql):
        results = {
            "rows": ROWS,
            "nothing": pyarrow.table({}),
            "none": ROWS.slice(0, 0),
            "many": pyarrow.table({"n": range(250_000)}),
            "who": pyarrow.table({"who": [self.asked]}),
        }
        if sql not in results:
            raise RefusalError("TABLE_OR_VIEW_NOT_FOUND", "42P01", f"The table or view {sql} cannot be found.")
        return results[sql]


@pytest.fixture(scope="module")
def server():
    catalogs = Catalogs(["main"])
    workspace = Workspace(
        spark=None,
        catalogs=catalogs,
        governance=Governance(catalogs.names, ADMIN),
        directory=None,
        users={"t": "someone"},
    )
    with pytest.MonkeyPatch.context() as patch, Server(workspace) as server:
        patch.setattr(thrift_service, "Session", MadeUpSession)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def connect(server):
    def connect(path: str = WAREHOUSE_PATH, token: str = "t", **arguments):
        return databricks.sql.connect(
            server_hostname="127.0.0.1",
            http_path=path,
            access_token=token,
            _connection_uri=f"http://127.0.0.1:{server.server_port}{path}",
            enable_telemetry=False,
            _retry_stop_after_attempts_count=1,
            **{"catalog": "main", "schema": "dev", **arguments},
        )

    return connect


def rows_of(connection, sql):
    with connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def test_values_come_through_as_they_are(connect):
    rows = rows_of(connect(), "rows")
    assert [tuple(row)[:2] for row in rows] == [(1, Decimal("1.50")), (2, None), (None, Decimal("-2.25"))]
    assert {row.at.astimezone(datetime.UTC).isoformat() for row in rows} == {"2020-01-02T03:04:05+00:00"}
    assert [row.name for row in rows] == ["a", "ü\n'\\", None]
    assert [None if row.list is None else list(row.list) for row in rows] == [["x", None], [], None]


def test_names_and_types_are_described(connect):
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("none")
        assert [column[:2] for column in cursor.description] == [
            ("id", "int"), ("amount", "decimal"), ("at", "timestamp"), ("name", "string"), ("list", "array"),
        ]  # fmt: skip
        assert cursor.fetchall() == []


def test_a_statement_may_give_no_columns(connect):
    assert rows_of(connect(), "nothing") == []


def test_many_rows_come_in_several_answers(connect):
    assert [row.n for row in rows_of(connect(), "many")] == list(range(250_000))


def test_the_server_knows_user_namespace_compute_and_settings(connect):
    ((who,),) = rows_of(connect(), "who")
    assert who == "someone main.dev warehouse"
    ((who,),) = rows_of(connect(CLUSTER_PATH, session_configuration={"ansi_mode": "false"}), "who")
    assert who == "someone main.dev cluster ansi_mode=false"


def test_a_refusal_comes_through_with_its_words(connect):
    with pytest.raises(Error, match=r"^\[TABLE_OR_VIEW_NOT_FOUND\] The table or view x .* SQLSTATE: 42P01$"):
        rows_of(connect(), "x")


def test_a_session_in_a_catalog_that_is_not_there_is_refused(connect):
    with pytest.raises(Error, match="NO_SUCH_CATALOG_EXCEPTION"):
        connect(catalog="mian")


def test_a_wrong_token_is_refused(connect):
    with pytest.raises(Error):
        connect(token="stolen")


def test_a_session_that_expired_is_refused(connect, server):
    connection = connect()
    assert server.service.expire_sessions() >= 1
    with pytest.raises(Error, match="Invalid SessionHandle"), connection.cursor() as cursor:
        cursor.execute("rows")


def test_an_endpoint_that_nobody_serves_is_refused_and_remembered(server):
    url = f"http://127.0.0.1:{server.server_port}/api/2.1/unity-catalog/tables"
    request = urllib.request.Request(url, headers={"Authorization": "Bearer t"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=60)
    assert refused.value.code == 404
    assert server.workspace.refused[-1] == {"user": "someone", "endpoint": "GET /api/2.1/unity-catalog/tables"}


def test_a_call_that_nobody_serves_is_refused_and_remembered(connect, server):
    with connect() as connection, connection.cursor() as cursor, pytest.raises(Error):
        cursor.columns()
    assert server.workspace.refused[-1] == {"user": "someone", "call": "GetColumns"}
