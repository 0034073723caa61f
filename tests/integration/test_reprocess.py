"""Quarantine that can be worked off: refuse, look, mend, reprocess, empty; on every incremental strategy, in every
capture mode, and where refused records stay in the table.

One project per engine lives through the runs below, in order; each fixture is a run, and the tests look at what it left.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from mapped_cases import create_source, insert_into_source, mapped_columns, rule, source_properties

EVENT_TYPES = {
    "id": "string", "amount": "string", "region": "string", "kind": "string", "alt": "string", "loaded_at": "timestamp",
}  # fmt: skip

STRATEGIES = {
    "duckdb": {
        "gold_append": "append",
        "gold_kept": "append",
        "gold_merge": "merge",
        "gold_delete_insert": "delete+insert",
    },
    "spark": {
        "gold_append": "append",
        "gold_kept": "append",
        "gold_merge": "merge",
        "gold_overwrite": "insert_overwrite",
    },
}
MODES = {
    "gold_kept": ", rejected='keep'",
    "gold_merge": ", capture='compact'",
    "gold_delete_insert": ", capture='in_row'",
    "gold_overwrite": ", capture='in_row'",
}
BREAKS = "{% if var('break', false) %}drop table the_hook_of_the_user_fails{% endif %}"
REPROCESS = {"lineage_audit_reprocess": True}


def event(key: str | None, amount: str, day: int, kind: str = "real", alt: str | None = None) -> tuple:
    return (key, amount, "north", kind, alt, f"sql:timestamp '2024-03-{day:02} 00:00:00'")


EVENTS = [
    event("a", "10", 1),
    event("b", "x", 1),
    event("c", "5", 1),
    event("c", "y", 2),
    event(None, "7", 1, alt="n"),
    event("d", "z", 1),
    event("e", "w", 1, kind="test"),
    event("g", "v", 1),
    event("h", "-1", 1),
]


def views(engine: str) -> dict[str, str]:
    """What shows the refused records of the table that keeps them, and the lineage of the one that copies none."""
    (in_row,) = (name for name in STRATEGIES[engine] if "in_row" in MODES.get(name, ""))
    return {
        "refused_rows": "{{ lineage_audit.rejected_rows(ref('gold_kept')) }}",
        f"lineage_of_{in_row}": f"{{{{ lineage_audit.column_lineage_of(ref('{in_row}')) }}}}",
    }


def model(name: str, strategy: str) -> str:
    config = {"materialized": "incremental", "incremental_strategy": strategy, "post_hook": BREAKS}
    items = [f'{name}="{value}"' for name, value in config.items()]
    if strategy in ("merge", "delete+insert"):
        items.append("unique_key=['id']")
    if strategy == "insert_overwrite":
        items.append("partition_by=['region']")
    return (
        f"{{{{ config({', '.join(items)}) }}}}\n"
        "{{ lineage_audit.mapped_model('events', source=source('raw', 'events'), watermark='loaded_at'"
        f"{MODES.get(name, '')}) }}}}\n"
    )


def mapping(engine: str, key_columns: str = "id", key_rule: str | None = None) -> list[dict]:
    rows = []
    for target in STRATEGIES[engine]:
        rows += mapped_columns(
            "events",
            target,
            ("id", key_columns, {"is_primary_key": True, "transform_expr": "id", "business_rule_id": key_rule}),
            ("amount", "amount", {"data_type": "int"}),
            ("region", "region"),
        )
    return rows


def positive(least: int) -> dict:
    return rule(
        "V_AMOUNT", "events", "validation", f"amount >= {least}", severity="ERROR", message="The amount's too small."
    )


@pytest.fixture(scope="module")
def project(make_project, engine):
    project = make_project(
        engine,
        models={name: model(name, strategy) for name, strategy in STRATEGIES[engine].items()} | views(engine),
        properties=source_properties("events"),
        api_endpoints=[{"endpoint_name": "events"}],
        field_mapping=mapping(engine),
        business_rules=[positive(0)],
        name="reprocess",
    )
    create_source(project, "events", EVENT_TYPES, EVENTS)
    return project


@dataclass
class State:
    """What each target holds: gold as sorted (id, amount), open records as {record key or 'no key': reasons}."""

    gold: dict[str, list[tuple]]
    open: dict[str, dict[str, list[str]]]
    counts: dict[str, tuple]
    closed: dict[str, dict[str, str]]
    lineage: dict[str, list[str]]

    @classmethod
    def of(cls, project) -> State:
        audit, targets = f"{project.schema}_audit", STRATEGIES[project.engine]
        gold: dict[str, list] = {}
        lineage: dict[str, list] = {name: [] for name in targets}
        held: dict[str, set] = {}
        open_records: dict[str, dict] = {name: {} for name in targets}
        closed: dict[str, dict] = {name: {} for name in targets}
        for name in targets:
            rows = project.query(f"select * from {project.schema}.{name}")
            gold[name] = sorted((row["id"], row["amount"]) for row in rows if not row.get("_lineage_failed_rules"))
            held[name] = {(row["id"], row["_lineage_run_id"]) for row in rows}
        # Of all targets at once: a query of a view takes its time on Spark.
        runs = project.query(f"select * from {audit}.ingestion_run order by run_start_ts")
        counts = {
            row["target_table"]: tuple(
                row[f"{kind}_record_count"] for kind in ("input", "filtered", "rejected", "output")
            )
            for row in runs
        }
        shown = [f"{audit}.column_lineage"]
        shown += [f"{project.schema}.lineage_of_{name}" for name in targets if "in_row" in MODES.get(name, "")]
        for view in shown:
            cells = (
                f"select target_table, target_pk, run_id from {view} where target_column = 'amount' order by target_pk"
            )
            for row in project.query(cells):
                if (row["target_pk"], row["run_id"]) in held[row["target_table"]]:
                    lineage[row["target_table"]].append(row["target_pk"])
        open_rows = project.query(f"select * from {audit}.quarantine")
        for row in open_rows + project.query(f"select * from {project.schema}.refused_rows"):
            key = row["target_pk"] or "no key"
            assert key not in open_records[row["target_table"]], f"{key} is open twice"
            open_records[row["target_table"]][key] = list(row["failed_rules"])
        for row in project.query(f"select * from {audit}.closed_record"):
            name = row["target_relation"].split(".")[-1]
            key = row["record_key"] if len(row["record_key"]) == 1 else "no key"
            closed[name].setdefault(key, row["closed_as"])
        return cls(gold, open_records, counts, closed, lineage)


REFUSED = {
    "b": ["cast:amount"], "c": ["cast:amount"], "no key": ["not_null:id"], "d": ["cast:amount"], "e": ["cast:amount"],
    "g": ["cast:amount"], "h": ["V_AMOUNT"],
}  # fmt: skip


@pytest.fixture(scope="module")
def first(project):
    project.dbt("seed")
    project.dbt("run")
    return State.of(project)


def test_what_is_refused_is_open(project, first):
    for name in STRATEGIES[project.engine]:
        assert first.gold[name] == [("a", 10), ("c", 5)]
        assert first.open[name] == REFUSED


@pytest.fixture(scope="module")
def mended(project, first):
    """Config and data are mended, one record is dismissed, and a run without the var looks at what is new: a version of h."""
    project.execute(
        f"update {project.schema}_raw.events set amount = '11' where id = 'b'",
        f"update {project.schema}_raw.events set amount = '6' where id = 'c' and amount = 'y'",
    )
    default = rule("D_ID", "events", "default", "alt")
    project.write("seeds/field_mapping.csv", mapping(project.engine, "id|alt", "D_ID"))
    project.write(
        "seeds/business_rules.csv", [positive(-5), default, rule("F_KIND", "events", "filter", "kind <> 'test'")]
    )
    for name in STRATEGIES[project.engine]:
        project.dbt(
            "run-operation",
            "lineage_audit.dismiss",
            "--args",
            f"{{target_table: {name}, record_key: g, reason: \"O'Hara says it's a test\", closed_by: jane}}",
        )
    project.dbt("seed", "--full-refresh")
    return State.of(project)


def test_who_dismisses_a_record_is_kept_with_the_reason(project, mended):
    for name in STRATEGIES[project.engine]:
        assert mended.open[name] == {key: why for key, why in REFUSED.items() if key != "g"}
    rows = project.query(f"select * from {project.schema}_audit.closed_record where closed_as = 'dismissed'")
    assert {(row["record_key"], row["closed_by"], row["reason"]) for row in rows} == {
        ("g", "jane", "O'Hara says it's a test")
    }


UNDISMISSABLE = {
    "{target_table: gold_append, record_key: a, reason: r}": "'a' is not in quarantine",
    "{target_table: gold_apend, record_key: b, reason: r}": "Did you mean gold_append",
    "{target_table: gold_append, record_key: b, reason: ''}": "A reason is missing",
    "{target_table: gold_append, reason: r}": "Name what is to be dismissed",
    "{target_table: gold_append, failed_rule: V_AMOUT, reason: r}": "Did you mean V_AMOUNT",
}


def test_what_cannot_be_dismissed_is_said(project, mended):
    # Only the look into the store differs by engine.
    for arguments in UNDISMISSABLE if project.engine == "duckdb" else list(UNDISMISSABLE)[:1]:
        failed = project.dbt("run-operation", "lineage_audit.dismiss", "--args", arguments, check=False)
        assert not failed.success
        assert UNDISMISSABLE[arguments] in failed.messages
    assert State.of(project).open == mended.open


@pytest.fixture(scope="module")
def reprocessed(project, mended):
    insert_into_source(project, "events", [event("h", "3", 9)])
    project.dbt("run", vars=REPROCESS)
    return State.of(project)


def test_mended_records_come_into_gold(project, reprocessed):
    merged = [("a", 10), ("b", 11), ("c", 6), ("h", 3), ("n", 7)]
    appended = sorted([*merged, ("c", 5), ("h", -1)])
    for name, strategy in STRATEGIES[project.engine].items():
        assert reprocessed.gold[name] == (merged if strategy in ("merge", "delete+insert") else appended), name


def test_every_row_in_gold_has_its_lineage_once(project, reprocessed):
    for name in STRATEGIES[project.engine]:
        assert reprocessed.lineage[name] == [key for key, _ in reprocessed.gold[name]], name


def test_what_is_read_again_is_counted(project, reprocessed):
    expected = {
        "append": (7, 1, 1, 5),
        "merge": (6, 1, 1, 4),
        "delete+insert": (6, 1, 1, 4),
        "insert_overwrite": (10, 1, 2, 7),
    }
    for name, strategy in STRATEGIES[project.engine].items():
        assert reprocessed.counts[name] == expected[strategy], name


def test_only_what_is_still_refused_stays_open(project, reprocessed):
    for name, strategy in STRATEGIES[project.engine].items():
        # A run that reads everything refuses the dismissed record once more, now with a further source value.
        opened_anew = {"g": ["cast:amount"]} if strategy == "insert_overwrite" else {}
        assert reprocessed.open[name] == {"d": ["cast:amount"], **opened_anew}, name


def test_records_close_as_what_became_of_them(project, reprocessed):
    for name in STRATEGIES[project.engine]:
        assert reprocessed.closed[name] == {
            "b": "accepted", "c": "accepted", "no key": "accepted", "e": "filtered", "g": "dismissed", "h": "accepted",
        }  # fmt: skip


@pytest.fixture(scope="module")
def again(project, reprocessed):
    project.dbt("run", vars=REPROCESS)
    return State.of(project)


def test_reprocessing_twice_gives_the_same_as_once(project, reprocessed, again):
    assert again.gold == reprocessed.gold
    assert again.open == reprocessed.open


@pytest.fixture(scope="module")
def arrived(project, again):
    """d comes anew, mended at its source; a new version of a is refused, and mended in place afterwards."""
    insert_into_source(project, "events", [event("d", "9", 10), event("a", "bad", 11)])
    project.dbt("run", "--exclude", "gold_overwrite")
    state = State.of(project)
    project.execute(f"update {project.schema}_raw.events set amount = '12' where id = 'a' and amount = 'bad'")
    return state


def test_a_record_that_arrives_mended_closes_by_itself(project, arrived):
    for name, strategy in STRATEGIES[project.engine].items():
        if strategy != "insert_overwrite":
            assert arrived.open[name] == {"a": ["cast:amount"]}, name
            assert ("d", 9) in arrived.gold[name]
            assert ("a", 10) in arrived.gold[name]


@pytest.fixture(scope="module")
def recovered(project, arrived):
    """A reprocessing run dies after it wrote gold; a run without the var follows, and then one with it."""
    broken = project.dbt("run", "--exclude", "gold_overwrite", vars={**REPROCESS, "break": True}, check=False)
    assert not broken.success
    project.dbt("run", "--exclude", "gold_overwrite")
    between = State.of(project)
    project.dbt("run", "--exclude", "gold_overwrite", vars=REPROCESS)
    return between, State.of(project)


def test_a_reprocessing_run_that_dies_loses_nothing(project, recovered):
    between, after = recovered
    for name, strategy in STRATEGIES[project.engine].items():
        if strategy == "insert_overwrite":
            continue
        held = dict(sorted(between.gold[name], key=str))
        assert held["a"] in (10, 12), name
        of_a = [amount for key, amount in after.gold[name] if key == "a"]
        assert sorted(of_a) == ([10, 12] if strategy == "append" else [12]), name
        assert after.open[name] == {}, name
        others = [row for row in after.gold[name] if row[0] != "a"]
        assert others == [row for row in between.gold[name] if row[0] != "a"], name


def test_all_records_of_a_reason_are_dismissed_at_once(project, recovered):
    insert_into_source(
        project, "events", [event("y", "-9", 20), event("x", "-8", 20), event("x", "-7", 20), event("v", "no", 20)]
    )
    project.dbt("run", "--select", "gold_append")
    said = project.dbt(
        "run-operation",
        "lineage_audit.dismiss",
        "--args",
        "{target_table: gold_append, failed_rule: [V_AMOUNT], reason: refunds}",
    )
    assert "dismissed 2 records" in said.output
    assert State.of(project).open["gold_append"] == {"v": ["cast:amount"]}
