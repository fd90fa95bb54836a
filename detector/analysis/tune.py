"""Search policy parameters on the first labelled days; judge the choice once, on the last ones.

A change is taken only if it is surely better where it was searched (paired bootstrap over
incidents): with the few incidents a bank has, the best of many candidates is mostly luck.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.analysis.answers import flat_keys, nested, what_if
from detector.analysis.judge import ranking_of
from detector.analysis.result import Result
from detector.analysis.runs import replay
from detector.detections import DETECTORS
from detector.errors import OptionError
from detector.evaluation import Ranking, Truth

Changes = dict[str, Any]
Caught = NDArray[np.bool_]
SEARCHED: Mapping[str, Sequence[Any]] = {
    "alerts.known_share": (0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
    "alerts.flag_score": (2.0, 2.5, 3.0, 4.0),
    "learning.flagged_day_weight": (0.05, 0.25, 1.0),
    "learning.half_life_active_days": (12.0, 25.0, 50.0),
    "learning.winsor_sd": (2.0, 3.0, 6.0),
    **{f"detectors.{name}.enabled": (False,) for name in DETECTORS},
}
"""What is tried, one key after the other."""
_LOW_SCORE = 0.5  # rankings reach so far down
_N_BOOTSTRAP = 2_000
_SURE = 0.05  # of the bootstrap: a gain must be above 0 here
_FRONT_BUDGETS = (1, 2, 3, 5, 10, 20)


@dataclass(frozen=True, slots=True)
class Effect:
    """Recall of two policies at a budget, and their paired difference with its 90 % interval."""

    n_incidents: int
    before: float
    after: float
    gain: float
    gain_low: float
    gain_high: float


@dataclass(frozen=True, slots=True)
class Point:
    """One policy at one budget on the days of the search."""

    budget: int
    recall: float
    changes: Changes


@dataclass(frozen=True, slots=True)
class Tuning:
    """What the search chose: ``changes`` (dotted keys, empty: the policy stays), and why.

    ``searched`` is the effect where it was searched, hence flattered; ``judged`` on the later
    days that the search never saw. ``front`` are the policies that no other beats at their
    budget. ``n_tried`` counts candidates, ``n_replays`` those that stored scores could not answer.
    """

    budget: int
    changes: Changes
    searched: Effect
    judged: Effect
    front: tuple[Point, ...]
    n_tried: int
    n_replays: int


@dataclass(slots=True)
class _Search:
    """The replays of a search, and what has been tried."""

    events: Any
    truth: Truth
    options: dict[str, Any]
    policy: Changes
    base: Result
    until: str
    n_replays: int = 0

    def ranking(self, changes: Changes) -> Ranking:
        """Rank the search days under a changed policy; from stored scores where they suffice."""
        try:
            return ranking_of(what_if(self.base, changes))
        except OptionError:
            self.n_replays += 1
        policy = nested({**self.policy, **changes})
        return ranking_of(_replayed(self.events, policy, self.options, self.until))


def tune(
    events: Any,
    truth: Truth,
    *,
    budget: int = 5,
    split: float = 0.6,
    seed: int = 0,
    policy: Mapping[str, Any] | None = None,
    searched: Mapping[str, Sequence[Any]] | None = None,
    **options: Any,
) -> Tuning:
    """Find policy parameters that find more incidents at the same reading.

    Args:
        events: a path or data frame.
        truth: labelled incidents; the first ``split`` of its days are searched, the rest
            judges once.
        budget: alerts read a day.
        split: share of the labelled days to search on.
        seed: of the bootstrap.
        policy: tables over the default to start from.
        searched: dotted keys and values to try; None: ``SEARCHED``.
        options: artifact, reference and mapping, as for ``replay``.

    Raises:
        OptionError: too few incidents to search or to judge with.
        DetectorError: an input cannot be used.
    """
    first, last = between(truth, 0.0, split), between(truth, split, 1.0)
    if not first.incidents or not last.incidents:
        hint = "Label more days, or move the split"
        raise OptionError("leaves no incident to search or to judge with", where="split", hint=hint)
    start = dict(flat_keys(policy or {}))
    options["since"] = truth.first_day.isoformat()
    until = (first.first_day + timedelta(days=first.n_days)).isoformat()
    base = _replayed(events, nested(start), options, until)
    search = _Search(events, first, options, start, base, until)
    changes, tried = _climb(search, searched or SEARCHED, budget, seed)
    after = _replayed(events, nested({**start, **changes}), options, None)
    before = after if not changes else _replayed(events, nested(start), options, None)
    rankings = [tried[_key(found)][1] for found in ({}, changes)]
    return Tuning(
        budget=budget,
        changes=changes,
        searched=effect(rankings[0], rankings[1], first, budget, seed),
        judged=effect(ranking_of(before), ranking_of(after), last, budget, seed),
        front=_front(tried, first),
        n_tried=len(tried),
        n_replays=search.n_replays,
    )


_Tried = dict[str, tuple[Changes, Ranking]]


def _key(changes: Changes) -> str:
    return repr(sorted(changes.items()))


def _climb(
    search: _Search, searched: Mapping[str, Sequence[Any]], budget: int, seed: int
) -> tuple[Changes, _Tried]:
    """Take, key by key, the best value that is surely better than what was taken before."""
    taken: Changes = {}
    held = search.ranking({})
    tried: _Tried = {_key({}): ({}, held)}
    for name, values in searched.items():
        best, best_gain, best_ranking = taken, 0.0, held
        for candidate in _candidates(taken, name, values):
            ranking = search.ranking(candidate)
            tried[_key(candidate)] = (candidate, ranking)
            found = effect(held, ranking, search.truth, budget, seed)
            if found.gain_low > 0.0 and found.gain > best_gain:
                best, best_gain, best_ranking = candidate, found.gain, ranking
        taken, held = best, best_ranking
    return taken, tried


def _candidates(taken: Changes, name: str, values: Sequence[Any]) -> Iterator[Changes]:
    for value in values:
        yield {**taken, name: value}


def _replayed(
    events: Any, policy: Mapping[str, Any], options: Mapping[str, Any], until: str | None
) -> Result:
    return replay(
        events, policy=policy, until=until, min_score=_LOW_SCORE, features=False, **options
    )


def caught(ranking: Ranking, truth: Truth, budget: int) -> Caught:
    """(n,) whether a team that reads so many alerts a day finds each incident."""
    read = {day: {user for _, user in found[:budget]} for day, found in ranking.items()}
    return np.array(
        [
            any(
                read.get(case.first_day + timedelta(days=n), set()) & case.users
                for n in range((case.last_day - case.first_day).days + 1)
            )
            for case in truth.incidents
        ],
        dtype=np.bool_,
    )


def effect(before: Ranking, after: Ranking, truth: Truth, budget: int, seed: int) -> Effect:
    """Compare two rankings incident by incident; the interval resamples incidents."""
    one, other = caught(before, truth, budget), caught(after, truth, budget)
    gain = other.astype(np.float64) - one
    rng = np.random.default_rng(seed)
    means = rng.choice(gain, size=(_N_BOOTSTRAP, gain.size)).mean(axis=1)
    return Effect(
        n_incidents=gain.size,
        before=float(one.mean()),
        after=float(other.mean()),
        gain=float(gain.mean()),
        gain_low=float(np.quantile(means, _SURE)),
        gain_high=float(np.quantile(means, 1.0 - _SURE)),
    )


def _front(tried: _Tried, truth: Truth) -> tuple[Point, ...]:
    """Return the best policy at each budget, as long as reading more finds more."""
    points: list[Point] = []
    for budget in _FRONT_BUDGETS:
        at = [
            Point(budget, float(caught(ranking, truth, budget).mean()), changes)
            for changes, ranking in tried.values()
        ]
        best = max(at, key=lambda point: (point.recall, -len(point.changes)))
        if not points or best.recall > points[-1].recall:
            points.append(best)
    return tuple(points)


def between(truth: Truth, start: float, stop: float) -> Truth:
    """Keep the days between two shares of the period, and the incidents that end in them.

    An incident that lies across a border belongs to the part in which it began, and is cut
    there.

    Args:
        truth: labelled incidents.
        start: share of the days at which to begin, 0 to 1.
        stop: share of the days at which to end.
    """
    first_index, end_index = round(start * truth.n_days), round(stop * truth.n_days)
    first = truth.first_day + timedelta(days=first_index)
    n_days = end_index - first_index
    last = first + timedelta(days=n_days - 1)
    kept = tuple(
        type(case)(case.kind, case.users, case.first_day, min(case.last_day, last))
        for case in truth.incidents
        if first <= case.first_day <= last
    )
    return Truth(first, n_days, kept)


def policy_text(tuning: Tuning, start: Mapping[str, Any] | None = None) -> str:
    """Return the policy file of a tuning, with its expected effect as comments."""
    lines = ["# Tuned by `detector tune`; look at the effect before it is reviewed."]
    for name, one in (("searched on", tuning.searched), ("judged on", tuning.judged)):
        lines.append(
            f"# {name} {one.n_incidents} incidents at {tuning.budget} alerts a day: recall "
            f"{one.before:.2f} -> {one.after:.2f}, gain {one.gain:+.2f} "
            f"(90 % interval {one.gain_low:+.2f} to {one.gain_high:+.2f})"
        )
    tables: dict[str, list[str]] = {}
    for name, value in {**dict(flat_keys(start or {})), **tuning.changes}.items():
        table, _, key = name.rpartition(".")
        tables.setdefault(table, []).append(f"{key} = {json.dumps(value, ensure_ascii=False)}")
    for table, rows in sorted(tables.items()):
        lines += ["", f"[{table}]", *rows]
    if not tuning.changes:
        lines.append("# No candidate was surely better: nothing is changed.")
    return "\n".join(lines) + "\n"
