"""A receiver of OpenLineage events: a process of its own that checks each event against OpenLineage's JSON schemas, keeps it, and
gives back what it holds.

The schemas lie beside the repository, in ../shared/openlineage-spec, or where LINEAGE_AUDIT_OPENLINEAGE_SPEC says; they are no part of
the project. Where they are not, events are read by openlineage-python's own classes, and that is said.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SPEC = Path(os.environ.get("LINEAGE_AUDIT_OPENLINEAGE_SPEC") or ROOT.parent / "shared" / "openlineage-spec")
EVENTS = "https://openlineage.io/spec/2-0-2/OpenLineage.json"


# --- what an event has to be ------------------------------------------------------------------------------------------


def problems_of(event: dict) -> list[str]:
    """What is wrong with an event: against the schema of events, and with each facet against the schema that it names."""
    if not (SPEC / "OpenLineage.json").exists():
        return _problems_by_the_client(event)
    problems = [_told(error) for error in _validator(EVENTS).iter_errors(event)]
    for place, facet in _facets(event):
        try:
            validator = _validator(facet["_schemaURL"])
        except Exception as error:
            problems.append(f"{place}: {error!r}")
        else:
            problems += [f"{place}: {_told(error)}" for error in validator.iter_errors(facet)]
    return problems


@functools.cache
def _validator(url: str):
    import jsonschema

    _registry().resolver().lookup(url)
    draft = jsonschema.Draft202012Validator
    return draft({"$ref": url}, registry=_registry(), format_checker=draft.FORMAT_CHECKER)


@functools.cache
def _registry():
    from referencing import Registry, Resource

    schemas = [json.loads(path.read_text()) for path in [SPEC / "OpenLineage.json", *SPEC.glob("facets/*.json")]]
    return Registry().with_resources((schema["$id"], Resource.from_contents(schema)) for schema in schemas)


def _told(error) -> str:
    reasons = [each.message for each in error.context] or [error.message]
    return f"{error.json_path}: {'; '.join(reasons)[:500]}"


def _facets(event: dict) -> Iterator[tuple[str, dict]]:
    holders = [("run", event.get("run")), ("job", event.get("job")), ("dataset", event.get("dataset"))]
    for ends in ("inputs", "outputs"):
        holders += [(f"{ends} {each['name']}", each) for each in event.get(ends) or []]
    for place, holder in holders:
        for kind in ("facets", "inputFacets", "outputFacets"):
            for name, facet in ((holder or {}).get(kind) or {}).items():
                yield f"{place} {name}", facet


@functools.cache
def _say_that_there_are_no_schemas() -> None:
    print(
        f"NOT CHECKED against OpenLineage's schemas: there are none in {SPEC}. openlineage-python's classes read the events."
    )


def _problems_by_the_client(event: dict) -> list[str]:
    from openlineage.client import event_v2

    _say_that_there_are_no_schemas()
    kind = event_v2.RunEvent if "run" in event else event_v2.JobEvent if "job" in event else event_v2.DatasetEvent
    parts = {name: value for name, value in event.items() if name != "schemaURL"}
    try:
        for name, of in (("run", event_v2.Run), ("job", event_v2.Job), ("dataset", event_v2.StaticDataset)):
            if name in parts:
                parts[name] = of(**parts[name])
        kind(**parts)
    except (TypeError, ValueError) as error:
        return [str(error)]
    return []


# --- what a catalog reads in events ------------------------------------------------------------------------------------


def edges_of(events: Iterable[dict]) -> set[tuple]:
    """(namespace, name, column) of what is read and of what is made, type, subtype, expression and masking of each edge."""
    found = set()
    for output in (each for event in events for each in event["outputs"]):
        made = (output["namespace"], output["name"])
        columns = output["facets"].get("columnLineage", {"fields": {}})
        counted = output["facets"].get("lineage", {})
        ways = [(None, columns.get("dataset") or []), (None, counted.get("inputs") or [])]
        ways += [(column, each["inputFields"]) for column, each in columns["fields"].items()]
        ways += [(column, each["inputs"]) for column, each in (counted.get("fields") or {}).items()]
        for column, inputs in ways:
            for each in inputs:
                for how in each["transformations"] or [{}]:
                    kind = (how.get("type"), how.get("subtype"), how.get("description"), how.get("masking"))
                    found.add((each["namespace"], each["name"], each.get("field"), *made, column, *kind))
    return found


def columns_of(events: Iterable[dict]) -> set[tuple]:
    """(namespace, name, column) of all datasets, and (namespace, name, None)."""
    found = set()
    for each in (each for event in events for ends in ("inputs", "outputs") for each in event[ends]):
        fields = each["facets"].get("schema", {}).get("fields", [])
        found |= {(each["namespace"], each["name"], name) for name in (None, *(field["name"] for field in fields))}
    return found


# --- the process -------------------------------------------------------------------------------------------------------


class Receiver:
    """The process, as tests use it. What it holds survives it: the next one on the same folder holds it too."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.process: subprocess.Popen | None = None
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.behave()

    def start(self) -> None:
        self.stop()
        self.process = subprocess.Popen([sys.executable, __file__, str(self.port), str(self.folder)])
        for _ in range(600):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.1)
        raise RuntimeError("the receiver did not start")

    def behave(self, mode: str = "accepts") -> None:
        """accepts; slow, which keeps the event and answers too late; fails, with a 500; garbage, which is no HTTP; picky, which refuses
        every second job with a 422."""
        (self.folder / "mode").write_text(mode)

    def forget(self) -> None:
        for path in self.folder.glob("*.json"):
            path.unlink()

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    @property
    def received(self) -> list[dict]:
        """Every event that came, as often as it came."""
        lines = [path.read_text() for path in sorted(self.folder.glob("*.json"))]
        return [json.loads(line) for line in lines]

    @property
    def held(self) -> dict[tuple, dict]:
        """The events by what tells them, each once."""
        return {identity_of(event): event for event in self.received}


def identity_of(event: dict) -> tuple:
    who = event["run"]["runId"] if "run" in event else (event.get("job") or event["dataset"])["name"]
    return who, event.get("eventType"), event["eventTime"]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        mode = (self.server.folder / "mode").read_text()
        if mode == "fails":
            return self._answer(500, "no")
        if mode == "garbage":
            self.wfile.write(b"\x00\xff this is no HTTP\r\n\r\n")
            self.close_connection = True
            return None
        problems = problems_of(event)
        if mode == "picky" and sum(map(ord, event["job"]["name"])) % 2:
            problems = ["I don't like its name"]
        if problems:
            return self._answer(422, "; ".join(problems))
        path = self.server.folder / f"{time.time_ns()}.json"
        path.with_suffix(".part").write_text(json.dumps(event))
        path.with_suffix(".part").rename(path)
        if mode == "slow":
            time.sleep(10)
        return self._answer(201, "")

    def _answer(self, status: int, text: str):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *arguments):
        pass


def main(port: str, folder: str) -> None:
    # What is read once is read before the first event comes.
    problems_of({})
    server = ThreadingHTTPServer(("127.0.0.1", int(port)), _Handler)
    server.folder = Path(folder)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
