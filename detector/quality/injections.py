"""What is put into real logs: more cases on ordinary days, hours moved, foreign branches.

Each function gives every user one injection at most, so that injections do not disturb
each other: a score depends only on its actor's own events.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from detector.columns import Coded, EventBatch
from detector.quality.batches import changed, edited
from detector.state.layout import F64, I64
from detector.workhours import ClockTables

DAY_S = 86_400
SECOND_NS = 1_000_000_000
_LEAST_DAYS = 5  # active days before the period from which a user's median is taken


@dataclass(frozen=True, slots=True)
class Worklog:
    """Events with their local days, and the rows of every user.

    ``day`` (n,) local days since 1970-01-01; ``second`` (n,) seconds since local midnight;
    ``rows_of`` user key → rows in arrival order.
    """

    batch: EventBatch
    day: I64
    second: F64
    rows_of: dict[int, I64]


@dataclass(frozen=True, slots=True)
class Period:
    """Local days since 1970-01-01, both inclusive."""

    first_day: int
    last_day: int


@dataclass(frozen=True, slots=True)
class Injection:
    """One injection: a user key, its local days in order, events put in or moved."""

    user: int
    days: tuple[int, ...]
    n_events: int


@dataclass(frozen=True, slots=True)
class Injected:
    """Events with injections in them."""

    batch: EventBatch
    injections: list[Injection]


def worklog(batch: EventBatch, clock: ClockTables) -> Worklog:
    """Tell local day and second of every event, in the default time zone."""
    zone = int(clock.branch_zone[0])
    span = slice(int(clock.zone_start[zone]), int(clock.zone_start[zone + 1]))
    at = np.searchsorted(clock.change_ns[span], batch.event_time_ns, side="right") - 1
    local_ns = batch.event_time_ns + clock.offset_s[span][at].astype(np.int64) * SECOND_NS
    day, within_ns = np.divmod(local_ns, DAY_S * SECOND_NS)
    order = np.argsort(batch.user_hash, kind="stable")
    users, first = np.unique(batch.user_hash[order], return_index=True)
    rows_of = dict(zip(users.tolist(), np.split(order, first[1:]), strict=True))
    return Worklog(batch, day, within_ns / SECOND_NS, rows_of)


def active_days(log: Worklog, user: int, period: Period) -> I64:
    """Return the days of a period on which a user did anything, ascending."""
    days = np.unique(log.day[log.rows_of[user]])
    return days[(days >= period.first_day) & (days <= period.last_day)]


def median_cases(log: Worklog, user: int, before_day: int) -> float:
    """Median of the distinct cases of a user's active days before a day.

    Where fewer than five such days are known, all days of the log are taken.
    """
    rows = log.rows_of[user]
    past = rows[log.day[rows] < before_day]
    if np.unique(log.day[past]).size >= _LEAST_DAYS:
        rows = past
    pairs = np.unique(np.stack([log.day[rows], log.batch.customer_hash[rows]]), axis=1)
    _, per_day = np.unique(pairs[0], return_counts=True)
    return float(np.median(per_day))


@dataclass(frozen=True, slots=True)
class Dose:
    """Extra cases of one user: how many on each of some days, which are active days."""

    user: int
    days: tuple[int, ...]
    n_cases: tuple[int, ...]


NewSeconds = Callable[[Worklog, I64, np.random.Generator], F64]
"""(log, some rows of one person, rng) → (rows,) seconds since local midnight for copies."""


def more_cases(
    log: Worklog, period: Period, factor: float, n_days: int, rng: np.random.Generator
) -> Injected:
    """Add ``factor`` × the median distinct cases, on each of ``n_days`` active days in a row.

    Args:
        log: clean events.
        period: the days among which the first is drawn.
        factor: extra distinct cases, in medians of the user.
        n_days: active days in a row; users with fewer in the period are left out.
        rng: draws days, sources and case numbers.
    """
    doses = []
    for user in sorted(log.rows_of):
        days = active_days(log, user, period)
        if days.size >= n_days:
            start = int(rng.integers(0, days.size - n_days + 1))
            mean = factor * median_cases(log, user, period.first_day)
            doses.append(dose(user, days[start : start + n_days], np.full(n_days, mean), rng))
    return put_in(log, doses, copies(log, doses, rng))


def dose(user: int, days: I64, means: F64, rng: np.random.Generator) -> Dose:
    """Round means up as often as their fraction says, so that the expected number is exact."""
    whole = np.floor(means)
    n_cases = whole + (rng.random(means.size) < means - whole)
    return Dose(user, tuple(days.tolist()), tuple(n_cases.astype(np.int64).tolist()))


def put_in(log: Worklog, doses: Sequence[Dose], extra: EventBatch) -> Injected:
    """Put copies into the log, and say what has been injected."""
    found = [Injection(one.user, one.days, sum(one.n_cases)) for one in doses]
    return Injected(edited(log.batch, np.zeros(0, dtype=np.int64), extra), found)


def own_hours(log: Worklog, rows: I64, rng: np.random.Generator) -> F64:
    """Keep the times of day of the copied events."""
    del rng
    return log.second[rows]


def copies(
    log: Worklog,
    doses: Sequence[Dose],
    rng: np.random.Generator,
    seconds: NewSeconds = own_hours,
    name: str = "injected",
) -> EventBatch:
    """Copy own events of each user to the days of a dose, every copy on a new case.

    A copy has the action of its source and, unless ``seconds`` says otherwise, its time of
    day; sources are events of the same kind of day (weekend or not).
    """
    sources, times = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for one in doses:
        mine = log.rows_of[one.user]
        weekend = is_weekend(log.day[mine])
        for day, n in zip(one.days, one.n_cases, strict=True):
            if n == 0:
                continue
            alike = mine[weekend == is_weekend(np.array([day]))[0]]
            rows = rng.choice(alike, size=n)
            second_ns = (seconds(log, rows, rng) * SECOND_NS).astype(np.int64)
            sources.append(rows)
            times.append(_midnight_ns(log, mine, day) + second_ns)
    rows, time_ns = np.concatenate(sources), np.concatenate(times)
    texts = [f"8{number:08d}" for number in rng.choice(10**8, size=rows.size, replace=False)]
    return changed(log.batch.take(rows), time_ns, name, texts)


def is_weekend(day: I64) -> I64:
    """(n,) 1 on Saturdays and Sundays, else 0.

    >>> is_weekend(np.array([0, 2, 3, 4]))  # 1970-01-01 was a Thursday
    array([0, 1, 1, 0])
    """
    return np.asarray((day + 3) % 7 >= 5, dtype=np.int64)


def _midnight_ns(log: Worklog, rows: I64, day: int) -> int:
    """UTC time of local midnight, by one of the day's own events."""
    row = rows[np.flatnonzero(log.day[rows] == day)[0]]
    return int(log.batch.event_time_ns[row] - np.int64(log.second[row] * SECOND_NS))


def never_visited(log: Worklog, user: int) -> NDArray[np.int32]:
    """Codes of the record branches that a user's events never name."""
    column = log.batch.record_branch
    everywhere = np.arange(len(column.values), dtype=np.int32)
    return np.setdiff1d(everywhere, column.codes[log.rows_of[user]])


def moved_abroad(log: Worklog, extra: EventBatch, rng: np.random.Generator) -> EventBatch:
    """Put the records of each user's copies into one branch that the user never visited."""
    codes = extra.record_branch.codes.copy()
    for user in np.unique(extra.user_hash).tolist():
        codes[extra.user_hash == user] = rng.choice(never_visited(log, user))
    return replace(extra, record_branch=Coded(codes, extra.record_branch.values))


def foreign_cases(log: Worklog, period: Period, n_cases: int, rng: np.random.Generator) -> Injected:
    """Add cases of one branch never visited, on one active day of every user.

    Users who know every branch are left out.
    """
    doses = []
    for user in sorted(log.rows_of):
        days = active_days(log, user, period)
        if days.size and never_visited(log, user).size:
            doses.append(Dose(user, (int(rng.choice(days)),), (n_cases,)))
    extra = moved_abroad(log, copies(log, doses, rng), rng)
    return put_in(log, doses, extra)


def shifted(log: Worklog, rows: I64, rng: np.random.Generator) -> F64:
    """Move a day by 6 to 12 hours, forward or back, around the clock."""
    hours = rng.uniform(6.0, 12.0) * rng.choice([-1.0, 1.0])
    return np.asarray(np.mod(log.second[rows] + hours * 3600.0, DAY_S))


def scattered(log: Worklog, rows: I64, rng: np.random.Generator) -> F64:
    """Scatter a day evenly over 24 hours."""
    del log
    return rng.uniform(0.0, DAY_S, rows.size)


def borrowed(log: Worklog, rows: I64, rng: np.random.Generator) -> F64:
    """Take the times of day at which another user works on such days."""
    me, day = int(log.batch.user_hash[rows[0]]), int(log.day[rows[0]])
    other = int(rng.choice([user for user in sorted(log.rows_of) if user != me]))
    theirs = log.rows_of[other]
    alike = theirs[is_weekend(log.day[theirs]) == is_weekend(np.array([day]))[0]]
    chosen: F64 = log.second[rng.choice(alike if alike.size else theirs, size=rows.size)]
    return chosen


def moved_hours(
    log: Worklog, period: Period, new_seconds: NewSeconds, rng: np.random.Generator
) -> Injected:
    """Move the hours of one active day of every user; the local day stays.

    Args:
        log: clean events.
        period: the days among which one is drawn.
        new_seconds: ``shifted``, ``scattered`` or ``borrowed``.
        rng: draws day and hours.
    """
    none = np.zeros(0, dtype=np.int64)
    found, moved, times = [], [none], [none]
    for user in sorted(log.rows_of):
        days = active_days(log, user, period)
        if days.size == 0:
            continue
        day, mine = int(rng.choice(days)), log.rows_of[user]
        rows = mine[log.day[mine] == day]
        second_ns = (new_seconds(log, rows, rng) * SECOND_NS).astype(np.int64)
        moved.append(rows)
        times.append(_midnight_ns(log, mine, day) + second_ns)
        found.append(Injection(user, (day,), rows.size))
    rows, time_ns = np.concatenate(moved), np.concatenate(times)
    extra = replace(log.batch.take(rows), event_time_ns=time_ns)
    return Injected(edited(log.batch, rows, extra), found)
