"""Injections into real logs: tuned on one part, reported on the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from detector.artifacts import Artifact
from detector.columns import EventBatch
from detector.detections import DETECTORS
from detector.fitting import fit
from detector.plan import Plan, build_plan
from detector.policy import Policy
from detector.quality.batches import cut
from detector.quality.injections import (
    Injected,
    NewSeconds,
    Period,
    Worklog,
    borrowed,
    foreign_cases,
    more_cases,
    moved_hours,
    scattered,
    shifted,
    worklog,
)
from detector.quality.ledger import Ledger, ledger
from detector.quality.measures import Interval, auc, interval, share_above, weighted_quantile
from detector.reference import Reference
from detector.state.layout import F64

BUDGET = 0.01  # share of clean user-days (or windows) that may be flagged
VOLUME = ((2.0, 0.26, 0.40), (4.0, 0.58, 0.70), (8.0, 0.83, 0.90))
SUSTAINED = ((1.0, 20, 0.56, 0.65), (2.0, 5, 0.65, 0.75), (0.5, 20, 0.36, 0.45))
HOURS: tuple[tuple[str, NewSeconds, float, float], ...] = (
    ("moved by 6-12 h", shifted, 0.936, 0.95),
    ("uniform over 24 h", scattered, 0.820, 0.85),
    ("another user's hours", borrowed, 0.65, 0.72),
)
FOREIGN_CASES = (1, 3, 10)
_OFF_HOURS, _CROSS = DETECTORS.index("off_hours"), DETECTORS.index("cross_branch")
_NAN = float("nan")

Note = Callable[[str], None]
"""Called with the name of each step that is done."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a log: fitted on what comes before ``period``, measured within it."""

    name: str
    log: Worklog
    plan: Plan
    clean: Ledger
    period: Period


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a table: what was put in, what was reached, floor and goal."""

    what: str
    measure: str
    reached: Interval
    floor: float
    goal: float
    n: int


def fit_plan(
    batches: Sequence[EventBatch], policy: Policy, reference: Reference, **options: Any
) -> Plan:
    """Fit on batches and return a plan that keeps the ledger."""
    arrays, manifest = fit(lambda: iter(batches), policy, reference)
    return build_plan(
        policy, Artifact(arrays, manifest, "quality"), reference, keep_ledger=True, **options
    )


def part_of(name: str, log: Worklog, policy: Policy, period: Period) -> Part:
    """Fit on the days before a period, and run the clean log."""
    before = np.flatnonzero(log.day < period.first_day)
    plan = fit_plan(cut(log.batch.take(before)), policy, Reference())
    upto = worklog(log.batch.take(np.flatnonzero(log.day <= period.last_day)), plan.clock)
    clean = ledger(cut(upto.batch), plan).between(period.first_day, period.last_day)
    return Part(name, upto, plan, clean, period)


def people_only(part: Part, service: Sequence[int]) -> Part:
    """Leave service accounts out of injections and of the clean days."""
    log = part.log
    rows_of = {user: rows for user, rows in log.rows_of.items() if user not in service}
    clean = part.clean.take(~np.isin(part.clean.user, np.array(service, dtype=np.int64)))
    people = Worklog(log.batch, log.day, log.second, rows_of)
    return Part(part.name, people, part.plan, clean, part.period)


def findings(part: Part, n_seeds: int, note: Note) -> Iterator[Finding]:
    """Measure all injections of ``detection.md``, each repeated with ``n_seeds`` seeds."""
    for factor, floor, goal in VOLUME:
        yield from _volume(part, (factor, 1), (floor, goal), n_seeds)
        note(f"{part.name}: +{factor:g}x")
    for factor, n_days, floor, goal in SUSTAINED:
        yield from _volume(part, (factor, n_days), (floor, goal), n_seeds)
        note(f"{part.name}: +{factor:g}x for {n_days} days")
    for what, new_seconds, floor, goal in HOURS:
        yield from _hours(part, what, new_seconds, (floor, goal), n_seeds)
        note(f"{part.name}: hours {what}")


def _volume(
    part: Part, dose: tuple[float, int], bars: tuple[float, float], n_seeds: int
) -> Iterator[Finding]:
    """Recall by the score, and by the one detector whose question it is."""
    factor, n_days = dose
    detector = "bulk_read" if n_days == 1 else "slow_drip"
    column = DETECTORS.index(detector)
    bar, own_bar = window_bar(part.clean, n_days), _own_bar(part.clean, column, n_days)
    recalls: list[float] = []
    own_recalls: list[float] = []
    n = 0
    for seed in range(n_seeds):
        rng = np.random.default_rng([seed, round(factor * 2), n_days])
        injected = more_cases(part.log, part.period, factor, n_days, rng)
        run = ledger(cut(injected.batch), part.plan)
        recalls.append(share_above(best_of(run, run.score, injected), bar))
        own_recalls.append(share_above(best_of(run, run.surprise[:, column], injected), own_bar))
        n += len(injected.injections)
    what = f"+{factor:g}x" + (f" for {n_days} active days" if n_days > 1 else "")
    yield Finding(what, "recall at 1 %, score", interval(recalls), *bars, n)
    yield Finding(what, f"recall at 1 %, {detector} alone", interval(own_recalls), *bars, n)


def _own_bar(clean: Ledger, column: int, n_days: int) -> float:
    return window_bar(replace(clean, score=clean.surprise[:, column]), n_days)


def best_of(run: Ledger, values: F64, injected: Injected) -> F64:
    """(injections,) the highest of some values of a ledger over each injection's days."""
    spans = [run.rows(case.user, case.days[0], case.days[-1]) for case in injected.injections]
    return np.array([values[span].max(initial=0.0) for span in spans])


def window_bar(clean: Ledger, n_days: int) -> float:
    """Score that 1 % of clean windows of random users pass.

    Every user counts the same and, within a user, every window of ``n_days`` active days
    in a row; single days all count the same.

    Args:
        clean: by user and day.
        n_days: active days in a row.
    """
    if n_days == 1:
        return float(np.quantile(clean.score, 1.0 - BUDGET))
    maxima, weights = [], []
    _, first = np.unique(clean.user, return_index=True)
    for score in np.split(clean.score, first[1:]):
        if score.size >= n_days:
            windows = np.lib.stride_tricks.sliding_window_view(score, n_days).max(axis=1)
            maxima.append(windows)
            weights.append(np.full(windows.size, 1.0 / windows.size))
    return weighted_quantile(np.concatenate(maxima), np.concatenate(weights), 1.0 - BUDGET)


def _hours(
    part: Part, what: str, new_seconds: NewSeconds, bars: tuple[float, float], n_seeds: int
) -> Iterator[Finding]:
    areas: list[float] = []
    areas_of_score: list[float] = []
    n = 0
    for seed in range(n_seeds):
        rng = np.random.default_rng([seed, len(what)])
        injected = moved_hours(part.log, part.period, new_seconds, rng)
        hit = injected_days(part, injected)
        areas.append(auc(hit.surprise[:, _OFF_HOURS], part.clean.surprise[:, _OFF_HOURS]))
        areas_of_score.append(auc(hit.score, part.clean.score))
        n += hit.user.size
    yield Finding(what, "AUC of off_hours", interval(areas), *bars, n)
    yield Finding(what, "AUC of the score", interval(areas_of_score), *bars, n)


def foreign_findings(part: Part, n_seeds: int, note: Note) -> Iterator[Finding]:
    """Measure visits to a branch never visited, of 1, 3 and 10 cases in a day."""
    for n_cases in FOREIGN_CASES:
        recalls: list[float] = []
        recalls_of_score: list[float] = []
        n = 0
        for seed in range(n_seeds):
            rng = np.random.default_rng([seed, n_cases, 3])
            injected = foreign_cases(part.log, part.period, n_cases, rng)
            hit = injected_days(part, injected)
            bar = float(np.quantile(part.clean.surprise[:, _CROSS], 1.0 - BUDGET))
            recalls.append(share_above(hit.surprise[:, _CROSS], bar))
            recalls_of_score.append(share_above(hit.score, window_bar(part.clean, 1)))
            n += hit.user.size
        what = f"{n_cases} case{'s' * (n_cases > 1)} of a branch never visited"
        yield Finding(what, "recall at 1 %, cross_branch", interval(recalls), _NAN, _NAN, n)
        yield Finding(what, "recall at 1 %, score", interval(recalls_of_score), _NAN, _NAN, n)
        note(f"{part.name}: {what}")


def injected_days(part: Part, injected: Injected) -> Ledger:
    """Return the actor-days of injections of one day each, in their order."""
    run = ledger(cut(injected.batch), part.plan)
    spans = [run.rows(case.user, case.days[0], case.days[0]) for case in injected.injections]
    return run.take(np.concatenate([np.arange(span.start, span.stop) for span in spans]))
