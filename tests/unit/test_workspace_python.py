"""The stand-in for a Databricks workspace runs Python as the platform does: only with the libraries that were declared for it."""

from __future__ import annotations

import base64
from types import SimpleNamespace

import pytest
from workspace.errors import InvalidParameterError
from workspace.names import Catalogs
from workspace.python_runs import PythonRuns

READS = "import json, pandas, sqlglot.expressions as e\nspark.table('`main`.`dev`.`a`')"


@pytest.fixture
def runs():
    def session():
        return SimpleNamespace(sql=str, table=asked.append, catalog=SimpleNamespace(tableExists=str))

    asked: list[str] = []
    workspace = SimpleNamespace(catalogs=Catalogs(["main"]), spark=SimpleNamespace(newSession=session))
    return SimpleNamespace(python=PythonRuns(workspace), asked=asked)


def call(runs, method: str, name: str, **body):
    return runs.python.endpoints[method, name]("somebody", body)


def outcome_of_run(runs, code: str, task: dict | None = None, **settings) -> tuple[str, str | None]:
    content = base64.b64encode(code.encode()).decode()
    call(runs, "POST", "workspace/import", path="/model", content=content)
    task = {"task_key": "inner_notebook", "notebook_task": {"notebook_path": "/model"}, **(task or {})}
    number = call(runs, "POST", "jobs/runs/submit", tasks=[task], **settings)["run_id"]
    run = call(runs, "GET", "jobs/runs/get", run_id=str(number))
    output = call(runs, "GET", "jobs/runs/get-output", run_id=str(run["tasks"][0]["run_id"]))
    return run["state"]["result_state"], output.get("error")


PINNED = {"libraries": [{"pypi": {"package": "sqlglot==30.30.0"}}]}
ENVIRONMENT = [{"environment_key": "graph", "spec": {"environment_version": "4", "dependencies": ["sqlglot"]}}]


@pytest.mark.parametrize(
    ("code", "task", "settings"),
    [
        ("%pip install -q sqlglot==30.30.0\n" + READS, {}, {}),
        (READS, {"new_cluster": {}, **PINNED}, {}),
        (READS, {"existing_cluster_id": "c", **PINNED}, {}),
        (READS, {"environment_key": "graph"}, {"environments": ENVIRONMENT}),
    ],
)
def test_a_library_is_declared_where_the_compute_takes_it(runs, code, task, settings):
    assert outcome_of_run(runs, code, task, **settings) == ("SUCCESS", None)
    assert runs.asked == ["`spark_catalog`.`main__dev`.`a`"]


@pytest.mark.parametrize(
    ("code", "task", "said"),
    [
        (READS, {}, "No module named 'sqlglot'"),
        (READS, {"new_cluster": {}, "libraries": []}, "No module named 'sqlglot'"),
        ("%pip install -q sqlglot==1.0\n" + READS, {}, "No matching distribution found for sqlglot==1.0"),
    ],
)
def test_what_was_not_declared_is_not_there(runs, code, task, said):
    state, error = outcome_of_run(runs, code, task)
    assert state == "FAILED"
    assert said in error


@pytest.mark.parametrize(
    ("task", "said"),
    [(PINNED, "Libraries field is not supported"), ({"environment_key": "x"}, "'x' .* is not defined")],
)
def test_serverless_compute_takes_libraries_by_an_environment(runs, task, said):
    with pytest.raises(InvalidParameterError, match=said):
        outcome_of_run(runs, READS, task)


def test_a_command_declares_for_itself(runs):
    for code, kind in ((READS, "error"), ("%pip install  -q sqlglot\n" + READS, "text")):
        number = call(runs, "POST", "commands/execute", clusterId="c", contextId="1", command=code)["id"]
        assert call(runs, "GET", "commands/status", commandId=number)["results"]["resultType"] == kind
    assert [(each["compute"], each["libraries"]) for each in runs.python.submitted] == [("c", []), ("c", ["sqlglot"])]
