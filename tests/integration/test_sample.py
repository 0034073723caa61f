"""The sample as a newcomer builds it, and the answer that it is there to give.

What every run must count, refuse and warn of is worked out here in plain Python from the bronze CSVs, by the rules
that seeds/config states in words.
"""

from __future__ import annotations

import csv
import itertools
import json
import re
from collections import Counter
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]

# --- the rules, by hand -----------------------------------------------------------------------------------------


def received(seed: str) -> list[dict[str, Any]]:
    """The rows of a bronze CSV; a payload that can't be read is empty."""
    rows = []
    with (ROOT / "seeds" / "sample" / f"{seed}.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            try:
                content = json.loads(row["payload"])
            except json.JSONDecodeError:
                content = {}
            rows.append({"text": row["payload"], "content": content, "loaded_at": row["loaded_at"]})
    return rows


def at(content: Any, *path: str) -> str | None:
    """The value at a path as text, None where there is none."""
    for step in path:
        content = content.get(step) if isinstance(content, dict) else None
    return None if content is None else str(content)


def number(text: str | None) -> Decimal | None:
    try:
        return None if text is None else Decimal(text)
    except InvalidOperation:
        return None


def whole_number(text: str | None) -> int | None:
    value = number(text)
    return int(value) if value is not None and value == int(value) else None


def is_moment(text: str | None) -> bool:
    try:
        datetime.fromisoformat(text or "")
    except ValueError:
        return False
    return True


def is_day(text: str | None) -> bool:
    try:
        date.fromisoformat(text or "")
    except ValueError:
        return False
    return True


def that_apply(rules: dict[str, bool]) -> list[str]:
    return sorted(rule for rule, applies in rules.items() if applies)


def outcome(records: list[dict[str, Any]]) -> SimpleNamespace:
    """The counts of a run over records {key, filtered, reasons, warnings, loaded_at, text}, its refusals and warnings.

    Of accepted records with one key the newest stays, the others are refused as duplicates.
    """
    rejected, newest = [], {}
    kept = [record for record in records if not record["filtered"]]
    for record in sorted(kept, key=lambda record: record["loaded_at"]):
        if record["reasons"]:
            rejected.append(record)
            continue
        if record["key"] in newest:
            rejected.append({**newest[record["key"]], "reasons": ["duplicate_key"]})
        newest[record["key"]] = record
    return SimpleNamespace(
        counts={
            "input_record_count": len(records),
            "filtered_record_count": len(records) - len(kept),
            "rejected_record_count": len(rejected),
            "output_record_count": len(newest),
        },
        refused=Counter((record["key"], tuple(record["reasons"])) for record in rejected),
        open=Counter(
            (record["key"], tuple(record["reasons"])) for record in rejected if record["reasons"] != ["duplicate_key"]
        ),
        warnings={key: record["warnings"] for key, record in newest.items() if record["warnings"]},
        # Violations count on refused records as well, by each record's own values.
        violations=Counter(
            rule
            for record in [*rejected, *newest.values()]
            for rule in [*record["warnings"], *(reason for reason in record["reasons"] if reason.isupper())]
        ),
        accepted=newest,
    )


def orders() -> SimpleNamespace:
    with (ROOT / "seeds" / "sample" / "fx_rates.csv").open(encoding="utf-8", newline="") as file:
        rates = {row["currency_code"]: Decimal(row["fx_rate"]) for row in csv.DictReader(file)}
    # silver_orders: the newest message of an order; messages without an id are no versions of one another.
    latest: dict[Any, dict] = {}
    for row in sorted(received("bronze_orders_raw"), key=lambda row: (row["loaded_at"], row["text"])):
        key = at(row["content"], "order", "id")
        latest[key if key is not None else object()] = row
    records = []
    for row in latest.values():
        content = row["content"].get("order", {})
        amount_text = at(content, "amount", "value")
        amount, rate = whole_number(amount_text), rates.get((at(content, "amount", "currency") or "USD").upper())
        order_amount = amount * rate if amount is not None and rate is not None else None
        ordered_at, status = at(content, "created_at"), at(content, "status")
        records.append(
            {
                **row,
                "key": at(content, "id"),
                "amount": order_amount,
                "filtered": content.get("test") is True,
                "reasons": that_apply(
                    {
                        "not_null:order_id": at(content, "id") is None,
                        "cast:ordered_at": ordered_at is not None and not is_moment(ordered_at),
                        "cast:amount_received": amount_text is not None and number(amount_text) is None,
                        "not_null:order_amount": order_amount is None,
                        "ORDERS_AMOUNT_NOT_NEGATIVE": order_amount is not None and order_amount < 0,
                    }
                ),
                "warnings": that_apply(
                    {
                        "ORDERS_AMOUNT_PLAUSIBLE": order_amount is not None and order_amount > 10000,
                        "ORDERS_STATUS_KNOWN": status not in (None, "placed", "shipped", "delivered", "cancelled"),
                    }
                ),
            }
        )
    return outcome(records)


def order_items() -> SimpleNamespace:
    records = []
    for row in received("bronze_order_items_raw"):
        content = row["content"]["item"]
        order_id, line = at(content, "order_id"), whole_number(at(content, "line"))
        quantity_text, price_text = at(content, "quantity"), at(content, "unit_price")
        quantity, price = whole_number(quantity_text), number(price_text)
        amount = (
            None if quantity is None or price is None else quantity * price - (number(at(content, "discount")) or 0)
        )
        has_key = order_id is not None and line is not None
        records.append(
            {
                **row,
                "key": json.dumps([order_id, str(line)], ensure_ascii=False, separators=(",", ":"))
                if has_key
                else None,
                "filtered": content.get("free_sample") is True,
                "reasons": that_apply(
                    {
                        "not_null:order_id": order_id is None,
                        "not_null:line_number": line is None,
                        "cast:quantity": quantity_text is not None and quantity is None,
                        "not_null:quantity": quantity_text is None,
                        "cast:unit_price": price_text is not None and price is None,
                        "not_null:unit_price": price_text is None,
                        "not_null:line_amount": amount is None,
                        "ITEMS_QUANTITY_POSITIVE": quantity is not None and quantity <= 0,
                    }
                ),
                "warnings": that_apply(
                    {
                        "ITEMS_PRICE_POSITIVE": price is not None and price <= 0,
                        "ITEMS_LINE_AMOUNT_PLAUSIBLE": amount is not None and amount > 5000,
                    }
                ),
            }
        )
    return outcome(records)


def customers() -> SimpleNamespace:
    records = []
    for row in received("bronze_customers_raw"):
        content = row["content"]
        email, signed_up_on = at(content, "Email"), at(content, "SignupDate__c")
        records.append(
            {
                **row,
                "key": at(content, "Id"),
                "filtered": at(content, "RecordType") != "Customer",
                "reasons": that_apply(
                    {
                        "not_null:customer_id": at(content, "Id") is None,
                        "cast:signed_up_on": signed_up_on is not None and not is_day(signed_up_on),
                        # Something, an at sign, something, a dot, something.
                        "CUSTOMERS_EMAIL_FORMAT": email is not None
                        and not re.fullmatch(r".+@.+\..+", email.strip(" "), flags=re.DOTALL),
                    }
                ),
                "warnings": that_apply({"CUSTOMERS_NAME_LENGTH": len((at(content, "Name") or "two").strip(" ")) <= 1}),
            }
        )
    return outcome(records)


EXPECTED = {"gold_orders": orders(), "gold_order_items": order_items(), "gold_customers": customers()}
COUNTS = ("input_record_count", "filtered_record_count", "rejected_record_count", "output_record_count")


def test_the_sample_has_everything_that_real_payloads_do():
    """What the sample is to show is in it: the expectations below are not empty."""
    for table, expected in EXPECTED.items():
        assert all(expected.counts[name] > 0 for name in COUNTS), table
        assert expected.warnings, table
    reasons = {reason for expected in EXPECTED.values() for _, reasons in expected.refused for reason in reasons}
    assert reasons >= {"duplicate_key", "not_null:order_id", "cast:amount_received", "ORDERS_AMOUNT_NOT_NEGATIVE"}
    assert any("||" in key for key in EXPECTED["gold_orders"].accepted)


# --- the sample, built ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(make_sample, engine):
    """The sample after `dbt build`, which runs its seeds, models, data tests and unit tests.

    What the store holds, what the demo prints and what the analyses give is taken down at once: a later test adds a run.
    """
    project = make_sample(engine)
    build = project.dbt("build")
    store = {
        name: project.query(f"select * from {relation(project, 'audit', name)}")
        for name in ("ingestion_run", "rejected_record", "quarantine", "rule_violation", "column_lineage")
    }
    printed = project.dbt("run-operation", "show_sample", "--quiet").output
    # It compiles the analyses too.
    project.dbt("docs", "generate")
    folder = project.target / "compiled" / "lineage_audit" / "analyses"
    analyses = {path.stem: project.query(path.read_text(encoding="utf-8")) for path in folder.glob("*.sql")}
    return SimpleNamespace(project=project, build=build, store=store, printed=printed, analyses=analyses)


def relation(project, schema: str, name: str) -> str:
    return f"{project.schema}_{schema}.{name}"


def rows_of(built, name: str, table: str) -> list[dict[str, Any]]:
    """What a relation of the audit store said of a table after the first run."""
    return [row for row in built.store[name] if row["target_table"] == table]


def gold_columns(table: str) -> list[str]:
    with (ROOT / "seeds" / "config" / "field_mapping.csv").open(encoding="utf-8", newline="") as file:
        return [
            row["target_column"]
            for row in csv.DictReader(file)
            if row["target_table"] == table and row["active_flag"] == "true"
        ]


def test_the_build_passes_with_its_tests_and_unit_tests(built):
    statuses = built.build.statuses
    # An exposure is nothing to be built.
    exposures = {each["name"] for each in built.project.manifest["exposures"].values()}
    assert {name for name, status in statuses.items() if status == "no-op"} == exposures
    statuses = {name: status for name, status in statuses.items() if name not in exposures}
    assert set(statuses.values()) == {"success", "pass"}
    kinds = Counter(result.node.resource_type for result in built.build.nodes.values())
    assert kinds["unit_test"] >= 1
    assert kinds["test"] >= 10
    assert {"gold_orders", "gold_order_items", "gold_customers", "orders_api", "column_lineage"} <= set(statuses)
    assert sum(1 for name in statuses if name.startswith("payload_matches_gold_")) == 3


def test_order_12345(built):
    project = built.project
    (served,) = project.query(
        f"select order_amount, currency_code, fx_rate from {relation(project, 'api', 'orders_api')} where order_id = '12345'"
    )
    assert {name: str(value) for name, value in served.items()} == {
        "order_amount": "107.00", "currency_code": "EUR", "fx_rate": "1.07",
    }  # fmt: skip
    (answer,) = [
        cell
        for cell in rows_of(built, "column_lineage", "gold_orders")
        if cell["target_pk"] == "12345" and cell["target_column"] == "order_amount"
    ]
    expected = {
        "endpoint_name": "orders_v2",
        "target_table": "gold_orders",
        "target_pk": "12345",
        "target_column": "order_amount",
        "api_field_name": "amount.value",
        "api_json_path": "$.order.amount.value",
        "source_table": "silver_orders",
        "source_columns": ["amount_raw", "fx_rate"],
        "transform_expr": "amount_raw * fx_rate",
        "business_rule_id": "ORDERS_AMOUNT_FX",
        "source_values_json": '{"amount_raw":"100","fx_rate":"1.07"}',
    }
    assert {name: answer[name] for name in expected} == expected


@pytest.mark.parametrize("table", EXPECTED)
def test_counts_of_the_first_run(built, table):
    (run,) = rows_of(built, "ingestion_run", table)
    assert run["status"] == "SUCCESS"
    assert {name: run[name] for name in COUNTS} == EXPECTED[table].counts


@pytest.mark.parametrize("table", EXPECTED)
def test_refused_records_with_every_reason(built, table):
    def found(name: str) -> Counter:
        return Counter((row["target_pk"], tuple(sorted(row["failed_rules"]))) for row in rows_of(built, name, table))

    assert found("rejected_record") == EXPECTED[table].refused
    # What a newer version replaced has nothing to be mended.
    assert found("quarantine") == EXPECTED[table].open


@pytest.mark.parametrize("table", EXPECTED)
def test_warnings_and_violations(built, table):
    project = built.project
    keys = {
        "gold_orders": ["order_id"],
        "gold_order_items": ["order_id", "line_number"],
        "gold_customers": ["customer_id"],
    }
    rows = project.query(f"select {', '.join(keys[table])}, _lineage_warnings from {relation(project, 'gold', table)}")
    warned = {}
    for row in rows:
        warnings, parts = sorted(row.pop("_lineage_warnings")), [str(value) for value in row.values()]
        if warnings:
            key = parts[0] if len(parts) == 1 else json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
            warned[key] = warnings
    assert warned == EXPECTED[table].warnings
    violations = rows_of(built, "rule_violation", table)
    assert Counter(row["business_rule_id"] for row in violations) == EXPECTED[table].violations


@pytest.mark.parametrize("table", EXPECTED)
def test_lineage_explains_every_cell_of_gold(built, table):
    cells = rows_of(built, "column_lineage", table)
    assert Counter((cell["target_pk"], cell["target_column"]) for cell in cells) == Counter(
        (key, column) for key in EXPECTED[table].accepted for column in gold_columns(table)
    )


def test_amounts_are_those_that_python_works_out(built):
    rows = built.project.query(f"select order_id, order_amount from {relation(built.project, 'api', 'orders_api')}")
    assert {row["order_id"]: row["order_amount"] for row in rows} == {
        key: record["amount"] for key, record in EXPECTED["gold_orders"].accepted.items()
    }


def test_texts_of_all_kinds_arrive_unchanged(built):
    sent = {
        at(row["content"], "order", "id"): at(row["content"], "order", "note")
        for row in received("bronze_orders_raw")
        if at(row["content"], "order", "note") and at(row["content"], "order", "id")
    }
    rows = built.project.query(
        f"select order_id, customer_note from {relation(built.project, 'api', 'orders_api')} where customer_note is not null"
    )
    assert {row["order_id"]: row["customer_note"] for row in rows} == sent
    cells = [
        cell for cell in rows_of(built, "column_lineage", "gold_orders") if cell["target_column"] == "customer_note"
    ]
    explained = {cell["target_pk"]: json.loads(cell["source_values_json"])["customer_note"] for cell in cells}
    assert {key: note for key, note in explained.items() if note is not None} == sent


def test_personal_data_is_served_and_not_audited(built):
    project = built.project
    (served,) = project.query(
        f"select email, phone from {relation(project, 'api', 'customers_api')} where customer_id = '003A00000107'"
    )
    assert served == {"email": None, "phone": "+1 555 0123"}
    cells = [
        cell
        for cell in rows_of(built, "column_lineage", "gold_customers")
        if cell["target_pk"] == "003A00000107" and cell["target_column"] in ("customer_name", "email", "phone")
    ]
    assert {cell["target_column"]: cell["source_values_json"] for cell in cells} == {
        "customer_name": '{"full_name":"***"}',
        "email": '{"email":null}',
        "phone": '{"phone":"***"}',
    }


def test_the_demo_prints_the_answer(built):
    printed = built.printed
    (line,) = [
        line for line in printed.splitlines() if line.strip().startswith("order_amount") and "amount_raw" in line
    ]
    for text in ("amount.value", "$.order.amount.value", '"100"', '"1.07"', "amount_raw * fx_rate", "ORDERS_AMOUNT_FX"):
        assert text in line
    assert "107.00" in printed
    for table, expected in EXPECTED.items():
        (run,) = [line for line in printed.splitlines() if f" {table} " in line and "SUCCESS" in line]
        assert [int(count) for count in re.findall(r"(?<= )\d+(?= |$)", run.split("SUCCESS")[1])] == [
            expected.counts[name] for name in COUNTS
        ]
    quarantined = sum(sum(expected.open.values()) for expected in EXPECTED.values())
    assert f"{quarantined} records" in printed


def test_the_config_is_valid(built):
    """Every expression compiles on this engine, uses what it declares, and can be replayed."""
    counts = []
    for seed in ("api_endpoints", "field_mapping", "business_rules"):
        with (ROOT / "seeds" / "config" / f"{seed}.csv").open(encoding="utf-8", newline="") as file:
            counts.append(len(list(csv.DictReader(file))))
    printed = built.project.dbt("run-operation", "validate_config", "--quiet").output
    assert printed == "config: {} endpoints, {} mapping rows, {} rules; 0 errors, 0 warnings\n".format(*counts)


def test_docs_show_the_way_from_bronze_to_the_app_and_describe_every_column(built):
    project = built.project
    manifest = project.manifest
    children = {parent: set(nodes) for parent, nodes in manifest["child_map"].items()}
    way = [
        "seed.lineage_audit.bronze_orders_raw",
        "model.lineage_audit.silver_orders",
        "model.lineage_audit.gold_orders",
        "model.lineage_audit.orders_api",
        "exposure.lineage_audit.order_tracking_app",
    ]
    analytics = [
        "source.lineage_audit.crm.raw_orders",
        "model.lineage_audit.stg_orders",
        "model.lineage_audit.customer_orders_summary",
        "model.lineage_audit.customer_behavior",
        "exposure.lineage_audit.customer_engagement_features",
    ]
    for parent, child in (*itertools.pairwise(way), *itertools.pairwise(analytics)):
        assert child in children[parent], f"{parent} → {child}"
    for table in ("order_items", "customers"):
        assert f"model.lineage_audit.silver_{table}" in children[f"seed.lineage_audit.bronze_{table}_raw"]
        assert f"model.lineage_audit.gold_{table}" in children[f"model.lineage_audit.silver_{table}"]
        assert f"model.lineage_audit.{table}_api" in children[f"model.lineage_audit.gold_{table}"]

    if project.engine == "spark":
        # dbt-spark's catalog holds no Delta table: what is described is the same on both engines.
        return
    catalog = json.loads((project.target / "catalog.json").read_text(encoding="utf-8"))
    undescribed = []
    for unique_id, table in catalog["nodes"].items():
        node = manifest["nodes"][unique_id]
        described = {name.lower(): column["description"] for name, column in node["columns"].items()}
        undescribed += [unique_id] if not node["description"].strip() else []
        undescribed += [
            f"{unique_id}.{name}" for name in table["columns"] if not (described.get(name.lower()) or "").strip()
        ]
    assert len(catalog["nodes"]) >= 19
    assert undescribed == []


def test_docs_say_of_every_gold_column_where_it_comes_from(built):
    """In the words of generate_properties, whose contract the sample can't take: its types are those of one engine."""
    project = built.project
    generated = yaml.safe_load(project.dbt("run-operation", "generate_properties", "--quiet").output)
    assert [model["name"] for model in generated["models"]] == ["gold_customers", "gold_order_items", "gold_orders"]
    for model in generated["models"]:
        described = project.manifest["nodes"][f"model.lineage_audit.{model['name']}"]["columns"]
        for column in model["columns"]:
            if not column["name"].startswith("_lineage_"):
                origin = column["description"].rpartition("\n\n")[2]
                assert origin.startswith(("From `", "Of no column"))
                assert described[column["name"]]["description"].endswith(origin)


def test_every_analysis_gives_rows(built):
    assert set(built.analyses) == {path.stem for path in (ROOT / "analyses").glob("*.sql")}
    empty = {name for name, rows in built.analyses.items() if not rows}
    # After one run alone nothing has changed.
    assert empty == {"what_changed_since_the_run_before", "what_changed_in_the_config"}


def test_values_by_api_field(built):
    rows = built.analyses["values_by_api_field"]
    accepted = EXPECTED["gold_orders"].accepted.values()
    statuses = Counter(at(record["content"], "order", "status") for record in accepted)
    found = [row for row in rows if row["target_column"] == "order_status"]
    assert {json.loads(row["source_values_json"])["status"]: row["records"] for row in found} == statuses
    assert {(row["api_field_name"], row["api_json_path"], row["distinct_values"]) for row in found} == {
        ("status", "$.order.status", len(statuses))
    }
    assert [row["records"] for row in found] == sorted(statuses.values(), reverse=True)
    (first,) = [row for row in found if row["place"] == 1]
    assert first["percent_of_records"] == round(Decimal(100) * first["records"] / len(accepted), 2)
    # Ten of each at most, and none of a column without an API field.
    assert max(Counter((row["target_relation"], row["target_column"]) for row in rows).values()) == 10
    assert "loaded_at" not in {row["target_column"] for row in rows}


def test_columns_whose_lineage_is_thin(built):
    expected = set()
    with (ROOT / "seeds" / "config" / "field_mapping.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["active_flag"] == "true":
                findings = {
                    "no_api_field": not row["api_field_name"],
                    "values_not_readable": row["sensitivity"] != "none",
                    "computed_without_rule": row["transform_expr"] and not row["business_rule_id"],
                }
                expected |= {
                    (row["target_table"], row["target_column"], name) for name, is_so in findings.items() if is_so
                }
    rows = built.analyses["columns_with_thin_lineage"]
    assert {(row["target_relation"].split(".")[-1], row["target_column"], row["finding"]) for row in rows} == expected
    assert all(row["explanation"] for row in rows)


def test_customer_analytics_are_what_python_works_out(built):
    """Revenue, orders and events of every customer; what a topic delivered twice, and visitors without a name, left out."""

    def rows(name: str) -> list[dict[str, str]]:
        path = ROOT / "seeds" / "sample" / "customer_analytics" / f"{name}.csv"
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    ordered = rows("raw_orders")
    newest = max(date.fromisoformat(row["ordered_at"][:10]) for row in ordered)
    revenue, recent, count = Counter(), Counter(), Counter()
    for row in ordered:
        customer, amount = int(row["customer_id"]), Decimal(row["amount"])
        revenue[customer] += amount
        count[customer] += 1
        if (newest - date.fromisoformat(row["ordered_at"][:10])).days < 30:
            recent[customer] += amount
    events = {row["event_id"]: row for row in rows("raw_customer_events") if row["customer_id"]}
    assert len(events) < len(rows("raw_customer_events"))
    emails = {int(row["customer_id"]): row["email"].strip().upper() for row in rows("raw_customers")}
    expected = {
        (int(customer), event_date, event_type): (
            number,
            *(of[int(customer)] for of in (emails, count, revenue, recent)),
        )
        for (customer, event_date, event_type), number in Counter(
            (row["customer_id"], row["event_at"][:10], row["event_type"].lower()) for row in events.values()
        ).items()
    }
    project = built.project
    found = {
        (row["customer_id"], str(row["event_date"]), row["event_type"]): (
            *(row["event_count"], row["email_normalized"]),
            *(row["order_count"], row["total_revenue"], row["recent_revenue"]),
        )
        for row in project.query(f"select * from {relation(project, 'gold', 'customer_behavior')}")
    }
    assert found == expected


def test_a_second_run_reads_what_has_arrived_since(built):
    """Nothing has: the incremental model reads nothing, and keeps what it has."""
    project = built.project
    before = project.query(f"select * from {relation(project, 'gold', 'gold_order_items')}")
    project.dbt("run", "--select", "gold_order_items")
    first, second = project.query(
        f"""
        select *
        from {relation(project, "audit", "ingestion_run")}
        where target_table = 'gold_order_items'
        order by run_start_ts
        """
    )
    assert {name: second[name] for name in COUNTS} == dict.fromkeys(COUNTS, 0)
    assert (second["status"], second["watermark_from"]) == ("SUCCESS", first["watermark_to"])
    assert (
        second["watermark_to"]
        == first["watermark_to"]
        == max(row["loaded_at"] for row in received("bronze_order_items_raw")).replace("Z", ".000000")
    )
    after = project.query(f"select * from {relation(project, 'gold', 'gold_order_items')}")
    assert sorted(map(repr, after)) == sorted(map(repr, before))
