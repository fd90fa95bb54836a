"""`/api/v1`: described, paged, sent twice and done once, limited."""

from __future__ import annotations

from typing import Any

import pytest

from tests.console.conftest import NEWEST, Served, serving, write_alerts

ALERT = next(iter(NEWEST))


def test_the_description_names_every_path_and_every_error_is_an_object(shared: Served) -> None:
    """What pages do, programs can do: one path for each act."""
    told = shared.browser().get("/api/v1/openapi.json").json()
    acts = {path.rpartition("/")[2] for path in told["paths"]}

    assert told["openapi"].startswith("3.")
    assert acts >= {
        "alerts", "triage", "comments", "questions", "preview", "suppressions", "unmask-requests",
        "journal", "accounts", "tokens", "me", "overview", "verdicts", "arrivals", "views",
    }  # fmt: skip
    error = shared.with_token("viewer", "read").get(f"/alerts/{'0' * 32}").json()["error"]
    assert error["code"] == "not_found"


@pytest.mark.parametrize("sort", ["score", "time", "arrival"])
def test_pages_of_a_list_hold_each_alert_once_and_in_order(
    served: Served, an_alert: dict[str, Any], sort: str
) -> None:
    """However many there are, and while others arrive between two pages."""
    many = [{**an_alert, "alert_id": f"{n:032x}", "score": 3 + n % 7} for n in range(130)]
    write_alerts(served.url, many)
    program, rows, cursor = served.with_token("viewer", "read"), [], ""
    while cursor is not None:
        asked = {"sort": sort, "cursor": cursor, "q": an_alert["user_branch"]}
        page = program.get("/alerts", params=asked).json()
        rows += page["alerts"]
        cursor = page["next_cursor"]
    ids = [row["alert_id"] for row in rows]

    assert len(ids) == len(set(ids))
    assert set(ids) >= {line["alert_id"] for line in many}
    if sort == "score":
        assert [row["score"] for row in rows] == sorted((r["score"] for r in rows), reverse=True)


def test_today_holds_the_best_and_says_what_was_held_back(
    served: Served, an_alert: dict[str, Any]
) -> None:
    """Together they are the day, whatever filter is on."""
    day = {**an_alert, "time": "2026-04-20T10:00:00.000+08:00"}
    alerts = [{**day, "alert_id": f"{n:032x}", "score": 3 + n / 10} for n in range(12)]
    write_alerts(served.url, alerts)
    program = served.with_token("viewer", "read")
    today, held = (
        program.get("/alerts", params={"view": view}).json()["alerts"]
        for view in ("today", "held_back")
    )
    filtered = program.get("/alerts", params={"view": "today", "severity": "nothing"}).json()

    assert [round(row["score"], 1) for row in today] == [4.1, 4.0, 3.9, 3.8, 3.7]
    assert [round(row["score"], 1) for row in held] == [3.6, 3.5, 3.4, 3.3, 3.2, 3.1, 3.0]
    assert filtered["alerts"] == []
    page = served.signed_in("viewer").get("/").text
    assert "Held back: 7" in page


def test_a_request_sent_twice_is_done_once(served: Served) -> None:
    """A program that lost the answer sends it again; the same key for another one is refused."""
    program = served.with_token("analyst", "read", "triage")
    path, head = f"/alerts/{ALERT}/comments", {"idempotency-key": "one"}
    first, again = (program.post(path, json={"text": "once"}, headers=head) for _ in range(2))
    other = program.post(path, json={"text": "another"}, headers=head)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["idempotent-replay"] == "true"
    assert again.json() == first.json()
    assert other.json()["error"]["code"] == "other_request"
    assert len(program.get(f"/alerts/{ALERT}").json()["comments"]) == 1


def test_a_request_that_failed_may_be_sent_again_under_its_key(served: Served) -> None:
    """Nothing was done under it."""
    program = served.with_token("analyst", "read", "triage")
    path, head = f"/alerts/{ALERT}/triage", {"idempotency-key": "two"}
    program.post(path, json={"row_version": 7, "status": "closed"}, headers=head)
    answer = program.post(path, json={"row_version": 0, "status": "closed"}, headers=head)

    assert answer.status_code == 200


def test_more_calls_than_a_minute_allows_are_told_to_wait(url: str) -> None:
    """By account, so that another token does not help; a minute later it goes on."""
    with serving(url, api_calls_per_minute=3) as served:
        programs = [served.with_token("viewer", "read") for _ in range(2)]
        answers = [programs[n % 2].get("/me") for n in range(4)]
        served.clock.ahead_ms = 61_000
        later = programs[0].get("/me")

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert 1 <= int(answers[3].headers["retry-after"]) <= 60
    assert later.status_code == 200


def test_a_token_ends_when_it_says_and_when_it_is_revoked(served: Served) -> None:
    """And no token makes another one."""
    program = served.with_token("analyst", "read")
    made = program.post(
        f"{served.base}/settings/tokens", data={"name": "x", "scopes": "read", "days": 9}
    )
    number = program.get("/tokens").json()["rows"][0]["number"]
    program.post(f"/tokens/{number}/revoke")

    assert made.status_code == 422
    assert program.get("/me").status_code == 401
    other = served.with_token("analyst", "read")
    served.clock.ahead_ms = 11 * 86_400_000
    assert other.get("/me").status_code == 401


def test_no_answer_holds_an_id_of_staff_or_anything_of_a_password(served: Served) -> None:
    """For all but investigators, and for nobody."""
    ids = {line["user_id"] for line in NEWEST.values()}
    analyst, admin = served.with_token("analyst", "read"), served.with_token("admin", "accounts")
    ref = served.console.pseudonyms.staff(NEWEST[ALERT]["user_id"])
    for path in ("/alerts", f"/alerts/{ALERT}", f"/employees/{ref}", "/overview", "/arrivals"):
        answer = analyst.get(path)
        assert answer.status_code == 200, path
        assert not [user_id for user_id in ids if f'"{user_id}"' in answer.text], path

    assert "argon2" not in admin.get("/accounts").text
