"""What the stand-in for a Databricks workspace answers itself, what it refuses, and what it keeps; without Spark."""

from __future__ import annotations

import inspect

import pyarrow
import pytest
from workspace import shims
from workspace.errors import RefusalError
from workspace.governance import Governance
from workspace.names import Catalogs
from workspace.session import ADMIN, Session, Workspace, _with_catalog

READER = "reader@example.com"


class SessionWithoutSpark(Session):
    """Takes the way of a statement up to Spark, and remembers what would be sent there."""

    def __init__(self, user: str = ADMIN, *, on_cluster: bool = False, governance: Governance | None = None):
        catalogs = Catalogs(["main", "governance"])
        self.workspace = Workspace(
            spark=None,
            catalogs=catalogs,
            governance=governance or Governance(catalogs.names, ADMIN),
            directory=None,
            users={},
            secrets={("lineage", "key"): "workspace.secret.lineage.key"},
        )
        self.catalogs, self.governance = catalogs, self.workspace.governance
        self.secrets, self.runtime_version = self.workspace.secrets, self.workspace.runtime_version
        self.user, self.on_cluster = user, on_cluster
        self.use("main", "dev")
        self.sent: list[str] = []

    def schema_exists(self, catalog, schema):
        return schema in ("dev", "audit")

    def relation_exists(self, catalog, schema, name):
        return (catalog, schema, name) in (
            ("main", "dev", "orders"),
            ("main", "dev", "events"),
            ("main", "dev", "latest_orders"),
            ("governance", "audit", "events"),
        )

    def is_view(self, catalog, schema, name):
        return name == "latest_orders"

    def comment_on_column_of_view(self, *column_and_comment):
        self.sent.append(column_and_comment)

    def run(self, sql):
        self._check_time_travel(sql)
        self._check_schema(sql)
        self.sent.append(shims.replace_functions(sql, self))
        self._keep_track(sql)
        return pyarrow.table({})


@pytest.fixture
def session():
    return SessionWithoutSpark()


def refusal_of(session: Session, sql: str) -> RefusalError:
    with pytest.raises(RefusalError) as refusal:
        session.execute(sql)
    return refusal.value


# --- an allow-list -------------------------------------------------------------------------------------------


def test_every_shim_names_its_documentation():
    for shim in shims.SHIMS:
        assert shim.documentation.startswith("https://docs.databricks.com/"), shim.name
    assert "https://docs.databricks.com/" in inspect.getdoc(shims.replace_functions)


@pytest.mark.parametrize(
    "sql", ["call procedure()", "analyze table main.dev.orders compute statistics", "add jar x", ""]
)
def test_what_no_shim_knows_is_refused_and_remembered(session, sql):
    refusal = refusal_of(session, sql)
    assert (refusal.condition, refusal.sqlstate, refusal.unknown) == ("PARSE_SYNTAX_ERROR", "42601", True)
    assert [entry["sql"] for entry in session.workspace.refused] == [sql]
    assert session.sent == []


def test_what_the_platform_refuses_is_not_remembered_as_unknown(session):
    assert (
        refusal_of(session, "alter table main.dev.nothing set tags ('a' = 'b')").condition == "TABLE_OR_VIEW_NOT_FOUND"
    )
    assert refusal_of(session, "use catalog mian").condition == "NO_SUCH_CATALOG_EXCEPTION"
    assert session.workspace.refused == []
    assert [entry["error"] is not None for entry in session.workspace.log] == [True, True]


def test_a_fault_of_the_stand_in_is_remembered(session, monkeypatch):
    monkeypatch.setattr(session.governance, "securable", lambda *_: {}["a fault"])
    assert refusal_of(session, "alter catalog main set tags ('a' = 'b')").unknown
    assert [entry["error"] for entry in session.workspace.refused] == ["[INTERNAL_ERROR] 'a fault' SQLSTATE: XX000"]


def test_a_comment_before_a_statement_changes_nothing(session):
    session.execute('/* {"app": "dbt"} */\n  use catalog `governance`')
    assert session.catalog == "governance"


# --- tags, masks, row filters ----------------------------------------------------------------------------------


def test_tags_are_kept(session):
    session.execute("ALTER TABLE `main`.`dev`.`orders` SET TAGS (\n  'team' = 'finance','it\\'s',\n 'pii' = 'no' )")
    session.execute("alter table orders unset tags ('pii')")
    session.execute("alter table dev.orders alter column `Amount` set tags ('pii' = 'yes')")
    assert session.governance.as_json()["main.dev.orders"]["tags"] == {"team": "finance", "it's": ""}
    assert session.governance.as_json()["main.dev.orders"]["column_tags"] == {"Amount": {"pii": "yes"}}


def test_tags_of_one_catalog_are_not_those_of_another(session):
    session.execute("alter table governance.audit.events set tags ('a' = 'b')")
    assert "main.audit.events" not in session.governance.as_json()


def test_masks_and_row_filters_are_kept(session):
    session.execute("alter table orders alter column name set mask `main`.`dev`.`hide` using columns (id, `kind`)")
    session.execute("alter table orders set row filter main.dev.mine on (`owner`)")
    kept = session.governance.as_json()["main.dev.orders"]
    assert kept["column_masks"] == {"name": {"function": "main.dev.hide", "using_columns": ["id", "kind"]}}
    assert kept["row_filter"] == {"function": "main.dev.mine", "columns": ["owner"]}
    session.execute("alter table orders alter column name drop mask")
    session.execute("alter table orders drop row filter")
    assert not {"column_masks", "row_filter"} & set(session.governance.as_json()["main.dev.orders"])


def test_a_masked_table_has_no_history(session):
    statements = ("describe history main.dev.orders limit 1", "select * from orders version as of 3 where id = 1")
    for sql in statements:
        session.execute(sql)
    session.execute("alter table orders alter column name set mask main.dev.hide")
    assert [refusal_of(session, sql).condition.rpartition(".")[2] for sql in statements] == [
        "DESCRIBE_HISTORY", "TIME_TRAVEL",
    ]  # fmt: skip
    session.execute("select * from orders")


def test_hive_metastore_has_no_tags(session):
    assert refusal_of(session, "alter table hive_metastore.dev.orders set tags ('a' = 'b')").condition == (
        "UC_COMMAND_NOT_SUPPORTED"
    )


def test_what_is_dropped_or_renamed_takes_its_tags_along(session):
    session.execute("alter table orders set tags ('a' = 'b')")
    session.execute("alter table main.dev.orders rename to main.dev.events")
    assert session.governance.as_json()["main.dev.events"]["tags"] == {"a": "b"}
    session.execute("drop schema if exists main.dev cascade")
    assert not [name for name in session.governance.as_json() if name.startswith("main.dev")]


def test_automatic_clustering_and_optimize_are_kept(session):
    session.execute("create or replace table main.dev.orders using delta cluster by auto as select 1 as id")
    session.execute("optimize main.dev.orders where id > 1 zorder by (id)")
    assert session.sent[0] == "create or replace table main.dev.orders using delta as select 1 as id"
    kept = session.governance.as_json()["main.dev.orders"]
    assert (kept["cluster_by_auto"], kept["optimized"]) == (True, ["where id > 1 zorder by (id)"])


def test_rows_are_replaced_by_key(session):
    session.execute(
        "insert into table main.dev.orders as target\n replace on (target.`id` <=> temp.`id` and target.k <=> temp.k)\n"
        "(select `id`, `k`\n   from `new` ) as temp"
    )
    assert session.sent == [
        "merge into main.dev.orders as target using (select `id`, `k`\n   from `new` ) as temp"
        " on target.`id` <=> temp.`id` and target.k <=> temp.k when matched then delete",
        "insert into main.dev.orders select `id`, `k`\n   from `new` ",
    ]


# --- privileges ------------------------------------------------------------------------------------------------


@pytest.fixture
def reader(session):
    return SessionWithoutSpark(READER, governance=session.governance)


def test_a_reader_needs_every_level(session, reader):
    missing = []
    for privilege, on in (
        ("use catalog", "catalog main"),
        ("use schema", "schema main.dev"),
        ("select", "table orders"),
    ):
        refusal = refusal_of(reader, "select * from main.dev.orders")
        assert (refusal.condition, refusal.sqlstate) == ("INSUFFICIENT_PERMISSIONS", "42501")
        missing.append(str(refusal).split("does not have ")[1].split(" on ")[0])
        session.execute(f"grant {privilege} on {on} to `{READER}`")
    assert missing == ["USE CATALOG", "USE SCHEMA", "SELECT"]
    for name in ("main.dev.orders", "`dev`.orders", "orders", "(select 1) as other"):
        reader.execute(f"select * from {name}")
    reader.execute("select * from main.information_schema.row_filters")
    reader.execute("create or replace temporary view `mine` as select * from main.dev.orders")
    assert refusal_of(reader, "create temporary view mine as select * from main.dev.events").condition == (
        "INSUFFICIENT_PERMISSIONS"
    )
    assert refusal_of(reader, "select * from events").condition == "INSUFFICIENT_PERMISSIONS"
    assert refusal_of(reader, "insert into main.dev.orders select * from main.dev.orders").condition == (
        "INSUFFICIENT_PERMISSIONS"
    )
    assert refusal_of(reader, "select * from main.dev.orders join governance.audit.events").condition == (
        "INSUFFICIENT_PERMISSIONS"
    )


def test_a_privilege_on_a_catalog_holds_within_it(session, reader):
    session.execute(f"grant use catalog, use schema, select, modify on catalog governance to `{READER}`")
    reader.execute("insert into governance.audit.events values (1)")
    session.execute(f"revoke modify on catalog governance from `{READER}`")
    assert "MODIFY" in str(refusal_of(reader, "insert into governance.audit.events values (1)"))


def test_who_makes_a_table_owns_it(session, reader):
    session.execute(f"grant use catalog on catalog main to `{READER}`")
    session.execute(f"grant use schema, create table on schema main.dev to `{READER}`")
    reader.execute("create table main.dev.mine (id int)")
    assert session.governance.securable("main.dev.mine").owner == READER
    assert refusal_of(reader, "grant select on table main.dev.orders to x").condition == "INSUFFICIENT_PERMISSIONS"


def test_grants_are_shown(session):
    session.execute("grant select, modify on table orders to `team a`")
    table = session.execute("show grants on table main.dev.orders")
    assert table.to_pylist() == [
        {"Principal": "team a", "ActionType": each, "ObjectType": "TABLE", "ObjectKey": "main.dev.orders"}
        for each in ("SELECT", "MODIFY")
    ]


# --- the session -----------------------------------------------------------------------------------------------


def test_functions_that_ask_about_the_session(session):
    session.execute("select current_catalog(), `current_user`(), x.current_schema(), current_schema ( ), 'user()'")
    (sent,) = session.sent
    assert sent == "select 'main', `current_user`(), x.current_schema(), 'dev', 'user()'"


def test_a_secret_stands_in_no_statement(session):
    session.execute("select sha2(secret('lineage', 'key'), 256)")
    assert session.sent == [
        "select sha2(java_method('java.lang.System', 'getProperty', 'workspace.secret.lineage.key'), 256)"
    ]
    refusal = refusal_of(session, "select secret('lineage', 'other')")
    assert refusal.condition == "INVALID_SECRET_LOOKUP.SECRET_FUNCTION_LOOKUP_FAILED"
    session.execute("select try_secret('lineage', 'other')")
    assert session.sent[1:] == ["select cast(null as string)"]


def test_a_warehouse_takes_no_setting_of_sparks(session):
    assert refusal_of(session, "set spark.sql.shuffle.partitions = 3").condition == "CONFIG_NOT_AVAILABLE"
    assert refusal_of(session, "set spark.databricks.clusterUsageTags.sparkVersion").condition == "CONFIG_NOT_AVAILABLE"
    cluster = SessionWithoutSpark(on_cluster=True)
    (row,) = cluster.execute("SET spark.databricks.clusterUsageTags.sparkVersion").to_pylist()
    assert row["value"].startswith("17.3")


def test_a_description_tells_catalog_and_schema():
    rows = {
        "col_name": ["id", "Catalog", "Database", "Type"],
        "data_type": ["int", "spark_catalog", "main.dev", "MANAGED"],
    }
    described = _with_catalog(pyarrow.table(rows)).to_pydict()
    assert described["data_type"] == ["int", "main", "dev", "MANAGED"]


def test_what_is_made_needs_its_schema(session):
    session.execute("create table x (id int)")
    session.use("main", "nowhere")
    session.execute("create or replace temporary view x as select 1")
    for sql in ("create table x (id int)", "create view main.nothing.x as select 1"):
        assert refusal_of(session, sql).condition == "SCHEMA_NOT_FOUND"


def test_comments_on_columns_and_views(session):
    session.execute("comment on column `main`.`dev`.`orders`.`a b` is 'it\\'s'")
    session.execute("COMMENT ON VIEW main.dev.v IS 'x'")
    assert session.sent == [
        "alter table `main`.`dev`.`orders` alter column `a b` comment 'it\\'s'",
        "comment on table main.dev.v is 'x'",
    ]


def test_a_comment_on_a_views_column_is_its_owners(session, reader):
    session.execute("comment on column main.dev.Latest_Orders.`A b` is 'it\\'s'")
    session.execute("comment on column latest_orders.id is null")
    view = ("main", "dev", "latest_orders")
    assert session.sent == [(*view, "A b", "it's"), (*view, "id", "")]
    refused = refusal_of(reader, "comment on column main.dev.latest_orders.id is 'x'")
    assert refused.condition == "INSUFFICIENT_PERMISSIONS"
    assert reader.sent == []
