"""Approvals and verdicts as events: what they explain and let in, and what they never do."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.analysis import read_events
from detector.compiled import opened
from detector.hosts.route import canonical_lines
from detector.scoring.approvals import is_approved
from detector.scoring.rows import rows_of
from detector.state import layout as s
from tests import naive
from tests.scenarios import BANK, HISTORY, HOME, TESTED, burst, day_worker
from tests.streams import (
    MONDAY,
    approval,
    batch_of,
    decode_lines,
    event,
    plan_of,
    run,
    verdict,
)
from tests.test_customers import DAY, approved, look, unexplained

is_approved = opened(is_approved)

PLAN = plan_of(None, BANK)
EARLIER, LATER = TESTED - timedelta(hours=1), TESTED + timedelta(hours=8)
IN_ORDER = ("customer_id", "record_branch", "ticket_id")


def in_time(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Bring events in order of time."""
    return sorted(events, key=lambda item: str(item["event_time"]))


def alert_days(events: list[dict[str, Any]]) -> list[str]:
    """Days on which an alert was raised, of events brought in order of time."""
    lines, _, _ = run(in_time(events), PLAN)
    return sorted({orjson.loads(line)["time"][:10] for line in lines})


# -- approvals

FOREIGN = burst(TESTED + timedelta(minutes=5), 24, 200.0, branch="B004")
VISIT = in_time([*day_worker(), *FOREIGN])


def test_approved_work_at_another_branch_is_quiet_and_the_same_without_is_not() -> None:
    """The approval came as an event of the person, an hour before."""
    given_in_time = approval(1, "u1", EARLIER, LATER, record_branch="B004")

    assert alert_days(VISIT) == [DAY.isoformat()]
    assert alert_days([*VISIT, given_in_time]) == []


def test_an_approval_as_an_event_does_what_one_of_the_table_does() -> None:
    """Two ways to say the same: not a byte of any alert differs, over all scores."""
    low, lowest = plan_of(0.2, BANK), approved(ticket_id="T", customers=("c-new",))
    events = [*day_worker()[: 30 * len(HISTORY)], look(), look(2, branch="B005"), *FOREIGN]
    told = [*events[: 30 * len(HISTORY)], approval(1, "u1", EARLIER, LATER, customer_id="c-new")]
    as_event, _, _ = run([*told, *events[30 * len(HISTORY) :]], low)
    as_table, _, _ = run(events, plan_of(0.2, lowest))

    assert as_event == as_table
    assert as_event != run(events, low)[0]


@pytest.mark.parametrize(
    ("given", "fields", "n"),
    [
        ({"customer_id": "c-new"}, {}, 0),
        ({"customer_id": "c-other"}, {}, 1),
        ({"record_branch": "B001"}, {}, 0),
        ({"record_branch": "B002"}, {}, 1),
        ({"customer_id": "c-new", "record_branch": "B001"}, {}, 0),
        ({"customer_id": "c-new", "record_branch": "B002"}, {}, 1),
        ({"ticket_id": "T-1"}, {}, 1),
        ({"ticket_id": "T-1"}, {"ticket_id": "T-1"}, 0),
        ({"ticket_id": "T-1"}, {"ticket_id": "T-2"}, 1),
        ({"ticket_id": "T-1", "customer_id": "c-new"}, {"ticket_id": "T-1"}, 0),
        ({"ticket_id": "T-1", "customer_id": "c-other"}, {"ticket_id": "T-1"}, 1),
        ({"customer_id": "c-new"}, {"ticket_id": "T-2"}, 0),
        ({"customer_id": "c-other"}, {"ticket_id": "T-2"}, 0),
    ],
)
def test_an_approval_explains_what_carries_all_it_names(
    given: dict[str, str], fields: dict[str, str], n: int
) -> None:
    """Once an approval has named a ticket, no other ticket of this person explains anything."""
    assert unexplained(approval(1, "u1", EARLIER, LATER, **given), look(**fields)) == n


@pytest.mark.parametrize(
    ("user", "since", "until", "n"),
    [
        ("u1", EARLIER, LATER, 0),
        ("u2", EARLIER, LATER, 1),
        ("u1", EARLIER, TESTED, 1),
        ("u1", TESTED + timedelta(minutes=1), LATER, 0),
        ("u1", TESTED + timedelta(minutes=2), LATER, 1),
        ("u1", EARLIER, TESTED + timedelta(minutes=1), 1),
    ],
)
def test_an_approval_holds_for_its_person_in_its_time(
    user: str, since: datetime, until: datetime, n: int
) -> None:
    """From the time of the event on, and up to the end, which no longer belongs to it."""
    assert unexplained(approval(1, user, since, until, customer_id="c-new"), look()) == n


def test_an_approval_that_comes_after_the_look_explains_the_next_one() -> None:
    """Its place in the order counts; a second look at the customer then takes the first back."""
    given_late = approval(1, "u1", EARLIER, LATER, customer_id="c-new")

    assert unexplained(look(), given_late) == 1
    assert unexplained(look(), given_late, look(2)) == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"until": LATER},
        {"until": EARLIER, "customer_id": "c-new"},
        {"until": "1970-01-01T00:00:00Z", "customer_id": "c-new"},
    ],
    ids=["names nothing", "ends when it begins", "ended in 1970"],
)
def test_an_approval_of_nothing_is_a_reject(fields: dict[str, Any]) -> None:
    """Without a scope it would hide everything its person does; without a time, nothing."""
    events = [approval(1, "u1", EARLIER, **fields), look()]
    _, steps, _ = run(events, PLAN)

    assert [(r.reason, r.field, r.where) for r in steps[0].rejects] == [
        ("approves_nothing", "valid_until", "test:1")
    ]
    assert unexplained(*events) == 1


def test_an_approval_that_was_already_over_reaches_nothing() -> None:
    """Nor does it take the room of one that holds."""
    over = MONDAY + timedelta(days=1)
    old = [approval(i, "u1", MONDAY, over, customer_id=f"c{i}") for i in range(9)]
    valid = approval(99, "u1", EARLIER, LATER, customer_id="c-new")
    history = day_worker()[: 30 * len(HISTORY)]
    _, steps, state = run([*history, *old, valid], plan_of(max_approvals_per_actor=2))

    assert state.tables.actors.ints[0, s.N_APPROVALS] == 1
    assert (steps[0].counts["approvals"], steps[0].counts["approval_limit"]) == (10, 0)


def test_ten_thousand_approvals_are_bounded_counted_and_forgotten_in_time() -> None:
    """Nobody is made invisible by sheer number; when they have run out there is room again."""
    day = timedelta(days=1)
    events = [approval(i, "u1", MONDAY, MONDAY + day, customer_id=f"c{i}") for i in range(10_000)]
    later = MONDAY + 3 * day
    events.append(event(1, "u1", later))
    events.append(approval(0, "u1", later, later + day, customer_id="c-new"))
    _, steps, state = run(events, PLAN, [10_000])

    assert steps[0].counts["approval_limit"] == 9_000
    assert state.tables.actors.ints[0, s.N_APPROVALS] == 1
    assert state.tables.counts[s.APPROVALS_TOP] == 1_000


@pytest.mark.uncompiled
@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(1, 20), *[st.sampled_from([None, "x", "y"])] * 3),
        max_size=12,
    ),
    st.lists(st.tuples(st.integers(0, 60), *[st.sampled_from([None, "x", "y"])] * 3), max_size=8),
    st.randoms(use_true_random=False),
)
def test_what_is_approved_equals_its_definition_whatever_comes_twice_or_out_of_order(
    given_: list[Any], looks: list[Any], shuffle: random.Random
) -> None:
    """An approval is a fact: a source that repeats itself, or reorders, changes nothing."""
    facts = [fact for fact in given_ if any(fact[2:])]
    held = {naive.Approval(since, since + length, *scope) for since, length, *scope in facts}
    said = [
        approval(i, "u", second(since), second(since + length), **named(scope))
        for i, (since, length, *scope) in enumerate([(0, 1, "z", "z", "z"), *facts, *facts])
    ]
    shuffle.shuffle(said)
    tables = run(said, PLAN)[2].tables
    accesses = [event(i, "u", second(t), **short(scope)) for i, (t, *scope) in enumerate(looks)]
    rows, me = rows_of(batch_of(accesses), PLAN), tables.actors.ints[0]
    got = [is_approved(tables.approvals, me, rows, row) for row in range(len(looks))]

    assert got == [any(one.covers(t, *scope) for one in held) for t, *scope in looks]
    assert me[s.N_APPROVALS] == len(held) + 1


@pytest.mark.uncompiled
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 40)), min_size=1, max_size=15))
def test_only_what_no_access_can_need_any_more_is_forgotten(steps: list[tuple[int, int]]) -> None:
    """Two hours after its end, the time a row may be late, by the clock of the accesses."""
    events, ends, hour = [], [], 0
    for number, (gap, length) in enumerate(steps):
        hour += gap
        now = MONDAY + timedelta(hours=hour)
        end = now + timedelta(hours=length)
        events.append(event(number, "u", now))
        events.append(approval(number, "u", now, end, customer_id=f"c{number}"))
        ends.append(hour + length)
    tables = run(events, PLAN)[2].tables
    held = [number for number, end in enumerate(ends) if end > hour - 2]
    looks = [event(number, "u", now, customer=f"c{number}") for number in range(len(steps))]
    rows, me = rows_of(batch_of(looks), PLAN), tables.actors.ints[0]
    got = [is_approved(tables.approvals, me, rows, row) for row in range(len(looks))]

    assert me[s.N_APPROVALS] == len(held)
    assert got == [end > hour for end in ends]


def second(n: int) -> datetime:
    """The n-th second of the Monday."""
    return MONDAY + timedelta(seconds=n)


def named(scope: list[str | None]) -> dict[str, str]:
    """The fields of a scope that are given."""
    return {name: text for name, text in zip(IN_ORDER, scope, strict=True) if text is not None}


def short(scope: list[str | None]) -> dict[str, str | None]:
    """The same for an access."""
    return {"customer": scope[0], "branch": scope[1], "ticket_id": scope[2]}


# -- both: no accesses


def test_statements_are_no_accesses() -> None:
    """They count nowhere, move no clock and start no baseline: all scores stay as they were."""
    plan = plan_of(0.2, BANK)
    lines, steps, _ = run(VISIT, plan)
    mixed: list[dict[str, Any]] = []
    for number, item in enumerate(VISIT):
        when = datetime.fromisoformat(item["event_time"])
        ahead, long_ago = when + timedelta(days=900), when - timedelta(days=900)
        if number % 40 == 0:
            mixed.append(approval(number, "u1", ahead, ahead + timedelta(days=1), customer_id="x"))
            mixed.append(approval(number, "u1", long_ago, when, customer_id="x"))
            mixed.append(verdict(number, "u1", long_ago, "benign"))
        mixed.append(item)
    other, with_them, _ = run(mixed, plan)
    kept = [i for i, item in enumerate(mixed) if item["event_id"][0] == "e"]

    assert other == lines
    np.testing.assert_array_equal(with_them[0].scores[kept], steps[0].scores)
    assert np.isnan(np.delete(with_them[0].scores, kept)).all()
    assert not with_them[0].rejects


def test_statements_about_somebody_nobody_has_seen_wait_for_them() -> None:
    """A new hire's approval may come before the first day; a verdict about nobody is harmless."""
    early = approval(1, "u9", MONDAY - timedelta(days=200), LATER, customer_id="c1")
    first = event(1, "u9", MONDAY, customer="c1", **HOME)
    _, steps, state = run([early, verdict(1, "ghost", MONDAY, "confirmed"), first], PLAN)
    me, ghost = state.tables.actors.ints[:2]

    assert steps[0].rejects == []
    assert (steps[0].counts["approvals"], steps[0].counts["verdicts"]) == (1, 1)
    assert (me[s.N_APPROVALS], me[s.FIRST_DAY] > 0, ghost[s.FIRST_DAY]) == (1, True, 0)
    assert not np.isnan(steps[0].scores[2])


def test_a_verdict_with_an_end_is_a_verdict() -> None:
    """One event says one thing."""
    both = {**approval(1, "u1", EARLIER, LATER, customer_id="c-new"), "verdict": "benign"}
    _, steps, _ = run([both], PLAN)

    assert (steps[0].counts["approvals"], steps[0].counts["verdicts"]) == (0, 1)
    assert unexplained(both, look()) == 1


def test_statements_survive_the_way_to_the_core() -> None:
    """Neither a route nor a data frame turns one into an access."""
    said = [
        approval(1, "u1", EARLIER, LATER, customer_id="c-new"),
        verdict(2, "u1", EARLIER, "benign"),
        look(),
    ]
    batch = batch_of(said)
    routed, rejects = decode_lines(canonical_lines(batch))
    frame = read_events(read_events(pd.DataFrame(said)))

    assert not rejects
    assert routed.valid_until_ns.tolist() == batch.valid_until_ns.tolist()
    assert frame["valid_until"].isna().tolist() == [False, True, True]
    assert frame["valid_until"][0] == pd.Timestamp(LATER)
    assert [routed.verdict.at(row) for row in range(3)] == [None, "benign", None]
    assert frame["verdict"].isna().tolist() == [True, False, True]
