"""validate_config: one project with a mistake of every kind, all of them said at once; and clean ones, with none."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

ORDERS = [{"order_id": "o1", "amount": 10, "rate": "1.5", "currency": "EUR", "loaded_at": "2024-01-01 00:00:00"}]
COLUMN_TYPES = {"amount": "integer", "rate": "decimal(9,2)", "loaded_at": "timestamp"}
TEXT = {"duckdb": "varchar", "spark": "string"}
# The same expression in the engine's own words.
LAMBDA = {
    "duckdb": "list_transform([amount], lambda currency: currency + 1)[1]",
    "spark": "transform(array(amount), currency -> currency + 1)[0]",
}
STRUCT_FIELD = {
    "duckdb": "struct_extract({'currency': amount}, 'currency')",
    "spark": "named_struct('currency', amount).currency",
}


def mapped(endpoint: str = "shop", source: str = "ref('orders')", arguments: str = "", config: str = "") -> str:
    return (
        f"{{{{ config(materialized='table'{config}) }}}}"
        f"{{{{ lineage_audit.mapped_model('{endpoint}', source={source}{arguments}) }}}}"
    )


def rows(target_table: str, *columns: dict, endpoint: str = "shop") -> list[dict]:
    return [
        {"endpoint_name": endpoint, "target_table": target_table, "source_table": "orders", **column}
        for column in columns
    ]


def column(name: str, source_columns: str | None = None, **more) -> dict:
    return {"target_column": name, "source_columns": name if source_columns is None else source_columns, **more}


KEY = column("order_id", is_primary_key=True)


def rule(name: str, category: str, expression: str | None, target_table: str | None = "gold", **more) -> dict:
    return {
        "business_rule_id": name,
        "endpoint_name": "shop",
        "target_table": target_table,
        "rule_category": category,
        "rule_expression": expression,
        "severity": "ERROR" if category == "validation" else None,
        **more,
    }


MODELS = {
    "gold": mapped(arguments=", watermark='loaded'"),
    # Its source is no table yet, so that it can only be checked in part.
    "unbuilt_orders": "select order_id, amount from {{ ref('orders') }}",
    "gold_of_unbuilt": mapped("later", source="ref('unbuilt_orders')"),
    # Two relations besides the config tables: the one that field_mapping names is the source.
    "gold_of_two": "-- depends_on: {{ ref('unbuilt_orders') }}\n" + mapped("two"),
    "plain": "select 1 as one",
}


def mapping_at_fault(engine: str) -> list[dict]:
    return [
        *rows(
            "gold",
            KEY,
            column("total", "amount", transform_expr="amount * rate", column_position=1),
            column("wide", "amount|rate|currency", transform_expr="amount * rate", column_position=2),
            column("made_by_rule", "amount", business_rule_id="MADE", column_position=3),
            column("with_default", "currency", business_rule_id="REPLACED", column_position=4),
            column("nowhere", "amount", transform_expr="amout + 1", column_position=5),
            column("unparsable", "amount", transform_expr="amount +", column_position=6),
            column("no_function", "amount", transform_expr="no_such_function(amount)", column_position=7),
            column("aggregated", "amount", transform_expr="sum(amount)", column_position=8),
            column("renamed", "amount", transform_expr="amount as renamed", column_position=9),
            column("ended", "amount", transform_expr="amount; drop table gold", column_position=10),
            column("two_values", "amount|rate", transform_expr="amount, rate", column_position=11),
            column("reaching_out", "amount", transform_expr="amount) from orders where (1 = 1", column_position=12),
            column("typed", "amount", data_type="integer) from orders; drop table gold", column_position=13),
            column("both", "amount", transform_expr="amount + 1", business_rule_id="MADE_TOO", column_position=14),
            column("same_twice", "amount", transform_expr="amount  *  2", business_rule_id="SAME", column_position=15),
            column("random", "", transform_expr="coalesce(null, rand())" if engine == "spark" else "random()", column_position=16),
            column("dated", "", transform_expr="current_date", column_position=17),
            column("looked_up", "amount", transform_expr="amount + (select 1)", column_position=18),
            column("ranked", "amount", transform_expr="row_number() over (order by amount)", column_position=19),
            column("named_now", "currency", transform_expr="currency || ' now() select'", column_position=20),
            column("two_plain", "amount|rate", column_position=21),
            column("named_default", "amount", business_rule_id="AMOUNT_DEFAULT", column_position=22),
            column("lambda_is_fine", "amount", transform_expr=LAMBDA[engine], column_position=23),
            column("field_is_fine", "amount", transform_expr=STRUCT_FIELD[engine], column_position=24),
            column("amount", "amount", data_type="integer", column_position=25),
            column("note", "currency", data_type=TEXT[engine], column_position=26),
            column("too_wide", "amount", transform_expr="amounts + 1", data_type="decimal(99,2)", column_position=27),
            column("spelled_twice", "amount | AMOUNT", transform_expr="amount + 2", column_position=28),
            column("switched", "amount", active_flag="ture"),
        ),
        *rows("gold_of_unbuilt", KEY, column("amount", data_type="integer"), endpoint="later"),
        *rows("gold_of_two", KEY, column("rated", "rate", transform_expr="rate + amount"), endpoint="two"),
        *rows("no_model", column("order_id"), endpoint="shop"),
        *rows("gold", KEY, endpoint="shp"),
        *rows("gold", column("lost", "amount"), endpoint=None),
        *rows("retired", {**KEY, "active_flag": False}, endpoint="closed"),
    ]  # fmt: skip


ENDPOINTS = [
    {"endpoint_name": "shop"},
    {"endpoint_name": "later"},
    {"endpoint_name": "two"},
    {"endpoint_name": "closed", "active_flag": "fasle"},
    {"endpoint_name": "unused"},
    {"endpoint_name": "twice"},
    {"endpoint_name": "twice"},
]
RULES = [
    rule("MADE", "derivation", "amount + rate", None),
    rule("MADE_TOO", "derivation", "amount + 2", None),
    rule("SAME", "derivation", "amount * 2", None),
    rule("REPLACED", "default", "cast(amount as varchar(9))", None),
    rule("AMOUNT_DEFAULT", "validation", "amount > 0"),
    rule("UNNAMED", "default", "0", None),
    rule("NO_SUCH_TABLE", "validation", "amount > 0", "glod"),
    rule("NO_SUCH_ENDPOINT", "validation", "amount > 0", endpoint_name="shopp"),
    rule("NO_ENDPOINT", "validation", "amount > 0", endpoint_name=None),
    rule("FILTER_BROKEN", "filter", "no_such_column > 0"),
    rule("FILTER_FINE", "filter", "rate > 0"),
    rule("FILTER_OF_A_VALUE", "filter", "amount + 1"),
    rule("TARGET_LACKS", "validation", "order_number > 0"),
    rule("TARGET_OF_A_BROKEN_COLUMN", "validation", "nowhere > 0 and no_such_function(nowhere)"),
    rule("OF_A_SOURCE_COLUMN", "validation", "currency = 'EUR'"),
    rule("FINE", "validation", "amount > 0 and note <> ';'"),
    rule("NO_SEVERITY", "validation", "amount > 0", severity=None),
    rule("FLAGGED", "validation", "amount > 0", active_flag="on"),
    rule("TWICE", "validation", "amount > 0"),
    rule("TWICE", "validation", "amount > 0"),
    rule("LATER", "validation", "quantity > 0", "gold_of_unbuilt", endpoint_name="later"),
]


# What is said of that project: severity, seed, key, and a part of the problem and its remedy. {orders}: the relation.
DUCKDB, SPARK = {"duckdb"}, {"spark"}
SAID = [
    ("error", "api_endpoints", "endpoint closed", "active_flag 'fasle' is no boolean. Write true or false."),
    ("error", "api_endpoints", "endpoint twice", "stands there 2 times. Leave one row of it."),
    ("warning", "api_endpoints", "endpoint unused", "field_mapping has no row of it."),
    ("warning", "api_endpoints", "endpoint twice", "field_mapping has no row of it."),
    ("error", "field_mapping", "shp / gold", "endpoint 'shp' is not in api_endpoints. Did you mean shop?"),
    ("warning", "field_mapping", "shp / gold", "no model of the project maps it"),
    ("warning", "field_mapping", "shop / no_model", "no model of the project maps it"),
    ("error", "field_mapping", "shop / no_model", "no active row is part of a primary key."),
    ("error", "field_mapping", "(no endpoint) / gold / lost", "endpoint_name is empty, so no model reads the row."),
    ("error", "field_mapping", "shop / gold / switched", "active_flag 'ture' is no boolean."),
    ("error", "field_mapping", "shop / gold / total", "transform_expr uses rate, which source_columns does not declare. Write source_columns as amount|rate."),
    ("error", "field_mapping", "shop / gold / made_by_rule", "derivation MADE uses rate, which source_columns does not declare. Write source_columns as amount|rate."),
    ("error", "field_mapping", "shop / gold / with_default", "default REPLACED uses amount, which source_columns does not declare. Write source_columns as currency|amount."),
    ("error", "field_mapping", "two / gold_of_two / rated", "transform_expr uses amount, which source_columns does not declare."),
    ("error", "field_mapping", "shop / gold / nowhere", "transform_expr uses column 'amout', which {orders} does not have. Did you mean amount?"),
    ("error", "field_mapping", "shop / gold / unparsable", "transform_expr does not compile: "),
    ("error", "field_mapping", "shop / gold / no_function", "no_such_function"),
    ("error", "field_mapping", "shop / gold / aggregated", "transform_expr does not compile: it aggregates, and a value is made of one row."),
    ("error", "field_mapping", "shop / gold / renamed", "transform_expr does not compile: "),
    ("error", "field_mapping", "shop / gold / ended", "transform_expr holds a semicolon (;)."),
    ("error", "field_mapping", "shop / gold / two_values", "transform_expr holds a comma outside of parentheses."),
    ("error", "field_mapping", "shop / gold / reaching_out", "transform_expr closes a parenthesis that it has not opened."),
    ("error", "field_mapping", "shop / gold / typed", "data_type holds a semicolon (;)."),
    ("error", "field_mapping", "shop / gold / typed", "data_type has 0 opening and 1 closing parentheses."),
    ("error", "field_mapping", "shop / gold / too_wide", "data_type 'decimal(99,2)' does not compile: "),
    ("error", "field_mapping", "shop / gold / too_wide", "transform_expr uses column 'amounts', which {orders} does not have. Did you mean amount?"),
    ("warning", "field_mapping", "shop / gold / wide", "source column 'currency' is declared, and neither the value nor a default uses it."),
    ("warning", "field_mapping", "shop / gold / two_plain", "source column 'rate' is declared, and neither the value nor a default uses it."),
    ("warning", "field_mapping", "shop / gold / both", "transform_expr and derivation MADE_TOO differ (amount + 1; amount + 2); transform_expr counts."),
    ("warning", "field_mapping", "shop / gold / random", "transform_expr uses rand"),
    ("warning", "field_mapping", "shop / gold / dated", "transform_expr uses current_date, which may give another value each time"),
    ("warning", "field_mapping", "shop / gold / looked_up", "transform_expr holds a subquery"),
    ("warning", "field_mapping", "shop / gold / ranked", "transform_expr holds a window function"),
    ("warning", "field_mapping", "shop / gold / named_default", "rule 'AMOUNT_DEFAULT' is named like a default, and its rule_category is validation"),
    ("warning", "business_rules", "rule UNNAMED", "no active mapping row names it"),
    ("error", "business_rules", "rule NO_SUCH_TABLE", "target_table 'glod' is unknown: field_mapping has no such table of shop, so the rule acts nowhere. Did you mean gold?"),
    ("error", "business_rules", "rule NO_SUCH_ENDPOINT", "endpoint 'shopp' is not in api_endpoints. Did you mean shop?"),
    ("error", "business_rules", "rule NO_ENDPOINT", "endpoint_name is empty, so the rule acts nowhere."),
    ("error", "business_rules", "rule NO_SEVERITY", "severity '' is unknown. Write WARN or ERROR."),
    ("error", "business_rules", "rule FLAGGED", "active_flag 'on' is no boolean."),
    ("error", "business_rules", "rule TWICE", "stands there more than once."),
    ("error", "business_rules", "rule FILTER_BROKEN", "rule_expression uses column 'no_such_column', which {orders} does not have. It has: order_id, amount, rate, currency, loaded_at."),
    # DuckDB casts a number to a boolean where one is asked for, Spark refuses to.
    ("warning", "business_rules", "rule FILTER_OF_A_VALUE", "rule_expression gives no boolean", DUCKDB),
    ("error", "business_rules", "rule FILTER_OF_A_VALUE", "does not compile over the columns of {orders}: ", SPARK),
    ("error", "business_rules", "rule TARGET_LACKS", "rule_expression uses column 'order_number', which shop / gold does not have. Did you mean order_id?"),
    ("error", "business_rules", "rule OF_A_SOURCE_COLUMN", "rule_expression uses column 'currency', which shop / gold does not have."),
    ("warning", "business_rules", "rule TARGET_OF_A_BROKEN_COLUMN", "was not compiled: it uses a column of shop / gold whose type is not known."),
    ("error", "business_rules", "rule LATER", "rule_expression uses column 'quantity', which later / gold_of_unbuilt does not have. It has: amount, order_id."),
    ("error", "model", "mapped_model in gold", "watermark names column 'loaded', which {orders} does not have. Did you mean loaded_at?"),
    ("warning", "model", "source of gold_of_unbuilt", "is not in the warehouse yet: source columns, values, defaults and filters were not checked against it. Build it (dbt run --select unbuilt_orders)"),
]  # fmt: skip


def said_of(project) -> list[tuple[str, str, str, str]]:
    orders = f'"warehouse"."{project.schema}"."orders"' if project.engine == "duckdb" else f"{project.schema}.orders"
    return [
        (*entry[:3], entry[3].replace("{orders}", orders))
        for entry in SAID
        if len(entry) == 4 or project.engine in entry[4]
    ]


@pytest.fixture(scope="module")
def faulty(make_project, engine):
    project = make_project(
        engine,
        models=MODELS,
        seeds={"orders": ORDERS},
        api_endpoints=ENDPOINTS,
        field_mapping=mapping_at_fault(engine),
        business_rules=RULES,
        config={"seeds": {"consumer": {"orders": {"+column_types": COLUMN_TYPES}}}},
    )
    project.dbt("seed")
    run = validate(project, output="json", quiet=True, check=False)
    return SimpleNamespace(project=project, run=run, found=json.loads(run.output.splitlines()[0]))


def validate(project, *, quiet: bool = False, check: bool = True, **arguments):
    flags = ["--args", json.dumps(arguments)] if arguments else []
    return project.dbt("run-operation", "validate_config", *flags, *(["--quiet"] if quiet else []), check=check)


def text(found: dict) -> str:
    return f"{found['problem']} {found['remedy']}"


def sent(run) -> list[str]:
    """The statements without dbt's comment in front."""
    return [re.sub(r"^/\*.*?\*/", "", each.sql, flags=re.DOTALL).strip() for each in run.statements]


def test_everything_is_said_at_once(faulty):
    expected = said_of(faulty.project)
    unsaid = [
        entry
        for entry in expected
        if not any(
            (each["severity"], each["seed"], each["key"]) == entry[:3] and entry[3] in text(each)
            for each in faulty.found
        )
    ]
    assert unsaid == []
    found = sorted((each["severity"], each["seed"], each["key"]) for each in faulty.found)
    assert found == sorted(entry[:3] for entry in expected)


def test_errors_fail_and_the_list_is_one_line_of_json(faulty):
    assert not faulty.run.success
    errors = sum(entry[0] == "error" for entry in said_of(faulty.project))
    assert f"lineage_audit: {errors} errors in the config." in faulty.run.messages
    assert all(list(each) == ["severity", "seed", "key", "problem", "remedy"] for each in faulty.found)
    assert all(each["problem"] and each["remedy"] for each in faulty.found)


def test_no_source_row_is_read_and_nothing_is_written(faulty):
    config = ("api_endpoints", "field_mapping", "business_rules")
    for sql in sent(faulty.run):
        if "as config_row" in sql:
            assert re.findall(r"\.\W?(\w+)\W? as config", sql) == list(config)
        elif "execute immediate" in sql or not CATALOG.match(sql):
            # Everything else is asked, not run: as a text for the planner, or as a select from nothing.
            assert asked(sql)
            assert f"{faulty.project.schema}.orders" not in sql.replace('"', "")


CATALOG = re.compile(
    r"(begin|commit|rollback|show\b.*|describe\b.*|select\b[^()]*\bfrom system\.information_schema\.tables\b.*)$",
    re.IGNORECASE | re.DOTALL,
)


def asked(sql: str) -> bool:
    """Is the statement one that compiles queries and runs none that reads?"""
    if "json_serialize_plan(query)" in sql or sql.startswith("explain execute immediate '"):
        return True
    queries = re.findall(r"^    execute immediate '(.*)';$", sql, re.MULTILINE)
    others = [line for line in sql.splitlines() if "execute immediate" not in line]
    return (
        0 < len(queries) == sql.count("execute immediate")
        and all("where 1 = 0) as _lineage_rows" in query for query in queries)
        and not [line for line in others if re.search(r"\bfrom\b", line)]
    )


@pytest.mark.parametrize("fragment", ["drop table", "amount, rate", "amount) from"])
def test_what_reaches_out_of_its_place_is_never_sent(faulty, fragment):
    assert [sql for sql in sent(faulty.run) if fragment in sql and "config_row" not in sql] == []


@pytest.mark.parametrize("engine", ["duckdb"], indirect=True)
def test_mapped_model_says_what_it_can_know_before_data_moves(faulty):
    """Rules that act nowhere and flags that can't be read would otherwise be passed over in silence."""
    run = faulty.project.dbt("run", "--select", "gold", check=False)
    message = run.nodes["gold"].message
    for expected in (
        "business_rules · rule NO_SUCH_TABLE: target_table 'glod' is unknown",
        "business_rules · rule FLAGGED: active_flag 'on' is no boolean.",
        "field_mapping · shop / gold / switched: active_flag 'ture' is no boolean.",
        "field_mapping · shop / gold / two_values: transform_expr holds a comma outside of parentheses.",
        "field_mapping · shop / gold / typed: data_type holds a semicolon (;).",
    ):
        assert expected in message
    assert "warning" not in message
    assert not [sql for sql in run.statements_of("gold") if "create" in sql.lower() or "insert" in sql.lower()]


# --- a clean config ----------------------------------------------------------------------------------------------


def columns_of_every_kind(engine: str, times: int) -> list[dict]:
    """Expressions that are fine and look as if they were not."""
    text_of_hostile_marks = {
        "duckdb": "'; -- /* select now() ${x} ''\\'''",
        "spark": "'; -- /* select now() ${env:HOME} \\'\\\\'",
    }
    kinds = [
        column("plain", "amount"),
        column("cast", "currency", data_type="decimal(9,2)"),
        column("lambda", "amount", transform_expr=LAMBDA[engine]),
        column("field", "amount", transform_expr=STRUCT_FIELD[engine]),
        column("quoted", "currency", transform_expr=f"currency || {text_of_hostile_marks[engine]}"),
        column("listed", "amount|rate", transform_expr="greatest(amount, rate)"),
        column("derived", "amount|rate", business_rule_id="DERIVED"),
        column("defaulted", "currency|rate", business_rule_id="DEFAULTED"),
        column("same", "amount|rate", transform_expr="amount  * rate", business_rule_id="DERIVED"),
    ]
    return [{**kind, "target_column": f"{kind['target_column']}_{time}"} for time in range(times) for kind in kinds]


CLEAN_RULES = [
    rule("DERIVED", "derivation", "amount * rate", None),
    rule("DEFAULTED", "default", "cast(rate as varchar(9))", None),
    rule("FILTERED", "filter", "amount > 0 or nested is not null", None),
    rule("HOLDS", "validation", 'plain_0 >= 0 and "Reserved Word" is not null', None),
]


@pytest.fixture(scope="module")
def clean(make_project, engine):
    quote = '"' if engine == "duckdb" else "`"
    nested = "{'a b': amount}" if engine == "duckdb" else "named_struct('a b', amount)"
    rules = [{**each, "rule_expression": each["rule_expression"].replace('"', quote)} for each in CLEAN_RULES]
    odd = column("Reserved Word", "nested", transform_expr=f"nested.{quote}a b{quote}")
    project = make_project(
        engine,
        models={
            # A view, and a nested type whose name can't be written down again on Spark.
            "orders_view": f"select *, {nested} as nested from {{{{ ref('orders') }}}}",
            "gold_small": mapped(
                source="ref('orders_view')", arguments=", watermark='loaded_at', latest_by='loaded_at'"
            ),
            "gold_large": mapped(source="ref('orders_view')"),
        },
        seeds={"orders": ORDERS},
        api_endpoints=[{"endpoint_name": "shop"}, {"endpoint_name": "closed", "active_flag": False}],
        field_mapping=[
            *rows("gold_small", KEY, odd, *columns_of_every_kind(engine, 1)),
            *rows("gold_large", KEY, odd, *columns_of_every_kind(engine, 6)),
            *rows("retired", column("order_id", active_flag=False), endpoint="closed"),
        ],
        business_rules=rules,
        config={
            "models": {"consumer": {"orders_view": {"+materialized": "view", "+file_format": None}}},
            "seeds": {"consumer": {"orders": {"+column_types": COLUMN_TYPES}}},
        },
    )
    project.dbt("seed")
    project.dbt("run", "--select", "orders_view")
    return SimpleNamespace(project=project, run=validate(project))


def test_a_clean_config_passes(clean):
    lines = [line for line in clean.run.output.splitlines() if "config: " in line or "warning" in line]
    assert lines == ["config: 2 endpoints, 68 mapping rows, 4 rules; 0 errors, 0 warnings"]


def test_statements_don_t_depend_on_how_much_there_is_to_check(clean):
    """A look at the schema, the config, and for each mapped table its columns and two batches."""
    statements = [sql for sql in sent(clean.run) if sql.lower() not in ("begin", "commit", "rollback")]
    kinds = Counter(
        "config" if "as config_row" in sql else "batch" if asked(sql) else sql.split()[0].lower() for sql in statements
    )
    look = "select" if clean.project.engine == "duckdb" else "show"
    assert kinds == {look: 1, "config": 1, "describe": 2, "batch": 4}


def test_before_the_sources_are_built_it_says_what_is_left_out(make_sample):
    sample = make_sample("duckdb")
    sample.dbt("seed", "--select", "config")
    found = json.loads(validate(sample, output="json", quiet=True).output)
    assert [(each["severity"], each["key"]) for each in found] == [
        ("warning", f"source of gold_{name}") for name in ("customers", "order_items", "orders")
    ]
    assert all("is not in the warehouse yet" in each["problem"] for each in found)


# --- arguments and edges, on DuckDB: they are the macro's own, whatever the engine ---------------------------------


@pytest.fixture(scope="module")
def small(make_project):
    return make_project(
        "duckdb",
        models={"gold": mapped()},
        seeds={"orders": ORDERS},
        api_endpoints=[{"endpoint_name": "shop"}, {"endpoint_name": "other"}],
        field_mapping=[*rows("gold", KEY), *rows("other", column("a", ""), endpoint="other")],
        business_rules=[rule("OTHER", "filters", "true", None, endpoint_name="other")],
        config={"seeds": {"consumer": {"orders": {"+column_types": COLUMN_TYPES}}}},
    )


def test_it_asks_for_the_seeds_first(small):
    run = validate(small, check=False)
    assert not run.success
    assert (
        "these config tables are not in the warehouse yet: api_endpoints, field_mapping, business_rules. Run `dbt seed`"
        in run.messages
    )


def test_one_endpoint_alone(small):
    small.dbt("seed")
    run = validate(small, endpoint_name="shop")
    assert "config: 1 endpoint, 1 mapping row, 0 rules; 0 errors, 0 warnings" in run.output
    run = validate(small, endpoint_name="other", check=False)
    assert "config: 1 endpoint, 1 mapping row, 1 rule; 3 errors, 1 warning" in run.output
    assert "1. business_rules · rule OTHER: rule_category 'filters' is unknown." in run.messages
    assert "warning: field_mapping · other / other: no model of the project maps it" in run.output
    assert (
        "endpoint shpo: there is no such endpoint. Did you mean shop?"
        in validate(small, endpoint_name="shpo", check=False).messages
    )


def test_an_unknown_output_is_refused(small):
    assert "output 'yaml' is unknown. Write text or json." in validate(small, output="yaml", check=False).messages


def test_a_misspelt_config_column_is_an_error_of_the_model_too(small):
    path = small.directory / "seeds/field_mapping.csv"
    original = path.read_text()
    path.write_text(original.replace("sensitivity", "sensitivty").replace("description", "remarks"))
    small.dbt("seed", "--full-refresh", "--select", "field_mapping")
    try:
        said = "field_mapping · column sensitivty: is not a column that the package reads, and sensitivity is missing. Did you mean sensitivity?"
        run = validate(small, endpoint_name="shop", check=False)
        assert said in run.messages
        assert "remarks" not in run.messages
        assert said in small.dbt("run", "--select", "orders", "gold", check=False).nodes["gold"].message
    finally:
        path.write_text(original)
        small.dbt("seed", "--full-refresh", "--select", "field_mapping")


@pytest.mark.parametrize(("endpoint", "errors", "others"), [("shop", 0, 0), ("other", 3, 1)])
def test_with_quiet_the_list_is_the_first_line_of_standard_output(small, endpoint, errors, others):
    small.dbt("seed")
    finished = subprocess.run(
        [
            Path(sys.executable).with_name("dbt"), "--quiet", "run-operation", "validate_config",
            "--args", json.dumps({"output": "json", "endpoint_name": endpoint}), "--project-dir", small.directory,
            "--profiles-dir", small.workspace, "--target-path", small.target, "--log-path", small.workspace / "logs/alone",
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    first, *rest = finished.stdout.splitlines()
    assert (finished.returncode != 0) == (errors > 0)
    assert Counter(each["severity"] for each in json.loads(first)) == Counter(error=errors, warning=others)
    assert bool(rest) == (errors > 0)
