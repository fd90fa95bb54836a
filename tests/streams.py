"""Build event streams for tests: short to write, canonical when decoded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import orjson

from detector.columns import EventBatch, Reject
from detector.decode import Bounds, decode
from detector.engine import State, Step, new_state, step
from detector.mapping import load_mapping
from detector.plan import Plan, build_plan
from detector.policy import Policy, load_policy
from detector.reference import Reference
from detector.state.layout import F64, I64, LINE

BOUNDS = Bounds(946_684_800_000_000_000, 2_500_000_000_000_000_000)
MONDAY = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)  # 10:00 in Shanghai, a working day


def event(number: int, user: str, when: datetime, **fields: Any) -> dict[str, Any]:
    """One canonical event; ``customer`` and ``branch`` are short for the record's.

    Customers come in no order of their numbers, unless one is named.
    """
    return {
        "event_id": f"e{number}",
        "event_time": when.isoformat(),
        "user_id": user,
        "user_role": fields.pop("role", "teller"),
        "user_branch": fields.pop("home", "B1"),
        "action": fields.pop("action", "read"),
        "customer_id": fields.pop("customer", f"c{number * 7_919 % 1_000_003}"),
        "record_branch": fields.pop("branch", "B1"),
        "record_count": fields.pop("records", 1),
        **fields,
    }


def approval(
    number: int, user: str, since: datetime, until: datetime | str, **scope: Any
) -> dict[str, Any]:
    """An approval for a user; scope: ``customer_id``, ``record_branch``, ``ticket_id``."""
    return {
        "event_id": f"a{number}",
        "event_time": since.isoformat(),
        "user_id": user,
        "action": "approve",
        "valid_until": until if isinstance(until, str) else until.isoformat(),
        **scope,
    }


def verdict(number: int, user: str, when: datetime, word: str) -> dict[str, Any]:
    """Return a judgement about a user: ``benign`` or ``confirmed``."""
    return {
        "event_id": f"v{number}",
        "event_time": when.isoformat(),
        "user_id": user,
        "action": "judge",
        "verdict": word,
    }


def lines_of(events: Iterable[dict[str, Any]]) -> list[bytes]:
    """Return events as lines of JSON."""
    return [orjson.dumps(item) for item in events]


def batch_of(events: Sequence[dict[str, Any]], first_line: int = 1) -> EventBatch:
    """Decode events; none may be rejected."""
    batch, rejects = decode(
        lines_of(events), load_mapping(None), BOUNDS, source="test", first_line=first_line
    )
    assert not rejects
    return batch


def decode_lines(lines: Sequence[bytes]) -> tuple[EventBatch, list[Reject]]:
    """Decode raw lines."""
    return decode(lines, load_mapping(None), BOUNDS, source="test", first_line=1)


def plan_of(
    min_score: float | None = None, reference: Reference | None = None, **limits: Any
) -> Plan:
    """A plan with built-in priors; keyword arguments replace limits of the policy."""
    policy: Policy = load_policy(None)
    if limits:
        policy = replace(policy, limits=replace(policy.limits, **limits))
    return build_plan(policy, None, reference or Reference(), min_score=min_score)


def run(
    events: Sequence[dict[str, Any]], plan: Plan, cuts: Sequence[int] = ()
) -> tuple[list[bytes], list[Step], State]:
    """Run events through the engine, cut at the given positions; return alert lines."""
    state, lines, steps = new_state(plan), [], []
    edges = [0, *sorted({cut % (len(events) + 1) for cut in cuts}), len(events)]
    for first, stop in pairwise(edges):
        result = step(state, batch_of(events[first:stop], first + 1), plan)
        state = result.state
        steps.append(result)
        lines += [alert.to_json_line() for alert in result.alerts]
    return lines, steps, state


def weekdays(n: int, start: datetime = MONDAY) -> list[datetime]:
    """Return the first ``n`` days from ``start`` on that are no weekend."""
    days, day = [], start
    while len(days) < n:
        if day.weekday() < 5:
            days.append(day)
        day += timedelta(days=1)
    return days


def usual_work(
    user: str, days: Sequence[datetime], per_day: int = 30, first: int = 0, **fields: Any
) -> list[dict[str, Any]]:
    """An even, boring history: one event every ten minutes of every day."""
    return [
        event(first + i * per_day + j, user, day + timedelta(minutes=10 * j), **fields)
        for i, day in enumerate(days)
        for j in range(per_day)
    ]


def open_days(state: State, slots: slice | int = 0) -> tuple[I64, F64]:
    """Return the lines of the open days of one actor, or of several, and their scores."""
    links = state.tables.actors.ints[slots, LINE : LINE + 2].ravel()
    lines = links[links > 0]
    return state.tables.days.ints[lines], state.tables.days.surprise[lines]
