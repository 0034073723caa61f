"""The views of `system.information_schema`, made anew for each statement that reads them.

https://docs.databricks.com/aws/en/sql/language-manual/sql-ref-information-schema lists them. They tell of Unity Catalog
alone: what lies in `hive_metastore` is in none. Columns that nobody here reads are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pyarrow

from workspace.errors import RefusalError
from workspace.names import HIVE_METASTORE, SPARK_CATALOG
from workspace.sql_text import names_in, quoted, replaced

if TYPE_CHECKING:
    from workspace.governance import Securable
    from workspace.session import Session

Row = tuple[Any, ...]

SYSTEM = "system"
SCHEMA = "information_schema"


def read_through_views(sql: str, session: Session) -> str:
    """The statement with every name of an information schema replaced by a temporary view that holds its rows now."""
    replacements = []
    for name in names_in(sql):
        parts = [part.lower() for part in name.parts]
        if SCHEMA not in parts[:-1] or parts.index(SCHEMA) > 1:
            continue
        catalog = parts[0] if parts[1] == SCHEMA else session.catalog
        view = parts[parts.index(SCHEMA) + 1]
        replacements.append((name.start, name.end, _make_view(view, catalog, session)))
    return replaced(sql, replacements)


def _make_view(view: str, catalog: str, session: Session) -> str:
    if catalog != SYSTEM:
        session.catalogs.check(catalog)
    if view not in _VIEWS or catalog == HIVE_METASTORE:
        message = f"The table or view `{catalog}`.`{SCHEMA}`.`{view}` cannot be found."
        raise RefusalError("TABLE_OR_VIEW_NOT_FOUND", "42P01", message, unknown=catalog != HIVE_METASTORE)
    columns, rows_of = _VIEWS[view]
    # The first column of each of them is the catalog.
    rows = [row for row in rows_of(session) if catalog in (SYSTEM, row[0])]
    types = [pyarrow.int32() if name == "ordinal_position" else pyarrow.string() for name in columns]
    arrays = [pyarrow.array([row[position] for row in rows], each) for position, each in enumerate(types)]
    name = f"{SCHEMA}__{catalog}__{view}"
    session.spark.createDataFrame(pyarrow.Table.from_arrays(arrays, columns)).createOrReplaceTempView(name)
    return quoted(name)


def relations(session: Session) -> Iterator[tuple[str, str, str, Any]]:
    """Catalog, schema and name of every table and view, with what Spark's own catalog holds of it."""
    stored = session.spark._jsparkSession.sharedState().externalCatalog()
    for schema_in_spark in _items(stored.listDatabases()):
        if found := session.catalogs.schema_from_spark(schema_in_spark):
            # Those that are still there: another session may drop one while these are listed.
            for table in _items(stored.getTablesByName(schema_in_spark, stored.listTables(schema_in_spark))):
                yield *found, table.identifier().table(), table


def schemas(session: Session) -> list[tuple[str, str]]:
    stored = session.spark._jsparkSession.sharedState().externalCatalog()
    found = map(session.catalogs.schema_from_spark, _items(stored.listDatabases()))
    return sorted(each for each in found if each)


def _items(sequence: Any) -> list[Any]:
    return [sequence.apply(position) for position in range(sequence.size())]


def option(value: Any) -> Any:
    """What a Scala Option holds, or None."""
    return value.get() if value.isDefined() else None


def _in_unity_catalog(session: Session) -> Iterator[tuple[str, str, str, Any]]:
    return (each for each in relations(session) if each[0] != HIVE_METASTORE)


def _catalogs(session: Session) -> Iterator[Row]:
    for name in session.catalogs.names:
        if name != HIVE_METASTORE:
            yield name, session.governance.securable(name, "catalog").owner


def _schemata(session: Session) -> Iterator[Row]:
    for catalog, schema in schemas(session):
        if catalog != HIVE_METASTORE:
            yield catalog, schema, session.governance.securable(f"{catalog}.{schema}", "schema").owner


def _tables(session: Session) -> Iterator[Row]:
    for catalog, schema, name, stored in _in_unity_catalog(session):
        kind = stored.tableType().name()
        owner = session.governance.securable(f"{catalog}.{schema}.{name}").owner
        file_format = None if kind == "VIEW" else (option(stored.provider()) or "delta").upper()
        changed = session.spark._jvm.java.time.Instant.ofEpochMilli(stored.createTime()).toString()
        yield catalog, schema, name, kind, option(stored.comment()), owner, changed, file_format


def _columns(session: Session) -> Iterator[Row]:
    for catalog, schema, name, _ in _in_unity_catalog(session):
        in_spark = quoted(SPARK_CATALOG, session.catalogs.schema_in_spark(catalog, schema), name)
        for position, column in enumerate(session.spark.table(in_spark).schema.fields, start=1):
            kind = column.dataType.simpleString()
            nullable = "YES" if column.nullable else "NO"
            comment = column.metadata.get("comment")
            yield catalog, schema, name, column.name, position, nullable, kind, kind.split("(")[0].upper(), comment


def _views(session: Session) -> Iterator[Row]:
    for catalog, schema, name, stored in _in_unity_catalog(session):
        if stored.tableType().name() == "VIEW":
            text = session.catalogs.from_spark(option(stored.viewText()) or "")
            yield catalog, schema, name, text, "NONE", "NO"


def _of_tables(rows_of: Callable[[Securable], Iterator[Row]]) -> Callable[[Session], Iterator[Row]]:
    """Rows that governance holds of each table, after its catalog, schema and name."""

    def rows(session: Session) -> Iterator[Row]:
        for name, securable in session.governance.known():
            if name.count(".") == 2:
                for row in rows_of(securable):
                    yield *name.split("."), *row

    return rows


def _masks(securable: Securable) -> Iterator[Row]:
    for column, mask in securable.column_masks.items():
        yield column, mask["function"], ",".join(mask["using_columns"])


def _row_filters(securable: Securable) -> Iterator[Row]:
    if securable.row_filter:
        yield securable.row_filter["function"], ",".join(securable.row_filter["columns"])


def _tags(securable: Securable) -> Iterator[Row]:
    yield from securable.tags.items()


def _column_tags(securable: Securable) -> Iterator[Row]:
    for column, tags in securable.column_tags.items():
        for tag in tags.items():
            yield column, *tag


def _privileges(levels: int) -> Callable[[Session], Iterator[Row]]:
    def rows(session: Session) -> Iterator[Row]:
        for name, securable in session.governance.known():
            if name.count(".") == levels - 1:
                for grantee, privileges in securable.grants.items():
                    for privilege in privileges:
                        yield *name.split("."), grantee, privilege, securable.owner

    return rows


def _none(_: Session) -> Iterator[Row]:
    return iter(())


_TABLE = ["table_catalog", "table_schema", "table_name"]
_TAGGED = ["catalog_name", "schema_name", "table_name"]
_CONSTRAINT = ["constraint_catalog", "constraint_schema", "constraint_name"]
_GRANT = ["grantee", "privilege_type", "grantor"]

# View: its columns, and what gives its rows.
_VIEWS: dict[str, tuple[list[str], Callable[[Session], Iterator[Row]]]] = {
    "catalogs": (["catalog_name", "catalog_owner"], _catalogs),
    "schemata": (["catalog_name", "schema_name", "schema_owner"], _schemata),
    "tables": ([*_TABLE, "table_type", "comment", "table_owner", "last_altered", "data_source_format"], _tables),
    "columns": (
        [*_TABLE, "column_name", "ordinal_position", "is_nullable", "full_data_type", "data_type", "comment"],
        _columns,
    ),
    "views": ([*_TABLE, "view_definition", "check_option", "is_updatable"], _views),
    "table_tags": ([*_TAGGED, "tag_name", "tag_value"], _of_tables(_tags)),
    "column_tags": ([*_TAGGED, "column_name", "tag_name", "tag_value"], _of_tables(_column_tags)),
    "column_masks": ([*_TABLE, "column_name", "mask_name", "using_columns"], _of_tables(_masks)),
    "row_filters": ([*_TABLE, "filter_name", "target_columns"], _of_tables(_row_filters)),
    "catalog_privileges": (["catalog_name", *_GRANT], _privileges(1)),
    "schema_privileges": (["catalog_name", "schema_name", *_GRANT], _privileges(2)),
    "table_privileges": ([*_TABLE, *_GRANT], _privileges(3)),
    # Nothing here makes a constraint that Unity Catalog would list.
    "table_constraints": ([*_CONSTRAINT, *_TABLE, "constraint_type"], _none),
    "key_column_usage": ([*_CONSTRAINT, *_TABLE, "column_name", "ordinal_position"], _none),
    "referential_constraints": (
        [*_CONSTRAINT, "unique_constraint_catalog", "unique_constraint_schema", "unique_constraint_name"],
        _none,
    ),
}
