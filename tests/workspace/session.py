"""A session: its catalog, schema and user, and the way of a statement from text to result."""

from __future__ import annotations

import bisect
import json
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow

from workspace import shims
from workspace.engine import error_of, map_texts, to_arrow
from workspace.errors import (
    RefusalError,
    config_not_available,
    no_history_of_masked,
    refused_by_spark,
    schema_not_found,
    syntax_error,
)
from workspace.governance import Governance
from workspace.information_schema import SCHEMA, read_through_views
from workspace.names import SPARK_CATALOG, Catalogs
from workspace.sql_text import (
    Name,
    Token,
    bare,
    immediate_texts,
    literal,
    names_in,
    quoted,
    replaced,
    starts_with,
    tokens_of,
)
from workspace.system_tables import read_column_lineage

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.types import StructType

ADMIN = "admin@example.com"

# The statements that Databricks documents and Spark with Delta runs alike, by their first words.
# https://docs.databricks.com/aws/en/sql/language-manual/
_RELATION = ("schema", "database", "table", "view", "function")
SHARED: tuple[tuple[str, ...], ...] = (
    ("select",), ("with",), ("values",), ("insert",), ("merge", "into"), ("update",), ("delete", "from"),
    ("truncate", "table"), ("explain",), ("describe",), ("desc",), ("vacuum",), ("restore",), ("refresh", "table"),
    ("begin",), ("declare",), ("execute", "immediate"), ("alter", "table"), ("alter", "view"),
    ("comment", "on", "table"), ("comment", "on", "schema"),
    ("show", "tables"), ("show", "views"), ("show", "columns"), ("show", "tblproperties"), ("show", "create", "table"),
    ("show", "table", "extended"), ("show", "functions"), ("show", "partitions"),
    *(("create", kind) for kind in _RELATION),
    *(("create", "or", "replace", kind) for kind in _RELATION),
    *((*create, temporary, kind) for create in (("create",), ("create", "or", "replace"))
      for temporary in ("temporary", "temp") for kind in ("view", "function")),
    *(("drop", kind) for kind in (*_RELATION, "temporary")),
)  # fmt: skip

# What Spark says of statements that it has no code for, while Databricks may have.
_UNKNOWN_TO_SPARK = (
    "PARSE_SYNTAX_ERROR",
    "UNSUPPORTED_",
    "NOT_SUPPORTED_",
    "_LEGACY_ERROR_",
    "INVALID_STATEMENT_OR_CLAUSE",
)

# Spark replaces a view by dropping it and making it anew, and jobs that share a store would meet in between. Databricks' documentation doesn't
# say what they meet there; docs/databricks.md tells users how not to. Here a view that takes another's place is made under this name in
# Spark's own schema, which no catalog shows, and put into the other's place at once: a test fails by what the package does, and not by chance.
_VIEW_TO_BE = ("default", "view_to_be")
_MAKING_A_VIEW = threading.Lock()

# What a statement needs besides SELECT on all that it reads, by its first word.
_WRITES = {"insert": "MODIFY", "merge": "MODIFY", "update": "MODIFY", "delete": "MODIFY", "truncate": "MODIFY"}


@dataclass
class Workspace:
    """What all sessions share."""

    spark: SparkSession
    catalogs: Catalogs
    governance: Governance
    directory: Path
    users: dict[str, str]  # the user of each token
    secrets: dict[tuple[str, str], str] = field(default_factory=dict)  # the JVM's property that holds it
    runtime_version: str = "17.3.x-scala2.13"
    column_lineage: list[dict[str, Any]] | None = None  # None: the schema `system.access` is not enabled
    log: list[dict[str, Any]] = field(default_factory=list)
    refused: list[dict[str, Any]] = field(default_factory=list)
    # What is to go wrong, and a text in the statement that it befalls.
    faults: list[tuple[str, str]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def record(self, entry: dict[str, Any], *, refused: bool) -> None:
        with self._lock:
            self.log.append(entry)
            if refused:
                self.refused.append(entry)

    def fault_of(self, request: bytes) -> str | None:
        """What is to go wrong with this request; it does so once."""
        with self._lock:
            found = next((each for each in self.faults if each[1].encode() in request), None)
            if found:
                self.faults.remove(found)
        return found and found[0]


class Session:
    def __init__(self, workspace: Workspace, user: str, catalog: str, schema: str, *, on_cluster: bool):
        self.workspace = workspace
        self.catalogs = workspace.catalogs
        self.governance = workspace.governance
        self.secrets = workspace.secrets
        self.runtime_version = workspace.runtime_version
        self.user = user
        self.on_cluster = on_cluster
        self.spark = workspace.spark.newSession()
        self.use(catalog, schema)

    # --- the current namespace -------------------------------------------------------------------------------

    def use(self, catalog: str, schema: str) -> None:
        self.catalog = self.catalogs.check(catalog)
        self.schema = schema.lower()

    def _set_spark_schema(self) -> None:
        """A session may be in a schema that doesn't exist; only a name that needs it fails. Spark's own `default` stays empty."""
        schema = self.catalogs.schema_in_spark(self.catalog, self.schema)
        self.spark.catalog.setCurrentDatabase(schema if self._spark_schema_exists(schema) else "default")

    def _spark_schema_exists(self, schema: str) -> bool:
        return self._stored.databaseExists(schema)

    @property
    def _stored(self) -> Any:
        return self.spark._jsparkSession.sharedState().externalCatalog()

    def configure(self, parameter: str, value: str) -> None:
        """Set a parameter; a warehouse has few, and Spark's own are not among them."""
        name = parameter.lower()
        if name in shims.SQL_PARAMETERS:
            in_spark = shims.SQL_PARAMETERS[name]
        elif self.on_cluster:
            in_spark = parameter
        else:
            raise config_not_available(parameter)
        if in_spark and value:
            self.spark.conf.set(in_spark, value)

    # --- what shims ask ----------------------------------------------------------------------------------------

    def full_name(self, name: str, kind: str = "table") -> tuple[str, ...]:
        """The parts of a name with the current catalog and schema where it has none, in lower case."""
        parts = [token.value.lower() for token in tokens_of(name) if token.is_name]
        if kind.lower() == "catalog":
            return (self.catalogs.check(parts[0]),)
        count = 2 if kind.lower() in ("schema", "database") else 3
        if len(parts) > count:
            raise syntax_error(name)
        parts = [self.catalog, self.schema][: count - len(parts)] + parts
        return (self.catalogs.check(parts[0]), *parts[1:])

    def schema_exists(self, catalog: str, schema: str) -> bool:
        return self._spark_schema_exists(self.catalogs.schema_in_spark(catalog, schema))

    def relation_exists(self, catalog: str, schema: str, name: str) -> bool:
        return self._stored.tableExists(self.catalogs.schema_in_spark(catalog, schema), name)

    def is_view(self, catalog: str, schema: str, name: str) -> bool:
        exists = self.relation_exists(catalog, schema, name)
        return exists and self.stored_table(catalog, schema, name).tableType().name() == "VIEW"

    def is_temporary_view(self, name: str) -> bool:
        (first, *rest) = [token.value for token in tokens_of(name) if token.is_name]
        return not rest and self.spark._jsparkSession.sessionState().catalog().getTempView(first).isDefined()

    def stored_table(self, catalog: str, schema: str, name: str) -> Any:
        return self._stored.getTable(self.catalogs.schema_in_spark(catalog, schema), name)

    def _in_spark(self, catalog: str, schema: str, name: str) -> str:
        return quoted(SPARK_CATALOG, self.catalogs.schema_in_spark(catalog, schema), name)

    def schema_of(self, catalog: str, schema: str, name: str) -> StructType:
        return self.spark.table(self._in_spark(catalog, schema, name)).schema

    def comment_on_column_of_view(self, catalog: str, schema: str, name: str, column: str, comment: str) -> None:
        """Spark has no statement for it."""
        view = self.spark.table(self._in_spark(catalog, schema, name))
        view.select(quoted(column))  # Spark refuses a column that isn't there.
        as_json = view.schema.jsonValue()
        for each in as_json["fields"]:
            if each["name"].lower() == column.lower():
                each["metadata"]["comment"] = comment
        commented = self.spark._jvm.org.apache.spark.sql.types.DataType.fromJson(json.dumps(as_json))
        self._stored.alterTableDataSchema(self.catalogs.schema_in_spark(catalog, schema), name, commented)

    def table_properties(self, catalog: str, schema: str, name: str) -> dict[str, str]:
        rows = self.spark.sql(f"show tblproperties {self._in_spark(catalog, schema, name)}").collect()
        return {row[0]: row[1] for row in rows if not row[0].startswith("view.")}

    # --- statements ----------------------------------------------------------------------------------------------

    def execute(self, statement: str) -> pyarrow.Table:
        """The result of a statement, or RefusalError."""
        entry: dict[str, Any] = {"user": self.user, "sql": statement, "shim": None}
        started = time.monotonic()
        refusal = None
        try:
            return self._execute(bare(statement), entry)
        except RefusalError as raised:
            refusal = raised
            raise
        except Exception as exception:
            refusal = self._refusal_of(exception)
            raise refusal from exception
        finally:
            entry["error"] = refusal and str(refusal)
            entry["seconds"] = round(time.monotonic() - started, 3)
            self.workspace.record(entry, refused=refusal is not None and refusal.unknown)

    def _execute(self, sql: str, entry: dict[str, Any]) -> pyarrow.Table:
        if found := shims.find(sql):
            shim, match = found
            entry["shim"] = shim.name
            self._check_privileges(sql)
            answer = shim.answer(self, match)
            if isinstance(answer, pyarrow.Table):
                return answer
            sql = answer.sql
        elif not any(starts_with(sql, *words) for words in SHARED):
            raise syntax_error(sql)
        else:
            for statement in self._with_immediate(sql):
                self._check_privileges(statement)
        return self.run(sql)

    def _check_time_travel(self, sql: str) -> None:
        """https://docs.databricks.com/aws/en/error-messages/row-level-security-column-mask-feature-not-supported-error-class"""
        reads_history = starts_with(sql, "describe", "history")
        tokens = tokens_of(sql)
        starts = [token.start for token in tokens]
        for name in names_in(sql):
            following = bisect.bisect_left(starts, name.end)
            after = [token.text.lower() for token in tokens[following : following + 3]]
            travels = after[1:] == ["as", "of"] and after[0] in ("version", "timestamp")
            if (travels or reads_history) and (parts := self._relation_named(name)):
                table = self.governance.securable(".".join(parts))
                if table.row_filter or table.column_masks:
                    raise no_history_of_masked(quoted(*parts), "TIME_TRAVEL" if travels else "DESCRIBE_HISTORY")

    def _immediate_changes(self, sql: str) -> list[Token]:
        """The texts that the statement executes to make, drop or alter something. What queries in texts name stays as it is."""
        return [token for token in immediate_texts(sql) if self._objects_changed(token.value)]

    def _with_immediate(self, sql: str) -> list[str]:
        """The statement, and those that it executes from texts."""
        return [sql, *(token.value for token in self._immediate_changes(sql))]

    def _translated(self, sql: str) -> str:
        """The statement, and those that it executes from texts, as Spark knows them."""
        texts = [
            (token.start, token.end, literal(self._translated(token.value))) for token in self._immediate_changes(sql)
        ]
        read = read_column_lineage(read_through_views(shims.replace_functions(replaced(sql, texts), self), self), self)
        return self.catalogs.to_spark(read, self.catalog, self._spark_schema_exists)

    def run(self, sql: str) -> pyarrow.Table:
        self._check_time_travel(sql)
        for statement in self._with_immediate(sql):
            self._check_schema(statement)
        self._set_spark_schema()
        in_spark = self._translated(sql)
        if starts_with(sql, "alter") and any(token.is_word("rename") for token in tokens_of(sql)):
            # Spark takes the new name without its catalog.
            in_spark = in_spark.replace(f" {quoted(SPARK_CATALOG)}.", " ")
        changed = self._objects_changed(sql)
        makes_view = changed and changed[:2] == ("create", "view")
        table = self._make_view(in_spark, changed[2][0]) if makes_view else to_arrow(self.spark.sql(in_spark))
        for statement in self._with_immediate(sql):
            self._keep_track(statement)
        if starts_with(sql, "show"):
            return map_texts(table, self.catalogs.from_spark)
        if starts_with(sql, "describe") or starts_with(sql, "desc"):
            return _with_catalog(map_texts(table, self.catalogs.from_spark))
        return table

    def _make_view(self, in_spark: str, view: str) -> pyarrow.Table:
        parts = view.split(".")
        with _MAKING_A_VIEW:
            if not self.is_view(*parts) or not starts_with(in_spark, "create", "or", "replace"):
                return to_arrow(self.spark.sql(in_spark))
            name = next(name for name in names_in(in_spark) if name.names_relation)
            answer = to_arrow(self.spark.sql(replaced(in_spark, [(name.start, name.end, quoted(*_VIEW_TO_BE))])))
            made = self._stored.getTable(*_VIEW_TO_BE)
            # A Scala case class: a copy of which only the first field, the identifier, is another.
            fields = [getattr(made, f"copy$default${number}")() for number in range(2, made.productArity() + 1)]
            self._stored.alterTable(made.copy(self.stored_table(*parts).identifier(), *fields))
            self.spark.sql(f"drop view {quoted(*_VIEW_TO_BE)}")
            return answer

    def _refusal_of(self, exception: Exception) -> RefusalError:
        condition, message = error_of(exception)
        unknown = condition is None or condition.startswith(_UNKNOWN_TO_SPARK)
        return refused_by_spark(condition, self.catalogs.from_spark(message), unknown=unknown)

    def _objects_changed(self, sql: str) -> tuple[str, str, list[str]] | None:
        """What a statement makes, drops or alters: the verb, the kind of object, its full name, and the new one if it has any."""
        tokens = tokens_of(sql)
        verb = tokens[0].text.lower()
        words = [token.text.lower() for token in tokens[:8] if token.kind == "word"]
        kind = next((word for word in words if word in _RELATION), None)
        names = [sql[name.start : name.end] for name in names_in(sql) if name.names_relation]
        if verb not in ("create", "drop", "alter") or kind is None or not names or {"temporary", "temp"} & set(words):
            return None
        kind = "schema" if kind == "database" else kind
        is_renamed = verb == "alter" and any(token.is_word("rename") for token in tokens)
        return verb, kind, [".".join(self.full_name(name, kind)) for name in names[: 1 + is_renamed]]

    def _check_schema(self, sql: str) -> None:
        """What is made needs its schema, also where that is the session's own and isn't named."""
        changed = self._objects_changed(sql)
        if changed and changed[:2] in (("create", "table"), ("create", "view")):
            catalog, schema, _ = changed[2][0].split(".")
            if not self.schema_exists(catalog, schema):
                raise schema_not_found(catalog, schema)

    def _keep_track(self, sql: str) -> None:
        """Governance follows what is made, dropped and renamed."""
        verb, kind, names = self._objects_changed(sql) or (None, "", [])
        if verb == "create":
            self.governance.securable(names[0], kind, self.user)
        elif verb == "drop":
            self.governance.forget(names[0])
        elif len(names) > 1:
            self.governance.rename(*names)

    def _relation_named(self, name: Name) -> tuple[str, str, str] | None:
        """The relation that a name stands for, by its place or its three parts. A short name may be that of a common table
        expression: it stands for a relation if there is one."""
        parts = [part.lower() for part in name.parts]
        if len(parts) == 3 and parts[0] in self.catalogs.names:
            return parts[0], parts[1], parts[2]
        if name.names_relation and len(parts) < 3:
            schema, relation = [self.schema, *parts][-2:]
            if self.relation_exists(self.catalog, schema, relation):
                return self.catalog, schema, relation
        return None

    def _check_privileges(self, sql: str) -> None:
        """A user who isn't the admin needs a privilege on each relation that a statement names. An information schema is open to
        everybody: https://docs.databricks.com/aws/en/sql/language-manual/sql-ref-information-schema"""
        if self.user == self.governance.admin:
            return
        words = [token.text.lower() for token in tokens_of(sql)[:5]]
        if words[0] == "create" and {"schema", "database"} & set(words):
            (name, *_) = [sql[name.start : name.end] for name in names_in(sql) if name.names_relation]
            # Whether `if not exists` needs it where the schema is there is not documented: the strict answer.
            self.governance.require(self.user, "CREATE SCHEMA", self.full_name(name, "schema")[0])
            return
        # A temporary view is the session's own: only what it reads needs a privilege.
        verb = "select" if {"temporary", "temp"} & set(words) else words[0]
        writes = _WRITES.get(verb)
        for name in names_in(sql):
            parts = self._relation_named(name)
            if parts is None:
                continue
            catalog, schema, relation = parts
            if schema == SCHEMA:
                continue
            if verb == "create" and not self.relation_exists(catalog, schema, relation):
                self.governance.require(self.user, "CREATE TABLE", catalog, schema)
            elif verb in ("drop", "alter", "create") and writes is None:
                self.governance.require(self.user, "MANAGE", catalog, schema, relation)
            else:
                self.governance.require(self.user, writes or "SELECT", catalog, schema, relation)
            # The first name is what is written; all others are read.
            writes = "SELECT" if writes or verb in ("create", "drop", "alter") else None
            verb = "select" if writes else verb


def _with_catalog(described: pyarrow.Table) -> pyarrow.Table:
    """A description of a table tells catalog and schema in a row each; Spark has both of them in the schema's name."""
    if described.num_columns < 2:
        return described
    labels, values = described.column(0).to_pylist(), described.column(1).to_pylist()
    if "Catalog" not in labels or "Database" not in labels:
        return described
    for label, value in zip(("Catalog", "Database"), values[labels.index("Database")].split("."), strict=True):
        values[labels.index(label)] = value
    return described.set_column(1, described.column_names[1], pyarrow.array(values, pyarrow.string()))
