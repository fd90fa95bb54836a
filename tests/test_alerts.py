"""Alerts: ids that last, versions that mean something, texts that the evidence proves."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import nbinom

from detector.alerts import Alert, Episodes, alert_id, iso_time, usual_range
from detector.artifacts import Artifact
from detector.detections import (
    DETECTORS,
    BranchEvidence,
    BulkEvidence,
    Detection,
    HoursEvidence,
)
from detector.plan import build_plan
from detector.policy import load_policy
from detector.reference import Reference
from tests.streams import event, plan_of, run, usual_work, weekdays

POLICY = load_policy(None)
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
            or score >= said_score + max(0.3, 0.1 * said_score)
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


# -- explanations

DETECTION = Detection(
    row=0, user_hash=7, day=20_535, utc_offset_s=28_800, score=4.2, surprises=(4.0, 0.1, 3.0),
    fired=("bulk_read", "cross_branch"), first_event_time_ns=1_774_230_000_000_000_000,
    last_event_time_ns=1_774_240_000_000_000_000, n_events=120, n_records=2_808, n_customers=118,
    n_customers_30d=640, learning=False,
    bulk=BulkEvidence("records", "10m", 2_808, 44.0, 0.3, 52.0, 0.6),
    hours=HoursEvidence(10, False, 0.0004, 1.0, 12, 9),
    branch=BranchEvidence("B005", 31, 0.02, 0.004, 0.012, 0.2),
)  # fmt: skip


def raised(episodes: Episodes, found: Detection, event_id: str = "e1") -> Alert:
    """Raise a detection of u1."""
    return episodes.raise_alert(
        found, user_id="u1", user_role="teller", user_branch="B001",
        time_ns=found.last_event_time_ns, event_id=event_id, policy=POLICY,
        artifact_digest="builtin",
    )  # fmt: skip


@st.composite
def detections(draw: st.DrawFn) -> Detection:
    """Any detection the engine could hand over."""
    count, share = st.integers(0, 5_000_000), st.floats(1e-6, 1.0)
    mean, dispersion = st.floats(1e-3, 1e5), st.floats(0.0, 4.0)
    fired = draw(st.lists(st.sampled_from(DETECTORS), min_size=1, unique=True))
    return Detection(
        row=0, user_hash=7, day=20_535, utc_offset_s=draw(st.integers(-12, 14)) * 3_600,
        score=draw(st.floats(0.0, 300.0)), surprises=(1.0, 2.0, 3.0), fired=tuple(fired),
        first_event_time_ns=10**18, last_event_time_ns=10**18 + 5,
        n_events=draw(count), n_records=draw(count), n_customers=draw(count),
        n_customers_30d=draw(count), learning=draw(st.booleans()),
        bulk=BulkEvidence(
            draw(st.sampled_from(["records", "customers", "volume"])),
            draw(st.sampled_from(["10m", "1h", "1d"])),
            draw(count), draw(mean), draw(dispersion), draw(mean), draw(dispersion),
        ),
        hours=HoursEvidence(
            draw(st.integers(0, 95)), draw(st.booleans()), draw(share), draw(share), draw(count),
            draw(count),
        ),
        branch=BranchEvidence(
            draw(st.none() | st.sampled_from(["North", "South-Gate"])), draw(count), draw(mean),
            draw(share), draw(share), draw(share),
        ),
    )  # fmt: skip


def numbers_said(text: str) -> list[str]:
    """Clock times, percentages and counts in a text, as they are written."""
    return re.findall(r"\d\d:\d\d|\d+(?:\.\d)?%|\d+(?:,\d{3})*", text)


def numbers_shown(evidence: dict[str, Any]) -> set[str]:
    """Every number the evidence allows a text to say, as a text writes it."""
    shown: set[str] = set()
    for part in (evidence, *evidence.get("also", {}).values()):
        for name, value in part.items():
            if "share_of" in name:
                shown.add("0.1%" if value < 0.001 else f"{value:.{int(value < 0.1)}%}")
            elif isinstance(value, list):
                shown |= {f"{item:,}" for item in value}
            elif isinstance(value, int):
                shown.add(f"{value:,}")
            else:
                shown.add(str(value))
    return shown


@given(detections())
def test_every_number_in_a_text_can_be_read_back_from_the_evidence(found: Detection) -> None:
    """What a person is told must be what the record proves, in both languages."""
    alert = raised(Episodes(20), found).fields
    for text in alert["explanation"].values():
        said = numbers_said(re.sub(r"About once in [\d,]+|约[\d,]+人日一次", "", text))

        assert set(said) <= numbers_shown(alert["evidence"])


@given(detections())
def test_the_odds_in_a_text_are_those_of_the_score(found: Detection) -> None:
    """One leading digit of 10 to the power of the score; words beyond a billion."""
    alert = raised(Episodes(20), found).fields
    for text in alert["explanation"].values():
        said = re.findall(r"once in ([\d,]+)|约([\d,]+)人日一次", text)
        power = [math.log10(int("".join(groups).replace(",", ""))) for groups in said]

        assert power == ([pytest.approx(alert["score"], abs=0.18)] if alert["score"] < 9 else [])


@given(detections())
def test_both_languages_say_the_same_numbers(found: Detection) -> None:
    """A translation that rounds differently starts an argument."""
    text = raised(Episodes(20), found).fields["explanation"]

    assert sorted(numbers_said(text["en"])) == sorted(numbers_said(text["zh"]))


def test_the_text_says_what_was_observed_and_what_is_usual() -> None:
    """The figures of the leading count are in the first sentence of both languages."""
    text = raised(Episodes(20), DETECTION).fields["explanation"]

    assert text["en"].startswith(
        "Read 2,808 records within ten minutes; usual on such a day is 12-91, for colleagues 6-132."
    )
    assert text["zh"].startswith(
        "十分钟内读取了2,808条记录；本人此类日子通常为12~91，同组同事为6~132。"
    )


@given(st.floats(1e-3, 1e6), st.floats(1e-3, 4.0))
def test_the_usual_range_is_that_of_the_distribution(mean: float, dispersion: float) -> None:
    """The 5 % and 95 % quantiles, as scipy finds them."""
    r = 1.0 / dispersion
    low, high = nbinom.ppf([0.05, 0.95], r, r / (r + mean))

    assert usual_range(mean, dispersion) == (max(low, 0), high)


def test_no_text_holds_a_customer_id() -> None:
    """Explanations are mailed and printed; customers are not to be."""
    events = bad_day(150)
    events += [
        event(20_000 + i, "u1", TESTED + timedelta(hours=3, seconds=60 * i), branch="B5")
        for i in range(60)
    ]
    for number, item in enumerate(events):
        item["customer_id"] = f"cust{number}"
    texts = [part for alert in alerts_of(events) for part in alert["explanation"].values()]

    assert texts
    assert not [text for text in texts if "cust" in text.replace("customers", "")]


@given(st.integers(0, 2_000_000_000_999), st.integers(-12 * 4, 14 * 4))
def test_times_are_local_and_exact_to_the_millisecond(t_ms: int, quarters: int) -> None:
    """The instant can be read back; nothing is rounded up into the next second or day."""
    zone = timezone(timedelta(minutes=15 * quarters))
    text = iso_time(t_ms * 1_000_000 + 999_999, zone)
    back = datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)

    assert back == timedelta(milliseconds=t_ms)
