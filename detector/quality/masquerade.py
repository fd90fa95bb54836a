"""Somebody else at the keyboard: a crowd that changes its ways, and strangers for days on end.

People work on tasks, each with a few actions of very different frequency; tasks are taken
up and dropped, so that a profile learned once goes stale. At times a stranger, whose tasks
overlap with everybody's, works a spell of days under a person's name. The plan follows the
public masquerade data (Schonlau et al. 2001): a day has 100 events, a spell goes on with
probability 0.8, and nothing but the action tells people apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import orjson
from numpy.typing import NDArray

from detector.artifacts import Artifact
from detector.columns import EventBatch
from detector.decode import Bounds, decode
from detector.fitting import fit
from detector.hashing import hash_strings
from detector.mapping import load_mapping
from detector.plan import build_plan
from detector.policy import Policy
from detector.quality.batches import cut
from detector.quality.ledger import ledger
from detector.quality.measures import share_above
from detector.reference import Reference
from detector.scoring.unfamiliar import UNFAMILIAR
from detector.state.layout import F64, I64

ROWS_A_DAY, FITTED_DAYS, SCORED_DAYS = 100, 50, 70
FALSE_ALARMS = 0.013  # share of the owners' own days that may be flagged, as in the literature
_FIRST_DAY = datetime(2025, 1, 6, 1, tzinfo=UTC)
_N_ACTIONS, _N_SHARED, _N_STRANGERS = 900, 25, 10
_STARTS, _GOES_ON = 0.012, 0.8
_FOREVER_NS = 2**62
Rng = np.random.Generator


@dataclass(frozen=True, slots=True)
class Crowd:
    """``events`` in arrival order; ``masked`` (people, scored days): a stranger's day."""

    events: EventBatch
    masked: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Hits:
    """Shares of strangers' days above the bar: by the score, by ``unfamiliar`` alone."""

    score: float
    unfamiliar: float


@dataclass(slots=True)
class _Person:
    """Tasks, the share of each, and how often something quite else is done."""

    tasks: list[tuple[I64, F64]]
    shares: F64
    oddity: float
    restless: float


def crowd(seed: int, n_people: int = 50) -> Crowd:
    """Draw people, strangers, and all their days.

    Args:
        seed: of everything.
        n_people: owners of accounts; ten strangers come on top.
    """
    rng = np.random.default_rng(seed)
    frequency: F64 = np.arange(1, _N_ACTIONS + 1, dtype=np.float64) ** -1.1
    bank: F64 = frequency / frequency.sum()
    shared = [_task(rng, bank) for _ in range(_N_SHARED)]
    everybody = [_person(rng, bank, shared) for _ in range(n_people + _N_STRANGERS)]
    masked = np.zeros((n_people, SCORED_DAYS), dtype=np.bool_)
    actions = np.empty((n_people, FITTED_DAYS + SCORED_DAYS, ROWS_A_DAY), dtype=np.int64)
    for user in range(n_people):
        stranger = -1
        for day in range(FITTED_DAYS + SCORED_DAYS):
            actions[user, day] = _work(everybody[user], rng, bank)
            if day < FITTED_DAYS:
                continue
            stays = stranger >= 0 and rng.random() < _GOES_ON
            comes = stranger < 0 and rng.random() < _STARTS
            if comes:
                stranger = n_people + int(rng.integers(_N_STRANGERS))
            elif not stays:
                stranger = -1
            if stranger >= 0:
                actions[user, day] = _work(everybody[stranger], rng, bank)
                masked[user, day - FITTED_DAYS] = True
    return Crowd(_events(actions), masked)


def _task(rng: Rng, bank: F64) -> tuple[I64, F64]:
    n = int(rng.integers(5, 40))
    weight = bank ** rng.uniform(0.3, 0.8)
    kinds = rng.choice(_N_ACTIONS, n, replace=False, p=weight / weight.sum())
    return kinds, rng.dirichlet(np.full(n, 0.35))


def _person(rng: Rng, bank: F64, shared: list[tuple[I64, F64]]) -> _Person:
    own = [_task(rng, bank) for _ in range(int(rng.integers(1, 4)))]
    with_others = rng.choice(len(shared), int(rng.integers(2, 7)), replace=False)
    tasks = own + [shared[i] for i in with_others.tolist()]
    shares = rng.dirichlet(np.full(len(tasks), 0.6))
    return _Person(tasks, shares, float(rng.choice([0.005, 0.02, 0.05])), rng.uniform(0.03, 0.15))


def _work(person: _Person, rng: Rng, bank: F64) -> I64:
    """A day's actions: a mix of tasks of its own, actions often repeated, a new task at times."""
    if rng.random() < person.restless:
        person.tasks.append(_task(rng, bank))
        person.shares = np.append(person.shares * 0.8, 0.2)
    mix = rng.dirichlet(person.shares * rng.uniform(2.0, 8.0) + 1e-3)
    out = np.empty(ROWS_A_DAY, dtype=np.int64)
    task = int(rng.choice(len(person.tasks), p=mix))
    for row in range(ROWS_A_DAY):
        if rng.random() < 0.08:
            task = int(rng.choice(len(person.tasks), p=mix))
        if row and rng.random() < 0.15:
            out[row] = out[row - 1]
        elif rng.random() < person.oddity:
            out[row] = rng.choice(_N_ACTIONS, p=bank)
        else:
            kinds, shares = person.tasks[task]
            out[row] = rng.choice(kinds, p=shares)
    return out


def _events(actions: I64) -> EventBatch:
    n_people, n_days, n_rows = actions.shape
    lines = []
    for day in range(n_days):
        for row in range(n_rows):
            when = (_FIRST_DAY + timedelta(days=day, seconds=144 * row)).isoformat()
            for user, action in enumerate(actions[:, day, row].tolist()):
                number = (day * n_rows + row) * n_people + user
                lines.append(
                    orjson.dumps(
                        {
                            "event_id": f"e{number}",
                            "event_time": when,
                            "user_id": f"u{user}",
                            "action": f"a{action}",
                        }
                    )
                )
    bounds = Bounds(0, _FOREVER_NS)
    batch, _ = decode(lines, load_mapping(None), bounds, source="masquerade", first_line=1)
    return batch


def hits(people: Crowd, policy: Policy, false_alarms: float = FALSE_ALARMS) -> Hits:
    """Fit on the first days, score the others, and count the strangers' days above the bar.

    Args:
        people: of ``crowd``.
        policy: detectors and thresholds.
        false_alarms: share of the owners' days that pass the bar, in (0, 1).
    """
    n_people, n_days = people.masked.shape
    history = people.events.take(np.arange(n_people * FITTED_DAYS * ROWS_A_DAY, dtype=np.int64))
    arrays, manifest = fit(lambda: iter(cut(history)), policy, Reference())
    artifact = Artifact(arrays, manifest, "masquerade")
    plan = build_plan(policy, artifact, Reference(), keep_ledger=True)
    days = ledger(cut(people.events), plan)
    number_of = {key: i for i, key in enumerate(_keys(n_people))}
    user = np.array([number_of[key] for key in days.user.tolist()])
    day = days.day - days.day.min() - FITTED_DAYS
    scored = day >= 0
    score, unlike = np.zeros((2, n_people, n_days))
    score[user[scored], day[scored]] = days.score[scored]
    unlike[user[scored], day[scored]] = days.surprise[scored, UNFAMILIAR]
    return Hits(*(_above(values, people.masked, false_alarms) for values in (score, unlike)))


def _keys(n_people: int) -> list[int]:
    keys: list[int] = hash_strings([f"u{user}" for user in range(n_people)]).tolist()
    return keys


def _above(values: F64, masked: NDArray[np.bool_], false_alarms: float) -> float:
    bar = float(np.quantile(values[~masked], 1.0 - false_alarms))
    return share_above(values[masked], bar)
