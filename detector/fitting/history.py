"""One pass over a history: every actor-day, who people are, which branches they visit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.columns import EventBatch
from detector.engine import State, new_state, step
from detector.fitting.values import ValueCounts
from detector.hashing import hash_strings
from detector.plan import Plan
from detector.scoring.builtin import SERVICE_ROLE
from detector.state.layout import DAYS_SEEN, F64, I64, LINE, N_ACTORS, N_CLOSED


@dataclass(frozen=True, slots=True)
class History:
    """Actor-days of a history, one line each, and actor × branch visits.

    ``user`` (m,) are user keys, ``n_before`` (m,) days closed before, ``day`` and
    ``surprise`` the columns of ``state/layout.py``. ``role_of`` and ``home_of`` map a user
    key to a name or None. ``visits`` has one line per pair: user key, branch key, and in
    ``visit_days`` its decayed number of days; ``days_seen`` maps a user key to its decayed
    number of active days. ``value_key`` (sorted) and ``value_share`` are the values of
    ``unfamiliar`` and the share of each in its field.
    """

    n_events: int
    user: I64
    n_before: I64
    day: I64
    surprise: F64
    role_of: dict[int, str | None]
    home_of: dict[int, str | None]
    branches: tuple[str, ...]
    visits: I64
    visit_days: F64
    days_seen: dict[int, float]
    value_key: I64
    value_share: F64


def run_history(batches: Iterable[EventBatch], plan: Plan) -> History:
    """Run a history through the engine; nothing is looked at before it has happened.

    Args:
        batches: events in arrival order.
        plan: with ``keep_ledger``.
    """
    state, n_events = new_state(plan), 0
    actors, days, surprises = [], [], []
    people: dict[str, tuple[str | None, str | None]] = dict(plan.staff)
    branches: set[str] = set(plan.branches)
    values = ValueCounts()
    for batch in batches:
        result = step(state, batch, plan)
        state, n_events = result.state, n_events + len(batch)
        actors.append(result.closed.actor[:, [0, 3]])
        days.append(result.closed.day)
        surprises.append(result.closed.surprise)
        branches.update(batch.record_branch.values, batch.user_branch.values)
        people.update(_people(batch, people))
        values.add(batch)
    open_actor, open_day, open_surprise = _open_days(state)
    who = np.concatenate([*actors, open_actor])
    keys = hash_strings(list(people)).tolist()
    visits, visit_days = _visits(state)
    value_key, value_share = values.shares()
    n = int(state.tables.counts[N_ACTORS])
    seen = state.tables.actors.baseline[:n, DAYS_SEEN].astype(np.float64).tolist()
    return History(
        n_events=n_events,
        user=who[:, 0],
        n_before=who[:, 1],
        day=np.concatenate([*days, open_day]),
        surprise=np.concatenate([*surprises, open_surprise]),
        role_of=dict(zip(keys, (role for role, _ in people.values()), strict=True)),
        home_of=dict(zip(keys, (home for _, home in people.values()), strict=True)),
        branches=tuple(sorted(branches)),
        visits=visits,
        visit_days=visit_days,
        days_seen=dict(zip(state.tables.actors.user[:n].tolist(), seen, strict=True)),
        value_key=value_key,
        value_share=value_share,
    )


def _people(
    batch: EventBatch, known: dict[str, tuple[str | None, str | None]]
) -> dict[str, tuple[str | None, str | None]]:
    """Return role and home as the batch's events name them; service accounts have one role."""
    columns = (batch.user_role, batch.user_branch, batch.account_type)
    rows = set(zip(batch.user_ids, *(column.codes.tolist() for column in columns), strict=True))
    found = {}
    for user_id, role_code, home_code, kind_code in sorted(rows):
        role, home = known.get(user_id, (None, None))
        if role_code >= 0:
            role = batch.user_role.values[role_code]
        if home_code >= 0:
            home = batch.user_branch.values[home_code]
        if kind_code >= 0 and batch.account_type.values[kind_code] == "service":
            role = SERVICE_ROLE
        found[user_id] = (role, home)
    return found


def _open_days(state: State) -> tuple[I64, I64, F64]:
    """Return the days that are still open at the end as if they had closed."""
    actors, days = state.tables.actors, state.tables.days
    n = int(state.tables.counts[N_ACTORS])
    slot, parity = np.nonzero(actors.ints[:n, LINE : LINE + 2])
    line = actors.ints[slot, LINE + parity]
    who = np.stack([actors.user[slot], actors.ints[slot, N_CLOSED]], axis=1)
    return who, days.ints[line], days.surprise[line]


def _visits(state: State) -> tuple[I64, F64]:
    pairs, actors = state.tables.branches, state.tables.actors
    used = np.flatnonzero(pairs.key)
    today = (pairs.today[used] > 0).sum(axis=1)
    keys = np.stack([actors.user[pairs.slot[used]], pairs.branch[used]], axis=1)
    return keys, pairs.visits[used].astype(np.float64) + today


def lookup(keys: I64, table: dict[int, int], missing: int) -> NDArray[np.int64]:
    """Translate keys through a dict, once per distinct key."""
    distinct, inverse = np.unique(keys, return_inverse=True)
    values = np.array([table.get(key, missing) for key in distinct.tolist()], dtype=np.int64)
    return values[inverse] if keys.size else np.zeros(0, dtype=np.int64)
