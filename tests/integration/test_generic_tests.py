"""The generic tests of a mapped model: green on what the package built, red on what was changed behind its back.

One project. It is built twice, with a mapping that changes in between, and tested; then its tables and rules are
changed by hand, and it is tested again, with the failing rows kept.
"""

from __future__ import annotations

import hashlib
from types import SimpleNamespace

import pytest
from mapped_cases import create_source, insert_into_source, mapped_columns, rule, source_properties

TYPES = {"order_id": "string", "line": "int", "customer": "string", "amount": "string", "loaded": "int"}
ORDERS = [
    ("o1", 1, "ada", "10", 1),
    ("o2", 1, "bob", "20", 1),
    ("o3", 1, "cyd", "-5", 1),  # refused
    ("o4", 1, "dan", "70", 1),  # accepted with a warning
    ("o5", 1, "test", "1", 1),  # filtered
    ("o6", 1, "evelyn", "30", 1),
    ("o7", 1, "fay", "40", 1),
    ("o8", 1, "gustav", "12", 1),
]
MORE_ORDERS = [
    ("o1", 1, "ada", "11", 2),
    ("o9", 1, "hal", "25", 2),
    ("o9", 1, "hal", "26", 3),
]

MODELS = {
    "rebuilt": "{{ config(materialized='table') }}{{ lineage_audit.mapped_model('shop', source=source('raw', 'orders')) }}",
    "merged": (
        "{{ config(materialized='incremental', incremental_strategy='merge', unique_key='order_id') }}"
        "{{ lineage_audit.mapped_model('shop', source=source('raw', 'orders'), watermark='loaded', latest_by='loaded') }}"
    ),
    "appended": (
        "{{ config(materialized='incremental', incremental_strategy='append', on_schema_change='append_new_columns') }}"
        "{{ lineage_audit.mapped_model('shop', source=source('raw', 'orders'), watermark='loaded') }}"
    ),
}
MODELS_ON_DUCKDB = {
    "unknown": MODELS["rebuilt"],
    "plain": "select order_id from {{ source('raw', 'orders') }}",
}

KEY = ("order_id", "order_id", {"is_primary_key": True, "column_position": 1})
AMOUNT = ("amount", "amount", {"data_type": "decimal(18,2)", "column_position": 2})
CUSTOMER = ("customer", "customer", {"column_position": 3})
LINE = ("line", "line", {"is_primary_key": True, "column_position": 4})
# `merged` reads under another name, so that its mark holds for it alone.
HASHED_KEY = (KEY[0], KEY[1], {**KEY[2], "sensitivity": "hash"})


def field_mapping(*more_of_appended: tuple) -> list[dict]:
    """The mapping; from the second run on `appended` has more columns."""
    return [
        *mapped_columns("shop", "rebuilt", KEY, AMOUNT, CUSTOMER, source_table="orders"),
        *mapped_columns("shop", "unknown", KEY, AMOUNT, LINE, source_table="orders"),
        *mapped_columns("shop", "merged", HASHED_KEY, AMOUNT, CUSTOMER, source_table="marked_orders"),
        *mapped_columns("shop", "appended", KEY, AMOUNT, LINE, *more_of_appended, source_table="orders"),
        *mapped_columns("shop", "elsewhere", KEY, source_table="orders"),
    ]


def business_rules(*more: dict, least: int) -> list[dict]:
    message = "It's \\ more than\n{{ that }}."
    return [
        rule("NO_TESTS", "shop", "filter", "customer <> 'test'"),
        rule("AMOUNT_ENOUGH", "shop", "validation", f"amount > {least}", severity="ERROR", message=message),
        rule("AMOUNT_USUAL", "shop", "validation", "amount <= 50", severity="WARN", target_table="rebuilt"),
        rule("SWITCHED_OFF", "shop", "validation", "amount < 0", severity="ERROR", active_flag=False),
        rule("OF_ANOTHER_TABLE", "shop", "validation", "amount < 0", severity="ERROR", target_table="elsewhere"),
        rule("OF_ANOTHER_ENDPOINT", "shop_v1", "validation", "amount < 0", severity="ERROR"),
        *more,
    ]


NAME_SHORT = rule("NAME_SHORT", "shop", "validation", "length(customer) < 6", severity="ERROR", target_table=None)
MESSAGES = {"AMOUNT_ENOUGH": "It's \\ more than\n{{ that }}.", "NAME_SHORT": ""}


def applied(test: str, name: str, *, config: dict | None = None, **arguments) -> dict:
    """A test as the consumer's .yml has it."""
    entry: dict = {"name": name}
    if arguments:
        entry["arguments"] = arguments
    if config:
        entry["config"] = config
    return {f"lineage_audit.{test}": entry}


TESTS = {
    "rebuilt": [
        applied("primary_key", "rebuilt_primary_key"),
        applied("lineage_complete", "rebuilt_lineage_complete"),
        applied("run_reconciles", "rebuilt_run_reconciles"),
        applied("business_rules", "rebuilt_errors", endpoint_name="shop"),
    ],
    "merged": [
        applied("primary_key", "merged_primary_key"),
        applied("lineage_complete", "merged_lineage_complete"),
        applied("run_reconciles", "merged_run_reconciles"),
        applied("business_rules", "merged_errors", endpoint_name="shop"),
    ],
    "appended": [
        applied("primary_key", "appended_primary_key"),
        applied("lineage_complete", "appended_lineage_complete"),
        applied("run_reconciles", "appended_run_reconciles"),
    ],
}
# What dbt does with a test is the same on every engine, and so are errors.
TESTS_ON_DUCKDB = {
    "unknown": [
        applied("primary_key", "unknown_primary_key"),
        applied("lineage_complete", "unknown_lineage_complete"),
        applied("run_reconciles", "unknown_run_reconciles"),
    ],
    "rebuilt": [
        applied(
            "business_rules",
            "rebuilt_warnings",
            endpoint_name="shop",
            rule_severity="WARN",
            config={"severity": "warn"},
        ),
        applied("primary_key", "rebuilt_primary_key_where", config={"where": "order_id is not null"}),
        applied("lineage_complete", "rebuilt_lineage_complete_where", config={"where": "order_id = 'o1'"}),
        applied("run_reconciles", "rebuilt_run_reconciles_where", config={"where": "order_id = 'o1'"}),
        applied("business_rules", "rebuilt_errors_where", endpoint_name="shop", config={"where": "order_id = 'o8'"}),
        applied("business_rules", "rebuilt_errors_limit", endpoint_name="shop", config={"limit": 1}),
        applied("business_rules", "no_such_endpoint", endpoint_name="shpo"),
        applied("business_rules", "other_endpoint", endpoint_name="shop_v1"),
        applied("business_rules", "no_such_severity", endpoint_name="shop", rule_severity="WARNING"),
    ],
    "merged": [
        applied("business_rules", "merged_warnings", endpoint_name="shop", rule_severity="WARN"),
    ],
    "plain": [applied(test, f"plain_{test}") for test in ("primary_key", "lineage_complete", "run_reconciles")],
}
UNTOUCHED = (
    "merged_primary_key", "merged_lineage_complete", "merged_run_reconciles",
    "appended_lineage_complete", "appended_run_reconciles",
)  # fmt: skip
ERRORS = {
    "no_such_endpoint": "1. api_endpoints · endpoint shpo: there is no such endpoint. Did you mean shop",
    "other_endpoint": "names endpoint 'shop_v1', and the model is of endpoint shop. Write endpoint_name: shop.",
    "no_such_severity": "rule_severity 'WARNING' is unknown. Write ERROR or WARN.",
    **{
        f"plain_{test}": f"test {test} stands at plain, which is no mapped model. Move it to the model whose file calls"
        for test in ("primary_key", "lineage_complete", "run_reconciles")
    },
}

LOST_ROWS = "delete from {schema}.rebuilt where order_id = 'o7'"
TAMPERED_ROWS = """
update {schema}.rebuilt set
  order_id = case when order_id = 'o2' then null else order_id end,
  _lineage_invocation_id = case when order_id = 'o8' then 'by hand' else _lineage_invocation_id end
where order_id in ('o2', 'o8')
"""
TAMPERED_UNKNOWN = "update {schema}.unknown set line = null where order_id = 'o2'"
# The attempt of a table that was built but once is the one of its SUCCESS.
ATTEMPT = "select max(attempt_id) from {store}.run_event where event_type = 'SUCCESS' and target_table = 'rebuilt'"
DOUBLED_CELL = (
    "insert into {store}.cell_lineage select * from {store}.cell_lineage"
    " where attempt_id = {attempt} and target_pk = 'o6' and column_position = 3"
)
LOST_CELLS = (
    "delete from {store}.cell_lineage where attempt_id = {attempt} and target_pk = 'o4' and column_position in (2, 3)"
)
LOST_REJECTION = "delete from {store}.rejected_record where target_table = 'rebuilt'"
TAMPERED_EVENTS = """
update {store}.run_event set
  input_record_count = case when target_table = 'rebuilt' then 9 else input_record_count end,
  event_type = case when target_table = 'unknown' then 'STARTED' else event_type end
where event_type = 'SUCCESS' and target_table in ('rebuilt', 'unknown')
"""

# What does not differ between engines.
on_duckdb = pytest.mark.parametrize("engine", ["duckdb"], scope="session")


@pytest.fixture(scope="module")
def tested(make_project, engine):
    models, tests = MODELS, TESTS
    first, then = ("--select", *UNTOUCHED, "merged_errors"), ("--exclude", *UNTOUCHED)
    if engine == "duckdb":
        models = MODELS | MODELS_ON_DUCKDB
        tests = {model: TESTS.get(model, []) + TESTS_ON_DUCKDB.get(model, []) for model in models}
        first, then = (), ()
    project = make_project(
        engine,
        models=models,
        api_endpoints=[{"endpoint_name": "shop"}, {"endpoint_name": "shop_v1"}],
        field_mapping=field_mapping(),
        business_rules=business_rules(least=0),
        properties=source_properties("orders")
        | {"models": [{"name": model, "data_tests": entries} for model, entries in tests.items()]},
    )
    store = f"{project.schema}_audit"
    create_source(project, "orders", TYPES, ORDERS)
    unbuilt = SimpleNamespace(compiled=None, tested=None)
    if engine == "duckdb":
        unbuilt.compiled = project.dbt("compile", "--exclude", *ERRORS)
        unbuilt.tested = project.dbt("test", "--exclude", *ERRORS, check=False)

    project.dbt("build", "--exclude-resource-type", "test")
    insert_into_source(project, "orders", MORE_ORDERS)
    project.write("seeds/field_mapping.csv", field_mapping(CUSTOMER))
    project.dbt("build", "--select", "field_mapping", "merged", "appended", "--exclude-resource-type", "test")
    good = project.dbt("test", *first, check=False)

    if engine == "spark":
        for table in ("cell_lineage", "rejected_record", "run_event"):
            project.execute(f"alter table {store}.{table} set tblproperties ('delta.appendOnly' = 'false')")
    attempt = project.value(ATTEMPT.format(store=store))
    changes = [LOST_ROWS, TAMPERED_ROWS, DOUBLED_CELL, LOST_CELLS, LOST_REJECTION, TAMPERED_EVENTS]
    if engine == "duckdb":
        changes.append(TAMPERED_UNKNOWN)
    project.execute(*(each.format(schema=project.schema, store=store, attempt=attempt) for each in changes))
    project.write("seeds/business_rules.csv", business_rules(NAME_SHORT, least=15))
    retest = ("build", "--select", "business_rules", "test_type:generic", "--store-failures")
    bad = project.dbt(*retest, *then, check=False)
    return SimpleNamespace(project=project, unbuilt=unbuilt, good=good, bad=bad)


def failing_rows(tested, test: str) -> list[tuple]:
    """The rows that the second test run kept, without the run_id, which is dbt's."""
    rows = tested.project.query(f"select * from {tested.project.schema}_dbt_test__audit.{test}")
    return sorted((tuple(v for k, v in row.items() if k != "run_id") for row in rows), key=repr)


# --- what is good passes -----------------------------------------------------------------------------------------


def test_what_the_package_built_passes(tested):
    names = (*UNTOUCHED, "merged_errors")
    if tested.project.engine == "duckdb":
        names = (*names, *names_of(TESTS["rebuilt"]), *names_of(TESTS_ON_DUCKDB["unknown"]))
    assert {name: tested.good.statuses[name] for name in names} == dict.fromkeys(names, "pass")


def names_of(entries: list[dict]) -> list[str]:
    return [content["name"] for entry in entries for content in entry.values()]


@on_duckdb
def test_what_nobody_touched_passes_still(tested):
    assert {name: tested.bad.statuses[name] for name in UNTOUCHED} == dict.fromkeys(UNTOUCHED, "pass")


# --- what is bad fails, with the rows and the reasons --------------------------------------------------------------


def test_primary_key_finds_null_keys(tested):
    assert tested.bad.statuses["rebuilt_primary_key"] == "fail"
    assert failing_rows(tested, "rebuilt_primary_key") == [(None, "not_null:order_id", 1)]


def test_primary_key_finds_doubled_keys(tested):
    """Order o1 arrived again in the second run, o9 twice in it, and `appended` keeps what it gets."""
    assert failing_rows(tested, "appended_primary_key") == [
        ('["o1","1"]', "duplicate_key", 2),
        ('["o9","1"]', "duplicate_key", 2),
    ]


@on_duckdb
def test_primary_key_finds_missing_parts_of_keys(tested):
    assert failing_rows(tested, "unknown_primary_key") == [('["o2",null]', "not_null:line", 1)]


def test_lineage_complete_finds_cells_lost_and_doubled_and_rows_of_no_run(tested):
    assert tested.bad.statuses["rebuilt_lineage_complete"] == "fail"
    columns = ("order_id", "amount", "customer")
    expected = [
        # The key of o2 is gone, the row o7 is gone, and o8 bears another run.
        *((None, column, "missing", 1, 0) for column in columns),
        *((key, column, "not_in_gold", 0, 1) for key in ("o2", "o7", "o8") for column in columns),
        ("o8", None, "no_successful_run", 1, 0),
        ("o4", "amount", "missing", 1, 0),
        ("o4", "customer", "missing", 1, 0),
        ("o6", "customer", "doubled", 1, 2),
    ]
    assert failing_rows(tested, "rebuilt_lineage_complete") == sorted(expected, key=repr)


@on_duckdb
def test_lineage_complete_finds_a_table_without_a_successful_run(tested):
    keys = (None, '["o1","1"]', '["o4","1"]', '["o6","1"]', '["o7","1"]', '["o8","1"]')
    expected = [(key, None, "no_successful_run", 1, 0) for key in keys]
    assert failing_rows(tested, "unknown_lineage_complete") == sorted(expected, key=repr)


def test_run_reconciles_finds_every_count_that_the_tables_do_not_bear_out(tested):
    """Of 8 rows 1 was filtered and 1 refused; 6 went to gold, and 18 cells to lineage."""
    assert tested.bad.statuses["rebuilt_run_reconciles"] == "fail"
    assert failing_rows(tested, "rebuilt_run_reconciles") == [
        ("input_record_count = filtered + rejected + output", 9, 8),
        ("output_record_count * mapped columns = rows of the run in cell_lineage", 18, 17),
        ("output_record_count = all rows in gold, which the run wrote anew", 6, 5),
        ("output_record_count = rows of the run in gold", 6, 4),
        ("rejected_record_count = rows of the run in rejected_record", 1, 0),
    ]


@on_duckdb
def test_run_reconciles_finds_a_table_without_a_successful_run(tested):
    assert failing_rows(tested, "unknown_run_reconciles") == [("successful runs of the table", 1, 0)]


BROKEN_RULES = [("o1", "AMOUNT_ENOUGH"), ("o6", "NAME_SHORT"), ("o8", "AMOUNT_ENOUGH"), ("o8", "NAME_SHORT")]


def test_business_rules_finds_rows_that_break_rules_changed_after_the_load(tested):
    assert tested.bad.statuses["rebuilt_errors"] == "fail"
    assert failing_rows(tested, "rebuilt_errors") == [(key, name, MESSAGES[name]) for key, name in BROKEN_RULES]


@on_duckdb
def test_business_rules_of_severity_warn(tested):
    assert tested.good.statuses["rebuilt_warnings"] == tested.bad.statuses["rebuilt_warnings"] == "warn"
    assert failing_rows(tested, "rebuilt_warnings") == [("o4", "AMOUNT_USUAL", "")]


def test_failing_rows_bear_the_key_as_the_store_has_it(tested, hash_key):
    """A key made of a hashed column is a hash: sha256(key ':' sha256(key ':' text))."""

    def sha256(text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()

    def hashed(text: str) -> str:
        return sha256(f"{hash_key}:{sha256(f'{hash_key}:{text}')}")

    expected = [(hashed(key), name, MESSAGES[name]) for key, name in BROKEN_RULES]
    assert failing_rows(tested, "merged_errors") == sorted(expected, key=repr)


# --- as any test of dbt --------------------------------------------------------------------------------------------


@on_duckdb
def test_where_limits_the_rows_that_are_looked_at(tested):
    for name in ("rebuilt_primary_key_where", "rebuilt_lineage_complete_where"):
        assert tested.bad.statuses[name] == "pass"
    assert [row[:2] for row in failing_rows(tested, "rebuilt_errors_where")] == [
        ("o8", "AMOUNT_ENOUGH"),
        ("o8", "NAME_SHORT"),
    ]


@on_duckdb
def test_where_does_not_change_the_counts_of_run_reconciles(tested):
    assert tested.good.statuses["rebuilt_run_reconciles_where"] == "pass"
    assert failing_rows(tested, "rebuilt_run_reconciles_where") == failing_rows(tested, "rebuilt_run_reconciles")


@on_duckdb
def test_limit(tested):
    assert len(failing_rows(tested, "rebuilt_errors_limit")) == 1


@on_duckdb
def test_without_rules_of_that_severity_the_test_passes(tested):
    assert tested.good.statuses["merged_warnings"] == tested.bad.statuses["merged_warnings"] == "pass"


@pytest.mark.parametrize("name", ERRORS)
@on_duckdb
def test_a_test_that_stands_wrong_says_so(tested, name):
    assert tested.good.statuses[name] == "error"
    assert ERRORS[name] in tested.good.nodes[name].message


@on_duckdb
def test_tests_compile_before_anything_is_built(tested):
    assert set(names_of([*TESTS["rebuilt"], *TESTS["appended"]])) <= set(tested.unbuilt.compiled.statuses)


@on_duckdb
def test_tests_of_what_is_not_built_say_what_to_do(tested):
    for name in names_of([entry for entries in TESTS.values() for entry in entries]):
        assert tested.unbuilt.tested.statuses[name] == "error"
        assert "reads what is not in the warehouse yet:" in tested.unbuilt.tested.nodes[name].message
    message = tested.unbuilt.tested.nodes["appended_primary_key"].message
    assert "Build it first: dbt build --select +appended." in message


def test_few_statements_per_test(tested):
    """Beside the test's own: the columns of the table, the config tables or keys, each once."""
    for name in (*UNTOUCHED, "merged_errors"):
        assert len(tested.good.statements_of(name)) <= 5, tested.good.statements_of(name)


@on_duckdb
def test_without_the_hash_key_keys_can_not_be_told(tested):
    """Hashes of no key would match nothing in the store, or be NULL."""
    project = tested.project
    settings = project.output["settings"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(project.output, "settings", {k: v for k, v in settings.items() if "lineage_audit_key" not in k})
        project._write_profile()
        keyless = project.dbt("test", "--select", "merged", check=False)
    project._write_profile()
    for name in ("merged_lineage_complete", "merged_errors", "merged_primary_key"):
        assert "sensitivity is hash, and there is no key to hash with, or an empty one." in keyless.nodes[name].message
    assert keyless.statuses["merged_run_reconciles"] == "pass"
