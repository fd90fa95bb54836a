"""Alerts as they arrive: in order, once, and from where a browser left off."""

from __future__ import annotations

from typing import Any

import httpx
import orjson

from detector.console.roles import Role
from detector.store.alert_queries import last_arrival
from tests.console.conftest import GOLDEN, Served, write_alerts


def events(
    client: httpx.Client, path: str, n: int, **headers: str
) -> list[tuple[int, dict[str, Any]]]:
    """Read n events of a stream, then leave."""
    with client.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200
        found: list[tuple[int, dict[str, Any]]] = []
        number = 0
        for line in answer.iter_lines():
            if line.startswith("id: "):
                number = int(line[4:])
            if line.startswith("data: "):
                found.append((number, orjson.loads(line[6:])))
            if len(found) == n:
                break
    return found


def newest(served: Served) -> int:
    """Number of the last arrival."""
    with served.console.store.reading() as db:
        return last_arrival(db)


def test_what_arrives_is_sent_in_order(served: Served, an_alert: dict[str, Any]) -> None:
    """Each with its number, and nothing of who it is about."""
    start = newest(served)
    write_alerts(served.url, [{**an_alert, "alert_id": f"{n:032x}"} for n in range(3)])
    found = events(served.signed_in("analyst"), f"/live?after={start}", 3)

    assert [number for number, _ in found] == [start + 1, start + 2, start + 3]
    assert [event["alert_id"] for _, event in found] == [f"{n:032x}" for n in range(3)]
    assert not {"user_id", "content"} & set(found[0][1])


def test_a_browser_goes_on_after_the_last_event_it_saw(
    served: Served, an_alert: dict[str, Any]
) -> None:
    """The header wins over the address, which is as old as the page."""
    start = newest(served)
    write_alerts(served.url, [{**an_alert, "alert_id": f"{n:032x}"} for n in range(4)])
    browser = served.signed_in("analyst")
    first = events(browser, f"/live?after={start}", 2)
    head = {"last-event-id": str(first[-1][0])}
    rest = events(browser, f"/live?after={start}", 2, **head)

    assert [event["alert_id"] for _, event in first + rest] == [f"{n:032x}" for n in range(4)]


def test_other_branches_alerts_are_not_sent(served: Served) -> None:
    """Not even that one has arrived."""
    served.account("of-b1", Role.ANALYST, {"B1"})
    start = newest(served)
    by_branch = {line["user_branch"]: line for line in GOLDEN}
    lines = [{**by_branch[b], "alert_id": f"{n:032x}"} for n, b in enumerate(["B2", "B1"])]
    write_alerts(served.url, lines)
    ((number, event),) = events(served.signed_in("of-b1"), f"/live?after={start}", 1)

    assert (number, event["alert_id"]) == (start + 2, f"{1:032x}")
