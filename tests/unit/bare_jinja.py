"""The package's macros in bare Jinja: arguments in, SQL out; no dbt, no warehouse.

    def test_something(macros):
        assert macros("duckdb").text_literal("it's") == "'it''s'"

Only what the macros take from dbt is imitated: `return`, `adapter.dispatch`, `target`, `var`, `modules` and a few
values. A macro that asks for more (a query, the catalog) fails here: what renders SQL has to do without.
"""

from __future__ import annotations

import datetime
import hashlib
import itertools
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jinja2
import pytz

ROOT = Path(__file__).resolve().parents[2]
MACRO_FILES = sorted((ROOT / "macros").rglob("*.sql"))
INVOCATION_ID = "11111111-2222-3333-4444-555555555555"
NOW = "2024-03-01 06:00:00.000000"

# dbt looks for an adapter's macro, then for that of the adapter it derives from, then for the default.
DISPATCH = {
    "duckdb": ("duckdb",),
    "spark": ("spark",),
    "databricks": ("databricks", "spark"),
    "postgres": ("postgres",),
}


def without_test_tags(source: str) -> str:
    """A file's source with generic tests as what dbt makes of them: macros named test_x."""
    return re.sub(r"(\{%-?\s*end)test\b", r"\1macro", re.sub(r"(\{%-?\s*)test\s+(\w+)", r"\1macro test_\2", source))


class CompilationError(Exception):
    """What exceptions.raise_compiler_error raises."""


class _Return(BaseException):
    def __init__(self, value: Any):
        self.value = value


class _Missing(jinja2.StrictUndefined):
    """What a macro may ask for but not use: an error wherever it would reach the SQL."""

    def __bool__(self) -> bool:
        return False


class Relation:
    """As much of a dbt relation as SQL shows of it."""

    def __init__(self, database=None, schema=None, identifier=None, type=None):
        self.database, self.schema, self.identifier, self.type = database, schema, identifier, type

    @classmethod
    def create(cls, **parts: Any) -> Relation:
        return cls(**parts)

    def __str__(self) -> str:
        return ".".join(part for part in (self.database, self.schema, self.identifier) if part)


class _FixedDatetime(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromisoformat(NOW).replace(tzinfo=tz)


class Macros:
    """All macros of the package, as one adapter sees them; each is an attribute, callable from Python."""

    # As dbt does, a macro is known by another name in its own file, so that every call goes by way of `_callable`.
    DEFINITION = re.compile(r"(\{%-?\s*macro\s+)(\w+)")
    PREFIX = "macro_of_the_file__"

    def __init__(self, adapter: str, project_vars: dict[str, Any]):
        self._adapter = adapter
        environment = jinja2.Environment(extensions=["jinja2.ext.do"], undefined=_Missing)
        environment.globals.update(self._context(project_vars))
        for path in MACRO_FILES:
            source = without_test_tags(path.read_text(encoding="utf-8"))
            source = self.DEFINITION.sub(rf"\g<1>{self.PREFIX}\g<2>", source)
            module = environment.from_string(source).module
            for name, macro in vars(module).items():
                if name.startswith(self.PREFIX):
                    name = name.removeprefix(self.PREFIX)
                    setattr(self, name, self._callable(macro))
                    environment.globals[name] = getattr(self, name)

    @staticmethod
    def _callable(macro):
        def call(*arguments, **named):
            try:
                return macro(*arguments, **named)
            except _Return as returned:
                return returned.value

        return call

    def _dispatch(self, name: str, namespace: str | None = None):
        assert namespace == "lineage_audit", f"{name} is dispatched without the package's namespace"
        for prefix in (*DISPATCH[self._adapter], "default"):
            if hasattr(self, f"{prefix}__{name}"):
                return getattr(self, f"{prefix}__{name}")
        raise AssertionError(f"no macro default__{name}")

    def _context(self, project_vars: dict[str, Any]) -> dict[str, Any]:
        def return_(value: Any = None):
            raise _Return(value)

        def raise_compiler_error(message: str):
            raise CompilationError(message)

        def fromjson(text: str, default: Any = None):
            try:
                return json.loads(text)
            except ValueError:
                return default

        views = {"model.lineage_audit.ingestion_run": SimpleNamespace(database="db", schema="dev_audit")}
        return {
            "lineage_audit": self,
            "return": return_,
            "adapter": SimpleNamespace(dispatch=self._dispatch),
            "target": SimpleNamespace(type=self._adapter, schema="dev"),
            "exceptions": SimpleNamespace(raise_compiler_error=raise_compiler_error),
            "modules": SimpleNamespace(re=re, itertools=itertools, pytz=pytz, datetime=SimpleNamespace(datetime=_FixedDatetime)),
            "var": lambda name, default=None: project_vars.get(name, default),
            "env_var": lambda name, default=None: {"USER": "ada"}.get(name, default),
            "api": SimpleNamespace(Relation=Relation),
            "graph": SimpleNamespace(nodes=views),
            "execute": True,
            "flags": SimpleNamespace(WHICH="run"),
            "project_name": "shop",
            "invocation_id": INVOCATION_ID,
            "run_started_at": _FixedDatetime.now(pytz.utc),
            "tojson": json.dumps,
            "fromjson": fromjson,
            "local_md5": lambda text: hashlib.md5(text.encode(), usedforsecurity=False).hexdigest(),
        }  # fmt: skip
