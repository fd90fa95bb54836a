"""A candidate beside production on the same events: it scores, and says nothing to anybody."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from detector.alerts import Alert
from detector.columns import EventBatch
from detector.engine import State, new_state, step
from detector.evaluation import Truth
from detector.plan import Plan

_MOVED = 1.0  # a power of ten: an alert that ranks otherwise


@dataclass(frozen=True, slots=True)
class Comparison:
    """Candidate against production.

    ``n_before`` and ``n_after`` count alerts (not versions); ``gained``, ``lost`` and
    ``reranked`` (by a power of ten and more) are alert ids; ``by`` maps branch, role and
    detector to a name to (before, after); ``lost_incidents`` are known incidents that only
    production finds, ``new_incidents`` those only the candidate finds; ``cost_ratio`` is time
    an event.
    """

    production: str
    candidate: str
    n_events: int
    n_days: int
    n_before: int
    n_after: int
    gained: tuple[str, ...]
    lost: tuple[str, ...]
    reranked: tuple[str, ...]
    by: Mapping[str, Mapping[str, tuple[int, int]]]
    lost_incidents: int
    new_incidents: int
    cost_ratio: float

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)

    def refusals(self, gates: Mapping[str, float]) -> list[str]:
        """Return the gates that are not passed, in words; none: it may be promoted."""
        found = {
            "max_alerts_ratio": (self.n_after / max(self.n_before, 1), "times as many alerts"),
            "max_lost_known_incidents": (float(self.lost_incidents), "known incidents lost"),
            "max_cost_ratio": (self.cost_ratio, "times the time an event"),
        }
        said = [
            f"{value:.2f} {words}, at most {gates[name]:g} ({name})"
            for name, (value, words) in found.items()
            if value > gates[name]
        ]
        if self.n_days < gates["min_days"]:
            least = gates["min_days"]
            said.append(f"{self.n_days} days compared, at least {least:g} (min_days)")
        return said


@dataclass(slots=True)
class _Side:
    """One of the two: its plan, its state, its alerts at their best, its time."""

    plan: Plan
    state: State
    best: dict[str, dict[str, Any]] = field(default_factory=dict)
    seconds: float = 0.0

    def run(self, batch: EventBatch) -> list[Alert]:
        started = time.perf_counter()
        result = step(self.state, batch, self.plan)
        self.seconds += time.perf_counter() - started
        self.state = result.state
        for alert in result.alerts:
            held = self.best.get(alert.alert_id)
            if held is None or alert.fields["score"] > held["score"]:
                self.best[alert.alert_id] = alert.fields
        return result.alerts


class Shadow:
    """Runs production and a candidate side by side.

    Only production's alerts are returned: what the candidate would have raised is counted and
    compared, and reaches no sink.

    Args:
        production: plan that decides.
        candidate: plan that is tried.
        state: production's state, if it has one already; the candidate starts empty and needs
            some days to know people, which is why gates ask for days.
    """

    def __init__(self, production: Plan, candidate: Plan, state: State | None = None) -> None:
        held = new_state(production) if state is None else state
        self._before = _Side(production, held)
        self._after = _Side(candidate, new_state(candidate))
        self._n_events = 0
        self._days: set[int] = set()

    def run(self, batch: EventBatch) -> list[Alert]:
        """Score one batch twice; return production's alerts."""
        alerts = self._before.run(batch)
        self._after.run(batch)
        since = self._before.plan.limits.emit_from_ns
        times = batch.event_time_ns[batch.event_time_ns >= since]
        self._days.update((times // 86_400_000_000_000).tolist())
        self._n_events += len(batch)
        return alerts

    def comparison(self, truth: Truth | None = None) -> Comparison:
        """Compare what both have said so far.

        Args:
            truth: known incidents, if any.
        """
        before, after = self._before.best, self._after.best
        both = before.keys() & after.keys()
        found = [_found(truth, side) for side in (before, after)]
        moved = (i for i in both if abs(before[i]["score"] - after[i]["score"]) >= _MOVED)
        return Comparison(
            production=self._before.plan.artifact_digest,
            candidate=self._after.plan.artifact_digest,
            n_events=self._n_events,
            n_days=len(self._days),
            n_before=len(before),
            n_after=len(after),
            gained=tuple(sorted(after.keys() - before.keys())),
            lost=tuple(sorted(before.keys() - after.keys())),
            reranked=tuple(sorted(moved)),
            by={
                name: _counts(before, after, key)
                for name, key in (
                    ("branch", "user_branch"), ("role", "user_role"), ("detector", "detector"),
                )
            },
            lost_incidents=len(found[0] - found[1]),
            new_incidents=len(found[1] - found[0]),
            cost_ratio=self._after.seconds / max(self._before.seconds, 1e-9),
        )  # fmt: skip


def _counts(
    before: Mapping[str, Mapping[str, Any]], after: Mapping[str, Mapping[str, Any]], key: str
) -> dict[str, tuple[int, int]]:
    """Return alerts of both sides by a field."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for number, side in enumerate((before, after)):
        for alert in side.values():
            counts[str(alert[key])][number] += 1
    return {name: (both[0], both[1]) for name, both in sorted(counts.items())}


def _found(truth: Truth | None, alerts: Mapping[str, Mapping[str, Any]]) -> set[int]:
    """Return the known incidents of which somebody has an alert while they last."""
    if truth is None:
        return set()
    said = [(a["user_id"], date.fromisoformat(a["time"][:10])) for a in alerts.values()]
    return {
        number
        for number, case in enumerate(truth.incidents)
        if any(u in case.users and case.first_day <= day <= case.last_day for u, day in said)
    }
