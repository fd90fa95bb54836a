"""A candidate beside production on the same events: it scores, and says nothing to anybody."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, Self

from detector.alerts import Alert
from detector.columns import EventBatch
from detector.engine import State, new_state, step
from detector.evaluation import Truth
from detector.plan import Plan

_WRITTEN = ("score", "user_branch", "user_role", "detector")
_KEPT = (*_WRITTEN, "user_id", "time")
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
class Tally:
    """What production and a candidate have said about the same events, added up.

    ``before`` and ``after`` are the alerts of production and candidate by id, at their best;
    ``days`` are UTC days since 1970. Tallies of different events, or of the same ones again,
    add up to one: an alert counts once.
    """

    n_events: int = 0
    days: set[int] = field(default_factory=set)
    before: dict[str, dict[str, Any]] = field(default_factory=dict)
    after: dict[str, dict[str, Any]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=lambda: [0.0, 0.0])

    def note(self, batch: EventBatch, since_ns: int, alerts: Sequence[Sequence[Alert]]) -> None:
        """Add a batch and what both have raised on it.

        Args:
            batch: the events.
            since_ns: days count from this UTC time on.
            alerts: production's and the candidate's.
        """
        times = batch.event_time_ns[batch.event_time_ns >= since_ns]
        self.days.update((times // 86_400_000_000_000).tolist())
        self.n_events += len(batch)
        for said, raised in zip((self.before, self.after), alerts, strict=True):
            for alert in raised:
                _keep_best(said, alert.alert_id, {name: alert.fields[name] for name in _KEPT})

    def add(self, other: Tally) -> None:
        """Add what another part of the stream has given."""
        self.n_events += other.n_events
        self.days |= other.days
        self.seconds = [a + b for a, b in zip(self.seconds, other.seconds, strict=True)]
        for mine, theirs in ((self.before, other.before), (self.after, other.after)):
            for alert_id, fields in theirs.items():
                _keep_best(mine, alert_id, fields)

    def to_json(self) -> dict[str, Any]:
        """Return JSON values, without whom an alert is about: they lie beside models."""
        sides = {name: _without_people(getattr(self, name)) for name in ("before", "after")}
        days = sorted(self.days)
        return {"n_events": self.n_events, "days": days, "seconds": self.seconds, **sides}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Take what ``to_json`` returned.

        Raises:
            TypeError: it is something else.
        """
        return cls(**{**content, "days": set(content["days"])})


def _without_people(said: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        alert_id: {name: fields[name] for name in _WRITTEN} for alert_id, fields in said.items()
    }


def _keep_best(said: dict[str, dict[str, Any]], alert_id: str, fields: dict[str, Any]) -> None:
    held = said.get(alert_id)
    if held is None or fields["score"] > held["score"]:
        said[alert_id] = fields


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
        self._plans = (production, candidate)
        self._states = [held, new_state(candidate)]
        self._tally = Tally()

    def run(self, batch: EventBatch) -> list[Alert]:
        """Score one batch twice; return production's alerts."""
        raised = [self._side(number, batch) for number in (0, 1)]
        self._tally.note(batch, self._plans[0].limits.emit_from_ns, raised)
        return raised[0]

    def _side(self, number: int, batch: EventBatch) -> list[Alert]:
        started = time.perf_counter()
        result = step(self._states[number], batch, self._plans[number])
        self._tally.seconds[number] += time.perf_counter() - started
        self._states[number] = result.state
        return result.alerts

    def comparison(self, truth: Truth | None = None) -> Comparison:
        """Compare what both have said so far.

        Args:
            truth: known incidents, if any.
        """
        production, candidate = (plan.artifact_digest for plan in self._plans)
        return compared(self._tally, production, candidate, truth)


def compared(
    tally: Tally, production: str, candidate: str, truth: Truth | None = None
) -> Comparison:
    """Compare what both have said.

    Args:
        tally: what they have said.
        production: digest of what decided.
        candidate: digest of what was tried.
        truth: known incidents, if any.
    """
    before, after = tally.before, tally.after
    both = before.keys() & after.keys()
    found = [_found(truth, side) for side in (before, after)]
    moved = (i for i in both if abs(before[i]["score"] - after[i]["score"]) >= _MOVED)
    return Comparison(
        production=production,
        candidate=candidate,
        n_events=tally.n_events,
        n_days=len(tally.days),
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
        cost_ratio=tally.seconds[1] / max(tally.seconds[0], 1e-9),
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
