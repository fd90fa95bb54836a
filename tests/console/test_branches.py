"""Who is responsible for some branches sees those and nothing of the others."""

from __future__ import annotations

import pytest

from detector.console.roles import Role
from tests.console.conftest import GOLDEN, NEWEST, Served

OURS, THEIRS = (
    [line for line in NEWEST.values() if line["user_branch"] == branch] for branch in ("B1", "B2")
)


@pytest.fixture
def of_b1(shared: Served) -> str:
    """A manager of branch B1."""
    return shared.account("manager-b1", Role.MANAGER, {"B1"})


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""), ("GET", "/pack"), ("GET", "/pack.pdf"), ("POST", "/comments"),
        ("POST", "/triage"), ("POST", "/questions"), ("POST", "/unmask"), ("POST", "/suppressions"),
        ("GET", "/suppressions/preview"),
    ],
)  # fmt: skip
def test_an_alert_of_another_branch_is_not_there(
    shared: Served, of_b1: str, method: str, path: str
) -> None:
    """By its id, whatever is tried: the same answer as for one that does not exist."""
    browser = shared.signed_in(of_b1)
    sent = {"text": "x", "question": "x", "reason": "x", "row_version": "0", "status": "closed"}
    data = sent if method == "POST" else None
    codes = [
        browser.request(method, f"/alerts/{alert_id}{path}", data=data).status_code
        for alert_id in (THEIRS[0]["alert_id"], "0" * 32)
    ]

    assert codes == [404, 404]


def test_lists_figures_and_files_hold_the_own_branches_only(shared: Served, of_b1: str) -> None:
    """Queue, CSV, overview, API: nothing tells that the other alerts exist."""
    browser, program = shared.signed_in(of_b1), shared.with_token(of_b1, "read")
    foreign = {line["alert_id"] for line in THEIRS}
    listed = program.get("/alerts", params={"view": "all"}).json()["alerts"]
    arrived = program.get("/arrivals", params={"limit": 500}).json()["rows"]

    assert {row["alert_id"] for row in listed} == {line["alert_id"] for line in OURS}
    assert not {row["alert_id"] for row in arrived} & foreign
    for path in ("/?view=all", "/alerts.csv?view=all", "/overview"):
        page = browser.get(path).text
        assert "B2" not in page, path
        assert not [alert_id for alert_id in foreign if alert_id in page], path


def test_a_person_of_another_branch_cannot_be_looked_up(shared: Served, of_b1: str) -> None:
    """A pseudonym that somebody noted down opens nothing."""
    names = shared.console.pseudonyms
    known = [f"/employees/{names.staff(lines[0]['user_id'])}" for lines in (OURS, THEIRS)]
    codes = [shared.signed_in(of_b1).get(path).status_code for path in known]

    assert codes == [200, 404]


def test_a_rule_may_not_reach_beyond_the_own_branches(shared: Served, of_b1: str) -> None:
    """A manager of one branch would hide alerts of all."""
    program = shared.with_token(of_b1, "triage")
    path = f"/alerts/{OURS[0]['alert_id']}/suppressions"
    answer = program.post(path, json={"reason": "campaign", "by_branch": False})

    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "scope_beyond_branches"


def test_the_golden_alerts_have_both_branches() -> None:
    """Else the tests above would hold of an empty list."""
    assert len(OURS) > 5
    assert len(THEIRS) >= 1
    assert len(GOLDEN) > len(NEWEST)
