"""Labelled insiders: what they do on top of their ordinary work."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detector.simulate import parameters as p
from detector.simulate.bank import Bank, Ints
from detector.simulate.day import EXPORT, LIST, NO_CUSTOMER, READ, SEARCH, Events

_HOUR_S = 3600.0
_TOGETHER = 3


@dataclass(frozen=True, slots=True)
class Incident:
    """One case: who, which days, and the events of each day."""

    number: int
    kind: str
    users: list[int]
    days: dict[int, Events]


def plan_incidents(bank: Bank, rng: np.random.Generator) -> list[Incident]:
    """Draw the configured number of incidents, kind after kind, no user twice."""
    taken: set[int] = set()
    incidents = []
    kinds = list(p.INCIDENTS)
    for number in range(bank.config.incidents):
        kind = kinds[number % len(kinds)]
        users = _culprits(bank, kind, taken, rng)
        if users:
            taken.update(users)
            incidents.append(_incident(bank, number, kind, users, rng))
    return incidents


def _culprits(bank: Bank, kind: str, taken: set[int], rng: np.random.Generator) -> list[int]:
    """Choose people who can do it."""
    people = np.flatnonzero(~bank.is_service)
    settled = (
        (bank.transfer_day == 10**6) & (bank.cover[:, 1] == 10**6) & (bank.leave[:, 0] == 10**6)
    )
    fitting = people[settled[people] & (bank.hired_day[people] < 0) & (bank.home[people] > 0)]
    if kind == "service_misuse":
        fitting = np.flatnonzero(bank.is_service)
    elif kind == "new_hire_harvest":
        first = bank.config.first_scored_day
        fresh = (bank.hired_day >= first - 5) & (bank.hired_day < bank.config.days - 3)
        fitting = np.flatnonzero(fresh & ~bank.is_service)
    elif kind == "rest_day":
        fitting = fitting[~bank.works_saturday[fitting]]
    free = [int(user) for user in fitting if int(user) not in taken]
    if kind == "new_hire_harvest" and not free:
        free = [int(user) for user in people if int(user) not in taken]
    count = min(_TOGETHER if kind == "collusion" else 1, len(free))
    return [int(user) for user in rng.choice(free, size=count, replace=False)] if free else []


def _incident(
    bank: Bank, number: int, kind: str, users: list[int], rng: np.random.Generator
) -> Incident:
    (least, most), sizes, first_hour, last_hour = p.INCIDENTS[kind]
    n_days = int(rng.integers(least, most + 1))
    days = _days(bank, kind, users[0], n_days, rng)
    target = int(rng.integers(0, p.CUSTOMERS_PER_BRANCH))
    branch = _branch(bank, kind, users[0], rng)
    size = int(rng.integers(sizes[0], sizes[1] + 1))
    events = {}
    for order, day in enumerate(days):
        parts = []
        for user in users:
            n = max(1, round(size * rng.uniform(0.8, 1.2)))
            parts.append(_events(bank, kind, number, user, n, branch, target + order * size, rng))
        joined = Events.join(parts)
        window = rng.uniform(first_hour, last_hour - 1.0) if kind == "enumeration" else first_hour
        stop = window + 1.0 if kind == "enumeration" else last_hour
        seconds = np.sort(rng.uniform(window, stop, joined.user.size)) * _HOUR_S
        events[day] = Events(joined.user, seconds, *(getattr(joined, c) for c in _REST))
    return Incident(number, kind, users, events)


_REST = ("customer", "branch", "action", "records", "incident")


def _days(bank: Bank, kind: str, user: int, n_days: int, rng: np.random.Generator) -> list[int]:
    """Choose days of the scored half on which the person works (or just does not)."""
    rest = bank.is_rest[bank.calendar[int(bank.home[user])]]
    first = bank.config.first_scored_day
    if kind == "new_hire_harvest":
        first = max(first, int(bank.hired_day[user]))
    want_rest = kind == "rest_day"
    fitting = [day for day in range(first, bank.config.days) if bool(rest[day]) == want_rest]
    fitting = fitting or list(range(first, bank.config.days))
    n_days = min(n_days, len(fitting))
    latest = 0 if kind == "new_hire_harvest" else len(fitting) - n_days
    start = int(rng.integers(0, latest + 1))
    return fitting[start : start + n_days]


def _branch(bank: Bank, kind: str, user: int, rng: np.random.Generator) -> int:
    """The own branch, or one the person has nothing to do with."""
    home, n = int(bank.home[user]), bank.config.branches
    if kind.startswith("cross_branch") or kind in {"stalking", "shared_account"}:
        return int((home + 1 + rng.integers(0, n - 1)) % n)
    return home


def _events(
    bank: Bank,
    kind: str,
    number: int,
    user: int,
    n: int,
    branch: int,
    target: int,
    rng: np.random.Generator,
) -> Events:
    """Draw one person's bad events of one day; times are set by the caller."""
    size = p.CUSTOMERS_PER_BRANCH
    customer = branch * size + rng.integers(0, size, n)
    action, records = np.full(n, READ), np.ones(n, dtype=np.int64)
    if kind == "enumeration":
        customer = branch * size + (target + np.arange(n)) % size
    elif kind == "stalking":
        customer = np.full(n, branch * size + target % size)
    elif kind == "collusion":
        customer = branch * size + (target + rng.integers(0, 2 * n, n)) % size
    elif kind == "vip_snooping":
        customer = rng.choice(vip_customers(bank), n)
    elif kind in {"list_bulk", "export_bulk", "under_cap"}:
        customer = np.full(n, NO_CUSTOMER)
        action, records = _volume(kind, n, rng)
    owner = np.where(customer == NO_CUSTOMER, branch, customer // size)
    return Events(
        user=np.full(n, user),
        second=np.zeros(n),
        customer=customer,
        branch=owner,
        action=action,
        records=records,
        incident=np.full(n, number),
    )


def _volume(kind: str, n: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    if kind == "export_bulk":
        return np.full(n, EXPORT), rng.integers(500, 5_000, n)
    if kind == "under_cap":
        return np.full(n, SEARCH), rng.integers(p.QUERY_CAP - 4, p.QUERY_CAP, n)
    return np.full(n, LIST), rng.integers(100, 500, n)


def vip_customers(bank: Bank) -> Ints:
    """Return the record numbers of very important customers: every so many-th."""
    every = round(1 / p.VIP_SHARE)
    return np.arange(every // 2, bank.config.branches * p.CUSTOMERS_PER_BRANCH, every)
