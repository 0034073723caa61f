"""The dbt project that is measured: a source, plain models of gold, and mapped models that build the same gold."""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import yaml
from engines import ROOT, DuckDB, Spark
from forms import COLUMNS, PLAIN, RULES, Form
from source import source_models

READS_SOURCE = re.compile(r"\b(?:from|join)\s+\S*\bsilver_orders\b", re.IGNORECASE)
GIVES_ROWS = re.compile(r"^\s*(?:/\*.*?\*/\s*)?(?:select|with)\b", re.IGNORECASE | re.DOTALL)
READS_COPY = re.compile(r"\b(?:from|join)\s+\S*__lineage_source\b", re.IGNORECASE)


@dataclass(frozen=True)
class Cost:
    """What the statements of one model took in one run, hooks included: seconds of engine time as dbt measures them,
    how many statements there were, and how many of them read the source, or the copy of it that the run staged."""

    seconds: float = 0.0
    statements: int = 0
    scans: int = 0
    copy_scans: int = 0


class DbtFailedError(Exception):
    """A dbt command failed; the message is what dbt printed."""


@dataclass(frozen=True)
class Project:
    """A dbt project in the folder of its engine. `rows`: of the source. A project without forms does without the package."""

    engine: DuckDB | Spark
    rows: int
    upstream: str
    keys: str
    forms: Collection[Form]
    plain: Collection[str] = (PLAIN,)

    @property
    def folder(self) -> Path:
        return self.engine.folder

    @property
    def schema(self) -> str:
        return f"bench_{self.rows}_{self.upstream}_{self.keys}"

    def build(self) -> Project:
        """Writes the project, makes its source, and sets the audit store up. Nothing that is measured is built yet."""
        for name, content in (self._settings_files() | self._models() | self._config()).items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        if self.forms:
            self.dbt("deps")
            self.dbt("seed")
            self.dbt("run", "--select", "package:lineage_audit")
        self.dbt("run", "--select", "+silver_orders")
        return self

    def remove(self) -> None:
        self.engine.drop([self.schema, f"{self.schema}_audit"])
        shutil.rmtree(self.folder)

    def _settings_files(self) -> dict[str, str]:
        profile = {"bench": {"target": "bench", "outputs": {"bench": self.engine.profile(self.schema)}}}
        project = {
            "name": "bench", "version": "1.0", "profile": "bench",
            "models": {"bench": {"+materialized": "table", "+file_format": self.engine.file_format}},
            "seeds": {"+file_format": self.engine.file_format},
            "flags": {"send_anonymous_usage_stats": False},
        }  # fmt: skip
        files = {"profiles.yml": yaml.safe_dump(profile)}
        if self.forms:
            project["dispatch"] = [{"macro_namespace": "dbt", "search_order": ["lineage_audit", "dbt"]}]
            files["packages.yml"] = yaml.safe_dump({"packages": [{"local": str(ROOT)}]})
        return files | {"dbt_project.yml": yaml.safe_dump(project)}

    def _models(self) -> dict[str, str]:
        items = [f"  {_value(sources, expression, kind)} as {name}" for name, sources, expression, kind in COLUMNS]
        plain = "select\n" + ",\n".join(items) + "\nfrom {{ ref('silver_orders') }}\n"
        source = source_models(self.rows, self.upstream, self.keys, self.engine.moment)
        models = {f"source/{name}": sql for name, sql in source.items()}
        models |= {f"gold/{name}": plain for name in self.plain}
        models |= {f"gold/{form.name}": _mapped_model(form) for form in self.forms}
        return {f"models/{name}.sql": sql for name, sql in models.items()}

    def _config(self) -> dict[str, str]:
        """The config seeds. Two endpoints of the same mapping: `orders` without rules, `checked_orders` with all."""
        if not self.forms:
            return {}
        mapping = [
            "endpoint_name,target_table,target_column,source_table,source_columns,transform_expr,is_primary_key,data_type,column_position"
        ]
        for form in self.forms:
            for position, (name, sources, expression, kind) in enumerate(COLUMNS, 1):
                is_key = str(name == "order_id").lower()
                mapping.append(
                    f'{_endpoint(form)},{form.name},{name},silver_orders,{sources},"{expression}",{is_key},"{kind}",{position}'
                )
        rules = ["business_rule_id,endpoint_name,rule_category,rule_expression,severity,message,target_table"]
        rules += [f'{rule},checked_orders,validation,"{holds}",{severity},{rule},' for rule, holds, severity in RULES]
        types = {
            "field_mapping": ("transform_expr", "data_type", "column_position"),
            "business_rules": ("target_table",),
        }
        seeds = [
            {"name": seed, "config": {"column_types": dict.fromkeys(columns, "string")}}
            for seed, columns in types.items()
        ]
        return {
            "seeds/api_endpoints.csv": "endpoint_name,source_system,active_flag\norders,bench,true\nchecked_orders,bench,true\n",
            "seeds/field_mapping.csv": "\n".join(mapping) + "\n",
            "seeds/business_rules.csv": "\n".join(rules) + "\n",
            "seeds/seeds.yml": yaml.safe_dump({"seeds": seeds}),
        }

    def arguments(self, *arguments: str) -> list[str]:
        """A dbt command with the places of this project."""
        places = ["--project-dir", str(self.folder), "--profiles-dir", str(self.folder)]
        if arguments[0] != "deps":
            places += ["--target-path", str(self.folder / "target")]
        return [*arguments, *places, "--log-path", str(self.folder / "logs")]

    def dbt(self, *arguments: str) -> dict[str, Cost]:
        """Runs a dbt command within this process; the cost of each model by its name."""
        return self.asked(*arguments)[0]

    def asked(self, *arguments: str) -> tuple[dict[str, Cost], str]:
        """The same, and what the command printed. Where the engine computes a query when its rows are fetched, a query
        lasts until dbt's next event: some milliseconds of rendering too many."""
        from dbt.cli.main import dbtRunner

        costs: dict[str, Cost] = defaultdict(Cost)
        fetching: dict[str, float] = {}  # by model, since when the rows of its last query are awaited
        queries: set[str] = set()  # models whose last statement is a query

        def fetched(model: str) -> None:
            if model in fetching:
                waited = time.perf_counter() - fetching.pop(model)
                costs[model] = replace(costs[model], seconds=costs[model].seconds + waited)

        def note(event) -> None:
            model = event.data.node_info.node_name if hasattr(event.data, "node_info") else None
            if model is not None and event.info.name != "SQLQueryStatus":
                fetched(model)
            if event.info.name not in ("SQLQuery", "SQLQueryStatus"):
                return
            cost = costs[model]
            if event.info.name == "SQLQueryStatus":
                costs[model] = replace(cost, seconds=cost.seconds + event.data.elapsed, statements=cost.statements + 1)
                if self.engine.computes_when_fetched and model in queries:
                    fetching[model] = time.perf_counter()
            else:
                (queries.add if GIVES_ROWS.search(event.data.sql) else queries.discard)(model)
                costs[model] = replace(
                    cost,
                    scans=cost.scans + bool(READS_SOURCE.search(event.data.sql)),
                    copy_scans=cost.copy_scans + bool(READS_COPY.search(event.data.sql)),
                )

        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            result = dbtRunner(callbacks=[note]).invoke(self.arguments(*arguments))
        for model in list(fetching):
            fetched(model)
        self.engine.release()
        if not result.success:
            raise DbtFailedError(f"dbt {' '.join(arguments)} failed\n{printed.getvalue()}\n{result.exception or ''}")
        return dict(costs), printed.getvalue()

    def command(self, *arguments: str) -> list[str]:
        """The same command for a process of its own."""
        return [sys.executable, "-m", "dbt.cli.main", *self.arguments(*arguments)]


def _value(sources: str, expression: str, kind: str) -> str:
    """The value of a target column as one writes it by hand."""
    value = expression or sources
    return f"try_cast({value} as {kind})" if kind else value


def _endpoint(form: Form) -> str:
    return "checked_orders" if form.rejected else "orders"


def _mapped_model(form: Form) -> str:
    return (
        f"{{{{ lineage_audit.mapped_model('{_endpoint(form)}', source=ref('silver_orders'), "
        f"capture='{form.capture}', rejected='{form.rejected or 'quarantine'}') }}}}\n"
    )
