"""The engines that are measured: their profile for dbt, queries about what was written, and sizes as stored."""

from __future__ import annotations

import contextlib
import functools
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]


def _package_profile(engine: str) -> dict:
    """The target of this name in the package's own profiles.yml."""
    return yaml.safe_load((ROOT / "profiles.yml").read_text())["lineage_audit"]["outputs"][engine]


@dataclass(frozen=True)
class DuckDB:
    """One database file in a folder. `settings`: DuckDB's, beside those of the package's profile."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)

    name = "duckdb"
    computes_when_fetched = False
    clusters_later = False
    moment = "make_timestamp({})"
    file_format = None

    @property
    def file(self) -> str:
        return str(self.folder / "warehouse.duckdb")

    def profile(self, schema: str) -> dict:
        profile = _package_profile("duckdb")
        return profile | {
            "path": self.file,
            "schema": schema,
            "settings": profile["settings"] | self.settings,
        }

    @contextlib.contextmanager
    def session(self) -> Iterator[Callable[[str], list[tuple]]]:
        """A function that gives the rows of a query, all in one connection, without the settings that dbt has."""
        import duckdb

        with duckdb.connect(self.file) as connection:
            yield lambda sql: connection.execute(sql).fetchall()

    def query(self, sql: str) -> list[tuple]:
        with self.session() as ask:
            return ask(sql)

    def fingerprint(self, columns: Sequence[str]) -> str:
        """SQL of a row count and a sum that tells the contents of these columns, whatever the order of rows."""
        return f"count(*), sum(hash({', '.join(columns)}))"

    def bytes_of(self, table: str) -> int:
        """The blocks that hold this table, compressed, in bytes. A block that two tables share counts for both: at most
        some blocks (256 KiB each) too many. dbt's connection is closed by now, and with it all is in the file."""
        blocks = f"""
            select count(distinct block_id)
            from (
              select unnest(list_append(additional_block_ids, block_id)) as block_id
              from pragma_storage_info('{table}')
            )
            where block_id >= 0
        """
        return self.query(blocks)[0][0] * self.query("select block_size from pragma_database_size()")[0][0]

    def release(self) -> None:
        """Lets go of the file after dbt has run within this process."""
        from dbt.adapters.duckdb.connections import DuckDBConnectionManager

        DuckDBConnectionManager.close_all_connections()

    def drop(self, schemas: Sequence[str]) -> None:
        """Nothing: all lies in the folder."""


@dataclass(frozen=True)
class Spark:
    """The Spark session of this process, with Delta tables; it is shared by all projects beside each other."""

    folder: Path

    name = "spark"
    computes_when_fetched = True  # dbt's status of a query comes when Spark has planned it
    clusters_later = True  # by `optimize`
    moment = "timestamp_micros({})"
    file_format = "delta"

    def profile(self, schema: str) -> dict:
        self._session()
        return _package_profile("spark") | {"schema": schema, "server_side_parameters": {}}

    def _session(self):
        return spark_session(self.folder.parent)

    @contextlib.contextmanager
    def session(self) -> Iterator[Callable[[str], list[tuple]]]:
        """A function that gives the rows of a query."""
        yield self.query

    def query(self, sql: str) -> list[tuple]:
        return [tuple(row) for row in self._session().sql(sql).collect()]

    def fingerprint(self, columns: Sequence[str]) -> str:
        """SQL of a row count and a sum that tells the contents of these columns, whatever the order of rows."""
        return f"count(*), sum(cast(xxhash64({', '.join(columns)}) as decimal(38, 0)))"

    def bytes_of(self, table: str) -> int:
        """The size of the files of the table's current version, in bytes."""
        return self._session().sql(f"describe detail {table}").collect()[0]["sizeInBytes"]

    def release(self) -> None:
        """Nothing: dbt runs in the session of this process."""

    def drop(self, schemas: Sequence[str]) -> None:
        """Removes these schemas, and the files of their tables."""
        for schema in schemas:
            self._session().sql(f"drop schema if exists {schema} cascade")


@functools.cache
def spark_session(folder: Path):
    """A session set up as profiles.yml says, with tables and metastore under the folder, and 8 GB unless
    LINEAGE_AUDIT_SPARK_MEMORY says otherwise."""
    from pyspark.sql import SparkSession

    os.environ.setdefault("LINEAGE_AUDIT_SPARK_MEMORY", "8g")
    builder = SparkSession.builder.enableHiveSupport()
    for name, template in _package_profile("spark")["server_side_parameters"].items():
        value = re.sub(r"{{ env_var\('(\w+)', '(.*)'\) }}", lambda found: os.environ.get(*found.groups()), template)
        builder = builder.config(name, re.sub(r"(?<!\w)\.spark\b", str(folder / "spark"), value))
    return builder.getOrCreate()


ENGINES = {engine.name: engine for engine in (DuckDB, Spark)}
