"""What every detector must raise and what it must let pass, as streams of events.

To add a detector, add rows to ``SCENARIOS``: at least two that fire and three that are quiet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest

from detector.artifacts import Artifact
from detector.detections import DETECTORS
from detector.plan import Plan, build_plan
from detector.policy import load_policy
from detector.reference import Branch, Cover, Reference
from tests.streams import event, run, usual_work, weekdays

Stream = list[dict[str, Any]]

CHINA, NETHERLANDS = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Amsterdam")
*HISTORY, TESTED = weekdays(16)  # three weeks from 10:00 on; then Monday, 23 March 2026
SATURDAY = TESTED - timedelta(days=2)
MAKE_UP = datetime(2026, 5, 9, 2, 0, tzinfo=UTC)  # a Saturday worked for the May holidays
HOME = {"home": "B001", "branch": "B001"}
HEAD_OFFICE = {"home": "B000", "branch": "B000"}
SERVICE = {**HEAD_OFFICE, "role": "batch", "account_type": "service"}
BANK = Reference(branches=tuple(Branch(f"B00{i}") for i in range(6)))


def moment(day: datetime, clock: str, zone: ZoneInfo = CHINA) -> datetime:
    """The instant of a local time on the day of another instant."""
    local = datetime.combine(day.astimezone(zone).date(), time.fromisoformat(clock), tzinfo=zone)
    return local.astimezone(UTC)


def burst(start: datetime, n: int, gap_s: float, **fields: Any) -> Stream:
    """``n`` events of u1 at even gaps, on customers nobody else has looked at."""
    first = int(start.timestamp())
    return [
        event(first * 1_000 + i, "u1", start + timedelta(seconds=gap_s * i), **{**HOME, **fields})
        for i in range(n)
    ]


def daily(days: list[datetime], clock: str, n: int, gap_s: float, **fields: Any) -> Stream:
    """The same burst on many days."""
    zone = fields.pop("zone", CHINA)
    return [e for day in days for e in burst(moment(day, clock, zone), n, gap_s, **fields)]


def day_worker(*extra: dict[str, Any]) -> Stream:
    """Three ordinary weeks of a teller and an ordinary day more, with something on top."""
    return [*usual_work("u1", [*HISTORY, TESTED], **HOME), *extra]


def all_over_the_bank(role: str) -> Stream:
    """A role that works on every branch, every day."""
    work = usual_work("u1", [*HISTORY, TESTED], role=role, home="B000")
    return [{**item, "record_branch": f"B00{i % 6}"} for i, item in enumerate(work)]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A stream, and whether its detector is heard in it.

    ``fitted`` takes the artifact of a small bank instead of the built-in priors. ``since``
    judges only what comes later: the days before show what is usual.
    """

    detector: str
    name: str
    fires: bool
    stream: Callable[[], Stream]
    fitted: bool = False
    since: datetime | None = None
    reference: Reference = BANK


def standing_in(first: date, last: date) -> Reference:
    """The bank, and u1 on cover duty at B005."""
    return replace(BANK, cover=(Cover("u1", "B005", first, last),))


EXPORT = {"action": "export", "customer": None, "records": 3_000}
IN_NL = Reference(branches=(Branch("B001", None, "Europe/Amsterdam", "NL"),))
NO_DST = Reference(branches=(Branch("B001", None, "Africa/Lagos", "NL"),))
FIRES, QUIET = True, False


def early_shift() -> Stream:
    """Work from 05:00 to 06:30 in Amsterdam, before and after the clocks change on 29 March."""
    return daily(weekdays(22), "05:00", 60, 90, zone=NETHERLANDS)


def evening_shift(saturday: datetime) -> Stream:
    """Work from 17:00 to 23:00 on the working days of April and early May, and one Saturday."""
    april = [day for day in weekdays(18, datetime(2026, 4, 7, 2, 0, tzinfo=UTC)) if day.month == 4]
    after_the_holidays = [MAKE_UP - timedelta(days=n) for n in (3, 2, 1)]
    return daily([*april, *after_the_holidays, saturday], "17:00", 72, 300)


SCENARIOS = (
    Scenario("bulk_read", "ten times the usual customers in a day", FIRES,
             lambda: day_worker(*burst(TESTED, 300, 60))),
    Scenario("bulk_read", "ten times the usual customers, among known colleagues", FIRES,
             lambda: day_worker(*burst(TESTED, 400, 60)), fitted=True),
    Scenario("bulk_read", "an export of 3,000 records", FIRES,
             lambda: day_worker(*burst(TESTED, 1, 0, **EXPORT))),
    Scenario("bulk_read", "150 customers within eight minutes", FIRES,
             lambda: day_worker(*burst(TESTED, 150, 3)), fitted=True),
    Scenario("bulk_read", "ten times the usual nightly batch", FIRES,
             lambda: daily(HISTORY, "01:00", 1_500, 9, **SERVICE)
             + daily([TESTED], "01:00", 15_000, 0.9, **SERVICE), since=TESTED - timedelta(days=1)),
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


def plan_for(scenario: Scenario, quiet_artifact: Artifact) -> Plan:
    """The default policy with built-in priors or the small bank's."""
    since = scenario.since
    return build_plan(
        load_policy(None),
        quiet_artifact if scenario.fitted else None,
        scenario.reference,
        emit_from_ns=None if since is None else int(since.timestamp()) * 10**9,
    )


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: f"{s.detector}: {s.name}")
def test_a_detector_fires_where_it_should_and_nowhere_else(
    scenario: Scenario, quiet_artifact: Artifact
) -> None:
    """A detector that never fires is as useless as one that always does."""
    events = sorted(scenario.stream(), key=lambda item: str(item["event_time"]))
    lines, _, _ = run(events, plan_for(scenario, quiet_artifact))
    raised = {name for line in lines for name in orjson.loads(line)["detectors"]}

    assert (scenario.detector in raised) is scenario.fires


def test_every_detector_has_two_firing_and_three_quiet_scenarios() -> None:
    """A new detector without scenarios is not finished."""
    n = Counter((scenario.detector, scenario.fires) for scenario in SCENARIOS)

    assert {d: (n[d, FIRES] >= 2, n[d, QUIET] >= 3) for d in DETECTORS} == dict.fromkeys(
        DETECTORS, (True, True)
    )
