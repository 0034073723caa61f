"""What every test shares: projects that drive the real dbt, on DuckDB, on one Spark session with Delta Lake, and on a
stand-in for a Databricks workspace.

```python
def test_something(make_project, engine):
    project = make_project(
        engine,
        models={"gold_orders": "{{ lineage_audit.mapped_model('orders', source=ref('orders')) }}"},
        seeds={"orders": [{"order_id": "1", "amount": "12.50"}]},
        field_mapping=[{"endpoint_name": "orders", "target_column": "order_id", ...}],
    )
    project.dbt("build")
    assert project.query(f"select order_id from {project.schema}.gold_orders") == [{"order_id": "1"}]
```
"""

from __future__ import annotations

import atexit
import contextlib
import csv
import io
import itertools
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import yaml
from dbt.parser.manifest import ManifestLoader
from dbt_common.tests import enable_test_caching
from workspace.engine import FOR_FEW_ROWS, one_start_at_a_time

ROOT = Path(__file__).resolve().parents[1]
ENGINES = ("duckdb", "spark")
# The stand-in for a Databricks workspace takes Spark's place behind every test: `make test TARGET=databricks`.
SPARK_IS_DATABRICKS = os.environ.get("LINEAGE_AUDIT_TEST_TARGET") == "databricks"
# Of the tests made for Spark, those that it always runs; with ARGS="-m spark" it runs all.
THROUGH_DATABRICKS = ("test_consumer", "test_row_algebra")
HASH_KEY_VARIABLE = "DBT_ENV_SECRET_LINEAGE_AUDIT_KEY"
HASH_KEY = "a key that stands nowhere but in the environment"

# Spark's JVM takes its environment when it starts, so both are set before the first test asks for a session.
os.environ[HASH_KEY_VARIABLE] = HASH_KEY
os.environ["TZ"] = "UTC"
time.tzset()

# `dbt retry` takes the arguments of the process for dbt's: pytest's -m would be a deprecated one, told by every later command.
del sys.argv[1:]

# Every project of every test has the package's macros: dbt takes each text apart once, not for each project, half of its parsing.
enable_test_caching()

# Vars that nothing reads while dbt parses. For a new value of any var of the command line it parses the whole project anew.
READ_WHILE_MODELS_RUN = ("lineage_audit_run_id", "lineage_audit_code_version", "lineage_audit_reprocess")


def _parse_once_for_all_runs() -> None:
    state_of = ManifestLoader.build_manifest_state_check

    def state_without_vars_of_the_run(loader: ManifestLoader):
        config = loader.root_project
        given = config.cli_vars
        config.cli_vars = {name: value for name, value in given.items() if name not in READ_WHILE_MODELS_RUN}
        try:
            return state_of(loader)
        finally:
            config.cli_vars = given

    ManifestLoader.build_manifest_state_check = state_without_vars_of_the_run


_parse_once_for_all_runs()

hypothesis.settings.register_profile("local", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") == "true" else "local")

# The columns of the config seeds, so that a test names only those that matter to it.
CONFIG_COLUMNS = {
    "api_endpoints": (
        "endpoint_name", "source_system", "raw_table", "payload_column", "active_flag", "description",
    ),
    "field_mapping": (
        "endpoint_name", "target_layer", "target_table", "target_column", "source_table", "source_columns",
        "api_field_name", "api_json_path", "transform_expr", "business_rule_id", "is_primary_key", "data_type",
        "nullable", "active_flag", "sensitivity", "description", "column_position",
    ),
    "business_rules": (
        "business_rule_id", "endpoint_name", "target_table", "rule_category", "rule_expression", "severity",
        "message", "active_flag",
    ),
}  # fmt: skip


# --- Spark: one session per test run, and what happens where there is no Java --------------------------------


# The stand-in for a Databricks workspace runs on a Spark of its own.
NEED_JAVA = {"spark": "Spark", "databricks": "the stand-in for Databricks"}
JAVA_ITEMS = pytest.StashKey[dict[str, int]]()
JAVA_PROBLEM = pytest.StashKey[str | None]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--install-java",
        action="store_true",
        help="install Java for the Spark tests where it is missing and a package manager may be used",
    )


def _find_java(install: bool) -> tuple[str | None, str | None]:
    """JAVA_HOME of a Java that Spark runs on, or else the reason why there is none."""
    command = [str(ROOT / "scripts" / "ensure_java.sh"), *([] if install else ["--no-install"])]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode == 0:
        return finished.stdout.strip(), None
    return None, (finished.stderr.strip().splitlines() or ["Java 17 or later is missing"])[-1]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        # A test that is not of each engine is of dbt-spark.
        of_each_engine = item.get_closest_marker("spark") and "engine" in item.fixturenames
        if SPARK_IS_DATABRICKS and of_each_engine and item.path.stem in THROUGH_DATABRICKS:
            item.add_marker("databricks")


def pytest_collection_finish(session: pytest.Session) -> None:
    config = session.config
    counts = {mark: sum(1 for item in session.items if item.get_closest_marker(mark)) for mark in NEED_JAVA}
    config.stash[JAVA_ITEMS] = {mark: count for mark, count in counts.items() if count}
    config.stash[JAVA_PROBLEM] = None
    if config.stash[JAVA_ITEMS] and not config.option.collectonly:
        home, problem = _find_java(config.getoption("--install-java"))
        config.stash[JAVA_PROBLEM] = problem
        if home:
            os.environ["JAVA_HOME"] = home


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    problem = item.config.stash[JAVA_PROBLEM]
    if problem and any(item.get_closest_marker(mark) for mark in NEED_JAVA):
        if os.environ.get("CI") == "true":
            pytest.fail(f"{problem}; in CI no test may be skipped", pytrace=False)
        pytest.skip(problem)


def pytest_unconfigure(config: pytest.Config) -> None:
    # After pytest's own last line: what was left out must not drown in what went well.
    if config.stash.get(JAVA_PROBLEM, None):
        counts = [f"the {count} tests on {NEED_JAVA[mark]}" for mark, count in config.stash[JAVA_ITEMS].items()]
        print(f"NOT TESTED: {' and '.join(counts)}. Reason: {config.stash[JAVA_PROBLEM]}")
    # At exit DuckDB's Python binding reports what dbt's threads still hold: fifty lines that would bury the result.
    atexit.register(lambda: os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stderr__.fileno()))


def _profile_output(engine: str) -> dict[str, Any]:
    profiles = yaml.safe_load((ROOT / "profiles.yml").read_text())
    return profiles["lineage_audit"]["outputs"][engine]


def _render_env_vars(text: str) -> str:
    """The value of a profile's setting, as dbt renders it: env_var() with a default is all that it uses."""
    pattern = r"\{\{ env_var\('(\w+)', '([^']*)'\) \}\}"
    return re.sub(pattern, lambda found: os.environ.get(found[1], found[2]), text)


@pytest.fixture(scope="session")
def spark_settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What profiles.yml says about Spark, with the warehouse in a folder of this test run."""
    folder = tmp_path_factory.mktemp("spark")
    settings = {
        name: re.sub(r"(?<!\w)\.spark\b", str(folder), _render_env_vars(value))
        for name, value in _profile_output("spark")["server_side_parameters"].items()
    }
    # Room for all that the JVM compiles in an hour of tests; once it is full the JVM interprets, and then statements fail.
    # The collector for throughput leaves more of two cores to the tests than the one for short pauses, the default.
    settings["spark.driver.extraJavaOptions"] += " -XX:ReservedCodeCacheSize=600m -XX:+UseParallelGC"
    settings["spark.databricks.delta.snapshotPartitions"] = "1"
    return {**settings, **FOR_FEW_ROWS}


@pytest.fixture(scope="session")
def spark_session(spark_settings: dict[str, str]):
    """The session that dbt-spark's method `session` finds, and therefore uses, in this process."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.enableHiveSupport()
    for name, value in spark_settings.items():
        builder = builder.config(name, value)
    with one_start_at_a_time():
        session = builder.getOrCreate()
    yield session
    session.stop()


@pytest.fixture(scope="module")
def spark_of_people(engine: str, request: pytest.FixtureRequest):
    """Spark compiles, plans and reads in the tests of this module as it does for people: where values and types are put to the proof."""
    if "spark" not in (server := _server_of(engine, request)):
        yield
        return
    settings = server["spark"].conf
    for name in FOR_FEW_ROWS:
        settings.unset(name)
    yield
    for name, value in FOR_FEW_ROWS.items():
        settings.set(name, value)


@pytest.fixture(scope="session")
def databricks_process(spark_settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory):
    """The stand-in for a Databricks workspace: catalogs `main` and `governance`, an admin, a job and a reader without privileges."""
    from workspace.process import WorkspaceProcess

    wanted = ("spark.master", "spark.driver.memory", "spark.driver.extraJavaOptions", "spark.buffer.pageSize")
    settings = {name: spark_settings[name] for name in wanted}
    process = WorkspaceProcess(
        tmp_path_factory.mktemp("databricks"),
        users={"job-token": "job@example.com", "reader-token": "reader@example.com"},
        secrets={"lineage_audit/hash_key": HASH_KEY_VARIABLE},
        spark_settings=settings,
    )
    with pytest.MonkeyPatch.context() as patch:
        for name, value in process.environment.items():
            patch.setenv(name, value)
        yield process
    process.stop()


@contextlib.contextmanager
def _all_served(databricks_process):
    """Begins with an empty record, and fails if the stand-in is asked meanwhile for anything that it doesn't serve."""
    databricks_process.forget()
    yield
    refused = databricks_process.state()["refused"]
    assert not refused, "the stand-in serves none of these:\n" + "\n".join(map(str, refused))


@pytest.fixture
def databricks(databricks_process):
    """The stand-in with an empty record; the test fails if it was asked for anything that it doesn't serve."""
    with _all_served(databricks_process):
        yield databricks_process


# --- dbt ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Statement:
    """A statement that dbt sent; node is the unique_id of the resource it was sent for, if any."""

    node: str | None
    connection: str
    sql: str


@dataclass
class Invocation:
    """One dbt command: its outcome, what it printed, what it logged and what it sent."""

    arguments: list[str]
    success: bool
    exception: BaseException | None
    result: Any
    output: str
    log: str
    statements: list[Statement] = field(repr=False)

    @property
    def nodes(self) -> dict[str, Any]:
        """dbt's result per node, under the node's name."""
        results = getattr(self.result, "results", None) or []
        return {result.node.name: result for result in results if hasattr(result, "node")}

    @property
    def statuses(self) -> dict[str, str]:
        return {name: str(result.status) for name, result in self.nodes.items()}

    @property
    def messages(self) -> str:
        """Everything that a user reads of it: printed lines, the nodes' messages, the exception."""
        texts = [self.output, *(str(result.message) for result in self.nodes.values())]
        return "\n".join([*texts, str(self.exception)] if self.exception else texts)

    def statements_of(self, name: str) -> list[str]:
        """The SQL that was sent for the model, seed, test or operation of that name, in order."""
        own = [each.sql for each in self.statements if each.node and each.node.split(".")[2] == name]
        return [sql for sql in own if not _is_of_dbt_duckdb(sql)]


def _is_of_dbt_duckdb(sql: str) -> bool:
    """What dbt-duckdb looks up once in a run, for whichever node is first."""
    return "from duckdb_databases()" in sql or "from duckdb_constraints()" in sql


class Project:
    """A dbt project on disk and the database that it builds in."""

    def __init__(
        self,
        directory: Path,
        workspace: Path,
        engine: str,
        schema: str,
        profile: str,
        artifacts: bool = False,
        spark=None,
        databricks=None,
    ):
        self.directory = directory
        self.workspace = workspace
        # Databricks speaks Spark's SQL: what a test writes for the one, it writes for the other.
        self.engine = "spark" if databricks else engine
        self.schema = schema
        self.database_path = workspace / "warehouse.duckdb"
        self.spark = spark
        self.databricks = databricks
        self.invocations: list[Invocation] = []
        self.profile = profile
        self.artifacts = artifacts
        self.output = self._output()
        self._write_profile()

    def use_target(self, **target: Any) -> None:
        """From now on reach the stand-in by another catalog, compute or user: the arguments of its profile_output."""
        self.output = self.databricks.profile_output(self.schema, **target)
        self._write_profile()

    def _output(self) -> dict[str, Any]:
        if self.databricks:
            return self.databricks.profile_output(self.schema)
        output = {**_profile_output(self.engine), "schema": self.schema}
        if self.engine == "duckdb":
            output["path"] = str(self.database_path)
        else:
            # The session runs already: repeating its settings with every statement would only cost time.
            output["server_side_parameters"] = {}
        return output

    def _write_profile(self) -> None:
        profile = {self.profile: {"target": self.engine, "outputs": {self.engine: self.output}}}
        self.write_file(self.workspace / "profiles.yml", yaml.safe_dump(profile, sort_keys=False))

    @staticmethod
    def write_file(path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")

    def write(self, path: str, content: str | Mapping | list[Mapping]) -> None:
        """Create or replace a file of the project: a text, YAML from a dict, CSV from a list of rows."""
        if path.endswith(".csv") and not isinstance(content, str):
            content = csv_text(content, CONFIG_COLUMNS.get(Path(path).stem))
        elif not isinstance(content, str):
            content = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
        self.write_file(self.directory / path, content)

    def remove(self, path: str) -> None:
        (self.directory / path).unlink()

    def compiled(self, model: str) -> str:
        """The compiled SQL of a model, as it stands in target/compiled."""
        (path,) = (self.target / "compiled").rglob(f"{model}.sql")
        return path.read_text(encoding="utf-8")

    @property
    def target(self) -> Path:
        return self.workspace / "target"

    @property
    def manifest(self) -> dict[str, Any]:
        return json.loads((self.target / "manifest.json").read_text(encoding="utf-8"))

    def dbt(self, *arguments: str, vars: Mapping[str, Any] | None = None, check: bool = True) -> Invocation:
        """Run a dbt command. A failure fails the test, unless check=False."""
        from dbt.cli.main import dbtRunner

        log_path = self.workspace / "logs" / f"{len(self.invocations):03d}-{arguments[0]}"
        command = [
            *arguments,
            *(["--vars", json.dumps(vars)] if vars else []),
            *("--project-dir", str(self.directory), "--profiles-dir", str(self.workspace)),
            *("--log-path", str(log_path), "--no-use-colors"),
        ]
        if arguments[0] not in ("deps", "clean"):
            command += ["--target-path", str(self.target)]
            command += [] if self.artifacts else ["--no-write-json"]
        statements: list[Statement] = []
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                result = dbtRunner(callbacks=[_statement_collector(statements)]).invoke(command)
        finally:
            self._let_go_of_the_database()
        sys.stdout.write(printed.getvalue())
        log = log_path / "dbt.log"
        invocation = Invocation(
            arguments=command,
            success=result.success,
            exception=result.exception,
            result=result.result,
            output=printed.getvalue(),
            log=log.read_text(encoding="utf-8") if log.exists() else "",
            statements=statements,
        )
        self.invocations.append(invocation)
        if check and not invocation.success:
            reason = f"\n{invocation.exception}" if invocation.exception else ""
            pytest.fail(f"dbt {' '.join(arguments)} failed\n{invocation.output}{reason}", pytrace=False)
        return invocation

    def _let_go_of_the_database(self) -> None:
        if self.engine == "duckdb":
            from dbt.adapters.duckdb.connections import DuckDBConnectionManager

            DuckDBConnectionManager.close_all_connections()

    @contextlib.contextmanager
    def connect(self):
        """A DuckDB connection to the project's database, as dbt-duckdb makes them."""
        import duckdb

        with duckdb.connect(str(self.database_path)) as connection:
            connection.execute("set TimeZone = 'UTC'")
            yield connection

    def query(self, sql: str) -> list[dict[str, Any]]:
        """The rows that a query gives, each as a dict; structs are dicts, lists are lists."""
        if self.databricks:
            return self.databricks.query(sql, catalog=self.output["catalog"])
        if self.engine == "spark":
            return [row.asDict(recursive=True) for row in self.spark.sql(sql).collect()]
        with self.connect() as connection:
            cursor = connection.execute(sql)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def value(self, sql: str) -> Any:
        """The one value that a query gives."""
        (row,) = self.query(sql)
        (value,) = row.values()
        return value

    def execute(self, *statements: str) -> None:
        """Send statements that give no rows."""
        if self.databricks:
            for statement in statements:
                self.query(statement)
        elif self.engine == "spark":
            for statement in statements:
                self.spark.sql(statement)
        else:
            with self.connect() as connection:
                for statement in statements:
                    connection.execute(statement)


def _statement_collector(statements: list[Statement]):
    def collect(event) -> None:
        if event.info.name == "SQLQuery":
            node = event.data.node_info.unique_id or None
            statements.append(Statement(node=node, connection=event.data.conn_name, sql=event.data.sql))

    return collect


def csv_text(rows: Iterable[Mapping[str, Any]], columns: Iterable[str] | None = None) -> str:
    """Rows as CSV: None is an empty cell, a boolean is true or false; columns default to those of the rows."""
    rows = list(rows)
    names = list(columns or dict.fromkeys(itertools.chain.from_iterable(rows)))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _cell(value) for name, value in row.items()})
    return text.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.fixture(
    scope="session", params=[pytest.param(name, marks=pytest.mark.spark if name == "spark" else ()) for name in ENGINES]
)
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine in turn."""
    return request.param


@pytest.fixture(scope="session")
def hash_key() -> str:
    """The key of columns marked `hash`, on both engines."""
    return HASH_KEY


@pytest.fixture(scope="session")
def make_project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """Make a project of a consumer that installs lineage_audit from its local path, in a folder and schema of its own.

    models, macros, analyses, snapshots: {name: SQL}; python_models: {name: Python}; seeds: {name: CSV or rows};
    properties: the content of models/properties.yml; the config tables: rows, missing columns are empty;
    files: {path: content}; config: merged into dbt_project.yml; artifacts: that dbt writes manifest.json and its like, a second
    for each command; with_sample: the package's sample is in the project's folder too, disabled, as it is for people. The columns of
    the config tables: make_project.config_columns.
    """
    # Two threads that make the first of all folders take it from each other.
    tmp_path_factory.getbasetemp()
    numbers = itertools.count(1)

    def make(
        engine: str,
        *,
        models: Mapping[str, str] | None = None,
        python_models: Mapping[str, str] | None = None,
        macros: Mapping[str, str] | None = None,
        analyses: Mapping[str, str] | None = None,
        snapshots: Mapping[str, str] | None = None,
        seeds: Mapping[str, str | list[Mapping]] | None = None,
        properties: str | Mapping | None = None,
        api_endpoints: list[Mapping] | None = None,
        field_mapping: list[Mapping] | None = None,
        business_rules: list[Mapping] | None = None,
        files: Mapping[str, Any] | None = None,
        config: Mapping[str, Any] | None = None,
        name: str = "consumer",
        artifacts: bool = False,
        with_sample: bool = False,
    ) -> Project:
        workspace = tmp_path_factory.mktemp(f"{name}_{engine}_")
        server = _server_of(engine, request)
        if spark := server.get("spark"):
            # Delta keeps a snapshot, with its plan, of each of its last 10,000 tables for an hour: they would fill the heap.
            spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()
        schema = f"{name}_{next(numbers)}"
        project = Project(workspace / "project", workspace, engine, schema, name, artifacts, **server)
        project.write("dbt_project.yml", _merged(_project_file(name), config or {}))
        project.write("packages.yml", {"packages": [{"local": str(ROOT)}]})
        _install_package(project.directory, with_sample)
        # Projects have macros. In one that has none dbt raises an error, and catches it, for each macro that depends on the adapter.
        project.write("macros/of_the_project.sql", "{% macro of_the_project() %}{% endmacro %}")
        for folder, suffix, contents in (
            ("models", "sql", models),
            ("models", "py", python_models),
            ("macros", "sql", macros),
            ("analyses", "sql", analyses),
            ("snapshots", "sql", snapshots),
            ("seeds", "csv", seeds),
        ):
            for each, content in (contents or {}).items():
                project.write(f"{folder}/{each}.{suffix}", content)
        if properties:
            project.write("models/properties.yml", properties)
        for table, rows in (
            ("api_endpoints", api_endpoints),
            ("field_mapping", field_mapping),
            ("business_rules", business_rules),
        ):
            if rows is not None:
                project.write(f"seeds/{table}.csv", rows)
        for path, content in (files or {}).items():
            project.write(path, content)
        return project

    make.config_columns = CONFIG_COLUMNS
    make.read_while_models_run = READ_WHILE_MODELS_RUN
    return make


@pytest.fixture(scope="session")
def make_sample(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """Make the repository's own project, built in a database of the test; nothing is written into the repository."""
    numbers = itertools.count(1)

    def make(engine: str) -> Project:
        workspace = tmp_path_factory.mktemp(f"sample_{engine}_")
        schema = f"sample_{next(numbers)}"
        return Project(ROOT, workspace, engine, schema, "lineage_audit", artifacts=True, **_server_of(engine, request))

    return make


@pytest.fixture(scope="session")
def databricks_sample(make_sample, databricks_process) -> Project:
    """The repository's own project, built on the stand-in with its tests, without the lineage graph."""
    project = make_sample("databricks")
    with _all_served(databricks_process):
        project.dbt("build", "--exclude", "lineage_audit.graph")
    return project


@pytest.fixture(scope="session")
def databricks_graph(databricks_sample: Project, databricks_process) -> Project:
    """That project with its lineage graph."""
    with _all_served(databricks_process):
        databricks_sample.dbt("run", "--select", "lineage_audit.graph")
    return databricks_sample


@pytest.fixture(scope="session")
def hive_sample(make_sample, databricks_process) -> Project:
    """The repository's own project, built on the stand-in without Unity Catalog, without tests and without the lineage graph."""
    project = make_sample("databricks")
    project.use_target(catalog="hive_metastore")
    no_tests = ("--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")
    with _all_served(databricks_process):
        project.dbt("build", "--exclude", "lineage_audit.graph", *no_tests)
    return project


def _server_of(engine: str, request: pytest.FixtureRequest) -> dict[str, Any]:
    """What a project on this engine is built and read through, started when the first one needs it."""
    if engine == "databricks" or (engine == "spark" and SPARK_IS_DATABRICKS):
        return {"databricks": request.getfixturevalue("databricks_process")}
    return {"spark": request.getfixturevalue("spark_session")} if engine == "spark" else {}


def _project_file(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "version": "1.0.0",
        "config-version": 2,
        "profile": name,
        "flags": {"send_anonymous_usage_stats": False},
        # What the documentation asks of a project whose seeds are loaded through dbt-spark.
        "dispatch": [{"macro_namespace": "dbt", "search_order": [name, "lineage_audit", "dbt"]}],
        "models": {name: {"+file_format": "{{ 'delta' if target.type == 'spark' else none }}"}},
        "seeds": {name: {"+file_format": "{{ 'delta' if target.type == 'spark' else none }}"}},
    }


def _merged(base: Any, changes: Any) -> Any:
    if isinstance(base, Mapping) and isinstance(changes, Mapping):
        return {
            **base,
            **{key: _merged(base[key], value) if key in base else value for key, value in changes.items()},
        }
    return changes


def _install_package(directory: Path, with_sample: bool) -> None:
    # Links, as `dbt deps` makes one for a local package, without the time that dbt takes to start.
    package = directory / "dbt_packages" / "lineage_audit"
    if with_sample:
        package.parent.mkdir(parents=True)
        package.symlink_to(ROOT)
        return
    package.mkdir(parents=True)
    for name in ("dbt_project.yml", "macros", "models", "seeds", "analyses", "scripts"):
        (package / name).symlink_to(ROOT / name)
    # dbt parses the sample in every project, more than half of what it parses, and then leaves it out.
    (package / ".dbtignore").write_text("models/sample\nseeds/sample\n")
