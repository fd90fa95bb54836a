"""A bank with labelled insiders: events, truth and reference tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import orjson

from detector.simulate import parameters as p
from detector.simulate.bank import Bank, Floats, build_bank, write_reference
from detector.simulate.day import Events, ordinary_day
from detector.simulate.incidents import Incident, plan_incidents, vip_customers
from detector.simulate.parameters import SimulationConfig
from detector.simulate.text import Writer

__all__ = ["SimulationConfig", "SimulationSummary", "simulate"]

_DAY_S = 86_400
_EARLIEST_ZONE_S = 14 * 3600  # no place on earth begins a day earlier


@dataclass(frozen=True, slots=True)
class SimulationSummary:
    """What has been written."""

    events: int
    users: int
    incidents: int

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return {"events": self.events, "users": self.users, "incidents": self.incidents}


class _ArrivalOrder:
    """Holds lines back until nothing earlier can come, then writes them in order."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._arrival: Floats = np.zeros(0)
        self._lines: list[bytes] = []
        self.n_written = 0

    def add(self, arrival_s: Floats, lines: list[bytes], until_s: float) -> None:
        arrival = np.concatenate([self._arrival, arrival_s])
        lines = self._lines + lines
        order = np.argsort(arrival, kind="stable")
        n_due = int(np.searchsorted(arrival[order], until_s))
        due = [lines[row] for row in order[:n_due].tolist()]
        if due:
            self._stream.write(b"\n".join(due) + b"\n")
        self.n_written += n_due
        self._arrival = arrival[order[n_due:]]
        self._lines = [lines[row] for row in order[n_due:].tolist()]


def simulate(
    out: Path, config: SimulationConfig, progress: Callable[[int], None] | None = None
) -> SimulationSummary:
    """Write ``events.jsonl`` (arrival order), ``truth.json`` and ``reference/`` to a folder.

    Equal configurations give equal bytes. Memory holds two days, however long the period.

    Args:
        out: folder, created if missing.
        config: size, period and seed.
        progress: called with the number of days done.
    """
    out.mkdir(parents=True, exist_ok=True)
    seeds = np.random.SeedSequence(config.seed).spawn(4)
    bank_rng, day_rng, bad_rng, text_rng = (np.random.default_rng(seed) for seed in seeds)
    bank = build_bank(config, bank_rng)
    incidents = plan_incidents(bank, bad_rng)
    write_reference(bank, out / "reference", vip_customers(bank))
    other_desk = {case.number for case in incidents if case.kind in p.AT_OTHER_DESK}
    writer = Writer(bank, text_rng, frozenset(other_desk))
    bad_ids: dict[int, list[str]] = {}
    with (out / "events.jsonl").open("wb") as stream:
        ordered = _ArrivalOrder(stream)
        for day in range(config.days):
            parts = [ordinary_day(bank, day, day_rng)]
            parts += [case.days[day] for case in incidents if day in case.days]
            written = writer.write(Events.join(parts), day)
            for number, ids in written.bad_ids.items():
                bad_ids.setdefault(number, []).extend(ids)
            next_day_s = (bank.day(day + 1).toordinal() - 719_163) * _DAY_S - _EARLIEST_ZONE_S
            last = day == config.days - 1
            ordered.add(written.arrival_s, written.lines, np.inf if last else next_day_s)
            if progress is not None:
                progress(day + 1)
    (out / "truth.json").write_bytes(_truth(bank, incidents, bad_ids))
    return SimulationSummary(ordered.n_written, config.users, len(incidents))


def _truth(bank: Bank, incidents: list[Incident], bad_ids: dict[int, list[str]]) -> bytes:
    first = bank.config.first_scored_day
    content = {
        "first_scored_day": str(bank.day(first)),
        "days": bank.config.days - first,
        "incidents": [
            {
                "id": case.number,
                "kind": case.kind,
                "users": [bank.user_ids[user] for user in case.users],
                "start": str(bank.day(min(case.days))),
                "end": str(bank.day(max(case.days))),
                "event_ids": bad_ids.get(case.number, []),
            }
            for case in incidents
        ],
    }
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
