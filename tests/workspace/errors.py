"""How the platform refuses a statement: `[CONDITION] message SQLSTATE: 42000`.

https://docs.databricks.com/aws/en/error-messages/ says how a message is made up, and lists the conditions.
"""

from __future__ import annotations

import re


class RefusalError(Exception):
    """A statement is refused. `unknown`: nothing here serves it, though the platform might."""

    def __init__(self, condition: str, sqlstate: str, message: str, *, unknown: bool = False):
        super().__init__(f"[{condition}] {message} SQLSTATE: {sqlstate}")
        self.condition = condition
        self.sqlstate = sqlstate
        self.unknown = unknown


class InvalidParameterError(Exception):
    """A call of an endpoint asks for what the platform doesn't do: INVALID_PARAMETER_VALUE."""


def refused_by_spark(condition: str | None, text: str, *, unknown: bool) -> RefusalError:
    """What Spark or Delta raised, in the platform's form; most of it has that form already."""
    parts = re.fullmatch(
        r"(?:\[(?P<condition>[\w.]+)\] )?(?P<message>.*?)(?: SQLSTATE: (?P<state>\w{5}).*)?", text, re.DOTALL
    )
    name = condition or parts["condition"] or "INTERNAL_ERROR"
    return RefusalError(name, parts["state"] or "XX000", parts["message"], unknown=unknown)


def syntax_error(sql: str) -> RefusalError:
    words = sql.split()
    near = words[0] if words else "end of input"
    return RefusalError("PARSE_SYNTAX_ERROR", "42601", f"Syntax error at or near '{near}'.", unknown=True)


def no_such_catalog(catalog: str) -> RefusalError:
    return RefusalError("NO_SUCH_CATALOG_EXCEPTION", "42704", f"Catalog '{catalog}' was not found.")


def schema_not_found(catalog: str, schema: str) -> RefusalError:
    return RefusalError("SCHEMA_NOT_FOUND", "42704", f"The schema `{catalog}`.`{schema}` cannot be found.")


def table_not_found(name: str) -> RefusalError:
    return RefusalError("TABLE_OR_VIEW_NOT_FOUND", "42P01", f"The table or view {name} cannot be found.")


def insufficient_permissions(privilege: str, kind: str, name: str) -> RefusalError:
    message = f"Insufficient privileges: User does not have {privilege} on {kind.title()} '{name}'."
    return RefusalError("INSUFFICIENT_PERMISSIONS", "42501", message)


def config_not_available(name: str) -> RefusalError:
    return RefusalError("CONFIG_NOT_AVAILABLE", "42K0I", f"Configuration {name} is not available.")


def secret_not_found(scope: str, key: str) -> RefusalError:
    condition = "INVALID_SECRET_LOOKUP.SECRET_FUNCTION_LOOKUP_FAILED"
    return RefusalError(condition, "22531", f"The secret '{key}' cannot be found in scope '{scope}'.")


def no_history_of_masked(name: str, feature: str) -> RefusalError:
    condition = f"ROW_LEVEL_SECURITY_COLUMN_MASK_FEATURE_NOT_SUPPORTED.{feature}"
    return RefusalError(condition, "0A000", f"Row filters and column masks of {name} are not supported here.")


def only_with_unity_catalog(what: str) -> RefusalError:
    return RefusalError(
        "UC_COMMAND_NOT_SUPPORTED", "0AKUC", f"The command(s): {what} are not supported in Hive metastore."
    )
