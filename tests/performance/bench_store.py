"""`make bench-store`: the store on both databases: checkpoint, restore, and the console's pages.

Wall-clock times, because the database works in another process: read them on a quiet machine.
Nothing here can fail a build; the table says what was promised and what was measured.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.parts.postgresql import server
from tests.performance.report import machine
from tests.performance.store_questions import measure
from tests.performance.store_state import measure_state

_PROMISED = {"checkpoint": 0.250, "restore": 30.0}  # seconds
_PAGE_MS = 200.0


@contextmanager
def empty(kind: str) -> Iterator[str]:
    """Give the address of an empty store."""
    if kind == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{folder}/bench.db"
    else:
        with server() as running:
            yield running.create("bench")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small, only to see that it runs")
    parser.add_argument("--json", action="store_true", help="machine output on stdout")
    parser.add_argument("--actors", type=int, default=1_000_000, help="people in the state")
    parser.add_argument("--active", type=int, default=20_000, help="people between checkpoints")
    parser.add_argument("--alerts", type=int, default=5_000_000)
    parser.add_argument("--only", choices=("sqlite", "postgresql"))
    options = parser.parse_args()
    if options.quick:
        options.actors, options.active, options.alerts = 2_000, 500, 2_000
    kinds = ("sqlite", "postgresql") if options.only is None else (options.only,)
    found = {kind: _measured(kind, options) for kind in kinds}
    if options.json:
        print(json.dumps({"machine": machine(), "sizes": vars(options), "found": found}, indent=1))
    else:
        _show(found, options)


def _measured(kind: str, options: argparse.Namespace) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, n_actors in (("active only", options.active), ("all", options.actors)):
        print(f"{kind}: state of {n_actors:,} people", file=sys.stderr, flush=True)
        with empty(kind) as url:
            result[name] = measure_state(url, n_actors, options.active)
    print(f"{kind}: {options.alerts:,} alerts", file=sys.stderr, flush=True)
    with empty(kind) as url:
        result["pages"] = measure(url, options.alerts)
    return result


def _show(found: dict[str, Any], options: argparse.Namespace) -> None:
    title = f"{options.active:,} active, {options.actors:,} in all, {options.alerts:,} alerts"
    table = Table("measured", "database", "value", "longest", "promised", title=title)
    for kind, result in found.items():
        for state in ("active only", "all"):
            for name, value in result[state].items():
                promised = f"≤ {_PROMISED[name]} s" if name in _PROMISED else ""
                table.add_row(f"{name} ({state})", kind, f"{value:,.3f}", "", promised)
        for name, (median, longest) in result["pages"].items():
            promised = f"≤ {_PAGE_MS:.0f} ms"
            table.add_row(name, kind, f"{median:,.1f} ms", f"{longest:,.1f} ms", promised)
    Console(width=120).print(table)
    print(", ".join(f"{name} {value}" for name, value in machine().items()))


if __name__ == "__main__":
    main()
