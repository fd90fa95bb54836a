"""How long an answer from stored scores takes: `python tests/performance/what_if.py EVENTS...`."""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

import detector as ad
from detector.analysis import Result
from detector.analysis.trace import Closings, Rises, Trace
from detector.simulate import SimulationConfig, simulate

CHANGES = {
    "threshold": {"threshold": 2.5},
    "budget": {"alerts.budget_per_day": 10},
    "weight": {"alerts.known_share": 0.8},
}


def larger(result: Result, times: int) -> Result:
    """The same bank so many times side by side, each with its own people."""
    trace, n_users = result.trace, len(result.trace.user_ids)
    rises, closings = trace.rises, trace.closings
    copies = range(times)

    def tiled(name: str) -> np.ndarray:
        return np.concatenate([getattr(trace, name)] * times)

    whole = Trace(
        event_ids=trace.event_ids * times,
        user_ids=tuple(f"{copy}-{user}" for copy in copies for user in trace.user_ids),
        user_key=np.arange(n_users * times, dtype=np.int64),
        user=np.concatenate([trace.user + np.int32(copy * n_users) for copy in copies]),
        rises=Rises(
            np.concatenate([rises.row + copy * len(trace) for copy in copies]),
            *(
                np.concatenate([getattr(rises, name)] * times)
                for name in ("raw", "surprise", "known", "group")
            ),
        ),
        closings=Closings(
            np.concatenate(
                [
                    np.searchsorted(trace.user_key, closings.user) + copy * n_users
                    for copy in copies
                ]
            ),
            np.concatenate([closings.day] * times),
            np.concatenate([closings.whole] * times),
        ),
        **{
            name: tiled(name)
            for name in (
                "time_ns", "day", "score", "n_events", "n_records", "n_customers", "n_closed",
                "counts",
            )
        },
    )  # fmt: skip
    return replace(result, trace=whole)


def main() -> None:
    """Print one line a size."""
    sizes = [int(text) for text in sys.argv[1:]] or [1_000_000, 4_000_000]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        simulate(folder, SimulationConfig(users=200, branches=6, days=14, seed=5, incidents=8))
        events, reference = folder / "events.jsonl", folder / "reference"
        artifact = ad.fit(events, reference=reference, until="2026-03-09")
        result = ad.replay(events, artifact=artifact, reference=reference, features=False)
    ad.what_if(result, CHANGES["weight"])
    for size in sizes:
        big = larger(result, max(size // len(result.trace), 1))
        started = time.perf_counter()
        _ = big.trace.rise_of
        line = [f"{len(big.trace):,} events, index {time.perf_counter() - started:.2f} s"]
        for name, changes in CHANGES.items():
            started = time.perf_counter()
            answer = ad.what_if(big, changes)
            seconds = time.perf_counter() - started
            line.append(f"{name} {seconds:.2f} s ({answer.n_alerts:,} alerts)")
        print(", ".join(line))


if __name__ == "__main__":
    main()
