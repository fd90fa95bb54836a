"""sensitive, under_cap and account: whose records, how they are asked for, by which account."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from detector.customers import Customers
from detector.reference import Reference, Staff
from tests.scenarios import (
    BANK,
    FIRES,
    HISTORY,
    HOME,
    QUIET,
    TESTED,
    Scenario,
    Stream,
    burst,
    day_worker,
    moment,
)
from tests.streams import usual_work

VIPS = tuple(f"v{i * 7_919 % 10_007}" for i in range(400))
OWN = ("u1", "c-own")
WITH_VIPS = replace(BANK, customers=Customers(sensitive=VIPS, own=(OWN,)))


def vips(n: int, **fields: Any) -> Stream:
    """An ordinary day, and so many VIPs on top."""
    work = burst(moment(TESTED, "15:30"), n, 60, **fields)
    return day_worker(*({**item, "customer_id": VIPS[i]} for i, item in enumerate(work)))


def every_tenth_a_vip(n: int) -> Stream:
    """Weeks in which one customer in ten is a VIP, and a day with ``n`` customers."""
    days = [*usual_work("u1", HISTORY, **HOME), *usual_work("u1", [TESTED], n, 50_000, **HOME)]
    return [
        {**item, "customer_id": VIPS[i // 10 % len(VIPS)]} if i % 10 == 0 else item
        for i, item in enumerate(days)
    ]


def vip_desk() -> Stream:
    """A desk that serves nobody else."""
    return [{**item, "customer_id": VIPS[i % len(VIPS)]} for i, item in enumerate(day_worker())]


def more(n: int, gap_s: float = 60, **fields: Any) -> Stream:
    """An ordinary day, and ``n`` more events in the afternoon."""
    return day_worker(*burst(moment(TESTED, "15:30"), n, gap_s, **fields))


def lists(*records: int, n: int = 12) -> Stream:
    """Every day so many lists, their lengths by turns."""
    return [
        {**item, "record_count": records[i % len(records)]}
        for day in [*HISTORY, TESTED]
        for i, item in enumerate(burst(moment(day, "15:30"), n, 60, **LIST))
    ]


def staff(**fields: Any) -> Reference:
    """The bank, and what its staff directory says about u1."""
    person = {"roles": ("teller",), "branches": ("B001",), "account_types": ("person",)}
    directory = {"left": (None,), "leave": ((),), **person, **fields}
    return replace(BANK, staff=Staff(user_ids=("u1",), **directory))


def on_leave(first: date, last: date) -> Reference:
    """The bank, and u1 on leave."""
    return staff(leave=(((first, last),),))


def by_turns(*devices: str) -> Stream:
    """Three weeks at one computer, then an afternoon with these by turns."""
    afternoon = burst(moment(TESTED, "15:00"), 30, 240)
    return day_worker(device_id="PC-1") + [
        {**item, "device_id": devices[i % len(devices)]} for i, item in enumerate(afternoon)
    ]


def two_on_one_desk() -> Stream:
    """Somebody who goes to and fro between two computers all day, every day."""
    return [{**item, "device_id": f"PC-{i % 3 % 2}"} for i, item in enumerate(day_worker())]


def away_for(n_days: int) -> Stream:
    """Weeks of work, so many days without, and another day."""
    back = HISTORY[-1] + timedelta(days=n_days)
    return [*usual_work("u1", HISTORY, **HOME), *usual_work("u1", [back], 30, 50_000, **HOME)]


DENIED = {"outcome": "denied", "customer": None}
LIST = {"action": "list", "customer": None}
LEFT_ON_FRIDAY = staff(left=(date(2026, 3, 20),))
LEAVES_TODAY = staff(left=(date(2026, 3, 23),))
SINCE_TESTED = TESTED - timedelta(days=1)

SCENARIOS = (
    Scenario("sensitive", "twenty VIPs in an hour", FIRES,
             lambda: vips(20), reference=WITH_VIPS),
    Scenario("sensitive", "twelve VIPs in an hour, among known colleagues", FIRES,
             lambda: vips(12), reference=WITH_VIPS, fitted=True),
    Scenario("sensitive", "the own record twenty times", FIRES,
             lambda: more(20, customer=OWN[1]), reference=WITH_VIPS),
    Scenario("sensitive", "thirty secret records", FIRES,
             lambda: more(30, data_class="C3")),
    Scenario("sensitive", "one VIP", QUIET,
             lambda: vips(1), reference=WITH_VIPS, fitted=True),
    Scenario("sensitive", "a desk whose job VIPs are", QUIET,
             vip_desk, reference=WITH_VIPS, since=HISTORY[8]),
    Scenario("sensitive", "a busy day with as many more VIPs as other customers", QUIET,
             lambda: every_tenth_a_vip(90), reference=WITH_VIPS, since=SINCE_TESTED),
    Scenario("sensitive", "a busy day with more VIPs, among known colleagues", QUIET,
             lambda: every_tenth_a_vip(90), reference=WITH_VIPS, since=SINCE_TESTED, fitted=True),
    Scenario("sensitive", "one VIP twenty times", QUIET,
             lambda: more(20, customer=VIPS[0]), reference=WITH_VIPS),
    Scenario("under_cap", "twenty lists of 99", FIRES,
             lambda: more(20, records=99, **LIST)),
    Scenario("under_cap", "twenty lists of 480, among known colleagues", FIRES,
             lambda: more(20, records=480, **LIST), fitted=True),
    Scenario("under_cap", "twenty full pages of 100", QUIET,
             lambda: more(20, records=100, **LIST)),
    Scenario("under_cap", "one list of 99", QUIET,
             lambda: more(1, records=99, **LIST)),
    Scenario("under_cap", "a report that holds 97 rows every day", QUIET,
             lambda: lists(97), since=HISTORY[8]),
    Scenario("under_cap", "lists of every length", QUIET,
             lambda: lists(3, 17, 30, 49, 61, 75, 88, 99, 120, 140, 150, 170)),
    Scenario("under_cap", "twenty records that are no lists", QUIET,
             lambda: more(20, records=99)),
    Scenario("account", "forty refusals", FIRES,
             lambda: more(40, 20, **DENIED)),
    Scenario("account", "two computers by turns", FIRES,
             lambda: by_turns("PC-1", "PC-7")),
    Scenario("account", "used after its owner has left", FIRES,
             day_worker, reference=LEFT_ON_FRIDAY, fitted=True),
    Scenario("account", "the last day of its owner", QUIET,
             day_worker, reference=LEAVES_TODAY, fitted=True),
    Scenario("account", "back from a leave of a month", QUIET,
             lambda: away_for(30), fitted=True),
    Scenario("account", "back from a leave of ten weeks", QUIET,
             lambda: away_for(70), fitted=True),
    Scenario("account", "the day after a registered leave", QUIET,
             day_worker, reference=on_leave(date(2026, 3, 21), date(2026, 3, 22)), fitted=True),
    Scenario("account", "two computers on one desk, every day", QUIET,
             two_on_one_desk, since=HISTORY[8]),
    Scenario("account", "a new computer instead of the old one", QUIET,
             lambda: by_turns("PC-7"), fitted=True),
    Scenario("account", "three refusals", QUIET,
             lambda: more(3, **DENIED)),
)  # fmt: skip
