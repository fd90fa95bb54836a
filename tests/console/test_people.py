"""People: their leave, cover and approvals, groups that carry far more alerts, and mentions."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from detector.console.fairness import Burden, far_more
from detector.console.people import NewAccount, save
from detector.console.roles import Role
from detector.console.service import wall_clock_ms
from detector.console.staff import Duty, StaffBook, staff_book
from detector.reference import load_reference
from tests.console.conftest import GOLDEN, NEWEST, PASSWORD, Served, serving

ONE = next(line for line in NEWEST.values() if line["user_branch"] == "B1")
DAY = date.fromisoformat(max(line["time"] for line in GOLDEN)[:10])


@pytest.fixture
def book(tmp_path: Path) -> StaffBook:
    """Tables about the person of an alert, and about colleagues."""
    user = ONE["user_id"]
    (tmp_path / "staff.csv").write_text(
        "user_id,role,branch,account_type,left,leave\n"
        f"{user},teller,B1,,,{DAY - timedelta(9)}/{DAY - timedelta(5)};2001-01-01\n"
        "gone,teller,B1,,2020-01-01,\nrobot,batch,B1,service,,\nother,loans,B2,,,\n"
    )
    (tmp_path / "cover.csv").write_text(f"user_id,branch,from,to\n{user},B7,{DAY},{DAY}\n")
    (tmp_path / "approvals.csv").write_text(
        "ticket_id,user_id,customers,branch,valid_from,valid_to\n"
        f"T-1,{user},c1;c2;c3,,{DAY},\nT-2,{user},,B3,,\nT-3,,c9,,,\n"
    )
    return staff_book(load_reference(tmp_path))


def test_a_person_s_duties_are_those_of_90_days_and_to_come(book: StaffBook) -> None:
    """Newest first, open ones among them; a leave of long ago explains nothing today."""
    duties = book.of(ONE["user_id"], DAY)

    assert duties == [
        Duty("cover", DAY, DAY, branch="B7"),
        Duty("approval", DAY, None, "T-1", n_customers=3),
        Duty("leave", DAY - timedelta(9), DAY - timedelta(5)),
        Duty("approval", None, None, "T-2", "B3"),
    ]
    assert book.of("nobody", DAY) == []


def test_groups_are_of_people_who_work_here(book: StaffBook) -> None:
    """No service and nobody who has left makes a group look quiet."""
    assert book.roles == {ONE["user_id"]: "teller", "other": "loans"}
    assert book.branches == {ONE["user_id"]: "B1", "other": "B2"}


def test_the_employee_s_page_and_the_api_show_them(url: str, book: StaffBook) -> None:
    """Customers as a number: who they are is not for everybody."""
    with serving(url, parts={"staff": book}) as served:
        ref = served.console.pseudonyms.staff(ONE["user_id"])
        page = served.signed_in("analyst").get(f"/employees/{ref}").text
        told = served.with_token("analyst", "read").get(f"/employees/{ref}").json()

    assert all(words in page for words in ("T-1", "3 customers", "cover at another branch", "B7"))
    assert "c1" not in page.split("Leave, cover and approvals")[1].split("</section>")[0]
    assert [duty["kind"] for duty in told["duties"]] == ["cover", "approval", "leave", "approval"]


def test_without_tables_nothing_is_said_about_duties(shared: Served) -> None:
    """That there are none would be a lie where nobody has asked."""
    ref = shared.console.pseudonyms.staff(ONE["user_id"])

    assert "Leave, cover" not in shared.signed_in("analyst").get(f"/employees/{ref}").text


ROLES = {f"t{n}": "teller" for n in range(40)} | {f"l{n}": "loans" for n in range(10)}


def test_a_group_that_carries_far_more_is_named() -> None:
    """Ten people with half of the alerts of fifty, over a month."""
    alerts = {f"t{n}": 1 for n in range(10)} | {f"l{n}": 2 for n in range(10)} | {"robot": 500}

    assert far_more(alerts, {"role": ROLES}, 30) == [
        Burden("role", "loans", 10, 20, 300, pytest.approx(20 / 300 / (10 / 1200)))
    ]


@pytest.mark.parametrize(
    "alerts",
    [
        {},
        {"l1": 1},  # one alert proves nothing, even where nobody else has any
        {f"t{n}": 1 for n in range(40)} | {f"l{n}": 1 for n in range(10)},
        {f"t{n}": 4 for n in range(40)} | {f"l{n}": 7 for n in range(10)},
    ],
)
def test_a_group_that_is_a_little_above_is_not(alerts: dict[str, int]) -> None:
    """A warning that comes by chance is soon not read any more."""
    assert [b for b in far_more(alerts, {"role": ROLES}, 30) if (b.times or 99) < 3] == []


def test_a_group_beside_nobody_cannot_carry_more() -> None:
    """One role alone, and a group of hardly any days."""
    assert far_more({"a": 20}, {"role": {"a": "x", "b": "x"}}, 30) == []
    assert far_more({"a": 9}, {"role": {"a": "x", "b": "y"}}, 10) == []


def test_the_overview_warns_and_says_so_where_it_cannot(url: str, book: StaffBook) -> None:
    """By role and branch; only of people whom the reader may see; without tables, what to do."""
    people = {line["user_id"] for line in NEWEST.values()}
    roles = dict.fromkeys(people, "teller") | {f"quiet{n}": "loans" for n in range(400)}
    heavy = replace(book, roles=roles, branches=dict.fromkeys(roles, "B1"))
    with serving(url) as served:
        assert "--reference" in served.signed_in("analyst").get("/overview").text
    with serving(url, parts={"staff": heavy}) as served:
        page = served.signed_in("analyst").get("/overview").text
        told = served.with_token("analyst", "read").get("/overview").json()
        with served.console.store.writing() as db:
            here = frozenset({"B9"})
            elsewhere = NewAccount("away", "Away", Role.ANALYST, here, PASSWORD)
            save(db, elsewhere, wall_clock_ms())
        away = served.signed_in("away").get("/overview").text

    assert "100+ times as many as all others" in page
    assert [(b["kind"], b["group"], b["times"]) for b in told["burdens"]] == [
        ("role", "teller", None)
    ]
    assert "times as many" not in away


def test_who_is_mentioned_finds_the_comment_and_sees_it_once_as_new(served: Served) -> None:
    """A question to a colleague that nobody reads is not asked."""
    served.account("chen", Role.ANALYST)
    chen, analyst = served.signed_in("chen"), served.signed_in("analyst")
    path = f"/alerts/{ONE['alert_id']}"
    analyst.post(f"{path}/comments", data={"text": "@chen is this the <b>campaign</b>?"})
    queue, first, second = (chen.get(path).text for path in ("/", "/mentions", "/mentions"))
    told = served.with_token("chen", "read").get("/mentions").json()["rows"]

    assert "1 new mentions" in queue
    assert "@chen is this the &lt;b&gt;campaign&lt;/b&gt;?" in first
    assert f"{path}#triage" in first
    assert [">new<" in page for page in (first, second)] == [True, False]
    assert "new mentions" not in chen.get("/").text
    assert "Nobody has named you" in analyst.get("/mentions").text
    assert [row["alert_id"] for row in told] == [ONE["alert_id"]]


def test_a_mention_about_another_branch_is_not_shown(served: Served) -> None:
    """Nobody learns of an alert by being named in it."""
    served.account("away", Role.ANALYST, {"B9"})
    analyst, away = served.signed_in("analyst"), served.signed_in("away")
    analyst.post(f"/alerts/{ONE['alert_id']}/comments", data={"text": "@away look"})

    assert "@away look" not in away.get("/mentions").text
    assert "new mentions" not in away.get("/").text


def test_an_alert_tells_how_the_ones_before_it_were_judged_and_why(served: Served) -> None:
    """Who sees it for the third time need not ask again; hostile reasons are text."""
    lines = sorted(NEWEST.values(), key=lambda line: line["time"])
    pairs = [
        (old, new) for old in lines for new in lines
        if old["time"] < new["time"] and old["detector"] == new["detector"]
        and old["user_branch"] == new["user_branch"]
    ]  # fmt: skip
    old, new = pairs[0]
    program = served.with_token("analyst", "read", "triage")
    sent = {"row_version": 0, "verdict": "benign", "reason": "<i>spring campaign</i>"}
    program.post(f"/alerts/{old['alert_id']}/triage", json=sent)
    page = served.signed_in("analyst").get(f"/alerts/{new['alert_id']}").text

    assert "<small>&lt;i&gt;spring campaign&lt;/i&gt;</small>" in page
