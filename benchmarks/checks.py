"""What has to stand in the tables that a form wrote, before a figure of it is worth anything."""

from __future__ import annotations

import json
from collections.abc import Iterator

from forms import COLUMN_NAMES, COLUMNS, LINEAGE_TABLES, PLAIN, SOURCE_VALUES, Form
from project import Project
from source import REJECTED_SHARE, source_texts


class WrongResultError(Exception):
    """A form wrote something else than it has to: its figures would be worth nothing."""


def check(project: Project, form: Form) -> None:
    """Compares all that the last run of a form wrote with plain gold, and the lineage of some rows with Python."""
    for question, found, wanted in _answers(project, form):
        if found != wanted:
            raise WrongResultError(f"{project.engine.name}, {form.name}: {found} instead of {wanted} from\n{question}")


def _answers(project: Project, form: Form) -> Iterator[tuple[str, object, object]]:
    """A query, what it gives and what it has to give, one after the other."""
    gold, plain = f"{project.schema}.{form.name}", f"{project.schema}.{PLAIN}"
    audit, engine = f"{project.schema}_audit", project.engine
    refused = "array_contains(_lineage_failed_rules, 'AMOUNT_POSITIVE')" if form.rejected == "keep" else "false"
    plain_refused = "order_amount < 0" if form.rejected else "false"
    accepted = form.accepted(project.rows)

    def same(columns: list[str], where: str, plain_columns: list[str], plain_where: str):
        question = f"select {engine.fingerprint(columns)} from {gold} where {where}"
        expected = f"select {engine.fingerprint(plain_columns)} from {plain} where {plain_where}"
        return question, engine.query(question), engine.query(expected)

    def counted(question: str, wanted: int):
        return question, engine.query(question)[0][0], wanted

    yield counted(f"select count(*) from {plain}", project.rows)
    yield counted(f"select count(*) from {gold} where not {refused}", accepted)
    yield same(COLUMN_NAMES, f"not {refused}", COLUMN_NAMES, f"not {plain_refused}")
    if form.rejected == "keep":
        yield same(COLUMN_NAMES, refused, COLUMN_NAMES, plain_refused)
    if form.capture == "in_row":
        fields = [f"_lineage_source_values.{name}" for name in SOURCE_VALUES]
        yield same(fields, f"not {refused}", list(SOURCE_VALUES.values()), f"not {plain_refused}")

    last_run = f"target_table = '{form.name}' order by run_start_ts desc limit 1"
    counts = f"select status, output_record_count, rejected_record_count from {audit}.ingestion_run where {last_run}"
    yield counts, [tuple(row) for row in engine.query(counts)], [("SUCCESS", accepted, project.rows - accepted)]
    if form.rejected:
        listed = f"from {audit}.quarantine where target_table = '{form.name}' and array_contains(failed_rules, 'AMOUNT_POSITIVE')"
        yield counted(f"select count(*) {listed}", project.rows - accepted if form.rejected == "quarantine" else 0)

    run_id = engine.query(f"select run_id from {audit}.ingestion_run where {last_run}")[0][0]
    lineage = f"{audit}.column_lineage where target_table = '{form.name}' and run_id = '{run_id}'"
    copied = form.capture in LINEAGE_TABLES
    yield counted(f"select count(*) from {lineage}", accepted * len(COLUMNS) if copied else 0)
    if copied:
        table, rows_per_row = LINEAGE_TABLES[form.capture]
        attempt = (
            f"select max(attempt_id) from {audit}.run_event where target_table = '{form.name}' and run_id = '{run_id}'"
        )
        question = f"select count(*) from {audit}.{table} where attempt_id = ({attempt})"
        yield counted(question, accepted * rows_per_row)
        for number in (7, project.rows // 2 + 1, project.rows - 1):
            if number % REJECTED_SHARE:
                yield _sampled(project, lineage, number)


def _sampled(project: Project, lineage: str, number: int) -> tuple[str, object, object]:
    """The lineage of all columns of one order, and what it has to be."""
    texts = source_texts(number, project.keys)
    question = f"select target_column, source_values_json from {lineage} and target_pk = '{texts['order_id']}'"
    found = {column: json.loads(values) for column, values in project.engine.query(question)}
    return question, found, {name: {each: texts[each] for each in sources.split("|")} for name, sources, *_ in COLUMNS}
