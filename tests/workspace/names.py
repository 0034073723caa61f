"""Three-level names on a Spark that has Delta in one catalog only.

Schema `dev` of catalog `main` is Spark's schema `main__dev`; schemas of two catalogs never meet, so a name with the wrong
catalog finds nothing. What Spark says is translated back before anyone reads it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from workspace.errors import no_such_catalog
from workspace.sql_text import Name, names_in, quoted, replaced, starts_with, tokens_of

SPARK_CATALOG = "spark_catalog"
HIVE_METASTORE = "hive_metastore"
_SEPARATOR = "__"


def is_about_schemas(sql: str) -> bool:
    """Is a name of two parts a schema's in this statement?"""
    listings = (("show", "tables"), ("show", "views"), ("show", "table", "extended"), ("use",))
    return any(starts_with(sql, *words) for words in listings) or any(
        token.is_word("schema", "database") for token in tokens_of(sql)[:3]
    )


class Catalogs:
    """The catalogs of the workspace. Their names hold no double underscore, so that a schema's name can be taken apart."""

    def __init__(self, names: Iterable[str]):
        self.names = [HIVE_METASTORE, *(name.lower() for name in names if name.lower() != HIVE_METASTORE)]
        if any(_SEPARATOR in name for name in self.names):
            raise ValueError(f"no catalog's name may hold {_SEPARATOR!r}: {self.names}")
        alternatives = "|".join(map(re.escape, self.names))
        self._in_text = re.compile(
            rf"(?:`?{SPARK_CATALOG}`?\.)?(?P<quote>`?)\b(?P<catalog>{alternatives})__(?P<schema>\w+)`?"
        )

    def check(self, catalog: str) -> str:
        if catalog.lower() not in self.names:
            raise no_such_catalog(catalog)
        return catalog.lower()

    def schema_in_spark(self, catalog: str, schema: str) -> str:
        return f"{self.check(catalog)}{_SEPARATOR}{schema.lower()}"

    def schema_from_spark(self, schema: str) -> tuple[str, str] | None:
        """Catalog and schema of a schema of Spark's; None for one that belongs to no catalog, Spark's own `default`."""
        catalog, separator, name = schema.partition(_SEPARATOR)
        return (catalog, name) if separator and catalog in self.names else None

    def to_spark(self, sql: str, current_catalog: str, schema_exists: Callable[[str], bool]) -> str:
        """The statement with every name of a relation or schema as Spark knows it."""
        about_schemas = is_about_schemas(sql)
        return replaced(
            sql,
            [
                (name.start, name.end, text)
                for name in names_in(sql)
                if (text := self._name_in_spark(name, current_catalog, about_schemas, schema_exists))
            ],
        )

    def _name_in_spark(
        self, name: Name, current: str, about_schemas: bool, schema_exists: Callable[[str], bool]
    ) -> str | None:
        first, *rest = name.parts
        if len(rest) >= 2:
            if first.lower() in self.names:
                return quoted(SPARK_CATALOG, self.schema_in_spark(first, rest[0]), *rest[1:])
            if name.names_relation:
                raise no_such_catalog(first)
        elif not name.names_relation:
            return None
        elif about_schemas:
            catalog, schema = (first, rest[0]) if rest else (current, first)
            return quoted(SPARK_CATALOG, self.schema_in_spark(catalog, schema))
        elif rest and schema_exists(self.schema_in_spark(current, first)):
            return quoted(SPARK_CATALOG, self.schema_in_spark(current, first), rest[0])
        return None

    def in_code(self, code: str) -> str:
        """Python code with the names that dbt wrote into it, all parts quoted, as Spark knows them."""
        alternatives = "|".join(map(re.escape, self.names))
        quoted_schema = re.compile(rf"`({alternatives})`\.`([^`]+)`\.(?=`)", re.IGNORECASE)
        return quoted_schema.sub(
            lambda found: quoted(SPARK_CATALOG, self.schema_in_spark(found[1], found[2])) + ".", code
        )

    def from_spark(self, text: str) -> str:
        """A text of Spark's, an error or a cell of a description, with names as the user knows them."""

        def restored(found: re.Match[str]) -> str:
            parts = (found["catalog"], found["schema"])
            return quoted(*parts) if found["quote"] else ".".join(parts)

        return self._in_text.sub(restored, text)
