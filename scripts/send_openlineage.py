#!/usr/bin/env python3
"""Sends the OpenLineage events that have not been delivered yet, by openlineage-python's own transport and configuration.

    python scripts/send_openlineage.py [--seconds 300] [--beside-dbt-ol] [what dbt takes: --target, --project-dir, --vars …]

In a project that uses the package: python dbt_packages/lineage_audit/scripts/send_openlineage.py. OPENLINEAGE_URL or
openlineage.yml says where events go (docs/catalogs.md). An event is noted as delivered once the transport has taken it
without an error; the next call sends what was not. Exit code: 0 where nothing is left to send, else 1.
"""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
import sys
import time
from urllib.parse import urlsplit

from openlineage.client import OpenLineageClient, event_v2

# As many as one command line of dbt holds when they are noted.
BATCH = 500
# So many failures in a row are the receiver's own: the rest is left for the next call.
MOST_FAILURES = 3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--seconds", type=float, default=300, help="begin no further event after so many (default: 300)"
    )
    parser.add_argument(
        "--beside-dbt-ol",
        action="store_true",
        help="dbt-ol tells of the runs: send what it doesn't know, as events of datasets and jobs",
    )
    options, dbt_options = parser.parse_known_args()
    client = OpenLineageClient()
    kind = client.transport.kind
    if kind == "noop" or (kind == "console" and (client.config.transport or {}).get("type") != "console"):
        return _say(
            "No transport: set OPENLINEAGE_URL, or name one in openlineage.yml; OPENLINEAGE_DISABLED must not be true."
        )
    destination = _destination(client)
    failures = _Failures()
    logging.getLogger("openlineage").addHandler(failures)
    deadline = time.monotonic() + options.seconds
    sent = 0
    while True:
        pending = _pending(dbt_options)
        accepted = _send(client, pending, deadline, options.beside_dbt_ol)
        # Transports that work in the background tell of a failure in the log alone, and not of which event.
        if not client.close(timeout=max(deadline - time.monotonic(), 1)) or failures.messages:
            return _say(
                "\n".join(
                    [*failures.messages, f"Not all of {len(pending)} events were delivered: they are sent again."]
                )
            )
        if accepted:
            _note(dbt_options, accepted, destination)
        sent += len(accepted)
        if len(accepted) < len(pending):
            return _say(f"{sent} events sent to {destination}, {len(pending) - len(accepted)} or more are left")
        if len(pending) < BATCH:
            return _say(f"{sent} events sent to {destination}", 0)


def _send(client, pending, deadline, beside_dbt_ol) -> list[list[str]]:
    """The identities of the events that were accepted."""
    accepted, in_a_row = [], 0
    for each in pending:
        if time.monotonic() > deadline or in_a_row == MOST_FAILURES:
            break
        identity = [each["run_id"], each["event_type"], each["event_time"]]
        try:
            for event in _beside_dbt_ol(each["event"]) if beside_dbt_ol else [_event(each["event"])]:
                client.emit(event)
        except Exception as error:  # whatever a transport raises, the event stays pending
            _say(f"Not accepted: {' '.join(identity)}: {type(error).__name__}: {error}")
            # What a receiver refuses, it refuses for the event's sake.
            status = getattr(getattr(error, "response", None), "status_code", None)
            in_a_row += status is None or status >= 500
        else:
            accepted.append(identity)
            in_a_row = 0
    return accepted


# --- events as the client takes them ----------------------------------------------------------------------------


def _event(event):
    parts = {
        "eventTime": event["eventTime"],
        "producer": event["producer"],
        "job": event_v2.Job(**event["job"]),
        "inputs": [event_v2.InputDataset(**each) for each in event["inputs"]],
        "outputs": [event_v2.OutputDataset(**each) for each in event["outputs"]],
    }
    if "run" not in event:
        return event_v2.JobEvent(**parts)
    return event_v2.RunEvent(eventType=event_v2.RunState[event["eventType"]], run=event_v2.Run(**event["run"]), **parts)


def _beside_dbt_ol(event) -> list:
    """Of a run, which dbt-ol tells of, what is known of the datasets: the lineage of what was made, and what our rules said."""
    if "run" not in event:
        return [_event(event)]
    if event["eventType"] != "COMPLETE":
        return []
    datasets = [(each, each["facets"]) for each in event["outputs"]]
    for each in event["inputs"]:
        facet = each["inputFacets"].get("dataQualityAssertions", {"assertions": []})
        rules = [assertion for assertion in facet["assertions"] if assertion["assertion"] == "business_rule"]
        if rules:
            datasets.append((each, {"dataQualityAssertions": {**facet, "assertions": rules}}))
    return [
        event_v2.DatasetEvent(
            eventTime=event["eventTime"],
            producer=event["producer"],
            dataset=event_v2.StaticDataset(namespace=each["namespace"], name=each["name"], facets=facets),
        )
        for each, facets in datasets
    ]


class _Failures(logging.Handler):
    """What the client logs as an error."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def _destination(client) -> str:
    """The transport and, where it has one, its address: without what may be secret in it."""
    url = urlsplit(getattr(client.transport, "url", None) or "")
    return (
        f"{client.transport.kind} {url.scheme}://{url.netloc.rpartition('@')[2]}"
        if url.netloc
        else client.transport.kind
    )


# --- the store, by dbt's own connection. dbt runs apart: while events are on their way, no database is held open. ----


def _pending(dbt_options) -> list[dict]:
    printed = _operation("openlineage_pending", {"limit": BATCH}, dbt_options)
    return [json.loads(line) for line in printed.split("\n") if line.startswith("{")]


def _note(dbt_options, identities, destination) -> None:
    _operation("openlineage_delivered", {"events": identities, "destination": destination}, dbt_options)


def _operation(name, arguments, dbt_options) -> str:
    command = ["run-operation", f"lineage_audit.{name}", "--args", json.dumps(arguments), "--quiet", *dbt_options]
    done = subprocess.run(
        [sys.executable, "-c", "from dbt.cli.main import cli; cli()", *command],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"dbt {' '.join(command[:2])} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def _say(text: str, code: int = 1) -> int:
    print(text, file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
