"""unfamiliar, slow_drip, enumeration and repeat_target: how somebody works, over time."""

from __future__ import annotations

from typing import Any

from tests.scenarios import (
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
from tests.streams import event, weekdays

DESK = {"device_id": "PC-1", "source_ip": "10.1.1.5", "system": "core-banking", "channel": "branch"}
ELSEWHERE = {
    "device_id": "PC-99", "source_ip": "172.16.9.9", "system": "hr", "channel": "api",
    "action": "query",
}  # fmt: skip
NEW_COMPUTER = {"device_id": "PC-2"}
AT_HOME = {"device_id": "PC-3", "source_ip": "100.64.3.3"}
NEW_TASK = {"system": "crm", "action": "search"}


def at_a_desk(n: int = 0, **fields: Any) -> Stream:
    """A teller who always works from the same computer, and then ``n`` events that differ."""
    return day_worker(*burst(moment(TESTED, "15:30"), n, 60, **{**DESK, **fields}), **DESK)


def from_everywhere() -> Stream:
    """The same teller, and one password in many hands."""
    hands = burst(moment(TESTED, "15:30"), 10, 60, **{**DESK, **ELSEWHERE})
    return at_a_desk() + [
        {**item, "device_id": f"X-{i}", "source_ip": f"172.{16 + i}.9.9"}
        for i, item in enumerate(hands)
    ]


def leased() -> Stream:
    """The same computer, every day and every hour under another address of its network."""
    work = at_a_desk()
    return [{**item, "source_ip": f"10.1.1.{i % 250}"} for i, item in enumerate(work)]


def levels(*per_day: int) -> Stream:
    """Working days with so many customers each, evenly over seven hours."""
    days = zip(weekdays(len(per_day)), per_day, strict=True)
    return [
        item for day, n in days for item in burst(moment(day, "09:30"), n, 7 * 3_600 / max(n, 1))
    ]


def in_order(n: int, step: int) -> Stream:
    """An ordinary day, and look-ups that walk through customer numbers."""
    walk = burst(moment(TESTED, "15:30"), n, 60)
    return day_worker(
        *({**item, "customer_id": f"c{700_000 + step * i}"} for i, item in enumerate(walk))
    )


def neighbours() -> Stream:
    """A portfolio of 300 neighbouring numbers, its customers in no order."""
    work = day_worker(*burst(moment(TESTED, "15:30"), 20, 60))
    return [{**item, "customer_id": f"c{i * 7_919 % 300}"} for i, item in enumerate(work)]


def lists_in_order() -> Stream:
    """Somebody who works through a list of thirty customers in order, every day."""
    work = day_worker()
    return [{**item, "customer_id": f"c{1_000 * (i // 30) + i}"} for i, item in enumerate(work)]


def looks(n_days: int, per_day: int = 1, **fields: Any) -> Stream:
    """Ordinary weeks, and one customer looked at on each of the last days, TESTED the last."""
    days = [*HISTORY, TESTED][-n_days:]
    work = {"customer": "c5", **HOME, **fields}
    return day_worker(
        *(
            event(900_000 + 100 * i + j, "u1", moment(day, "16:00"), **work)
            for i, day in enumerate(days)
            for j in range(per_day)
        )
    )


SCENARIOS = (
    Scenario("unfamiliar", "another computer, network, system, channel and action", FIRES,
             lambda: at_a_desk(20, **ELSEWHERE), fitted=True),
    Scenario("unfamiliar", "ten look-ups, each from another computer and network", FIRES,
             from_everywhere, fitted=True),
    Scenario("unfamiliar", "a new computer", QUIET,
             lambda: at_a_desk(20, **NEW_COMPUTER)),
    Scenario("unfamiliar", "a new computer, among known colleagues", QUIET,
             lambda: at_a_desk(10, **NEW_COMPUTER), fitted=True),
    Scenario("unfamiliar", "a day at home", QUIET,
             lambda: at_a_desk(20, **AT_HOME)),
    Scenario("unfamiliar", "a new task in another system", QUIET,
             lambda: at_a_desk(20, **NEW_TASK)),
    Scenario("unfamiliar", "every day another address of the same network", QUIET,
             leased, fitted=True),
    Scenario("slow_drip", "twice the customers for ten days", FIRES,
             lambda: levels(*[45] * 20, *[90] * 10), fitted=True),
    Scenario("slow_drip", "three fifths more for three weeks", FIRES,
             lambda: levels(*[45] * 20, *[72] * 15), fitted=True),
    Scenario("slow_drip", "three percent more every day for two months", FIRES,
             lambda: levels(*(round(45 * 1.03**i) for i in range(40))), fitted=True),
    Scenario("slow_drip", "the same number of customers for two months", QUIET,
             lambda: levels(*[45] * 40), fitted=True),
    Scenario("slow_drip", "a fifth more for a week", QUIET,
             lambda: levels(*[45] * 20, *[54] * 5), fitted=True),
    Scenario("slow_drip", "one loud day", QUIET,
             lambda: levels(*[45] * 20, 135, *[45] * 5), fitted=True),
    Scenario("slow_drip", "a percent more every week", QUIET,
             lambda: levels(*(round(45 * 1.002**i) for i in range(40))), fitted=True),
    Scenario("slow_drip", "busier days after three weeks of holiday", QUIET,
             lambda: levels(*[45] * 20, *[0] * 15, *[54] * 3), fitted=True),
    Scenario("enumeration", "sixty customers in the order of their numbers", FIRES,
             lambda: in_order(60, 1)),
    Scenario("enumeration", "sixty customers downwards, a check digit in each", FIRES,
             lambda: in_order(60, -10)),
    Scenario("enumeration", "thirty customers in order, among known colleagues", FIRES,
             lambda: in_order(30, 1), fitted=True),
    Scenario("enumeration", "a family with four neighbouring numbers", QUIET,
             lambda: in_order(4, 1), fitted=True),
    Scenario("enumeration", "a portfolio of neighbouring numbers", QUIET,
             neighbours),
    Scenario("enumeration", "one customer again and again", QUIET,
             lambda: in_order(60, 0)),
    Scenario("enumeration", "a list with wide gaps between its numbers", QUIET,
             lambda: in_order(30, 13)),
    Scenario("enumeration", "a list that is worked through in order every day", QUIET,
             lists_in_order, since=HISTORY[8]),
    Scenario("repeat_target", "one customer on ten days in two weeks", FIRES,
             lambda: looks(10), fitted=True),
    Scenario("repeat_target", "the same, with a purpose that anybody can state", FIRES,
             lambda: looks(10, purpose="check"), fitted=True),
    Scenario("repeat_target", "one customer on ten days, each time with a ticket", QUIET,
             lambda: looks(10, ticket_id="T-1"), fitted=True),
    Scenario("repeat_target", "one customer served on ten days", QUIET,
             lambda: looks(10, action="update"), fitted=True),
    Scenario("repeat_target", "a customer of the own portfolio, every day for weeks", QUIET,
             lambda: looks(16), fitted=True),
    Scenario("repeat_target", "fifteen looks at one customer in one day", QUIET,
             lambda: looks(1, 15), fitted=True),
    Scenario("repeat_target", "one customer on three days", QUIET,
             lambda: looks(3), fitted=True),
)  # fmt: skip
