"""The package in somebody else's project: beside its names, its config, its hooks, and under every dbt command."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import yaml

# --- A consumer whose seeds and models bear the names of the package's own sample ----------------------------------

BRONZE = [
    {"order_id": 1, "amount": "10.50", "is_test": False, "loaded": 1},
    {"order_id": 2, "amount": "n/a", "is_test": False, "loaded": 2},
    {"order_id": 3, "amount": "-4", "is_test": False, "loaded": 3},
    {"order_id": 4, "amount": "99", "is_test": True, "loaded": 4},
    {"order_id": 5, "amount": "30", "is_test": False, "loaded": 5},
]
# What the mapping below makes of them: 4 is filtered, 2 is no number, 3 is negative.
GOLD = [(1, "10.50"), (5, "30.00")]

TEXT = {"duckdb": "varchar", "spark": "string"}

MAPPED = "{{ lineage_audit.mapped_model('orders', source=ref('silver_orders')) }}"
INCREMENTAL = (
    "{{ config(materialized='incremental', incremental_strategy='append', on_schema_change='append_new_columns') }}"
    "{{ lineage_audit.mapped_model('orders', source=ref('silver_orders'), watermark='loaded') }}"
)

# A hook of the user's own, in order with the others: what it reads is there when it runs.
REMEMBER = "insert into {{ target.schema }}.hook_log select '%s', count(*) from %s"

MODELS = {
    "silver_orders": "{{ config(materialized='table') }} select * from {{ ref('bronze_orders_raw') }}",
    "gold_orders": "{{ config(materialized='table', alias='orders_served', schema='marts', tags=['nightly'],"
    " meta={'owner': 'sales', 'lineage_depth': 2},"
    f' pre_hook="{REMEMBER % ("before", "{{ ref(" + chr(39) + "silver_orders" + chr(39) + ") }}")}",'
    f' post_hook="{REMEMBER % ("after", "{{ this }}")}") }}}}' + MAPPED,
    "orders_api": "{{ lineage_audit.serving_view(ref('gold_orders')) }}",
    "agreed_orders": MAPPED,
    "growing_orders": INCREMENTAL,
}

SCHEMA_NAMES = """
{% macro generate_schema_name(custom_schema_name, node) %}
  {% do return('the_' ~ custom_schema_name | trim ~ '_of_' ~ target.schema if custom_schema_name else target.schema) %}
{% endmacro %}
"""


def mapping(target_table: str, endpoint: str = "orders") -> list[dict]:
    common = {"endpoint_name": endpoint, "target_table": target_table, "source_table": "silver_orders"}
    return [
        {
            **common,
            "target_column": "order_id",
            "source_columns": "order_id",
            "is_primary_key": True,
            "column_position": 1,
        },
        {
            **common,
            "target_column": "amount",
            "source_columns": "amount",
            "data_type": "decimal(10, 2)",
            "business_rule_id": 102,
            "column_position": 2,
        },
    ]


# dbt guesses types: rule ids become integers, flags booleans. An empty column becomes something else again.
BUSINESS_RULES = [
    {"business_rule_id": 101, "endpoint_name": "orders", "rule_category": "filter", "rule_expression": "not is_test"},
    {
        "business_rule_id": 102,
        "endpoint_name": "orders",
        "rule_category": "validation",
        "rule_expression": "amount > 0",
        "severity": "ERROR",
        "message": "It isn't positive.",
        "active_flag": True,
    },
    {
        "business_rule_id": 103,
        "endpoint_name": "orders",
        "rule_category": "validation",
        "rule_expression": "amount > 1000",
        "severity": "ERROR",
        "active_flag": False,
    },
]

CONTRACT = {
    "duckdb": {
        "order_id": "integer",
        "amount": "decimal(10, 2)",
        "_lineage_run_id": "varchar",
        "_lineage_invocation_id": "varchar",
        "_lineage_warnings": "varchar[]",
        "_lineage_source_values": "struct(amount varchar)",
    },
    "spark": {
        "order_id": "bigint",
        "amount": "decimal(10, 2)",
        "_lineage_run_id": "string",
        "_lineage_invocation_id": "string",
        "_lineage_warnings": "array<string>",
        "_lineage_source_values": "struct<amount:string>",
    },
}

UNIT_TEST = {
    "name": "amount_is_a_decimal_or_refused",
    "model": "gold_orders",
    "given": [
        {"input": "ref('api_endpoints')", "rows": []},
        {"input": "ref('field_mapping')", "rows": []},
        {"input": "ref('business_rules')", "rows": []},
        {
            "input": "ref('silver_orders')",
            "rows": [
                {"order_id": 7, "amount": "7.005", "is_test": False},
                {"order_id": 8, "amount": "0", "is_test": False},
                {"order_id": 9, "amount": "9", "is_test": True},
            ],
        },
    ],
    "expect": {"rows": [{"order_id": 7, "amount": 7.01}]},
}


@pytest.fixture(scope="module")
def consumer(make_project, engine):
    project = make_project(
        engine,
        artifacts=True,
        with_sample=True,
        models=MODELS,
        macros={"schema_names": SCHEMA_NAMES},
        seeds={"bronze_orders_raw": BRONZE},
        properties={
            "models": [
                {
                    "name": "gold_orders",
                    "config": {"meta": {"reviewed": True}},
                    "columns": [{"name": "order_id", "data_tests": ["unique", "not_null"]}],
                },
                {
                    "name": "agreed_orders",
                    "config": {"contract": {"enforced": True}},
                    "columns": [{"name": name, "data_type": type} for name, type in CONTRACT[engine].items()],
                },
            ],
            "unit_tests": [UNIT_TEST],
        },
        api_endpoints=[{"endpoint_name": "orders", "active_flag": True}],
        field_mapping=[row for model in MODELS for row in mapping(model)],
        business_rules=BUSINESS_RULES,
        config={
            "models": {"consumer": {"+materialized": "table"}},
            "seeds": {"consumer": {"bronze_orders_raw": {"+column_types": {"amount": TEXT[engine]}}}},
        },
    )
    project.execute(
        f"create schema if not exists {project.schema}",
        f"create table {project.schema}.hook_log (hook {TEXT[engine]}, seen bigint)"
        + (" using delta" if engine == "spark" else ""),
    )
    build = project.dbt("build")
    return SimpleNamespace(
        project=project,
        schema=project.schema,
        marts=f"the_marts_of_{project.schema}",
        store=f"the_audit_of_{project.schema}",
        build=build,
    )


def gold_rows(project, relation: str) -> list[tuple]:
    rows = project.query(
        f"select order_id, cast(amount as {TEXT[project.engine]}) as amount from {relation} order by order_id"
    )
    return [tuple(row.values()) for row in rows]


def test_alias_schema_and_schema_names_of_the_project(consumer):
    assert gold_rows(consumer.project, f"{consumer.marts}.orders_served") == GOLD
    run = consumer.project.query(
        f"select target_relation, status, input_record_count, filtered_record_count, rejected_record_count,"
        f" output_record_count from {consumer.store}.ingestion_run where target_table = 'gold_orders'"
    )
    assert len(run) == 1
    assert run[0].pop("target_relation").endswith(f"{consumer.marts}.orders_served")
    assert tuple(run[0].values()) == ("SUCCESS", 5, 1, 2, 2)


def test_types_that_dbt_guessed(consumer):
    """Rule ids are integers in the seed and texts in the store."""
    quarantine = consumer.project.query(
        f"select target_pk, failed_rules, messages from {consumer.store}.quarantine"
        " where target_table = 'gold_orders' order by target_pk"
    )
    assert [tuple(row.values()) for row in quarantine] == [
        ("2", ["cast:amount"], ["The value of amount cannot be read as its data type."]),
        ("3", ["102"], ["It isn't positive."]),
    ]


def test_serving_view_shows_no_lineage_columns(consumer):
    assert consumer.project.query(f"select * from {consumer.schema}.orders_api where order_id = 5")[0].keys() == {
        "order_id",
        "amount",
    }


def test_meta_tags_and_hooks_are_the_users_and_ours(consumer):
    node = consumer.project.manifest["nodes"]["model.consumer.gold_orders"]
    meta = node["config"]["meta"]
    assert (meta["owner"], meta["lineage_depth"], meta["reviewed"]) == ("sales", 2, True)
    assert meta["lineage_audit"]["endpoint_name"] == "orders"
    assert node["tags"] == ["nightly"]
    logged = consumer.project.query(f"select hook, seen from {consumer.schema}.hook_log order by hook")
    assert [tuple(row.values()) for row in logged] == [("after", 2), ("before", 5)]


def test_enforced_contract(consumer):
    assert consumer.build.statuses["agreed_orders"] == "success"
    assert gold_rows(consumer.project, f"{consumer.schema}.agreed_orders") == GOLD
    assert consumer.project.manifest["nodes"]["model.consumer.agreed_orders"]["contract"]["enforced"]


def test_unit_test_of_a_mapped_model(consumer):
    assert consumer.build.statuses["amount_is_a_decimal_or_refused"] == "pass"


def test_data_tests_of_a_mapped_model(consumer):
    assert consumer.build.statuses["unique_gold_orders_order_id"] == "pass"


def test_lineage_of_a_consumers_model(consumer):
    cells = consumer.project.query(
        f"select target_column, source_values_json, business_rule_id from {consumer.store}.column_lineage"
        " where target_table = 'gold_orders' and target_pk = '1' order by target_column"
    )
    assert [tuple(cell.values()) for cell in cells] == [
        ("amount", '{"amount":"10.50"}', "102"),
        ("order_id", '{"order_id":"1"}', None),
    ]


def test_sample_of_the_package_is_off(consumer):
    nodes = consumer.project.manifest["nodes"].values()
    of_package = {
        node["name"]
        for node in nodes
        if node["package_name"] == "lineage_audit" and node["resource_type"] in ("model", "seed", "snapshot")
    }
    assert of_package == {"ingestion_run", "quarantine", "column_lineage"}
    assert not any(
        each["package_name"] == "lineage_audit"
        for kind in ("sources", "exposures", "unit_tests")
        for each in consumer.project.manifest[kind].values()
    )


def test_schema_change_grows_the_table_and_its_struct(consumer):
    """A new mapping row: its column is added as on_schema_change says, its source column whatever that says."""
    project = consumer.project
    added = {
        **mapping("growing_orders")[0],
        "target_column": "tested",
        "source_columns": "is_test",
        "is_primary_key": False,
        "data_type": TEXT[project.engine],
        "column_position": 3,
    }
    text = (project.directory / "seeds/field_mapping.csv").read_text()
    try:
        project.write(
            "seeds/field_mapping.csv",
            [*(row for model in MODELS for row in mapping(model)), added],
        )
        project.execute(f"insert into {consumer.schema}.silver_orders values (6, '60', false, 6)")
        project.dbt("build", "--select", "field_mapping", "growing_orders")
    finally:
        project.write("seeds/field_mapping.csv", text)
    rows = project.query(
        f"select order_id, tested, _lineage_source_values as struct_values from {consumer.schema}.growing_orders order by order_id"
    )
    assert [(row["order_id"], row["tested"], row["struct_values"]) for row in rows] == [
        (1, None, {"amount": "10.50", "is_test": None}),
        (5, None, {"amount": "30", "is_test": None}),
        (6, "false", {"amount": "60", "is_test": False}),
    ]


# --- dbt's commands and flags, on DuckDB: they are dbt's own, whatever the engine -----------------------------------

TWELVE = [f"copy_{number:02d}" for number in range(1, 13)]
ORDERS_MAPPED = (
    "{{ config(materialized='table') }}{{ lineage_audit.mapped_model('orders', source=ref('silver_orders')) }}"
)


@pytest.fixture(scope="module")
def commands(make_project):
    project = make_project(
        "duckdb",
        artifacts=True,
        with_sample=True,
        models={"silver_orders": MODELS["silver_orders"], **dict.fromkeys(TWELVE, ORDERS_MAPPED)},
        seeds={"bronze_orders_raw": BRONZE},
        api_endpoints=[{"endpoint_name": "orders"}],
        field_mapping=[row for model in TWELVE for row in mapping(model)],
        business_rules=BUSINESS_RULES,
        config={"models": {"consumer": {"+grants": {"select": ["an_analyst"]}}}},
    )
    # A second target, a schema of its own in the same database: what --defer needs.
    outputs = {"duckdb": project.output, "second": {**project.output, "schema": f"{project.schema}_second"}}
    profile = {project.profile: {"target": "duckdb", "outputs": outputs}}
    project.write_file(project.workspace / "profiles.yml", yaml.safe_dump(profile))
    before_seeds = {
        command[0]: project.dbt(*command) for command in (("parse",), ("compile",), ("docs", "generate"), ("ls",))
    }
    compiled = project.compiled("copy_01")
    unseeded = project.dbt("run", "--select", "copy_01", check=False)
    build = project.dbt("build", "--threads", "8")
    state = project.workspace / "state"
    state.mkdir()
    (state / "manifest.json").write_text((project.target / "manifest.json").read_text())
    return SimpleNamespace(
        project=project,
        schema=project.schema,
        store=f"{project.schema}_audit",
        before_seeds=before_seeds,
        compiled=compiled,
        unseeded=unseeded,
        build=build,
        gold={model: gold_rows(project, f"{project.schema}.{model}") for model in TWELVE},
        state=state,
    )


def last_run(commands, target_table: str, store: str | None = None) -> dict:
    store = store or commands.store
    (run,) = commands.project.query(
        f"select * from {store}.ingestion_run where target_table = '{target_table}'"
        f" qualify row_number() over (order by run_start_ts desc) = 1"
    )
    return run


def counts(run: dict) -> tuple:
    names = ("status", "input_record_count", "filtered_record_count", "rejected_record_count", "output_record_count")
    return tuple(run[name] for name in names)


def test_commands_that_build_nothing_work_before_any_seed_is_loaded(commands):
    assert set(commands.before_seeds) == {"parse", "compile", "docs", "ls"}
    assert "run dbt seed first" in commands.compiled
    assert "consumer.copy_01" in commands.before_seeds["ls"].output


def test_run_without_seeds_names_them(commands):
    assert commands.unseeded.statuses["copy_01"] == "error"
    message = commands.unseeded.nodes["copy_01"].message
    assert (
        "model copy_01 needs the config tables, and these are not in the warehouse yet:"
        " api_endpoints, field_mapping, business_rules. Run `dbt seed` first"
    ) in message


def test_run_without_its_source_names_it(commands):
    """In another target the seeds are there and the source isn't."""
    project = commands.project
    project.dbt("seed", "--target", "second")
    run = project.dbt("run", "--select", "copy_01", "--target", "second", check=False)
    message = run.nodes["copy_01"].message
    assert f'"{project.schema}_second"."silver_orders", which is not in the warehouse yet' in message
    assert "dbt run --select +copy_01" in message


def test_twelve_models_in_eight_threads(commands):
    assert {model: commands.build.statuses[model] for model in TWELVE} == dict.fromkeys(TWELVE, "success")
    assert commands.gold == dict.fromkeys(TWELVE, GOLD)
    cells = commands.project.query(
        f"select target_table, count(*) as cells from {commands.store}.column_lineage"
        f" where invocation_id = (select arg_min(invocation_id, event_ts) from {commands.store}.run_event"
        " where event_type = 'SUCCESS') group by target_table order by target_table"
    )
    assert [tuple(row.values()) for row in cells] == [(model, 4) for model in TWELVE]


def test_full_refresh_touches_no_table_of_the_store(commands):
    tables = ("run_event", "cell_lineage", "rejected_record", "config_version")
    count = "select " + ", ".join(f"(select count(*) from {commands.store}.{table}) as {table}" for table in tables)
    before = commands.project.query(count)[0]
    commands.project.dbt("run", "--full-refresh", "--select", "copy_02", "package:lineage_audit")
    after = commands.project.query(count)[0]
    # STARTED and SUCCESS, two rows of two columns, two refused records, no config that isn't known.
    assert {name: after[name] - before[name] for name in tables} == {
        "run_event": 2, "cell_lineage": 4, "rejected_record": 2, "config_version": 0,
    }  # fmt: skip


def test_empty_reads_the_config_whole_and_no_data(commands):
    commands.project.dbt("run", "--empty", "--select", "copy_03")
    assert gold_rows(commands.project, f"{commands.schema}.copy_03") == []
    assert counts(last_run(commands, "copy_03")) == ("SUCCESS", 0, 0, 0, 0)


def test_defer_takes_config_and_source_from_the_other_target(commands):
    project = commands.project
    project.execute(f"drop schema if exists {project.schema}_second cascade")
    project.dbt(
        "run", "--select", "copy_04", "package:lineage_audit",
        "--target", "second", "--defer", "--state", str(commands.state),
    )  # fmt: skip
    assert gold_rows(commands.project, f"{project.schema}_second.copy_04") == GOLD
    run = last_run(commands, "copy_04", f"{project.schema}_second_audit")
    assert counts(run) == ("SUCCESS", 5, 1, 2, 2)
    assert run["target_relation"].endswith(f"{project.schema}_second.copy_04")


def test_retry_after_a_failure(commands):
    project = commands.project
    failing = "{{ config(pre_hook='select no_such_column') }}" + ORDERS_MAPPED
    project.write("models/copy_05.sql", failing)
    run = project.dbt("run", "--select", "copy_05", "copy_06", check=False)
    assert run.statuses == {**run.statuses, "copy_05": "error", "copy_06": "success"}
    assert counts(last_run(commands, "copy_05"))[0] == "FAILED"
    project.write("models/copy_05.sql", ORDERS_MAPPED)
    again = project.dbt("retry")
    assert "copy_06" not in again.statuses
    assert counts(last_run(commands, "copy_05")) == ("SUCCESS", 5, 1, 2, 2)
    assert len(project.query(f"select * from {commands.store}.run_event where target_table = 'copy_05'")) == 6


def test_compile_after_the_build_is_what_a_run_sends(commands):
    project = commands.project
    project.dbt("compile", "--select", "copy_07")
    compiled = project.compiled("copy_07")
    assert f'from "warehouse"."{project.schema}"."silver_orders"' in compiled
    assert "try_cast(_value_amount as decimal(10, 2)) as amount" in compiled


def test_vars_of_a_run_change_nothing_that_dbt_parses(commands, make_project):
    """The tests rely on it: conftest.py keeps dbt from parsing a project anew for each value of them."""

    def parsed(**variables: str | bool) -> dict:
        commands.project.dbt("parse", "--no-partial-parse", vars=variables)
        without_times = json.loads(
            json.dumps(commands.project.manifest),
            object_hook=lambda each: {name: value for name, value in each.items() if name != "created_at"},
        )
        return {name: value for name, value in without_times.items() if name != "metadata"}

    assert parsed(**dict.fromkeys(make_project.read_while_models_run, "true")) == parsed()


# --- config tables that are no seeds ---------------------------------------------------------------------------------


def test_config_tables_may_be_models(make_project):
    """As a project would have them over tables that an application maintains; a column may be missing, or be too many."""
    project = make_project(
        "duckdb",
        models={
            "api_endpoints": "select 'orders' as endpoint_name, true as active_flag, 'kept by the portal' as origin",
            "field_mapping": (
                "{{ config(materialized='table') }}"
                "select 'orders' as endpoint_name, 'gold' as target_table, 'order_id' as target_column,"
                " 'order_id' as source_columns, true as is_primary_key, 1 as column_position"
                " union all select 'orders', 'gold', 'amount', 'amount', false, 2"
            ),
            "business_rules": (
                "select 1 as business_rule_id, 'orders' as endpoint_name, 'filter' as rule_category,"
                " 'not is_test' as rule_expression"
            ),
            "gold": "{{ config(materialized='table') }}{{ lineage_audit.mapped_model('orders', source=ref('orders')) }}",
        },
        seeds={"orders": BRONZE},
    )
    project.dbt("build")
    rows = project.query(f"select order_id, amount from {project.schema}.gold order by order_id")
    assert [tuple(row.values()) for row in rows] == [(1, "10.50"), (2, "n/a"), (3, "-4"), (5, "30")]
    unbuilt = project.dbt("run", "--select", "gold", "--vars", json.dumps({"lineage_audit_schema": "other_audit"}))
    assert unbuilt.statuses["gold"] == "success"


def test_gold_and_store_in_a_database_of_their_own(make_project):
    """DuckDB writes to one database per transaction, so the store goes with gold; seeds and source stay where they are."""
    source = {**UNIT_TEST["given"][-1], "input": "ref('bronze_orders_raw')"}
    unit_test = {**UNIT_TEST, "model": "gold", "given": [*UNIT_TEST["given"][:-1], source]}
    project = make_project(
        "duckdb",
        models={"gold": ORDERS_MAPPED.replace("silver_orders", "bronze_orders_raw")},
        seeds={"bronze_orders_raw": BRONZE},
        api_endpoints=[{"endpoint_name": "orders"}],
        field_mapping=mapping("gold"),
        business_rules=BUSINESS_RULES,
        properties={"unit_tests": [unit_test]},
        config={"models": {"consumer": {"+database": "served"}}, "vars": {"lineage_audit_database": "served"}},
    )
    project.output["attach"] = [{"path": str(project.workspace / "served.duckdb"), "alias": "served"}]
    project._write_profile()
    build = project.dbt("build")
    assert build.statuses[unit_test["name"]] == "pass"
    with project.connect() as connection:
        connection.execute(f"attach '{project.workspace / 'served.duckdb'}' as served")
        gold = connection.execute(
            f"select order_id, cast(amount as varchar) from served.{project.schema}.gold order by order_id"
        ).fetchall()
        (run,) = connection.execute(
            f"select target_relation, status, output_record_count from served.{project.schema}_audit.ingestion_run"
        ).fetchall()
    assert gold == GOLD
    assert run == (f"served.{project.schema}.gold", "SUCCESS", 2)


def test_a_unit_test_finds_config_in_the_database_of_the_store(make_project):
    project = make_project(
        "duckdb",
        models={"gold": ORDERS_MAPPED, "silver_orders": "select 1 as order_id, '2' as amount, false as is_test"},
        properties={"unit_tests": [{**UNIT_TEST, "model": "gold"}]},
        config={"seeds": {"consumer": {"+database": "governance"}}, "vars": {"lineage_audit_database": "governance"}},
        api_endpoints=[{"endpoint_name": "orders"}],
        field_mapping=mapping("gold"),
        business_rules=BUSINESS_RULES,
    )
    project.output["attach"] = [{"path": str(project.workspace / "governance.duckdb"), "alias": "governance"}]
    project._write_profile()
    project.dbt("seed")
    project.dbt("run", "--select", "silver_orders")
    assert project.dbt("test", "--select", "test_type:unit").statuses[UNIT_TEST["name"]] == "pass"


# --- dbt-spark's own seed loader -------------------------------------------------------------------------------------


@pytest.mark.spark
def test_seeds_loaded_without_the_dispatch_entry_name_it(make_project):
    """dbt-spark writes the text None for an empty cell. Nothing would tell a user why, but for the package."""
    project = make_project(
        "spark",
        models={
            "gold": "{{ config(materialized='table') }}{{ lineage_audit.mapped_model('orders', source=ref('orders')) }}"
        },
        seeds={"orders": [{"order_id": 1}]},
        api_endpoints=[{"endpoint_name": "orders", "source_system": "Shop"}],
        field_mapping=[
            {
                "endpoint_name": "orders",
                "target_table": "gold",
                "target_column": name,
                "source_columns": "order_id",
                "description": description,
                "is_primary_key": name == "order_id",
            }
            for name, description in (("order_id", "The key."), ("copy", None))
        ],
        business_rules=[],
        config={"dispatch": []},
    )
    run = project.dbt("build", check=False)
    assert run.statuses["gold"] == "error"
    message = " ".join(run.nodes["gold"].message.split())
    assert (
        "field_mapping · column description: holds the text None: dbt-spark's own seed loader writes it for an empty cell."
        in message
    )
    assert (
        "Add to dbt_project.yml «dispatch: [{macro_namespace: dbt, search_order: [consumer, lineage_audit, dbt]}]»"
        " and run dbt seed --full-refresh again."
    ) in message
