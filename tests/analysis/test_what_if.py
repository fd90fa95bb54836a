"""A question answered from stored scores equals the replay it saves, or is refused."""

from __future__ import annotations

import tomllib
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import detector as ad
from detector.analysis import Result, WhatIf
from detector.analysis.answers import DECISION_COLUMNS, _flat, _nested
from detector.detections import DETECTORS
from detector.errors import OptionError, PolicyError
from detector.policy import _default_text
from tests.analysis.conftest import SINCE, Fitted
from tests.streams import event, usual_work, weekdays
from tests.test_properties import KNOWN, streams

DEFAULT = dict(_flat(tomllib.loads(_default_text())))
ANSWERED = {
    "alerts.severity": [["medium", 1.0], ["high", 2.0]],
    "alerts.version_growth_score": 0.1,
    "alerts.version_growth_share": 0.0,
    "alerts.known_share": 1.0,
    "alerts.sample_events": 4,
    "detectors.bulk_read.threshold": 0.5,
    "detectors.unfamiliar.threshold": 9.0,
    "threshold": 1.7,
}
WEIGHTS = {
    "alerts.flag_score": st.sampled_from([0.5, 1.5, 2.0, 3.0, 8.0]),
    **{f"detectors.{name}.enabled": st.just(value=False) for name in DETECTORS},
}
DECISIONS = {
    "threshold": st.floats(0.0, 4.0),
    "alerts.severity": st.just([["medium", 0.7], ["critical", 1.5]]),
    "alerts.version_growth_score": st.sampled_from([0.01, 0.1, 1.0]),
    "alerts.version_growth_share": st.sampled_from([0.0, 0.1, 2.0]),
    "alerts.known_share": st.sampled_from([0.0, 0.4, 1.0]),
    **{f"detectors.{name}.threshold": st.sampled_from([0.0, 0.5, 2.0]) for name in DETECTORS},
}


def decisions(answer: Result | WhatIf) -> list[Any]:
    """What was decided, comparable."""
    alerts = answer.alerts
    times = pd.to_datetime(alerts["time"], utc=True, format="ISO8601").astype("datetime64[ms, UTC]")
    return [times.tolist(), *(alerts[name].tolist() for name in DECISION_COLUMNS)]


def lessons(result: Result) -> list[bool]:
    """Which closed days were flagged, and so taught little."""
    return (result.trace.closings.whole >= result.plan.limits.flag_score).tolist()


def replayed(events: Any, changes: dict[str, Any], **options: Any) -> Result:
    """The replay that a what-if saves."""
    flat = dict(changes)
    options["min_score"] = flat.pop("threshold", options.get("min_score"))
    return ad.replay(events, policy=_nested(flat), **options)


@given(streams(), st.fixed_dictionaries({}, optional={**DECISIONS, **WEIGHTS}))
def test_an_answer_equals_the_replay(events: list[dict[str, Any]], changes: dict[str, Any]) -> None:
    """Every change alone and all together; refused only if a closed day teaches otherwise."""
    frame = pd.DataFrame(events)
    base = ad.replay(frame, reference=KNOWN, min_score=0.2)
    real = replayed(frame, changes, reference=KNOWN, min_score=0.2)
    if lessons(base) == lessons(real):
        assert decisions(ad.what_if(base, changes)) == decisions(real)
    else:
        with pytest.raises(OptionError, match="closed days would be flagged otherwise"):
            ad.what_if(base, changes)


@pytest.mark.parametrize(
    "changes",
    [{name: value} for name, value in ANSWERED.items()] + [ANSWERED, {"alerts.flag_score": 2.4}],
    ids="+".join,
)
def test_an_answer_about_a_fitted_bank_equals_the_replay(
    fitted: Fitted, changes: dict[str, Any]
) -> None:
    """With an artifact, whose calibration the answer uses too."""
    real = replayed(
        fitted.bank / "events.jsonl", changes, artifact=fitted.artifact,
        reference=fitted.bank / "reference", since=SINCE, min_score=1.0,
    )  # fmt: skip

    assert decisions(ad.what_if(fitted.result, changes)) == decisions(real)


@pytest.mark.parametrize("name", ["repeat_target", "under_cap", "cross_branch", "slow_drip"])
def test_a_detector_switched_off_equals_the_replay_or_is_refused(fitted: Fitted, name: str) -> None:
    """Where no closed day would have been flagged otherwise."""
    changes = {f"detectors.{name}.enabled": False}
    real = replayed(
        fitted.bank / "events.jsonl", changes, artifact=fitted.artifact,
        reference=fitted.bank / "reference", since=SINCE, min_score=1.0,
    )  # fmt: skip
    if lessons(fitted.result) == lessons(real):
        assert decisions(ad.what_if(fitted.result, changes)) == decisions(real)
    else:
        with pytest.raises(OptionError, match="closed days would be flagged otherwise"):
            ad.what_if(fitted.result, changes)


def test_another_budget_equals_fitting_and_replaying(fitted: Fitted) -> None:
    """The artifact knows the thresholds of usual budgets."""
    bank, policy = fitted.bank, {"alerts": {"budget_per_day": 1}}
    events, reference = bank / "events.jsonl", bank / "reference"
    artifact = ad.fit(events, policy=policy, reference=reference, until=SINCE)
    real = ad.replay(events, artifact=artifact, policy=policy, reference=reference, since=SINCE)
    answer = ad.what_if(fitted.result, {"alerts.budget_per_day": 1})

    assert answer.threshold == artifact.manifest["threshold"]
    assert decisions(answer) == decisions(real)


def test_a_budget_nobody_fitted_is_refused(fitted: Fitted) -> None:
    """With the budgets that can be asked about."""
    with pytest.raises(
        OptionError, match=r"budget_per_day: 7 needs the history\. The artifact kno"
    ):
        ad.what_if(fitted.result, {"alerts.budget_per_day": 7})
    without = ad.replay(pd.DataFrame(usual_work("u1", weekdays(2))))
    with pytest.raises(OptionError, match="decides nothing without an artifact"):
        ad.what_if(without, {"alerts": {"budget_per_day": 5}})


@pytest.mark.parametrize("name", sorted(DEFAULT))
def test_every_key_of_a_policy_is_answered_or_refused_by_name(fitted: Fitted, name: str) -> None:
    """A new key must be thought about; the same value as before changes nothing."""
    same = {name: DEFAULT[name]}
    needs_replay = name.startswith(("clock.", "limits.", "events.", "learning.")) or name in {
        "alerts.lateness", "detectors.off_hours.out_of_hours_share",
    }  # fmt: skip
    if needs_replay:
        with pytest.raises(OptionError, match=f"{name} .*Replay with this policy"):
            ad.what_if(fitted.result, same)
    elif name == "alerts.budget_per_day":
        same_threshold = ad.what_if(fitted.result, same).threshold
        assert same_threshold == fitted.artifact.manifest["threshold"]
    else:
        assert decisions(ad.what_if(fitted.result, same)) == decisions(fitted.result)


def test_a_detector_cannot_be_switched_on() -> None:
    """What it would have remembered is not there."""
    off = {"detectors": {"off_hours": {"enabled": False}}}
    base = ad.replay(pd.DataFrame(usual_work("u1", weekdays(3))), policy=off)

    with pytest.raises(OptionError, match=r"off_hours\.enabled: the detector was off"):
        ad.what_if(base, {"detectors.off_hours.enabled": True})


def test_a_misspelt_key_is_an_error_of_the_policy() -> None:
    """Not an answer about something else."""
    base = ad.replay(pd.DataFrame(usual_work("u1", weekdays(2))))

    with pytest.raises(PolicyError, match=r"unknown key alerts\.known_shar"):
        ad.what_if(base, {"alerts.known_shar": 0.5})
    with pytest.raises(OptionError, match="threshold: is no score"):
        ad.what_if(base, {"threshold": float("nan")})


def test_an_answer_says_what_is_gained_and_lost() -> None:
    """By alert, not by version."""
    days = weekdays(6)
    burst = [event(9_000 + n, "u1", days[-1] + timedelta(hours=5), records=900) for n in range(30)]
    base = ad.replay(pd.DataFrame([*usual_work("u1", days), *burst]), min_score=2.0)
    stricter = ad.what_if(base, {"threshold": 39.9})
    looser = ad.what_if(base, {"threshold": 0.0})

    assert stricter.n_alerts == 0
    assert set(stricter.lost) == set(base.alerts["alert_id"]) != set()
    assert set(looser.gained).isdisjoint(base.alerts["alert_id"])
    assert looser.n_alerts == len(days)
