"""Local time and kinds of day, held against zoneinfo and the published calendars."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.errors import ReferenceDataError
from detector.reference import Branch, Reference
from detector.workhours import (
    FIRST_YEAR,
    HALF,
    LAST_YEAR,
    REST,
    WORK,
    ClockTables,
    clock_tables,
    day_kind,
    first_unannounced_year,
    local_time,
    rest_days_until,
    utc_offset_s,
)

EPOCH = date(1970, 1, 1)
SECOND_NS = 1_000_000_000
HALF_HOUR_NS = 1_800 * SECOND_NS

# Quarter-hour offsets, half-hour daylight saving, Ramadan, a skipped day, changes of law.
ZONES = (
    "Asia/Shanghai",
    "Europe/Amsterdam",
    "America/Sao_Paulo",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Pacific/Apia",
    "America/Caracas",
    "America/St_Johns",
)
ZONE_ROWS = {name: row for row, name in enumerate(ZONES, start=1)}

# (days off, weekend days worked) of the State Council's notices for 2024, 2025 and 2026.
OFF = (
    ("2024-01-01", "2024-01-01"),
    ("2024-02-10", "2024-02-17"),
    ("2024-04-04", "2024-04-06"),
    ("2024-05-01", "2024-05-05"),
    ("2024-06-10", "2024-06-10"),
    ("2024-09-15", "2024-09-17"),
    ("2024-10-01", "2024-10-07"),
    ("2025-01-01", "2025-01-01"),
    ("2025-01-28", "2025-02-04"),
    ("2025-04-04", "2025-04-06"),
    ("2025-05-01", "2025-05-05"),
    ("2025-05-31", "2025-06-02"),
    ("2025-10-01", "2025-10-08"),
    ("2026-01-01", "2026-01-03"),
    ("2026-02-15", "2026-02-23"),
    ("2026-04-04", "2026-04-06"),
    ("2026-05-01", "2026-05-05"),
    ("2026-06-19", "2026-06-21"),
    ("2026-09-25", "2026-09-27"),
    ("2026-10-01", "2026-10-07"),
)
WORKED = (
    *("2024-02-04", "2024-02-18", "2024-04-07", "2024-04-28", "2024-05-11", "2024-09-14"),
    *("2024-09-29", "2024-10-12"),
    *("2025-01-26", "2025-02-08", "2025-04-27", "2025-09-28", "2025-10-11"),
    *("2026-01-04", "2026-02-14", "2026-02-28", "2026-05-09", "2026-09-20", "2026-10-10"),
)


def ns(text: str) -> int:
    """UTC nanoseconds of an ISO instant."""
    return int(datetime.fromisoformat(text).timestamp()) * SECOND_NS


def day_number(text: str) -> int:
    """Days since 1970-01-01 of an ISO date."""
    return (date.fromisoformat(text) - EPOCH).days


def tables_of(*branches: Branch, **calendar: dict[str, str]) -> ClockTables:
    """Tables with UTC and plain weekdays where a branch says nothing."""
    rows = {
        (name, date.fromisoformat(day)): kind
        for name, days in calendar.items()
        for day, kind in days.items()
    }
    reference = Reference(branches=branches, calendar=rows)
    return clock_tables(reference, default_time_zone="UTC", default_calendar="weekdays")[0]


@pytest.fixture(scope="module")
def clocks() -> ClockTables:
    """One branch in each of the zones, in their order."""
    return tables_of(*(Branch(name, time_zone=name) for name in ZONES))


@pytest.fixture(scope="module")
def calendars() -> ClockTables:
    """One branch for each calendar: CN, NL, US, none, weekdays."""
    names = ("CN", "NL", "US", "none", "weekdays")
    return tables_of(*(Branch(name, calendar=name) for name in names))


def naive_local_time(zone: str, t_ns: int) -> tuple[int, int]:
    """Day and second on the wall of a zone, by the standard library."""
    wall = datetime.fromtimestamp(t_ns // SECOND_NS, tz=UTC).astimezone(ZoneInfo(zone))
    return (wall.date() - EPOCH).days, wall.hour * 3600 + wall.minute * 60 + wall.second


def naive_chinese_kind(day: date) -> int:
    """Kind of a day of 2024 to 2026 by the notices, weekends at rest otherwise."""
    text = day.isoformat()
    if text in WORKED:
        return WORK
    is_off = any(first <= text <= last for first, last in OFF)
    return REST if is_off or day.weekday() >= 5 else WORK


@pytest.mark.uncompiled
@given(st.sampled_from(ZONES), st.integers(ns("2000-01-01T00:00Z"), ns("2040-12-31T23:59:59Z")))
def test_any_instant_shows_the_wall_clock_of_its_branch(
    clocks: ClockTables, zone: str, t_ns: int
) -> None:
    """Windows, hours and episodes are cut at local midnight: it must be the real one."""
    got = local_time(clocks, ZONE_ROWS[zone], t_ns)

    assert got == naive_local_time(zone, t_ns)


@pytest.mark.uncompiled
@given(st.sampled_from(ZONES), st.data())
def test_the_seconds_around_a_clock_change_are_right(
    clocks: ClockTables, zone: str, data: st.DataObject
) -> None:
    """Random instants hardly ever meet a change; here they all do."""
    row = clocks.branch_zone[ZONE_ROWS[zone]]
    changes = clocks.change_ns[clocks.zone_start[row] + 1 : clocks.zone_start[row + 1]].tolist()
    change_ns = data.draw(st.sampled_from(changes or [ns("2026-01-01T00:00Z")]))
    t_ns = change_ns + data.draw(st.integers(-2 * SECOND_NS, 2 * SECOND_NS))

    assert local_time(clocks, ZONE_ROWS[zone], t_ns) == naive_local_time(zone, t_ns)


@pytest.mark.parametrize(
    ("zone", "change", "before_s", "after_s"),
    [
        ("Europe/Amsterdam", "2026-03-29T01:00:00Z", 3_600, 7_200),
        ("Europe/Amsterdam", "2026-10-25T01:00:00Z", 7_200, 3_600),
        ("America/Sao_Paulo", "2018-11-04T03:00:00Z", -10_800, -7_200),
        ("America/Sao_Paulo", "2019-02-17T02:00:00Z", -7_200, -10_800),
        ("Australia/Lord_Howe", "2026-04-04T15:00:00Z", 39_600, 37_800),
        ("Pacific/Apia", "2011-12-30T10:00:00Z", -36_000, 50_400),
        ("America/Caracas", "2016-05-01T07:00:00Z", -16_200, -14_400),
    ],
)
def test_the_clock_changes_at_that_very_nanosecond(
    clocks: ClockTables, zone: str, change: str, before_s: int, after_s: int
) -> None:
    """These instants are written down by governments, not derived from our own source."""
    row, t_ns = ZONE_ROWS[zone], ns(change)

    assert utc_offset_s(clocks, row, t_ns - 1) == before_s
    assert utc_offset_s(clocks, row, t_ns) == after_s


@pytest.mark.parametrize("zone", ZONES)
def test_no_clock_change_of_forty_years_is_missed_or_invented(
    clocks: ClockTables, zone: str
) -> None:
    """Six-hourly samples over the whole range find every rule a zone ever had."""
    start, stop = ns("2000-01-01T00:00Z") // SECOND_NS, ns("2040-12-31T00:00Z") // SECOND_NS
    row, rule = ZONE_ROWS[zone], ZoneInfo(zone)
    seconds = range(start, stop, 6 * 3_600)
    zone_row = clocks.branch_zone[row]
    inside = slice(clocks.zone_start[zone_row], clocks.zone_start[zone_row + 1])
    at = np.searchsorted(clocks.change_ns[inside], np.array(seconds) * SECOND_NS, side="right")
    expected = [datetime.fromtimestamp(s, tz=rule).utcoffset() for s in seconds]

    assert clocks.offset_s[inside][at - 1].tolist() == [
        int(offset.total_seconds()) for offset in expected if offset is not None
    ]


def test_china_and_nepal_keep_one_offset_for_good(clocks: ClockTables) -> None:
    """A zone without changes is one entry: nothing is searched for it."""
    for zone, offset_s in (("Asia/Shanghai", 28_800), ("Asia/Kathmandu", 20_700)):
        row = clocks.branch_zone[ZONE_ROWS[zone]]
        inside = slice(clocks.zone_start[row], clocks.zone_start[row + 1])

        assert clocks.offset_s[inside].tolist() == [offset_s]


@pytest.mark.uncompiled
@pytest.mark.parametrize(
    ("zone", "day", "half_hours"),
    [
        ("Europe/Amsterdam", "2026-03-29", 46),
        ("Europe/Amsterdam", "2026-10-25", 50),
        ("Europe/Amsterdam", "2026-07-01", 48),
        ("Australia/Lord_Howe", "2026-04-05", 49),
        ("Australia/Lord_Howe", "2026-10-04", 47),
        ("Pacific/Apia", "2011-12-30", 0),
        ("Asia/Shanghai", "2026-03-29", 48),
    ],
)
def test_a_local_day_has_as_many_hours_as_its_clock_gives_it(
    clocks: ClockTables, zone: str, day: str, half_hours: int
) -> None:
    """Days have 23, 24 or 25 hours, half hours exist, and Samoa once skipped a Friday."""
    around = range(ns(day + "T00:00Z") - 96 * HALF_HOUR_NS, ns(day + "T00:00Z") + 96 * HALF_HOUR_NS)
    days = [local_time(clocks, ZONE_ROWS[zone], t)[0] for t in around[::HALF_HOUR_NS]]

    assert days.count(day_number(day)) == half_hours


@pytest.mark.uncompiled
@given(st.integers(-(2**60), 2**62))
def test_any_time_at_all_has_a_second_between_0_and_86399(clocks: ClockTables, t_ns: int) -> None:
    """Times before 1970 are negative; floor division must not tip them into the wrong day."""
    day, second = local_time(clocks, 0, t_ns)

    assert 0 <= second < 86_400
    assert (day * 86_400 + second) == t_ns // SECOND_NS


def test_the_chinese_years_follow_the_notices_of_the_state_council(calendars: ClockTables) -> None:
    """Make-up Saturdays and Sundays are worked; the moved days are off: all 1,096 days."""
    days = [date(2024, 1, 1) + timedelta(days=i) for i in range(1_096)]
    wrong = [
        day.isoformat()
        for day in days
        if day_kind(calendars, 1, (day - EPOCH).days) != naive_chinese_kind(day)
    ]

    assert wrong == []


@pytest.mark.uncompiled
@pytest.mark.parametrize(
    ("row", "day", "kind"),
    [
        (1, "2026-02-14", WORK),  # CN: a Saturday that is worked
        (2, "2026-02-14", REST),  # NL: the same Saturday
        (1, "2026-10-01", REST),
        (2, "2026-04-27", REST),  # King's Day, a Monday
        (3, "2026-04-27", WORK),
        (3, "2026-07-03", REST),  # the fourth is a Saturday: kept on Friday
        (2, "2026-07-03", WORK),
        (4, "2026-01-01", WORK),  # a place that never closes
        (4, "2026-02-15", WORK),
        (5, "2026-01-01", WORK),  # plain weekdays know no holidays
        (5, "2026-02-15", REST),
    ],
)
def test_each_branch_keeps_its_own_calendar(
    calendars: ClockTables, row: int, day: str, kind: int
) -> None:
    """A Dutch office is not closed for the Spring Festival, nor open on King's Day."""
    assert day_kind(calendars, row, day_number(day)) == kind


def test_rows_of_the_calendar_table_beat_the_country() -> None:
    """The bank knows best which days it opens; other days and calendars stay as they were."""
    tables = tables_of(
        Branch("north", calendar="CN"),
        Branch("south", calendar="NL"),
        CN={"2026-02-14": "rest", "2026-10-01": "workday", "2026-12-31": "half"},
    )

    for day, kind in (("2026-02-14", REST), ("2026-10-01", WORK), ("2026-12-31", HALF)):
        assert day_kind(tables, 1, day_number(day)) == kind
    assert day_kind(tables, 1, day_number("2026-10-02")) == REST
    assert day_kind(tables, 1, day_number("2026-02-28")) == WORK
    assert day_kind(tables, 2, day_number("2026-12-31")) == WORK


def test_a_calendar_of_the_bank_itself_rests_on_weekends() -> None:
    """A name that occurs only in calendar.csv needs rows for the exceptions, no more."""
    tables = tables_of(Branch("vault", calendar="vault"), vault={"2026-03-04": "rest"})
    week = range(day_number("2026-03-02"), day_number("2026-03-09"))
    kinds = [day_kind(tables, 1, day) for day in week]

    assert kinds == [WORK, WORK, REST, WORK, WORK, REST, REST]


@pytest.mark.parametrize("name", ["Nowhere", "cn", "US-CA", "", "week days"])
def test_an_unknown_calendar_is_refused_with_the_choices(name: str) -> None:
    """A misspelt calendar would otherwise turn holidays into working days without a word."""
    with pytest.raises(ReferenceDataError) as caught:
        clock_tables(Reference(), default_time_zone="UTC", default_calendar=name)

    assert repr(name) in str(caught.value)
    assert "ISO country code" in str(caught.value)
    assert "calendar.csv" in str(caught.value)


def test_row_zero_is_the_default_and_a_branch_is_one_row_further() -> None:
    """Events of unknown branches use row 0; a branch without zone or calendar does, too."""
    reference = Reference(
        branches=(
            Branch("a", time_zone="Asia/Tokyo", calendar="none"),
            Branch("b"),
            Branch("c", time_zone="Europe/Lisbon"),
            Branch("d", calendar="none"),
        )
    )
    tables, _ = clock_tables(
        reference, default_time_zone="America/Bogota", default_calendar="weekdays"
    )
    t_ns, sunday = ns("2026-01-04T12:00Z"), day_number("2026-01-04")
    hours = [utc_offset_s(tables, row, t_ns) // 3_600 for row in range(5)]
    kinds = [day_kind(tables, row, sunday) for row in range(5)]

    assert hours == [-5, 9, -5, 0, -5]
    assert kinds == [REST, WORK, REST, REST, WORK]


@pytest.mark.uncompiled
@given(
    st.integers(1, 5),
    st.dates(date(FIRST_YEAR, 1, 2), date(LAST_YEAR, 12, 31)),
    st.integers(0, 400),
)
def test_rest_days_between_two_days_are_a_difference(
    calendars: ClockTables, row: int, last: date, length: int
) -> None:
    """Someone's rest-day rate divides by the rest days lived through: they must add up."""
    after = (last - EPOCH).days
    before = max(after - length, calendars.first_day)
    counted = sum(day_kind(calendars, row, day) == REST for day in range(before + 1, after + 1))

    got = rest_days_until(calendars, row, after) - rest_days_until(calendars, row, before)

    assert got == counted


def test_half_days_are_not_counted_as_rest() -> None:
    """On a half day people are expected at work."""
    tables = tables_of(Branch("a", calendar="x"), x={"2026-03-04": "half", "2026-03-05": "rest"})
    counts = [rest_days_until(tables, 1, day_number(f"2026-03-0{day}")) for day in (3, 4, 5)]

    assert np.diff(counts).tolist() == [0, 1]


@pytest.mark.uncompiled
@given(st.integers(1, 5), st.integers(-(2**40), 2**40), st.integers(0, 2**40))
def test_days_outside_the_tables_are_answered_and_never_count_backwards(
    calendars: ClockTables, row: int, day: int, later: int
) -> None:
    """An uncompiled index error or, worse, foreign memory must not be reachable by a date."""
    assert day_kind(calendars, row, day) in {WORK, REST, HALF}
    assert rest_days_until(calendars, row, day) <= rest_days_until(calendars, row, day + later)
    assert rest_days_until(calendars, row, 2**40) == calendars.kind[
        calendars.branch_calendar[row]
    ].tolist().count(REST)


def test_a_chinese_year_nobody_has_announced_is_said_aloud() -> None:
    """The make-up days of a year come out in the autumn before; until then we guess."""
    _, notices = clock_tables(Reference(), default_time_zone="UTC", default_calendar="CN")
    year = first_unannounced_year("CN", Reference())

    assert year is not None
    assert year >= 2027
    assert len(notices) == 1
    assert f"CN: the days of {year} are not announced" in notices[0].text
    assert "calendar.csv" in notices[0].text


def test_rows_for_an_unannounced_year_move_the_notice_to_the_next() -> None:
    """Whoever has entered the year's days is not told to enter them."""
    year = first_unannounced_year("CN", Reference())
    assert year is not None

    days = {("CN", date(year, 1, 1)): "rest"}
    foreign = {("NL", date(year, 1, 1)): "rest"}

    assert first_unannounced_year("CN", Reference(calendar=days)) == year + 1
    assert first_unannounced_year("CN", Reference(calendar=foreign)) == year


@pytest.mark.parametrize("name", ["NL", "US", "weekdays", "none"])
def test_calendars_fixed_by_law_raise_no_notice(name: str) -> None:
    """A warning that is always there is read by nobody."""
    _, notices = clock_tables(Reference(), default_time_zone="UTC", default_calendar=name)

    assert notices == ()


def test_a_thousand_branches_share_the_tables_of_their_zones_and_calendars() -> None:
    """Memory grows with zones and calendars, not with offices."""
    branches = [Branch(f"b{i}", time_zone=ZONES[i % 3], calendar="weekdays") for i in range(1_000)]
    tables = tables_of(*branches)

    assert len(tables.branch_zone) == len(tables.branch_calendar) == 1_001
    assert len(tables.zone_start) - 1 == 4
    assert tables.kind.shape[0] == tables.rest_until.shape[0] == 1
