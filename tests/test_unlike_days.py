"""Days on which somebody else works under a person's name, and what they teach: nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pytest

from detector.artifacts import Artifact
from detector.columns import EventBatch
from detector.fitting import fit
from detector.fitting.history import run_history
from detector.hashing import hash_strings
from detector.plan import Plan, build_plan
from detector.policy import load_policy
from detector.quality.batches import cut
from detector.quality.masquerade import Crowd, crowd, hits
from detector.reference import Reference
from detector.state.layout import DAY, RAW
from tests.streams import MONDAY, batch_of, event, weekdays

FITTED_DAYS, ROWS_A_DAY = 20, 60
UNFAMILIAR = RAW + 3


def day_of(person: int, as_user: str, day: int, at: int) -> list[dict[str, object]]:
    """A day of a person's tasks under some account: five tasks, the first the most frequent."""
    rng = np.random.default_rng([person, at])
    tasks = np.minimum(rng.geometric(0.5, ROWS_A_DAY), 5)
    start = weekdays(60)[day]
    return [
        event(
            at * 1_000_000 + person * 10_000 + i, as_user,
            MONDAY.replace(year=start.year, month=start.month, day=start.day)
            + timedelta(minutes=5 * i),
            action=f"task-{person}-{task}",
        )
        for i, task in enumerate(tasks.tolist())
    ]  # fmt: skip


def stream(who: Sequence[int]) -> EventBatch:
    """Four people at work; account u0 is used by ``who[day]`` on each day after the history."""
    n_days = FITTED_DAYS + len(who)
    rows = []
    for day in range(n_days):
        for user in range(4):
            person = who[day - FITTED_DAYS] if user == 0 and day >= FITTED_DAYS else user
            rows += day_of(person, f"u{user}", day, day * 10 + user)
    return batch_of(sorted(rows, key=lambda row: str(row["event_time"])))


@pytest.fixture(scope="module")
def plan() -> Plan:
    """Fitted on a month in which everybody did their own work."""
    policy = load_policy(None)
    arrays, manifest = fit(lambda: iter(cut(stream([]))), policy, Reference())
    return build_plan(policy, Artifact(arrays, manifest, "test"), Reference(), keep_ledger=True)


def surprises(plan: Plan, who: Sequence[int]) -> list[float]:
    """Raw scores of unfamiliar for account u0, day by day after the history."""
    history = run_history(cut(stream(who)), plan)
    mine = history.user == hash_strings(["u0"])[0]
    order = np.argsort(history.day[mine, DAY])
    scores: list[float] = history.surprise[mine, UNFAMILIAR][order][FITTED_DAYS:].tolist()
    return scores


def test_an_intruder_who_comes_back_is_as_surprising_as_on_the_first_day(plan: Plan) -> None:
    """The profile of the owner is not bent by what the intruder did."""
    own, first, second, third = surprises(plan, [0, 1, 1, 1])

    assert own < 1.0
    assert first > 10.0
    assert second > 0.9 * first
    assert third > 0.9 * first


def test_the_owner_looks_like_the_owner_after_an_intruder_has_left(plan: Plan) -> None:
    """What does not teach does not make the owner's own work strange."""
    *_, back = surprises(plan, [0, 1, 1, 0])

    assert back < 1.0


def test_new_work_is_the_new_normal_after_two_working_weeks(plan: Plan) -> None:
    """Somebody who has changed jobs is not unlike for ever."""
    days = surprises(plan, [1] * 16)

    assert min(days[:11]) > 0.8 * days[0]
    assert days[-1] < 0.2 * days[0]


def test_a_crowd_that_changes_its_ways_does_not_hide_the_masquerader() -> None:
    """Half the days of others are found where one of the owner's in seventy-seven is flagged."""
    people: Crowd = crowd(1, n_people=20)
    found = hits(people, load_policy(None), false_alarms=0.013)

    assert found.score > 0.35
    assert found.unfamiliar > 0.5
