"""Generated changes of generated mappings, judged by the oracle: what was logged replays, `what_if` says of each stored record what
the changed config makes of it, and after a run under that config `compare_runs` says what became of each.

`PROPERTY_SEED` and `PROPERTY_CASES` as for the generated mappings.
"""

from __future__ import annotations

import decimal
import json
import os
import random
from collections import Counter
from dataclasses import replace

import pytest
from cases import mapping_rows, model_sql, rule_rows
from oracle import (
    DIGITS,
    _latest,
    _mapped,
    _Writer,
    cell,
    evaluate,
    mapped_kind,
    ordered,
    strictest_marks,
    text_of,
)
from shapes import Case, Node, Rule
from test_mappings import chosen_seed, generated, make, numbered

pytestmark = pytest.mark.usefixtures("spark_of_people")

MODES = ("exploded", "compact", "in_row")
NUMBERS = ("int", "bigint", "decimal", "double")
COUNTS = {"duckdb": 16, "spark": 3}  # a case of each mode, where each costs seconds


def marked_columns(case: Case) -> set[str]:
    """The target columns that read a marked source column."""
    active = [column for column in case.columns if column.active is not False]
    marks = strictest_marks(active)
    return {
        column.name
        for column in case.columns
        if column.sensitivity not in (None, "none") or set(column.sources) & set(marks)
    }


def changed(case: Case, chance: random.Random) -> Case:
    """The case with some things in its config otherwise: none that needs values which are stored masked, and not the key."""
    marked = marked_columns(case)
    active = [column for column in case.columns if column.active is not False]
    used = list(dict.fromkeys(name for column in active for name in column.sources))
    marks = strictest_marks(active)
    clear = [name for name in used if name not in marks and case.source[name][0] not in ("list", "struct")]
    columns, rules = list(case.columns), list(case.rules)
    number = [0]

    def put(rule: Rule, **cells) -> None:
        rules[rules.index(rule)] = replace(rule, **cells)

    def add(category: str, expression: Node, severity: str | None = None) -> None:
        number[0] += 1
        rules.append(Rule(f"added {number[0]} {case.endpoint}", category, expression, severity))

    def is_there(name: str) -> Node:
        return Node("is not null", (Node("column", (name,)),))

    for _ in range(chance.randint(2, 5)):
        free = [column for column in columns if column.active is not False and not column.is_key]
        kind = chance.choice(
            [
                "required",
                "without default",
                "without rule",
                "without rule",
                "rule",
                "severity",
                "filter",
                "value",
                "value",
            ]
        )
        if kind == "required" and free:
            column = chance.choice(free)
            columns[columns.index(column)] = replace(column, nullable=column.nullable is False)
        elif kind == "without default":
            of = {column.default_rule for column in columns if column.default_rule}
            nested = {
                column.name
                for column in columns
                if column.active is not False
                and any(case.source[name][0] in ("list", "struct") for name in column.sources)
            }
            bound = {column.default_rule for column in columns if column.is_key or column.name in marked | nested}
            defaults = [rule for rule in rules if rule.id in of - bound and rule.active is not False]
            if defaults:
                put(chance.choice(defaults), active=False)
        elif kind in ("without rule", "severity"):
            rest = [rule for rule in rules if rule.category == "validation" and rule.active is not False]
            judged = [rule for rule in rest if not rule.expression.columns() & marked]
            if kind == "severity" and judged:
                rule = chance.choice(judged)
                put(rule, severity="WARN" if rule.severity == "ERROR" else "ERROR")
            elif rest:
                put(chance.choice(rest), active=False)
        elif kind == "rule":
            names = [column.name for column in free if column.name not in marked]
            if names:
                add("validation", is_there(chance.choice(names)), chance.choice(["ERROR", "WARN"]))
        elif kind == "filter" and clear:
            add("filter", is_there(chance.choice(clear)))
        elif kind == "value" and clear:
            named = set().union(*(rule.expression.columns() for rule in rules if rule.category == "validation"), set())
            others = [column for column in free if column.name not in named | marked and not column.default]
            if others:
                column, source = chance.choice(others), chance.choice(clear)
                columns[columns.index(column)] = replace(
                    column,
                    expression=None,
                    derived_by=None,
                    named_rules=(),
                    sources=(source,),
                    spelled=(source,),
                    kind=None,
                )
    return replace(case, columns=tuple(columns), rules=tuple(rules))


def looked_at(case: Case, engine: str) -> tuple[list[dict], list, dict]:
    """Each row of the source under this config: {outcome, mapped, reasons, warnings, row, place}; the columns, the rules by id."""
    columns = ordered([column for column in case.columns if column.active is not False])
    rules = [rule for rule in case.rules if rule.active is not False]
    by_id = {cell(rule.id): rule for rule in rules}
    acting = [rule for rule in rules if rule.applies_to != "other"]
    filters = [rule for rule in acting if rule.category == "filter"]
    validations = [rule for rule in acting if rule.category == "validation"]
    records = []
    for place, values in enumerate(case.rows):
        row = dict(zip(case.source, values, strict=True))
        record = _mapped(row, columns, by_id, validations, case, engine)
        outcome = "refused" if record["reasons"] else "accepted"
        if any(evaluate(rule.expression, row) is not True for rule in filters):
            outcome = "filtered"
        records.append({**record, "place": place, "outcome": outcome})
    return records, columns, by_id


def expected(case: Case, then: Case, engine: str, key: str, mode: str) -> Counter:
    """The rows that what_if_sql has to give, worked out from the source."""
    with decimal.localcontext(prec=DIGITS):
        was, columns, by_id = looked_at(case, engine)
        now, columns_then, by_id_then = looked_at(then, engine)
        write = _Writer(case, columns, by_id, strictest_marks(columns), engine, key)
        gold = [record for record in was if record["outcome"] == "accepted"]
        if case.latest_by:
            gold, _ = _latest(gold, columns, case.latest_by)
        keys = {record["place"]: json_key(write._target_pk(record)) for record in gold}
        # Rows that share a key share their lineage, where any of it is needed.
        marks, marked = strictest_marks(columns), marked_columns(case)
        filters = [
            rule.expression.columns()
            for rule in then.rules
            if rule.category == "filter" and rule.active is not False and rule.applies_to != "other"
        ]
        needed = {name for column in columns_then if column.name not in marked for name in column.sources}
        needed |= {name for names in filters if names <= set(write.used) - set(marks) for name in names}
        shared = {each for each, count in Counter(keys.values()).items() if count > 1 and needed and mode != "in_row"}
        names = [column.name for column in columns_then]
        found: Counter = Counter()
        for record in gold:
            place, pk, after = "gold", keys[record["place"]], now[record["place"]]
            if pk in shared:
                found[place, pk, "not_evaluated", None, None, None, "key_not_unique"] += 1
            elif after["outcome"] == "filtered":
                found[place, pk, "filtered", None, None, None, None] += 1
            elif after["outcome"] == "refused":
                found.update((place, pk, "refused", None, None, None, reason) for reason in after["reasons"])
            else:
                for column in columns_then:
                    before = next(each for each in columns if each.name == column.name)
                    kinds = mapped_kind(before, case, by_id), mapped_kind(column, then, by_id_then)
                    texts = [
                        text_of(side["mapped"][column.name], kind, engine)
                        for side, kind in zip((record, after), kinds, strict=True)
                    ]
                    if kinds[0] != kinds[1] and {kind[0] for kind in kinds} <= set(NUMBERS):
                        differ = plain_number(texts[0]) != plain_number(texts[1])
                    else:
                        differ = texts[0] != texts[1]
                    if differ:
                        found[place, pk, "changed", column.name, *texts, None] += 1
                for rule in set(after["warnings"]) - set(record["warnings"]):
                    found[place, pk, "warned", None, None, None, rule] += 1
                for rule in set(record["warnings"]) - set(after["warnings"]):
                    found[place, pk, "no_longer_warned", None, None, None, rule] += 1
        assert set(names) == {column.name for column in columns}
        refused = {}
        for record in was:
            if record["outcome"] == "refused":
                refused.setdefault(write.rejected(record), record)
        for record in refused.values():
            after = now[record["place"]]
            pk, before = json_key(write._target_pk(record)), sorted(record["reasons"])
            reasons = sorted(after["reasons"]) if after["outcome"] == "refused" else []
            change = {"accepted": "released", "refused": "refused_otherwise"}.get(after["outcome"], "filtered")
            if reasons != before:
                found["quarantine", pk, change, None, json.dumps(before), json.dumps(reasons), None] += 1
        return found


def plain_number(text: str | None) -> str | None:
    return text.rstrip("0").rstrip(".") if text and "." in text and "e" not in text.lower() else text


def json_key(target_pk) -> str | None:
    if isinstance(target_pk, tuple):
        return json.dumps(list(target_pk[1:]))
    return target_pk


def given(row: dict, columns: int) -> tuple:
    """A row that what_if_sql gave, as `expected` writes it."""

    def listed(text: str | None) -> str | None:
        return text if text is None or row["place"] == "gold" else json.dumps(sorted(json.loads(text)))

    pk = row["target_pk"]
    if columns > 1 and pk is not None:
        pk = json.dumps(json.loads(pk))
    return (
        row["place"],
        pk,
        row["change"],
        row["target_column"],
        listed(row["before_value"]),
        listed(row["after_value"]),
        row["reason"],
    )


def compared(case: Case, then: Case, engine: str, key: str) -> tuple[Counter, set, set]:
    """The rows that compare_runs_sql has to give of records whose key no other row of the source has, and of columns that are
    nowhere marked, if the table is built under the one config and then under the other; those keys, and those columns."""
    with decimal.localcontext(prec=DIGITS):
        sides = []
        for config in (case, then):
            records, columns, by_id = looked_at(config, engine)
            write = _Writer(config, columns, by_id, strictest_marks(columns), engine, key)
            kinds = {column.name: mapped_kind(column, config, by_id) for column in columns}
            sides.append((records, [json_key(write._target_pk(record)) for record in records], kinds))
        (was, keys, kinds), (now, keys_then, kinds_then) = sides
        rows_of: dict[str, set] = {}
        for place, pair in enumerate(zip(keys, keys_then, strict=True)):
            for pk in pair:
                rows_of.setdefault(pk, set()).add(place)
        single = {pk for pk, places in rows_of.items() if pk is not None and len(places) == 1}
        names = set(kinds) - marked_columns(case) - marked_columns(then)
        found: Counter = Counter()
        for before, after, pk in zip(was, now, keys, strict=True):
            if pk not in single:
                continue
            outcomes = before["outcome"], after["outcome"]
            if outcomes == ("accepted", "accepted"):
                for name in names:
                    texts = (
                        text_of(before["mapped"][name], kinds[name], engine),
                        text_of(after["mapped"][name], kinds_then[name], engine),
                    )
                    if texts[0] != texts[1]:
                        found["changed", pk, name, *texts, ("config",), ()] += 1
            elif outcomes[0] == "accepted":
                reasons = after["reasons"] if outcomes[1] == "refused" else []
                found["refused" if reasons else "gone", pk, None, None, None, (), tuple(sorted(reasons))] += 1
            elif outcomes[1] == "accepted":
                reasons = before["reasons"] if outcomes[0] == "refused" else []
                found["released" if reasons else "added", pk, None, None, None, (), tuple(sorted(reasons))] += 1
        return found, single, names


def comparison(row: dict, columns: int) -> tuple:
    """A row that compare_runs_sql gave, as `compared` writes it."""
    pk = row["target_pk"]
    if columns > 1 and pk is not None:
        pk = json.dumps(json.loads(pk))
    values = (row["target_column"], row["from_value"], row["to_value"])
    return (row["change"], pk, *values, tuple(row["causes"]), tuple(sorted(row["failed_rules"])))


def ask(project, models: dict[str, str]) -> None:
    """Build the models, which ask something of the tables of the cases."""
    for name, sql in models.items():
        project.write(f"models/asked/{name}.sql", sql)
    asked = project.dbt("run", "--select", *models, "--threads", "2", check=False)
    assert asked.success, asked.messages
    for name in models:
        project.remove(f"models/asked/{name}.sql")


def test_generated_changes(make_project, engine, hash_key):
    seed_number = chosen_seed()
    print(f"seed {seed_number}")
    chance = random.Random(seed_number)
    count = int(os.environ.get("PROPERTY_CASES", COUNTS[engine]))
    batch = [numbered(case, place) for place, case in enumerate(generated(count, seed_number))]
    edited = [changed(case, chance) for case in batch]
    project = make(make_project, engine, batch)
    mode_of = [MODES[place % len(MODES)] for place in range(len(batch))]
    for place, case in enumerate(batch):
        sql = model_sql(case, f"s{place}").removesuffix(") }}")
        project.write(f"models/m{place}.sql", f"{sql}, capture='{mode_of[place]}') }}}}")
    replayed = [{"name": f"m{place}", "data_tests": ["lineage_audit.lineage_replays"]} for place in range(len(batch))]
    project.write("models/replayed.yml", {"version": 2, "models": replayed})
    built = project.dbt("build", check=False)
    assert built.success, built.messages

    # The seeds of a changed project, into a schema beside the loaded ones.
    project.write("seeds/field_mapping.csv", [row for case in edited for row in mapping_rows(case, engine)])
    project.write("seeds/business_rules.csv", [row for case in edited for row in rule_rows(case, engine)])
    profile = project.workspace / "profiles.yml"
    text = profile.read_text()
    project.write_file(profile, text.replace(f"schema: {project.schema}", f"schema: {project.schema}_edited"))
    project.dbt("seed", "--select", "field_mapping", "business_rules")
    project.write_file(profile, text)
    places = range(len(batch))
    what_if = "{{{{ lineage_audit.what_if_sql('m{}', config_schema='{}_edited') }}}}"
    ask(project, {f"w{place}": what_if.format(place, project.schema) for place in places})
    # And then for good.
    run = project.dbt("build", check=False)
    assert run.success, run.messages
    copied = [place for place in places if mode_of[place] != "in_row"]
    ask(project, {f"c{place}": f"{{{{ lineage_audit.compare_runs_sql('m{place}') }}}}" for place in copied})

    happened: Counter = Counter()
    wrong = []
    for place, (case, then) in enumerate(zip(batch, edited, strict=True)):
        key_columns = sum(column.is_key for column in case.columns if column.active is not False)
        answers = []
        wanted = expected(case, then, engine, hash_key, mode_of[place])
        found = Counter(given(row, key_columns) for row in project.query(f"select * from {project.schema}.w{place}"))
        answers.append(("what_if", found, wanted))
        happened.update(f"what if: {each[2]}" for each in wanted.elements())
        if place in copied:
            wanted, keys, names = compared(case, then, engine, hash_key)
            told = [comparison(row, key_columns) for row in project.query(f"select * from {project.schema}.c{place}")]
            found = Counter(each for each in told if each[1] in keys and (each[2] is None or each[2] in names))
            answers.append(("compare_runs", found, wanted))
            happened.update(f"then: {each[0]}" for each in wanted.elements())
        for question, found, wanted in answers:
            if found != wanted:
                more, less = found - wanted, wanted - found
                wrong.append(f"{question}, case {place}, {mode_of[place]}: more {more}, less {less}\n{case}\n{then}")
    print(f"{engine}, seed {seed_number}: {len(batch)} changes; {dict(sorted(happened.items()))}")
    if wrong:
        pytest.fail(
            f"seed {seed_number}: {len(wrong)} answers about {len(batch)} changes; one of them:\n{min(wrong, key=len)}",
            pytrace=False,
        )
