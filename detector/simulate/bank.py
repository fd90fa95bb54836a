"""The people and branches of a simulated bank, and what is known about them in tables."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from detector.simulate import parameters as p

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
NEVER = 10**6  # a day index that does not come


@dataclass(frozen=True, slots=True)
class Bank:
    """Everything drawn once. People come first, then service accounts.

    Day indices count from the start; a period is [first, last], NEVER if there is none.
    ``home_after`` is the home branch from ``transfer_day`` on.
    """

    config: p.SimulationConfig
    user_ids: list[str]
    role: Ints  # index into ROLES, -1 for service accounts
    home: Ints
    home_after: Ints
    transfer_day: Ints
    tempo: Floats
    shift_start: Floats
    shift_hours: Floats
    works_saturday: NDArray[np.bool_]
    presence: Floats
    hired_day: Ints
    leave: Ints  # (n, 2)
    cover: Ints  # (n, 3): branch, first, last
    campaign: Floats  # (branches, days) factor
    new_computer_day: Ints
    zone: list[str]  # per branch
    calendar: list[str]
    region: list[str]
    is_rest: dict[str, NDArray[np.bool_]]  # calendar -> (days,)

    @property
    def is_service(self) -> NDArray[np.bool_]:
        """(n,) service accounts."""
        return self.role < 0

    def day(self, index: int) -> date:
        """Return the date of a day index."""
        return self.config.start + timedelta(days=index)

    def home_on(self, day: int) -> Ints:
        """(n,) home branch on a day."""
        return np.where(day >= self.transfer_day, self.home_after, self.home)

    def role_name(self, user: int) -> str:
        """Return the role of one account."""
        return "batch" if self.role[user] < 0 else p.ROLES[int(self.role[user])].name


def build_bank(config: p.SimulationConfig, rng: np.random.Generator) -> Bank:
    """Draw people, branches and periods."""
    n_service = max(2, round(config.users * p.SERVICE_SHARE))
    n_people = config.users - n_service
    shares = np.array([role.share for role in p.ROLES])
    role = rng.choice(len(p.ROLES), size=n_people, p=shares / shares.sum())
    head_office = np.array([item.head_office for item in p.ROLES])[role]
    home = np.where(head_office, 0, rng.integers(0, config.branches, n_people))
    starts, hours = _shifts(role, rng)
    everybody = np.concatenate([role, np.full(n_service, -1)])
    n = config.users
    homes = np.concatenate([home, np.zeros(n_service, dtype=np.int64)])
    moves = _chosen(n_people, p.TRANSFER_SHARE, rng, n) & (everybody >= 0) & (homes > 0)
    zone, calendar, region = _places(config.branches)
    return Bank(
        config=config,
        user_ids=[f"u{i:05d}" for i in range(n_people)] + [f"svc{i:03d}" for i in range(n_service)],
        role=everybody,
        home=homes,
        home_after=np.where(moves, (homes + 1) % config.branches, homes),
        transfer_day=np.where(moves, rng.integers(2, max(config.days, 3), n), NEVER),
        tempo=rng.lognormal(0.0, p.TEMPO_SIGMA, n),
        shift_start=np.concatenate([starts, np.full(n_service, p.SERVICE_HOURS[0])]),
        shift_hours=np.concatenate(
            [hours, np.full(n_service, p.SERVICE_HOURS[1] - p.SERVICE_HOURS[0])]
        ),
        works_saturday=rng.random(n)
        < np.append([item.saturday_share for item in p.ROLES], 1.0)[everybody],
        presence=np.where(rng.random(n) < p.PART_TIME_SHARE, p.PART_TIME_PRESENCE, 1.0),
        hired_day=np.where(
            _chosen(n_people, p.NEW_HIRE_SHARE, rng, n), rng.integers(1, max(config.days, 2), n), -1
        ),
        leave=_leaves(n, config.days, rng),
        cover=_covers(homes, everybody, config, rng),
        campaign=_campaigns(config, rng),
        new_computer_day=np.where(
            _chosen(n_people, p.NEW_COMPUTER_SHARE, rng, n),
            rng.integers(1, max(config.days, 2), n),
            NEVER,
        ),
        zone=zone,
        calendar=calendar,
        region=region,
        is_rest={name: _rest_days(name, config) for name in sorted(set(calendar))},
    )


def _chosen(n_people: int, share: float, rng: np.random.Generator, n: int) -> NDArray[np.bool_]:
    """Choose people, never service accounts, which come last."""
    return (rng.random(n) < share) & (np.arange(n) < n_people)


def _shifts(role: Ints, rng: np.random.Generator) -> tuple[Floats, Floats]:
    starts, hours = np.zeros(role.size), np.zeros(role.size)
    for index, item in enumerate(p.ROLES):
        mine = np.flatnonzero(role == index)
        shares = np.array([shift[2] for shift in item.shifts])
        which = rng.choice(len(item.shifts), size=mine.size, p=shares / shares.sum())
        begin = np.array([shift[0] for shift in item.shifts])[which]
        starts[mine] = begin + rng.normal(0.0, p.START_SIGMA_HOURS, mine.size)
        hours[mine] = np.array([shift[1] - shift[0] for shift in item.shifts])[which]
    return starts, hours


def _leaves(n: int, days: int, rng: np.random.Generator) -> Ints:
    first = np.where(rng.random(n) < p.LEAVE_SHARE, rng.integers(0, max(days, 1), n), NEVER)
    return np.stack([first, first + rng.integers(*p.LEAVE_DAYS, n)], axis=1)


def _covers(homes: Ints, role: Ints, config: p.SimulationConfig, rng: np.random.Generator) -> Ints:
    n = homes.size
    eligible = (role >= 0) & (homes > 0) & (rng.random(n) < p.COVER_SHARE)
    first = np.where(eligible, rng.integers(0, config.days, n), NEVER)
    branch = 1 + (homes + rng.integers(0, max(config.branches - 2, 1), n)) % (config.branches - 1)
    return np.stack([branch, first, first + rng.integers(*p.COVER_DAYS, n)], axis=1)


def _campaigns(config: p.SimulationConfig, rng: np.random.Generator) -> Floats:
    factor = np.ones((config.branches, config.days))
    for branch in np.flatnonzero(rng.random(config.branches) < p.CAMPAIGN_BRANCH_SHARE):
        first = int(rng.integers(0, config.days))
        factor[branch, first : first + int(rng.integers(*p.CAMPAIGN_DAYS))] = p.CAMPAIGN_FACTOR
    for day in range(config.days):
        if (config.start + timedelta(days=day + 2)).month != (
            config.start + timedelta(days=day)
        ).month:
            factor[:, day] *= p.MONTH_END_FACTOR
    return factor


def _places(branches: int) -> tuple[list[str], list[str], list[str]]:
    """From eight branches on, the last two are abroad: other zones, other holidays."""
    where = [0] * branches
    if branches >= 8:
        where[-2:] = [1, 2]
    zone = [p.ZONES[i][0] for i in where]
    calendar = [p.ZONES[i][1] for i in where]
    region = ["abroad" if i else p.REGIONS[b % len(p.REGIONS)] for b, i in enumerate(where)]
    return zone, calendar, region


def _rest_days(calendar: str, config: p.SimulationConfig) -> NDArray[np.bool_]:
    import holidays

    days = [config.start + timedelta(days=i) for i in range(config.days + 1)]
    country = holidays.country_holidays(calendar, years={day.year for day in days})
    return np.array([not country.is_working_day(day) for day in days])


def branch_name(branch: int) -> str:
    """Return the name of a branch; 0 is the head office."""
    return f"B{branch:03d}"


def customer_name(customer: int) -> str:
    """Return a record number."""
    return f"C{customer:08d}"


def utc_offset_s(zone: str, day: date) -> int:
    """Return local minus UTC at noon of a day."""
    from datetime import datetime

    offset = datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo(zone)).utcoffset()
    return 0 if offset is None else int(offset.total_seconds())


def write_reference(bank: Bank, folder: Path, vips: Ints) -> None:
    """Write the reference tables as a bank would hand them over: the final state."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(
        folder / "staff.csv",
        ("user_id", "role", "branch", "account_type", "hired"),
        [
            (
                user_id,
                bank.role_name(i),
                branch_name(int(bank.home_on(bank.config.days)[i])),
                "service" if bank.role[i] < 0 else "person",
                bank.day(int(bank.hired_day[i])) if bank.hired_day[i] >= 0 else "2019-01-01",
            )
            for i, user_id in enumerate(bank.user_ids)
        ],
    )
    places = zip(bank.region, bank.zone, bank.calendar, strict=True)
    _write(
        folder / "branches.csv",
        ("branch", "region", "time_zone", "calendar"),
        [(branch_name(i), *place) for i, place in enumerate(places)],
    )
    _write(
        folder / "cover.csv",
        ("user_id", "branch", "from", "to"),
        [
            (bank.user_ids[i], branch_name(int(branch)), bank.day(int(first)), bank.day(int(last)))
            for i, (branch, first, last) in enumerate(bank.cover.tolist())
            if first != NEVER
        ],
    )
    _write(folder / "calendar.csv", ("calendar", "date", "kind"), [])
    _write(
        folder / "customers.csv",
        ("customer_id", "flags"),
        [(customer_name(int(customer)), "vip") for customer in vips],
    )
    _write(
        folder / "approvals.csv",
        ("ticket_id", "user_id", "scope", "purpose", "valid_from", "valid_to"),
        [],
    )


def _write(path: Path, header: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows(rows)
