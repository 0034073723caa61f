"""Kills dbt again and again, and looks at what the next run makes of it.

A case is a chain of attempts on copies of a database: some are killed, between them more source rows may arrive, and
the last one runs to its end. Then everything that gold and the audit store hold is compared with world.py's oracle.
"""

from __future__ import annotations

import collections
import itertools
import json
import os
import random
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import world

KILLABLE = Path(__file__).with_name("killable.py")
WHENS = ("before", "during", "after")
KILLED = -9


@dataclass(frozen=True)
class Scenario:
    """What a run meets: how many batches it has read before, whether it builds anew, whether the mapping has changed."""

    name: str
    batches_before: int
    full_refresh: bool = False
    grown: bool = False


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("first run", 0),
        Scenario("later run", 1),
        Scenario("full refresh", 1, full_refresh=True),
        Scenario("grown mapping", 1, grown=True),
    )
}


@dataclass(frozen=True)
class Point:
    """Where an attempt is killed: at a statement of it, or at a moment."""

    scenario: str
    model: str
    when: str
    statement: int = 0
    fraction: float = 0.0  # of the statement's time, or of the whole attempt's


@dataclass
class Figures:
    """What is printed in the end."""

    seed: int
    kills: int = 0
    half_attempts: int = 0
    rows_of_the_dead_in_gold: int = 0
    rows_of_the_dead_in_the_store: int = 0
    in_midst_of_a_statement: int = 0
    same_run_id: int = 0
    chains: int = 0
    committed_and_killed: int = 0
    leftovers: int = 0
    boundaries: dict[str, set[tuple[str, int, str]]] = field(default_factory=lambda: collections.defaultdict(set))
    of_boundaries: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [
            f"seed {self.seed}: {self.kills} kills in {self.chains} chains; {self.half_attempts} left a half attempt",
            f"  rows of dead attempts found in gold: {self.rows_of_the_dead_in_gold}, in the store: {self.rows_of_the_dead_in_the_store}",
            f"  killed while a statement ran: {self.in_midst_of_a_statement}; after the commit: {self.committed_and_killed}; "
            f"under one run_id: {self.same_run_id}; temporary tables left behind: {self.leftovers}",
        ]
        for model, hit in self.boundaries.items():
            lines.append(
                f"  {model}: killed at {len(hit)} of {self.of_boundaries.get(model, '?')} places before, in and after a statement"
            )
        return "\n".join([*lines, *(f"  PROBLEM {problem}" for problem in self.problems)])


def progress_of(path: Path) -> list[dict[str, Any]]:
    """The statements that a command sent, in order, as Watch wrote them down."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


# --- DuckDB ------------------------------------------------------------------------------------------------------


class DuckDBTorture:
    """A server that forks dbt, databases prepared for each scenario, and the chains that run on copies of them."""

    def __init__(self, project, folder: Path, seed: int):
        self.project = project
        self.folder = folder
        self.random = random.Random(seed)
        self.figures = Figures(seed)
        self.numbers = itertools.count(1)
        self.recorded: dict[tuple[str, str], list[dict]] = {}
        self._use_path_of_environment()
        self.server = self._start()

    def _use_path_of_environment(self) -> None:
        profile = self.project.workspace / "profiles.yml"
        path = str(self.project.database_path)
        profile.write_text(profile.read_text().replace(path, "\"{{ env_var('TORTURE_DATABASE') }}\""))

    def _start(self) -> subprocess.Popen:
        command = [sys.executable, str(KILLABLE), "serve", *self._places("parse")]
        errors = (self.folder / "server.log").open("w")
        environment = {**os.environ, "TORTURE_DATABASE": str(self.project.database_path)}
        server = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment
        )
        if server.stdout.readline().strip() != "ready":
            raise RuntimeError((self.folder / "server.log").read_text())
        return server

    def close(self) -> None:
        """Send the server home."""
        self.server.stdin.close()
        self.server.wait()

    def _places(self, name: str) -> list[str]:
        project = self.project
        return [
            *("--project-dir", str(project.directory), "--profiles-dir", str(project.workspace)),
            *("--log-path", str(self.folder / "logs" / name), "--target-path", str(self.folder / "target" / name)),
            *("--no-use-colors", "--log-level-file", "none"),
        ]

    def dbt(self, database: Path, *arguments: str, kill: dict | None = None, variables: dict | None = None):
        """One dbt command on a database: its exit status and the statements that it sent."""
        name = f"{next(self.numbers):05d}"
        progress, output = database.parent / f"{name}.progress", database.parent / f"{name}.out"
        order = {
            "arguments": [*arguments, *self._places(database.parent.name), "--no-write-json", "--threads", "1"],
            "vars": variables,
            "environment": {"TORTURE_DATABASE": str(database)},
            "progress": str(progress),
            "output": str(output),
            "kill": kill,
        }
        self.server.stdin.write(json.dumps(order) + "\n")
        self.server.stdin.flush()
        status = int(self.server.stdout.readline())
        if status not in (0, KILLED):
            raise RuntimeError(f"dbt {' '.join(arguments)} failed on {database}:\n{output.read_text()}")
        return status, progress_of(progress)

    def execute(self, database: Path, *statements: str) -> None:
        import duckdb

        with duckdb.connect(str(database)) as connection:
            for statement in statements:
                connection.execute(statement)

    def dump(self, database: Path, model: str) -> dict[str, list[dict] | None]:
        """What is looked at after a run; none for what can't be answered yet."""
        import duckdb

        found: dict[str, Any] = {}
        with duckdb.connect(str(database)) as connection:
            for name, sql in world.queries("duckdb", self.project.schema, [model]).items():
                try:
                    cursor = connection.execute(sql)
                except duckdb.CatalogException:
                    found[name] = None
                    continue
                names = [column[0] for column in cursor.description]
                found[name] = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        return found

    # A database of the same file name everywhere: the name is part of each relation's.

    def _copy(self, database: Path, name: str) -> Path:
        copy = self.folder / name / database.name
        copy.parent.mkdir(parents=True)
        for suffix in ("", ".wal"):
            if (database.parent / (database.name + suffix)).exists():
                shutil.copyfile(f"{database}{suffix}", f"{copy}{suffix}")
        return copy

    def base(self, scenario: Scenario, model: str) -> tuple[Path, list[world.Attempt]]:
        """A database as the scenario's first attempt finds it, made once; and the attempts before that."""
        schema = self.project.schema
        name = f"base {scenario.name} {model}"
        database = self.folder / name / "warehouse.duckdb"
        attempts = [world.Attempt(1, "before")] if scenario.batches_before else []
        if not database.parent.exists():
            empty = self.folder / "base" / "warehouse.duckdb"
            if not empty.exists():
                empty.parent.mkdir()
                self.execute(empty, *world.source_ddl("duckdb", schema), *world.batch_sql(schema, 1))
                self.dbt(empty, "seed")
            self._copy(empty, name)
            if attempts:
                _, statements = self._run(database, scenario, model, attempts[0], None)
                self.recorded["before", model] = statements
                self.execute(database, *world.batch_sql(schema, 2))
            if scenario.grown:
                self.execute(database, world.grow_sql(schema))
        if attempts:
            attempts[0].invocation_id = self.recorded["before " + scenario.name, model][0]["invocation_id"]
        return database, attempts

    def _run(self, database: Path, scenario: Scenario, model: str, attempt: world.Attempt, kill: dict | None):
        # Views are built by the first run: where nothing was before, they are among the statements that are killed.
        views = [] if scenario.batches_before and attempt.run_id != "before" else ["package:lineage_audit"]
        refresh = ["--full-refresh"] if attempt.full_refresh else []
        variables = {"lineage_audit_run_id": attempt.run_id} if attempt.run_id else None
        status, statements = self.dbt(
            database, "run", "--select", model, *views, *refresh, kill=kill, variables=variables
        )
        attempt.killed = status == KILLED
        attempt.invocation_id = statements[0]["invocation_id"] if statements else None
        attempt.statements = statements
        if attempt.run_id == "before":
            self.recorded["before " + scenario.name, model] = statements
        return status, statements

    def record(self, scenario: Scenario, model: str) -> list[dict]:
        """The statements of an attempt that nobody kills, with the time of each; and what it leaves is right."""
        if (scenario.name, model) not in self.recorded:
            point = Point(scenario.name, model, "never")
            attempts = self.chain([point], same_run_id=False, arrives=False)
            self.recorded[scenario.name, model] = attempts[-1].statements
        return self.recorded[scenario.name, model]

    def points(self, scenario: Scenario, model: str) -> list[Point]:
        """Before, during and after every statement of the scenario's attempt that is sent for the model.

        Those that dbt sends around it, which are the same for every model, are among them for the first model.
        """
        places = [
            line["statement"]
            for line in self.record(scenario, model)
            if not line["done"] and (line["node"] == model or model == world.MODELS_OF["duckdb"][0])
        ]
        self.figures.of_boundaries[f"{model}, {scenario.name}"] = len(places) * len(WHENS)
        return [
            Point(scenario.name, model, when, statement, self.random.random()) for when in WHENS for statement in places
        ]

    def moments(self, scenario: Scenario, model: str, number: int) -> list[Point]:
        """Random moments of the scenario's attempt."""
        return [Point(scenario.name, model, "moment", 0, self.random.random()) for _ in range(number)]

    def _order(self, point: Point) -> dict[str, Any] | None:
        if point.when == "never":
            return None
        lines = self.record(SCENARIOS[point.scenario], point.model)
        seconds = {line["statement"]: line["seconds"] for line in lines if line["done"]}
        whole = sum(seconds.values()) * 3 if point.when == "moment" else seconds.get(point.statement, 0.001)
        return {"when": point.when, "statement": point.statement, "delay": whole * point.fraction}

    def torture(self, points: list[Point], lengths: tuple[int, ...]) -> None:
        """Kill at every point, in chains of these lengths, each followed by a run that comes to its end."""
        for found in _grouped(points):
            self.random.shuffle(found)
            while found:
                length = self.random.choice(lengths)
                chain, found = found[:length], found[length:]
                missed = self.chain(chain, self.random.random() < 0.4, self.random.random() < 0.5)
                # A later attempt of a chain has other statements, and may be over sooner: what it never reached gets a chain
                # of its own.
                for point in missed:
                    for _ in range(5):
                        if not self.chain([point], self.random.random() < 0.4, self.random.random() < 0.5):
                            break
                        point = replace(point, fraction=point.fraction / 2)

    def chain(self, points: list[Point], same_run_id: bool, arrives: bool):
        """Attempts that are killed at these points, one that is not, and a look at everything.

        Gives the points that were not reached; for a point `never`, the attempts.
        """
        scenario, model = SCENARIOS[points[0].scenario], points[0].model
        base, attempts = self.base(scenario, model)
        folder = f"chain {next(self.numbers):05d}"
        database = self._copy(base, folder)
        batches = scenario.batches_before + 1
        missed = []
        kills = 0
        for point in [point for point in points if point.when != "never"] + [None]:
            attempt = world.Attempt(
                batches, "job" if same_run_id else None, full_refresh=scenario.full_refresh, grown=scenario.grown
            )
            if point is None and scenario.full_refresh and self.random.random() < 0.5:
                # Whoever retries may well leave the flag out.
                attempt.full_refresh = False
            status, statements = self._run(database, scenario, model, attempt, self._order(point) if point else None)
            attempts.append(attempt)
            if status == KILLED:
                kills += 1
                self._count(point, statements, batches)
                if arrives and kills == 1:
                    batches += 1
                    self.execute(database, *world.batch_sql(self.project.schema, batches))
            elif point:
                missed.append(point)
        dump = self.dump(database, model)
        self._judge(points, attempts, dump, same_run_id and kills > 0, folder)
        return attempts if points[0].when == "never" else missed

    def _count(self, point: Point, statements: list[dict], batches: int) -> None:
        figures = self.figures
        figures.kills += 1
        if statements and not statements[-1]["done"]:
            figures.in_midst_of_a_statement += point.when in ("during", "moment")
        if point.when != "moment":
            figures.boundaries[f"{point.model}, {point.scenario}"].add((point.scenario, point.statement, point.when))

    def _judge(
        self, points: list[Point], attempts: list[world.Attempt], dump: dict, same_run_id: bool, folder: str
    ) -> None:
        figures = self.figures
        half = world.half_attempts(dump, points[0].model)
        figures.chains += points[0].when != "never"
        figures.same_run_id += same_run_id
        figures.half_attempts += len(half)
        figures.rows_of_the_dead_in_gold += sum(each["gold"] for each in half)
        figures.rows_of_the_dead_in_the_store += sum(each["store"] for each in half)
        succeeded = {row["invocation_id"] for row in dump["events"] if row["event_type"] == "SUCCESS"}
        figures.committed_and_killed += sum(
            1 for attempt in attempts if attempt.killed and attempt.invocation_id in succeeded
        )
        found = world.problems(points[0].model, attempts, dump)
        figures.problems += [f"{points}, same run_id {same_run_id}, in {folder!r}: {problem}" for problem in found]
        if not found:
            shutil.rmtree(self.folder / folder)


def _grouped(points: list[Point]) -> list[list[Point]]:
    """The points of each scenario and model."""
    groups: dict[tuple[str, str], list[Point]] = {}
    for point in points:
        groups.setdefault((point.scenario, point.model), []).append(point)
    return list(groups.values())


# --- Spark with Delta Lake ---------------------------------------------------------------------------------------


@dataclass
class _Warehouse:
    """A warehouse and metastore of their own, and all that was tried on them."""

    folder: Path
    batches: int = 1
    grown: bool = False
    attempts: list[world.Attempt] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)  # of the next process
    tried: list[tuple[world.Attempt, Path]] = field(default_factory=list)  # by the next process: attempts, progress


class DeltaTorture:
    """Processes with a Spark session each, one after the other: all models run at once, and the JVM dies with dbt.

    The process after a kill looks at what is left, runs to the end, looks at everything, and is killed in its turn.
    """

    def __init__(self, project, folder: Path, settings: dict[str, str], seed: int):
        self.project = project
        self.folder = folder
        self.settings = settings
        self.random = random.Random(seed)
        self.figures = Figures(seed)
        self.models = world.MODELS_OF["spark"]
        self.numbers = itertools.count(1)
        # How many statements a later run sends for each model, and seconds each takes, until a run has shown it.
        self.places = dict.fromkeys(self.models, 8)
        self.seconds = 0.4
        self.earliest = 1

    def torture(self, kills: int, kills_per_warehouse: int, earliest: int = 1) -> None:
        """So many kills, none before that statement of a model; after every few in a fresh warehouse, the first run of
        which is killed too.
        """
        self.earliest = earliest
        while kills > 0:
            self._one_warehouse(min(kills, kills_per_warehouse))
            kills -= kills_per_warehouse

    def _one_warehouse(self, kills: int) -> None:
        warehouse = _Warehouse(self.folder / f"warehouse_{next(self.numbers)}")
        warehouse.folder.mkdir(parents=True)
        schema = self.project.schema
        warehouse.steps = [
            {"execute": [*world.source_ddl("spark", schema), *world.batch_sql(schema, 1)]},
            {"arguments": ["seed", *self._places()], "progress": str(warehouse.folder / "seed.progress")},
        ]
        run_id = None
        for kill in range(kills):
            chained = kill > 1 and warehouse.attempts[-1].killed and self.random.random() < 0.3
            if kill and not chained:
                self._finish(warehouse, run_id)
                self._arrive(warehouse)
                if kill == 2:
                    warehouse.grown = True
                    warehouse.steps.append({"execute": [world.grow_sql(schema)]})
            if not chained:
                run_id = f"job {next(self.numbers)}" if self.random.random() < 0.5 else None
            full_refresh = kill > 0 and self.random.random() < 0.25
            attempt = world.Attempt(warehouse.batches, run_id, full_refresh=full_refresh, grown=warehouse.grown)
            self._try(warehouse, attempt, self._order(first=not kill))
            self._process(warehouse)
        self._finish(warehouse, run_id)
        self._process(warehouse)

    def _arrive(self, warehouse: _Warehouse) -> None:
        warehouse.batches += 1
        warehouse.steps.append({"execute": world.batch_sql(self.project.schema, warehouse.batches)})

    def _finish(self, warehouse: _Warehouse, run_id: str | None) -> None:
        """The run after a kill, and a look at everything."""
        if self.random.random() < 0.5:
            self._arrive(warehouse)
        last = warehouse.attempts[-1]
        # Whoever retries may well leave the flag out.
        full_refresh = last.full_refresh and self.random.random() < 0.3
        attempt = world.Attempt(warehouse.batches, run_id, full_refresh=full_refresh, grown=warehouse.grown)
        self._try(warehouse, attempt, None)
        warehouse.steps.append({"dump": self._queries(), "into": str(warehouse.folder / "after.json")})

    def _try(self, warehouse: _Warehouse, attempt: world.Attempt, kill: dict[str, Any] | None) -> None:
        # Views are built until one run has come to its end.
        views = [] if any(not each.killed for each in warehouse.attempts) else ["package:lineage_audit"]
        progress = warehouse.folder / f"{next(self.numbers):03d}.progress"
        flags = ["--full-refresh"] if attempt.full_refresh else []
        warehouse.steps.append(
            {
                "arguments": ["run", "--select", *self.models, *views, *flags, *self._places()],
                "vars": {"lineage_audit_run_id": attempt.run_id} if attempt.run_id else None,
                "progress": str(progress),
                "kill": kill,
            }
        )
        warehouse.attempts.append(attempt)
        warehouse.tried.append((attempt, progress))

    def _places(self) -> list[str]:
        project = self.project
        return [
            *("--project-dir", str(project.directory), "--profiles-dir", str(project.workspace)),
            *("--log-path", str(self.folder / "logs"), "--target-path", str(self.folder / "target")),
            *("--no-use-colors", "--log-level-file", "none"),
        ]

    def _queries(self, *left_out: str) -> dict[str, str]:
        found = world.queries("spark", self.project.schema, self.models)
        return {name: sql for name, sql in found.items() if name not in left_out}

    def _order(self, first: bool) -> dict[str, Any]:
        """A statement of a model that was not hit yet, where there is one; the others are killed wherever they are."""
        wanted = [
            (model, place, when)
            for model in self.models
            for place in range(self.earliest, self.places[model] + 1)
            for when in ("during", "after")
        ]
        model, place, when = self.random.choice(
            [each for each in wanted if each[1:] not in self.figures.boundaries[each[0]]] or wanted
        )
        delay = self.seconds * self.random.random()
        return {"node": model, "statement": place, "when": when, "delay": delay}

    def _process(self, warehouse: _Warehouse) -> None:
        """Carry out the steps in a process of its own, and take in what came of them."""
        name = f"{next(self.numbers):03d}"
        before = len(warehouse.attempts) - len(warehouse.tried)
        if before:
            half = self._queries("runs", "lineage", "quarantine", "violations")
            warehouse.steps.insert(0, {"dump": half, "into": str(warehouse.folder / "half.json")})
        orders = warehouse.folder / f"{name}.json"
        orders.write_text(
            json.dumps(
                {
                    "settings": {
                        key: value.replace("{folder}", str(warehouse.folder)) for key, value in self.settings.items()
                    },
                    "parse": self._places(),
                    "steps": warehouse.steps,
                }
            )
        )
        output = warehouse.folder / f"{name}.out"
        with output.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, str(KILLABLE), "spark", str(orders)],
                cwd=warehouse.folder,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            status = process.wait()
        _wait_for_the_end_of(process.pid)
        if status not in (0, KILLED):
            raise RuntimeError(f"{orders}:\n{output.read_text()[-6000:]}")
        tried, warehouse.tried, warehouse.steps = warehouse.tried, [], []
        for attempt, progress in tried:
            attempt.statements = progress_of(progress)
            attempt.invocation_id = attempt.statements[0]["invocation_id"] if attempt.statements else None
        tried[-1][0].killed = status == KILLED
        if before:
            self._look_at_the_dead(warehouse, warehouse.attempts[:before])
        after = warehouse.folder / "after.json"
        if after.exists():
            self._judge(warehouse, warehouse.attempts[: before + 1], json.loads(after.read_text()))
            after.rename(warehouse.folder / f"{name}.after.json")
        if status == KILLED:
            self._count(tried[-1][0])

    def _look_at_the_dead(self, warehouse: _Warehouse, attempts: list[world.Attempt]) -> None:
        dump = json.loads((warehouse.folder / "half.json").read_text())
        last, left = attempts[-1], False
        for model in self.models:
            half = world.half_attempts(dump, model)
            invocations = {each["invocation_id"] for each in half}
            of_last = [each for each in half if each["invocation_id"] == last.invocation_id]
            left = left or bool(of_last)
            self.figures.rows_of_the_dead_in_gold += sum(each["gold"] for each in of_last)
            self.figures.rows_of_the_dead_in_the_store += sum(each["store"] for each in of_last)
            gold = {row["_lineage_invocation_id"] for row in dump[f"gold of {model}"] or []}
            if last.full_refresh and gold and gold <= invocations:
                last.replaced.add(model)
        self.figures.half_attempts += left
        tables = [row["tableName"] for row in dump["tables"] or []]
        self.figures.leftovers += sum(1 for name in tables if "__" in name)

    def _judge(self, warehouse: _Warehouse, attempts: list[world.Attempt], dump: dict) -> None:
        for model in self.models:
            found = world.problems(model, attempts, dump)
            self.figures.problems += [f"{warehouse.folder.name}, attempt {len(attempts)}: {each}" for each in found]
        last = attempts[-1]
        seconds = [line["seconds"] for line in last.statements if line["done"] and line["node"] in self.models]
        self.seconds = sum(seconds) / len(seconds)
        if len(attempts) > 2:
            for model in self.models:
                self.places[model] = max(line["place"] for line in last.statements if line["node"] == model)
                self.figures.of_boundaries[model] = 2 * self.places[model]

    def _count(self, attempt: world.Attempt) -> None:
        figures = self.figures
        figures.kills += 1
        figures.chains += 1
        figures.same_run_id += attempt.run_id is not None
        last = {line["node"]: line for line in attempt.statements}
        figures.in_midst_of_a_statement += any(not last[model]["done"] for model in self.models if model in last)
        for model in self.models:
            if model in last:
                figures.boundaries[model].add((last[model]["place"], "after" if last[model]["done"] else "during"))


def _wait_for_the_end_of(group: int) -> None:
    """Until no process of the group is left that could still write; the JVM takes a moment to die."""
    for _ in range(1000):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
