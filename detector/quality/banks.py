"""Simulated banks with labelled insiders: what a team finds, and what each detector is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np

from detector.columns import EventBatch
from detector.detections import DETECTORS
from detector.evaluation import Evaluation, Ranking, Truth, evaluate_ranking, read_truth
from detector.hosts.events import decoded
from detector.mapping import load_mapping
from detector.plan import Plan
from detector.policy import Policy
from detector.quality.batches import cut, joined
from detector.quality.ledger import Ledger, ledger
from detector.quality.measures import observed_over_nominal
from detector.quality.peers import peer_scores
from detector.quality.real import fit_plan
from detector.reference import Reference, load_reference
from detector.simulate import SimulationConfig, simulate
from detector.state.layout import F64

BUDGETS = (1, 5, 20)
POWERS = (2, 3, 4)
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_LEAST_SCORE = 0.5  # what lies below is no alert, however short the day's list


@dataclass(frozen=True, slots=True)
class Bank:
    """A simulated bank, decoded once. ``history`` is the part before the first scored day."""

    events: EventBatch
    history: EventBatch
    reference: Reference
    truth: Truth
    first_day: int
    name_of: dict[int, str]


@dataclass(frozen=True, slots=True)
class BankRun:
    """A bank seen by one policy: every scored actor-day, and what a team finds."""

    plan: Plan
    days: Ledger
    found: Evaluation


def make_bank(folder: Path, config: SimulationConfig, policy: Policy) -> Bank:
    """Simulate into a folder, and read it.

    Args:
        folder: created; holds events, truth and reference tables afterwards.
        config: size, period, seed.
        policy: tells the longest line.
    """
    simulate(folder, config)
    return read_bank(folder, policy)


def read_bank(folder: Path, policy: Policy) -> Bank:
    """Decode a simulated bank, whole."""
    source = str(folder / "events.jsonl")
    chunks = decoded(source, load_mapping(None), policy.limits.max_line_bytes)
    events = joined(chunk.batch for chunk in chunks)
    truth = read_truth(folder / "truth.json")
    first_day = truth.first_day.toordinal() - _EPOCH_ORDINAL
    before = events.event_time_ns < first_day * 86_400 * 10**9
    return Bank(
        events=events,
        history=events.take(np.flatnonzero(before)),
        reference=load_reference(folder / "reference"),
        truth=truth,
        first_day=first_day,
        name_of=dict(zip(events.user_hash.tolist(), events.user_ids, strict=True)),
    )


def run_bank(bank: Bank, policy: Policy) -> BankRun:
    """Fit on the history, run everything, rank the scored days."""
    plan = fit_plan(cut(bank.history), policy, bank.reference)
    whole = ledger(cut(bank.events), plan)
    days = whole.between(bank.first_day, bank.first_day + bank.truth.n_days - 1)
    return BankRun(plan, days, found_by(bank, days, days.score))


def found_by(bank: Bank, days: Ledger, score: F64, least: float = _LEAST_SCORE) -> Evaluation:
    """Tell what a team finds that reads the best of each day by any score.

    Args:
        bank: names and truth.
        days: (m,) scored actor-days.
        score: (m,) higher is more unusual; NaN is never read.
        least: scores below are not read.
    """
    return evaluate_ranking(ranking(bank, days, score, least), bank.truth, BUDGETS)


def ranking(bank: Bank, days: Ledger, score: F64, least: float) -> Ranking:
    """Rank the actor-days of each day; ties by name."""
    ranked: dict[int, list[tuple[float, str]]] = {}
    for row in np.flatnonzero(score >= least).tolist():
        entry = (-float(score[row]), bank.name_of[int(days.user[row])])
        ranked.setdefault(int(days.day[row]), []).append(entry)
    return {
        date.fromordinal(day + _EPOCH_ORDINAL): [
            (name, name) for _, name in sorted(entries)[: max(BUDGETS)]
        ]
        for day, entries in ranked.items()
    }


def quiet_days(bank: Bank, run: BankRun) -> Ledger:
    """Scored days of people who have no incident at all and enough history."""
    culprits = set().union(*(incident.users for incident in bank.truth.incidents))
    bad = [key for key, name in bank.name_of.items() if name in culprits]
    quiet = ~np.isin(run.days.user, np.array(bad, dtype=np.int64))
    return run.days.take(quiet & (run.days.n_before >= run.plan.limits.mature_days))


def without(policy: Policy, detector: str) -> Policy:
    """Return the policy with one detector switched off."""
    off = replace(policy.detectors[detector], enabled=False)
    return replace(policy, detectors={**policy.detectors, detector: off})


def ablation(bank: Bank, policy: Policy, detectors: Sequence[str]) -> dict[str, Evaluation]:
    """Evaluate a bank without each detector in turn, fitted anew each time."""
    return {name: run_bank(bank, without(policy, name)).found for name in detectors}


def speaking_detectors(days: Ledger) -> Sequence[str]:
    """Names of detectors with any surprise above 0."""
    speaks = np.flatnonzero((days.surprise > 0.0).any(axis=0))
    return [DETECTORS[detector] for detector in speaks.tolist()]


@dataclass(frozen=True, slots=True)
class Calibration:
    """Observed ÷ nominal rate per detector (and "score"), in the order of ``POWERS``."""

    n_days: int
    ratios: dict[str, tuple[float, ...]]


def calibration(quiet: Ledger) -> Calibration:
    """Tell how often surprises of quiet person-days reach 2, 3 and 4.

    Detectors that never speak are left out.
    """
    ratios = {"score": tuple(observed_over_nominal(quiet.score, power) for power in POWERS)}
    for name in speaking_detectors(quiet):
        surprise = quiet.surprise[:, DETECTORS.index(name)]
        ratios[name] = tuple(observed_over_nominal(surprise, power) for power in POWERS)
    return Calibration(quiet.user.size, ratios)


def peers_found(bank: Bank, run: BankRun) -> dict[str, Evaluation]:
    """Evaluate every peer on the same actor-days at the same budgets, us first."""
    last_day = bank.first_day + bank.truth.n_days - 1
    days = ledger(cut(bank.events), run.plan)
    days = days.take(days.day <= last_day)
    train = days.day < bank.first_day
    scores = peer_scores(days, train)
    scored = days.take(~train)
    found = {name: found_by(bank, scored, s[~train], -np.inf) for name, s in scores.items()}
    return {"this detector": run.found, **found}
