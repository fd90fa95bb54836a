"""One ordinary day of a bank, as columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.simulate import parameters as p
from detector.simulate.bank import Bank, Floats, Ints

ACTIONS = ("read", "search", "list", "export", "print", "update")
READ, SEARCH, LIST, EXPORT, PRINT, UPDATE = range(len(ACTIONS))
NO_CUSTOMER = -1
_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Events:
    """Columns of equal length; ``second`` is local to the home branch and may pass midnight.

    ``incident`` is -1 for ordinary events.
    """

    user: Ints
    second: Floats
    customer: Ints
    branch: Ints
    action: Ints
    records: Ints
    incident: Ints

    @classmethod
    def join(cls, parts: list[Events]) -> Events:
        """Put several sets of events into one."""
        return cls(*(np.concatenate([getattr(x, name) for x in parts]) for name in cls.__slots__))

    def take(self, rows: NDArray[np.int64]) -> Events:
        """Keep some rows, in this order."""
        return Events(*(getattr(self, name)[rows] for name in self.__slots__))


def ordinary_day(bank: Bank, day: int, rng: np.random.Generator) -> Events:
    """Draw the work of one local day."""
    home = bank.home_on(day)
    n_events = _workload(bank, day, home, rng)
    user = np.repeat(np.arange(home.size), n_events)
    role = bank.role[user]
    on_cover = (bank.cover[user, 1] <= day) & (day <= bank.cover[user, 2])
    place = np.where(on_cover, bank.cover[user, 0], home[user])
    branch = _record_branch(bank, role, place, rng)
    action, records = _actions(role, rng)
    customer = _customers(user, branch, rng)
    customer[np.isin(action, (SEARCH, LIST, EXPORT))] = NO_CUSTOMER
    return Events(
        user=user,
        second=_seconds(bank, user, rng),
        customer=customer,
        branch=branch,
        action=action,
        records=records,
        incident=np.full(user.size, -1),
    )


def works_on(bank: Bank, day: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """(n,) who is at work on a day."""
    n = len(bank.user_ids)
    home = bank.home_on(day)
    rest_of = np.array([bank.is_rest[name][day] for name in bank.calendar])
    rest = rest_of[home]
    saturday = bank.day(day).weekday() == 5
    on_duty = ~rest | (saturday & bank.works_saturday & (rng.random(n) < 0.8))
    on_leave = (bank.leave[:, 0] <= day) & (day <= bank.leave[:, 1])
    present = (rng.random(n) < bank.presence) & (rng.random(n) >= p.SICK_SHARE)
    return (on_duty & present & ~on_leave & (day >= bank.hired_day)) | bank.is_service


def _workload(bank: Bank, day: int, home: Ints, rng: np.random.Generator) -> Ints:
    """(n,) number of events: overdispersed around role × tempo × branch factors."""
    means = np.append([role.events_per_day for role in p.ROLES], p.SERVICE_EVENTS)[bank.role]
    spread = np.append([role.dispersion for role in p.ROLES], 0.05)[bank.role]
    factor = np.where(bank.is_service, 1.0, bank.campaign[home, day])
    shape = 1.0 / spread
    rate = rng.gamma(shape, means * bank.tempo * factor / shape)
    return np.where(works_on(bank, day, rng), rng.poisson(rate), 0)


def _seconds(bank: Bank, user: Ints, rng: np.random.Generator) -> Floats:
    """Draw times within the shift, fewer at lunch, some of an overtime tail."""
    n_users = len(bank.user_ids)
    extra = np.where(rng.random(n_users) < p.OVERTIME_SHARE, rng.uniform(0.5, 3.0, n_users), 0.0)
    wobble = rng.normal(0.0, 0.2, n_users)
    start = bank.shift_start + wobble * ~bank.is_service
    hours = bank.shift_hours + extra * ~bank.is_service
    hour = start[user] + hours[user] * rng.random(user.size)
    first, last = p.LUNCH_HOURS
    lunch = (hour >= first) & (hour < last) & (rng.random(user.size) > p.LUNCH_FACTOR)
    again = start[user] + hours[user] * rng.random(user.size)
    seconds: Floats = np.where(lunch, again, hour) * _HOUR_S
    return seconds


def _record_branch(bank: Bank, role: Ints, place: Ints, rng: np.random.Generator) -> Ints:
    """Mostly the place of work; head-office roles go everywhere by trade."""
    cross_share = np.append([item.cross_share for item in p.ROLES], 1.0)[role]
    head_office = np.append([item.head_office for item in p.ROLES], True)[role]
    n = bank.config.branches
    anywhere = rng.integers(0, n, role.size)
    neighbour = (place + len(p.REGIONS)) % n
    other = np.where(head_office, anywhere, neighbour)
    return np.where(rng.random(role.size) < cross_share, other, place)


def _actions(role: Ints, rng: np.random.Generator) -> tuple[Ints, Ints]:
    list_share = np.append([item.list_share for item in p.ROLES], 0.0)[role]
    export_share = np.append([item.export_share for item in p.ROLES], 0.0)[role]
    list_records = np.append([item.list_records for item in p.ROLES], 1.0)[role]
    u = rng.random(role.size)
    action = np.full(role.size, READ)
    action[rng.random(role.size) < 0.15] = UPDATE
    action[u < 0.98 * list_share] = SEARCH
    action[u < 0.5 * list_share] = LIST
    is_export = rng.random(role.size) < export_share
    action[is_export] = EXPORT
    drawn = np.ceil(
        list_records * rng.lognormal(0.0, 0.6, role.size) * np.where(is_export, 2.0, 1.0)
    )
    volume = np.isin(action, (SEARCH, LIST, EXPORT))
    cap = np.where(is_export, 10**6, p.QUERY_CAP * 5)
    return action, np.where(volume, np.minimum(drawn, cap), 1).astype(np.int64)


def _customers(user: Ints, branch: Ints, rng: np.random.Generator) -> Ints:
    """Own portfolio or the branch at large, some customers more often than others."""
    n = p.CUSTOMERS_PER_BRANCH
    own = (user * 7919) % (n - p.PORTFOLIO) + (
        p.PORTFOLIO * rng.random(user.size) ** p.POPULARITY
    ).astype(np.int64)
    anyone = (n * rng.random(user.size) ** p.POPULARITY).astype(np.int64)
    return branch * n + np.where(rng.random(user.size) < p.PORTFOLIO_SHARE, own, anyone)
