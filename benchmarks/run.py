"""What lineage costs: mapped models against a plain `create table as select` of the same gold.

    python benchmarks/run.py [--engine duckdb] [--rows 1000000] [--upstream table] [--keys uuid] [--forms compact] ...
    python benchmarks/run.py trace     # one cell's lineage against a point query on gold
    python benchmarks/run.py replay    # the recomputation of all lineage, and a what-if, against a scan of it
    python benchmarks/run.py many      # 200 small models against the same in plain SQL, DuckDB
    python benchmarks/run.py memory    # 20 M rows through each form with 2 GB for DuckDB
    python benchmarks/run.py history   # a run and two questions, with up to a million runs remembered, DuckDB
    python benchmarks/run.py graph     # the lineage graph of 1,000 models, all of it and after one change, DuckDB
    python benchmarks/run.py events    # OpenLineage events of 200 models in one run, DuckDB

Every part makes dbt projects in a temporary folder. What was written is checked before a figure is printed.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import tempfile
from pathlib import Path

import cell_trace
import history
import many_models
import matrix
import memory
import project_graph
import replay
from checks import WrongResultError
from engines import ENGINES
from forms import FORMS, LINEAGE_TABLES
from project import DbtFailedError
from source import KEYS, UPSTREAMS

SIZE = """Estimated for 2 cores: the whole matrix, as it is without arguments, takes 2 hours on DuckDB and 6 on Spark, and up to
25 GB below $TMPDIR at a time. One part of it, such as --rows 1000000 --upstream table --keys sequential, takes 5 minutes on
DuckDB and 15 on Spark; trace takes 10 and 30; replay 15 and 60; many 15; memory 30, and up to 25 GB; history 2; graph 10; events 3."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=SIZE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "part",
        nargs="?",
        default="matrix",
        choices=["matrix", "trace", "replay", "many", "memory", "history", "graph", "events"],
    )
    parser.add_argument(
        "--engine", nargs="+", default=list(ENGINES), choices=ENGINES, help="of matrix, trace and replay"
    )
    parser.add_argument(
        "--rows", nargs="+", type=int,
        help="of the source: default 1000000 5000000 (matrix), 5000000 (trace, replay), 1000 (many), 20000000 (memory),"
        " 1000 (history)",
    )  # fmt: skip
    parser.add_argument("--upstream", nargs="+", choices=UPSTREAMS, help="default: all (matrix), table (memory)")
    parser.add_argument(
        "--keys", nargs="+", choices=KEYS, help="default: all (matrix, trace), sequential (memory, replay)"
    )
    parser.add_argument(
        "--forms", nargs="+", choices=FORMS,
        help="default: all (matrix, memory), exploded compact (trace, which knows no other), exploded compact in_row (replay), exploded (many,"
        " history)",
    )  # fmt: skip
    parser.add_argument(
        "--rounds", type=int, default=5, help="of matrix, replay and many, beside one that is not counted"
    )
    parser.add_argument("--models", type=int, help="default: 200 (many, events), 1000 (graph)")
    arguments = parser.parse_args()
    if arguments.part == "trace" and not set(arguments.forms or []) <= set(LINEAGE_TABLES):
        parser.error(f"trace knows the forms {' and '.join(LINEAGE_TABLES)}")
    os.environ.setdefault("TZ", "UTC")

    def forms(*default: str) -> list:
        return [FORMS[name] for name in arguments.forms or default]

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        place = Path(folder)
        try:
            if arguments.part == "matrix":
                matrix.report(
                    place, arguments.engine, arguments.rows or [1_000_000, 5_000_000], arguments.upstream or UPSTREAMS,
                    arguments.keys or KEYS, forms(*FORMS), arguments.rounds,
                )  # fmt: skip
            elif arguments.part == "trace":
                cell_trace.report(
                    place, arguments.engine, arguments.rows or [5_000_000], arguments.keys or KEYS,
                    forms(*LINEAGE_TABLES),
                )  # fmt: skip
            elif arguments.part == "replay":
                replay.report(
                    place, arguments.engine, arguments.rows or [5_000_000], arguments.keys or ["sequential"],
                    forms("exploded", "compact", "in_row"), arguments.rounds,
                )  # fmt: skip
            elif arguments.part == "many":
                many_models.report(
                    place, arguments.rows or [1_000], arguments.models or 200, forms("exploded"), arguments.rounds
                )
            elif arguments.part == "history":
                for rows, form in itertools.product(arguments.rows or [1_000], forms("exploded")):
                    history.report(place, rows, form)
            elif arguments.part == "graph":
                project_graph.report(place, arguments.models or 1_000)
            elif arguments.part == "events":
                project_graph.report_events(place, arguments.models or 200)
            else:
                memory.report(
                    place, arguments.rows or [20_000_000], arguments.upstream or ["table"],
                    arguments.keys or ["sequential"], forms(*FORMS),
                )  # fmt: skip
        except (DbtFailedError, WrongResultError) as error:
            sys.exit(str(error))


if __name__ == "__main__":
    main()
