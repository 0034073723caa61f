"""`payload_matches`: what lineage logged is what the raw payload holds at the declared path, in each capture mode."""

from __future__ import annotations

import hashlib
import json
from types import SimpleNamespace

import mapped_cases as cases
import pytest

MODES = ("exploded", "compact", "in_row", "kept")
KEY = {"is_primary_key": True, "column_position": 1}
# A column of the source, its type on both engines, and where the payload has it.
COLUMNS = {
    "id": ("string", "$.order.id"),
    "amount": ("decimal(38,2)", "$.order.amount"),
    "big": ("bigint", "$['big.number']"),
    "ratio": ("double", '$["it\'s \\"quoted\\""].ratio'),
    "flag": ("boolean", "$.order.flag"),
    "day": ("date", "$.order.days[1]"),
    "at": ("timestamp", "$.order.at"),
    "note": ("string", "$.order.größe's note"),
    "number_text": ("string", "$.order.number"),
    "parts": ("string", "$.order.parts"),
    "sizes": ("integer[]", "$.order.sizes"),
    "email": ("string", "$.order.email"),
    "phone": ("string", "$.order.phone"),
}
MARKS = {"email": "mask", "phone": "hash"}
NOTE = '\u00e9\U0001f600 "q" it\'s \\ ${env:HOME}\n\ttab'


def payload(id: str, **changes: str) -> str:
    """A payload, each value as JSON has it: json.dumps would spell numbers its own way."""
    value = {
        "amount": "100", "big": "9007199254740993", "ratio": "1e3", "flag": "true", "days": '[null, "2024-02-29"]',
        "at": '"2024-02-29T14:03:21Z"', "note": json.dumps(NOTE), "number": "100.00", "parts": '{ "a" : [1, null], "b": "x" }',
        "sizes": "[3, 4]", "email": '"a@x.y"', "phone": '"555"',
    } | changes  # fmt: skip
    order = ", ".join(
        f'"{name}": {value[key]}'
        for name, key in (
            ("amount", "amount"), ("flag", "flag"), ("days", "days"), ("at", "at"), ("größe's note", "note"), ("number", "number"),
            ("parts", "parts"), ("sizes", "sizes"), ("email", "email"), ("phone", "phone"),
        )
    )  # fmt: skip
    return (
        f'{{"order": {{"id": {json.dumps(id)}, {order}}}, "big.number": {value["big"]}, '
        f'"it\'s \\"quoted\\"": {{"ratio": {value["ratio"]}}}}}'
    )


def source_row(engine: str, id: str, **changes) -> tuple:
    sizes = "[3, 4]" if engine == "duckdb" else "array(3, 4)"
    row = {
        "id": id, "amount": "100.00", "big": 9007199254740993, "ratio": "1000", "flag": True, "day": "2024-02-29",
        "at": "sql:timestamp '2024-02-29 14:03:21'", "note": NOTE, "number_text": "100.00", "parts": '{"a":[1,null],"b":"x"}',
        "sizes": f"sql:{sizes}", "email": "a@x.y", "phone": "555",
    }  # fmt: skip
    return tuple((row | changes).values())


NOTHING = dict.fromkeys([name for name in COLUMNS if name != "id"])
NULLS = dict.fromkeys(
    ("amount", "big", "ratio", "flag", "at", "note", "number", "parts", "sizes", "email", "phone"), "null"
)
RIGHT, WRONG = {}, {"amount": "99.99"}
# (the row as gold has it, the payloads of its key with the day they came, what differs: column, payload's value, logged value)
EXACT = "12345678901234567890123.45"
CASES = [
    ("newest right", {}, [(1, WRONG), (2, RIGHT)], []),
    ("newest wrong", {}, [(1, RIGHT), (2, WRONG)], [("amount", "99.99", "100.00")]),
    ("newest has no time", {}, [(None, WRONG), (1, RIGHT)], []),
    ("tie right", {}, [(1, WRONG), (1, RIGHT)], []),
    ("tie wrong", {}, [(1, WRONG), (1, WRONG | {"flag": "false"})], [("amount", "99.99", "100.00")]),
    ("null", NOTHING, [(1, NULLS | {"days": "null"})], []),
    ("missing place", NOTHING, [(1, NULLS | {"days": "[1]"})], []),
    ("no payload", {}, [], [(None, None, None)]),
    ("no json", {}, ["no json"], [(None, None, None)]),
    ("as texts", {}, [(1, {"amount": '"100.0"', "big": '"9007199254740993"', "ratio": '"1000.0"', "flag": '"true"', "number": '"100.00"'})], []),
    ("exact", {"amount": EXACT}, [(1, {"amount": EXACT})], []),
    ("a cent", {"amount": EXACT}, [(1, {"amount": EXACT.replace(".45", ".46")})], [("amount", EXACT.replace(".45", ".46"), EXACT)]),
    ("one more", {}, [(1, {"big": "9007199254740992"})], [("big", "9007199254740992", "9007199254740993")]),
    ("no number", {"amount": None}, [(1, {"amount": '"n/a"'})], [("amount", "n/a", None)]),
    ("empty", {"note": None}, [(1, {"note": '""'})], [("note", "", None)]),
    ("an object", {"note": '{"a":1}'}, [(1, {"note": '{"a": 1}'})], []),
    ("another number", {}, [(1, {"number": "1e3"})], [("number_text", "1000.0", "100.00")]),
    ("a text of digits", {}, [(1, {"number": '"100.0"'})], [("number_text", "100.0", "100.00")]),
    ("of a list", {}, [(1, {"sizes": "[3, 5]"})], [("sizes", "[3,5]", "[3,4]")]),
    ("masked", {"email": "other@x.y"}, [(1, RIGHT)], []),
    ("hashed", {"phone": "556"}, [(1, RIGHT)], [("phone", "hash of 555", "hash of 556")]),
    ("two wrong", {}, [(1, {"flag": "false", "days": "[1]"})], [("day", None, "2024-02-29"), ("flag", "false", "true")]),
    ("quarantined", {}, [(1, WRONG)], []),
    ("it's ${env:HOME} \\ \U0001f600", {}, [(1, WRONG)], [("amount", "99.99", "100.00")]),
]  # fmt: skip

LINES = {"order_id": "string", "line": "int", "sku": "string", "tag": "string", "price": "decimal(9,2)", "sent": "date"}
# The line's own element; of the payload as a whole sent alone.
LINE_ROWS = [
    ("o1", 1, "A", "x", "1.50", "2024-01-02"),
    ("o1", 2, "B", "y", "2.00", "2024-01-02"),
    ("o1", 3, "C", None, None, "2024-01-02"),
    ("o2", 1, "D", "z", "3.00", "2024-01-02"),
    ("o2", 9, "gone", None, None, "2024-01-02"),
]
LINE_PAYLOADS = [
    ('{"id": "o1", "sent": "2024-01-01", "items": [{"line": 1, "sku": "A"}, {"line": 3, "sku": "C"}]}', 1),
    (
        '{"id": "o1", "sent": "2024-01-02", "items": [{"line": "2", "sku": "B", "tags": ["y"], "price": 2}, {"line": 1, "sku": "A", "tags": ["x", "-"], "price": 1.5}]}',
        2,
    ),
    (
        '{"id": "o2", "sent": "2024-01-02", "items": [{"line": 1, "sku": "not D", "tags": ["z"], "price": "3"}, null, 7]}',
        2,
    ),
    ('{"id": "o2", "items": {"line": 9}}', 3),
]


def model(endpoint: str, source: str, arguments: str) -> str:
    return (
        "{{ config(materialized='table') }}"
        f"{{{{ lineage_audit.mapped_model('{endpoint}', source=source('raw', '{source}'), {arguments}) }}}}"
    )


def matches(name: str, raw: str, loaded_at: str | None = "loaded_at", **config) -> dict:
    arguments = {"raw": raw if "(" in raw else f"source('raw', '{raw}')"} | (
        {"loaded_at": loaded_at} if loaded_at else {}
    )
    return {
        "lineage_audit.payload_matches": {"name": name, "arguments": arguments} | ({"config": config} if config else {})
    }


def mapping(engine: str) -> list[dict]:
    rows = []
    for table in MODES:
        columns = [
            (
                name,
                name,
                {"api_json_path": path, "column_position": place, "sensitivity": MARKS.get(name)}
                | (KEY if name == "id" else {}),
            )
            for place, (name, (_, path)) in enumerate(COLUMNS.items(), 1)
        ]
        columns.append(("both", "id|note", {"transform_expr": "concat(id, note)", "api_json_path": "$.order.id"}))
        columns.append(("no_path", "parts", {}))
        rows += cases.mapped_columns("shop", table, *columns, source_table="orders")
    # The key is what the mapping makes of the value at its path: an upper-case text.
    return rows + cases.mapped_columns(
        "lines",
        "lines",
        (
            "order_id",
            "order_id",
            {
                **KEY,
                "api_json_path": "$.id",
                "transform_expr": "upper(order_id)",
                "data_type": "string",
                "sensitivity": "hash",
            },
        ),
        (
            "line",
            "line",
            {"is_primary_key": True, "data_type": "bigint", "api_json_path": "$.items[*].line", "column_position": 2},
        ),
        ("sku", "sku", {"api_json_path": "$.items[*].sku", "column_position": 3}),
        ("tag", "tag", {"api_json_path": "$['items'][*]['tags'][0]", "column_position": 4}),
        ("price", "price", {"api_json_path": "$.items[*].price", "column_position": 5}),
        ("sent", "sent", {"api_json_path": "$.sent", "column_position": 6}),
        ("other", "tag", {"api_json_path": "$.taxes[*].rate", "column_position": 7}),
        source_table="lines",
    )


def endpoints(*rows: tuple) -> list[dict]:
    return [{"endpoint_name": name, "raw_table": "messages", "payload_column": column} for name, column in rows]


@pytest.fixture(scope="module")
def tested(make_project, engine):
    project = make_project(
        engine,
        models={
            **{mode: model("shop", "orders", f"capture='{mode}'") for mode in MODES[:3]},
            "kept": model("shop", "orders", "rejected='keep', capture='compact'"),
            "lines": model("lines", "lines", "capture='exploded'"),
        },
        api_endpoints=endpoints(("shop", "payload"), ("lines", "payload")),
        field_mapping=mapping(engine),
        business_rules=[
            cases.rule("NOT_NEGATIVE", "shop", "validation", "amount is null or amount >= 0", severity="ERROR")
        ],
        properties=cases.source_properties("orders", "messages", "lines", "line_messages")
        | {
            "models": [
                {"name": mode, "data_tests": [matches(f"{mode}_payloads", "messages")]}
                for mode in ("compact", "in_row", "kept")
            ]
            + [
                {
                    "name": "exploded",
                    "data_tests": [
                        matches("exploded_payloads", "messages"),
                        matches("any_payload", "messages", None),
                        matches(
                            "some_payloads",
                            "messages",
                            where="id in ('newest right', 'quarantined', 'hashed')",
                            limit=1,
                        ),
                    ],
                },
                {"name": "lines", "data_tests": [matches("line_payloads", "line_messages")]},
            ]
        },
    )
    types = {name: type for name, (type, _) in COLUMNS.items()} | ({"sizes": "array<int>"} if engine == "spark" else {})
    rows = [source_row(engine, id, **row) for id, row, _, _ in CASES]
    rows.append(source_row(engine, "quarantined", amount="-1.00"))
    cases.create_source(project, "orders", types, rows)
    messages = []
    for id, _, payloads, _ in CASES:
        for each in payloads:
            day, text = (1, each) if isinstance(each, str) else (each[0], payload(id, **each[1]))
            messages.append((text, None if day is None else f"2024-01-0{day} 00:00:00"))
    messages += [(None, "2024-01-01 00:00:00"), ("[]", "2024-01-01 00:00:00")]
    columns = {"payload": "string", "loaded_at": "timestamp"}
    cases.create_source(project, "messages", columns, messages)
    cases.create_source(project, "lines", LINES, LINE_ROWS)
    cases.create_source(
        project, "line_messages", columns, [(text, f"2024-01-0{day} 00:00:00") for text, day in LINE_PAYLOADS]
    )
    build = project.dbt("build", "--store-failures", check=False)
    return SimpleNamespace(project=project, build=build)


def failing(tested, test: str) -> list[tuple]:
    assert tested.build.statuses[test] == "fail", tested.build.messages
    relation = tested.build.nodes[test].node.relation_name
    rows = tested.project.query(
        f"select target_pk, target_column, api_json_path, reason, payload_value, logged_value from {relation}"
    )
    return sorted((tuple(row.values()) for row in rows), key=repr)


def hashed(key: str, text: str) -> str:
    inner = hashlib.sha256(f"{key}:{text}".encode()).hexdigest()
    return hashlib.sha256(f"{key}:{inner}".encode()).hexdigest()


def expected(hash_key: str, cases_: list[tuple]) -> list[tuple]:
    rows = []
    for id, _, _, differences in cases_:
        for column, *values in differences:
            texts = [
                hashed(hash_key, text.removeprefix("hash of ")) if (text or "").startswith("hash of ") else text
                for text in values
            ]
            path = COLUMNS[column][1] if column else None
            rows.append((id, column, path, "other_value" if column else "no_payload", *texts))
    return sorted(rows, key=repr)


@pytest.mark.parametrize("mode", MODES)
def test_what_differs_from_the_newest_payload_is_found_in_every_mode(tested, mode, hash_key):
    assert failing(tested, f"{mode}_payloads") == expected(hash_key, CASES)


def test_without_a_time_any_payload_of_the_key_may_agree(tested, hash_key):
    assert failing(tested, "any_payload") == expected(hash_key, [each for each in CASES if each[0] != "newest wrong"])


def test_where_and_limit_hold(tested):
    assert [each[:2] for each in failing(tested, "some_payloads")] == [("hashed", "phone")]


def test_a_line_is_compared_with_its_own_element(tested, hash_key):
    def pk(order: str, line: int) -> str:
        return json.dumps([hashed(hash_key, order), str(line)], separators=(",", ":"))

    assert failing(tested, "line_payloads") == sorted(
        [
            # The newest payload that names line 3 is the older one.
            (pk("O1", 3), "sent", "$.sent", "other_value", "2024-01-01", "2024-01-02"),
            (pk("O2", 1), "sku", "$.items[*].sku", "other_value", "not D", "D"),
            (pk("O2", 9), None, None, "no_payload", None, None),
        ],
        key=repr,
    )


def test_what_can_not_be_proved_is_counted_and_named(tested):
    rows = len(CASES)
    assert (
        f"payload_matches of compact: {rows} cells can not be proved, email: its source values are logged masked or hashed."
        in tested.build.log
    )
    assert (
        f"payload_matches of in_row: {rows} cells can not be proved, both: it is made of several source columns"
        in tested.build.log
    )
    assert (
        "payload_matches of lines: 5 cells can not be proved, other: its path goes through an array" in tested.build.log
    )


def test_the_payloads_are_read_by_one_statement(tested):
    statements = tested.build.statements_of("compact_payloads")
    (comparison,) = [each for each in statements if "messages" in each and "describe" not in each]
    assert comparison.count("messages") == 1
    assert len(statements) <= 12


def test_no_clear_text_of_a_marked_column_is_shown(tested):
    for mode in MODES:
        shown = [text for row in failing(tested, f"{mode}_payloads") for text in row if text]
        assert not {"555", "556", "a@x.y", "other@x.y"} & set(shown)


# --- config that no payload can be compared under; what dbt does with an error is the same on every engine ---------


@pytest.fixture(scope="module")
def misconfigured(make_project):
    """A table whose second run has other paths than the first, and tests that can't be made."""
    config = (
        "{{ config(materialized='incremental', incremental_strategy='append', on_schema_change='append_new_columns') }}"
    )
    project = make_project(
        "duckdb",
        models={
            "grown": config
            + "{{ lineage_audit.mapped_model('shop', source=source('raw', 'orders'), watermark='day') }}",
            "bare": model("bare", "orders", ""),
            "typed": model("typed", "orders", ""),
            "lacking": model("lacking", "orders", ""),
        },
        api_endpoints=endpoints(("shop", "payload"), ("bare", None), ("typed", "parsed"), ("lacking", "pay_load")),
        field_mapping=growing(None),
        business_rules=[],
        properties=cases.source_properties("orders", "messages")
        | {
            "models": [
                {
                    "name": "grown",
                    "data_tests": [
                        matches("grown_payloads", "messages"),
                        matches("no_such_time", "messages", "loaded"),
                        {"lineage_audit.payload_matches": {"name": "no_relation", "arguments": {"raw": "messages"}}},
                    ],
                },
                {"name": "bare", "data_tests": [matches("bare_payloads", "messages")]},
                {"name": "typed", "data_tests": [matches("typed_payloads", "messages")]},
                {"name": "lacking", "data_tests": [matches("lacking_payloads", "messages")]},
            ]
        },
    )
    cases.create_source(project, "orders", {"id": "string", "amount": "int", "day": "int"}, [("a", 1, 1)])
    message = {"payload": "string", "loaded_at": "timestamp", "parsed": "struct(id varchar)"}
    rows = [(f'{{"id": "{id}", "amount": {amount}}}', "2024-01-01", None) for id, amount in (("a", 7), ("b", 8))]
    cases.create_source(project, "messages", message, rows)
    first = project.dbt("build", check=False)
    cases.insert_into_source(project, "orders", [("b", 9, 2)])
    project.write("seeds/field_mapping.csv", growing("$.id"))
    second = project.dbt("build", "--select", "field_mapping", "grown", "--store-failures", check=False)
    return SimpleNamespace(project=project, build=first, first=first, second=second)


def growing(key_path: str | None) -> list[dict]:
    """The mapping; at first with three paths that no payload can be found by."""
    rows = cases.mapped_columns(
        "shop",
        "grown",
        ("id", "id", {**KEY, "api_json_path": key_path}),
        ("amount", "amount", {"api_json_path": "$.amount" if key_path else "$.amount[?(@.x)]"}),
        ("half", "amount", {"api_json_path": "$.amount" if key_path else "amount"}),
        source_table="orders",
    )
    for table in ("bare", "typed", "lacking"):
        rows += cases.mapped_columns(
            table, table, ("id", "id", {**KEY, "api_json_path": "$.id"}), source_table="orders"
        )
    return rows


def message(invocation, test: str) -> str:
    assert invocation.statuses[test] == "error"
    return invocation.nodes[test].message


def test_every_path_that_can_not_be_followed_is_named_in_one_message(misconfigured):
    said = message(misconfigured.first, "grown_payloads")
    assert "3 problems" in said
    assert "field_mapping · shop / grown / id: is part of the key, and has no api_json_path" in said
    assert "Write where the payload holds it, and build the model again." in said
    assert "field_mapping · shop / grown / amount: api_json_path '$.amount[?(@.x)]' is no path" in said
    assert "field_mapping · shop / grown / half: api_json_path 'amount' is no path" in said


def test_a_payload_that_is_not_there_is_named(misconfigured):
    assert "api_endpoints · endpoint bare: has no payload_column" in message(misconfigured.first, "bare_payloads")
    typed = message(misconfigured.first, "typed_payloads")
    assert "is of type STRUCT(id VARCHAR), and no text. Give the test a view" in typed
    lacking = message(misconfigured.first, "lacking_payloads")
    assert "names payload_column 'pay_load', which" in lacking
    assert "Did you mean payload" in lacking


def test_arguments_that_are_wrong_are_named(misconfigured):
    assert "loaded_at names column 'loaded', which" in message(misconfigured.second, "no_such_time")
    assert "Did you mean loaded_at" in message(misconfigured.second, "no_such_time")
    assert "raw is no relation: 'messages'. Write raw: source(" in message(misconfigured.second, "no_relation")


def test_rows_of_an_earlier_config_are_counted_where_it_can_not_be_proved(misconfigured):
    assert failing(SimpleNamespace(project=misconfigured.project, build=misconfigured.second), "grown_payloads") == [
        ("b", "amount", "$.amount", "other_value", "8", "9"),
        ("b", "half", "$.amount", "other_value", "8", "9"),
    ]
    for name in ("id", "amount", "half"):
        said = f"payload_matches of grown: 1 cell can not be proved, {name}: under the config of its run no payload could be found by the paths."
        assert (said in misconfigured.second.log) == (name != "id")
