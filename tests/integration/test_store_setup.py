"""The audit store's own troubles: tables of an earlier version, tables that are not its own, no right to write, no room."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from mapped_cases import mapped_columns, source_properties

# --- the tables as the first version made them ------------------------------------------------------------------

FIRST_VERSION = Path(__file__).parent / "store_0_1_0"

# What an older store lacks here. No view can be made without some of them.
LACKING = {
    "run_event": ["run_by", "source_fields"],
    "rejected_record": ["warnings"],
    "rule_violation": ["severity"],
    "config_version": ["default_expr", "rule_category"],
}
# What came after 0.1.0: such a store lacks it too.
LATER_TABLES = ["record_lineage"]
LATER = {"run_event": ["target_columns", "capture", "rejected"], "config_version": ["source_positions"]}
MISSING = {table: [*columns, *LATER.get(table, [])] for table, columns in LACKING.items()}


def tables_of(engine: str, lacking: dict[str, list[str]]) -> dict[str, str]:
    """The DDL of each table of version 0.1.0, without the columns that it is to lack."""
    text = re.sub(r"^--.*\n", "", (FIRST_VERSION / f"{engine}.sql").read_text())
    tables = {}
    for statement in text.split(";\n"):
        if not statement.strip():
            continue
        (name,) = re.findall(r"create table \{schema\}\.(\w+)", statement)
        columns = re.findall(r"^  (\w+) (.+?),?$", statement, flags=re.MULTILINE)
        lacked = lacking.get(name, [])
        assert set(lacked) <= {column for column, _ in columns}
        kept = ",\n".join(f"  {column} {kind}" for column, kind in columns if column not in lacked)
        tables[name] = re.sub(r"\(\n.*\n\)", lambda _, kept=kept: f"(\n{kept}\n)", statement, count=1, flags=re.DOTALL)
    return tables


def old_rows(engine: str) -> list[str]:
    """A run of 2023: two cells of one row, and a record that is still in quarantine."""
    texts = {"duckdb": "list_value", "spark": "array"}[engine]
    started, success = "timestamp '2023-05-01 06:00:00'", "timestamp '2023-05-01 06:00:09'"
    event = "'run-of-2023', 'call-of-2023', 'db.old.gold_accounts', 'accounts', 'gold_accounts', true"
    return [
        "insert into {schema}.run_event (event_type, event_ts, attempt_id, run_id, invocation_id, target_relation,"
        " endpoint_name, target_table, whole_table, config_hash, input_record_count, output_record_count,"
        " rejected_record_count, filtered_record_count) values"
        f" ('STARTED', {started}, 7, {event}, 'hash-of-2023', null, null, null, null),"
        f" ('SUCCESS', {success}, 7, {event}, 'hash-of-2023', 2, 1, 1, 0)",
        "insert into {schema}.config_version (config_hash, created_ts, endpoint_name, target_table, kind,"
        " column_position, target_column, source_columns, transform_expr, business_rule_id, message)"
        f" select 'hash-of-2023', {started}, 'accounts', 'gold_accounts', 'mapping', 1, 'account_id',"
        f" {texts}('account_id'), 'account_id', null, null"
        f" union all select 'hash-of-2023', {started}, 'accounts', 'gold_accounts', 'mapping', 2, 'balance',"
        f" {texts}('cents'), 'cents / 100', null, null"
        f" union all select 'hash-of-2023', {started}, 'accounts', 'gold_accounts', 'rule', null, null,"
        " null, null, 'BALANCE_KNOWN', 'The balance is known.'",
        "insert into {schema}.cell_lineage (attempt_id, target_pk, column_position, source_values)"
        f" select 7, 'a1', 1, {texts}('a1') union all select 7, 'a1', 2, {texts}('1250')",
        "insert into {schema}.rejected_record (run_id, invocation_id, target_relation, target_table, record_key,"
        " target_pk, failed_rules, mapped_values_json, source_values_json)"
        " select 'run-of-2023', 'call-of-2023', 'db.old.gold_accounts', 'gold_accounts', 'a2', 'a2',"
        f""" {texts}('BALANCE_KNOWN'), '{{{{"balance":null}}}}', '{{{{"cents":null}}}}'""",
    ]


def changes_of(invocation) -> list[str]:
    """The statements that change anything, without comments and without dbt's own `create schema`."""
    words = ("insert", "delete", "update", "merge", "create", "drop", "alter")
    bare = [re.sub(r"/\*.*?\*/", "", each.sql, flags=re.DOTALL).strip() for each in invocation.statements]
    return [sql for sql in bare if sql.lower().startswith(words) and not sql.lower().startswith("create schema")]


def text_of(invocation) -> str:
    """What the user reads, without quotes of names and without the places where lines break."""
    return re.sub(r"\s+", " ", invocation.messages.replace('"', "").replace("`", ""))


def mapping_of(*tables: str, columns: tuple[str, ...]) -> list[dict]:
    """Each column as it is; the first is the key."""
    mapped = [(name, name, {"is_primary_key": name == columns[0]}) for name in columns]
    return [row for table in tables for row in mapped_columns("shop", table, *mapped)]


MERGED = "{{ config(materialized='incremental', incremental_strategy='merge', unique_key='order_id') }}"


@pytest.fixture(scope="module")
def shop(make_project, engine):
    mapped = "{{ lineage_audit.mapped_model('shop', source=ref('orders')) }}"
    return make_project(
        engine,
        models={"gold_orders": mapped, "unmapped": "select 1 as one"},
        seeds={"orders": [{"order_id": "o1", "amount": 10}, {"order_id": "o2", "amount": 20}]},
        api_endpoints=[{"endpoint_name": "shop"}],
        field_mapping=mapping_of("gold_orders", columns=("order_id", "amount")),
        business_rules=[],
        config={"models": {"consumer": {"+materialized": "table"}}},
    )


@pytest.fixture(scope="module")
def upgraded(shop, engine):
    """A store of an earlier version: a run, setup twice, a run."""
    store = f"{shop.schema}_audit"
    shop.execute(
        f"create schema {store}",
        *(sql.format(schema=store) for sql in tables_of(engine, LACKING).values()),
        *(sql.format(schema=store) for sql in old_rows(engine)),
    )

    def rows():
        return {table: shop.query(f"select * from {store}.{table}") for table in tables_of(engine, {})}

    before = rows()
    refused = shop.dbt("build", check=False)
    first = shop.dbt("run-operation", "lineage_audit.setup")
    after = rows()
    second = shop.dbt("run-operation", "setup")
    run = shop.dbt("build")
    return SimpleNamespace(
        project=shop, store=store, before=before, after=after, refused=refused, first=first, second=second, run=run
    )


def test_a_run_that_meets_old_tables_names_every_column_and_setup(upgraded):
    text = text_of(upgraded.refused)
    assert not upgraded.refused.success
    assert "4 problems with the audit store" in text
    for table, columns in MISSING.items():
        lacks = rf"{upgraded.store}\.{table} lacks ([\w, ]+): an earlier version of the package made it"
        assert set(re.search(lacks, text)[1].split(", ")) == set(columns)
    assert (
        str(upgraded.refused.exception).count("Run dbt run-operation lineage_audit.setup while no other job runs") == 4
    )


def test_a_run_that_meets_old_tables_moves_nothing(upgraded):
    assert changes_of(upgraded.refused) == []
    assert upgraded.refused.statuses.get("gold_orders") != "success"


def test_setup_adds_the_columns_and_nothing_else(upgraded, engine):
    (added,) = re.findall(r"added the columns (.*)\n", upgraded.first.output)
    assert set(added.split(", ")) == {f"{table}.{column}" for table, columns in MISSING.items() for column in columns}
    changes = " ".join(changes_of(upgraded.first)).lower()
    # Tables that came after 0.1.0 may be created.
    assert (
        {"alter table"}
        <= set(re.findall(r"\b(alter table|create table|drop|insert|delete|update|merge|replace)\b", changes))
        <= {"alter table", "create table"}
    )
    assert set(re.findall(r"\b(add|rename|alter column|change|set)\b", changes)) == {"add"}


def test_setup_keeps_every_row(upgraded):
    for table, rows in upgraded.before.items():
        none = dict.fromkeys(MISSING.get(table, []))
        assert sorted(upgraded.after[table], key=str) == sorted([{**row, **none} for row in rows], key=str)
    assert sum(len(rows) for rows in upgraded.before.values()) == 8


def test_setup_of_a_store_that_is_complete_says_so(upgraded):
    assert changes_of(upgraded.second) == []
    assert re.search(rf"audit store .*{upgraded.store}\W*: complete\n", upgraded.second.output)


def test_old_rows_are_read_through_the_views(upgraded):
    def read(columns: str, view: str) -> list[tuple]:
        rows = upgraded.project.query(
            f"select {columns} from {upgraded.store}.{view} where run_id = 'run-of-2023' order by 1"
        )
        return [tuple(row.values()) for row in rows]

    assert read("status, input_record_count, output_record_count, run_by", "ingestion_run") == [("SUCCESS", 2, 1, None)]
    assert read("target_column, target_pk, transform_expr, source_values_json", "column_lineage") == [
        ("account_id", "a1", "account_id", '{"account_id":"a1"}'),
        ("balance", "a1", "cents / 100", '{"cents":"1250"}'),
    ]
    assert read("record_key, failed_rules, messages", "quarantine") == [
        ("a2", ["BALANCE_KNOWN"], ["The balance is known."])
    ]


def test_a_run_works_after_setup(upgraded):
    rows = upgraded.project.query(
        f"select target_table, status, output_record_count from {upgraded.store}.ingestion_run"
        " where run_id <> 'run-of-2023' order by target_table"
    )
    assert [tuple(row.values()) for row in rows] == [("gold_orders", "SUCCESS", 2)]


def test_a_run_looks_at_the_store_by_one_statement(upgraded):
    sent = [each.sql for each in upgraded.run.statements if (each.node or "").endswith("on-run-start-0")]
    assert len(sent) == 1
    assert changes_of(upgraded.run)
    assert not [sql for sql in changes_of(upgraded.run) if re.match(rf"alter table .*{upgraded.store}", sql)]


def test_a_run_of_other_models_does_not_look_at_the_store(shop, upgraded):
    done = shop.dbt("run", "--select", "unmapped")
    assert not [each.sql for each in done.statements if (each.node or "").endswith("on-run-start-0")]
    assert done.statuses["unmapped"] == "success"


# --- tables that are not the package's --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def foreign(shop, engine, upgraded):
    """A schema that something else uses, and in it one table of an earlier version."""
    store = f"{shop.schema}_foreign"
    mine = tables_of(engine, {"rejected_record": ["warnings"]})
    text = {"duckdb": "varchar", "spark": "string"}[engine]
    shop.execute(
        f"create schema {store}",
        mine["run_event"].format(schema=store).replace("event_type", "kind_of_event").replace("run_id", "run"),
        mine["cell_lineage"].format(schema=store).replace("smallint", text),
        mine["rejected_record"].format(schema=store),
        f"create view {store}.config_version as select 1 as config_hash",
    )

    def types():
        return {
            table: [list(row.values())[:2] for row in shop.query(f"describe {store}.{table}")]
            for table in ("run_event", "cell_lineage", "rejected_record", "config_version")
        }

    vars = {"lineage_audit_schema": "foreign"}
    before = types()
    gold = shop.query(f"select * from {shop.schema}.gold_orders order by order_id")
    run = shop.dbt("run", "--select", "gold_orders", vars=vars, check=False)
    setup = shop.dbt("run-operation", "setup", vars=vars, check=False)
    return SimpleNamespace(project=shop, store=store, before=before, after=types(), gold=gold, run=run, setup=setup)


def test_foreign_tables_are_named_with_what_is_wrong_and_the_remedy(foreign, engine):
    text = {"duckdb": "varchar", "spark": "string"}[engine]
    for invocation, count in ((foreign.run, 4), (foreign.setup, 3)):
        said = text_of(invocation)
        assert not invocation.success
        assert f"{count} problems with the audit store" in said
        assert (
            f"{foreign.store}.run_event lacks event_type, run_id, which the table has had in every version. Rename what"
            " stands there, or let the var lineage_audit_schema name another schema for the audit store."
        ) in said
        assert (
            f"{foreign.store}.cell_lineage has columns of another type: column_position (is {text}, has to be smallint)"
            in said
        )
        assert f"{foreign.store}.config_version is a view, not a table of the package." in said
    assert f"{foreign.store}.rejected_record lacks warnings" in text_of(foreign.run)


def test_foreign_tables_are_left_alone(foreign):
    assert changes_of(foreign.run) == changes_of(foreign.setup) == []
    assert foreign.after == foreign.before
    project = foreign.project
    assert project.query(f"select * from {project.schema}.gold_orders order by order_id") == foreign.gold


# --- no right to write ----------------------------------------------------------------------------------------------


def test_a_store_that_may_not_be_made(shop, engine, upgraded, spark_settings):
    """Nobody may write into what is attached read-only, or make a folder where a file stands: not even root."""
    gold = shop.query(f"select * from {shop.schema}.gold_orders order by order_id")
    if engine == "duckdb":
        archive = shop.workspace / "archive.duckdb"
        shop.execute(f"attach '{archive}' as archive", f"create schema archive.{shop.schema}_audit", "detach archive")
        shop.output["attach"] = [{"path": str(archive), "alias": "archive", "read_only": True}]
        shop._write_profile()
        vars = {"lineage_audit_database": "archive"}
        said = (
            "database archive is attached read-only; run_event, cell_lineage, record_lineage, rejected_record, closed_record,"
            " rule_violation, config_version can't be written. Attach it for writing"
        )
    else:
        folder = Path(spark_settings["spark.sql.warehouse.dir"]) / f"{shop.schema}_blocked.db"
        folder.write_text("no folder")
        vars = {"lineage_audit_schema": "blocked"}
        said = f"creates the tables of the audit store in {shop.schema}_blocked: run_event, cell_lineage,"
    refused = shop.dbt("run", "--select", "gold_orders", vars=vars, check=False)
    assert not refused.success
    assert said in text_of(refused)
    if engine == "spark":
        assert "Unable to create database path" in text_of(refused)
    assert changes_of(refused) == []
    assert shop.query(f"select * from {shop.schema}.gold_orders order by order_id") == gold


def test_lineage_that_can_not_be_written_fails_the_run(shop, engine, upgraded):
    """DuckDB takes gold back. Spark has no transactions: gold is whole, and nothing of the run counts."""
    cells = f"select * from {upgraded.store}.column_lineage order by run_id, target_table, target_pk, target_column"
    gold = f"select * from {shop.schema}.gold_orders order by order_id"
    cell_lineage = f"{upgraded.store}.cell_lineage"
    before = {sql: shop.query(sql) for sql in (cells, gold)}
    if engine == "duckdb":
        # A column that an INSERT of the package does not know, and that takes no NULL.
        shop.execute(f"alter table {cell_lineage} add column refuses integer default 1")
        shop.execute(f"alter table {cell_lineage} alter column refuses drop default")
        shop.execute(f"alter table {cell_lineage} alter column refuses set not null")
    else:
        known = ", ".join(str(row["id"]) for row in shop.query(f"select distinct attempt_id as id from {cell_lineage}"))
        shop.execute(f"alter table {cell_lineage} add constraint refuses check (attempt_id in ({known}))")
    refused = shop.dbt("run", "--select", "gold_orders", check=False)
    shop.execute(f"alter table {cell_lineage} drop {'column' if engine == 'duckdb' else 'constraint'} refuses")
    assert refused.statuses["gold_orders"] == "error"
    assert "refuses" in refused.messages
    last = f"select status from {upgraded.store}.ingestion_run order by run_start_ts desc limit 1"
    assert shop.value(last) == "FAILED"
    assert shop.query(cells) == before[cells]
    if engine == "duckdb":
        assert shop.query(gold) == before[gold]
    else:
        rows = shop.query(gold)
        assert [row["order_id"] for row in rows] == ["o1", "o2"]
        run_id = shop.value(last.replace("status", "run_id"))
        assert {row["_lineage_run_id"] for row in rows} == {run_id}


# --- a full disk ----------------------------------------------------------------------------------------------------

# Python ignores SIGXFSZ, so a write beyond the limit fails, as it does on a full disk.
MANY = 100_000
WITH_LIMITED_FILES = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
from dbt.cli.main import dbtRunner
sys.exit(0 if dbtRunner().invoke(sys.argv[2:]).success else 1)
"""


def with_limited_files(project, limit: int, *arguments: str) -> subprocess.CompletedProcess:
    """A dbt command in a process of its own, in which no file grows beyond the limit."""
    return subprocess.run(
        [
            *(sys.executable, "-c", WITH_LIMITED_FILES, str(limit), *arguments),
            *("--project-dir", str(project.directory), "--profiles-dir", str(project.workspace)),
            *("--target-path", str(project.target), "--log-path", str(project.workspace / "logs"), "--no-use-colors"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def filling(make_project):
    """A source that outgrows the disk after a first, small run; texts that can't be compressed are most of it."""
    mapped = "{{ lineage_audit.mapped_model('shop', source=source('raw', 'orders')) }}"
    tables = {"gold_orders": mapped, "gold_merged": MERGED + mapped}
    project = make_project(
        "duckdb",
        models=tables,
        api_endpoints=[{"endpoint_name": "shop"}],
        field_mapping=mapping_of(*tables, columns=("order_id", "note_1", "note_2", "note_3")),
        business_rules=[],
        files={"models/properties.yml": source_properties("orders")},
        config={"models": {"consumer": {"+materialized": "table"}}},
    )
    raw = f"{project.schema}_raw"
    notes = ", ".join(f"md5(i || 'note_{number}') as note_{number}" for number in (1, 2, 3))
    project.execute(
        f"create schema {raw}", f"create table {raw}.orders as select i as order_id, {notes} from range(1) as r(i)"
    )
    project.dbt("seed")
    # The first run makes the store, though no view of the package is among its models.
    project.dbt("run", "--select", *tables)
    project.dbt("run", "--exclude", *tables)
    project.execute(f"insert into {raw}.orders select i, {notes} from range(1, {MANY}) as r(i)")
    return project


def test_the_first_run_makes_the_store_whatever_it_selects(filling):
    created = [sql for sql in changes_of(filling.invocations[1]) if sql.startswith("create table if not exists")]
    assert len(created) == len([*tables_of("duckdb", {}), *LATER_TABLES])
    rows = filling.query(f"select target_table, status from {filling.schema}_audit.ingestion_run order by 1")
    assert [tuple(row.values()) for row in rows[:2]] == [("gold_merged", "SUCCESS"), ("gold_orders", "SUCCESS")]


def test_a_full_disk_leaves_gold_as_it_was(filling):
    audit = f"{filling.schema}_audit"
    answers = [
        f"select * from {filling.schema}.gold_orders",
        f"select * from {filling.schema}.gold_merged",
        f"select * from {audit}.column_lineage order by all",
    ]
    before = [filling.query(sql) for sql in answers]
    runs = filling.value(f"select count(*) from {audit}.ingestion_run")
    # Room for the events, and for a tenth of gold.
    limit = filling.database_path.stat().st_size + 1_000_000
    refused = with_limited_files(filling, limit, "run", "--threads", "1")
    assert refused.returncode == 1
    said = re.sub(r"\s+", " ", refused.stdout.replace('"', ""))
    for table in ("gold_orders", "gold_merged"):
        hint = (
            f"lineage_audit: writing warehouse.{filling.schema}.{table}, or its rows in the audit store"
            f" warehouse.{audit}, was refused. There is no room left: free some, and run again."
        )
        assert hint in said
        (event,) = filling.query(
            f"select error_message from {audit}.run_event where event_type = 'FAILED' and target_table = '{table}'"
        )
        assert hint in event["error_message"].replace('"', "")
    assert [filling.query(sql) for sql in answers] == before
    new = filling.query(f"select status from {audit}.ingestion_run order by run_start_ts")[runs:]
    assert [row["status"] for row in new] == ["FAILED", "FAILED"]


def test_a_run_works_when_there_is_room_again(filling):
    filling.dbt("run")
    for table in ("gold_orders", "gold_merged"):
        assert filling.value(f"select count(*) from {filling.schema}.{table}") == MANY


def test_an_incremental_table_of_the_first_version_goes_on(filling):
    audit = f"{filling.schema}_audit"
    for table, columns in LATER.items():
        filling.execute(*(f"alter table {audit}.{table} drop column {column}" for column in columns))
    refused = filling.dbt("run", "--select", "gold_merged", check=False)
    filling.dbt("run-operation", "setup")
    filling.dbt("run", "--select", "gold_merged")
    assert "an earlier version of the package made it" in refused.messages
    runs = filling.query(
        f"select status, output_record_count from {audit}.ingestion_run where target_table = 'gold_merged'"
        " order by run_start_ts"
    )
    assert tuple(runs[-1].values()) == ("SUCCESS", MANY)
    assert runs[-2]["status"] == "SUCCESS"


def test_a_project_that_would_make_tables_of_the_views_is_told(make_project):
    project = make_project("duckdb", config={"models": {"+materialized": "table"}})
    refused = project.dbt("run", "--select", "ingestion_run", check=False)
    assert "ingestion_run has to be a view, and is table by your dbt_project.yml" in refused.messages
