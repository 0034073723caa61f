"""How much of hand-written SQL the lineage parser finds, and what other open tools find of the same.

    python benchmarks/lineage_quality.py                                  the labelled statements
    python benchmarks/lineage_quality.py --sql shop=path/to/dbt/project   and the columns of a project, any number of times

Precision and recall are measured on `tests/unit/lineage`, whose edges a person wrote down: which column of which table
an output column is made of. Other tools don't tell what a value is made of from what it merely depends on, so that a pair which
is labelled as an influence on that column (a `case`'s condition, a window) counts neither for nor against anyone.
sqlglot's own `lineage` comes with sqlglot. sqllineage is measured where it is installed; this project doesn't need it, and it
wants packages of its own, so give it an environment: `pip install sqlglot==30.30.0 pyyaml sqllineage==1.5.9`.

A project is a folder with dbt's `target/manifest.json` after `dbt compile`: the SQL is what dbt compiled, in the order of its
dependencies. In any other folder each `.sql` is a model named after its file, its Jinja rendered roughly: `ref` and
`source` become names, what else is called becomes NULL. Columns are known of seeds (their CSV's first line) and of
models before, as the parser found them; sources are unknown. `name@databricks=folder` reads it as Databricks' SQL.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import importlib.util
import io
import json
import logging
import re
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "unit"))

from labelled_lineage import Score, Statement, as_labelled, lineage_edge, statements, tables

SECONDS_A_STATEMENT = 10  # many times what the slowest tool takes for such a statement, if it ends


class TooSlow(BaseException):
    """A tool has had its time. No `Exception`, so that no tool catches it."""


Pair = tuple[str, str, str]  # a table, its column, an output column: all in lower case


# --- precision and recall ---------------------------------------------------------------------------------------


def ours(parser, statement: Statement) -> set[Pair]:
    """Pairs that this project's parser finds."""
    found = as_labelled(parser.column_edges(statement.sql, statement.dialect, tables()).edges)
    return {(each.table, each.column, each.output) for each in found if each.is_direct and each.column and each.output}


def by_sqlglot(statement: Statement) -> set[Pair]:
    """Pairs that sqlglot's own `lineage` finds, asked for each output column by its name."""
    from sqlglot import exp
    from sqlglot.errors import SqlglotError
    from sqlglot.lineage import lineage

    known = tables()
    depth = 3 if "warehouse." in statement.sql else 2  # its schema has one depth
    schema: dict = {}
    for name, columns in known.items():
        if name.count(".") != depth - 1 or name == "shop.my orders.v2":
            continue
        level = schema
        for part in name.split(".")[:-1]:
            level = level.setdefault(part, {})
        level[name.split(".")[-1]] = {column.lower(): "text" for column in columns}
    if depth == 2:
        schema["shop"]["my orders.v2"] = {column.lower(): "text" for column in known["shop.my orders.v2"]}
    found = set()
    for column in statement.columns:
        with contextlib.suppress(SqlglotError, ValueError, KeyError, AttributeError, RecursionError):
            for node in lineage(column, statement.sql, schema=schema, dialect=statement.dialect).walk():
                if not node.downstream and isinstance(node.source, exp.Table):
                    table = ".".join(part.name for part in node.source.parts).lower()
                    found.add((table, exp.to_column(node.name).name.lower(), column))
    return found


def by_sqllineage(statement: Statement) -> set[Pair]:
    """Pairs that sqllineage finds, told the same columns of tables.

    What is bent its way: names used by their neighbours in the select list are on, as both dialects have them; of a table without
    a schema, as it names those of scalar subqueries, the known one of that name is taken; a way that ends in one of the statement's own
    CTEs or subqueries, or in a star, is no answer, hence missed and not wrong, as with sqlglot.
    """
    from sqllineage.config import SQLLineageConfig
    from sqllineage.core.metadata.dummy import DummyMetaDataProvider
    from sqllineage.core.models import Table
    from sqllineage.runner import LineageRunner

    known = tables()
    by_end = {name.partition(".")[2]: name for name in known}
    sql = "create table result as\n" + statement.sql.rstrip().rstrip(";")
    # Elsewhere, for it would take over this project's settings of sqlfluff. It raises of many classes, its own and its parser's.
    with (
        contextlib.chdir(tempfile.gettempdir()),
        contextlib.suppress(Exception),
        SQLLineageConfig(LATERAL_COLUMN_ALIAS_REFERENCE=True),
    ):
        found = set()
        runner = LineageRunner(sql, dialect=statement.dialect, metadata_provider=DummyMetaDataProvider(known))
        for first, *_, last in runner.get_column_lineage():
            if isinstance(first.parent, Table) and not first.raw_name.startswith("*"):
                table = str(first.parent).lower().removeprefix("<default>.")
                found.add((by_end.get(table, table), first.raw_name.lower(), last.raw_name.lower()))
        return found
    return set()


def compare() -> None:
    """Prints a line per tool."""
    import sqlglot

    parser = lineage_edge()
    tools: dict[str, Callable[[Statement], set[Pair]]] = {
        "lineage_audit": lambda statement: ours(parser, statement),
        f"sqlglot {sqlglot.__version__}, lineage": by_sqlglot,
    }
    if importlib.util.find_spec("sqllineage"):
        import sqllineage

        with silence():
            by_sqllineage(statements()[0])  # its imports and grammars, so that the seconds below are without them
        tools[f"sqllineage {sqllineage.VERSION}"] = by_sqllineage
    else:
        print("sqllineage: left out, it isn't installed (pip install sqllineage)")
    labelled = statements()
    names = {each.name for each in labelled}
    print(f"{len(names)} labelled statements, {len(labelled)} with each in its dialects\n")
    print("| tool | right | wrong | missed | precision | recall | statements all right | CPU seconds |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for tool, find in tools.items():
        score, whole, begin = Score(), 0, time.process_time()
        for statement in labelled:
            found: set[Pair] = set()
            with silence(), time_limit(SECONDS_A_STATEMENT):
                found = find(statement)
            wanted, neither = pairs(statement)
            score.add(statement, found - neither, wanted)
            whole += found - neither == wanted
        print(
            f"| {tool} | {score.right} | {len(score.wrong)} | {len(score.missed)} | {score.precision:.3f} | {score.recall:.3f}"
            f" | {whole} of {len(labelled)} | {time.process_time() - begin:.1f} |"
        )
    every = Score()
    for statement in labelled:
        every.add(
            statement,
            as_labelled(parser.column_edges(statement.sql, statement.dialect, tables()).edges),
            statement.edges,
        )
    print(
        f"\nlineage_audit, every edge with its type, subtype and masking, those of the whole output too: {every.right} right,"
        f" precision {every.precision:.3f}, recall {every.recall:.3f}"
    )


def pairs(statement: Statement) -> tuple[set[Pair], set[Pair]]:
    """What an output column is made of, and what merely bears on it."""
    named = [each for each in statement.edges if each.column and each.output]
    made = {(each.table, each.column, each.output) for each in named if each.is_direct}
    return made, {(each.table, each.column, each.output) for each in named} - made


@contextlib.contextmanager
def silence():
    """Other tools warn and log of what they can't follow."""
    logging.disable(logging.CRITICAL)
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stderr(io.StringIO()),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


@contextlib.contextmanager
def time_limit(seconds: int):
    """Ends what takes the processor for longer, as if it had found nothing."""

    def stop(*_):
        raise TooSlow

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    except TooSlow:
        pass
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


# --- columns resolved in projects -------------------------------------------------------------------------------


@dataclass
class Model:
    """A model's SQL, the relation that it builds, and the names of what it reads."""

    relation: str
    sql: str
    reads: Sequence[str] = ()


@dataclass
class Tally:
    models: int = 0
    parsed: int = 0
    columns: int = 0
    resolved: int = 0
    problems: list[str] = field(default_factory=list)


def project(name: str, folder: Path) -> tuple[list[Model], dict[str, list[str]]]:
    """The models of a project in an order in which each comes after those that it reads, and the columns of its seeds."""
    manifest = folder / "target" / "manifest.json"
    if not manifest.exists():
        return rough_project(folder)
    nodes = json.loads(manifest.read_text(encoding="utf-8"))["nodes"]
    built = {key: node for key, node in nodes.items() if node["resource_type"] in ("model", "snapshot")}
    models = {
        key: Model(unquoted(node["relation_name"]), node["compiled_code"], node["depends_on"]["nodes"])
        for key, node in built.items()
        if node.get("compiled_code") and node.get("relation_name") and node.get("language") == "sql"
    }
    seeds = {}
    for node in nodes.values():
        if node["resource_type"] == "seed":
            path = Path(node.get("root_path") or folder) / node["original_file_path"]
            if path.exists():
                seeds[unquoted(node["relation_name"])] = header(path)
    return in_order(models), seeds


def rough_project(folder: Path) -> tuple[list[Model], dict[str, list[str]]]:
    models = {}
    for path in sorted(folder.rglob("*.sql")):
        sql = render(path.read_text(encoding="utf-8"))
        reads = re.findall(r"ref\(\s*['\"](\w+)['\"]", path.read_text(encoding="utf-8"))
        models[path.stem.lower()] = Model(path.stem.lower(), sql, [each.lower() for each in reads])
    return in_order(models), {path.stem.lower(): header(path) for path in sorted(folder.rglob("*.csv"))}


def render(text: str) -> str:
    """Jinja, roughly: enough for the shape of the SQL."""
    import jinja2

    class Anything(jinja2.ChainableUndefined):
        def __call__(self, *_, **__):
            return self

        def __str__(self) -> str:
            return "null"

        def __iter__(self):
            return iter(())

    environment = jinja2.Environment(undefined=Anything, extensions=["jinja2.ext.do"])
    environment.globals |= {
        "ref": lambda *names, **_: names[-1],
        "source": lambda schema, table: f"{schema}.{table}",
        "config": lambda *_, **__: "",
        "var": lambda name, default=None: default if default is not None else name,
        "env_var": lambda name, default=None: default or name,
        "is_incremental": lambda: False,
        "this": "this_relation",
        "return": lambda value: value,
    }
    try:
        return environment.from_string(text).render()
    except Exception:  # macros that do more than this stand-in
        return re.sub(
            r"\{%.*?%\}|\{#.*?#\}", " ", re.sub(r"\{\{.*?\}\}", "null", text, flags=re.DOTALL), flags=re.DOTALL
        )


def in_order(models: Mapping[str, Model]) -> list[Model]:
    """Each model after those that it reads; a circle is cut where it is met."""
    done: dict[str, Model] = {}
    stack = [(key, False) for key in sorted(models, reverse=True)]
    met: set[str] = set()
    while stack:
        key, ready = stack.pop()
        if ready:
            done.setdefault(key, models[key])
        elif key in models and key not in met:
            met.add(key)
            stack.append((key, True))
            stack += [(each, False) for each in models[key].reads]
    return list(done.values())


def header(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return next(csv.reader(file), [])


def unquoted(relation: str) -> str:
    return re.sub(r"[\"`]", "", relation).lower()


def resolve(parser, name: str, dialect: str, folder: Path) -> Tally:
    """Follows every model of a project."""
    models, known = project(name, folder)
    known = dict(known)
    tally = Tally()
    for model in models:
        lineage = parser.column_edges(model.sql, dialect, known)
        tally.models += 1
        tally.parsed += not any(each.startswith("the statement ") for each in lineage.problems)
        # A column is resolved if each value in it comes from a column; an unlisted star counts as one that isn't.
        vague = {
            edge.downstream_column
            for edge in lineage.edges
            if edge.transformation_type == "DIRECT" and edge.upstream_column is None and not edge.rows_alone
        }
        tally.columns += len(lineage.columns) + (not lineage.complete)
        tally.resolved += sum(column not in vague for column in lineage.columns)
        tally.problems += [f"{model.relation}: {each}" for each in lineage.problems]
        if lineage.complete:
            known[model.relation] = lineage.columns
    return tally


def resolve_projects(projects: Iterable[str], show: int) -> None:
    """Prints a line per project, and on demand the problems."""
    parser = lineage_edge()
    print("\n| project | dialect | models | parsed | output columns | resolved | share | CPU seconds |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    problems: Counter[str] = Counter()
    for each in projects:
        name, _, folder = each.partition("=")
        name, _, dialect = name.partition("@")
        begin = time.process_time()
        tally = resolve(parser, name, dialect or "duckdb", Path(folder))
        print(
            f"| {name} | {dialect or 'duckdb'} | {tally.models} | {tally.parsed} | {tally.columns} | {tally.resolved}"
            f" | {tally.resolved / (tally.columns or 1):.1%} | {time.process_time() - begin:.1f} |"
        )
        problems.update(f"{name}: {problem}" for problem in tally.problems)
    for problem in list(problems)[:show]:
        print(f"  {problem}")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--sql", action="append", default=[], metavar="NAME[@DIALECT]=FOLDER")
    arguments.add_argument(
        "--problems", type=int, default=0, metavar="N", help="print the first N problems of the projects"
    )
    given = arguments.parse_args()
    compare()
    if given.sql:
        resolve_projects(given.sql, given.problems)


if __name__ == "__main__":
    main()
