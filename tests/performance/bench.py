"""`make bench`: speed and memory, everything in one run, in turn, as medians.

CPU time, not wall clock: other work on the machine matters less. Nothing here can fail a
build; the table says what was promised and what was measured.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.performance.material import prepare
from tests.performance.measures import Bench, Numbers, peak_megabytes
from tests.performance.report import Size, medians, rows_of, show, show_json

_FULL = Size(n_events=1_000_000, n_crowd_events=200_000, crowds=(20_000, 1_000_000))
_QUICK = Size(n_events=50_000, n_crowd_events=50_000, crowds=(2_000, 20_000))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small, only to see that it runs")
    parser.add_argument("--json", action="store_true", help="machine output on stdout")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--data", type=Path, default=Path("bench-data"), help="where files are kept"
    )
    options = parser.parse_args()
    size = _QUICK if options.quick else _FULL
    _say("preparing")
    material = prepare(options.data, n_events=size.n_events, n_users=size.crowds[0])
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(material, Path(folder), size.crowds, size.n_crowd_events)
        bench.warm_up()
        found = medians([_round(bench, number) for number in range(1, options.rounds + 1)])
    _say(f"peak memory {peak_megabytes():,.0f} MB")
    rows = rows_of(found, size)
    if options.json:
        show_json(rows, size, options.rounds)
    else:
        alerts = int(found["alert_lines_ten"])
        title = f"{size.n_events:,} events, {size.crowds[0]:,} users, {alerts:,} alert lines"
        show(rows, f"{title}, median of {options.rounds} rounds")


def _round(bench: Bench, number: int) -> Numbers:
    numbers: Numbers = {}
    for name, part in bench.parts().items():
        _say(f"round {number}: {name}")
        part(numbers)
    return numbers


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
