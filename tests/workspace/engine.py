"""The Spark session that does the work: local, with Delta, its tables in a folder of the run."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# Types of which databricks-sql-connector gets the text: neither Arrow nor its own conversion has a value for them.
_AS_TEXT = ("interval", "variant", "void")


@contextlib.contextmanager
def one_start_at_a_time() -> Iterator[None]:
    """Spark fetches its jars when it starts: two processes that fetch them into one cache break each other's."""
    with (Path(tempfile.gettempdir()) / f"lineage_audit_starts_spark_{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def start_spark(directory: Path, settings: dict[str, str]) -> SparkSession:
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName("workspace").config("spark.sql.warehouse.dir", str(directory / "warehouse"))
    for name, value in {
        **_SETTINGS,
        **FOR_FEW_ROWS,
        "spark.jars.packages": _delta_packages(),
        **settings,
    }.items():
        builder = builder.config(name, value)
    with one_start_at_a_time():
        return builder.getOrCreate()


def _delta_packages() -> str:
    """profiles.yml is the one place that names Delta's version; an environment variable may name another."""
    profile = (Path(__file__).parents[2] / "profiles.yml").read_text(encoding="utf-8")
    (variable, default) = re.findall(r"spark\.jars\.packages: .*env_var\('(\w+)', '([^']+)'\)", profile)[0]
    return os.environ.get(variable, default)


# On tables of ten rows a statement's time goes into what is done before a row is read. Results don't depend on any of these.
FOR_FEW_ROWS = {
    # To compile code for large expressions takes longer than to interpret them.
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    # Each task reads its expressions anew, and each stage is planned anew.
    "spark.sql.leafNodeDefaultParallelism": "1",
    "spark.sql.adaptive.enabled": "false",
    # To choose among the files of a table by their statistics takes a query of its own.
    "spark.databricks.delta.stats.skipping": "false",
    # Each plan is written out in full for a page that nobody opens.
    "spark.sql.ui.explainMode": "simple",
}

# What a SQL warehouse sets and Spark doesn't, or what a machine with few cores needs.
_SETTINGS = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.sources.default": "delta",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.session.timeZone": "UTC",
    # The catalog lives as long as the process does.
    "spark.sql.catalogImplementation": "in-memory",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.shuffle.partitions": "2",
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
}


def to_arrow(frame: DataFrame) -> pyarrow.Table:
    """The rows of a result. A statement that has none gives a table without columns."""
    if not frame.columns:
        return pyarrow.table({})
    kinds = [field.dataType.simpleString() for field in frame.schema.fields]
    if any(kind.startswith(_AS_TEXT) for kind in kinds):
        # By position, since names may repeat.
        names = list(frame.columns)
        numbered = frame.toDF(*(f"column_{number}" for number in range(len(names))))
        expressions = [
            f"cast(column_{number} as string) as column_{number}" if kind.startswith(_AS_TEXT) else f"column_{number}"
            for number, kind in enumerate(kinds)
        ]
        return _collected(numbered.selectExpr(*expressions)).rename_columns(names)
    return _collected(frame)


def _collected(frame: DataFrame) -> pyarrow.Table:
    # toArrow() would cast the batches to a schema in which Arrow finds no room for a struct with fields that are never NULL.
    return pyarrow.Table.from_batches(frame._collect_as_arrow(empty_list_if_zero_records=False))


def table_of(columns: dict[str, list[Any]]) -> pyarrow.Table:
    """A result of texts, made here."""
    return pyarrow.table({name: pyarrow.array(values, pyarrow.string()) for name, values in columns.items()})


def map_texts(table: pyarrow.Table, change: Callable[[str], str]) -> pyarrow.Table:
    """The table with each of its texts changed."""
    for position, column in enumerate(table.columns):
        if pyarrow.types.is_string(column.type) or pyarrow.types.is_large_string(column.type):
            texts = [value if value is None else change(value) for value in column.to_pylist()]
            name = table.schema.field(position).name
            table = table.set_column(position, name, pyarrow.array(texts, pyarrow.string()))
    return table


def _with_causes(raised: Any) -> str:
    """The message of an exception of the JVM and of those that caused it, and the SQLSTATE of the first."""
    messages = []
    cause = raised
    while cause is not None:
        messages.append(re.split(r" SQLSTATE: (\w{5})", cause.getMessage() or ""))
        cause = cause.getCause()
    states = [rest[0] for _, *rest in messages if rest]
    text = "\nCaused by: ".join(dict.fromkeys(message for message, *_ in messages))
    return f"{text} SQLSTATE: {states[0]}" if states else text


def error_of(exception: BaseException) -> tuple[str | None, str]:
    """Error condition and message of what Spark or Delta raised, without traces."""
    condition = None
    # An exception that PySpark has no class for, such as Delta's of a conflict, is known to the JVM alone.
    raised = getattr(exception, "java_exception", exception)
    for name in ("getCondition", "getErrorClass"):
        with contextlib.suppress(Exception):
            condition = condition or getattr(raised, name)()
    if raised is not exception and condition:
        return condition, _with_causes(raised)
    text = re.split(r"\n\n?JVM stacktrace:|;\n'|\n== SQL", str(exception))[0]
    return condition, text.strip()
