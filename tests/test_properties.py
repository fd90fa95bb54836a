"""A score is a function of its actor's own events in arrival order and of frozen artifacts."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.customers import Approval, Customers
from detector.detections import DETECTORS
from detector.engine import new_state, restore_state, step
from detector.reference import Branch, Cover, Reference, Staff
from detector.state.snapshot import dump, load
from tests.golden.regenerate import second_act
from tests.streams import MONDAY, approval, batch_of, event, plan_of, run, verdict

DAY = MONDAY.date()
KNOWN = Reference(
    staff=Staff(
        user_ids=("u0", "u1", "u2"),
        roles=("teller", None, "teller"),
        branches=("B1", None, "B2"),
        account_types=("person", None, "service"),
        left=(None, DAY + timedelta(days=3), None),
        leave=(((DAY, DAY), (DAY + timedelta(days=2), DAY + timedelta(days=20))), (), ()),
    ),
    branches=(Branch("B1", "north"), Branch("B2", "north", "Europe/Amsterdam", "NL")),
    cover=(Cover("u1", "B3", DAY, DAY + timedelta(days=5)),),
    customers=Customers(sensitive=("c1", "c4", "c9"), own=(("u0", "c2"), ("u3", "c5"))),
    approvals=(
        Approval("T1", None, (), None, DAY, DAY + timedelta(days=2)),
        Approval("T2", "u0", ("c3",), None, None, None),
        Approval("T3", "u1", (), "B2", DAY + timedelta(days=1), None),
    ),
)
EVERYTHING = plan_of(min_score=0.2, reference=KNOWN)  # nearly every day gives alerts to compare
RARELY = {
    "device_id": ("PC-1", "PC-2", "PC-3"),
    "source_ip": ("10.1.1.5", "10.1.1.9", "172.16.1.1"),
    "system": ("core", "crm", "hr"),
    "channel": ("branch", "api"),
    "data_class": ("C1", "C2", "C3"),
    "outcome": ("success", "denied"),
    "ticket_id": ("T1", "T2", "T9"),
    "purpose": ("call",),
}
ACTIONS = ("read", "read", "read", "update", "list", "export")


@st.composite
def streams(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Some people over some days: bursts, late and double rows, gaps, other branches.

    Devices, tickets, refusals and the like come and go; some walk through customer numbers.
    Between them come approvals and verdicts.
    """
    events: list[dict[str, Any]] = []
    clock = MONDAY
    gaps = st.sampled_from([0, 1, 20, 300, 1_900, 4_000, 30_000, 90_000, 400_000])
    for number in range(draw(st.integers(1, 60))):
        clock += timedelta(seconds=draw(gaps))
        late = timedelta(seconds=draw(st.sampled_from([0, 0, 0, 0, 600, 5_000, 9_000, 90_000])))
        if draw(st.integers(0, 5)) == 0:
            events.append(draw(statements(number, clock - late)))
            continue
        shape = draw(st.integers(0, 9))
        extra = {
            name: draw(st.sampled_from(values))
            for name, values in RARELY.items()
            if draw(st.integers(0, 3)) == 0
        }
        customer = f"c{number}" if shape > 6 else f"c{draw(st.integers(0, 12))}"
        events.append(
            event(
                draw(st.integers(0, number)) if shape == 0 else number,
                f"u{draw(st.integers(0, 3))}",
                clock - late,
                customer=None if shape == 1 else customer,
                branch=f"B{draw(st.integers(1, 3))}",
                home=None if shape == 2 else "B1",
                action=draw(st.sampled_from(ACTIONS)),
                records=draw(st.sampled_from([1, 1, 1, 5, 99, 400])),
                **extra,
            )
        )
    return events


@st.composite
def statements(draw: st.DrawFn, number: int, when: datetime) -> dict[str, Any]:
    """A verdict, or an approval: of much or little, for long, short or no time at all."""
    user, word = f"u{draw(st.integers(0, 3))}", draw(st.sampled_from(["benign", "confirmed", ""]))
    if word:
        return verdict(number, user, when, word)
    scope = {
        "customer_id": draw(st.sampled_from([None, "c1", "c2", "c3"])),
        "record_branch": draw(st.sampled_from([None, None, "B2", "B3"])),
        "ticket_id": draw(st.sampled_from([None, None, None, "T1", "T9"])),
    }
    hours = draw(st.sampled_from([-1, 1, 30, 500]))
    return approval(number, user, when, when + timedelta(hours=hours), **scope)


def by_user(lines: list[bytes]) -> dict[bytes, list[bytes]]:
    """Group alert lines by person, in order."""
    groups: dict[bytes, list[bytes]] = {}
    for line in lines:
        groups.setdefault(line.split(b'"user_id":"')[1].split(b'"')[0], []).append(line)
    return groups


@pytest.mark.uncompiled
@given(streams(), st.lists(st.integers(0, 60), max_size=8))
def test_alerts_do_not_depend_on_where_a_batch_ends(
    events: list[dict[str, Any]], cuts: list[int]
) -> None:
    """Kafka decides where a batch ends; it must not decide who is suspicious."""
    whole, _, _ = run(events, EVERYTHING)
    cut, _, _ = run(events, EVERYTHING, cuts)

    assert cut == whole


@given(streams(), st.randoms(use_true_random=False))
def test_alerts_do_not_depend_on_how_actors_interleave(
    events: list[dict[str, Any]], random: Any
) -> None:
    """Any interleaving that keeps each actor's own order gives each actor the same alerts."""
    queues: dict[str, list[dict[str, Any]]] = {}
    for item in events:
        queues.setdefault(item["user_id"], []).append(item)
    shuffled = []
    while queues:
        user = random.choice(sorted(queues))
        shuffled.append(queues[user].pop(0))
        queues = {name: rest for name, rest in queues.items() if rest}

    assert by_user(run(shuffled, EVERYTHING)[0]) == by_user(run(events, EVERYTHING)[0])


@given(streams())
def test_each_actor_alone_gives_the_same_alerts(events: list[dict[str, Any]]) -> None:
    """Partitions may be split down to one actor each."""
    whole = by_user(run(events, EVERYTHING)[0])
    alone = {}
    for user in {item["user_id"] for item in events}:
        alone |= by_user(run([item for item in events if item["user_id"] == user], EVERYTHING)[0])

    assert alone == whole


@pytest.mark.uncompiled
@given(streams(), st.integers(0, 60))
def test_a_snapshot_at_any_point_changes_nothing(events: list[dict[str, Any]], at: int) -> None:
    """Recovery is replay from a snapshot: the same bits must follow."""
    at %= len(events) + 1
    whole, _, _ = run(events, EVERYTHING)
    before = step(new_state(EVERYTHING), batch_of(events[:at]), EVERYTHING)
    arrays, meta = load(dump(before.state.arrays(), before.state.meta()))
    restored = restore_state(EVERYTHING, arrays, meta)
    after = step(restored, batch_of(events[at:], at + 1), EVERYTHING)

    assert [a.to_json_line() for a in (*before.alerts, *after.alerts)] == whole


@given(streams(), st.integers(1, 59))
def test_the_future_does_not_leak_into_the_past(events: list[dict[str, Any]], at: int) -> None:
    """What has been said about the first events does not depend on the later ones."""
    at %= len(events) + 1
    _, steps, _ = run(events, EVERYTHING)
    _, past, _ = run(events[:at], EVERYTHING)

    np.testing.assert_array_equal(
        past[0].scores if at else np.zeros(0), steps[0].scores[:at] if events else np.zeros(0)
    )


def test_a_planted_leak_of_the_future_is_found() -> None:
    """The check above must be able to fail: sorting a batch by time is such a leak."""
    events = [
        event(i, "u0", MONDAY + timedelta(minutes=60 - i), action="export", records=300)
        for i in range(30)
    ]
    honest = run(events, EVERYTHING)[1][0].scores
    ordered = sorted(events, key=lambda item: item["event_time"])
    leaking = run(ordered, EVERYTHING)[1][0].scores[::-1]

    assert honest.max() > 1.0
    assert not np.array_equal(honest, leaking)


def test_growing_tables_change_nothing() -> None:
    """The tables outgrow their first size here; alone, most people need no growth at all."""
    events = everything_at_once()
    lines, _, state = run(events, EVERYTHING, [700, 1_500])
    whole, alone = by_user(lines), {}
    for user in {item["user_id"] for item in events}:
        alone |= by_user(run([item for item in events if item["user_id"] == user], EVERYTHING)[0])

    assert state.tables.customers.key.size > new_state(EVERYTHING).tables.customers.key.size
    assert alone == whole


@given(streams())
def test_other_people_do_not_change_a_score(events: list[dict[str, Any]]) -> None:
    """The score of each row of u0 is the same with and without everybody else."""
    mine = [i for i, item in enumerate(events) if item["user_id"] == "u0"]
    together = run(events, EVERYTHING)[1][0].scores[mine]
    alone = [s.scores for s in run([events[i] for i in mine], EVERYTHING)[1]]

    np.testing.assert_array_equal(np.concatenate([*alone, np.zeros(0)]), together)


def everything_at_once() -> list[dict[str, Any]]:
    """Five people around the clock for two weeks, and the second act of the golden story."""
    busy = [
        event(
            i,
            f"u{i * 7 % 5}",
            MONDAY + timedelta(seconds=1_000 * i - (4_000 if i % 31 == 0 else 0)),
            customer=f"c{i // 5 if i % 400 > 300 else i * i % 211}",
            branch=f"B{1 + (i % 17 == 0)}",
            action="list" if i % 9 == 0 else "update" if i % 11 == 0 else "read",
            records=99 if i % 9 == 0 else 1,
            device_id=f"PC-{i % 5}-{(i // 100) % 3 if i % 700 > 500 else 0}",
            source_ip=f"10.{i % 5}.0.{i % 200}",
            system="hr" if 1_200 < i < 1_250 else "core",
            data_class="C3" if i % 40 == 7 else "C2",
            outcome="denied" if i % 50 == 3 else "success",
            ticket_id="T1" if i % 3 == 0 else None,
        )
        for i in range(1_300)
    ]
    for i in range(40, 1_300, 60):
        user, when = f"u{i % 5}", MONDAY + timedelta(seconds=1_000 * i)
        until = when + timedelta(hours=i % 50)
        busy.append(verdict(i, user, when, "benign" if i % 3 else "confirmed"))
        busy.append(approval(i, user, when, until, record_branch="B2"))
        busy.append(approval(-i, user, when, until, customer_id=f"c{i % 211}"))
        busy.append(approval(9_000 + i, "u4", when, until, ticket_id="T1"))
    busy.sort(key=lambda item: str(item["event_time"]))
    return [*busy, *second_act()]


def test_every_detector_speaks_where_the_compiler_is_compared() -> None:
    """What says nothing there is compared with nothing."""
    lines, _, _ = run(everything_at_once(), EVERYTHING)
    said = {
        part["detector"]
        for line in lines
        for part in orjson.loads(line)["contributions"]
        if part["surprise"] > 0.0
    }

    assert said == set(DETECTORS)


_DIGEST = """
import hashlib, sys
sys.path.insert(0, {root!r})
from tests.streams import run
from tests.test_properties import EVERYTHING, everything_at_once
lines, steps, _ = run(everything_at_once(), EVERYTHING)
scores = b"".join(s.scores.tobytes() for s in steps)
print(len(lines), hashlib.sha256(b"".join(lines) + scores).hexdigest())
"""


def test_the_compiler_changes_no_bit() -> None:
    """Compiled and interpreted, the same stream gives the same scores and alerts."""
    code = _DIGEST.format(root=str(Path(__file__).parents[1]))
    outputs = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "NUMBA_DISABLE_JIT": off},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for off in ("0", "1")
    ]

    assert outputs[0] == outputs[1]
    assert int(outputs[0].split()[0]) > 20
