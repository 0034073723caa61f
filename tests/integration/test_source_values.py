"""Source values as lossless texts, names and texts that SQL would misread, and wide tables.

All of it is built under a session time zone with daylight saving, and read under UTC.
"""

from __future__ import annotations

import json

import pytest
from mapped_cases import counts, create_source, mapped_columns, quoted, rule, session_zone, source_properties, table_of

pytestmark = pytest.mark.usefixtures("spark_of_people")

ZONE = "America/New_York"  # 2024-11-03 05:30 and 06:30 in UTC are both 01:30 there

# --- values of every type ----------------------------------------------------------------------------------------

DIGITS_38 = "1." + "2345678901" * 3 + "2345678"
MEGABYTE = "x" * 1_048_576

# name: (type, a source value of record 1, 2 and 3 as SQL, and the text that each must be)
VALUES = {
    "duckdb": {
        "dec38": (
            "decimal(38,37)",
            [f"{DIGITS_38}::decimal(38,37)", "0", "-9.0::decimal(38,37)"],
            [DIGITS_38, "0." + "0" * 37, "-9." + "0" * 37],
        ),
        "dec18": ("decimal(18,2)", ["1.5", "0", "-1234567890123456.78"], ["1.50", "0.00", "-1234567890123456.78"]),
        "whole": (
            "hugeint",
            ["170141183460469231731687303715884105727", "0", "-1"],
            ["170141183460469231731687303715884105727", "0", "-1"],
        ),
        "dbl": ("double", ["0.1", "1e300", "'nan'"], ["0.1", "1e+300", "nan"]),
        "dbl2": ("double", ["'inf'", "'-inf'", "4.9e-324"], ["inf", "-inf", "5e-324"]),
        "flt": ("float", ["0.1", "1", "16777216"], ["0.1", "1.0", "16777216.0"]),
        "day": ("date", ["'0001-01-01'", "'9999-12-31'", "'2024-02-29'"], ["0001-01-01", "9999-12-31", "2024-02-29"]),
        "at": (
            "timestamp",
            ["'0001-01-01 00:00:00'", "'9999-12-31 23:59:59.999999'", "'2024-03-10 02:30:00.000001'"],
            ["0001-01-01T00:00:00.000000", "9999-12-31T23:59:59.999999", "2024-03-10T02:30:00.000001"],
        ),
        "instant": (
            "timestamptz",
            ["'2024-11-03 05:30:00.5Z'", "'2024-11-03 06:30:00.5Z'", "'0001-01-01 12:00:00Z'"],
            ["2024-11-03T05:30:00.500000", "2024-11-03T06:30:00.500000", "0001-01-01T12:00:00.000000"],
        ),
        "clock": ("time", ["'12:30:00.000001'", "'00:00:00'", "'23:59:59'"], ["12:30:00.000001", "00:00:00", "23:59:59"]),
        "bytes": ("blob", ["'\\x00\\xFF'::blob", "''::blob", "'ab'::blob"], ["AP8=", "", "YWI="]),
        "flag": ("boolean", ["true", "false", "true"], ["true", "false", "true"]),
        "ident": (
            "uuid",
            [f"'00000000-0000-0000-0000-00000000000{place}'" for place in (1, 2, 3)],
            [f"00000000-0000-0000-0000-00000000000{place}" for place in (1, 2, 3)],
        ),
        "nested": (
            'struct(a int, "B b" varchar, c decimal(5,2)[], "at" timestamptz, d date, dbl double)',
            [
                """{'a': 1, 'B b': 'x"y', 'c': [1.5, null], 'at': timestamptz '2024-11-03 06:30:00Z', 'd': date '0001-01-01', 'dbl': 0.5}""",
                "{'a': null, 'B b': null, 'c': null, 'at': null, 'd': null, 'dbl': null}",
                "{'a': 3, 'B b': 'null', 'c': [], 'at': null, 'd': null, 'dbl': 'nan'::double}",
            ],
            [
                {"a": 1, "B b": 'x"y', "c": ["1.50", None], "at": "2024-11-03T06:30:00.000000", "d": "0001-01-01", "dbl": "0.5"},
                {"a": None, "B b": None, "c": None, "at": None, "d": None, "dbl": None},
                {"a": 3, "B b": "null", "c": [], "at": None, "d": None, "dbl": "nan"},
            ],
        ),
        "list": ("varchar[]", ["['a', null, 'null', '', 'é🦆']", "[]::varchar[]", "[null]"], [["a", None, "null", "", "é🦆"], [], [None]]),
        "map": (
            "map(varchar, double)",
            ["map {'k': 0.5, 'n': null}", "map {}", """map {'q"': 1}"""],
            [{"k": "0.5", "n": None}, {}, {'q"': "1.0"}],
        ),
    },
    "spark": {
        "dec38": (
            "decimal(38,37)",
            [f"{DIGITS_38}BD", "0", "-9"],
            [DIGITS_38, "0." + "0" * 37, "-9." + "0" * 37],
        ),
        "dec18": ("decimal(18,2)", ["1.5", "0", "-1234567890123456.78"], ["1.50", "0.00", "-1234567890123456.78"]),
        "dec38whole": ("decimal(38,0)", ["'" + "9" * 38 + "'", "0", "-1"], ["9" * 38, "0", "-1"]),
        "whole": ("bigint", ["9223372036854775807", "0", "-1"], ["9223372036854775807", "0", "-1"]),
        "dbl": ("double", ["0.1", "1e300", "'NaN'"], ["0.1", "1.0E300", "NaN"]),
        "dbl2": ("double", ["'Infinity'", "'-Infinity'", "4.9e-324"], ["Infinity", "-Infinity", "4.9E-324"]),
        "flt": ("float", ["0.1", "1", "16777216"], ["0.1", "1.0", "1.6777216E7"]),
        "day": ("date", ["'0001-01-01'", "'9999-12-31'", "'2024-02-29'"], ["0001-01-01", "9999-12-31", "2024-02-29"]),
        "at": (
            "timestamp_ntz",
            ["'0001-01-01 00:00:00'", "'9999-12-31 23:59:59.999999'", "'2024-03-10 02:30:00.000001'"],
            ["0001-01-01T00:00:00.000000", "9999-12-31T23:59:59.999999", "2024-03-10T02:30:00.000001"],
        ),
        "instant": (
            "timestamp",
            ["'2024-11-03 05:30:00.5Z'", "'2024-11-03 06:30:00.5Z'", "'0001-01-01 12:00:00Z'"],
            ["2024-11-03T05:30:00.500000", "2024-11-03T06:30:00.500000", "0001-01-01T12:00:00.000000"],
        ),
        "instant2": (
            "timestamp",
            ["'9999-12-31 23:59:59.999999Z'", "'1969-12-31 23:59:59.999999Z'", "'1900-01-01 00:00:00.000001Z'"],
            ["9999-12-31T23:59:59.999999", "1969-12-31T23:59:59.999999", "1900-01-01T00:00:00.000001"],
        ),
        "bytes": ("binary", ["X'00FF'", "X''", "'ab'"], ["AP8=", "", "YWI="]),
        "flag": ("boolean", ["true", "false", "true"], ["true", "false", "true"]),
        "nested": (
            "struct<a: int, Bb: string, c: array<decimal(5,2)>, at: timestamp, d: date, dbl: double>",
            [
                """named_struct('a', 1, 'Bb', 'x"y', 'c', array(1.5, null), 'at', timestamp '2024-11-03 06:30:00Z', 'd', date '0001-01-01', 'dbl', 0.5D)""",
                "named_struct('a', null, 'Bb', null, 'c', null, 'at', null, 'd', null, 'dbl', null)",
                "named_struct('a', 3, 'Bb', 'null', 'c', array(), 'at', null, 'd', null, 'dbl', double('NaN'))",
            ],
            [
                {"a": 1, "Bb": 'x"y', "c": ["1.50", None], "at": "2024-11-03T06:30:00.000000", "d": "0001-01-01", "dbl": "0.5"},
                {"a": None, "Bb": None, "c": None, "at": None, "d": None, "dbl": None},
                {"a": 3, "Bb": "null", "c": [], "at": None, "d": None, "dbl": "NaN"},
            ],
        ),
        "list": (
            "array<string>",
            ["array('a', null, 'null', '', 'é🦆')", "array()", "array(null)"],
            [["a", None, "null", "", "é🦆"], [], [None]],
        ),
        "map": (
            "map<string, double>",
            ["map('k', 0.5D, 'n', null)", "map()", """map('q"', 1D)"""],
            [{"k": "0.5", "n": None}, {}, {'q"': "1.0"}],
        ),
    },
}  # fmt: skip

# Texts that are easily taken for something else; the last one is long.
TEXTS = ["null", "None", "", " ", "NaN", 'it\'s "q" \\ \n\t\r🦆\u0001', MEGABYTE]

# --- names -------------------------------------------------------------------------------------------------------

# source column: (target column, the expression in the engine's quotes, or none)
NAMES = {
    "Order Id": ("Order Id", None),
    "select": ("group", None),
    'a"b': ('say "hi"', None),
    "tick`s": ("tick`s", "{tick`s} || '-' || {x,y}"),
    "x,y": ("x, y", None),
    "größe": ("größe", None),
    "UPPER": ("MiXed", None),
    "brace{}": ("(=;)", None),
}

# --- texts -------------------------------------------------------------------------------------------------------

HOSTILE = 'it\'s "q" \\ {{ jinja }} {% if %} {# note #} -- no comment /* ; ${env:HOME} %s 🦆\nnext line'


def in_quotes(engine: str, text: str) -> str:
    """A literal as a person would write it into a cell: nothing is escaped that the engine does not ask for."""
    if engine == "duckdb":
        return "'" + text.replace("'", "''") + "'"
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


# --- wide tables -------------------------------------------------------------------------------------------------

WIDE = [f"c{place:03}" for place in range(1, 300)]
FIELDS = [f"f{place:02}" for place in range(1, 31)]
THIRTY = [f"d{place:02}" for place in range(1, 29)]  # with id and the struct: 30 columns


def wide_struct(engine: str, base: int) -> str:
    members = [(name, base + place) for place, name in enumerate(FIELDS, 1)]
    if engine == "duckdb":
        return "sql:{" + ", ".join(f"'{name}': {value}" for name, value in members) + "}"
    return "sql:named_struct(" + ", ".join(f"'{name}', {value}" for name, value in members) + ")"


SOURCE_OF = {"values": "typed", "instants": "typed"}


@pytest.fixture(scope="module")
def project(make_project, engine):
    values = VALUES[engine]
    in_columns_of_their_own = ["dec38", "instant", "nested", "list", "dbl"]
    names = {source: target for source, (target, _) in NAMES.items()}

    def in_engine_quotes(expression: str) -> str:
        for name in NAMES:
            expression = expression.replace("{" + name + "}", quoted(engine, name))
        return expression

    mapping = [
        *mapped_columns(
            "values",
            "gold_values",
            ("id", "id", {"is_primary_key": True}),
            ("everything", "|".join(["id", *values]), {"transform_expr": "id"}),
            *[(name, name) for name in in_columns_of_their_own],
        ),
        *mapped_columns("instants", "gold_instants", ("seen_at", "instant", {"is_primary_key": True})),
        *mapped_columns("texts", "gold_texts", ("id", "id", {"is_primary_key": True}), ("both", "id|words", {"transform_expr": "words"})),
        *mapped_columns(
            "names",
            "gold_names",
            *[
                (
                    target,
                    # The first as nobody spells it in the source; the expression needs another column too.
                    {"Order Id": "order ID", "tick`s": "tick`s|x,y"}.get(source, source),
                    {"transform_expr": in_engine_quotes(expression) if expression else None, "is_primary_key": source == "Order Id"},
                )
                for source, (target, expression) in NAMES.items()
            ],
        ),
        *mapped_columns(
            "hostile",
            "gold_hostile",
            ("id", "id", {"is_primary_key": True}),
            (
                "says",
                "id",
                {
                    "transform_expr": in_quotes(engine, HOSTILE), "api_field_name": HOSTILE, "api_json_path": HOSTILE,
                    "source_table": HOSTILE, "description": HOSTILE,
                },
            ),
            ("filled", "nothing", {"business_rule_id": "C_HOSTILE"}),
        ),
        *mapped_columns(
            "wide",
            "gold_wide",
            ("id", "id", {"is_primary_key": True}),
            *[(name.replace("c", "g"), name, {"transform_expr": f"{name} + 1"}) for name in WIDE],
        ),
        *mapped_columns(
            "thirty",
            "gold_thirty",
            ("id", "id", {"is_primary_key": True}),
            *[(name, name) for name in THIRTY],
            ("whole", "fields"),
            ("last_field", "fields", {"transform_expr": "fields.f30"}),
            ("total", "|".join(THIRTY), {"transform_expr": " + ".join(THIRTY)}),
        ),
    ]  # fmt: skip
    rules = [
        rule("F_NAME", "names", "filter", quoted(engine, 'a"b') + " <> 'out'"),
        rule("V_NAME", "names", "validation", quoted(engine, names['a"b']) + " <> 'bad'", severity="ERROR", message=HOSTILE),
        rule("F_HOSTILE", "hostile", "filter", f"id <> {in_quotes(engine, HOSTILE)}"),
        rule("C_HOSTILE", "hostile", "default", in_quotes(engine, HOSTILE)),
        rule(HOSTILE.replace("\n", " "), "hostile", "validation", f"id <> 'bad -- ' and id <> {in_quotes(engine, HOSTILE)}", severity="ERROR", message=HOSTILE),
        rule("W_HOSTILE", "hostile", "validation", f"says <> {in_quotes(engine, HOSTILE)}", severity="WARN", message=HOSTILE),
    ]  # fmt: skip
    tables = ["values", "instants", "texts", "names", "hostile", "wide", "thirty"]
    project = make_project(
        engine,
        models={
            f"gold_{table}": f"{{{{ lineage_audit.mapped_model('{table}', source=source('raw', '{SOURCE_OF.get(table, table)}')) }}}}"
            for table in tables
        },
        properties=source_properties("typed", *tables),
        api_endpoints=[{"endpoint_name": table, "source_system": HOSTILE} for table in tables],
        field_mapping=mapping,
        business_rules=rules,
        name="values",
        config={"models": {"values": {"+materialized": "table"}}},
    )
    rows = [[str(place + 1), *[f"sql:{given[place]}" for _, given, _ in values.values()]] for place in range(3)]
    types = {"id": "string", **{name: kind for name, (kind, _, _) in values.items()}}
    with session_zone(project, ZONE):
        create_source(project, "typed", types, [*rows, ["4", *[None] * len(values)]])
        create_source(
            project,
            "texts",
            {"id": "string", "words": "string"},
            [(str(place), text) for place, text in enumerate(TEXTS[:-1])]
            + [("6", f"sql:repeat('x', {len(MEGABYTE)})"), ("7", None)],
        )
        create_source(
            project,
            "names",
            dict.fromkeys(NAMES, "string"),
            [tuple(f"{name} 1" for name in NAMES), tuple("out" for _ in NAMES), tuple("bad" for _ in NAMES)],
            properties="tblproperties ('delta.columnMapping.mode' = 'name')",
        )
        create_source(project, "hostile", {"id": "string", "nothing": "string"}, [("1", None), ("bad -- ", "own")])
        create_source(
            project,
            "wide",
            {"id": "string", **dict.fromkeys(WIDE, "int")},
            [("1", *range(1, 300)), ("2", *[None if place % 2 else 2 * place for place in range(1, 300)])],
        )
        struct = (
            f"struct({', '.join(f'{name} int' for name in FIELDS)})"
            if engine == "duckdb"
            else f"struct<{', '.join(f'{name}: int' for name in FIELDS)}>"
        )
        create_source(
            project, "thirty", {"id": "string", **dict.fromkeys(THIRTY, "int"), "fields": struct},
            [("1", *range(1, 29), wide_struct(engine, 100)), ("2", *[1] * 28, None)],
        )  # fmt: skip
        project.dbt("build", "--exclude-resource-type", "test")
    return project


def cells(project, target_table: str, target_column: str) -> dict[str, dict]:
    """The source values of one mapped column, by target_pk."""
    rows = project.query(
        f"select target_pk, source_values_json from {project.schema}_audit.column_lineage "
        f"where target_table = '{target_table}' and target_column = '{target_column}'"
    )
    assert len({row["target_pk"] for row in rows}) == len(rows)
    return {row["target_pk"]: json.loads(row["source_values_json"]) for row in rows}


def as_text(value):
    """A nested value is JSON within the text; numbers are read as they are written."""
    return json.loads(value, parse_float=str) if value is not None else None


@pytest.mark.parametrize("record", [1, 2, 3])
def test_every_type_is_written_lossless(project, engine, record):
    found = cells(project, "gold_values", "everything")[str(record)]
    expected = {name: texts[record - 1] for name, (_, _, texts) in VALUES[engine].items()}
    for name, text in expected.items():
        if not isinstance(text, str):
            found[name] = as_text(found[name])
    assert found == {"id": str(record), **expected}


def test_a_column_of_its_own_is_written_as_one_within_an_expression(project):
    everything = cells(project, "gold_values", "everything")
    for column in ("dec38", "instant", "nested", "list", "dbl"):
        assert cells(project, "gold_values", column) == {
            key: {column: values[column]} for key, values in everything.items()
        }


def test_null_is_json_null_and_never_dropped(project, engine):
    assert cells(project, "gold_values", "everything")["4"] == {"id": "4", **dict.fromkeys(VALUES[engine])}


def test_instants_of_the_hour_that_a_zone_repeats_are_different_keys(project):
    rows = project.query(
        f"select target_pk from {project.schema}_audit.column_lineage where target_table = 'gold_instants'"
    )
    assert table_of(rows, "target_pk") == [
        ("0001-01-01T12:00:00.000000",),
        ("2024-11-03T05:30:00.500000",),
        ("2024-11-03T06:30:00.500000",),
    ]
    # The fourth source row has none.
    assert counts(project, "gold_instants") == [(4, 0, 1, 3)]


def test_texts_stay_what_they_are(project):
    found = cells(project, "gold_texts", "both")
    assert found["6"]["words"] == MEGABYTE
    assert [found[str(place)]["words"] for place in range(8) if place != 6] == [*TEXTS[:-1], None]


# --- names -------------------------------------------------------------------------------------------------------


def test_any_name_can_be_mapped(project):
    (row,) = project.query(f"select * from {project.schema}.gold_names")
    assert {name: value for name, value in row.items() if not name.startswith("_lineage_")} == {
        "Order Id": "Order Id 1", "group": "select 1", 'say "hi"': 'a"b 1', "tick`s": "tick`s 1-x,y 1", "x, y": "x,y 1",
        "größe": "größe 1", "MiXed": "UPPER 1", "(=;)": "brace{} 1",
    }  # fmt: skip
    # One is filtered by its name in quotes, one refused by a rule over a target column in quotes.
    assert counts(project, "gold_names") == [(3, 1, 1, 1)]


def test_lineage_names_columns_as_source_and_mapping_spell_them(project):
    rows = project.query(
        f"select target_column, source_columns, source_values_json from {project.schema}_audit.column_lineage where target_table = 'gold_names'"
    )
    found = {row["target_column"]: (row["source_columns"], json.loads(row["source_values_json"])) for row in rows}
    expected = {target: ([source], {source: f"{source} 1"}) for source, (target, _) in NAMES.items()}
    expected["tick`s"] = (["tick`s", "x,y"], {"tick`s": "tick`s 1", "x,y": "x,y 1"})
    assert found == expected


def test_column_mapping_is_on_only_where_a_name_needs_it(project, engine):
    if engine == "duckdb":
        assert "tblproperties" not in "".join(statement.sql for statement in project.invocations[0].statements)
        return
    on = {
        table: any(
            row["key"] == "delta.columnMapping.mode" and row["value"] == "name"
            for row in project.query(f"show tblproperties {project.schema}.{table}")
        )
        for table in ("gold_names", "gold_hostile")
    }
    assert on == {"gold_names": True, "gold_hostile": False}


# --- texts in the config -----------------------------------------------------------------------------------------


def test_literals_in_expressions_reach_gold_as_they_are(project):
    rows = project.query(f"select id, says, filled, _lineage_warnings from {project.schema}.gold_hostile")
    assert table_of(rows, "id", "says", "filled", "_lineage_warnings") == [("1", HOSTILE, HOSTILE, ["W_HOSTILE"])]


def test_texts_of_config_reach_lineage_as_they_are(project, engine):
    (row,) = project.query(
        f"select * from {project.schema}_audit.column_lineage where target_table = 'gold_hostile' and target_column = 'says'"
    )
    assert (row["api_field_name"], row["api_json_path"], row["source_table"]) == (HOSTILE, HOSTILE, HOSTILE)
    assert row["transform_expr"] == in_quotes(engine, HOSTILE)
    (run,) = project.query(
        f"select source_system from {project.schema}_audit.ingestion_run where target_table = 'gold_hostile'"
    )
    assert run["source_system"] == HOSTILE


def test_messages_reach_quarantine_as_they_are(project):
    rows = project.query(f"select * from {project.schema}_audit.quarantine where target_table = 'gold_hostile'")
    assert table_of(rows, "target_pk", "failed_rules", "messages") == [
        ("bad -- ", [HOSTILE.replace("\n", " ")], [HOSTILE])
    ]


# --- wide tables -------------------------------------------------------------------------------------------------


def test_300_columns(project):
    rows = project.query(f"select * from {project.schema}.gold_wide order by id")
    assert [row["id"] for row in rows] == ["1", "2"]
    for place in range(1, 300):
        assert [row[f"g{place:03}"] for row in rows] == [place + 1, None if place % 2 else 2 * place + 1]
    lineage = project.query(
        f"select target_pk, target_column, source_values_json from {project.schema}_audit.column_lineage where target_table = 'gold_wide'"
    )
    found = {(row["target_pk"], row["target_column"]): json.loads(row["source_values_json"]) for row in lineage}
    assert len(lineage) == len(found) == 600
    for place in range(1, 300):
        assert found["1", f"g{place:03}"] == {f"c{place:03}": str(place)}
        assert found["2", f"g{place:03}"] == {f"c{place:03}": None if place % 2 else str(2 * place)}


def test_30_columns_and_a_struct_of_30_fields(project):
    rows = project.query(f"select id, whole, last_field, total from {project.schema}.gold_thirty order by id")
    fields = {name: 100 + place for place, name in enumerate(FIELDS, 1)}
    assert table_of(rows, "id", "whole", "last_field", "total") == [
        ("1", fields, 130, 28 * 29 // 2),
        ("2", None, None, 28),
    ]
    for column in ("whole", "last_field"):
        found = cells(project, "gold_thirty", column)
        assert as_text(found["1"]["fields"]) == fields
        assert found["2"] == {"fields": None}
    assert cells(project, "gold_thirty", "total")["1"] == {name: str(place) for place, name in enumerate(THIRTY, 1)}
