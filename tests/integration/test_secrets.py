"""Source values marked `mask` or `hash`, and the hash key, stand nowhere but where the contract puts them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

CUSTOMERS = [
    # customer_id, region, email, phone, tax_id, salary, age, city
    ("SECRET-ID-ada", "eu", "secret-ada@example.com", "SECRET-PHONE-1", "SECRET-TAX-1", "91234.50", "36", "Berlin"),
    ("SECRET-ID-bob", "us", "secret-bob@example.com", None, None, None, None, "Paris"),
    ("SECRET-ID-eve", "eu", "secret-eve@example.com", "SECRET-PHONE-3", "SECRET-TAX-3", "-98765.43", "41", "Rome"),
    (None, "eu", "secret-nobody@example.com", None, None, "10.00", None, "Oslo"),
    ("SECRET-ID-zoe", "eu", "secret-zoe@example.com", None, None, "20.00", "SECRET-AGE", "Bonn"),
]
# What must not be found, in lower case.
SECRETS = ("secret-", "91234.5", "98765.43")

COLUMNS = {
    "duckdb": "customer_id varchar, region varchar, email varchar, phone varchar, tax_id varchar,"
    " salary decimal(10, 2), age varchar, city varchar",
    "spark": "customer_id string, region string, email string, phone string, tax_id string,"
    " salary decimal(10, 2), age string, city string",
}

MODEL = "{{ lineage_audit.mapped_model('crm', source=source('raw', 'customers')) }}"
MODELS = dict.fromkeys(
    ["customers", "customer_regions", "failing", "keyless", "masked_key", "masked_by_another"], MODEL
)
MODELS["marked_watermark"] = MODEL.replace(")) }}", "), watermark='age') }}")


def column(target_table: str, name: str, sensitivity: str | None = None, **more) -> dict:
    return {
        "endpoint_name": "crm",
        "target_table": target_table,
        "target_column": name,
        "source_table": "customers",
        "source_columns": name,
        "sensitivity": sensitivity,
        **more,
    }


FIELD_MAPPING = [
    column("customers", "customer_id", "hash", is_primary_key=True, column_position=1),
    column("customers", "email", "mask", column_position=2),
    # Unmarked, of a source column that another row masks.
    column("customers", "domain", source_columns="email", transform_expr="substr(email, 8)", column_position=3),
    column("customers", "phone", "hash", column_position=4),
    # One source column, two marks: the strictest wins for both.
    column("customers", "tax_id", "hash", column_position=5),
    column("customers", "tax_hint", "mask", source_columns="tax_id", transform_expr="upper(tax_id)", column_position=6),
    column("customers", "salary", "hash", column_position=7),
    column("customers", "age", "mask", data_type="integer", column_position=8),
    column("customers", "city", column_position=9),
    column("customer_regions", "customer_id", "hash", is_primary_key=True, column_position=1),
    column("customer_regions", "region", is_primary_key=True, column_position=2),
    # Unmarked here; the mapping of another table marks it.
    column("customer_regions", "contact", source_columns="email", column_position=3),
    column("failing", "customer_id", "hash", is_primary_key=True),
    column("failing", "broken", "mask", source_columns="email", transform_expr="{failing}"),
    column("keyless", "customer_id", "hash", is_primary_key=True),
    # Of sources of their own: a mark holds wherever its source table is read.
    column("masked_key", "customer_id", "mask", is_primary_key=True, source_table="masked_customers"),
    column("masked_by_another", "customer_id", is_primary_key=True, source_table="joined_customers"),
    column(
        "masked_by_another",
        "label",
        "mask",
        source_table="joined_customers",
        source_columns="customer_id|city",
        transform_expr="customer_id || city",
    ),
    column("marked_watermark", "customer_id", "hash", is_primary_key=True),
]

# dbt-spark switches off Spark's ANSI mode, in which a cast would fail.
FAILING_EXPRESSION = {"duckdb": "cast(email as integer)", "spark": "raise_error(concat('no integer: ', email))"}

BUSINESS_RULES = [
    {
        "business_rule_id": name,
        "endpoint_name": "crm",
        "target_table": "customers",
        "rule_category": "validation",
        "rule_expression": expression,
        "severity": severity,
    }
    for name, expression, severity in (
        ("SALARY_POSITIVE", "salary > 0", "ERROR"),
        ("NOT_PARIS", "city <> 'Paris'", "WARN"),
    )
]

# The JVM's environment can't be changed once it runs, so there two models ask for the key under another name.
NO_KEY_ON_SPARK = """
{% macro spark__hash_key() %}
  {% set name = 'NO_SUCH_VARIABLE' if model.name in ('keyless', 'marked_watermark') else 'DBT_ENV_SECRET_LINEAGE_AUDIT_KEY' %}
  {% do return("java_method('java.lang.System', 'getenv', '" ~ name ~ "')") %}
{% endmacro %}
"""


def literal(value: str | None) -> str:
    return "null" if value is None else f"'{value}'"


@pytest.fixture(scope="module")
def sensitive(make_project, engine):
    project = make_project(
        engine,
        artifacts=True,
        models=MODELS,
        macros={"spark__hash_key": NO_KEY_ON_SPARK},
        properties={
            "sources": [
                {
                    "name": "raw",
                    "schema": "{{ target.schema }}",
                    "tables": [{"name": "customers", "identifier": "customers_source"}],
                }
            ]
        },
        api_endpoints=[{"endpoint_name": "crm"}],
        field_mapping=[
            {
                **row,
                "transform_expr": FAILING_EXPRESSION[engine]
                if row.get("transform_expr") == "{failing}"
                else row.get("transform_expr"),
            }
            for row in FIELD_MAPPING
        ],
        business_rules=BUSINESS_RULES,
        config={
            "models": {"consumer": {"+materialized": "table"}},
            "dispatch": [
                {"macro_namespace": "dbt", "search_order": ["consumer", "lineage_audit", "dbt"]},
                {"macro_namespace": "lineage_audit", "search_order": ["consumer", "lineage_audit"]},
            ],
        },
    )
    # dbt never sees the values but through the models.
    source = f"{project.schema}.customers_source"
    rows = ", ".join("(" + ", ".join(literal(value) for value in row) + ")" for row in CUSTOMERS)
    project.execute(
        f"create schema if not exists {project.schema}",
        f"create table {source} ({COLUMNS[engine]})" + (" using delta" if engine == "spark" else ""),
        f"insert into {source} values {rows}",
    )
    project.dbt("seed")
    built = project.dbt(
        "run", "--select", "package:lineage_audit", "customers", "customer_regions", "failing", check=False
    )
    (project.target / "run_results.json").rename(project.target / "first_run_results.json")
    # Eve's record is taken by the next run: its closing is written, too.
    project.execute(f"update {source} set salary = 98765.43 where city = 'Rome'")
    again = project.dbt("run", "--select", "customers", "customer_regions")
    return SimpleNamespace(
        project=project, store=f"{project.schema}_audit", built=built, again=again, schema=project.schema
    )


def keyed_hash(key: str, text: str) -> str:
    inner = hashlib.sha256(f"{key}:{text}".encode()).hexdigest()
    return hashlib.sha256(f"{key}:{inner}".encode()).hexdigest()


def found_in(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret in text.lower()]


# --- how values are written ------------------------------------------------------------------------------------


def test_lineage_holds_masked_and_hashed_values(sensitive, hash_key):
    ada = keyed_hash(hash_key, "SECRET-ID-ada")
    rows = sensitive.project.query(
        f"select target_column, source_values_json from {sensitive.store}.column_lineage"
        f" where target_table = 'customers' and target_pk = '{ada}' and run_id = '{runs(sensitive)[1]}'"
    )
    assert {row["target_column"]: json.loads(row["source_values_json"]) for row in rows} == {
        "customer_id": {"customer_id": ada},
        "email": {"email": "***"},
        "domain": {"email": "***"},
        "phone": {"phone": keyed_hash(hash_key, "SECRET-PHONE-1")},
        "tax_id": {"tax_id": "***"},
        "tax_hint": {"tax_id": "***"},
        "salary": {"salary": keyed_hash(hash_key, "91234.50")},
        "age": {"age": "***"},
        "city": {"city": "Berlin"},
    }


def test_null_stays_null(sensitive, hash_key):
    bob = keyed_hash(hash_key, "SECRET-ID-bob")
    rows = sensitive.project.query(
        f"select target_column, source_values_json from {sensitive.store}.column_lineage"
        f" where target_table = 'customers' and target_pk = '{bob}' and run_id = '{runs(sensitive)[1]}'"
        " and target_column in ('phone', 'tax_id', 'salary', 'age')"
    )
    assert {row["target_column"]: json.loads(row["source_values_json"]) for row in rows} == {
        "phone": {"phone": None},
        "tax_id": {"tax_id": None},
        "salary": {"salary": None},
        "age": {"age": None},
    }


def runs(sensitive) -> list[str]:
    """The runs of `customers`, oldest first: run_id and invocation_id are one here."""
    found = sensitive.project.query(
        f"select run_id from {sensitive.store}.ingestion_run where target_table = 'customers' order by run_start_ts"
    )
    return [row["run_id"] for row in found]


def test_mark_of_one_table_holds_in_another(sensitive):
    """customer_regions reads email unmarked, and so stores it masked; its gold holds it, as it was mapped."""
    regions = sensitive.project.query(
        f"select contact, _lineage_source_values from {sensitive.schema}.customer_regions"
    )
    assert {row["_lineage_source_values"]["email"] for row in regions} == {"***"}
    assert {row["contact"] for row in regions} == {row[2] for row in CUSTOMERS if row[0]}
    values = sensitive.project.query(
        f"select distinct source_values_json from {sensitive.store}.column_lineage"
        " where target_table = 'customer_regions' and target_column = 'contact'"
    )
    assert [row["source_values_json"] for row in values] == ['{"email":"***"}']


def test_golds_struct_holds_masked_and_hashed_values(sensitive, hash_key):
    values = sensitive.project.value(
        f"select _lineage_source_values from {sensitive.schema}.customers where city = 'Berlin'"
    )
    assert values == {
        "customer_id": keyed_hash(hash_key, "SECRET-ID-ada"),
        "email": "***",
        "phone": keyed_hash(hash_key, "SECRET-PHONE-1"),
        "tax_id": "***",
        "salary": keyed_hash(hash_key, "91234.50"),
        "age": "***",
    }


def test_gold_itself_holds_the_values(sensitive):
    row = sensitive.project.query(
        f"select customer_id, email, phone, tax_hint, cast(salary as varchar(20)) as salary, age"
        f" from {sensitive.schema}.customers where city = 'Berlin'"
    )[0]
    assert tuple(row.values()) == CUSTOMERS[0][:1] + CUSTOMERS[0][2:4] + ("SECRET-TAX-1", "91234.50", 36)


def test_refused_records_hold_masked_and_hashed_values(sensitive, hash_key):
    """Eve by a rule, nobody for want of a key, Zoe by a cast; each by its own texts."""
    rows = sensitive.project.query(
        f"select target_pk, record_key, failed_rules, mapped_values_json, source_values_json"
        f" from {sensitive.store}.rejected_record where target_table = 'customers'"
        f" and invocation_id = '{runs(sensitive)[0]}'"
    )
    by_rule = {row["failed_rules"][0]: row for row in rows}
    assert set(by_rule) == {"SALARY_POSITIVE", "not_null:customer_id", "cast:age"}
    eve, zoe, nobody = by_rule["SALARY_POSITIVE"], by_rule["cast:age"], by_rule["not_null:customer_id"]
    assert eve["target_pk"] == eve["record_key"] == keyed_hash(hash_key, "SECRET-ID-eve")
    assert json.loads(eve["mapped_values_json"]) == {
        "customer_id": keyed_hash(hash_key, "SECRET-ID-eve"),
        "email": "***",
        "domain": "***",
        "phone": keyed_hash(hash_key, "SECRET-PHONE-3"),
        "tax_id": "***",
        "tax_hint": "***",
        "salary": keyed_hash(hash_key, "-98765.43"),
        "age": "***",
        "city": "Rome",
    }
    assert json.loads(zoe["source_values_json"]) == {
        "customer_id": keyed_hash(hash_key, "SECRET-ID-zoe"),
        "email": "***",
        "phone": None,
        "tax_id": None,
        "salary": keyed_hash(hash_key, "20.00"),
        "age": "***",
        "city": "Bonn",
    }
    assert json.loads(zoe["mapped_values_json"])["age"] is None
    assert nobody["target_pk"] is None
    assert nobody["record_key"] == hashlib.sha256(nobody["source_values_json"].encode()).hexdigest()


def test_hashed_part_of_a_composite_key(sensitive, hash_key):
    keys = sensitive.project.query(
        f"select distinct target_pk from {sensitive.store}.column_lineage where target_table = 'customer_regions'"
    )
    expected = {(keyed_hash(hash_key, row[0]), row[1]) for row in CUSTOMERS if row[0]}
    assert {tuple(json.loads(row["target_pk"])) for row in keys} == expected


# --- where nothing may be found ----------------------------------------------------------------------------------


def stored_texts(project, schema: str) -> dict[str, str]:
    """Every table and view of a schema as one text."""
    if project.engine == "duckdb":
        found = project.query(f"select table_name from information_schema.tables where table_schema = '{schema}'")
        names = [row["table_name"] for row in found]
    else:
        # Spark lists the session's temporary views in every schema.
        names = [row["tableName"] for row in project.query(f"show tables in {schema}") if not row["isTemporary"]]
    return {name: repr(project.query(f"select * from {schema}.{name}")) for name in names}


def test_store_holds_none_of_the_values(sensitive):
    texts = stored_texts(sensitive.project, sensitive.store)
    assert {
        "run_event", "cell_lineage", "rejected_record", "closed_record", "rule_violation", "config_version",
        "ingestion_run", "quarantine", "column_lineage",
    } <= set(texts)  # fmt: skip
    assert {name: found_in(text) for name, text in texts.items() if found_in(text)} == {}
    for table in ("rule_violation", "closed_record"):
        assert texts[table] != "[]", f"{table} is empty: the search would prove nothing"


def test_golds_lineage_columns_hold_none_of_the_values(sensitive):
    for table in ("customers", "customer_regions"):
        rows = sensitive.project.query(
            f"select _lineage_source_values, _lineage_warnings, _lineage_run_id from {sensitive.schema}.{table}"
        )
        assert rows
        assert not found_in(repr(rows))


def test_error_message_is_withheld_where_columns_are_marked(sensitive):
    """The engine quotes the value that it could not cast; the store keeps the class, column and expression."""
    message = sensitive.built.nodes["failing"].message
    assert "secret-" in message.lower(), "the engine quotes nothing: the test proves nothing"
    stored = sensitive.project.value(
        f"select error_message from {sensitive.store}.ingestion_run where target_table = 'failing'"
    )
    if sensitive.project.engine == "duckdb":
        assert "Conversion Error" in stored
        assert stored.splitlines()[-1] == "target column broken, expression cast(email as integer)"
    else:
        assert "[USER_RAISED_EXCEPTION]" in stored


def files_under(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def without_error_texts(text: str, message: str) -> str:
    """The text without the lines of an engine's error: dbt prints it, and the package can't keep it from that."""
    lines = sorted({line.strip() for line in message.splitlines() if line.strip()}, key=len, reverse=True)
    for line in lines:
        text = text.replace(line, "").replace(json.dumps(line)[1:-1], "")
    return text


def test_target_and_logs_hold_none_of_the_values(sensitive):
    message = sensitive.built.nodes["failing"].message
    folders = (sensitive.project.target, sensitive.project.workspace / "logs")
    files = [path for folder in folders for path in files_under(folder)]
    assert any(path.name == "dbt.log" for path in files)
    assert any(path.parent.name == "models" and path.name == "customers.sql" for path in files)
    hits = {}
    for path in files:
        text = without_error_texts(path.read_bytes().decode("utf-8", "replace"), message)
        if found_in(text):
            hits[str(path)] = found_in(text)
    assert hits == {}


def test_hash_key_stands_nowhere(sensitive, hash_key):
    folders = [sensitive.project.workspace]
    hits = [str(path) for path in files_under(folders[0]) if hash_key.encode() in path.read_bytes()]
    assert hits == []
    for schema in (sensitive.schema, sensitive.store):
        for name, text in stored_texts(sensitive.project, schema).items():
            assert hash_key not in text, name
    for invocation in sensitive.project.invocations:
        assert hash_key not in invocation.log
        assert hash_key not in invocation.output


# --- keys that can't be -------------------------------------------------------------------------------------------


def is_write(sql: str) -> bool:
    words = sql.split("*/")[-1].split()
    return bool(words) and words[0].lower() in ("insert", "delete", "update", "merge", "create", "drop", "alter")


def refused(sensitive, invocation, *models: str) -> None:
    """Every model failed by its config, before any statement that writes."""
    for model in models:
        assert invocation.statuses[model] == "error"
        assert "found before any data moved" in invocation.nodes[model].message
        assert not [sql for sql in invocation.statements_of(model) if is_write(sql)]


NO_KEY = "field_mapping · crm / keyless / customer_id: sensitivity is hash, and there is no key to hash with, or an empty one."


def test_no_key_and_masked_keys_are_config_errors(sensitive, monkeypatch):
    project = sensitive.project
    if project.engine == "duckdb":
        monkeypatch.setenv("DBT_ENV_SECRET_LINEAGE_AUDIT_KEY", "")
    run = project.dbt("run", "--select", "keyless", "masked_key", "masked_by_another", "marked_watermark", check=False)
    refused(sensitive, run, "keyless", "masked_key", "masked_by_another", "marked_watermark")
    assert NO_KEY in run.nodes["keyless"].message
    assert "DBT_ENV_SECRET_LINEAGE_AUDIT_KEY" in run.nodes["keyless"].message
    assert "watermark 'age' is a column marked mask" in run.nodes["marked_watermark"].message
    for model in ("masked_key", "masked_by_another"):
        assert (
            f"field_mapping · crm / {model} / customer_id: source column 'customer_id' is marked mask, and a key is made of it"
            in run.nodes[model].message
        )


def test_engine_is_asked_for_the_key_once_per_invocation(sensitive):
    def asked(invocation):
        return [each for each in invocation.statements if "is_missing" in each.sql]

    assert 1 <= len(asked(sensitive.again)) <= 2  # two models at once may each ask
    if sensitive.project.engine == "duckdb":
        assert (
            len(asked(sensitive.project.dbt("run", "--select", "customers", "customer_regions", "--threads", "1"))) == 1
        )
        assert not asked(sensitive.project.dbt("compile", "--select", "customers"))
        assert not asked(sensitive.project.dbt("run", "--select", "masked_by_another", check=False))


@pytest.mark.parametrize("engine", ["duckdb"], scope="session")
def test_profile_that_hands_on_no_key(make_project, engine):
    """Without the profile's setting the variable is NULL; with an empty environment variable it is empty."""
    project = make_project(
        engine,
        models={
            "keyless": "{{ config(materialized='table') }}"
            + MODEL.replace("source('raw', 'customers')", "ref('people')")
        },
        seeds={"people": [{"customer_id": "c1"}]},
        api_endpoints=[{"endpoint_name": "crm"}],
        field_mapping=[column("keyless", "customer_id", "hash", is_primary_key=True)],
        business_rules=[],
    )
    project.dbt("build")
    before = project.query(f"select * from {project.schema}.keyless")
    del project.output["settings"]["VARIABLE lineage_audit_key"]
    project._write_profile()
    run = project.dbt("run", "--select", "keyless", check=False)
    assert NO_KEY in run.nodes["keyless"].message
    assert project.query(f"select * from {project.schema}.keyless") == before
    assert len(before) == 1
