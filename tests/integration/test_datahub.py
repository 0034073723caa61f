"""DataHub's own command line, by the recipe in docs/, on what dbt left of the sample."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from openlineage_receiver import ROOT

DATAHUB = Path(os.environ.get("LINEAGE_AUDIT_DATAHUB") or ROOT / ".venv-datahub" / "bin" / "datahub")


@pytest.fixture(scope="module")
def aspects(make_sample) -> dict[tuple[str, str], dict]:
    """What DataHub would be told: {(kind of aspect, the last part of the name of dbt's entity): aspect}."""
    if not DATAHUB.exists():
        reason = f"DataHub's command line is not in {DATAHUB}: make datahub"
        pytest.fail(f"{reason}; in CI no test may be skipped") if os.environ.get("CI") == "true" else pytest.skip(
            reason
        )
    project = make_sample("duckdb")
    project.dbt("build", "--select", "lineage_audit.sample.customer_analytics", "--exclude-resource-type", "unit_test")
    run_results = project.target / "run_results.json"
    kept = shutil.copy(run_results, project.workspace)
    project.dbt("docs", "generate", "--select", "lineage_audit.sample.customer_analytics")
    shutil.copy(kept, run_results)
    written = project.workspace / "datahub.json"
    environment = {
        **os.environ,
        "DATAHUB_TARGET": str(project.target),
        "DATAHUB_FILE": str(written),
        "DATAHUB_TELEMETRY_ENABLED": "false",
        "HOME": str(project.workspace),
    }
    command = [DATAHUB, "ingest", "run", "--no-default-report", "-c", ROOT / "docs" / "datahub.yml"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[tuple[str, str], dict] = {}
    for record in json.loads(written.read_text()):
        for snapshot in (record.get("proposedSnapshot") or {}).values():
            if "dataPlatform:dbt" in snapshot["urn"]:
                for aspect in snapshot["aspects"]:
                    ((kind, content),) = aspect.items()
                    found[kind.rpartition(".")[2], table_of(snapshot["urn"])] = content
        if record.get("aspectName") == "assertionInfo":
            found["assertionInfo", record["entityUrn"]] = record["aspect"]["json"]
    return found


def table_of(urn: str) -> str:
    """The table of an urn of a dataset or of a column."""
    return urn.split(",")[1].rpartition(".")[2]


def test_the_chain_of_a_gold_column(aspects):
    place, chain = ("customer_behavior", "total_revenue"), []
    while place and ("UpstreamLineage", place[0]) in aspects:
        upstream = [
            (table_of(source), source.rpartition(",")[2].rstrip(")"))
            for edge in aspects["UpstreamLineage", place[0]].get("fineGrainedLineages") or []
            for target in edge["downstreams"]
            if target.rpartition(",")[2].rstrip(")") == place[1]
            for source in edge["upstreams"]
        ]
        chain += upstream
        place = upstream[0] if upstream and upstream[0] not in chain[: -len(upstream)] else None
    assert chain[:3] == [
        ("customer_orders_summary", "total_revenue"),
        ("stg_orders", "order_amount"),
        ("raw_orders", "amount"),
    ]


def test_columns_owner_and_sql(aspects):
    schema = aspects["SchemaMetadata", "customer_behavior"]
    assert "total_revenue" in [field["fieldPath"] for field in schema["fields"]]
    assert [each["owner"] for each in aspects["Ownership", "customer_behavior"]["owners"]] == [
        "urn:li:corpGroup:Customer Insights"
    ]
    assert "ordered.total_revenue" in aspects["ViewProperties", "customer_behavior"]["formattedViewLogic"]


def test_tests_are_assertions(aspects):
    assert [key for key in aspects if key[0] == "assertionInfo"]
