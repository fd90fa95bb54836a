"""A replay in Python says what the consumer stores, bit for bit."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import detector as ad
from detector.analysis import Result
from detector.detections import DETECTORS
from detector.errors import OptionError, SourceError
from detector.evaluation import evaluate, read_truth
from detector.hosts.fit import FitOptions, fit_artifact
from detector.hosts.local_time import since_ns
from detector.hosts.replay import ReplayOptions
from detector.hosts.replay import replay as replay_to_files
from tests.analysis.conftest import SINCE, Fitted
from tests.streams import plan_of, run, weekdays
from tests.streams import usual_work as work


def test_alerts_are_those_the_command_stores(fitted: Fitted, tmp_path: Path) -> None:
    """Notebook = consumer, byte for byte: in the alerts file and in the store."""
    alerts, store = tmp_path / "alerts.jsonl", tmp_path / "alerts.db"
    replay_to_files(
        ReplayOptions(
            str(fitted.bank / "events.jsonl"), artifact=fitted.folder,
            reference=fitted.bank / "reference", since_ns=since_ns(SINCE, None, "since"),
            min_score=1.0, alerts=alerts, store=f"sqlite:///{store}",
        )
    )  # fmt: skip

    assert b"".join(fitted.result.alert_lines) == alerts.read_bytes()
    with sqlite3.connect(store) as database:
        (n,) = database.execute("SELECT COUNT(*) FROM alert").fetchone()
    assert n == len(fitted.result.alert_lines) > 10


def test_fitting_in_python_gives_the_artifact_of_the_command(
    fitted: Fitted, tmp_path: Path
) -> None:
    """Same events, same bytes, same digest."""
    written = fit_artifact(
        FitOptions(
            str(fitted.bank / "events.jsonl"), tmp_path / "artifact",
            until_ns=since_ns(SINCE, None, "until"), reference=fitted.bank / "reference",
        )
    )  # fmt: skip

    assert written.digest == fitted.artifact.digest


def test_scores_are_the_engine_s() -> None:
    """Row by row, NaN where an event was a duplicate."""
    events = work("u1", weekdays(3))
    events.append(events[-1])
    _, steps, _ = run(events, plan_of())
    result = ad.replay(pd.DataFrame(events))

    np.testing.assert_array_equal(result.scores["score"], np.concatenate([s.scores for s in steps]))
    assert result.scores["score"].isna().tolist() == [False] * (len(events) - 1) + [True]
    assert result.scores["day"].isna().sum() == 1
    assert result.counts["duplicates"] == 1


def test_features_are_what_the_alert_says(fitted: Fitted) -> None:
    """The row that raised a version holds the figures of its line."""
    result = fitted.result
    rows = ad.what_if(result).alerts["event_row"].to_numpy()
    features = result.features.iloc[rows]
    said = [
        {part["detector"]: part["surprise"] for part in parts}
        for parts in result.alerts["contributions"]
    ]

    assert features["n_events"].tolist() == result.alerts["n_events"].tolist()
    assert features["records_1d"].tolist() == result.alerts["n_records"].tolist()
    assert features["customers_1d"].tolist() == result.alerts["n_customers"].tolist()
    for name in DETECTORS:
        told = [parts.get(name, 0.0) for parts in said]
        np.testing.assert_allclose(features[f"surprise_{name}"].round(2), told, atol=1e-9)


def test_an_actor_s_day_ends_with_its_last_score(fitted: Fitted) -> None:
    """One row a day; the score never falls within it."""
    days, scores = fitted.result.actor_days, fitted.result.scores
    best = scores.groupby(["user_id", "day"], observed=True)["score"].max().reset_index()
    both = days.merge(best, on=["user_id", "day"], suffixes=("", "_best"))

    assert len(both) == len(days)
    assert (both["score"] == both["score_best"]).all()


def test_features_that_were_not_kept_are_an_error() -> None:
    """Not an empty frame."""
    result = ad.replay(pd.DataFrame(work("u1", weekdays(2))), features=False)

    assert len(result.scores) == 60
    with pytest.raises(OptionError, match="Replay with features=True"):
        _ = result.features


def test_rejects_have_a_reason_and_a_place(tmp_path: Path) -> None:
    """And no content: a frame is easily shown around."""
    file = tmp_path / "events.jsonl"
    file.write_bytes(b'{"event_id":"1"}\n')
    result: Result = ad.replay(file)

    assert result.rejects.iloc[0].tolist() == ["missing_field", "events.jsonl:1", "event_time"]
    assert list(result.alerts.columns)[:2] == ["alert_id", "version"]
    assert result.alerts.empty
    with pytest.raises(SourceError, match="hold no events to learn from"):
        ad.fit(file)


def test_evaluation_is_that_of_the_command(fitted: Fitted, tmp_path: Path) -> None:
    """The same ranking from the frame as from the file."""
    file, truth = tmp_path / "alerts.jsonl", fitted.bank / "truth.json"
    file.write_bytes(b"".join(fitted.result.alert_lines))

    assert ad.evaluate(fitted.result, truth) == evaluate(file, truth)
    assert ad.evaluate(fitted.result, read_truth(truth)) == evaluate(file, truth)
    assert ad.evaluate(ad.what_if(fitted.result), truth) == evaluate(file, truth)


def test_verdicts_give_a_precision_with_its_interval(fitted: Fitted) -> None:
    """Undecided alerts are counted, and count neither for nor against."""
    alerts = fitted.result.alerts.sort_values("score", ascending=False)
    ids = alerts["alert_id"].drop_duplicates().tolist()
    verdicts = pd.DataFrame(
        {"alert_id": ids[:4], "verdict": ["confirmed", "confirmed", "benign", "wrong_team"]}
    )
    (row,) = ad.evaluate(fitted.result, verdicts, [10_000])

    assert (row.n_read, row.n_confirmed, row.n_benign) == (len(ids), 2, 1)
    assert row.n_undecided == len(ids) - 3
    assert row.precision_low < row.precision == 2 / 3 < row.precision_high
    assert row.recall == 1.0


def test_a_verdict_of_another_name_is_refused(fitted: Fitted) -> None:
    """Silently ignored it would move the precision."""
    with pytest.raises(OptionError, match="there is no verdict 'true'"):
        ad.evaluate(fitted.result, pd.DataFrame({"alert_id": ["a"], "verdict": ["true"]}))
    with pytest.raises(OptionError, match="has no column verdict"):
        ad.evaluate(fitted.result, pd.DataFrame({"alert_id": ["a"]}))


def test_a_moment_can_be_said_in_three_ways() -> None:
    """Midnight in the policy's zone, or an instant."""
    events = pd.DataFrame(work("u1", weekdays(3)))
    day = "2026-03-03"
    instant = pd.Timestamp(day, tz="Asia/Shanghai")
    lines = {
        ad.replay(events, since=moment, min_score=0.0).alert_lines
        for moment in (day, instant.to_pydatetime(), instant.value)
    }

    assert len(lines) == 1
    with pytest.raises(OptionError, match="since: is no date or time"):
        ad.replay(events, since=1.5)  # type: ignore[arg-type]
