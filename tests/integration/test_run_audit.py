"""What the audit store says of a run: that it started, how it ended and why, by whom, with which config and code."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace

import pytest

# One project with a model per way to fail. Its models run under one run_id, those that are good once more under the
# same one, with new source rows between; then a few without a run_id.

ORDERS = [
    {"order_id": "o1", "amount": 10, "amount_text": "10", "loaded": 1},
    {"order_id": "o2", "amount": 20, "amount_text": "twenty", "loaded": 2},
    {"order_id": "o3", "amount": -5, "amount_text": "30", "loaded": 3},
    {"order_id": None, "amount": 40, "amount_text": "40", "loaded": 3},
]
MORE_ORDERS = "insert into {schema}.orders values ('o4', 15, '15', 4)"
PAYMENTS = [{"payment_id": "p1", "amount": 1}]
MORE_PAYMENTS = "insert into {schema}.payments values ('p1', 2), ('p1', 3)"

RUN_ID = "job-42"
LATER = {"lineage_audit_code_version": "v7"}
FAILING_HOOK = "select no_such_column from (select 1 as one) as nothing"
MERGE = "materialized='incremental', incremental_strategy='merge', unique_key='order_id'"
APPEND = "materialized='incremental', incremental_strategy='append'"


def mapped(config: str = "", later_config: str = "", arguments: str = "", source: str = "orders") -> str:
    """A mapped model with a user's own config before and after it: hooks run in that order."""
    return "\n".join(
        [
            f"{{{{ config({config}) }}}}" if config else "",
            f"{{{{ lineage_audit.mapped_model('shop', source=ref('{source}'){arguments}) }}}}",
            f"{{{{ config({later_config}) }}}}" if later_config else "",
        ]
    )


MODELS = {
    "accepted": mapped(),
    "ruled": mapped(),
    "watermarked": mapped(config=APPEND, arguments=", watermark='loaded'"),
    "merged": mapped(config=MERGE),
    "merged_duplicates": mapped(config=MERGE.replace("order_id", "payment_id"), source="payments"),
    "uncompilable": mapped(),
    "failing_expression": mapped(),
    "broken_contract": mapped(),
    "failing_pre_hook": mapped(later_config=f"pre_hook='{FAILING_HOOK}'"),
    "failing_post_hook": mapped(config=f"post_hook='{FAILING_HOOK}'"),
    "tampered": mapped(config="post_hook=\"delete from {{ this }} where order_id = 'o1'\""),
    "late_hook": mapped(later_config=f"post_hook={{'sql': '{FAILING_HOOK}', 'transaction': target.type != 'duckdb'}}"),
    "plain_table": "select order_id, amount from {{ ref('orders') }}",
    "plain_append": f"{{{{ config({APPEND}) }}}} select order_id, amount from {{{{ ref('orders') }}}}",
    "plain_merge": (
        f"{{{{ config({MERGE}) }}}} select order_id, amount from {{{{ ref('orders') }}}} where order_id is not null"
    ),
}

RUN_AGAIN = [
    "accepted", "ruled", "watermarked", "merged", "merged_duplicates", "plain_table", "plain_append", "plain_merge",
]  # fmt: skip


def column(target_table: str, name: str, **more) -> dict:
    return {
        "endpoint_name": "shop",
        "target_table": target_table,
        "target_column": name,
        "source_table": "orders",
        "source_columns": name,
        **more,
    }


FIELD_MAPPING = [
    row
    for model in MODELS
    if not model.startswith("plain")
    for row in (
        column(
            model,
            "payment_id" if model == "merged_duplicates" else "order_id",
            is_primary_key=True,
            column_position=1,
        ),
        column(model, "amount", column_position=2),
    )
] + [
    column("uncompilable", "total", source_columns="amount", transform_expr="no_such_function(amount)"),
    column("failing_expression", "total", source_columns="amount_text", transform_expr="{failing}"),
]

# dbt-spark switches off Spark's ANSI mode, in which a cast would fail.
FAILING_EXPRESSION = {
    "duckdb": "cast(amount_text as integer) * 2",
    "spark": "if(amount_text = 'twenty', raise_error(concat('no number: ', amount_text)), 1)",
}

BUSINESS_RULES = [
    {
        "business_rule_id": name,
        "endpoint_name": "shop",
        "target_table": "ruled",
        "rule_category": category,
        "rule_expression": expression,
        "severity": severity,
        "message": f"This is {name}.",
    }
    for name, category, expression, severity in (
        ("NOT_TOO_NEW", "filter", "loaded < 100", None),
        ("AMOUNT_POSITIVE", "validation", "amount > 0", "ERROR"),
        ("AMOUNT_LARGE", "validation", "amount > 15", "WARN"),
    )
]


@pytest.fixture(scope="module")
def audited(make_project, engine):
    project = make_project(
        engine,
        models=MODELS,
        seeds={"orders": ORDERS, "payments": PAYMENTS},
        api_endpoints=[{"endpoint_name": "shop", "source_system": "ShopService"}],
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
        properties={
            "models": [
                {
                    "name": "broken_contract",
                    "config": {"contract": {"enforced": True}},
                    "columns": [{"name": "order_id", "data_type": "date"}],
                },
                {"name": "accepted", "columns": [{"name": "order_id", "data_tests": ["not_null"]}]},
            ]
        },
        config={"models": {"consumer": {"+materialized": "table"}}},
    )
    vars = {"lineage_audit_run_id": RUN_ID}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("USER", "ada")
        project.dbt("seed", vars=vars)
        first = project.dbt("run", "--threads", "8", vars=vars, check=False)
        project.execute(MORE_ORDERS.format(schema=project.schema), MORE_PAYMENTS.format(schema=project.schema))
        second = project.dbt("run", "--threads", "8", "--select", *RUN_AGAIN, vars=vars, check=False)
        store = f"{project.schema}_audit"
        project.execute(killed_run(store))
        while_killed = project.value(f"select status from {store}.ingestion_run where run_id = 'killed'")
        third = project.dbt("run", "--threads", "1", "--select", "accepted", "uncompilable", vars=LATER, check=False)
    return SimpleNamespace(
        project=project, store=store, first=first, second=second, third=third, while_killed=while_killed
    )


def killed_run(store: str) -> str:
    """The STARTED of a run that was killed, as `accepted` wrote it last under another name."""
    return f"""
insert into {store}.run_event (event_type, event_ts, run_id, invocation_id, target_relation, target_table)
select event_type, max(event_ts) + interval 1 millisecond, 'killed', 'killed', target_relation, target_table
from {store}.run_event
where event_type = 'STARTED' and target_table = 'accepted'
group by event_type, target_relation, target_table
"""


def run_of(audited, target_table: str, run_id: str = RUN_ID) -> dict:
    (row,) = audited.project.query(
        f"select * from {audited.store}.ingestion_run where target_table = '{target_table}' and run_id = '{run_id}'"
    )
    return row


def events_of(audited, target_table: str, run_id: str = RUN_ID) -> list[dict]:
    return audited.project.query(
        f"select * from {audited.store}.run_event"
        f" where target_table = '{target_table}' and run_id = '{run_id}' order by event_ts"
    )


# --- failures ------------------------------------------------------------------------------------------------

FAILED_MODELS = [
    "uncompilable", "failing_expression", "broken_contract", "failing_pre_hook", "failing_post_hook", "tampered",
    "merged_duplicates",
]  # fmt: skip


@pytest.mark.parametrize("model", FAILED_MODELS)
def test_started_and_failed_outlive_a_failed_model(audited, model):
    # merged_duplicates has nothing wrong with it before its source has duplicates.
    good_before = ["STARTED", "SUCCESS"] if model == "merged_duplicates" else []
    assert [event["event_type"] for event in events_of(audited, model)] == [*good_before, "STARTED", "FAILED"]
    run = run_of(audited, model)
    assert run["status"] == "FAILED"
    assert run["run_start_ts"] < run["run_end_ts"]
    assert run["output_record_count"] is None


@pytest.mark.parametrize(
    ("model", "on_duckdb", "on_spark"),
    [
        ("uncompilable", "Scalar Function with name no_such_function does not exist", "UNRESOLVED_ROUTINE"),
        ("failing_expression", "Could not convert string 'twenty' to INT32", "no number: twenty"),
        ("broken_contract", "This model has an enforced contract that failed", "enforced contract that failed"),
        ("failing_pre_hook", 'Referenced column "no_such_column" not found', "`no_such_column` cannot be resolved"),
        ("failing_post_hook", 'Referenced column "no_such_column" not found', "`no_such_column` cannot be resolved"),
    ],
)
def test_error_message_is_the_engines(audited, model, on_duckdb, on_spark):
    assert (on_duckdb if audited.project.engine == "duckdb" else on_spark) in run_of(audited, model)["error_message"]


def test_error_message_names_target_column_and_expression(audited):
    places = {"uncompilable": "target column total, expression no_such_function(amount)"}
    # What raise_error raises says no place.
    if audited.project.engine == "duckdb":
        places["failing_expression"] = "target column total, expression cast(amount_text as integer) * 2"
    for model, place in places.items():
        message = run_of(audited, model)["error_message"]
        assert message.splitlines()[-1] == place
        assert message.count("target column ") == 1


def test_error_that_no_expression_made_names_none(audited):
    for model in ("broken_contract", "failing_pre_hook", "failing_post_hook", "tampered"):
        assert "target column " not in run_of(audited, model)["error_message"]


def test_counts_that_do_not_add_up_fail_the_model_with_all_four(audited):
    """Of 4 rows one has no key; the user's hook deletes one of the other three from gold."""
    relation = run_of(audited, "tampered")["target_relation"]
    sentence = f"records do not add up in {relation}: input 4, filtered 0, rejected 1, output 2"
    assert sentence in run_of(audited, "tampered")["error_message"]
    assert sentence in audited.first.messages


def test_merge_of_duplicates_fails(audited):
    assert audited.first.statuses["merged_duplicates"] == "success"
    assert audited.second.statuses["merged_duplicates"] == "error"
    error = run_of(audited, "merged_duplicates")["error_message"]
    if audited.project.engine == "spark":
        assert "MULTIPLE_SOURCE_ROW_MATCHING_TARGET_ROW" in error
    else:
        assert "A target row matched more than one source row" in error


@pytest.mark.parametrize("model", [model for model in FAILED_MODELS if model != "merged_duplicates"])
def test_failed_model_shows_no_lineage_and_no_quarantine(audited, model):
    for view in ("column_lineage", "quarantine"):
        assert audited.project.value(f"select count(*) from {audited.store}.{view} where target_table = '{model}'") == 0


def test_lineage_of_the_last_good_run_stays_when_a_later_one_fails(audited):
    cells = audited.project.query(
        f"select target_pk, target_column, source_values_json from {audited.store}.column_lineage"
        " where target_table = 'merged_duplicates' order by target_column"
    )
    assert [tuple(cell.values()) for cell in cells] == [
        ("p1", "amount", '{"amount":"1"}'),
        ("p1", "payment_id", '{"payment_id":"p1"}'),
    ]


def test_hook_that_fails_after_success_does_not_undo_it(audited):
    run = run_of(audited, "late_hook")
    assert audited.first.statuses["late_hook"] == "error"
    assert (run["status"], run["input_record_count"], run["output_record_count"]) == ("SUCCESS", 4, 3)
    assert "no_such_column" in run["error_message"]
    assert audited.project.value(f"select count(*) from {audited.project.schema}.late_hook") == 3
    assert (
        audited.project.value(f"select count(*) from {audited.store}.column_lineage where target_table = 'late_hook'")
        == 6
    )


# --- successes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "counts"),
    [
        # input, filtered, rejected, output of the second attempt
        ("accepted", (5, 0, 1, 4)),
        ("ruled", (5, 0, 2, 3)),
        ("watermarked", (1, 0, 0, 1)),
        ("merged", (5, 0, 1, 4)),
    ],
)
def test_run_says_its_counts(audited, model, counts):
    run = run_of(audited, model)
    assert (run["status"], run["error_message"]) == ("SUCCESS", None)
    names = ("input_record_count", "filtered_record_count", "rejected_record_count", "output_record_count")
    assert tuple(run[name] for name in names) == counts


def test_run_says_what_it_was(audited):
    run = run_of(audited, "ruled")
    started, success = events_of(audited, "ruled")[-2:]
    checksum = hashlib.sha256(MODELS["ruled"].strip().encode()).hexdigest()
    user = "ada" if audited.project.engine == "duckdb" else audited.project.value("select current_user()")
    assert run["pipeline_name"] == "consumer"
    assert run["endpoint_name"] == "shop"
    assert run["source_system"] == "ShopService"
    assert run["target_relation"].endswith(f"{audited.project.schema}.ruled")
    assert run["code_version"] == checksum
    assert run["run_by"] == user
    assert run["run_start_ts"] == started["event_ts"]
    assert run["run_end_ts"] == success["event_ts"]
    for name in ("config_hash", "code_version", "run_by", "run_id", "invocation_id"):
        assert started[name] == success[name] == run[name]


def test_config_hash_leads_to_the_config_that_was_used(audited):
    kept = audited.project.query(
        f"select kind, target_column, business_rule_id, rule_category, severity from {audited.store}.config_version"
        f" where config_hash = '{run_of(audited, 'ruled')['config_hash']}' order by kind, column_position"
    )
    assert [tuple(row.values()) for row in kept] == [
        ("mapping", "order_id", None, None, None),
        ("mapping", "amount", None, None, None),
        ("rule", None, "AMOUNT_LARGE", "validation", "WARN"),
        ("rule", None, "AMOUNT_POSITIVE", "validation", "ERROR"),
        ("rule", None, "NOT_TOO_NEW", "filter", None),
    ]


def test_failed_event_says_what_it_was_too(audited):
    started, failed = events_of(audited, "failing_expression")[-2:]
    for name in ("config_hash", "code_version", "run_by", "pipeline_name", "endpoint_name", "source_system", "node_id"):
        assert failed[name] == started[name] is not None


def test_watermark_range(audited):
    ranges = [
        (event["event_type"], event["watermark_from"], event["watermark_to"])
        for event in events_of(audited, "watermarked")
    ]
    assert ranges == [
        ("STARTED", None, None),
        ("SUCCESS", None, "3"),
        ("STARTED", "3", None),
        ("SUCCESS", "3", "4"),
    ]
    run = run_of(audited, "watermarked")
    assert (run["watermark_from"], run["watermark_to"]) == ("3", "4")


# --- run_id and attempts -------------------------------------------------------------------------------------


def test_one_row_per_run_id_and_target(audited):
    attempts = {event["invocation_id"] for event in events_of(audited, "accepted")}
    assert len(attempts) == 2
    assert run_of(audited, "accepted")["invocation_id"] == events_of(audited, "accepted")[-1]["invocation_id"]


def test_of_two_attempts_that_wrote_the_whole_table_the_last_ones_lineage_counts(audited):
    keys = audited.project.query(
        f"select target_pk from {audited.store}.column_lineage where target_table = 'accepted' and run_id = '{RUN_ID}'"
        " and target_column = 'amount' order by target_pk"
    )
    assert [row["target_pk"] for row in keys] == ["o1", "o2", "o3", "o4"]


def test_of_two_attempts_that_appended_both_count(audited):
    keys = audited.project.query(
        f"select target_pk from {audited.store}.column_lineage where target_table = 'watermarked'"
        f" and run_id = '{RUN_ID}' and target_column = 'amount' order by target_pk"
    )
    assert [row["target_pk"] for row in keys] == ["o1", "o2", "o3", "o4"]


def test_run_id_is_dbts_invocation_id_and_code_version_a_var(audited):
    (run,) = audited.project.query(
        f"select * from {audited.store}.ingestion_run where target_table = 'accepted' and run_id not in ('{RUN_ID}', 'killed')"
    )
    assert run["run_id"] == run["invocation_id"]
    assert run["run_id"] == audited.project.value(
        f"select min(_lineage_run_id) from {audited.project.schema}.accepted where order_id = 'o1'"
    )
    assert run["code_version"] == "v7"


def test_start_without_end_is_interrupted_once_a_later_run_started(audited):
    assert audited.while_killed == "STARTED"
    run = run_of(audited, "accepted", "killed")
    assert (run["status"], run["error_message"], run["run_end_ts"]) == ("FAILED", "interrupted", None)


# --- statements ----------------------------------------------------------------------------------------------


def is_shared(sql: str) -> bool:
    """What the first model that runs looks up for all: the config tables, and what the store knows of every target."""
    return "as config_row" in sql or "as fact" in sql


@pytest.mark.parametrize(
    ("model", "plain", "most"),
    [
        ("accepted", "plain_table", 7),
        ("ruled", "plain_table", 10),
        ("merged", "plain_merge", 7),
        ("watermarked", "plain_append", 10),
    ],
)
def test_few_statements_per_model(audited, model, plain, most):
    for run in (audited.first, audited.second):
        own = [sql for sql in run.statements_of(model) if not is_shared(sql)]
        assert len(own) - len(run.statements_of(plain)) <= most, "\n\n".join(own)


def test_lookups_for_all_models_are_made_once(audited):
    """Threads that start together may each look: never more often than there are threads."""
    for run, threads in ((audited.first, 8), (audited.second, 8), (audited.third, 1)):
        shared = [each.sql for each in run.statements if is_shared(each.sql)]
        assert 2 <= len(shared) <= 2 * threads


def test_statements_at_start_and_end_do_not_grow_with_the_models(audited):
    def sent(run):
        return [each.sql for each in run.statements if (each.node or "").startswith("operation.lineage_audit.")]

    def models(run):
        return [name for name in run.statuses if name in MODELS]

    assert (len(models(audited.second)), len(models(audited.third))) == (8, 2)
    # At the start a look at the store's columns, at the end one INSERT for all that failed.
    assert len(sent(audited.second)) == len(sent(audited.third)) == 2
    assert ["insert into" in sql for sql in sent(audited.second)] == [False, True]
    # The first run made the tables of the store; its end is one statement, too, for six models that failed.
    assert [sql for sql in sent(audited.first) if "insert into" in sql] == sent(audited.first)[-1:]


# --- commands that build no models -------------------------------------------------------------------------------


def test_nothing_is_written_by_other_commands(audited):
    project = audited.project
    tables = ("run_event", "cell_lineage", "rejected_record", "closed_record", "rule_violation", "config_version")
    count = "select " + ", ".join(f"(select count(*) from {audited.store}.{table}) as {table}" for table in tables)
    before = project.query(count)
    commands = [("docs", "generate")]
    if project.engine == "duckdb":
        commands += [("seed",), ("test",), ("compile",), ("ls",), ("show", "--select", "accepted")]
    for command in commands:
        done = project.dbt(*command, vars=LATER)
        assert not [
            each.sql for each in done.statements if f"{project.schema}_audit" in each.sql and is_write(each.sql)
        ]
    assert project.query(count) == before


def is_write(sql: str) -> bool:
    words = sql.split("*/")[-1].split()
    return bool(words) and words[0].lower() in ("insert", "delete", "update", "merge", "create", "drop", "alter")
