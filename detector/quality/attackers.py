"""Attackers who know the system: how soon they are read about at a daily budget.

Everybody in a bank is the attacker in turn. A score depends only on its actor's own events,
so one run holds them all, and each is ranked against the clean scores of the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from detector.columns import EventBatch
from detector.plan import Plan
from detector.quality.batches import cut, edited, joined
from detector.quality.injections import (
    DAY_S,
    Dose,
    Period,
    Worklog,
    active_days,
    copies,
    dose,
    median_cases,
    moved_abroad,
    never_visited,
    worklog,
)
from detector.quality.ledger import Ledger, ledger
from detector.state.layout import F64, I64

RAMP_PER_DAY, RAMP_DAYS = 1.03, 60
SPLIT_FACTOR, SPLIT_DAYS = 4.0, 3
NOISE_FACTOR, NOISE_DAYS, NOISE_SHARE = 2.0, 30, 0.5
BURST_FACTOR = 4.0
QUIET_DAYS = 5
_NO_ROWS = np.zeros(0, dtype=np.int64)
Rng = np.random.Generator
# share of the usual cases, cases after hours, cases of a branch never visited: each day
LEVELS = ((0.25, 0, 0), (0.5, 0, 1), (0.5, 1, 1), (1.0, 1, 2), (2.0, 2, 3))


@dataclass(frozen=True, slots=True)
class Target:
    """A bank under attack: events of those who attack, what is learned, everybody's scores."""

    log: Worklog
    plan: Plan
    clean: Ledger
    period: Period


def target_of(days: Ledger, events: EventBatch, plan: Plan, n_attackers: int, seed: int) -> Target:
    """Draw attackers among the seven tenths who work most often.

    Args:
        days: clean scored actor-days of everybody.
        events: of everybody; only the attackers' are run again, for no one else changes.
        plan: what has been learned, with ``keep_ledger``.
        n_attackers: people drawn.
        seed: of the draw.
    """
    users, n_days = np.unique(days.user, return_counts=True)
    settled = users[n_days >= np.quantile(n_days, 0.3)]
    rng = np.random.default_rng(seed)
    chosen = rng.choice(settled, size=min(n_attackers, settled.size), replace=False)
    mine = events.take(np.flatnonzero(np.isin(events.user_hash, chosen)))
    period = Period(int(days.day.min()), int(days.day.max()))
    return Target(worklog(mine, plan.clock), plan, days, period)


@dataclass(frozen=True, slots=True)
class Attack:
    """One attacker's result for a team that reads ``budget`` alerts a day.

    ``delay_days`` are local days from the first bad day to the first day on which the
    attacker is among the alerts read, None if never; ``taken`` is the share of all cases
    taken by then, that day included (1 if never).
    """

    scenario: str
    budget: int
    delay_days: int | None
    taken: float


def attacks(target: Target, budgets: Sequence[int], rng: Rng) -> Iterator[Attack]:
    """Run every scenario against a bank.

    Args:
        target: a bank without incidents.
        budgets: alerts read a day.
        rng: draws days and cases.
    """
    bars = [Bars(target.clean, budget) for budget in budgets]
    yield from _judged("ramp: +3 % a day for 60 days", target, ramp_doses(target, rng), bars, rng)
    yield from _split(target, bars, rng)
    yield from _under_thresholds(target, bars, rng)
    yield from _poisoned(target, bars, rng)


class Bars:
    """What a score must pass, day by day, to be read: the N-th best of the others.

    Args:
        clean: scores without any attack.
        budget: alerts read a day.
    """

    def __init__(self, clean: Ledger, budget: int) -> None:
        self._best: dict[int, list[tuple[float, int]]] = {}
        for day in np.unique(clean.day).tolist():
            rows = np.flatnonzero(clean.day == day)
            top = rows[np.argsort(-clean.score[rows], kind="stable")[: budget + 1]]
            self._best[day] = [(float(clean.score[r]), int(clean.user[r])) for r in top]
        self.budget = budget

    def is_read(self, user: int, day: int, score: float) -> bool:
        """Tell whether fewer than N others score at least as much on this day."""
        above = [s for s, other in self._best.get(day, []) if other != user and s >= score]
        return len(above) < self.budget


def ramp_doses(target: Target, rng: Rng) -> list[Dose]:
    """Take 3 % more on each calendar day than on the last, for 60 days."""
    first, last = target.period.first_day, target.period.first_day + RAMP_DAYS - 1
    doses = []
    for user in sorted(target.log.rows_of):
        days = active_days(target.log, user, Period(first, last))
        if days.size:
            usual = median_cases(target.log, user, first)
            means = usual * (np.power(RAMP_PER_DAY, days - first + 1.0) - 1.0)
            doses.append(dose(user, days, means, rng))
    return doses


def steady_doses(target: Target, factor: float, n_days: int, rng: Rng) -> list[Dose]:
    """Take a multiple of the usual on some active days in a row, from the same day on."""
    doses = []
    middle = (target.period.first_day + target.period.last_day) // 2
    for user in sorted(target.log.rows_of):
        days = active_days(target.log, user, Period(middle, target.period.last_day))[:n_days]
        if days.size == n_days:
            usual = median_cases(target.log, user, target.period.first_day)
            doses.append(dose(user, days, np.full(n_days, factor * usual), rng))
    return doses


def _judged(
    scenario: str, target: Target, doses: Sequence[Dose], bars: Sequence[Bars], rng: Rng
) -> Iterator[Attack]:
    extra = copies(target.log, doses, rng)
    run = ledger(cut(edited(target.log.batch, _NO_ROWS, extra)), target.plan)
    for one in doses:
        yield from _outcomes(scenario, one, run, bars)


def _outcomes(scenario: str, one: Dose, run: Ledger, bars: Sequence[Bars]) -> Iterator[Attack]:
    """Tell for each budget when the attacker is read about."""
    for bar in bars:
        day = first_read(run, one.user, one.days, bar)
        until = one.days[-1] if day is None else day
        taken = sum(n for d, n in zip(one.days, one.n_cases, strict=True) if d <= until)
        delay = None if day is None else day - one.days[0]
        yield Attack(scenario, bar.budget, delay, taken / max(sum(one.n_cases), 1))


def first_read(run: Ledger, user: int, days: Sequence[int], bars: Bars) -> int | None:
    """First day of an attack on which the attacker is read about, None if never."""
    span = run.rows(user, days[0], days[-1])
    for row in range(span.start, span.stop):
        day = int(run.day[row])
        if day in days and bars.is_read(user, day, float(run.score[row])):
            return day
    return None


def _split(target: Target, bars: Sequence[Bars], rng: Rng) -> Iterator[Attack]:
    """One account against the same amount over two; two are caught if either is."""
    whole = f"+{SPLIT_FACTOR:g}x for {SPLIT_DAYS} days"
    doses = steady_doses(target, SPLIT_FACTOR, SPLIT_DAYS, rng)
    yield from _judged(f"split: {whole} by one account", target, doses, bars, rng)
    halves = steady_doses(target, SPLIT_FACTOR / 2.0, SPLIT_DAYS, rng)
    results = list(_judged(f"split: {whole} over two accounts", target, halves, bars, rng))
    for bar in bars:
        mine = [attack for attack in results if attack.budget == bar.budget]
        order = rng.permutation(len(mine)).tolist()
        for left, right in zip(order[::2], order[1::2], strict=False):
            yield min((mine[left], mine[right]), key=_delay_key)


def _delay_key(attack: Attack) -> float:
    return np.inf if attack.delay_days is None else attack.delay_days


def _under_thresholds(target: Target, bars: Sequence[Bars], rng: Rng) -> Iterator[Attack]:
    """A little of everything on five days: the most that stays under every threshold."""
    doses = [
        one
        for one in steady_doses(target, 1.0, QUIET_DAYS, rng)
        if never_visited(target.log, one.user).size
    ]
    best: dict[int, list[Attack]] = {}
    for level in LEVELS:
        run = ledger(cut(_with_a_little(target.log, doses, level, rng)), target.plan)
        for one in doses:
            span = run.rows(one.user, one.days[0], one.days[-1])
            if (run.surprise[span] < target.plan.limits.threshold).all():
                what = f"under every single threshold for {QUIET_DAYS} days"
                best[one.user] = list(_outcomes(what, one, run, bars))
    for found in best.values():
        yield from found


def _with_a_little(
    log: Worklog, doses: Sequence[Dose], level: tuple[float, int, int], rng: Rng
) -> EventBatch:
    """Add a share of each dose in working hours, some cases after hours, some abroad."""
    share, n_late, n_abroad = level
    more = [Dose(d.user, d.days, tuple(round(share * n) for n in d.n_cases)) for d in doses]
    late = [Dose(d.user, d.days, tuple(n_late for _ in d.days)) for d in doses]
    abroad = [Dose(d.user, d.days, tuple(n_abroad for _ in d.days)) for d in doses]
    extra = [
        copies(log, more, rng),
        copies(log, late, rng, after_hours, "late"),
        moved_abroad(log, copies(log, abroad, rng, name="abroad"), rng),
    ]
    return edited(log.batch, _NO_ROWS, joined(extra))


def after_hours(log: Worklog, rows: I64, rng: Rng) -> F64:
    """Times within the ninety minutes after the person's usual end of work."""
    mine = log.rows_of[int(log.batch.user_hash[rows[0]])]
    end = float(np.quantile(log.second[mine], 0.98))
    return np.minimum(end + rng.uniform(600.0, 5400.0, rows.size), DAY_S - 1.0)


def _poisoned(target: Target, bars: Sequence[Bars], rng: Rng) -> Iterator[Attack]:
    """A burst as it is, and after weeks of noise that should make it look usual."""
    bursts = steady_doses(target, BURST_FACTOR, 1, rng)
    what = f"burst: +{BURST_FACTOR:g}x on one day"
    yield from _judged(f"{what}, as it is", target, bursts, bars, rng)
    noise = [_noise_before(target, one, rng) for one in bursts]
    extra = [copies(target.log, bursts, rng), copies(target.log, noise, rng, name="noise")]
    run = ledger(cut(edited(target.log.batch, _NO_ROWS, joined(extra))), target.plan)
    for one in bursts:
        yield from _outcomes(f"{what}, after 30 days of noise", one, run, bars)


def _noise_before(target: Target, burst: Dose, rng: Rng) -> Dose:
    """Up to +2x, drawn evenly, on half of the active days of the month before a burst."""
    before = Period(burst.days[0] - NOISE_DAYS, burst.days[0] - 1)
    days = active_days(target.log, burst.user, before)
    days = days[rng.random(days.size) < NOISE_SHARE]
    usual = median_cases(target.log, burst.user, target.period.first_day)
    return dose(burst.user, days, usual * rng.uniform(0.0, NOISE_FACTOR, days.size), rng)
