"""Alerts: ids that last, versions that mean something, samples of the right events."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.alerts import Episodes, alert_id, iso_time
from detector.artifacts import Artifact
from detector.errors import SnapshotError
from detector.plan import build_plan
from detector.reference import Reference
from tests.detections import DETECTION, POLICY, raised
from tests.streams import event, plan_of, run, usual_work, weekdays

*HISTORY, TESTED = weekdays(16)
PLAN = plan_of()


def bad_day(n: int = 300, gap_s: int = 60, **fields: Any) -> list[dict[str, Any]]:
    """Three ordinary weeks of a teller, then a day on which ``n`` customers are read."""
    return usual_work("u1", HISTORY) + [
        event(10_000 + i, "u1", TESTED + timedelta(seconds=gap_s * i), **fields) for i in range(n)
    ]


def alerts_of(events: list[dict[str, Any]], **limits: Any) -> list[dict[str, Any]]:
    """The alert lines of a stream, under the built-in priors."""
    lines, _, _ = run(events, plan_of(**limits) if limits else PLAN)
    return [orjson.loads(line) for line in lines]


# -- ids and fields


def test_the_id_of_a_day_is_known_beforehand() -> None:
    """Cases and notes elsewhere refer to it: it may never change between versions."""
    assert alert_id("u00017", 20_514) == "a76498c2718f4e6f64d102235f7b73c4"


@pytest.mark.parametrize(("user", "day"), [("u2", 20_514), ("u1", 20_515), ("u1", -1)])
def test_another_person_or_day_is_another_alert(user: str, day: int) -> None:
    """Two people on one day, or one person on two days, are two cases."""
    assert alert_id(user, day) != alert_id("u1", 20_514)


def test_all_versions_of_a_day_carry_its_id_whatever_the_policy(
    quiet_artifact: Artifact,
) -> None:
    """A team that changes a threshold must not get its open cases twice."""
    plans = [PLAN, plan_of(min_score=0.5), build_plan(POLICY, quiet_artifact, Reference())]
    day = (TESTED - datetime(1970, 1, 1, tzinfo=UTC)).days
    ids = {
        orjson.loads(line)["alert_id"]
        for plan in plans
        for line in run(bad_day(), plan)[0]
        if orjson.loads(line)["time"].startswith("2026-03-23")
    }

    assert ids == {alert_id("u1", day)}


def test_a_line_has_the_documented_fields_in_their_order() -> None:
    """People script against the alerts file."""
    documented = [
        "alert_id", "version", "time", "score", "severity", "detector", "detectors", "user_id",
        "user_role", "user_branch", "first_event_time", "last_event_time", "n_events",
        "n_records", "n_customers", "learning", "contributions", "evidence", "event_ids",
        "explanation", "policy_digest", "artifact_digest",
    ]  # fmt: skip

    assert all(list(alert) == documented for alert in alerts_of(bad_day()))


def test_a_line_says_under_which_policy_and_artifact_it_was_raised(
    quiet_artifact: Artifact,
) -> None:
    """Without both digests an alert cannot be reproduced."""
    builtin, _, _ = run(bad_day(), PLAN)
    fitted, _, _ = run(bad_day(), build_plan(POLICY, quiet_artifact, Reference()))
    digests = [
        {(alert["policy_digest"], alert["artifact_digest"]) for alert in map(orjson.loads, lines)}
        for lines in (builtin, fitted)
    ]

    assert digests == [{(POLICY.digest, "builtin")}, {(POLICY.digest, quiet_artifact.digest)}]


# -- versions


def expected_versions(events: list[dict[str, Any]], emit: float) -> Iterator[str]:
    """Naive twin for one detector and one day: times of the rows that open or grow the alert."""
    _, (step,), _ = run(events, PLAN)
    said_score, said_events, said_records, n_records = -1.0, 0, 0, 0
    today = [row for row, item in enumerate(events) if item["event_time"] >= TESTED.isoformat()]
    for n_events, row in enumerate(today, 1):
        score = float(step.scores[row])
        n_records += int(events[row]["record_count"])
        grown = (
            said_score < 0.0
            or score >= said_score + max(0.3, 0.3 * said_score)
            or n_records >= 2 * said_records
            or n_events >= 2 * said_events
        )
        if score >= emit and grown:
            said_score, said_events, said_records = score, n_events, n_records
            yield str(events[row]["event_time"])


@pytest.mark.parametrize(
    "events",
    [
        bad_day(),
        bad_day(gap_s=3),
        bad_day(40, action="export", customer=None, records=70),
        bad_day(60, customer="c1", records=5),
    ],
    ids=["customers in a day", "customers in minutes", "exports", "one customer"],
)
def test_a_version_is_raised_at_once_and_then_only_when_the_alert_has_grown(
    events: list[dict[str, Any]],
) -> None:
    """Half as probable, twice the volume: worth another look; anything less is noise."""
    raised = [datetime.fromisoformat(alert["time"]) for alert in alerts_of(events)]
    expected = [datetime.fromisoformat(t) for t in expected_versions(events, 3.5)]

    assert len(raised) > 1
    assert raised == expected


def test_versions_count_from_one_without_gaps() -> None:
    """A reader that sees version 3 knows that there are two before it."""
    versions = [alert["version"] for alert in alerts_of(bad_day())]

    assert versions == list(range(1, len(versions) + 1))


def test_each_day_begins_with_version_one() -> None:
    """Tomorrow is another episode, even if nothing has stopped."""
    again = [event(20_000 + i, "u1", TESTED + timedelta(days=1, seconds=3 * i)) for i in range(150)]
    firsts = [a["time"][:10] for a in alerts_of(bad_day() + again) if a["version"] == 1]

    assert firsts == ["2026-03-23", "2026-03-24"]


def test_a_detector_that_joins_raises_the_next_version() -> None:
    """A bulk read that goes on abroad is another story; the score need not have doubled."""
    foreign = [
        event(20_000 + i, "u1", TESTED + timedelta(hours=3, seconds=60 * i), branch="B5")
        for i in range(60)
    ]
    alerts = alerts_of(bad_day(150) + foreign)
    joined = [alert for alert in alerts if "cross_branch" in alert["detectors"]]

    assert "cross_branch" not in alerts[0]["detectors"]
    assert joined
    assert joined[0]["version"] == alerts[alerts.index(joined[0]) - 1]["version"] + 1


# -- samples


def test_samples_are_at_most_twenty_of_the_days_own_events() -> None:
    """Enough to look into, never a copy of the log; the raising event is among them."""
    events = bad_day()
    at = {datetime.fromisoformat(item["event_time"]): item["event_id"] for item in events}
    todays = {item["event_id"] for item in events if item["event_time"] >= TESTED.isoformat()}
    for alert in alerts_of(events):
        ids = alert["event_ids"]

        assert len(ids) == len(set(ids)) <= 20
        assert set(ids) <= todays
        assert at[datetime.fromisoformat(alert["time"])] in ids


@given(st.integers(2, 30), st.lists(st.integers(0, 60), max_size=90))
def test_samples_are_the_first_and_the_latest(n_samples: int, numbers: list[int]) -> None:
    """How it began and where it stands now; the middle is dropped."""
    episodes = Episodes(n_samples)
    for number in numbers:
        episodes.note_sample(DETECTION.user_hash, DETECTION.day, f"e{number}")
    alert = raised(episodes, DETECTION, event_id="last")
    ids = alert.fields["event_ids"]

    assert len(ids) == len(set(ids)) <= n_samples
    assert (ids[0], ids[-1]) == (f"e{numbers[0]}" if numbers else "last", "last")


def test_episodes_survive_a_snapshot() -> None:
    """After a restart the next version is the next, with the samples of before."""
    before, after = Episodes(20), Episodes(20)
    raised(before, DETECTION, event_id="e1")
    after.restore(before.to_json())

    assert raised(after, DETECTION, event_id="e2") == raised(before, DETECTION, event_id="e2")


@pytest.mark.parametrize(
    "content",
    [
        "", "{", "null", "[]", "7", '{"u1":{}}', '{"1":[]}', '{"1":{"x":[1,[],[]]}}',
        '{"1":{"2":[1,[]]}}', '{"1":{"2":[1,[],[],[]]}}', '{"1":{"2":["1",[],[]]}}',
        '{"1":{"2":[true,[],[]]}}', '{"1":{"2":[1,[7],[]]}}', '{"1":{"2":[1,null,[]]}}',
    ],
)  # fmt: skip
def test_foreign_episodes_are_refused(content: str) -> None:
    """A state written by something else must not end in a traceback, or in wrong versions."""
    with pytest.raises(SnapshotError, match="episodes"):
        Episodes(20).restore(content)


@given(st.integers(0, 2_000_000_000_999), st.integers(-12 * 4, 14 * 4))
def test_times_are_local_and_exact_to_the_millisecond(t_ms: int, quarters: int) -> None:
    """The instant can be read back; nothing is rounded up into the next second or day."""
    zone = timezone(timedelta(minutes=15 * quarters))
    text = iso_time(t_ms * 1_000_000 + 999_999, zone)
    back = datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)

    assert back == timedelta(milliseconds=t_ms)
