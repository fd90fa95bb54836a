"""Customers, approvals and leave: what the tables say, and which accesses they explain."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from detector.customers import Approval
from detector.reference import Cover, Reference, load_reference
from detector.state.layout import COUNTS, CUSTOMERS_1D, FOREIGN, UNEXPLAINED
from tests.scenarios import BANK, HISTORY, HOME, TESTED, day_worker
from tests.streams import event, open_days, plan_of, run
from tests.test_reference import refusal, write

BAD_CELLS = {
    "customer without an id": (
        "customers", "customer_id,vip\n,1\n", "row 2 column customer_id", "is empty",
    ),
    "neither true nor false": (
        "customers", "customer_id,vip\nc1,maybe\n", "row 2 column vip", "Write 1 or 0",
    ),
    "ticket without an id": (
        "approvals", "ticket_id,user_id\n,u1\n", "row 2 column ticket_id", "is empty",
    ),
    "approval that ends before it begins": (
        "approvals", "ticket_id,valid_from,valid_to\nT1,2026-03-06,2026-03-02\n",
        "row 2 column valid_from", "Swap",
    ),
    "approval until a day that does not exist": (
        "approvals", "ticket_id,valid_to\nT1,2026-02-30\n", "row 2 column valid_to", "YYYY-MM-DD",
    ),
    "day of leaving": ("staff", "user_id,left\nu1,soon\n", "row 2 column left", "YYYY-MM-DD"),
    "leave that is no period": (
        "staff", "user_id,leave\nu1,2026-03-02 to 2026-03-05\n", "row 2 column leave",
        "separated by ;",
    ),
    "leave that ends before it begins": (
        "staff", "user_id,leave\nu1,2026-03-01;2026-03-05/2026-03-02\n", "row 2 column leave",
        "Swap",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_CELLS)
def test_a_wrong_cell_is_named_by_file_row_and_column(tmp_path: Path, case: str) -> None:
    """Whoever exported the table must find the cell without us."""
    table, content, where, what = BAD_CELLS[case]
    message = refusal(write(tmp_path, **{table: content}))

    assert f"{table}.csv {where}: " in message
    assert what in message


def test_periods_of_leave_may_stand_apart_and_be_single_days(tmp_path: Path) -> None:
    """Blanks and a closing semicolon come from spreadsheets; a list may be long."""
    many = ";".join(f"2026-{month:02d}-{day:02d}" for month in (1, 2, 3) for day in range(1, 21))
    content = f"user_id,leave\nu1, 2026-03-02 / 2026-03-05 ; 2026-05-01; \nu2,{many}\nu3,\n"
    got = load_reference(write(tmp_path, staff=content)).staff.leave

    assert got[0] == (
        (date(2026, 3, 2), date(2026, 3, 5)),
        (date(2026, 5, 1), date(2026, 5, 1)),
    )
    assert [len(periods) for periods in got] == [2, 60, 0]


@pytest.mark.parametrize(
    "content",
    [
        "customer_id,flags\nc1,vip\nc2,\nc3,deceased;honeytoken\nc4,closed\n",
        'customer_id,flags\nc1,"VIP,PEP"\nc2,\nc3,young|Employee\nc4,closed vi p\n',
        "customer_id,flags\nc1, vip ; \nc2,;\nc3,new staff\nc4,vips\n",
        "customer_id,vip,employee,honeytoken\nc1,1,0,0\nc2,0,,no\nc3,N,yes,\nc4,,,\n",
        "customer_id,vip,pep\nc1,true,\nc2,false,0\nc3,,X\nc4,0,n\n",
        "customer_id,vip,flags\nc1,是,\nc2,否,\nc3,,vip\nc4,,\n",
    ],
)
def test_flags_are_words_of_one_column_or_a_column_each(tmp_path: Path, content: str) -> None:
    """Every directory writes them in its own way; what is no flag of ours means nothing."""
    got = load_reference(write(tmp_path, customers=content)).customers

    assert got.sensitive == ("c1", "c3")


@pytest.mark.parametrize("column", ["user_id", "employee_user_id"])
def test_own_records_are_those_of_the_person_and_the_household(tmp_path: Path, column: str) -> None:
    """Husband, daughter and the own account; not the neighbour, nor everybody without a home."""
    content = f"customer_id,{column},household\nc1,u1,h1\nc2,,h1\nc3,u2,h1\nc4,,h2\nc5,u3,\nc6,,\n"
    got = load_reference(write(tmp_path, customers=content)).customers

    assert sorted(got.own) == [
        ("u1", "c1"), ("u1", "c2"), ("u1", "c3"),
        ("u2", "c1"), ("u2", "c2"), ("u2", "c3"), ("u3", "c5"),
    ]  # fmt: skip


def test_an_approval_names_customers_as_a_list_or_one_by_one(tmp_path: Path) -> None:
    """A list may be longer than a name; one id is taken as it stands."""
    many = ";".join(f"c{i}" for i in range(500))
    content = f"ticket_id,customers,customer_id\nT1,{many},\nT2,c1; c2|c1,c3\nT3,,No 7\nT4,,\n"
    got = load_reference(write(tmp_path, approvals=content)).approvals

    assert len(got[0].customers) == 500
    assert [approval.customers for approval in got[1:]] == [("c1", "c2", "c3"), ("No 7",), ()]


# -- which accesses are explained

DAY = TESTED.date()
APPROVED = Approval("T-1", "u1", (), None, None, None)


def approved(**fields: Any) -> Reference:
    """The bank, and one approval."""
    return replace(BANK, approvals=(replace(APPROVED, **fields),))


def unexplained(*events: dict[str, Any], reference: Reference = BANK) -> int:
    """Customers without a business reason on the day after three ordinary weeks."""
    _, _, state = run([*day_worker()[: 30 * len(HISTORY)], *events], plan_of(None, reference))
    day, _ = open_days(state)
    return int(day[day[:, 0].argmax(), COUNTS + UNEXPLAINED])


def look(number: int = 1, customer: str = "c-new", **fields: Any) -> dict[str, Any]:
    """One access of u1 to a customer never seen before."""
    when = TESTED + timedelta(minutes=number)
    return event(90_000 + number, "u1", when, customer=customer, **{**HOME, **fields})


@pytest.mark.parametrize(
    ("fields", "n"),
    [
        ({}, 1),
        ({"purpose": "customer call"}, 1),
        ({"ticket_id": "T-9"}, 0),
        ({"action": "update"}, 0),
        ({"action": "list"}, 1),
        ({"customer": None}, 0),
    ],
)
def test_a_ticket_or_business_explains_a_look_and_a_purpose_does_not(
    fields: dict[str, Any], n: int
) -> None:
    """Whoever looks can also state a purpose; a ticket is somebody else's record."""
    assert unexplained(look(**fields)) == n


@pytest.mark.parametrize(
    ("fields", "n"),
    [
        ({}, 0),
        ({"user_id": None}, 0),
        ({"user_id": "u2"}, 1),
        ({"first_day": DAY, "last_day": DAY}, 0),
        ({"last_day": DAY - timedelta(days=2)}, 1),
        ({"first_day": DAY + timedelta(days=2)}, 1),
        ({"ticket_id": "another"}, 0),
    ],
)
def test_a_listed_ticket_explains_only_its_owner_in_its_time(
    fields: dict[str, Any], n: int
) -> None:
    """A ticket that nobody listed is a case of another system and taken for good."""
    assert unexplained(look(ticket_id="T-1"), reference=approved(**fields)) == n


@pytest.mark.parametrize(
    ("fields", "n"),
    [
        ({}, 1),
        ({"customers": ("c-new",)}, 0),
        ({"customers": ("c-other", "c-new")}, 0),
        ({"customers": ("c-other",)}, 1),
        ({"customers": ("c-new",), "user_id": "u2"}, 1),
        ({"customers": ("c-new",), "user_id": None}, 1),
        ({"customers": ("c-new",), "last_day": DAY - timedelta(days=2)}, 1),
        ({"branch": "B001"}, 0),
        ({"branch": "B002"}, 1),
        ({"branch": "B001", "customers": ("c-other",)}, 1),
    ],
)
def test_an_approved_customer_or_branch_needs_no_ticket_in_the_event(
    fields: dict[str, Any], n: int
) -> None:
    """Many systems do not log tickets: the table itself says who may look at whom."""
    assert unexplained(look(), reference=approved(**fields)) == n


def test_cover_duty_explains_the_customers_of_its_branch() -> None:
    """On its days, and no other branch."""
    duty = replace(BANK, cover=(Cover("u1", "B005", DAY, DAY),))
    events = [look(1, "c-a", branch="B005"), look(2, "c-b", branch="B004")]

    assert unexplained(*events, reference=duty) == 1


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_who_is_served_has_been_looked_at_for_a_reason(order: tuple[int, int]) -> None:
    """First the screen, then the business: the reason takes back what was counted."""
    events = [look(1), look(2, action="update")]

    assert unexplained(*(events[i] for i in order)) == 0


def test_a_reason_takes_back_a_foreign_customer_too() -> None:
    """A customer on a journey who is served at the counter is no curiosity."""
    events = [look(1, branch="B005"), look(2, branch="B005", action="update")]
    _, _, state = run([*day_worker()[: 30 * len(HISTORY)], *events], plan_of(None, BANK))
    day, _ = open_days(state)
    counts = day[day[:, 0].argmax(), COUNTS:]

    assert (counts[CUSTOMERS_1D], counts[FOREIGN], counts[UNEXPLAINED]) == (1, 0, 0)


def test_a_customer_seen_before_needs_no_reason_again() -> None:
    """`unexplained` asks about customers that are new to a person."""
    known = day_worker()[0]["customer_id"]

    assert unexplained(look(customer=known)) == 0


def test_reasons_hold_on_the_local_day_in_every_zone() -> None:
    """An approval of one day is half a day wider on both sides, and no more."""
    midnight = datetime(DAY.year, DAY.month, DAY.day, tzinfo=UTC)
    reference = approved(first_day=DAY, last_day=DAY)
    found = [
        unexplained(
            {**look(ticket_id="T-1"), "event_time": (midnight + timedelta(hours=h)).isoformat()},
            reference=reference,
        )
        for h in (-13, -11, 0, 12, 23, 35, 37)
    ]

    assert found == [1, 0, 0, 0, 0, 0, 1]
