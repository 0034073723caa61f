"""DataHub's own command line and the transport into a file, by the commands of docs/catalogs.md, on a copy of this repository."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pytest
from datahub_aspects import EDGES, KINDS, edges_in, edges_of_graph
from openlineage_receiver import ROOT, edges_of

DATAHUB = Path(os.environ.get("LINEAGE_AUDIT_DATAHUB") or ROOT / ".venv-datahub" / "bin" / "datahub")
BLOCKS = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "catalogs.md").read_text(encoding="utf-8"), flags=re.DOTALL)
# One of the two samples, for the time that the other takes.
BUILD = "dbt build --select lineage_audit.sample.customer_analytics --exclude-resource-type unit_test"


def block_with(text: str) -> str:
    """The commands of the page that contain a text, but not those that install something."""
    (block,) = (each for each in BLOCKS if text in each)
    return re.sub(r"^pip .*\n", "", block, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def catalogs(tmp_path_factory):
    """What DataHub would be told, by each recipe {(kind of aspect, urn): aspect}, the events in the file, and the graph."""
    if not DATAHUB.exists():
        reason = f"DataHub's command line is not in {DATAHUB}: make datahub"
        pytest.fail(f"{reason}; in CI no test may be skipped") if os.environ.get("CI") == "true" else pytest.skip(
            reason
        )
    project = tmp_path_factory.mktemp("clone")
    for name in ("macros", "models", "seeds", "tests", "analyses", "docs", "scripts"):
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dbt_project.yml", "packages.yml", "profiles.yml"):
        shutil.copy(ROOT / name, project)
    commands = block_with("datahub ingest").replace("dbt build\n", f"{BUILD}\n") + block_with("log_file_path")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DBT_", "OPENLINEAGE"))}
    environment |= {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"], str(DATAHUB.parent)]),
        "DATAHUB_TELEMETRY_ENABLED": "false",
        "HOME": str(project),
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=project, env=environment, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    with duckdb.connect(project / "lineage_audit.duckdb", read_only=True) as connection:

        def rows(sql: str) -> list[dict]:
            cursor = connection.execute(sql)
            return [dict(zip((each[0] for each in cursor.description), row, strict=True)) for row in cursor.fetchall()]

        edges, tables = rows(EDGES.format("dev_audit.lineage_edge")), rows(KINDS.format("dev_audit.lineage_node"))
    return SimpleNamespace(
        first=aspects_in(project / "target" / "datahub.json"),
        last=aspects_in(project / "target" / "datahub_lineage_ingested.json"),
        events=[json.loads(line) for line in (project / "events.jsonl").read_text().splitlines()],
        edges=edges,
        tables=tables,
    )


def aspects_in(written: Path) -> dict[tuple[str, str], dict]:
    found: dict[tuple[str, str], dict] = {}
    for record in json.loads(written.read_text()):
        for snapshot in (record.get("proposedSnapshot") or {}).values():
            for aspect in snapshot["aspects"]:
                ((kind, content),) = aspect.items()
                kind = kind.rpartition(".")[2]
                found[kind[0].lower() + kind[1:], snapshot["urn"]] = content
        if record.get("changeType") == "UPSERT":
            found[record["aspectName"], record["entityUrn"]] = record["aspect"]["json"]
    return found


def of_dbt(name: str) -> str:
    return f"urn:li:dataset:(urn:li:dataPlatform:dbt,lineage_audit.dev_{name},PROD)"


def test_the_edges_are_those_of_the_graph_with_their_expressions(catalogs):
    kept = edges_of_graph(catalogs.edges, catalogs.tables, "duckdb")
    assert edges_in(catalogs.last) == kept
    behavior = "lineage_audit.dev_gold.customer_behavior"
    # By hand, from models/sample/customer_analytics/customer_behavior.sql.
    assert (
        ("duckdb", "lineage_audit.dev_silver.stg_events", None),
        ("dbt", behavior, "event_count"),
        "AGGREGATION (masking): count(*)",
    ) in kept


def test_nothing_that_the_dbt_source_knew_is_lost(catalogs):
    """The second aspect takes the place of the first."""
    replaced = {key: aspect for key, aspect in catalogs.first.items() if key in catalogs.last}
    assert len(replaced) == len(catalogs.last) >= 5
    for key, aspect in replaced.items():
        before, after = ({each["dataset"] for each in lineage["upstreams"]} for lineage in (aspect, catalogs.last[key]))
        assert after == before, key
    before = {edge[:2] for edge in edges_in(replaced)}
    assert before
    assert before - {edge[:2] for edge in edges_in(catalogs.last)} == set()


def test_the_chain_of_a_gold_column(catalogs):
    """Through both recipes, by what a server would hold."""
    direct = {
        target: source
        for source, target, operation in edges_in({**catalogs.first, **catalogs.last})
        if operation and not operation.startswith("CONDITIONAL")
    }
    place, chain = ("dbt", "lineage_audit.dev_gold.customer_behavior", "total_revenue"), []
    while place in direct:
        chain.append(direct[place])
        # A table of the warehouse is the sibling of dbt's entity.
        place = ("dbt", *direct[place][1:])
    assert chain == [
        ("duckdb", "lineage_audit.dev_gold.customer_orders_summary", "total_revenue"),
        ("duckdb", "lineage_audit.dev_silver.stg_orders", "order_amount"),
        ("dbt", "lineage_audit.dev_bronze.raw_orders", "amount"),
    ]


def test_columns_owner_and_sql(catalogs):
    behavior = of_dbt("gold.customer_behavior")
    schema = catalogs.first["schemaMetadata", behavior]
    assert "total_revenue" in [field["fieldPath"] for field in schema["fields"]]
    assert [each["owner"] for each in catalogs.first["ownership", behavior]["owners"]] == [
        "urn:li:corpGroup:Customer Insights"
    ]
    assert "ordered.total_revenue" in catalogs.first["viewProperties", behavior]["formattedViewLogic"]


def test_tests_are_assertions(catalogs):
    assert [key for key in catalogs.first if key[0] == "assertionInfo"]


def test_events_are_in_the_file_that_the_page_names(catalogs):
    told = {expression for *_, expression, _ in edges_of(each for each in catalogs.events if "outputs" in each)}
    assert {edge["expression"] for edge in catalogs.edges} <= told
