"""The statements and functions that Databricks documents and Spark refuses, or reads differently: an allow-list.

Each shim names the page that says what the platform does. A statement that matches none of them and is of no kind that Spark
and Databricks share is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow

from workspace import information_schema
from workspace.engine import table_of
from workspace.errors import (
    config_not_available,
    insufficient_permissions,
    only_with_unity_catalog,
    schema_not_found,
    secret_not_found,
    table_not_found,
)
from workspace.governance import Securable
from workspace.names import HIVE_METASTORE
from workspace.sql_text import Token, names_in, quoted, replaced, tokens_of

if TYPE_CHECKING:
    from workspace.session import Session


@dataclass(frozen=True)
class InSpark:
    """A statement for Spark that says the same; its names are the user's."""

    sql: str


Answer = pyarrow.Table | InSpark


@dataclass(frozen=True)
class Shim:
    name: str
    pattern: re.Pattern[str]
    answer: Callable[[Session, re.Match[str]], Answer]
    documentation: str


SHIMS: list[Shim] = []
NOTHING = pyarrow.table({})

_PART = r"(?:`[^`]+`|\w+)"
_NAME = rf"{_PART}(?:\s*\.\s*{_PART})*"
_ON = r"(?P<kind>catalog|schema|database|table|view|streaming\s+table|materialized\s+view|function|volume)\s+"
_LIST = r"\((?P<list>.*)\)"


def shim(pattern: str):
    """The function answers statements of this form; its docstring names the page that documents them."""

    def register(answer: Callable[[Session, re.Match[str]], Answer]):
        (documentation,) = re.findall(r"https://\S+", answer.__doc__ or "")
        spaced = pattern.replace(" ?", r"\s*").replace(" ", r"\s+").replace("<name>", f"(?P<name>{_NAME})")
        SHIMS.append(Shim(answer.__name__, re.compile(spaced, re.IGNORECASE | re.DOTALL), answer, documentation))
        return answer

    return register


def find(sql: str) -> tuple[Shim, re.Match[str]] | None:
    for each in SHIMS:
        if found := each.pattern.fullmatch(sql):
            return each, found
    return None


def _unquoted(name: str) -> str:
    return name.strip().strip("`")


def _listed(text: str) -> list[str]:
    return [_unquoted(each) for each in text.split(",") if each.strip()]


def _tags(text: str) -> dict[str, str]:
    """The tags of `'key' = 'value', 'key only'`; without a value it is empty."""
    tags: dict[str, str] = {}
    key = None
    takes_value = False
    for token in tokens_of(text):
        if token.kind in ("text", "quoted", "word") and takes_value and key is not None:
            tags[key], takes_value = token.value, False
        elif token.kind in ("text", "quoted", "word"):
            key = token.value
            tags[key] = ""
        takes_value = token.text == "=" or (takes_value and token.kind != "text")
    return tags


def _governed(session: Session, name: str, kind: str) -> Securable:
    """What governance holds of an object that exists; only Unity Catalog has any."""
    parts = session.full_name(name, kind)
    if parts[0] == HIVE_METASTORE:
        raise only_with_unity_catalog(f"{kind.upper()} {name}")
    if len(parts) == 3 and not session.relation_exists(*parts):
        raise table_not_found(quoted(*parts))
    if len(parts) == 2 and not session.schema_exists(*parts):
        raise schema_not_found(*parts)
    return session.governance.securable(".".join(parts), kind)


def _changed_by_owner(session: Session, name: str, kind: str) -> Securable:
    securable = _governed(session, name, kind)
    if not session.governance.may(session.user, "MANAGE", ".".join(session.full_name(name, kind))):
        raise insufficient_permissions("MANAGE", kind, ".".join(session.full_name(name, kind)))
    return securable


# --- the session ---------------------------------------------------------------------------------------------


@shim(rf"(?:use|set) catalog (?P<catalog>{_PART})")
def use_catalog(session: Session, found: re.Match[str]) -> Answer:
    """https://docs.databricks.com/aws/en/sql/language-manual/sql-ref-syntax-ddl-use-catalog"""
    session.use(_unquoted(found["catalog"]), "default")
    return NOTHING


@shim(r"use (?:(?:schema|database) )?<name>")
def use_schema(session: Session, found: re.Match[str]) -> Answer:
    """https://docs.databricks.com/aws/en/sql/language-manual/sql-ref-syntax-ddl-usedb"""
    catalog, schema = session.full_name(found["name"], "schema")
    if not session.schema_exists(catalog, schema):
        raise schema_not_found(catalog, schema)
    session.use(catalog, schema)
    return NOTHING


# The parameters of a SQL warehouse and what they are called in Spark.
SQL_PARAMETERS = {
    "ansi_mode": "spark.sql.ansi.enabled",
    "timezone": "spark.sql.session.timeZone",
    "legacy_time_parser_policy": "spark.sql.legacy.timeParserPolicy",
    "max_file_partition_bytes": "spark.sql.files.maxPartitionBytes",
    "statement_timeout": None,
    "use_cached_result": None,
    "query_tags": None,
}


@shim(r"set spark\.databricks\.clusterUsageTags\.sparkVersion")
def runtime_version(session: Session, found: re.Match[str]) -> Answer:
    """https://docs.databricks.com/aws/en/compute/configure says where the version of a cluster's runtime stands."""
    if not session.on_cluster:
        raise config_not_available("spark.databricks.clusterUsageTags.sparkVersion")
    return table_of({"key": ["spark.databricks.clusterUsageTags.sparkVersion"], "value": [session.runtime_version]})


@shim(r"set (?!tags|var|variable)(?P<parameter>[\w.]+)(?: ?= ?(?P<value>.+))?")
def set_parameter(session: Session, found: re.Match[str]) -> Answer:
    """https://docs.databricks.com/aws/en/sql/language-manual/sql-ref-parameters"""
    session.configure(found["parameter"], (found["value"] or "").strip().strip("'\""))
    return table_of({"key": [found["parameter"]], "value": [found["value"]]})


# --- what there is ---------------------------------------------------------------------------------------------


@shim(r"show catalogs")
def show_catalogs(session: Session, found: re.Match[str]) -> Answer:
    """https://docs.databricks.com/aws/en/sql/language-manual/sql-ref-syntax-aux-show-catalogs"""
    return table_of({"catalog": session.catalogs.names})


@shim(rf"show (?:schemas|databases)(?: (?:in|from) (?P<catalog>{_PART}))?(?: (?:like )?'(?P<like>[^']*)')?")
def show_schemas(session: Session, found: re.Match[str]) -> Answer:
    """https://docs.databricks.com/aws/en/sql/language-manual/sql-ref-syntax-aux-show-schemas"""
    catalog = session.catalogs.check(_unquoted(found["catalog"] or session.catalog))
    pattern = re.compile((found["like"] or "*").replace("*", ".*"), re.IGNORECASE)
    names = [schema for each, schema in information_schema.schemas(session) if each == catalog]
    return table_of({"databaseName": [name for name in names if pattern.fullmatch(name)]})


@shim(r"show table extended in <name> like '[^']*'")
def show_table_extended(session: Session, found: re.Match[str]) -> Answer:
    """https://docs.databricks.com/aws/en/sql/language-manual/sql-ref-syntax-aux-show-table (Spark doesn't tell a Delta table's columns)"""
    catalog, schema = session.full_name(found["name"], "schema")
    shown = session.run(found[0])
    about = [
        text if "Schema: root" in text else f"{text}Schema: {session.schema_of(catalog, schema, name).treeString()}"
        for name, text in zip(shown["tableName"].to_pylist(), shown["information"].to_pylist(), strict=True)
    ]
    position = shown.column_names.index("information")
    return shown.set_column(position, "information", pyarrow.array(about, pyarrow.string()))


@shim(r"(?:describe|desc) (?:table )?extended <name> as json")
def describe_as_json(session: Session, found: re.Match[str]) -> Answer:
    """https://docs.databricks.com/aws/en/sql/language-manual/sql-ref-syntax-aux-describe-table#json-formatted-output"""
    if session.is_temporary_view(found["name"]):
        fields = session.spark.table(found["name"]).schema.jsonValue()["fields"]
        view = {"table_name": _unquoted(found["name"]), "type": "VIEW", "columns": list(map(_column_as_json, fields))}
        return table_of({"json_metadata": [json.dumps(view)]})
    catalog, schema, name = session.full_name(found["name"])
    if not session.relation_exists(catalog, schema, name):
        raise table_not_found(quoted(catalog, schema, name))
    stored = session.stored_table(catalog, schema, name)
    about: dict[str, Any] = {
        "table_name": name,
        "catalog_name": catalog,
        "schema_name": schema,
        "namespace": [schema],
        "type": stored.tableType().name(),
        "columns": [_column_as_json(field) for field in session.schema_of(catalog, schema, name).jsonValue()["fields"]],
        "owner": session.governance.securable(f"{catalog}.{schema}.{name}").owner,
        "table_properties": session.table_properties(catalog, schema, name),
    }
    if comment := information_schema.option(stored.comment()):
        about["comment"] = comment
    if session.is_view(catalog, schema, name):
        about["view_text"] = session.catalogs.from_spark(information_schema.option(stored.viewText()) or "")
    else:
        about["provider"] = information_schema.option(stored.provider()) or "delta"
    return table_of({"json_metadata": [json.dumps(about)]})


def _column_as_json(field: dict[str, Any]) -> dict[str, Any]:
    column = {"name": field["name"], "type": _type_as_json(field["type"]), "nullable": field["nullable"]}
    if comment := field.get("metadata", {}).get("comment"):
        column["comment"] = comment
    return column


# Types whose name in this description is not the one that Spark's own JSON of a schema has.
_TYPE_NAMES = {
    "byte": "tinyint",
    "short": "smallint",
    "integer": "int",
    "long": "bigint",
    "timestamp": "timestamp_ltz",
}


def _type_as_json(kind: str | dict[str, Any]) -> dict[str, Any]:
    if isinstance(kind, str):
        if parameters := re.fullmatch(r"decimal\((\d+),(\d+)\)", kind):
            return {"name": "decimal", "precision": int(parameters[1]), "scale": int(parameters[2])}
        if length := re.fullmatch(r"(varchar|char)\((\d+)\)", kind):
            return {"name": length[1], "length": int(length[2])}
        return {"name": _TYPE_NAMES.get(kind, kind)}
    if kind["type"] == "array":
        element = _type_as_json(kind["elementType"])
        return {"name": "array", "element_type": element, "element_nullable": kind["containsNull"]}
    if kind["type"] == "map":
        key, value = _type_as_json(kind["keyType"]), _type_as_json(kind["valueType"])
        return {"name": "map", "key_type": key, "value_type": value, "value_nullable": kind["valueContainsNull"]}
    return {"name": "struct", "fields": [_column_as_json(field) for field in kind["fields"]]}


# --- tags, masks, row filters ------------------------------------------------------------------------------------


@shim(rf"alter {_ON}<name> (?P<verb>set|unset) tags ?{_LIST}")
def alter_tags(session: Session, found: re.Match[str]) -> Answer:
    """https://docs.databricks.com/aws/en/database-objects/tags"""
    _change_tags(_changed_by_owner(session, found["name"], found["kind"]).tags, found)
    return NOTHING


@shim(rf"alter {_ON}<name> alter (?:column )?(?P<column>{_PART}) (?P<verb>set|unset) tags ?{_LIST}")
def alter_column_tags(session: Session, found: re.Match[str]) -> Answer:
    """https://docs.databricks.com/aws/en/sql/language-manual/sql-ref-syntax-ddl-alter-table-manage-column"""
    of_columns = _changed_by_owner(session, found["name"], found["kind"]).column_tags
    _change_tags(of_columns.setdefault(_unquoted(found["column"]), {}), found)
    return NOTHING


def _change_tags(tags: dict[str, str], found: re.Match[str]) -> None:
    if found["verb"].lower() == "set":
        tags.update(_tags(found["list"]))
    else:
        for tag in _tags(found["list"]):
            tags.pop(tag, None)


@shim(rf"alter {_ON}<name> set row filter (?P<function>{_NAME}) on ?{_LIST}")
def set_row_filter(session: Session, found: re.Match[str]) -> Answer:
    """https://docs.databricks.com/aws/en/sql/language-manual/sql-ref-syntax-ddl-row-filter (kept, not applied)"""
    table = _changed_by_owner(session, found["name"], found["kind"])
    table.row_filter = {"function": found["function"].replace("`", ""), "columns": _listed(found["list"])}
    return NOTHING


@shim(rf"alter {_ON}<name> drop row filter")
def drop_row_filter(session: Session, found: re.Match[str]) -> Answer:
    """https://docs.databricks.com/aws/en/sql/language-manual/sql-ref-syntax-ddl-row-filter"""
    _changed_by_owner(session, found["name"], found["kind"]).row_filter = None
    return NOTHING


@shim(
    rf"alter {_ON}<name> alter (?:column )?(?P<column>{_PART}) set mask (?P<function>{_NAME})(?: using columns ?{_LIST})?"
)
def set_mask(session: Session, found: re.Match[str]) -> Answer:
    """https://docs.databricks.com/aws/en/sql/language-manual/sql-ref-syntax-ddl-column-mask (kept, not applied)"""
    table = _changed_by_owner(session, found["name"], found["kind"])
    mask = {"function": found["function"].replace("`", ""), "using_columns": _listed(found["list"] or "")}
    table.column_masks[_unquoted(found["column"])] = mask
    return NOTHING


@shim(rf"alter {_ON}<name> alter (?:column )?(?P<column>{_PART}) drop mask")
def drop_mask(session: Session, found: re.Match[str]) -> Answer:
    """https://docs.databricks.com/aws/en/sql/language-manual/sql-ref-syntax-ddl-column-mask"""
    _changed_by_owner(session, found["name"], found["kind"]).column_masks.pop(_unquoted(found["column"]), None)
    return NOTHING


# --- privileges --------------------------------------------------------------------------------------------------


def _privileges(text: str) -> list[str]:
    return [" ".join(each.split()).upper() for each in text.split(",")]


@shim(rf"grant (?P<privileges>[\w\s,]+) on (?:{_ON})?<name> to (?P<principal>.+)")
def grant(session: Session, found: re.Match[str]) -> Answer:
    """https://docs.databricks.com/aws/en/sql/language-manual/security-grant"""
    kind = found["kind"] or "table"
    _changed_by_owner(session, found["name"], kind)
    name = ".".join(session.full_name(found["name"], kind))
    session.governance.grant(name, kind, _unquoted(found["principal"]), _privileges(found["privileges"]))
    return NOTHING


@shim(rf"revoke (?P<privileges>[\w\s,]+) on (?:{_ON})?<name> from (?P<principal>.+)")
def revoke(session: Session, found: re.Match[str]) -> Answer:
    """https://docs.databricks.com/aws/en/sql/language-manual/security-revoke"""
    kind = found["kind"] or "table"
    _changed_by_owner(session, found["name"], kind)
    name = ".".join(session.full_name(found["name"], kind))
    session.governance.revoke(name, _unquoted(found["principal"]), _privileges(found["privileges"]))
    return NOTHING


@shim(rf"show grants? (?:(?P<principal>`[^`]+`) )?on (?:{_ON})?<name>")
def show_grants(session: Session, found: re.Match[str]) -> Answer:
    """https://docs.databricks.com/aws/en/sql/language-manual/security-show-grant"""
    kind = (found["kind"] or "table").lower()
    parts = session.full_name(found["name"], kind)
    rows = [
        (principal, privilege, kind.upper(), ".".join(parts))
        for principal, privileges in _governed(session, found["name"], kind).grants.items()
        for privilege in privileges
        if found["principal"] is None or principal == _unquoted(found["principal"])
    ]
    columns = ("Principal", "ActionType", "ObjectType", "ObjectKey")
    return table_of({name: [row[position] for row in rows] for position, name in enumerate(columns)})


@shim(rf"alter {_ON}<name> (?:set )?owner to (?P<principal>.+)")
def alter_owner(session: Session, found: re.Match[str]) -> Answer:
    """https://docs.databricks.com/aws/en/sql/language-manual/sql-ref-syntax-ddl-alter-table"""
    _changed_by_owner(session, found["name"], found["kind"]).owner = _unquoted(found["principal"])
    return NOTHING


# --- tables --------------------------------------------------------------------------------------------------------


@shim(r"optimize <name>(?P<rest>.*)")
def optimize(session: Session, found: re.Match[str]) -> Answer:
    """https://docs.databricks.com/aws/en/sql/language-manual/delta-optimize"""
    parts = session.full_name(found["name"])
    session.governance.securable(".".join(parts)).optimized.append(found["rest"].strip())
    return InSpark(found[0])


@shim(
    r"insert into (?:table )?<name> as (?P<target>\w+) replace on ?\((?P<condition>.+?)\) ?\((?P<query>select .+)\) as (?P<source>\w+)"
)
def replace_on(session: Session, found: re.Match[str]) -> Answer:
    """https://docs.databricks.com/aws/en/sql/language-manual/sql-ref-syntax-dml-insert-into (here two statements, so not at once)"""
    name, query, source = found["name"], found["query"], found["source"]
    on = f"merge into {name} as {found['target']} using ({query}) as {source} on {found['condition']}"
    session.run(f"{on} when matched then delete")
    return InSpark(f"insert into {name} {query}")


@shim(r"(?P<before>(?:create|alter) .+?) cluster by auto(?P<after>.*)")
def cluster_by_auto(session: Session, found: re.Match[str]) -> Answer:
    """https://docs.databricks.com/aws/en/delta/clustering#automatic-liquid-clustering"""
    table = next(name for name in names_in(found["before"]) if name.names_relation)
    parts = session.full_name(found["before"][table.start : table.end])
    session.governance.securable(".".join(parts), owner=session.user).cluster_by_auto = True
    if found["before"].lower().startswith("alter"):
        return NOTHING
    return InSpark(found["before"] + found["after"])


@shim(r"comment on column <name> is (?P<text>.+)")
def comment_on_column(session: Session, found: re.Match[str]) -> Answer:
    """https://docs.databricks.com/aws/en/sql/language-manual/sql-ref-syntax-ddl-comment"""
    *table, column = (token.value for token in tokens_of(found["name"]) if token.is_name)
    relation = session.full_name(quoted(*table))
    if session.is_view(*relation):
        _changed_by_owner(session, quoted(*table), "view")
        (comment,) = tokens_of(found["text"])
        session.comment_on_column_of_view(*relation, column, "" if comment.is_word("null") else comment.value)
        return NOTHING
    return InSpark(f"alter table {quoted(*table)} alter column {quoted(column)} comment {found['text']}")


@shim(r"comment on view <name> is (?P<text>.+)")
def comment_on_view(session: Session, found: re.Match[str]) -> Answer:
    """https://docs.databricks.com/aws/en/sql/language-manual/sql-ref-syntax-ddl-comment"""
    return InSpark(f"comment on table {found['name']} is {found['text']}")


# --- functions -----------------------------------------------------------------------------------------------------


def replace_functions(sql: str, session: Session) -> str:
    """The statement with the calls replaced that ask about the session or for a secret.

    https://docs.databricks.com/aws/en/sql/language-manual/functions/current_catalog, …/current_schema, …/current_user and
    https://docs.databricks.com/aws/en/sql/language-manual/functions/secret: scope and key are constants, and the value
    stands nowhere in the statement. …/try_secret gives NULL where there is no such secret.
    """
    values = {
        "current_catalog": session.catalog,
        "current_database": session.schema,
        "current_schema": session.schema,
        "current_user": session.user,
        "session_user": session.user,
        "user": session.user,
    }
    replacements = []
    for start, end, name, arguments in _calls(tokens_of(sql), {*values, "secret", "try_secret"}):
        if name in values and not arguments:
            replacements.append((start, end, f"'{values[name]}'"))
        elif name in ("secret", "try_secret") and [each.kind for each in arguments] == ["text", "mark", "text"]:
            scope, key = arguments[0].value, arguments[2].value
            if (scope, key) not in session.secrets:
                if name == "secret":
                    raise secret_not_found(scope, key)
                replacements.append((start, end, "cast(null as string)"))
                continue
            property_name = session.secrets[scope, key].replace("'", "\\'")
            replacements.append((start, end, f"java_method('java.lang.System', 'getProperty', '{property_name}')"))
    return replaced(sql, replacements)


def _calls(tokens: list[Token], names: set[str]) -> Iterator[tuple[int, int, str, list[Token]]]:
    """Calls of these functions whose arguments hold no parenthesis: where they stand, name, arguments."""
    for position, token in enumerate(tokens[:-1]):
        is_call = token.kind == "word" and token.text.lower() in names and tokens[position + 1].text == "("
        if is_call and (position == 0 or tokens[position - 1].text != "."):
            close = next((at for at in range(position + 2, len(tokens)) if tokens[at].text in "()"), None)
            if close is not None and tokens[close].text == ")":
                yield token.start, tokens[close].end, token.text.lower(), tokens[position + 2 : close]
