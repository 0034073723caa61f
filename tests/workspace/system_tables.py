"""The table `system.access.column_lineage`, with the records that a test gives.

https://docs.databricks.com/aws/en/admin/system-tables/lineage lists its columns. The schema `system.access` is there once an
account admin has enabled it: here, once there are records, if only none.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow

from workspace.errors import RefusalError
from workspace.sql_text import quoted, starts_with

if TYPE_CHECKING:
    from workspace.session import Session

_NAME = re.compile(r"\bsystem\.access\.column_lineage\b", re.IGNORECASE)
_VIEW = "system__access__column_lineage"
_TABLE = ("table_full_name", "table_catalog", "table_schema", "table_name", "path", "type", "column_name")
_COLUMNS = {
    **dict.fromkeys(
        ("account_id", "metastore_id", "workspace_id", "entity_type", "entity_id", "entity_run_id"), "text"
    ),
    **dict.fromkeys((f"{end}_{name}" for end in ("source", "target") for name in _TABLE), "text"),
    "created_by": "text",
    "event_time": "time",
    "event_date": "date",
    **dict.fromkeys(("record_id", "event_id", "statement_id"), "text"),
}
_TYPES = {"text": pyarrow.string(), "time": pyarrow.timestamp("us", tz="UTC"), "date": pyarrow.date32()}


def read_column_lineage(sql: str, session: Session) -> str:
    """The statement with the table's name, also where it stands in a text that is executed, replaced by that of a temporary view.
    In a script a handler has to meet the refusal: there the view is missing."""
    if not _NAME.search(sql):
        return sql
    session.spark.catalog.dropTempView(_VIEW)
    records = session.workspace.column_lineage
    try:
        session.governance.require(session.user, "SELECT", "system", "access", "column_lineage")
    except RefusalError:
        if not starts_with(sql, "begin"):
            raise
        records = None
    if records is not None:
        rows = [_completed(record) for record in records]
        arrays = [pyarrow.array([row.get(name) for row in rows], _TYPES[kind]) for name, kind in _COLUMNS.items()]
        table = pyarrow.Table.from_arrays(arrays, list(_COLUMNS))
        session.spark.createDataFrame(table).createOrReplaceTempView(_VIEW)
    return _NAME.sub(quoted(_VIEW), sql)


def _completed(record: dict[str, Any]) -> dict[str, Any]:
    """A record of full names, columns and, if it is not of now, event_time, with the columns that follow from these."""
    time = datetime.fromisoformat(record["event_time"]) if "event_time" in record else datetime.now(UTC)
    completed = {**record, "event_time": time, "event_date": time.date()}
    for end in ("source", "target"):
        if name := record.get(f"{end}_table_full_name"):
            parts = dict(zip(("table_catalog", "table_schema", "table_name"), name.split("."), strict=True))
            completed |= {f"{end}_{part}": value for part, value in parts.items()} | {f"{end}_type": "TABLE"}
    return completed
