"""Tuning searches on some days, judges on others, and takes only what is surely better."""

from __future__ import annotations

import json
import tomllib
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

import detector as ad
from detector.analysis.answers import nested
from detector.analysis.example import Bank
from detector.analysis.judge import ranking_of
from detector.analysis.tune import between, caught, effect, policy_text, tune
from detector.artifacts import Artifact
from detector.errors import OptionError
from detector.evaluation import Incident, Truth, evaluate_ranking, read_truth
from detector.policy import load_policy
from detector.simulate import SimulationConfig, simulate
from tests.conftest import Run

DAY = date(2026, 3, 9)
QUICK = {
    "alerts.known_share": (0.0, 0.4, 1.0),
    "alerts.flag_score": (2.5,),
    "learning.winsor_sd": (3.0, 6.0),
    "detectors.off_hours.enabled": (False,),
}


def bank_of(folder: Path, seed: int) -> tuple[Bank, Artifact]:
    """A bank with many incidents, and what its history taught."""
    simulate(folder, SimulationConfig(users=30, branches=3, days=28, seed=seed, incidents=20))
    truth = json.loads((folder / "truth.json").read_bytes())
    bank = Bank(folder, truth["first_scored_day"])
    return bank, ad.fit(bank.events, reference=bank.reference, until=bank.first_scored_day)


@pytest.fixture(scope="module")
def banks(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Bank, Artifact]]:
    """Three banks, each once tuned on and once fresh."""
    return [bank_of(tmp_path_factory.mktemp(f"tune{seed}"), seed) for seed in (21, 22, 23)]


def test_a_tuned_policy_is_not_worse_on_a_fresh_bank(banks: list[tuple[Bank, Artifact]]) -> None:
    """Over the seeds together: what was found on one bank holds on the next."""
    gains = []
    for (bank, artifact), (fresh, its) in zip(banks, banks[1:] + banks[:1], strict=True):
        found = tune(
            bank.events, read_truth(bank.truth), budget=3, searched=QUICK, artifact=artifact,
            reference=bank.reference,
        )  # fmt: skip
        sides = [
            ranking_of(
                ad.replay(
                    fresh.events, artifact=its, reference=fresh.reference, min_score=0.5,
                    policy=nested(changes), since=fresh.first_scored_day, features=False,
                )
            )
            for changes in ({}, found.changes)
        ]  # fmt: skip
        gains.append(effect(*sides, read_truth(fresh.truth), 3, 0).gain)

    assert np.mean(gains) >= 0.0


def test_a_bad_policy_is_mended(banks: list[tuple[Bank, Artifact]]) -> None:
    """Where a limit lets only five people be scored, lifting it finds more, and surely."""
    bank, artifact = banks[0]
    found = tune(
        bank.events, read_truth(bank.truth), budget=3, policy={"limits": {"max_actors": 5}},
        artifact=artifact, reference=bank.reference,
        searched={"limits.max_actors": (5, 2_000_000), "alerts.known_share": (0.4,)},
    )  # fmt: skip

    assert found.changes == {"limits.max_actors": 2_000_000}
    assert found.searched.gain_low > 0.0
    assert found.judged.gain > 0.0
    assert (found.n_tried, found.n_replays) == (4, 3)


def test_the_later_days_are_not_looked_at_while_searching(
    banks: list[tuple[Bank, Artifact]],
) -> None:
    """Other labels there: the same choice, another judgement."""
    bank, artifact = banks[1]
    truth = read_truth(bank.truth)
    cut = between(truth, 0.0, 0.6)
    border = cut.first_day + timedelta(days=cut.n_days)
    strangers = tuple(
        Incident(case.kind, frozenset({"nobody"}), case.first_day, case.last_day)
        if case.first_day >= border
        else case
        for case in truth.incidents
    )
    both = [
        tune(
            bank.events, labels, budget=3, artifact=artifact, reference=bank.reference,
            searched={"alerts.known_share": (0.0, 1.0)},
        )
        for labels in (truth, Truth(truth.first_day, truth.n_days, strangers))
    ]  # fmt: skip

    assert both[0].changes == both[1].changes
    assert both[0].searched == both[1].searched
    assert both[1].judged.after == 0.0


def test_the_parts_of_a_truth_share_no_day() -> None:
    """An incident belongs to the part in which it began, and is cut at its end."""
    long = Incident("slow", frozenset({"u"}), DAY, DAY + timedelta(days=9))
    late = Incident("fast", frozenset({"u"}), DAY + timedelta(days=7), DAY + timedelta(days=7))
    truth = Truth(DAY, 10, (long, late))
    first, last = between(truth, 0.0, 0.6), between(truth, 0.6, 1.0)

    assert (first.n_days, last.n_days) == (6, 4)
    assert first.incidents[0].last_day == DAY + timedelta(days=5)
    assert last.incidents == (late,)


def test_caught_agrees_with_the_evaluation(banks: list[tuple[Bank, Artifact]]) -> None:
    """Incident by incident the same definition."""
    bank, artifact = banks[0]
    result = ad.replay(
        bank.events, artifact=artifact, reference=bank.reference, since=bank.first_scored_day,
        min_score=0.5, features=False,
    )  # fmt: skip
    truth, ranking = read_truth(bank.truth), ranking_of(result)
    for budget in (1, 5):
        (row,) = evaluate_ranking(ranking, truth, [budget]).budgets

        assert caught(ranking, truth, budget).sum() == row.n_caught


def test_too_few_incidents_are_told() -> None:
    """Nothing can be chosen with what is not there."""
    with pytest.raises(OptionError, match="split: leaves no incident"):
        tune("nowhere", Truth(DAY, 10, ()))


def test_the_command_writes_a_policy_with_its_effect(
    detector: Run, bank: Path, tmp_path: Path
) -> None:
    """A file that can be reviewed and used as it is; unchanged where nothing is surely better."""
    output = tmp_path / "tuned.toml"
    start = tmp_path / "start.toml"
    start.write_text("[alerts]\nsample_events = 10\n")
    done = detector(
        "tune", bank / "events.jsonl", "--truth", bank / "truth.json", "--output", output,
        "--reference", bank / "reference", "--policy", start, "--budget", "3", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    found, text = json.loads(done.out), output.read_text()

    assert load_policy(output).alerts.sample_events == 10
    assert "90 % interval" in text
    assert tomllib.loads(text)["alerts"]["sample_events"] == 10
    recalls = [point["recall"] for point in found["front"]]
    assert recalls == sorted(set(recalls))
    assert found["n_replays"] < found["n_tried"]


def test_the_text_of_a_tuning_that_changes_nothing_says_so(
    banks: list[tuple[Bank, Artifact]],
) -> None:
    """An empty diff with a reason is an answer."""
    bank, artifact = banks[2]
    found = tune(
        bank.events, read_truth(bank.truth), artifact=artifact, reference=bank.reference,
        searched={"alerts.known_share": (0.4,)},
    )  # fmt: skip

    assert found.changes == {}
    assert "nothing is changed" in policy_text(found)
    assert found.judged.gain == 0.0
