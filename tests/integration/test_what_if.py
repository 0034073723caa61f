"""`what_if` says of a changed config what the next full build would make of it, from what is stored, in every capture mode."""

from __future__ import annotations

import json
from types import SimpleNamespace

import mapped_cases as cases
import pytest

MODES = ("exploded", "compact", "in_row", "kept")
TYPES = {
    "duckdb": {"id": "varchar", "amount": "varchar", "rate": "decimal(9,2)", "currency": "varchar", "email": "varchar", "kind": "varchar"},
    "spark": {"id": "string", "amount": "string", "rate": "decimal(9,2)", "currency": "string", "email": "string", "kind": "string"},
}  # fmt: skip
ROWS = [
    ("a'", "101", "1.10", "eur", "a@x", "live"),
    ("b", "50", "1.00", None, None, "live"),
    ("c", "-5", "1.00", "usd", "c@x", "live"),
    ("d", "x", "2.00", "gbp", "d@x", "live"),
    ("e", "900", "1.00", "usd", "e@x", "live"),
    ("f", "1", "1.00", "usd", "f@x", "test"),
    ("g", "10", "1.00", "usd", "g@y", "live"),
    (None, "7", "1.00", "usd", "h@x", "live"),
]
NO_KEY = "(no key)"
RULES = [
    cases.rule("REAL", "shop", "filter", "kind <> 'test'"),
    cases.rule("USUALLY_USD", "shop", "default", "'USD'"),
    cases.rule("NO_EMAIL", "shop", "default", "nullif(email, '')"),
    cases.rule("NOT_NEGATIVE", "shop", "validation", "amount >= 0", severity="ERROR"),
    cases.rule("MUCH", "shop", "validation", "total <= 500", severity="WARN"),
    cases.rule("ADDRESS", "shop", "validation", "email like '%@%'", severity="ERROR"),
]


def mapping(table: str, **cells: dict) -> list[dict]:
    """The mapping of one table; cells: of a column, what is otherwise."""
    columns = [
        ("id", "id", {"is_primary_key": True, "column_position": 1}),
        ("amount", "amount", {"data_type": "int", "column_position": 2}),
        ("total", "amount|rate", {"transform_expr": "try_cast(amount as int) * rate", "data_type": "decimal(18,2)", "column_position": 3}),
        ("currency", "currency", {"transform_expr": "upper(currency)", "business_rule_id": "USUALLY_USD", "column_position": 4}),
        ("email", "email", {"sensitivity": "mask", "business_rule_id": "NO_EMAIL", "column_position": 5}),
    ]  # fmt: skip
    return cases.mapped_columns(
        "shop", table, *[(name, sources, {**others, **cells.get(name, {})}) for name, sources, others in columns]
    )


def mapped(**cells) -> dict:
    return {"field_mapping": [cells]}


def ruled(**cells) -> dict:
    return {"business_rules": [cells]}


# Each change, and what it does, worked out by hand: (place, key, change, column, before, after, reason).
def cell(key: str, column: str, before: str | None, after: str | None) -> tuple:
    return "gold", key, "changed", column, before, after, None


def open_record(key: str, change: str, before: list, after: list | None, reason: str | None = None) -> tuple:
    after_text = None if after is None else json.dumps(after)
    return "quarantine", key, change, None, json.dumps(before), after_text, reason


def gold_record(key: str, change: str, reason: str | None) -> tuple:
    return "gold", key, change, None, None, None, reason


CASES = {
    "expression": (
        mapped(target_column="TOTAL", transform_expr="try_cast(amount as int) * rate + 1"),
        [cell("a'", "total", "111.10", "112.10"), cell("b", "total", "50.00", "51.00"),
         cell("e", "total", "900.00", "901.00"), cell("g", "total", "10.00", "11.00")],
    ),
    "default_rule": (ruled(business_rule_id="USUALLY_USD", rule_expression="'EUR'"), [cell("b", "currency", "USD", "EUR")]),
    "new_rule": (
        ruled(business_rule_id="SMALL", rule_category="validation", rule_expression="total >= 20", severity="ERROR"),
        [gold_record("g", "refused", "SMALL"), open_record("c", "refused_otherwise", ["NOT_NEGATIVE"], ["NOT_NEGATIVE", "SMALL"]),
         open_record(NO_KEY, "refused_otherwise", ["not_null:id"], ["not_null:id", "SMALL"])],
    ),
    "relaxed_rule": (
        ruled(business_rule_id="NOT_NEGATIVE", rule_expression="amount >= -10"), [open_record("c", "released", ["NOT_NEGATIVE"], [])],
    ),
    "filter": (
        ruled(business_rule_id="FEW", rule_category="filter", rule_expression="rate < 2 and amount <> '10'"),
        [gold_record("g", "filtered", None), open_record("d", "filtered", ["cast:amount"], [])],
    ),
    "data_type": (mapped(target_column="total", data_type="int"), [cell("a'", "total", "111.10", "111")]),
    "wider_type": (mapped(target_column="amount", data_type="decimal(9,1)"), []),
    "severity": (
        {"business_rules": [{"business_rule_id": "NOT_NEGATIVE", "severity": "WARN"}, {"business_rule_id": "MUCH", "severity": "ERROR"}]},
        [gold_record("e", "refused", "MUCH"), open_record("c", "released", ["NOT_NEGATIVE"], [])],
    ),
    "switched_off": (
        mapped(target_column="currency", active_flag=False),
        [cell("a'", "currency", "EUR", None), cell("b", "currency", "USD", None), cell("e", "currency", "USD", None),
         cell("g", "currency", "USD", None)],
    ),
    "new_column": (
        mapped(target_column="cents", source_columns="amount", transform_expr="try_cast(amount as int) * 100", data_type="bigint"),
        [cell("a'", "cents", None, "10100"), cell("b", "cents", None, "5000"), cell("e", "cents", None, "90000"),
         cell("g", "cents", None, "1000")],
    ),
    "not_nullable": (
        {"field_mapping": [{"target_column": "currency", "nullable": False}], "business_rules": [{"business_rule_id": "USUALLY_USD", "active_flag": False}]},
        [gold_record("b", "refused", "not_null:currency")],
    ),
    # Gold holds the addresses; the quarantine holds them masked.
    "masked_rule": (
        ruled(business_rule_id="AT_X", rule_category="validation", rule_expression="email like '%@x'", severity="ERROR"),
        [gold_record("g", "refused", "AT_X"), open_record("c", "not_evaluated", ["NOT_NEGATIVE"], None, "unseen:AT_X"),
         open_record("d", "not_evaluated", ["cast:amount"], None, "unseen:AT_X"),
         open_record(NO_KEY, "not_evaluated", ["not_null:id"], None, "unseen:AT_X")],
    ),
    "masked_column": (
        mapped(target_column="email", nullable=False), [gold_record("b", "refused", "not_null:email")],
    ),
    "warning": (
        ruled(business_rule_id="MUCH", rule_expression="total between 20 and 200"),
        [gold_record("g", "warned", "MUCH")],
    ),
    "no_warning": (ruled(business_rule_id="MUCH", active_flag=False), [gold_record("e", "no_longer_warned", "MUCH")]),
}  # fmt: skip
EDITED = {"total": {"transform_expr": "try_cast(amount as int) * rate + 1"}, "amount": {"data_type": "bigint"}}
EDITED_RULES = [
    RULES[0],
    RULES[2],
    cases.rule("USUALLY_USD", "shop", "default", "'EUR'"),
    cases.rule("NOT_NEGATIVE", "shop", "validation", "amount >= -10", severity="ERROR"),
    cases.rule("MUCH", "shop", "validation", "total <= 500", severity="ERROR"),
    RULES[5],
    cases.rule("SMALL", "shop", "validation", "total >= 20", severity="WARN"),
    cases.rule("NOT_50", "shop", "filter", "amount <> '50'"),
]


def model(mode: str) -> str:
    arguments = "rejected='keep', capture='compact'" if mode == "kept" else f"capture='{mode}'"
    return (
        "{{ config(materialized='table') }}"
        f"{{{{ lineage_audit.mapped_model('shop', source=source('raw', 'orders'), {arguments}) }}}}"
    )


def question(mode: str, changes: dict | None = None, config_schema: str | None = None) -> str:
    """A model that holds what what_if_sql gives."""
    given = {"changes": changes} if changes else {"config_schema": config_schema}
    arguments = ", ".join(f"{name}=fromjson({json.dumps(json.dumps(value))})" for name, value in given.items())
    return f"{{{{ config(materialized='table') }}}}{{{{ lineage_audit.what_if_sql('{mode}', {arguments}) }}}}"


# A question takes Spark half a minute: there the edited seeds are asked about, which hold every kind of change.
MODES_OF_ENGINE = {"duckdb": MODES, "spark": ("exploded", "kept")}
MODE_OF = {name: MODES[number % len(MODES)] for number, name in enumerate(CASES)}


@pytest.fixture(scope="module")
def asked(make_project, engine):
    modes = MODES_OF_ENGINE[engine]
    project = make_project(
        engine,
        models={mode: model(mode) for mode in modes},
        api_endpoints=[{"endpoint_name": "shop"}],
        field_mapping=[row for mode in modes for row in mapping(mode)],
        business_rules=RULES,
        properties=cases.source_properties("orders"),
        config={"seeds": {"consumer": {"+schema": "{{ var('config_schema', 'config') }}"}}},
    )
    cases.create_source(project, "orders", TYPES[engine], ROWS)
    project.dbt("build")
    project.write("seeds/field_mapping.csv", [row for mode in modes for row in mapping(mode, **EDITED)])
    project.write("seeds/business_rules.csv", EDITED_RULES)
    project.dbt("seed", "--select", "field_mapping", "business_rules", vars={"config_schema": "edited"})
    # From here on only what is stored can answer.
    project.execute(f"drop table {project.schema}_raw.orders")
    for name in CASES if engine == "duckdb" else ():
        changes, _ = CASES[name]
        project.write(f"models/asked/{name}.sql", question(MODE_OF[name], changes))
    for mode in modes:
        project.write(f"models/asked/edited_{mode}.sql", question(mode, config_schema=f"{project.schema}_edited"))
    project.dbt("run", "--select", "path:models/asked")
    answers = {
        mode: what_if(project, target_table=mode, config_schema="edited")
        for mode in ("exploded", "kept")[: 2 if engine == "duckdb" else 1]
    }
    before = {mode: held(project, mode) for mode in modes}
    cases.create_source(project, "orders", TYPES[engine], ROWS)
    project.dbt("seed")
    project.dbt("run", "--select", *modes)
    after = {mode: held(project, mode) for mode in modes}
    return SimpleNamespace(project=project, engine=engine, before=before, after=after, answers=answers)


def what_if(project, check: bool = True, **arguments):
    arguments.setdefault("output", "json")
    result = project.dbt(
        "run-operation", "lineage_audit.what_if", "--args", json.dumps(arguments), "--quiet", check=check
    )
    return json.loads(result.output) if check and arguments["output"] == "json" else result


def held(project, mode: str) -> SimpleNamespace:
    """Gold's accepted rows, and the open records of the quarantine, by key."""
    columns = "id, amount, total, currency, email, _lineage_warnings"
    if mode == "kept":
        rows = project.query(
            f"select {columns}, _lineage_failed_rules as reasons, amount as given from {project.schema}.kept"
        )
        gold = [row for row in rows if not list(row["reasons"])]
        refused = {row["id"] or NO_KEY: set(row["reasons"]) for row in rows if list(row["reasons"])}
    else:
        gold = project.query(f"select {columns} from {project.schema}.{mode}")
        records = project.query(
            f"select target_pk, failed_rules from {project.schema}_audit.quarantine where target_table = '{mode}'"
        )
        refused = {row["target_pk"] or NO_KEY: set(row["failed_rules"]) for row in records}
    return SimpleNamespace(gold={row["id"]: row for row in gold}, refused=refused)


def details(project, name: str) -> list[tuple]:
    rows = project.query(f"select * from {project.schema}.{name}")
    return sorted(
        (
            row["place"], row["target_pk"] or NO_KEY, row["change"], row["target_column"],
            *(sorted_json(row[side], row["place"]) for side in ("before_value", "after_value")), row["reason"],
        )
        for row in rows
    )  # fmt: skip


def sorted_json(text: str | None, place: str) -> str | None:
    return json.dumps(sorted(json.loads(text))) if text is not None and place == "quarantine" else text


@pytest.mark.parametrize("name", CASES)
def test_a_change_does_what_was_worked_out_by_hand(asked, name):
    if asked.engine == "spark":
        pytest.skip("seconds for each question: some are enough")
    expected = sorted(
        (*each[:4], *(sorted_json(side, each[0]) for side in each[4:6]), each[6]) for each in CASES[name][1]
    )
    assert details(asked.project, name) == expected


@pytest.mark.parametrize("mode", MODES)
def test_the_next_run_does_what_was_said(asked, mode):
    """What a full build with the edited seeds changed, against what was said of it before."""
    if mode not in MODES_OF_ENGINE[asked.engine]:
        pytest.skip("seconds for each question: some are enough")
    before, after = asked.before[mode], asked.after[mode]
    said = details(asked.project, f"edited_{mode}")
    happened = []
    for key, row in before.gold.items():
        now = after.gold.get(key)
        if now is None:
            happened += [("gold", key, "refused", reason) for reason in after.refused.get(key, ())]
            happened += [("gold", key, "filtered", None)] if key not in after.refused else []
            continue
        happened += [
            ("gold", key, column, str(now[column]))
            for column in ("amount", "total", "currency", "email")
            if now[column] != row[column]
        ]
        happened += [
            ("gold", key, "warned", rule) for rule in set(now["_lineage_warnings"]) - set(row["_lineage_warnings"])
        ]
    for key, reasons in before.refused.items():
        if key in after.gold:
            happened.append(("quarantine", key, "released", None))
        elif key not in after.refused:
            happened.append(("quarantine", key, "filtered", None))
        elif after.refused[key] != reasons:
            happened.append(("quarantine", key, "refused_otherwise", None))
    short = [
        (place, key, column, value) if change == "changed" else (place, key, change, reason)
        for place, key, change, column, _, value, reason in said
    ]
    assert sorted(short, key=repr) == sorted(happened, key=repr)
    assert len(happened) >= 5


def test_the_counts_and_the_sample_are_one_json_object(asked):
    for mode, answer in asked.answers.items():
        assert answer["gold"] == {
            "record_count": 4, "changed_count": 2, "unchanged_count": 0, "refused_count": 1, "filtered_count": 1, "not_evaluated_count": 0,
        }, mode  # fmt: skip
        assert answer["quarantine"] == {
            "record_count": 3, "released_count": 1, "filtered_count": 0, "still_refused_count": 2, "refused_otherwise_count": 0,
            "not_evaluated_count": 0,
        }, mode  # fmt: skip
        assert {each["target_column"]: each["changed_cell_count"] for each in answer["columns"]} == {
            "id": 0, "amount": 0, "total": 2, "currency": 0, "email": 0,
        }, mode  # fmt: skip
        assert [(each["reason"], each["record_count"]) for each in answer["refused"]] == [("MUCH", 1)]
        assert answer["warnings"] == [{"business_rule_id": "SMALL", "warned_count": 1, "no_longer_warned_count": 0}]
        assert answer["changed_cell_count"] == 2
        assert answer["config_schema"] == f"{asked.project.schema}_edited"
        assert [(each["record_key"], each["before"], each["after"]) for each in answer["sample_cells"]] == [
            ("a'", "111.10", "112.10"), ("g", "10.00", "11.00"),
        ]  # fmt: skip
        assert {
            "seed": "business_rules",
            "name": "MUCH",
            "change": "changed",
            "cell": "severity",
            "from_value": "WARN",
            "to_value": "ERROR",
        } in (answer["config_changes"])


def test_only_the_store_and_gold_are_read_and_nothing_is_written(asked):
    # The source was gone when the questions were asked; of the operations all statements are queries.
    operations = [each for each in asked.project.invocations if "run-operation" in each.arguments]
    statements = [statement.sql for each in operations for statement in each.statements]
    assert any("_lineage_reasons_before" in sql for sql in statements)
    assert [
        sql
        for sql in statements
        if any(word in f" {sql.lower()}" for word in (" insert ", " create ", " delete ", " update ", " merge "))
    ] == []


def test_what_can_not_be_asked_is_told_all_at_once(asked):
    if asked.engine == "spark":
        pytest.skip("what the engine says of expressions is validate_config's")
    unsound = what_if(
        asked.project,
        check=False,
        target_table="exploded",
        changes={
            "field_mapping": [
                {"target_column": "total", "source_columns": "amount|fx", "transform_expr": "amount * fx"},
                {"target_column": "amount", "data_typ": "int"},
            ],
            "business_rules": [
                {"business_rule_id": "REAL", "rule_expression": "kind <> 'trial'"},
                {"business_rule_id": "NEW", "rule_category": "validation", "rule_expression": "totl > 1"},
            ],
        },
    ).messages
    for part in (
        "5 problems in what_if of exploded",
        "cell data_typ: is no column of field_mapping. Did you mean data_type?",
        "shop / exploded / total: source column 'fx' is not among the stored source values: no mapping row has declared it.",
        "rule REAL: rule_expression uses column 'kind', which what is stored of",
        "build the table once with --full-refresh, and ask again.",
        "rule NEW: severity '' is unknown.",
        "rule NEW: rule_expression uses column 'totl'",
    ):
        assert part in unsound
    not_there = what_if(
        asked.project,
        check=False,
        target_table="exploded",
        changes={
            "field_mapping": [
                {"target_column": "email", "transform_expr": "upper(email)"},
                {"target_column": "id", "transform_expr": "upper(id)"},
            ]
        },
    ).messages
    for part in (
        "2 problems in what_if of exploded",
        "shop / exploded / email: source column 'email' is stored masked, and a changed row needs its values. Leave the row as it is here, or take the mark out",
        "shop / exploded: the primary key would be made otherwise (id)",
    ):
        assert part in not_there


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "what_if needs a changed config, from one place"),
        ({"config_schema": "nowhere"}, "no config table stands in schema 'nowhere'"),
        (
            {"endpoint_name": "shops", "changes": {"business_rules": []}},
            "is not built from endpoint 'shops', but from shop",
        ),
    ],
)
def test_a_question_without_an_answer_says_what_is_missing(asked, arguments, message):
    if asked.engine == "spark":
        pytest.skip("nothing of this is the engine's")
    assert message in what_if(asked.project, check=False, target_table="exploded", **arguments).messages


def test_what_is_not_stored_is_counted_and_named(asked):
    """Lineage that is gone, that two rows share, and a text that is no value of its type."""
    if asked.engine == "spark":
        pytest.skip("seconds for each question: some are enough")
    project, store = asked.project, f"{asked.project.schema}_audit"
    listed = "['900', 'x']" if asked.engine == "duckdb" else "array('900', 'x')"
    if asked.engine == "spark":
        project.execute(f"alter table {store}.cell_lineage set tblproperties ('delta.appendOnly' = 'false')")
    last = f"(select max_by(attempt_id, event_ts) from {store}.run_event where target_table = 'exploded' and event_type = 'SUCCESS')"
    attempt = project.value(f"select {last} as attempt_id")
    of_run = f"attempt_id = {attempt} and target_pk ="
    project.execute(
        f"delete from {store}.cell_lineage where {of_run} 'g'",
        f"insert into {store}.cell_lineage select * from {store}.cell_lineage where {of_run} 'c'",
        f"update {store}.cell_lineage set source_values = {listed} where attempt_id = {attempt} and target_pk like 'a%' and column_position = 3",
    )
    answer = what_if(project, target_table="exploded", changes=mapped(target_column="total", transform_expr="rate"))
    assert answer["not_evaluated"] == [
        {"place": "gold", "reason": "key_not_unique", "record_count": 1, "message": "several rows of a run share the key"},
        {"place": "gold", "reason": "no_lineage", "record_count": 1, "message": "no lineage of theirs is stored"},
        {"place": "gold", "reason": "unreadable_value:rate", "record_count": 1, "message": "the text that is stored of rate is no value of its type"},
    ]  # fmt: skip
    assert answer["gold"]["not_evaluated_count"] == answer["gold"]["record_count"] == 3
    text = what_if(
        project, target_table="exploded", output="text", changes=mapped(target_column="total", transform_expr="rate")
    ).output
    assert "not evaluated" in text
    assert "1 of gold: no lineage of theirs is stored" in text
