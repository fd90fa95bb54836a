"""What is put into real logs: more cases on ordinary days, hours moved, foreign branches.

Each function gives every user one injection at most, so that injections do not disturb
each other: a score depends only on its actor's own events.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from detector.columns import EventBatch
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


def more_cases(
    log: Worklog, period: Period, factor: float, n_days: int, rng: np.random.Generator
) -> Injected:
    """Add ``factor`` × the median distinct cases, on each of ``n_days`` active days in a row.

    Every added event is on a case nobody has seen. It is a copy of one of the user's own
    events of the same kind of day (weekend or not): same action, same time of day. Shares of
    a case are rounded at random, so that the expected number is exact.

    Args:
        log: clean events.
        period: the days among which the first is drawn.
        factor: extra distinct cases, in medians of the user.
        n_days: active days in a row; users with fewer in the period are left out.
        rng: draws day, sources and case numbers.
    """
    found: list[Injection] = []
    sources: list[I64] = []
    times: list[I64] = []
    for user in sorted(log.rows_of):
        days = active_days(log, user, period)
        if days.size < n_days:
            continue
        start = int(rng.integers(0, days.size - n_days + 1))
        chosen = days[start : start + n_days]
        mean = factor * median_cases(log, user, period.first_day)
        drawn = [_copies(log, user, int(day), _rounded(mean, rng), rng) for day in chosen]
        sources += [rows for rows, _ in drawn]
        times += [time_ns for _, time_ns in drawn]
        n_events = sum(rows.size for rows, _ in drawn)
        found.append(Injection(user, tuple(chosen.tolist()), n_events))
    return _with_new_cases(log, sources, times, found, rng)


def _rounded(mean: float, rng: np.random.Generator) -> int:
    """Round up as often as the fraction says."""
    return int(mean) + int(rng.random() < mean - int(mean))


def _copies(
    log: Worklog, user: int, day: int, n: int, rng: np.random.Generator
) -> tuple[I64, I64]:
    """Draw n own events to copy, and the UTC times of the copies on another day."""
    rows = log.rows_of[user]
    same_kind = rows[is_weekend(log.day[rows]) == is_weekend(np.array([day]))[0]]
    chosen = rng.choice(same_kind, size=n)
    return chosen, _midnight_ns(log, rows, day) + (log.second[chosen] * SECOND_NS).astype(np.int64)


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


def _with_new_cases(
    log: Worklog,
    sources: list[I64],
    times: list[I64],
    found: list[Injection],
    rng: np.random.Generator,
) -> Injected:
    none = np.zeros(0, dtype=np.int64)
    rows, time_ns = np.concatenate([none, *sources]), np.concatenate([none, *times])
    texts = [f"8{number:08d}" for number in rng.choice(10**8, size=rows.size, replace=False)]
    extra = changed(log.batch.take(rows), time_ns, "injected", texts)
    return Injected(edited(log.batch, none, extra), found)


NewSeconds = Callable[[Worklog, I64, np.random.Generator], F64]
"""(log, rows of one person's day, rng) → (rows,) new seconds since local midnight."""


def shifted(log: Worklog, rows: I64, rng: np.random.Generator) -> F64:
    """Move a day by 6 to 12 hours, forward or back, around the clock."""
    hours = rng.uniform(6.0, 12.0) * rng.choice([-1.0, 1.0])
    return np.mod(log.second[rows] + hours * 3600.0, DAY_S)


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
    return log.second[rng.choice(alike if alike.size else theirs, size=rows.size)]


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
