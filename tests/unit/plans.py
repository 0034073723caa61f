"""Plans made by hand: what macros/mapping/plan.sql hands to the macros that render SQL."""

from __future__ import annotations

from typing import Any

TEXT = {"duckdb": "varchar", "spark": "string"}
QUOTE = {"duckdb": '"', "spark": "`"}
TEXTS = {"duckdb": "varchar[]", "spark": "array<string>"}
INTEGERS = {"duckdb": "integer[]", "spark": "array<int>"}


def column(name: str, source: str, type: str, **changes: Any) -> dict[str, Any]:
    """A mapped column; without changes the source column `source`, as it is."""
    return {
        "name": name,
        "quoted": name,
        "value": f"_value_{name}",
        "default": f"_default_{name}",
        "expression": source,
        "shown_expression": source,
        "default_expression": None,
        "data_type": None,
        "declared_type": None,
        "type": type,
        "identity": False,
        "can_fail": False,
        "nested": False,
        "required": False,
        "is_key": False,
        "mark": "none",
        "source_columns": [source],
        "source_types": [type],
        "rule_ids": [],
        **changes,
    }


def field(name: str, type: str, **changes: Any) -> dict[str, Any]:
    """A source column, as lineage keeps it."""
    return {"name": name, "column": name, "type": type, "mark": "none", "field_type": type, "verbatim": None, **changes}


def plan(columns: list[dict], fields: list[dict], **changes: Any) -> dict[str, Any]:
    """A plan without rules, watermark and latest_by, for a model that is built anew."""
    return {
        "model_name": "gold_orders",
        "node_id": "model.shop.gold_orders",
        "endpoint_name": "orders_v2",
        "source_system": "OrderService",
        "target_table": "gold_orders",
        "target_relation": "db.gold.orders",
        "gold": "db.gold.orders",
        "pipeline_name": "shop",
        "run_id": "run-1",
        "code_version": "abc",
        "capture": "exploded",
        "incremental": False,
        "whole_table": True,
        "config_hash": "f00",
        "rejected": "quarantine",
        "config_rows": [],
        "columns": columns,
        "fields": fields,
        "struct_fields": [each for each in fields if each["verbatim"] is None],
        "new_fields": [],
        "reads": [each["column"] for each in fields],
        "filters": [],
        "validations": [],
        "source_sql": "db.silver.orders",
        "staged": None,
        "unstaged_sql": "db.silver.orders",
        "latest_by": None,
        "history": {
            "last_success": None,
            "dead": [],
            "has_rejected": False,
            "has_quarantined": False,
            "unkeyed": [],
            "known_hashes": [],
        },
        "reread": "none",
        "reprocesses": False,
        "appends": False,
        "unkeyed": [],
        "known_in_gold": [],
        "watermark": None,
        **changes,
    }


def plain_plan(engine: str) -> dict[str, Any]:
    """Two columns, no rules: the least that a mapped model can be."""
    text = TEXT[engine]
    return plan(
        [
            column("order_id", "order_id", text, identity=True, is_key=True, required=True),
            column("note", "customer_note", text, expression="trim(customer_note)"),
        ],
        [field("order_id", text, verbatim="order_id"), field("customer_note", text)],
    )


def full_plan(engine: str) -> dict[str, Any]:
    """One column of every kind, rules of all four categories, a composite key, marks, watermark and latest_by."""
    text, quote = TEXT[engine], QUOTE[engine]
    due = f"{quote}Due Date{quote}"
    return plan(
        [
            column("order_id", "order_id", text, identity=True, is_key=True, required=True),
            column(
                "line", "line_text", "int", data_type="int", can_fail=True, is_key=True, required=True,
                source_types=[text],
            ),
            column(
                "amount", "quantity", "decimal(18,2)", expression="quantity * price", data_type="decimal(18,2)",
                can_fail=True, source_columns=["quantity", "price"], source_types=["int", "decimal(9,2)"],
            ),
            column(
                "currency", "currency", "varchar(3)", expression="upper(currency)", data_type="varchar(3)",
                can_fail=True, default_expression="'USD'", required=True, source_types=[text],
            ),
            column(
                "Due Date", "due", "date", quoted=due, value=f"{quote}_value_Due Date{quote}", data_type="date",
                can_fail=True, source_types=[text],
            ),
            column(
                "sizes", "sizes", INTEGERS[engine], data_type=INTEGERS[engine], can_fail=True, nested=True,
                source_types=[TEXTS[engine]],
            ),
            column("email", "email", text, mark="hash"),
            column("phone", "phone", text, mark="mask"),
        ],
        [
            field("order_id", text, verbatim="order_id"),
            field("line_text", text),
            field("quantity", "int"),
            field("price", "decimal(9,2)"),
            field("currency", text),
            field("due", text),
            field("sizes", TEXTS[engine]),
            field("email", text, mark="hash"),
            field("phone", text, mark="mask"),
        ],
        incremental=True,
        whole_table=False,
        reads=["order_id", "line_text", "quantity", "price", "currency", "due", "sizes", "email", "phone", "loaded_at",
               "is_test"],
        filters=[{"id": "NO_TESTS", "expression": "not is_test"}, {"id": "NEW", "expression": "price > 0 or quantity > 0"}],
        validations=[
            {"id": "NOT_NEGATIVE", "expression": "amount >= 0", "severity": "ERROR"},
            {"id": "IT'S_MUCH", "expression": "amount <= 10000", "severity": "WARN"},
        ],
        latest_by="loaded_at",
        watermark={"column": "loaded_at", "type": "timestamp", "lateness": "3 days", "from": "2024-03-01T06:00:00.000000"},
    )  # fmt: skip


def compact_plan(engine: str) -> dict[str, Any]:
    """Of which a row per record is logged."""
    return {**full_plan(engine), "capture": "compact"}


def kept_plan(engine: str) -> dict[str, Any]:
    """Whose refused records stay in the table, after runs that refused some."""
    kept = {
        **full_plan(engine),
        "capture": "compact",
        "rejected": "keep",
        "unkeyed": [[field("line_text", TEXT[engine])]],
    }
    return {**kept, "history": {**kept["history"], "has_rejected": True}}
