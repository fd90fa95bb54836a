"""Real staff at work, logs nobody here wrote: read in full, few alerts, each of them explained.

What the files hold is described in the README beside them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import orjson
import pytest

from detector.hosts.replay import ReplayOptions, ReplaySummary, replay
from tests.conftest import ROOT

PIPELINES = ROOT / "pipelines"


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay with the built-in priors has left."""

    summary: ReplaySummary
    alerts: list[dict[str, Any]]
    rejects: list[dict[str, Any]]

    @property
    def detectors(self) -> set[str]:
        """Detectors named in any alert."""
        return {name for alert in self.alerts for name in alert["detectors"]}

    @property
    def days(self) -> int:
        """Days from the first alert to the last."""
        days = [date.fromisoformat(day) for day in self.summary.alerts_per_day]
        return (max(days) - min(days)).days + 1


@pytest.fixture(scope="module")
def replayed(
    shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Replayed]:
    """Replay a source through its shipped mapping."""

    def run(source: str, policy: str) -> Replayed:
        out = tmp_path_factory.mktemp(source)
        alerts, rejects = out / "alerts.jsonl", out / "rejects.jsonl"
        options = ReplayOptions(
            str(shared_data / f"{source}.jsonl.gz"),
            mapping=PIPELINES / "mappings" / f"{source}.toml",
            policy=PIPELINES / "policies" / policy,
            alerts=alerts,
            rejects=rejects,
        )
        summary = replay(options)
        return Replayed(summary, *(_lines(path) for path in (alerts, rejects)))

    return run


def _lines(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


@pytest.fixture(scope="module")
def bank12(replayed: Callable[..., Replayed]) -> Replayed:
    """Staff of a Dutch bank on loan applications."""
    return replayed("bpic12", "netherlands.toml")


@pytest.fixture(scope="module")
def permits(replayed: Callable[..., Replayed]) -> Replayed:
    """Staff of five municipalities on building permits; the hour of day says nothing."""
    return replayed("bpic15", "municipalities.toml")


def test_every_row_of_the_bank_is_an_event_or_has_nobody_behind_it(bank12: Replayed) -> None:
    """262,200 rows, of which 18,010 name no person."""
    summary = bank12.summary

    assert dict(summary.rejects) == {"missing_field": 18_010}
    assert summary.events + summary.rejects["missing_field"] == 262_200


def test_the_rejects_of_the_bank_keep_the_rows_that_name_nobody(bank12: Replayed) -> None:
    """Whoever mends the source finds them with their line; nobody else was rejected."""
    reasons = Counter((row["reason"], row["field"]) for row in bank12.rejects)
    people = {orjson.loads(row["raw"]).get("org:resource") for row in bank12.rejects}

    assert reasons == {("missing_field", "user_id"): 18_010}
    assert people == {None}


def test_everybody_at_the_bank_is_known(bank12: Replayed) -> None:
    """68 ids, the system account among them."""
    assert bank12.summary.counts["actors"] == 68


def test_every_row_of_the_municipalities_is_an_event(permits: Replayed) -> None:
    """262,628 rows of 72 people; a handful of leaps over more than 400 days are kept apart."""
    summary = permits.summary

    assert (summary.events, summary.counts["actors"]) == (262_628, 72)
    assert dict(summary.rejects) == {"time_jump": summary.counts["jumps"]}
    assert summary.counts["jumps"] < 20


@pytest.mark.parametrize("source", ["bank12", "permits"])
def test_no_limit_is_reached_and_nothing_is_dropped(
    source: str, request: pytest.FixtureRequest
) -> None:
    """Two ordinary sources fit the default limits; both files are in order and without doubles."""
    counts = request.getfixturevalue(source).summary.counts
    limits = ("unscored", "tail_limit", "customer_limit", "branch_limit", "duplicates", "late")

    assert {name: counts[name] for name in limits} == dict.fromkeys(limits, 0)


@pytest.mark.parametrize("source", ["bank12", "permits"])
def test_a_day_has_few_alerts_from_the_first_day_on(
    source: str, request: pytest.FixtureRequest
) -> None:
    """Without any history, on real people: never more than a team reads, mostly none."""
    found: Replayed = request.getfixturevalue(source)
    per_day = found.summary.alerts_per_day

    assert 5 <= sum(per_day.values()) <= 0.5 * found.days
    assert max(per_day.values()) <= 5


@pytest.mark.parametrize("source", ["bank12", "permits"])
def test_every_alert_is_explained_in_both_languages(
    source: str, request: pytest.FixtureRequest
) -> None:
    """A sentence for each detector that is named, and how rare such a day is."""
    for alert in request.getfixturevalue(source).alerts:
        english, chinese = alert["explanation"]["en"], alert["explanation"]["zh"]

        assert english.count(". ") + 1 > len(alert["detectors"]) <= chinese.count("。")
        assert "ordinary person-days" in english
        assert "人日" in chinese


@pytest.mark.parametrize("source", ["bank12", "permits"])
def test_every_alert_names_its_events(source: str, request: pytest.FixtureRequest) -> None:
    """By line, for these sources have no ids of their own."""
    for alert in request.getfixturevalue(source).alerts:
        assert 1 <= len(alert["event_ids"]) <= 20


def test_the_bank_shows_volume_and_hours_but_no_branches(bank12: Replayed) -> None:
    """Its rows have no branch: a detector without its field is silent."""
    assert {"bulk_read", "off_hours"} <= bank12.detectors
    assert "cross_branch" not in bank12.detectors


def test_the_municipalities_show_volume_and_branches_but_no_hours(permits: Replayed) -> None:
    """Off_hours is switched off by the policy; midnight stamps would alarm every day."""
    assert {"bulk_read", "cross_branch"} <= permits.detectors
    assert "off_hours" not in permits.detectors


def test_the_system_account_of_the_bank_raises_nothing(bank12: Replayed) -> None:
    """Account 112 works around the clock: the mapping makes it a service account."""
    assert "112" not in {alert["user_id"] for alert in bank12.alerts}


def test_alerts_of_the_bank_are_in_local_time(bank12: Replayed) -> None:
    """Amsterdam, with summer time until the end of October."""
    offsets = {alert["time"][:7]: alert["time"][-6:] for alert in bank12.alerts}

    assert {month: offsets[month] for month in ("2012-01", "2012-02")} == {
        "2012-01": "+01:00", "2012-02": "+01:00",
    }  # fmt: skip
    assert "+02:00" in {a["time"][-6:] for a in bank12.alerts if a["time"].startswith("2011-10")}
