"""The Thrift service that databricks-sql-connector speaks to, with the stubs that the connector brings along.

https://github.com/databricks/databricks-sql-python (`databricks.sql.thrift_api.TCLIService`): a statement is executed before
its call returns, and the first rows come with the answer (direct results) as Arrow batches.
"""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow
from databricks.sql.thrift_api.TCLIService import TCLIService, ttypes
from thrift.Thrift import TApplicationException

from workspace.engine import table_of
from workspace.errors import RefusalError
from workspace.information_schema import relations, schemas
from workspace.session import Session, Workspace

_OK = ttypes.TStatus(statusCode=ttypes.TStatusCode.SUCCESS_STATUS)
_VERSION = ttypes.TProtocolVersion.SPARK_CLI_SERVICE_PROTOCOL_V7
# Rows in one answer where the client names no number.
_MAX_ROWS = 100_000

_TYPE_IDS: list[tuple[Callable[[pyarrow.DataType], bool], int]] = [
    (pyarrow.types.is_boolean, ttypes.TTypeId.BOOLEAN_TYPE),
    (pyarrow.types.is_int8, ttypes.TTypeId.TINYINT_TYPE),
    (pyarrow.types.is_int16, ttypes.TTypeId.SMALLINT_TYPE),
    (pyarrow.types.is_int32, ttypes.TTypeId.INT_TYPE),
    (pyarrow.types.is_int64, ttypes.TTypeId.BIGINT_TYPE),
    (pyarrow.types.is_float32, ttypes.TTypeId.FLOAT_TYPE),
    (pyarrow.types.is_float64, ttypes.TTypeId.DOUBLE_TYPE),
    (pyarrow.types.is_decimal, ttypes.TTypeId.DECIMAL_TYPE),
    (pyarrow.types.is_date, ttypes.TTypeId.DATE_TYPE),
    (pyarrow.types.is_timestamp, ttypes.TTypeId.TIMESTAMP_TYPE),
    (pyarrow.types.is_binary, ttypes.TTypeId.BINARY_TYPE),
    (pyarrow.types.is_list, ttypes.TTypeId.ARRAY_TYPE),
    (pyarrow.types.is_map, ttypes.TTypeId.MAP_TYPE),
    (pyarrow.types.is_struct, ttypes.TTypeId.STRUCT_TYPE),
]


def _new_identifier() -> ttypes.THandleIdentifier:
    return ttypes.THandleIdentifier(guid=uuid.uuid4().bytes, secret=uuid.uuid4().bytes)


def _type_entry(kind: pyarrow.DataType) -> ttypes.TTypeEntry:
    type_id = next((each for test, each in _TYPE_IDS if test(kind)), ttypes.TTypeId.STRING_TYPE)
    qualifiers = None
    if pyarrow.types.is_decimal(kind):
        values = {"precision": kind.precision, "scale": kind.scale}
        qualifiers = ttypes.TTypeQualifiers(
            qualifiers={name: ttypes.TTypeQualifierValue(i32Value=value) for name, value in values.items()}
        )
    return ttypes.TTypeEntry(primitiveEntry=ttypes.TPrimitiveTypeEntry(type=type_id, typeQualifiers=qualifiers))


def result_metadata(schema: pyarrow.Schema) -> ttypes.TGetResultSetMetadataResp:
    columns = [
        ttypes.TColumnDesc(
            columnName=field.name, position=position, typeDesc=ttypes.TTypeDesc(types=[_type_entry(field.type)])
        )
        for position, field in enumerate(schema, start=1)
    ]
    return ttypes.TGetResultSetMetadataResp(
        status=_OK,
        schema=ttypes.TTableSchema(columns=columns),
        resultFormat=ttypes.TSparkRowSetType.ARROW_BASED_SET,
        lz4Compressed=False,
        arrowSchema=schema.serialize().to_pybytes(),
        isStagingOperation=False,
    )


@dataclass
class Operation:
    """A statement that was executed: its result and how much of it was fetched, or why it failed."""

    handle: ttypes.TOperationHandle
    table: pyarrow.Table
    refusal: RefusalError | None = None
    fetched: int = 0

    def status(self) -> ttypes.TGetOperationStatusResp:
        if self.refusal is None:
            state = ttypes.TOperationState.FINISHED_STATE
            return ttypes.TGetOperationStatusResp(status=_OK, operationState=state, hasResultSet=True)
        return ttypes.TGetOperationStatusResp(
            status=_OK,
            operationState=ttypes.TOperationState.ERROR_STATE,
            sqlState=self.refusal.sqlstate,
            errorMessage=str(self.refusal),
            displayMessage=str(self.refusal),
        )

    def fetch(self, max_rows: int | None) -> ttypes.TFetchResultsResp:
        start = self.fetched
        part = self.table.slice(start, max_rows or _MAX_ROWS)
        self.fetched += part.num_rows
        batches = [
            ttypes.TSparkArrowBatch(batch=batch.serialize().to_pybytes(), rowCount=batch.num_rows)
            for batch in part.combine_chunks().to_batches()
        ]
        return ttypes.TFetchResultsResp(
            status=_OK,
            hasMoreRows=self.fetched < self.table.num_rows,
            resultSetMetadata=result_metadata(self.table.schema),
            results=ttypes.TRowSet(startRowOffset=start, rows=[], arrowBatches=batches),
        )

    def direct_results(self, wanted: ttypes.TSparkGetDirectResults | None) -> ttypes.TSparkDirectResults | None:
        if self.refusal is not None:
            return ttypes.TSparkDirectResults(operationStatus=self.status())
        if wanted is None:
            return None
        return ttypes.TSparkDirectResults(
            operationStatus=self.status(),
            resultSetMetadata=result_metadata(self.table.schema),
            resultSet=self.fetch(wanted.maxRows),
        )


class InvalidHandleError(Exception):
    """The session or operation is not there, or no longer."""


class ThriftService:
    """Sessions and operations by their handles. The names of the methods are the protocol's."""

    def __init__(self, workspace: Workspace):
        self._workspace = workspace
        self._sessions: dict[bytes, Session] = {}
        self._operations: dict[bytes, Operation] = {}
        # What of a request doesn't stand in the Thrift message: who sends it, and to what compute.
        self.request = threading.local()

    def __getattr__(self, name: str) -> Callable[[Any], Any]:
        """A call of the protocol that nothing here serves: it is refused, and remembered."""
        if not hasattr(TCLIService.Iface, name):
            raise AttributeError(name)

        def refuse(request: Any) -> None:
            self._workspace.record({"user": self.request.user, "call": name}, refused=True)
            raise TApplicationException(TApplicationException.UNKNOWN_METHOD, name)

        return refuse

    # --- sessions --------------------------------------------------------------------------------------------

    def OpenSession(self, request: Any) -> ttypes.TOpenSessionResp:  # noqa: N802
        namespace = request.initialNamespace
        try:
            session = Session(
                self._workspace,
                self.request.user,
                (namespace and namespace.catalogName) or self._workspace.catalogs.names[0],
                (namespace and namespace.schemaName) or "default",
                on_cluster=self.request.on_cluster,
            )
            for parameter, value in (request.configuration or {}).items():
                if not parameter.startswith("spark.thriftserver."):
                    session.configure(parameter, value)
        except RefusalError as refusal:
            return ttypes.TOpenSessionResp(status=_error(refusal), serverProtocolVersion=_VERSION)
        handle = ttypes.TSessionHandle(sessionId=_new_identifier(), serverProtocolVersion=_VERSION)
        self._sessions[handle.sessionId.guid] = session
        return ttypes.TOpenSessionResp(
            status=_OK,
            serverProtocolVersion=_VERSION,
            sessionHandle=handle,
            configuration={},
            initialNamespace=namespace,
            canUseMultipleCatalogs=True,
        )

    def CloseSession(self, request: Any) -> ttypes.TCloseSessionResp:  # noqa: N802
        self._sessions.pop(request.sessionHandle.sessionId.guid, None)
        return ttypes.TCloseSessionResp(status=_OK)

    def _session(self, request: Any) -> Session:
        session = self._sessions.get(request.sessionHandle.sessionId.guid)
        if session is None:
            raise InvalidHandleError("Invalid SessionHandle")
        return session

    def expire_sessions(self) -> int:
        """Forget every session, as the platform does with one that was idle for too long."""
        count = len(self._sessions)
        self._sessions.clear()
        return count

    # --- statements ------------------------------------------------------------------------------------------

    def ExecuteStatement(self, request: Any) -> ttypes.TExecuteStatementResp:  # noqa: N802
        return self._answer(ttypes.TExecuteStatementResp, request, lambda session: session.execute(request.statement))

    def GetCatalogs(self, request: Any) -> ttypes.TGetCatalogsResp:  # noqa: N802
        return self._answer(
            ttypes.TGetCatalogsResp, request, lambda session: table_of({"TABLE_CAT": session.catalogs.names})
        )

    def GetSchemas(self, request: Any) -> ttypes.TGetSchemasResp:  # noqa: N802
        def rows(session: Session) -> pyarrow.Table:
            found = [
                (schema, catalog)
                for catalog, schema in schemas(session)
                if _matches(catalog, request.catalogName) and _matches(schema, request.schemaName)
            ]
            return _columns(found, "TABLE_SCHEM", "TABLE_CATALOG")

        return self._answer(ttypes.TGetSchemasResp, request, rows)

    def GetTables(self, request: Any) -> ttypes.TGetTablesResp:  # noqa: N802
        def rows(session: Session) -> pyarrow.Table:
            found = [
                (catalog, schema, name, "VIEW" if stored.tableType().name() == "VIEW" else "TABLE", "")
                for catalog, schema, name, stored in relations(session)
                if _matches(catalog, request.catalogName)
                and _matches(schema, request.schemaName)
                and _matches(name, request.tableName)
            ]
            return _columns(found, "TABLE_CAT", "TABLE_SCHEM", "TABLE_NAME", "TABLE_TYPE", "REMARKS")

        return self._answer(ttypes.TGetTablesResp, request, rows)

    def _answer(self, response: type, request: Any, run: Callable[[Session], pyarrow.Table]) -> Any:
        handle = ttypes.TOperationHandle(
            operationId=_new_identifier(), operationType=ttypes.TOperationType.EXECUTE_STATEMENT, hasResultSet=True
        )
        try:
            operation = Operation(handle, run(self._session(request)))
        except RefusalError as refusal:
            operation = Operation(handle, pyarrow.table({}), refusal)
        except InvalidHandleError as problem:
            return response(status=_invalid_handle(problem))
        self._operations[handle.operationId.guid] = operation
        results = operation.direct_results(request.getDirectResults)
        return response(status=_OK, operationHandle=handle, directResults=results)

    # --- results ---------------------------------------------------------------------------------------------

    def _operation(self, request: Any) -> Operation | None:
        return self._operations.get(request.operationHandle.operationId.guid)

    def GetOperationStatus(self, request: Any) -> ttypes.TGetOperationStatusResp:  # noqa: N802
        operation = self._operation(request)
        return operation.status() if operation else ttypes.TGetOperationStatusResp(status=_invalid_handle())

    def GetResultSetMetadata(self, request: Any) -> ttypes.TGetResultSetMetadataResp:  # noqa: N802
        operation = self._operation(request)
        if operation is None:
            return ttypes.TGetResultSetMetadataResp(status=_invalid_handle())
        return result_metadata(operation.table.schema)

    def FetchResults(self, request: Any) -> ttypes.TFetchResultsResp:  # noqa: N802
        operation = self._operation(request)
        return operation.fetch(request.maxRows) if operation else ttypes.TFetchResultsResp(status=_invalid_handle())

    def CloseOperation(self, request: Any) -> ttypes.TCloseOperationResp:  # noqa: N802
        self._operations.pop(request.operationHandle.operationId.guid, None)
        return ttypes.TCloseOperationResp(status=_OK)

    def CancelOperation(self, request: Any) -> ttypes.TCancelOperationResp:  # noqa: N802
        # A statement is over before its handle is known.
        return ttypes.TCancelOperationResp(status=_OK)

    def GetInfo(self, request: Any) -> ttypes.TGetInfoResp:  # noqa: N802
        return ttypes.TGetInfoResp(status=_OK, infoValue=ttypes.TGetInfoValue(stringValue="Spark SQL"))


def _columns(rows: list[tuple[str, ...]], *names: str) -> pyarrow.Table:
    return table_of({name: [row[position] for row in rows] for position, name in enumerate(names)})


def _matches(name: str, pattern: str | None) -> bool:
    """A pattern of JDBC: % for any characters, _ for one. None and the empty text match everything."""
    if not pattern:
        return True
    expression = "".join({"%": ".*", "_": "."}.get(each, re.escape(each)) for each in pattern)
    return re.fullmatch(expression, name, re.IGNORECASE) is not None


def _error(refusal: RefusalError) -> ttypes.TStatus:
    return ttypes.TStatus(
        statusCode=ttypes.TStatusCode.ERROR_STATUS, sqlState=refusal.sqlstate, errorMessage=str(refusal)
    )


def _invalid_handle(problem: Exception | None = None) -> ttypes.TStatus:
    message = str(problem or "Invalid OperationHandle")
    return ttypes.TStatus(statusCode=ttypes.TStatusCode.INVALID_HANDLE_STATUS, errorMessage=message)
