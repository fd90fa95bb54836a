"""What people do with alerts: saved once, told, never over somebody else's work. Both databases."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from tests.conftest import Run
from tests.console.conftest import GOLDEN, NEWEST, Served, serving, write_alerts
from tests.parts.postgresql import Server, server

_NUMBERS = count()
ONE = next(line for line in NEWEST.values() if line["user_branch"] == "B1")
PATH = f"/alerts/{ONE['alert_id']}"


@pytest.fixture(scope="module")
def postgresql() -> Iterator[Server]:
    """A server for the tests of this file."""
    with server() as found:
        yield found


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store with the golden alerts, in each kind of database."""
    if request.param == "sqlite":
        address = f"sqlite:///{tmp_path}/alerts.db"
    else:
        address = request.getfixturevalue("postgresql").create(f"console_{next(_NUMBERS)}")
    write_alerts(address, GOLDEN)
    return str(address)


@pytest.fixture
def analyst(served: Served) -> httpx.Client:
    """An analyst's program."""
    return served.with_token("analyst", "read", "triage")


def test_an_alert_goes_from_new_to_a_verdict(analyst: httpx.Client) -> None:
    """Each step is made on the one before, and the page shows where it stands."""
    steps = [
        {"status": "acknowledged"}, {"assignee": "analyst"}, {"status": "in_progress"},
        {"verdict": "benign", "reason": "a campaign of the branch"},
    ]  # fmt: skip
    for row_version, step in enumerate(steps):
        answer = analyst.post(f"{PATH}/triage", json={"row_version": row_version, **step})
        assert answer.status_code == 200, answer.text
    triage = analyst.get(PATH).json()["triage"]

    assert (triage["status"], triage["verdict"], triage["assignee"]) == (
        "closed", "benign", "analyst",
    )  # fmt: skip
    assert triage["first_look_ms"] <= triage["decided_ms"]


def test_a_confirmed_alert_is_escalated(analyst: httpx.Client) -> None:
    """It is not over when it turns out to be true."""
    analyst.post(f"{PATH}/triage", json={"row_version": 0, "verdict": "confirmed"})

    assert analyst.get(PATH).json()["triage"]["status"] == "escalated"


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ({"verdict": "benign"}, "reason_missing"),
        ({"verdict": "wrong_team", "reason": "  "}, "reason_missing"),
        ({"verdict": "guilty"}, "unknown_verdict"),
        ({"status": "lost"}, "unknown_status"),
        ({"assignee": "nobody"}, "unknown_assignee"),
        ({}, "nothing_changed"),
    ],
)
def test_what_cannot_be_saved_is_refused_in_words(
    analyst: httpx.Client, sent: dict[str, str], code: str
) -> None:
    """And nothing of it is saved."""
    answer = analyst.post(f"{PATH}/triage", json={"row_version": 0, **sent})

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, code)
    assert analyst.get(PATH).json()["triage"]["status"] == "new"


def test_two_people_at_once_do_not_overwrite_each_other(served: Served) -> None:
    """One wins, the other is told and sees what was saved."""
    programs = [served.with_token(login, "triage") for login in ("analyst", "manager")]
    programs += [served.with_token("investigator", "triage") for _ in range(4)]
    with ThreadPoolExecutor(6) as pool:
        sent = {"row_version": 0, "status": "acknowledged"}
        codes = list(pool.map(lambda p: p.post(f"{PATH}/triage", json=sent).status_code, programs))

    assert sorted(codes) == [200] + [409] * 5


def test_the_page_tells_a_conflict_and_shows_what_was_saved(served: Served) -> None:
    """Nobody has to guess why the click did nothing."""
    first, second = served.signed_in("manager"), served.signed_in("analyst")
    first.post(f"{PATH}/triage", data={"row_version": 0, "do": "take"})
    sent = {"row_version": 0, "do": "judge", "verdict": "test"}
    answer = second.post(f"{PATH}/triage", data=sent, headers={"hx-request": "true"})

    assert answer.status_code == 409
    assert "Somebody else has changed this alert in between" in answer.text
    assert re.search(r"<dd>manager</dd>", answer.text)
    assert 'class="verdict' not in answer.text.split("<dl")[0]


def test_verdicts_are_told_to_the_engine_in_the_order_given(
    served: Served, analyst: httpx.Client, detector: Run
) -> None:
    """As lines keyed by the person, whose state they change."""
    for row_version, verdict in enumerate(["confirmed", "benign"]):
        sent = {"row_version": row_version, "verdict": verdict, "reason": "asked the branch"}
        assert analyst.post(f"{PATH}/triage", json=sent).status_code == 200
    done = detector("verdicts", "export", "--store", served.url)
    told = [orjson.loads(line) for line in done.out.splitlines()]

    assert [row["verdict"] for row in told] == ["confirmed", "benign"]
    assert {row["user_id"] for row in told} == {ONE["user_id"]}
    assert {row["alert_version"] for row in told} == {ONE["version"]}
    after = detector("verdicts", "export", "--store", served.url, "--after", told[0]["number"])
    assert [orjson.loads(line) for line in after.out.splitlines()] == told[1:]


def test_several_alerts_are_changed_at_once_and_conflicts_are_counted(served: Served) -> None:
    """Those that somebody else has touched stay as they are."""
    ids = list(NEWEST)[:4]
    other = served.with_token("manager", "triage")
    other.post(f"/alerts/{ids[0]}/triage", json={"row_version": 0, "status": "in_progress"})
    sent = {
        "act": "acknowledged",
        "alert": [f"{alert_id}:0" for alert_id in ids],
        "query": "view=all",
    }
    answer = served.signed_in("analyst").post("/bulk", data=sent)
    program = served.with_token("analyst", "read")
    statuses = [program.get(f"/alerts/{i}").json()["triage"]["status"] for i in ids]

    assert answer.headers["location"] == "/?view=all&failed=1"
    assert statuses == ["in_progress"] + ["acknowledged"] * 3


def test_comments_mention_colleagues_who_exist(served: Served, analyst: httpx.Client) -> None:
    """An address in a text is no mention."""
    served.with_token("manager", "read")
    text = "@manager please look, @nobody said so, mail me at a@manager"
    answer = analyst.post(f"{PATH}/comments", json={"text": text})

    assert answer.json()["saved"]["mentions"] == ["manager"]
    assert analyst.get(PATH).json()["comments"][0]["mentions"] == ["manager"]


def test_the_employee_answers_through_a_link_that_shows_nothing_else(
    served: Served, analyst: httpx.Client
) -> None:
    """No score, no detector, no other alert; the first answer stands."""
    made = analyst.post(f"{PATH}/questions", json={"text": "Which task was it?"}).json()
    path = made["saved"]["link"].removeprefix(served.base)
    employee = served.browser()
    page = employee.get(path).text
    token = re.findall(r'name="csrf" value="([0-9a-f]+)"', page)[0]
    for text in ("It was the spring campaign.", "Or something else."):
        employee.post(path, data={"answer": text, "csrf": token})
    told = analyst.get(PATH).json()["questions"]

    assert "Which task was it?" in page
    assert ONE["detector"] not in page
    assert [question["answer"] for question in told] == ["It was the spring campaign."]
    served.clock.ahead_ms = 8 * 86_400_000
    assert employee.get(path).status_code == 404


def test_a_rule_tells_what_it_would_have_hidden_then_hides_what_arrives(
    served: Served, analyst: httpx.Client
) -> None:
    """What was there stays, a higher score is shown all the same, closing does not end it."""
    rule = {"by_detector": True, "by_person": True, "max_score": ONE["score"] + 1, "days": 7}
    told = analyst.post(f"{PATH}/suppressions/preview", json=rule).json()
    covered = [
        line
        for line in NEWEST.values()
        if (line["user_id"], line["detector"]) == (ONE["user_id"], ONE["detector"])
        and line["score"] <= ONE["score"] + 1
    ]
    assert (told["n_alerts"], told["n_of"]) == (len(covered), len(NEWEST))

    made = analyst.post(f"{PATH}/suppressions", json={**rule, "reason": "a known campaign"})
    assert made.status_code == 201, made.text
    analyst.post(f"{PATH}/triage", json={"row_version": 0, "verdict": "test"})
    like = {**ONE, "alert_id": "a" * 32}
    arrive(served, like)
    arrive(served, {**ONE, "alert_id": "b" * 32, "score": ONE["score"] + 5})
    shown = {row["alert_id"] for row in listed(analyst, "open")}

    assert "a" * 32 not in shown
    assert "b" * 32 in shown
    assert [row["alert_id"] for row in listed(analyst, "suppressed")] == ["a" * 32]
    number = made.json()["saved"]["number"]
    analyst.post(f"/suppressions/{number}/end")
    arrive(served, {**ONE, "alert_id": "c" * 32})
    assert "c" * 32 in {row["alert_id"] for row in listed(analyst, "open")}


def arrive(served: Served, line: dict[str, Any]) -> None:
    """Let an alert arrive while the console runs."""
    write_alerts(served.url, [line])


def listed(program: httpx.Client, view: str) -> list[dict[str, Any]]:
    """Return a view's alerts."""
    rows: list[dict[str, Any]] = program.get("/alerts", params={"view": view}).json()["alerts"]
    return rows


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ({"by_detector": False, "by_person": False, "reason": "x"}, "scope_too_wide"),
        ({"reason": "   "}, "reason_missing"),
    ],
)
def test_a_rule_without_bounds_or_reason_is_refused(
    analyst: httpx.Client, rule: dict[str, Any], code: str
) -> None:
    """Nobody hides everything, nobody hides something for no reason."""
    answer = analyst.post(f"{PATH}/suppressions", json=rule)

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, code)


def test_an_identity_is_seen_after_a_second_person_agreed_and_not_for_ever(
    served: Served, analyst: httpx.Client
) -> None:
    """A reason, a colleague with the right to decide, an end; each in the journal."""
    assert ONE["user_id"] not in served.signed_in("analyst").get(PATH).text
    number = analyst.post(f"{PATH}/unmask-requests", json={"text": "call the branch"}).json()
    manager = served.with_token("manager", "read", "triage")
    path = f"/unmask-requests/{number['saved']['number']}"
    assert analyst.post(path, json={"granted": True}).status_code == 403
    assert manager.post(path, json={"granted": True}).status_code == 200

    assert analyst.get(PATH).json()["alert"]["staff"] == ONE["user_id"]
    assert manager.get(PATH).json()["alert"]["staff"] != ONE["user_id"]
    served.clock.ahead_ms = 9 * 3_600_000
    assert analyst.get(PATH).json()["alert"]["staff"] != ONE["user_id"]
    log = served.with_token("auditor", "read").get("/journal", params={"act": "identity"}).json()
    assert [entry["act"] for entry in log["rows"]] == ["identity.decide", "identity.ask"]


def test_nobody_decides_their_own_request(served: Served) -> None:
    """A manager may ask and may decide, but not both for one request."""
    manager = served.with_token("manager", "read", "triage")
    made = manager.post(f"{PATH}/unmask-requests", json={"text": "curious"}).json()["saved"]
    answer = manager.post(f"/unmask-requests/{made['number']}", json={"granted": True})

    assert answer.json()["error"]["code"] == "second_person_needed"
    assert manager.get(PATH).json()["alert"]["staff"] != ONE["user_id"]


def test_searching_for_an_id_tells_nobody_who_bears_a_pseudonym(served: Served) -> None:
    """Whoever knows all ids could else try them one by one."""
    found = {}
    for login in ("analyst", "investigator"):
        program = served.with_token(login, "read", "identities")
        asked = ({"q": ONE["user_id"]}, {"employee": ONE["user_id"]})
        found[login] = [len(program.get("/alerts", params=a).json()["alerts"]) for a in asked]

    assert found["analyst"] == [0, 0]
    assert min(found["investigator"]) > 0


@pytest.mark.parametrize(
    ("words", "is_found"),
    [
        ("b1", True), ("tell B1", True), (ONE["alert_id"][:8], True), (ONE["detector"][2:], True),
        (ONE["alert_id"][:7] + "g", False), ("b1 nowhere", False), ("', '", False),
    ],
)  # fmt: skip
def test_who_may_not_know_people_searches_by_what_alerts_are_filed_under(
    served: Served, words: str, is_found: bool
) -> None:
    """Branch, role, detector, severity, the beginning of an alert's id; each word has to fit."""
    program = served.with_token("analyst", "read")
    found = program.get("/alerts", params={"q": words, "view": "all"}).json()["alerts"]

    assert (ONE["alert_id"] in [alert["alert_id"] for alert in found]) == is_found


@pytest.fixture
def served(url: str) -> Iterator[Served]:
    """A running console on either database."""
    with serving(url) as found:
        yield found


def test_a_database_that_goes_away_is_told_and_comes_back(postgresql: Server) -> None:
    """The page says so, nothing that was confirmed is lost, and nobody restarts the console."""
    url = postgresql.create(f"console_{next(_NUMBERS)}")
    write_alerts(url, GOLDEN)
    with serving(url) as served:
        program = served.with_token("analyst", "read", "triage")
        saved = program.post(f"{PATH}/triage", json={"row_version": 0, "verdict": "confirmed"})
        postgresql.stop()
        away = program.get("/alerts"), served.browser().get("/readyz")
        postgresql.start()
        back = program.get(PATH)

    assert saved.status_code == 200
    assert [answer.status_code for answer in away] == [503, 503]
    assert back.json()["triage"]["verdict"] == "confirmed"
