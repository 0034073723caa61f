"""The config changes under an incremental table: what gold, the lineage written before and the quarantine make of it.

One project per engine lives through the runs below, in order; each fixture is a run, and the tests look at what it left.
"""

from __future__ import annotations

import pytest
from mapped_cases import create_source, insert_into_source, mapped_columns, rule, source_properties

TYPES = {"id": "string", "other_id": "string", "amount": "string", "note": "string", "loaded_at": "timestamp"}
MODELS = {"gold_ignores": "ignore", "gold_appends": "append_new_columns", "gold_syncs": "sync_all_columns"}

ID = ("id", "id", {"is_primary_key": True})
AMOUNT = ("amount", "amount", {"data_type": "int"})
NOTE = ("note", "note", {"transform_expr": "upper(note)"})


def row(key: str, amount: str, day: int) -> tuple:
    return (key, f"other {key}", amount, f"note {key}", f"sql:timestamp '2024-03-{day:02} 00:00:00'")


def mapping(*columns: tuple) -> list[dict]:
    return [each for target in MODELS for each in mapped_columns("events", target, *columns)]


def refusal(run, model: str) -> list[str]:
    """The problems that the model was refused for."""
    message = run.nodes[model].message
    assert "found before any data moved" in message, message
    return [line.split(". ", 1)[1] for line in message.splitlines() if line.strip()[:1].isdigit()]


@pytest.fixture(scope="module")
def project(make_project, engine):
    project = make_project(
        engine,
        models={
            name: "{{ config(materialized='incremental', incremental_strategy='append', on_schema_change='"
            + on_schema_change
            + "') }}\n{{ lineage_audit.mapped_model('events', source=source('raw', 'events'), watermark='loaded_at') }}\n"
            for name, on_schema_change in MODELS.items()
        },
        properties=source_properties("events"),
        api_endpoints=[{"endpoint_name": "events", "active_flag": True}],
        field_mapping=mapping(ID, AMOUNT, NOTE),
        business_rules=[rule("V_AMOUNT", "events", "validation", "amount >= 0", severity="ERROR", message="then")],
        name="changes",
    )
    create_source(project, "events", TYPES, [row("a", "1", 1), row("b", "-2", 1)])
    project.dbt("seed")
    project.dbt("run")
    return project


def changed(project, day: int, *columns: tuple, rules: list[dict] | None = None, active: bool = True):
    """Rewrite the config, let a new row arrive, and run."""
    project.write("seeds/field_mapping.csv", mapping(*columns))
    project.write("seeds/api_endpoints.csv", [{"endpoint_name": "events", "active_flag": active}])
    if rules is not None:
        project.write("seeds/business_rules.csv", rules)
    insert_into_source(project, "events", [row(f"of day {day}", str(day), day)])
    project.dbt("seed", "--full-refresh")
    return project.dbt("run", check=False)


def gold(project, model: str) -> list[dict]:
    rows = project.query(f"select * from {project.schema}.{model} order by id")
    return [{name: value for name, value in each.items() if not name.startswith("_lineage")} for each in rows]


def lineage(project, model: str, key: str) -> dict[str, tuple]:
    rows = project.query(
        f"select * from {project.schema}_audit.column_lineage where target_table = '{model}' and target_pk = '{key}'"
    )
    return {each["target_column"]: (each["transform_expr"], each["source_values_json"]) for each in rows}


# --- a column comes, one goes, an expression and a rule are edited ---------------------------------------------

NEW = ("shout", "note", {"transform_expr": "note || '!'"})
EDITED = ("amount", "amount", {"data_type": "int", "transform_expr": "trim(amount)"})


@pytest.fixture(scope="module")
def columns_changed(project):
    lenient = rule("V_AMOUNT", "events", "validation", "amount >= -9", severity="ERROR", message="now")
    return changed(project, 2, ID, EDITED, NEW, rules=[lenient])


def test_gold_without_schema_changes_refuses_new_and_missing_columns(project, columns_changed):
    problems = refusal(columns_changed, "gold_ignores")
    assert len(problems) == 2
    assert problems[0].startswith("field_mapping · events / gold_ignores / shout: is new, and ")
    assert "Set on_schema_change to 'append_new_columns'" in problems[0]
    assert problems[1].startswith("field_mapping · events / gold_ignores / note: is mapped no more, and ")
    assert gold(project, "gold_ignores") == [{"id": "a", "amount": 1, "note": "NOTE A"}]


def test_gold_follows_as_on_schema_change_says(project, columns_changed):
    assert gold(project, "gold_appends") == [
        {"id": "a", "amount": 1, "note": "NOTE A", "shout": None},
        {"id": "of day 2", "amount": 2, "note": None, "shout": "note of day 2!"},
    ]
    if project.engine == "spark":
        # dbt-spark drops no column of a Delta table.
        assert columns_changed.statuses["gold_syncs"] == "error"
        assert gold(project, "gold_syncs") == [{"id": "a", "amount": 1, "note": "NOTE A"}]
    else:
        assert gold(project, "gold_syncs") == [
            {"id": "a", "amount": 1, "shout": None},
            {"id": "of day 2", "amount": 2, "shout": "note of day 2!"},
        ]


def test_each_row_is_explained_by_the_config_of_its_run(project, columns_changed):
    assert lineage(project, "gold_appends", "a") == {
        "id": ("id", '{"id":"a"}'),
        "amount": ("amount", '{"amount":"1"}'),
        "note": ("upper(note)", '{"note":"note a"}'),
    }
    assert lineage(project, "gold_appends", "of day 2") == {
        "id": ("id", '{"id":"of day 2"}'),
        "amount": ("trim(amount)", '{"amount":"2"}'),
        "shout": ("note || '!'", '{"note":"note of day 2"}'),
    }


def test_an_open_record_says_what_it_was_refused_for_then(project, columns_changed):
    rows = project.query(f"select * from {project.schema}_audit.quarantine where target_table = 'gold_appends'")
    assert [(each["target_pk"], list(each["failed_rules"]), list(each["messages"])) for each in rows] == [
        ("b", ["V_AMOUNT"], ["then"])
    ]


def test_an_open_record_is_taken_under_todays_rules_when_it_is_read_again(project, columns_changed):
    """It is the second run since `note` is mapped no more: the column stays as it is."""
    project.dbt("run", "--select", "gold_appends", vars={"lineage_audit_reprocess": True})
    assert {"id": "b", "amount": -2, "note": None, "shout": "note b!"} in gold(project, "gold_appends")
    assert project.query(f"select * from {project.schema}_audit.quarantine where target_table = 'gold_appends'") == []


# --- a type, the key, the endpoint ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def retyped(project, columns_changed):
    wider = ("amount", "amount", {"data_type": "bigint", "transform_expr": "trim(amount)"})
    return changed(project, 3, ID, wider, NEW)


def test_a_changed_type_is_refused_where_gold_keeps_the_old_one(project, retyped):
    (problem,) = refusal(retyped, "gold_appends")
    assert problem.startswith("field_mapping · events / gold_appends / amount: was int when ")
    assert "and is bigint now" in problem
    assert "--full-refresh" in problem
    assert "of day 3" not in [each["id"] for each in gold(project, "gold_appends")]


def test_a_changed_type_is_synchronized_where_the_engine_can(project, retyped):
    """Delta changes no column's type in place: the run fails in dbt's own DDL, and gold is as it was."""
    if project.engine == "spark":
        assert retyped.statuses["gold_syncs"] == "error"
        assert [each["id"] for each in gold(project, "gold_syncs")] == ["a"]
    else:
        assert {"id": "of day 3", "amount": 3, "shout": "note of day 3!"} in gold(project, "gold_syncs")
        assert project.value(f"select typeof(amount) as type from {project.schema}.gold_syncs limit 1") == "BIGINT"


@pytest.fixture(scope="module")
def rekeyed(project, retyped):
    keys = [("other_id", "other_id", {"is_primary_key": True}), ("id", "id"), EDITED, NEW]
    return changed(project, 4, *keys)


def test_a_changed_key_asks_for_a_full_refresh(project, rekeyed):
    problem = refusal(rekeyed, "gold_appends")[0]
    assert problem.startswith("field_mapping · events / gold_appends: the primary key was [id] when ")
    assert "and is [other_id] now. Run the model once with --full-refresh" in problem


@pytest.fixture(scope="module")
def retired(project, rekeyed):
    return changed(project, 5, ID, EDITED, NEW, active=False)


def test_a_retired_endpoint_is_an_error_and_its_lineage_stays_readable(project, retired):
    for model in MODELS:
        assert refusal(retired, model) == [
            "api_endpoints · endpoint events: is inactive (active_flag is false). Set active_flag to true, or disable the model."
        ]
        assert lineage(project, model, "a")["amount"] == ("amount", '{"amount":"1"}')


def test_a_full_refresh_takes_every_change(project, retired):
    project.write("seeds/api_endpoints.csv", [{"endpoint_name": "events", "active_flag": True}])
    project.dbt("seed", "--full-refresh")
    project.dbt("run", "--full-refresh")
    for model in MODELS:
        assert [each["amount"] for each in gold(project, model)] == [1, -2, 2, 3, 4, 5]
        assert [sorted(each) for each in gold(project, model)[:1]] == [["amount", "id", "shout"]]
