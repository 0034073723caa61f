"""A config that can't be right: every problem in one message, with its place and its remedy, before any data moves."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

ENGINE_MACROS = Path(__file__).resolve().parents[2] / "macros" / "engine"

ORDERS = [{"order_id": "o1", "amount": 10, "currency": "EUR", "loaded_at": "2024-01-01 00:00:00"}]


def mapped(endpoint: str = "shop", arguments: str = "", config: str = "materialized='table'") -> str:
    return (
        f"{{{{ config({config}) }}}}{{{{ lineage_audit.mapped_model('{endpoint}', source=ref('orders'){arguments}) }}}}"
    )


MODELS = {
    "rows_at_fault": mapped(),
    "rules_at_fault": mapped(),
    "keyless_view": mapped(config="materialized='view'"),
    "arguments_at_fault": mapped(
        arguments=", watermark='loaded', latest_by='amont', lateness='three days', capture='in_rows', rejected='keep'",
        config="materialized='incremental', incremental_strategy='merge', unique_key='amount'",
    ),
    "merge_without_key": mapped(
        arguments=", lateness='3 days', capture='explode', rejected='drop'",
        config="materialized='incremental', incremental_strategy='merge'",
    ),
    "late_number": mapped(
        arguments=", watermark='amount', lateness='3 days'",
        config="materialized='incremental', incremental_strategy='merge', unique_key=['order_id']",
    ),
    "unknown_strategy": mapped(config="materialized='incremental', incremental_strategy='upsert'"),
    "unknown_endpoint": mapped("shopp"),
    "inactive_endpoint": mapped("closed"),
    "doubled_endpoint": mapped("twice"),
    "unknown_table": mapped(arguments=", target_table='no_such_table'"),
}

API_ENDPOINTS = [
    {"endpoint_name": "shop"},
    {"endpoint_name": "closed", "active_flag": "false"},
    {"endpoint_name": "twice"},
    {"endpoint_name": "twice"},
]


def rows(target_table: str, *columns: dict, endpoint: str = "shop") -> list[dict]:
    return [{"endpoint_name": endpoint, "target_table": target_table, **column} for column in columns]


def column(name: str, source_columns: str | None = None, **more) -> dict:
    return {"target_column": name, "source_columns": name if source_columns is None else source_columns, **more}


KEY = column("order_id", is_primary_key=True, column_position=0)

FIELD_MAPPING = [
    *rows(
        "rows_at_fault",
        column("order_id", "order_idd", is_primary_key=True, column_position=1),
        column(
            "amount",
            data_type="integr",
            nullable="maybe",
            sensitivity="secret",
            target_layer="golden",
            column_position=2,
        ),
        column("AMOUNT", "amount", column_position=3),
        column(None, "amount", column_position=4),
        column("_lineage_note", "currency", column_position=5),
        column("ended", "amount", transform_expr="amount; drop table orders", column_position=6),
        column("commented", "currency", transform_expr="currency -- as it is", column_position=7),
        column("commented_too", "currency", transform_expr="currency /* as it is */", column_position=8),
        column("unbalanced", "currency", transform_expr="upper((currency)", column_position=9),
        column("unclosed", "currency", transform_expr="currency || 'x", column_position=10),
        # A text and a quoted name may hold anything.
        column("fine", "currency", transform_expr="currency || '; -- /* ('", column_position=11),
        column("placed", "currency", column_position="two"),
        column("switched_off", "no_such_column", active_flag="false"),
    ),
    *rows(
        "rules_at_fault",
        KEY,
        column("a", "amount", business_rule_id="AMOUNT_POSITVE", column_position=1),
        column("b", "amount", business_rule_id="D1|D2|F1|F2", column_position=2),
        column("c", "amount|currency", business_rule_id="D_OFF", column_position=3),
        column("d", "", column_position=4),
        column("e", "amount", business_rule_id="FOREIGN", column_position=5),
    ),
    *rows("keyless_view", column("amount")),
    *rows("arguments_at_fault", KEY, column("amount")),
    *rows("merge_without_key", KEY, column("amount")),
    *rows("late_number", KEY, column("amount")),
    *rows("unknown_strategy", KEY, column("amount")),
    *rows("another_table", {**KEY, "active_flag": "false"}),
    *rows("inactive_endpoint", {**KEY, "active_flag": "false"}, endpoint="closed"),
    *rows("doubled_endpoint", KEY, endpoint="twice"),
]


def rule(name: str, category: str, expression: str | None, target_table: str | None = "rules_at_fault", **more) -> dict:
    return {
        "business_rule_id": name,
        "endpoint_name": "shop",
        "target_table": target_table,
        "rule_category": category,
        "rule_expression": expression,
        **more,
    }


BUSINESS_RULES = [
    rule("D1", "derivation", "amount"),
    rule("D2", "derivation", "amount"),
    rule("F1", "default", "0"),
    rule("F2", "default", "1"),
    rule("D_OFF", "derivation", "amount", active_flag="false"),
    rule("FOREIGN", "derivation", "amount", target_table=None, endpoint_name="closed"),
    rule("AMOUNT_POSITIVE", "validation", "amount > 0", severity="ERROR"),
    rule("KIND", "validate", "amount > 0"),
    rule("LEVEL", "validation", "amount > 0", severity="FATAL"),
    rule("HOLLOW", "filter", None),
    rule("ENDED", "filter", "amount > 0;"),
    rule("DOUBLED", "filter", "amount > 0"),
    rule("DOUBLED", "filter", "amount > 1"),
    rule("ELSEWHERE", "nonsense", None, target_table="another_table"),
]

# What the message says of each model, in its order. {orders}: the source's relation, {type}: the engine's nearest types.
PROBLEMS = {
    "rows_at_fault": [
        "field_mapping · shop / rows_at_fault / amount: nullable 'maybe' is no boolean. Write true or false.",
        "field_mapping · shop / rows_at_fault / amount: sensitivity 'secret' is unknown. Write none, mask or hash.",
        "field_mapping · shop / rows_at_fault / amount: target_layer 'golden' is unknown. Write silver, gold or api_view.",
        "field_mapping · shop / rows_at_fault / amount: data_type 'integr' is no type of {engine}. Did you mean {type}?",
        "field_mapping · shop / rows_at_fault / AMOUNT: target column AMOUNT is mapped twice (also by amount). Leave one active row of it.",
        "field_mapping · shop / rows_at_fault / (no target_column): target_column is empty. Name the column to be built.",
        "field_mapping · shop / rows_at_fault / _lineage_note: names that begin with _lineage_, _value_ or _default_ are kept for the package. Rename target_column.",
        "field_mapping · shop / rows_at_fault / ended: transform_expr holds a semicolon (;). Write one expression; notes belong in description or message.",
        "field_mapping · shop / rows_at_fault / commented: transform_expr holds a comment (--). Write one expression; notes belong in description or message.",
        "field_mapping · shop / rows_at_fault / commented_too: transform_expr holds a comment (/*). Write one expression; notes belong in description or message.",
        "field_mapping · shop / rows_at_fault / unbalanced: transform_expr has 2 opening and 1 closing parentheses. Balance them.",
        "field_mapping · shop / rows_at_fault / unclosed: transform_expr has a quote that is not closed. Close it; a quote within a text is written twice.",
        "field_mapping · shop / rows_at_fault / placed: column_position 'two' is no integer. Write 1, 2, 3 …, or leave it empty.",
        "field_mapping · shop / rows_at_fault / order_id: source column 'order_idd' does not exist in {orders}. Did you mean order_id?",
    ],
    "rules_at_fault": [
        "field_mapping · shop / rules_at_fault / a: business_rule_id 'AMOUNT_POSITVE' is unknown. Did you mean AMOUNT_POSITIVE?",
        "field_mapping · shop / rules_at_fault / b: names 2 derivation rules: D1, D2. Leave one of them.",
        "field_mapping · shop / rules_at_fault / b: names 2 default rules: F1, F2. Leave one of them.",
        "field_mapping · shop / rules_at_fault / c: has no value: no transform_expr, no active derivation rule, and 2 source columns. Write transform_expr, activate the derivation rule, or leave one source column.",
        "field_mapping · shop / rules_at_fault / d: has no value: no transform_expr, no active derivation rule, and no source columns. Write transform_expr, activate the derivation rule, or leave one source column.",
        "field_mapping · shop / rules_at_fault / e: rule 'FOREIGN' belongs to endpoint closed. Name a rule of shop.",
        "business_rules · rule KIND: rule_category 'validate' is unknown. Write derivation, default, filter or validation.",
        "business_rules · rule LEVEL: severity 'FATAL' is unknown. Write WARN or ERROR.",
        "business_rules · rule HOLLOW: rule_expression is empty. Write what must hold (filter, validation) or the value (derivation, default).",
        "business_rules · rule ENDED: rule_expression holds a semicolon (;). Write one expression; notes belong in description or message.",
        "business_rules · rule DOUBLED: stands there more than once. business_rule_id is the key: leave one row of it.",
    ],
    "keyless_view": [
        "field_mapping · shop / keyless_view: no active row is part of a primary key. Set is_primary_key to true for the key columns.",
        "model · materialized of keyless_view: a mapped model can't be 'view'. Set materialized to 'table' or 'incremental'; for a view over it there is serving_view.",
    ],
    "arguments_at_fault": [
        "model · mapped_model in arguments_at_fault: watermark names column 'loaded', which {orders} does not have. Did you mean loaded_at?",
        "model · mapped_model in arguments_at_fault: latest_by names column 'amont', which {orders} does not have. Did you mean amount?",
        "model · mapped_model in arguments_at_fault: lateness 'three days' is no interval. Write it as number and unit: '3 days', '6 hours'.",
        "model · mapped_model in arguments_at_fault: capture 'in_rows' is unknown. Write exploded, compact or in_row (argument capture, or var lineage_audit_capture).",
        "model · mapped_model in arguments_at_fault: rejected='keep' with strategy merge: a refused version of a record would replace the accepted one. Use rejected='quarantine', or set incremental_strategy to 'append' or 'insert_overwrite'.",
        "model · unique_key of arguments_at_fault: [amount] is not the key of field_mapping, [order_id]. Make the two name the same columns.",
    ],
    "merge_without_key": [
        "model · mapped_model in merge_without_key: lateness is given without a watermark. Add watermark, or leave lateness out.",
        "model · mapped_model in merge_without_key: capture 'explode' is unknown. Write exploded, compact or in_row (argument capture, or var lineage_audit_capture).",
        "model · mapped_model in merge_without_key: rejected 'drop' is unknown. Write quarantine or keep.",
        "model · unique_key of merge_without_key: is missing, and strategy merge needs it. Set unique_key=[order_id].",
    ],
    "late_number": [
        "model · mapped_model in late_number: lateness needs a date or timestamp as watermark; amount is {integer}. Leave lateness out, or name another watermark.",
    ],
    "unknown_strategy": [
        "model · materialized of unknown_strategy: incremental_strategy 'upsert' isn't supported. Use append, merge, delete+insert or insert_overwrite, as the adapter has them.",
    ],
    "unknown_endpoint": [
        "api_endpoints · endpoint shopp: there is no such endpoint. Did you mean shop?",
        "field_mapping · shopp / unknown_endpoint: has no active mapping (0 inactive). Add rows, or give mapped_model the target_table that field_mapping names: it has none for this endpoint.",
    ],
    "inactive_endpoint": [
        "api_endpoints · endpoint closed: is inactive (active_flag is false). Set active_flag to true, or disable the model.",
        "field_mapping · closed / inactive_endpoint: has no active mapping (1 inactive). Set active_flag of a row to true.",
    ],
    "doubled_endpoint": [
        "api_endpoints · endpoint twice: stands there 2 times. Leave one row of it.",
    ],
    "unknown_table": [
        "field_mapping · shop / no_such_table: has no active mapping (0 inactive). Add rows, or give mapped_model the target_table that field_mapping names: rows_at_fault, rules_at_fault, keyless_view, arguments_at_fault, merge_without_key, late_number, unknown_strategy, another_table.",
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def bad(make_project, engine):
    project = make_project(
        engine,
        models=MODELS,
        seeds={"orders": ORDERS},
        api_endpoints=API_ENDPOINTS,
        field_mapping=FIELD_MAPPING,
        business_rules=BUSINESS_RULES,
        config={"seeds": {"consumer": {"orders": {"+column_types": {"loaded_at": "timestamp", "amount": "integer"}}}}},
    )
    # Gold as some earlier run may have left it.
    project.execute(
        f"create schema if not exists {project.schema}",
        f"create table {project.schema}.rows_at_fault"
        + (" using delta" if engine == "spark" else "")
        + " as select 'kept' as word",
    )
    run = project.dbt("build", check=False)
    return SimpleNamespace(project=project, run=run, store=f"{project.schema}_audit")


def problems_in(message: str) -> tuple[str, list[str]]:
    """The first sentence of the message, and its numbered problems without their numbers."""
    lines = [line.strip() for line in message.splitlines()]
    start = next(number for number, line in enumerate(lines) if line.startswith("lineage_audit:"))
    found = []
    for line in lines[start + 1 :]:
        numbered = re.match(r"(\d+)\. (.*)", line)
        if not numbered:
            break
        assert int(numbered[1]) == len(found) + 1
        found.append(numbered[2])
    return lines[start], found


def expected(project, model: str) -> list[str]:
    values = (
        {
            "orders": f'"warehouse"."{project.schema}"."orders"',
            "type": "integer, integral, uinteger",
            "integer": "INTEGER",
        }
        if project.engine == "duckdb"
        else {"orders": f"{project.schema}.orders", "type": "integer, int, interval", "integer": "int"}
    )
    values["engine"] = project.engine
    return [re.sub(r"\{(\w+)\}", lambda found: values[found[1]], line) for line in PROBLEMS[model]]


@pytest.mark.parametrize("model", list(MODELS))
def test_every_problem_is_listed_in_one_message(bad, model):
    assert bad.run.statuses[model] == "error"
    sentence, found = problems_in(bad.run.nodes[model].message)
    assert found == expected(bad.project, model)
    count = "1 problem" if len(found) == 1 else f"{len(found)} problems"
    assert sentence == f"lineage_audit: {count} in the config of model {model}, found before any data moved:"


@pytest.mark.parametrize("model", list(MODELS))
def test_no_data_moves(bad, model):
    for sql in bad.run.statements_of(model):
        first_word = sql.split("*/")[-1].split()[0].lower()
        assert first_word in ("select", "with", "describe", "show", "begin", "commit", "rollback"), sql
    existing = bad.project.query(
        f"select * from information_schema.tables where table_schema = '{bad.project.schema}' and table_name = '{model}'"
        if bad.project.engine == "duckdb"
        else f"show tables in {bad.project.schema} like '{model}'"
    )
    assert bool(existing) == (model == "rows_at_fault")


def test_gold_of_an_earlier_run_stays(bad):
    assert bad.project.query(f"select * from {bad.project.schema}.rows_at_fault") == [{"word": "kept"}]


def test_only_failed_is_written(bad):
    """Nothing started, so there is a FAILED event with the whole message and nothing else."""
    events = bad.project.query(f"select target_table, event_type, error_message from {bad.store}.run_event")
    by_table = {event["target_table"]: event for event in events}
    assert {table: event["event_type"] for table, event in by_table.items()} == {
        "no_such_table" if model == "unknown_table" else model: "FAILED" for model in MODELS
    }
    assert len(events) == len(MODELS)
    assert problems_in(by_table["rules_at_fault"]["error_message"])[1] == expected(bad.project, "rules_at_fault")
    for table in ("cell_lineage", "rejected_record", "config_version"):
        assert bad.project.value(f"select count(*) from {bad.store}.{table}") == 0


# --- cases that need a project of their own ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small(make_project):
    """A project with one good model, on DuckDB."""
    return make_project(
        "duckdb",
        models={"gold": mapped(), "other": mapped("other")},
        seeds={"orders": ORDERS},
        macros={"ask_for_types": "{% macro ask_for_types() %}{{ lineage_audit.default__store_types() }}{% endmacro %}"},
        api_endpoints=[{"endpoint_name": "shop"}, {"endpoint_name": "other"}],
        field_mapping=[*rows("gold", KEY, column("amount")), *rows("other", KEY, column("amount"), endpoint="other")],
        business_rules=[],
    )


def test_error_in_one_endpoints_config_fails_its_models_alone(small):
    small.write("seeds/business_rules.csv", [rule("KIND", "validate", "amount > 0", target_table=None)])
    run = small.dbt("build", check=False)
    assert (run.statuses["gold"], run.statuses["other"]) == ("error", "success")
    assert problems_in(run.nodes["gold"].message)[1] == [
        "business_rules · rule KIND: rule_category 'validate' is unknown. Write derivation, default, filter or validation."
    ]
    small.write("seeds/business_rules.csv", [])
    assert small.dbt("build").statuses["gold"] == "success"


def test_adapter_without_an_implementation_gets_a_clear_error(small):
    run = small.dbt("run-operation", "ask_for_types", check=False)
    assert not run.success
    assert "lineage_audit: adapter 'duckdb' has no implementation of store_types." in run.messages
    assert "Supported are duckdb, spark and databricks" in run.messages
    assert "search_order: [consumer, lineage_audit]" in run.messages


def test_every_dispatched_macro_has_the_two_engines_and_a_clear_error_for_others():
    macros = {name: text for path in ENGINE_MACROS.glob("*.sql") for name, text in macros_of(path.read_text())}
    dispatched = {
        name for text in macros.values() for name in re.findall(r"adapter\.dispatch\('(\w+)', 'lineage_audit'\)", text)
    }
    assert len(dispatched) > 20
    for name in dispatched:
        assert f"duckdb__{name}" in macros
        assert f"spark__{name}" in macros
        assert f"lineage_audit._unsupported('{name}')" in macros[f"default__{name}"]


def macros_of(text: str) -> list[tuple[str, str]]:
    return re.findall(r"\{%-? macro (\w+)\(.*?%\}(.*?)\{%-? endmacro", text, re.DOTALL)
