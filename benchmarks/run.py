"""What lineage costs: mapped models against a plain `create table as select` of the same gold.

    python benchmarks/run.py [--engine duckdb spark] [--rows 1000000 5000000] [--rounds 5]

A dbt project in a temporary folder holds a source table, a plain model that selects gold from it, and mapped models
that build the same gold from config. In each round every model is run by dbt, the plain one first; a model's cost is
the time that the engine took for all statements that dbt sent for it, hooks included, as dbt measures them. What was
written is checked before a figure is printed. The figures are ratios to the plain model of the same round.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]

# Eight mapped columns of six source columns: target column, source columns, expression, data type.
COLUMNS = (
    ("order_id", "order_id", "", ""),
    ("order_amount", "amount_raw|fx_rate", "amount_raw * fx_rate", "decimal(18,2)"),
    ("amount_raw", "amount_raw", "", ""),
    ("fx_rate", "fx_rate", "", ""),
    ("currency_code", "currency", "upper(currency)", ""),
    ("customer_id", "customer_id", "", ""),
    ("order_day", "ordered_at", "", "date"),
    ("ordered_at", "ordered_at", "", ""),
)
RULES = (
    ("AMOUNT_POSITIVE", "order_amount >= 0", "ERROR"),
    ("RATE_POSITIVE", "fx_rate > 0", "ERROR"),
    ("CURRENCY_KNOWN", "currency_code in ('EUR', 'USD', 'GBP')", "ERROR"),
    ("AMOUNT_PLAUSIBLE", "order_amount < 1000000", "WARN"),
    ("CUSTOMER_SHAPE", "length(customer_id) > 1", "WARN"),
)
REJECTED_SHARE = 100  # one in so many records breaks a rule
FORMS = {
    "gold_lineage": "exploded lineage, no rules",
    "gold_rules": "exploded lineage, 5 rules, 1 % quarantined",
}
PLAIN = "plain_orders"

SOURCE = {
    "duckdb": """
        select
          'order-' || cast(id as varchar) as order_id,
          cast(case when id % {share} = 0 then -(id % 1000) - 1 else id % 100000 end as bigint) as amount_raw,
          cast(1 + (id % 50) / 100.0 as decimal(9,2)) as fx_rate,
          case id % 3 when 0 then 'eur' when 1 then 'usd' else 'gbp' end as currency,
          'C' || cast(hash(id) % 50000 as varchar) as customer_id,
          timestamp '2026-01-01 00:00:00' + to_microseconds(id * 1234567) as ordered_at,
          'note ' || cast(id % 977 as varchar) as note,
          id % 7 as channel
        from range({rows}) as ids(id)
    """,
    "spark": """
        select
          'order-' || cast(id as string) as order_id,
          cast(case when id % {share} = 0 then -(id % 1000) - 1 else id % 100000 end as bigint) as amount_raw,
          cast(1 + (id % 50) / 100.0 as decimal(9,2)) as fx_rate,
          case id % 3 when 0 then 'eur' when 1 then 'usd' else 'gbp' end as currency,
          'C' || cast(pmod(hash(id), 50000) as string) as customer_id,
          timestamp_micros(1767225600000000 + id * 1234567) as ordered_at,
          'note ' || cast(id % 977 as string) as note,
          id % 7 as channel
        from range({rows}) as ids
    """,
}


@dataclass(frozen=True)
class Cost:
    """What the statements of one model took: seconds of engine time, and how many there were."""

    seconds: float
    statements: int


class Bench:
    """A dbt project with the source and the models, on one engine."""

    def __init__(self, folder: Path, engine: str, rows: int):
        self.folder, self.engine, self.rows = folder, engine, rows
        self.spark = None
        output = yaml.safe_load((ROOT / "profiles.yml").read_text())["lineage_audit"]["outputs"][engine]
        if engine == "duckdb":
            output |= {"path": str(folder / "warehouse.duckdb"), "schema": "bench"}
        else:
            self.spark = _spark_session(output["server_side_parameters"], folder.parent)
            output |= {"schema": f"bench_{rows}", "server_side_parameters": {}}
        self.schema = output["schema"]
        self._write(output)
        self.dbt("deps")
        self.dbt("seed")
        self.dbt("run", "--select", "silver_orders")

    def _write(self, output: dict) -> None:
        is_delta = {"+file_format": "delta"} if self.engine == "spark" else {}
        mapping = "endpoint_name,target_table,target_column,source_table,source_columns,transform_expr,is_primary_key,data_type,column_position\n"
        for form in FORMS:
            for position, (target, sources, expression, data_type) in enumerate(COLUMNS, 1):
                is_key = str(target == "order_id").lower()
                mapping += (
                    f'orders,{form},{target},silver_orders,{sources},"{expression}",{is_key},"{data_type}",{position}\n'
                )
        rules = "business_rule_id,endpoint_name,target_table,rule_category,rule_expression,severity,message\n"
        for rule, expression, severity in RULES:
            rules += f'{rule},orders,gold_rules,validation,"{expression}",{severity},{rule}\n'
        items = [f"  {'try_cast(' + (e or s) + f' as {t})' if t else (e or s)} as {name}" for name, s, e, t in COLUMNS]
        source = SOURCE[self.engine].format(rows=self.rows, share=REJECTED_SHARE)
        text = "string" if self.engine == "spark" else "varchar"
        files = {
            "dbt_project.yml": yaml.safe_dump({
                "name": "bench", "version": "1.0", "profile": "bench",
                "models": {"+materialized": "table", **is_delta},
                "seeds": {**is_delta},
                "dispatch": [{"macro_namespace": "dbt", "search_order": ["lineage_audit", "dbt"]}],
                "flags": {"send_anonymous_usage_stats": False},
            }),
            "packages.yml": yaml.safe_dump({"packages": [{"local": str(ROOT)}]}),
            "profiles.yml": yaml.safe_dump({"bench": {"target": "bench", "outputs": {"bench": output}}}),
            "seeds/api_endpoints.csv": "endpoint_name,source_system,active_flag\norders,bench,true\n",
            "seeds/field_mapping.csv": mapping,
            "seeds/business_rules.csv": rules,
            "seeds/seeds.yml": yaml.safe_dump({"seeds": [
                {"name": "field_mapping", "config": {"column_types": {"transform_expr": text, "data_type": text, "column_position": text}}}
            ]}),
            "models/silver_orders.sql": source,
            f"models/{PLAIN}.sql": "select\n" + ",\n".join(items) + "\nfrom {{ ref('silver_orders') }}\n",
            **{
                f"models/{form}.sql": "{{ lineage_audit.mapped_model('orders', source=ref('silver_orders')) }}\n"
                for form in FORMS
            },
        }  # fmt: skip
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)

    def dbt(self, *arguments: str) -> dict[str, Cost]:
        """Run a dbt command; the cost of each node's statements by the node's name."""
        from dbt.cli.main import dbtRunner

        seconds: dict[str, list[float]] = {}

        def collect(event) -> None:
            if event.info.name == "SQLQueryStatus" and event.data.node_info.node_name:
                seconds.setdefault(event.data.node_info.node_name, []).append(event.data.elapsed)

        command = [*arguments, "--project-dir", str(self.folder), "--profiles-dir", str(self.folder)]
        command += [] if arguments[0] == "deps" else ["--target-path", str(self.folder / "target")]
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            result = dbtRunner(callbacks=[collect]).invoke([*command, "--log-path", str(self.folder / "logs")])
        if not result.success:
            sys.exit(f"dbt {' '.join(arguments)} failed\n{printed.getvalue()}\n{result.exception or ''}")
        if self.engine == "duckdb":
            from dbt.adapters.duckdb.connections import DuckDBConnectionManager

            DuckDBConnectionManager.close_all_connections()
        return {name: Cost(sum(each), len(each)) for name, each in seconds.items()}

    def value(self, sql: str):
        if self.spark:
            return self.spark.sql(sql).collect()[0][0]
        import duckdb

        with duckdb.connect(str(self.folder / "warehouse.duckdb")) as connection:
            return connection.execute(sql).fetchone()[0]

    def check(self) -> None:
        """What was written is what plain SQL gives, and each gold row has a lineage row per column."""
        names = ", ".join(name for name, *_ in COLUMNS)
        rejected = -(-self.rows // REJECTED_SHARE)
        for form in FORMS:
            expected = self.rows - (rejected if form == "gold_rules" else 0)
            where = " where order_amount >= 0" if form == "gold_rules" else ""
            run = f"(select max(run_id) from {self.schema}_audit.ingestion_run where target_table = '{form}' and run_start_ts = (select max(run_start_ts) from {self.schema}_audit.ingestion_run where target_table = '{form}'))"
            checks = {
                f"select count(*) from {self.schema}.{form}": expected,
                f"select count(*) from (select {names} from {self.schema}.{form} except select {names} from {self.schema}.{PLAIN}{where}) as odd": 0,
                f"select count(*) from (select {names} from {self.schema}.{PLAIN}{where} except select {names} from {self.schema}.{form}) as odd": 0,
                f"select count(*) from {self.schema}_audit.column_lineage where run_id = {run} and target_table = '{form}'": expected * len(COLUMNS),
                f"select max(source_values_json) from {self.schema}_audit.column_lineage where run_id = {run} and target_table = '{form}' and target_pk = 'order-7' and target_column = 'order_amount'": '{"amount_raw":"7","fx_rate":"1.07"}',
            }  # fmt: skip
            for sql, wanted in checks.items():
                found = self.value(sql)
                if found != wanted:
                    sys.exit(f"{self.engine}, {form}: {found} instead of {wanted} from\n{sql}")


def _spark_session(settings: dict[str, str], folder: Path):
    from pyspark.sql import SparkSession

    sys.path.insert(0, str(ROOT / "tests"))
    builder = SparkSession.builder.enableHiveSupport()
    for name, value in settings.items():
        if "env_var" in value:
            value = value.split("'")[-2]
        if name == "spark.driver.memory":
            value = "8g"
        builder = builder.config(
            name, value.replace(".spark", str(folder / "spark")) if "/" in value or "=." in value else value
        )
    return builder.getOrCreate()


def rounds_of(bench: Bench, rounds: int) -> Iterator[dict[str, Cost]]:
    """The costs of one round after the other; a first one warms both sides alike and is not counted."""
    for number in range(rounds + 1):
        costs: dict[str, Cost] = {}
        for model in (PLAIN, *FORMS):
            costs |= bench.dbt("run", "--select", model, "--threads", "1")
        if number == 0:
            bench.dbt("run", "--select", "package:lineage_audit")
            bench.check()
        else:
            yield costs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", nargs="+", default=["duckdb", "spark"], choices=["duckdb", "spark"])
    parser.add_argument("--rows", nargs="+", type=int, default=[1_000_000, 5_000_000])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    os.environ.setdefault("TZ", "UTC")
    with tempfile.TemporaryDirectory() as folder:
        for engine in arguments.engine:
            print(
                f"\n{engine}: ratio to a plain create table as select, median of {arguments.rounds} rounds (min–max)\n"
            )
            print(
                "| rows | model | ratio | seconds | plain, seconds | statements |\n| --- | --- | --- | --- | --- | --- |"
            )
            for rows in arguments.rows:
                place = Path(folder, f"{engine}_{rows}")
                place.mkdir()
                measured = list(rounds_of(Bench(place, engine, rows), arguments.rounds))
                plain = statistics.median(costs[PLAIN].seconds for costs in measured)
                for form, meaning in FORMS.items():
                    ratios = [costs[form].seconds / costs[PLAIN].seconds for costs in measured]
                    seconds = statistics.median(costs[form].seconds for costs in measured)
                    print(
                        f"| {rows:,} | {meaning} | {statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"
                        f" | {seconds:.2f} | {plain:.2f} | {measured[-1][form].statements} |",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
