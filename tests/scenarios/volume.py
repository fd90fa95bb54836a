"""bulk_read, off_hours and cross_branch: how much, when, and whose customers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from detector.reference import Branch, Cover, Reference
from tests.scenarios import (
    BANK,
    FIRES,
    HEAD_OFFICE,
    HISTORY,
    HOME,
    QUIET,
    TESTED,
    Scenario,
    Stream,
    burst,
    daily,
    day_worker,
    moment,
)
from tests.streams import usual_work, weekdays

NETHERLANDS = ZoneInfo("Europe/Amsterdam")
SATURDAY = TESTED - timedelta(days=2)
MAKE_UP = datetime(2026, 5, 9, 2, 0, tzinfo=UTC)  # a Saturday worked for the May holidays
SERVICE = {**HEAD_OFFICE, "role": "batch", "account_type": "service"}


def all_over_the_bank(role: str) -> Stream:
    """A role that works on every branch, every day."""
    work = usual_work("u1", [*HISTORY, TESTED], role=role, home="B000")
    return [{**item, "record_branch": f"B00{i % 6}"} for i, item in enumerate(work)]


def standing_in(first: date, last: date) -> Reference:
    """The bank, and u1 on cover duty at B005."""
    return replace(BANK, cover=(Cover("u1", "B005", first, last),))


EXPORT = {"action": "export", "customer": None, "records": 3_000}
IN_NL = Reference(branches=(Branch("B001", None, "Europe/Amsterdam", "NL"),))
NO_DST = Reference(branches=(Branch("B001", None, "Africa/Lagos", "NL"),))


def early_shift() -> Stream:
    """Work from 05:00 to 06:30 in Amsterdam, before and after the clocks change on 29 March."""
    return daily(weekdays(22), "05:00", 120, 45, zone=NETHERLANDS)


def evening_shift(saturday: datetime) -> Stream:
    """Work from 17:00 to 23:00 on the working days of April and early May, and one Saturday."""
    april = [day for day in weekdays(18, datetime(2026, 4, 7, 2, 0, tzinfo=UTC)) if day.month == 4]
    after_the_holidays = [MAKE_UP - timedelta(days=n) for n in (3, 2, 1)]
    return daily([*april, *after_the_holidays, saturday], "17:00", 144, 150)


SCENARIOS = (
    Scenario("bulk_read", "ten times the usual customers in a day", FIRES,
             lambda: day_worker(*burst(TESTED, 300, 60))),
    Scenario("bulk_read", "ten times the usual customers, among known colleagues", FIRES,
             lambda: day_worker(*burst(TESTED, 400, 60)), fitted=True),
    Scenario("bulk_read", "an export of 3,000 records", FIRES,
             lambda: day_worker(*burst(TESTED, 1, 0, **EXPORT))),
    Scenario("bulk_read", "150 customers within eight minutes", FIRES,
             lambda: day_worker(*burst(TESTED, 150, 3)), fitted=True),
    Scenario("bulk_read", "twenty times the usual nightly batch", FIRES,
             lambda: daily(HISTORY, "01:00", 600, 9, **SERVICE)
             + daily([TESTED], "01:00", 12_000, 0.9, **SERVICE), since=TESTED - timedelta(days=1)),
    Scenario("bulk_read", "half as much again at month end", QUIET,
             lambda: day_worker(*burst(TESTED, 15, 1_200))),
    Scenario("bulk_read", "half as much again, among known colleagues", QUIET,
             lambda: day_worker(*burst(TESTED, 15, 1_200)), fitted=True),
    Scenario("bulk_read", "a service account's usual nightly batch", QUIET,
             lambda: daily([*HISTORY, TESTED], "01:00", 1_500, 9, **SERVICE)),
    Scenario("bulk_read", "fifteen retries on one customer", QUIET,
             lambda: day_worker(*burst(TESTED, 15, 5, customer="c1"))),
    Scenario("bulk_read", "a day delivered ten times over", QUIET,
             lambda: day_worker() + 9 * usual_work("u1", [TESTED], first=450, **HOME)),
    Scenario("off_hours", "forty look-ups at 02:30", FIRES,
             lambda: day_worker(*burst(moment(TESTED, "02:30"), 40, 60))),
    Scenario("off_hours", "twenty look-ups at 02:30, among known colleagues", FIRES,
             lambda: day_worker(*burst(moment(TESTED, "02:30"), 20, 60)), fitted=True),
    Scenario("off_hours", "late on a rest day", FIRES,
             lambda: day_worker(*burst(moment(SATURDAY, "21:00"), 60, 150))),
    Scenario("off_hours", "an hour early, in a zone without summer time", FIRES,
             early_shift, since=datetime(2026, 3, 28, tzinfo=UTC), reference=NO_DST),
    Scenario("off_hours", "the same early shift through the change to summer time", QUIET,
             early_shift, since=datetime(2026, 3, 28, tzinfo=UTC), reference=IN_NL),
    Scenario("off_hours", "a night shift at night", QUIET,
             lambda: daily([*HISTORY, TESTED], "21:15", 45, 600, role="call_center", **HEAD_OFFICE),
             fitted=True),
    Scenario("off_hours", "one look-up at 02:30", QUIET,
             lambda: day_worker(*burst(moment(TESTED, "02:30"), 1, 0))),
    Scenario("off_hours", "half an hour of overtime", QUIET,
             lambda: day_worker(*burst(moment(TESTED, "17:30"), 10, 180)), fitted=True),
    Scenario("off_hours", "an evening shift on an ordinary Saturday", FIRES,
             lambda: evening_shift(MAKE_UP + timedelta(days=7)), since=MAKE_UP),
    Scenario("off_hours", "an evening shift on a Saturday that makes up for a holiday", QUIET,
             lambda: evening_shift(MAKE_UP), since=MAKE_UP),
    Scenario("cross_branch", "sixty customers of a foreign branch", FIRES,
             lambda: day_worker(*burst(TESTED, 60, 60, branch="B005"))),
    Scenario("cross_branch", "fifteen customers of a foreign branch, roles known", FIRES,
             lambda: day_worker(*burst(TESTED, 15, 60, branch="B005")), fitted=True),
    Scenario("cross_branch", "the week after a cover duty", FIRES,
             lambda: day_worker(*burst(TESTED, 60, 60, branch="B005")),
             reference=standing_in(date(2026, 3, 16), date(2026, 3, 20))),
    Scenario("cross_branch", "cover duty that is registered", QUIET,
             lambda: day_worker(*burst(TESTED, 60, 60, branch="B005")),
             reference=standing_in(date(2026, 3, 23), date(2026, 3, 23))),
    Scenario("cross_branch", "a head-office role that crosses all day", QUIET,
             lambda: all_over_the_bank("compliance"), fitted=True),
    Scenario("cross_branch", "somebody known to work across the bank", QUIET,
             lambda: all_over_the_bank("teller"), since=HISTORY[5]),
    Scenario("cross_branch", "one customer of a foreign branch", QUIET,
             lambda: day_worker(*burst(TESTED, 1, 0, branch="B005"))),
    Scenario("cross_branch", "customers whose branch is unknown", QUIET,
             lambda: day_worker(*burst(TESTED, 30, 60, branch=None))),
)  # fmt: skip
