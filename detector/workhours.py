"""UTC → local day, second and kind of day, as tables that kernels read.

Zones come from the IANA database, rest days from the ``holidays`` package and the
calendar table of the reference folder, which wins.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from detector.compiled import kernel
from detector.errors import ReferenceDataError
from detector.reference import DAY_KINDS, Reference
from detector.state.layout import I32, I64, U8

WORK, REST, HALF = range(3)
FIRST_YEAR, LAST_YEAR = 2000, 2040
_SECOND_NS = 1_000_000_000
_DAY_S = 86_400
_EPOCH = date(1970, 1, 1)
# China's holidays of a year are announced in the autumn before; until the package knows a
# year's substituted days, weekends and lunar dates are all anybody has.
_NEEDS_ANNOUNCEMENT = frozenset({"CN"})


class Notice(NamedTuple):
    """Something the operator should know once events reach an instant (UTC)."""

    text: str
    from_ns: int


class ClockTables(NamedTuple):
    """Row 0 of the branch tables is the default; branch *i* of the reference is row i + 1."""

    branch_zone: I32
    branch_calendar: I32
    zone_start: I32  # (zones + 1,) slices of the next two
    change_ns: I64  # UTC times of offset changes; the first of a zone is before all events
    offset_s: I32  # offset in force from then on
    kind: U8  # (calendars, days) 0 work, 1 rest, 2 half
    rest_until: I32  # (calendars, days) rest days in [first day, this day]
    first_day: int  # days since 1970-01-01


@kernel
def utc_offset_s(tables: ClockTables, branch_row: int, t_ns: int) -> int:
    """Return local minus UTC at an instant, in seconds."""
    zone = tables.branch_zone[branch_row]
    low, high = tables.zone_start[zone], tables.zone_start[zone + 1]
    while high - low > 1:
        middle = (low + high) // 2
        if tables.change_ns[middle] <= t_ns:
            low = middle
        else:
            high = middle
    return int(tables.offset_s[low])


@kernel
def local_time(tables: ClockTables, branch_row: int, t_ns: int) -> tuple[int, int]:
    """Return the local day (since 1970-01-01) and the second of that day.

    Args:
        tables: clock tables.
        branch_row: row of the branch.
        t_ns: UTC nanoseconds.
    """
    local_s = t_ns // _SECOND_NS + utc_offset_s(tables, branch_row, t_ns)
    return local_s // _DAY_S, local_s % _DAY_S


@kernel
def _day_index(tables: ClockTables, day: int) -> int:
    return int(min(max(day - tables.first_day, 0), tables.kind.shape[1] - 1))


@kernel
def day_kind(tables: ClockTables, branch_row: int, day: int) -> int:
    """Return 0 for a working day, 1 for a rest day, 2 for a half day of a branch."""
    return int(tables.kind[tables.branch_calendar[branch_row], _day_index(tables, day)])


@kernel
def rest_days_until(tables: ClockTables, branch_row: int, day: int) -> int:
    """Count rest days up to and with ``day``; only differences mean something."""
    return int(tables.rest_until[tables.branch_calendar[branch_row], _day_index(tables, day)])


def clock_tables(
    reference: Reference, *, default_time_zone: str, default_calendar: str
) -> tuple[ClockTables, tuple[Notice, ...]]:
    """Build the tables for all branches of the reference.

    Returns:
        The tables, and notices for the operator: calendars with a year that has not been
        announced yet. Days outside the years of the tables are taken for the nearest one.

    Raises:
        ReferenceDataError: a calendar is neither a country, nor known, nor in the table.
    """
    zones = [default_time_zone] + [b.time_zone or default_time_zone for b in reference.branches]
    names = [default_calendar] + [b.calendar or default_calendar for b in reference.branches]
    zone_names, calendar_names = sorted(set(zones)), sorted(set(names))
    changes = [_offset_changes(zone) for zone in zone_names]
    kinds = np.stack([_calendar_days(name, reference) for name in calendar_names])
    tables = ClockTables(
        branch_zone=np.array([zone_names.index(zone) for zone in zones], dtype=np.int32),
        branch_calendar=np.array([calendar_names.index(name) for name in names], dtype=np.int32),
        zone_start=np.cumsum([0, *map(len, changes)], dtype=np.int32),
        change_ns=np.array([t for zone in changes for t, _ in zone], dtype=np.int64),
        offset_s=np.array([offset for zone in changes for _, offset in zone], dtype=np.int32),
        kind=kinds,
        rest_until=np.cumsum(kinds == REST, axis=1, dtype=np.int32),
        first_day=(date(FIRST_YEAR, 1, 1) - _EPOCH).days,
    )
    return tables, tuple(
        Notice(
            f"calendar {name}: the days of {year} are not announced yet; weekends and estimated "
            f"holidays are used. Add rows to calendar.csv when they are known",
            (date(year, 1, 1) - _EPOCH).days * _DAY_S * _SECOND_NS,
        )
        for name in calendar_names
        if (year := first_unannounced_year(name, reference)) is not None
    )


def _offset_s(zone: ZoneInfo, second: int) -> int:
    moment = datetime.fromtimestamp(second, tz=UTC).astimezone(zone)
    offset = moment.utcoffset()
    return 0 if offset is None else int(offset.total_seconds())


def _offset_changes(name: str) -> list[tuple[int, int]]:
    """Find all offset changes of a zone to the second, by bisection between days."""
    zone = ZoneInfo(name)
    start = int(datetime(FIRST_YEAR, 1, 1, tzinfo=UTC).timestamp())
    stop = int(datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC).timestamp())
    changes = [(-(2**62), _offset_s(zone, start))]
    for day in range(start, stop, _DAY_S):
        if _offset_s(zone, day + _DAY_S) == changes[-1][1]:
            continue
        low, high = day, day + _DAY_S
        while high - low > 1:
            middle = (low + high) // 2
            if _offset_s(zone, middle) == changes[-1][1]:
                low = middle
            else:
                high = middle
        changes.append((high * _SECOND_NS, _offset_s(zone, high)))
    return changes


def _calendar_days(name: str, reference: Reference) -> U8:
    """(days,) kind of every day from FIRST_YEAR to LAST_YEAR."""
    overrides = {
        day: kind for (calendar, day), kind in reference.calendar.items() if calendar == name
    }
    is_rest = _rest_rule(name, known=bool(overrides))
    n_days = (date(LAST_YEAR + 1, 1, 1) - date(FIRST_YEAR, 1, 1)).days
    days = [date(FIRST_YEAR, 1, 1) + timedelta(days=i) for i in range(n_days)]
    return np.array(
        [
            DAY_KINDS.index(overrides[day]) if day in overrides else int(is_rest(day))
            for day in days
        ],
        dtype=np.uint8,
    )


def _rest_rule(name: str, *, known: bool) -> Callable[[date], bool]:
    """Return the rule of a calendar: ``none``, ``weekdays`` or a country of ``holidays``."""
    if name == "none":
        return lambda _day: False
    if name == "weekdays" or known:
        weekend: Callable[[date], bool] = lambda day: day.weekday() >= 5  # noqa: E731
        if name == "weekdays" or not _is_country(name):
            return weekend
    if not _is_country(name):
        raise ReferenceDataError(
            f"unknown calendar {name!r}",
            where="branches column calendar, or policy [clock] default_calendar",
            hint="Use an ISO country code, weekdays, none, or a name given in calendar.csv",
        )
    import holidays

    country = holidays.country_holidays(name, years=range(FIRST_YEAR, LAST_YEAR + 1))
    return lambda day: not country.is_working_day(day)


def _is_country(name: str) -> bool:
    import holidays

    return name in holidays.list_supported_countries()


def first_unannounced_year(name: str, reference: Reference) -> int | None:
    """Return the first year whose make-up working days nobody has announced, if any.

    Years named in ``calendar.csv`` count as announced.
    """
    if name not in _NEEDS_ANNOUNCEMENT:
        return None
    import holidays

    country = holidays.country_holidays(name, years=range(FIRST_YEAR, LAST_YEAR + 1))
    announced = {day.year for day in country.weekend_workdays}
    announced |= {day.year for calendar, day in reference.calendar if calendar == name}
    year = min(announced, default=FIRST_YEAR)
    while year in announced:
        year += 1
    return year
