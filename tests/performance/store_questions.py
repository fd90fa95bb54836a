"""What the console's pages ask of a store, with words and days that differ each time."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable
from contextlib import closing
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Connection

from detector.detections import DETECTORS
from detector.store.alert_queries import alert_by_id, similar
from detector.store.console import ConsoleStore
from detector.store.overview import alerts_per_day, branch_heatmap, precision, triage_times
from detector.store.people import ledger, riskiest
from detector.store.queries import Filed, Filter, Sort, count_alerts, count_by, list_alerts
from tests.performance.store_alerts import FIRST, N_BRANCHES, N_DAYS, fill, n_users

_ROUNDS = 15
_DAYS_OF_A_MONTH = 31

Question = Callable[[Connection, random.Random], object]


def a_day(rng: random.Random) -> date:
    """Any day with alerts."""
    return FIRST + timedelta(days=rng.randrange(N_DAYS))


def a_month(rng: random.Random) -> tuple[date, date]:
    """First and last day of any month."""
    first = a_day(rng)
    return first, first + timedelta(days=_DAYS_OF_A_MONTH - 1)


def within(days: tuple[date, date], **others: Any) -> Filter:
    """Alerts of a stretch of days."""
    return Filter(first_day=days[0], last_day=days[1], **others)


def a_branch(rng: random.Random) -> tuple[str, ...]:
    """Any branch."""
    return (f"B{rng.randrange(N_BRANCHES):03d}",)


def listed(make: Callable[[random.Random], Filter], sort: Sort = "score") -> Question:
    """Ask for a page of the queue."""
    return lambda db, rng: list_alerts(db, make(rng), sort)


def deep(db: Connection, _rng: random.Random) -> object:
    """Ask for a page that follows another."""
    page = list_alerts(db, Filter(), "time", limit=500)
    return list_alerts(db, Filter(), "time", page.next_cursor)


def of_the_queue(n_alerts: int) -> dict[str, Question]:
    """Lists, filters, searches and counts."""

    def a_user(rng: random.Random) -> str:
        return f"u{rng.randrange(n_users(n_alerts)):06d}"

    grave, open_ = ("high", "critical"), ("new", "escalated")
    return {
        "queue: a day, by score": listed(lambda r: within((a_day(r),) * 2)),
        "queue: everything, by score": listed(lambda _: Filter()),
        "queue: everything, by time": listed(lambda _: Filter(), "time"),
        "queue: after 500 rows": deep,
        "filter: a branch": listed(lambda r: Filter(branches=a_branch(r))),
        "filter: a branch's high ones of a month": listed(
            lambda r: within(a_month(r), branches=a_branch(r), severities=grave)
        ),
        "filter: a detector and a role": listed(
            lambda r: Filter(detectors=(r.choice(DETECTORS),), roles=("auditor",))
        ),
        "filter: a month, by score": listed(lambda r: within(a_month(r))),
        "filter: not closed, by time": listed(lambda _: Filter(statuses=open_), "time"),
        "filter: confirmed ones of a month": listed(
            lambda r: within(a_month(r), verdicts=("confirmed",))
        ),
        "filter: a person": listed(lambda r: Filter(users=(a_user(r),))),
        "search: a person": listed(lambda r: Filter(search=a_user(r))),
        "search: an event": listed(lambda r: Filter(search=f"e{1 + r.randrange(n_alerts)}a")),
        "search: a branch's tellers": listed(lambda r: Filter(search=f"teller {a_branch(r)[0]}")),
        "search by filing: a branch": listed(
            lambda r: Filter(filed=(Filed(branches=a_branch(r)),)), "time"
        ),
        "search by filing: a role": listed(lambda _: Filter(filed=(Filed(roles=("teller",)),))),
        "search by filing: an id": listed(
            lambda r: Filter(filed=(Filed(alert_id=f"{r.randrange(16**8):08x}"),))
        ),
        "search by filing: nothing": listed(lambda _: Filter(filed=(Filed(),)), "time"),
        "count: a filter, up to 10,000": lambda db, _: count_alerts(db, Filter(roles=("teller",))),
        "count: a month by severity": lambda db, r: count_by(db, within(a_month(r)), "severity"),
    }


def of_pages(n_alerts: int) -> dict[str, Question]:
    """An alert, an employee, the overview."""

    def an_id(rng: random.Random) -> str:
        number = 1 + rng.randrange(n_alerts)
        return hashlib.blake2b(str(number).encode(), digest_size=16).hexdigest()

    def person(db: Connection, rng: random.Random) -> object:
        return ledger(db, f"u{rng.randrange(n_users(n_alerts)):06d}", a_day(rng))

    return {
        "alert: open": lambda db, r: alert_by_id(db, an_id(r)),
        "alert: similar ones": lambda db, r: similar(db, an_id(r)),
        "employee: ledger and risk": person,
        "overview: alerts per day of a month": lambda db, r: alerts_per_day(db, *a_month(r)),
        "overview: branch × detector of a month": lambda db, r: branch_heatmap(db, *a_month(r)),
        "overview: precision of a month": lambda db, r: precision(db, *a_month(r)),
        "overview: times of a month": lambda db, r: triage_times(db, *a_month(r)),
        "overview: the riskiest of 91 days": lambda db, r: riskiest(db, a_day(r)),
    }


def measure(url: str, n_alerts: int) -> dict[str, tuple[float, float]]:
    """Fill a store and ask it everything; return median and longest answer in ms."""
    fill(url, n_alerts)
    with closing(ConsoleStore(url)) as console:
        asked = {**of_the_queue(n_alerts), **of_pages(n_alerts)}
        return {name: _answer_ms(console, ask) for name, ask in asked.items()}


def _answer_ms(console: ConsoleStore, ask: Question) -> tuple[float, float]:
    rng, times = random.Random(8), []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        with console.reading() as db:
            ask(db, rng)
        times.append(1e3 * (time.perf_counter() - started))
    return sorted(times)[_ROUNDS // 2], max(times)
