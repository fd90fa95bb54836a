"""Verdicts as events: what they let become usual, what they keep out, and for how long."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.compiled import opened
from detector.scoring.rows import rows_of
from detector.scoring.verdicts import CONFIRMED, note_verdict, teaching_weight
from detector.state import layout as s
from tests import naive
from tests.scenarios import HISTORY, HOME, TESTED, burst, day_worker
from tests.streams import batch_of, event, run, usual_work, verdict, weekdays
from tests.test_statements import EARLIER, PLAN, alert_days

note_verdict, teaching_weight = opened(note_verdict), opened(teaching_weight)

DEVICE = s.FIELDS.index("device")
ROUTINE = weekdays(60)[20:]


def new_routine(*said: dict[str, Any], n: int = 90) -> list[str]:
    """Days with an alert, of a month as always and then eight weeks with far more to do."""
    events = usual_work("u1", weekdays(60), **HOME)
    for number, day in enumerate(ROUTINE):
        first = 700_000 + 1_000 * number
        events += [
            event(first + i, "u1", day + timedelta(seconds=3_600 + 8 * i), **HOME) for i in range(n)
        ]
    return alert_days([*events, *said])


def test_a_benign_verdict_lets_a_new_routine_in_and_a_confirmed_one_keeps_it_out() -> None:
    """Without a verdict alerts go on for two weeks; with one they end in days, or never."""
    morning = ROUTINE[1] - timedelta(hours=1)
    without = new_routine()
    let_in = new_routine(verdict(1, "u1", morning, "benign"))
    kept_out = new_routine(verdict(1, "u1", morning, "confirmed"))

    assert len(let_in) <= 2
    assert len(without) >= 8
    assert len(kept_out) >= 30
    assert kept_out[-1] == ROUTINE[-1].date().isoformat()


def test_the_newest_verdict_holds_whatever_comes_twice_or_late() -> None:
    """A source may repeat itself, and two analysts may disagree."""
    said = [
        verdict(1, "u1", ROUTINE[1] - timedelta(hours=3), "benign"),
        verdict(2, "u1", ROUTINE[1] - timedelta(hours=2), "confirmed"),
    ]
    late = {**said[0], "event_id": "again"}
    day_after = usual_work("u1", ROUTINE[1:3], per_day=3, **HOME)
    _, _, state = run([*said, late, *day_after], PLAN)
    back = verdict(3, "u1", ROUTINE[1] - timedelta(hours=1), "benign")

    assert state.tables.actors.ints[0, s.VERDICT] == CONFIRMED
    assert new_routine(*said, back) == new_routine(said[0])


def test_a_benign_verdict_runs_out() -> None:
    """What begins long after it has to be judged anew: as if nobody had said anything."""
    in_time, before = (
        verdict(1, "u1", ROUTINE[0] - timedelta(days=days), "benign") for days in (20, 31)
    )

    assert new_routine(before) == new_routine()
    assert len(new_routine(in_time)) < len(new_routine())


@pytest.mark.uncompiled
@given(
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["benign", "confirmed"])), max_size=6),
    st.integers(0, 20),
    st.booleans(),
)
def test_what_a_day_teaches_equals_its_definition(
    said: list[tuple[int, str]], day: int, flagged: bool
) -> None:
    """Local days from 100 on; a verdict's time in hours since the first, two to a day."""
    me = np.zeros(s.N_INTS, dtype=np.int64)
    for time, word in said:
        note_verdict(me, 1 + time, 100 + time // 2, word == "confirmed", 7)
    facts = [(1 + time, 100 + time // 2, word) for time, word in said]

    assert teaching_weight(me, 100 + day, flagged, 0.25) == naive.day_teaches(
        facts, 100 + day, flagged, 7, 0.25
    )


def test_a_confirmed_day_leaves_nothing_but_its_memory() -> None:
    """What is usual is the same as if the day had not been; what it said stays known."""
    history = day_worker()[: 30 * len(HISTORY)]
    said = verdict(1, "u1", EARLIER, "confirmed")
    bulk = burst(TESTED, 200, 10.0, device_id="PC-9", branch="B004")
    closes = [event(1, "u1", TESTED + timedelta(days=1), **HOME)]
    _, _, with_day = run([*history, said, *bulk, *closes], PLAN)
    _, _, without = run([*history, said, *closes], PLAN)
    known = slice(s.KNOWN, s.KNOWN + s.N_DETECTORS)
    usual, unmoved = (
        np.delete(state.tables.actors.baseline[0], known) for state in (with_day, without)
    )

    np.testing.assert_array_equal(usual, unmoved)
    np.testing.assert_array_equal(with_day.tables.actors.hours[0], without.tables.actors.hours[0])
    assert with_day.tables.actors.baseline[0, known].max() > 1.0


def test_values_and_branches_of_a_confirmed_day_stay_strange() -> None:
    """They are folded in when they come again, days later: with the weight of their day."""
    history = day_worker()[: 30 * len(HISTORY)]
    bulk = burst(TESTED, 200, 10.0, device_id="PC-9", branch="B004")
    again = burst(TESTED + timedelta(days=7), 1, 1.0, device_id="PC-9", branch="B004")
    between = usual_work("u1", [TESTED + timedelta(days=1)], 3, 800_000, **HOME)

    def folded(*said: dict[str, Any]) -> list[float]:
        tables = run([*history, *said, *bulk, *between, *again], PLAN)[2].tables
        values = tables.values
        device = values.key == rows_of(batch_of(again), PLAN).value_pair[0, DEVICE]
        return [float(tables.branches.visits.sum()), float(values.uses[device].sum())]

    assert folded(verdict(1, "u1", EARLIER, "confirmed")) == [0.0, 0.0]
    assert min(folded()) > 0.2
