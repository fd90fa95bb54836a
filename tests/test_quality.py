"""The protocol of quality measures what it says: injections inject, figures are as defined."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detector.detections import DETECTORS
from detector.policy import load_policy
from detector.quality import attackers, banks, peers, real, report
from detector.quality.batches import cut, edited, joined
from detector.quality.injections import (
    Injected,
    Period,
    Worklog,
    active_days,
    borrowed,
    foreign_cases,
    median_cases,
    more_cases,
    moved_hours,
    never_visited,
    scattered,
    shifted,
    worklog,
)
from detector.quality.ledger import Ledger, ledger
from detector.quality.measures import (
    Interval,
    auc,
    interval,
    observed_over_nominal,
    share_above,
    weighted_quantile,
)
from tests.conftest import ROOT

NONE = np.zeros(0, dtype=np.int64)


@pytest.fixture(scope="module")
def small(bank: Path) -> banks.Bank:
    """The small bank of all tests, decoded."""
    return banks.read_bank(bank, load_policy(None))


@pytest.fixture(scope="module")
def run(small: banks.Bank) -> banks.BankRun:
    """The small bank, fitted and ranked."""
    return banks.run_bank(small, load_policy(None))


@pytest.fixture(scope="module")
def log(small: banks.Bank, run: banks.BankRun) -> Worklog:
    """Its events with local days."""
    return worklog(small.events, run.plan.clock)


@pytest.fixture(scope="module")
def period(run: banks.BankRun) -> Period:
    """Its scored days."""
    return Period(int(run.days.day.min()), int(run.days.day.max()))


@pytest.mark.parametrize("seed", range(5))
def test_the_area_equals_its_definition(seed: int) -> None:
    """Pairs in the right order, ties half."""
    rng = np.random.default_rng(seed)
    positive, negative = rng.integers(0, 6, 17) * 1.0, rng.integers(0, 5, 23) * 1.0
    pairs = [(p > n) + 0.5 * (p == n) for p in positive for n in negative]

    assert auc(positive, negative) == pytest.approx(float(np.mean(pairs)))


@pytest.mark.parametrize("level", [0.01, 0.5, 0.9, 0.99])
def test_the_weighted_quantile_equals_a_plain_one_of_repeated_values(level: float) -> None:
    """A weight of three is the value three times."""
    rng = np.random.default_rng(3)
    values, weights = rng.normal(size=40), rng.integers(1, 6, 40)
    repeated = np.sort(np.repeat(values, weights))
    plain = repeated[int(np.ceil(level * repeated.size)) - 1]

    assert weighted_quantile(values, weights.astype(np.float64), level) == plain


def test_the_interval_covers_the_mean_of_its_seeds_nine_times_in_ten() -> None:
    """Student's t on five values, 2,000 times."""
    rng = np.random.default_rng(1)
    found = [interval(rng.normal(0.5, 0.05, 5).tolist()) for _ in range(2_000)]
    hits = np.mean([one.low <= 0.5 <= one.high for one in found])

    assert hits == pytest.approx(0.9, abs=0.02)


def test_a_figure_of_nothing_is_missing_and_not_zero() -> None:
    """An empty column of a table is a dash."""
    empty = np.zeros(0)
    figures = [auc(empty, empty), share_above(empty, 1.0), observed_over_nominal(empty, 2)]

    assert np.isnan([*figures, interval([]).mean]).all()


def test_joining_and_cutting_change_no_score(small: banks.Bank, run: banks.BankRun) -> None:
    """Surgery without a wound: the same actor-days, bit by bit."""
    again = joined(cut(small.events, 1_000))
    days = ledger(cut(edited(again, NONE, again.take(NONE)), 777), run.plan)
    first, last = int(run.days.day.min()), int(run.days.day.max())

    np.testing.assert_array_equal(days.between(first, last).score, run.days.score)


def test_extra_cases_are_on_the_said_day_and_all_new(log: Worklog, period: Period) -> None:
    """The day's distinct cases grow by exactly what was put in."""
    injected = more_cases(log, period, 2.0, 1, np.random.default_rng(4))
    assert len(injected.injections) > 40
    for case in injected.injections:
        before, after = cases(log, case.user, case.days[0]), cases_of(injected, log, case)

        assert after == before + case.n_events
        twice = 2 * median_cases(log, case.user, period.first_day)
        assert case.n_events == pytest.approx(twice, abs=1)


def cases(log: Worklog, user: int, day: int) -> int:
    """Count distinct customers of a person's day; a missing one counts once."""
    rows = log.rows_of[user]
    return int(np.unique(log.batch.customer_hash[rows[log.day[rows] == day]]).size)


def cases_of(injected: Injected, log: Worklog, case: Any) -> int:
    """The same after an injection."""
    batch = injected.batch
    mine = batch.take(np.flatnonzero(batch.user_hash == case.user))
    fresh = np.char.startswith(np.array(mine.event_ids), "injected")
    day = np.array([case.days[0]])
    old = log.rows_of[case.user]
    on_day = np.isin(mine.event_hash, log.batch.event_hash[old[log.day[old] == day]])
    return int(np.unique(mine.customer_hash[on_day | fresh]).size)


def test_a_sustained_excess_is_on_active_days_in_a_row(log: Worklog, period: Period) -> None:
    """No day of work is left out between the first and the last."""
    injected = more_cases(log, period, 1.0, 3, np.random.default_rng(4))
    assert injected.injections
    for case in injected.injections:
        days = active_days(log, case.user, period)
        start = int(np.searchsorted(days, case.days[0]))

        assert case.days == tuple(days[start : start + 3].tolist())


@pytest.mark.parametrize("new_seconds", [shifted, scattered, borrowed])
def test_moved_hours_stay_on_their_day(
    log: Worklog, period: Period, run: banks.BankRun, new_seconds: Any
) -> None:
    """Only times change: no event is lost, doubled, or on another local day."""
    injected = moved_hours(log, period, new_seconds, np.random.default_rng(2))
    after = worklog(injected.batch, run.plan.clock)
    case = injected.injections[5]
    mine, theirs = log.rows_of[case.user], after.rows_of[case.user]

    assert sorted(injected.batch.event_ids) == sorted(log.batch.event_ids)
    np.testing.assert_array_equal(np.sort(log.day[mine]), np.sort(after.day[theirs]))
    assert not np.array_equal(np.sort(log.second[mine]), np.sort(after.second[theirs]))


def test_foreign_cases_are_of_a_branch_never_visited(log: Worklog, period: Period) -> None:
    """One branch a person, which the clean log never names with that person."""
    injected = foreign_cases(log, period, 3, np.random.default_rng(2))
    batch = injected.batch
    fresh = np.char.startswith(np.array(batch.event_ids), "injected")
    assert injected.injections
    for case in injected.injections:
        rows = np.flatnonzero((batch.user_hash == case.user) & fresh)
        names = {batch.record_branch.at(row) for row in rows.tolist()}
        unknown = {log.batch.record_branch.values[c] for c in never_visited(log, case.user)}

        assert rows.size == 3
        assert len(names) == 1
        assert names <= unknown


def test_an_injection_disturbs_nobody_else(
    log: Worklog, period: Period, run: banks.BankRun
) -> None:
    """That is why one run can hold an injection for every person."""
    one = min(log.rows_of)
    alone = Worklog(log.batch, log.day, log.second, {one: log.rows_of[one]})
    injected = more_cases(alone, period, 8.0, 1, np.random.default_rng(0))
    days = ledger(cut(injected.batch), run.plan).between(period.first_day, period.last_day)
    others = days.user != one

    np.testing.assert_array_equal(days.score[others], run.days.score[others])
    assert days.score[~others].max() > run.days.score[~others].max() - 1e-12


def test_the_bar_of_windows_equals_a_slow_one(run: banks.BankRun) -> None:
    """Every person counts the same, every window of a person the same."""
    values, weights = [], []
    for user in np.unique(run.days.user).tolist():
        score = run.days.score[run.days.user == user]
        n = score.size - 2
        for start in range(n):
            values.append(score[start : start + 3].max())
            weights.append(1.0 / n)
    slow = weighted_quantile(np.array(values), np.array(weights), 0.99)

    assert real.window_bar(run.days, 3) == slow
    assert real.window_bar(run.days, 1) == np.quantile(run.days.score, 0.99)


def test_whoever_knows_the_truth_finds_everybody(small: banks.Bank, run: banks.BankRun) -> None:
    """The ranking asks for the right people on the right days."""
    found = banks.found_by(small, run.days, oracle(small, run.days))
    at_20 = found.budgets[-1]

    assert at_20.recall == at_20.precision == 1.0
    assert banks.found_by(small, run.days, np.zeros(run.days.user.size)).budgets[-1].recall == 0.0


def oracle(small: banks.Bank, days: Ledger) -> Any:
    """9 for a culprit on an incident's days, else 0."""
    score = np.zeros(days.user.size)
    for incident in small.truth.incidents:
        first, last = (
            small.first_day + (day - small.truth.first_day) // timedelta(days=1)
            for day in (incident.first_day, incident.last_day)
        )
        names = np.array([small.name_of[user] for user in days.user.tolist()])
        mine = np.isin(names, sorted(incident.users))
        score[mine & (days.day >= first) & (days.day <= last)] = 9.0
    return score


def test_quiet_days_have_no_culprit(small: banks.Bank, run: banks.BankRun) -> None:
    """Calibration is judged on people without any incident."""
    culprits = set().union(*(incident.users for incident in small.truth.incidents))
    quiet = banks.quiet_days(small, run)

    assert quiet.user.size > 100
    assert not {small.name_of[user] for user in quiet.user.tolist()} & culprits


def test_a_policy_without_a_detector_lacks_only_that(small: banks.Bank) -> None:
    """The ablation switches one off; its surprise is then 0."""
    off = banks.without(load_policy(None), "bulk_read")
    days = banks.run_bank(small, off).days

    assert [name for name, one in off.detectors.items() if not one.enabled] == ["bulk_read"]
    assert days.surprise[:, DETECTORS.index("bulk_read")].max() == 0.0
    assert "bulk_read" not in banks.speaking_detectors(days)


def test_z_scores_do_not_see_the_future(run: banks.BankRun) -> None:
    """A peer that looks ahead would be no peer: the last day changes nothing before it."""
    values, train = peers.features(run.days), np.ones(run.days.user.size, dtype=np.bool_)
    train[-1] = False
    other = values.copy()
    other[-1] += 5.0
    before, after = (peers.z_scores(run.days, v, train) for v in (values, other))

    np.testing.assert_array_equal(before[:-1], after[:-1])
    assert (after[-1] >= before[-1]).all()


def test_every_peer_scores_every_day(small: banks.Bank, run: banks.BankRun) -> None:
    """A louder day scores higher, whoever judges it."""
    train = run.days.day < np.median(run.days.day)
    scores = peers.peer_scores(run.days, train)
    bad = oracle(small, run.days) > 0.0

    areas = {name: auc(score[bad], score[~bad]) for name, score in scores.items()}
    assert all(np.isfinite(score).all() for score in scores.values())
    assert len(areas) == 5
    del areas["half-space trees"]  # silent until 250 days are seen: most of this bank's

    assert min(areas.values()) > 0.5


def test_who_is_read_is_among_the_best_of_the_others(run: banks.BankRun) -> None:
    """The bar of a day, against counting all others."""
    bars = attackers.Bars(run.days, 2)
    day = int(run.days.day[0])
    today = run.days.take(run.days.day == day)
    for user in today.user[:10].tolist():
        for score in (0.0, *today.score[:20].tolist(), 99.0):
            others = (today.score >= score) & (today.user != user)

            assert bars.is_read(user, day, score) == (others.sum() < 2)


def test_a_ramp_takes_three_percent_more_every_day(small: banks.Bank, run: banks.BankRun) -> None:
    """On the eleventh day some 38 % of the usual, rounded up or down."""
    target = attackers.target_of(run.days, small.events, run.plan, 6, 1)
    target = replace(target, period=Period(int(run.days.day.min()), int(run.days.day.max())))
    doses = attackers.ramp_doses(target, np.random.default_rng(0))
    assert len(doses) == 6
    for one in doses:
        usual = median_cases(target.log, one.user, target.period.first_day)
        grown = np.array(one.days) - target.period.first_day + 1

        np.testing.assert_allclose(one.n_cases, usual * (1.03**grown - 1.0), atol=1.0)


def test_every_scenario_has_an_outcome(small: banks.Bank, run: banks.BankRun) -> None:
    """Delays lie within the attack; without detection all is taken."""
    target = attackers.target_of(run.days, small.events, run.plan, 6, 1)
    found = list(attackers.attacks(target, (1, 5), np.random.default_rng(0)))
    scenarios = {attack.scenario.split(":")[0] for attack in found}

    assert {"ramp", "split", "burst"} <= scenarios
    assert all(a.delay_days is None or a.delay_days >= 0 for a in found)
    assert all(a.taken == 1.0 for a in found if a.delay_days is None)


def test_the_report_has_a_row_for_each_result(small: banks.Bank, run: banks.BankRun) -> None:
    """What was measured is what is told."""
    kinds = report.kinds_table({60: [run.found]}, 5).splitlines()
    sizes = report.banks_table({60: [run.found, run.found]}).splitlines()
    lost = report.ablation_table([run.found], {"bulk_read": [run.found]})
    quiet = report.calibration_table([banks.calibration(banks.quiet_days(small, run))])

    assert len(kinds) == 2 + len(run.found.kinds)
    assert len(sizes) == 2 + len(banks.BUDGETS)
    assert "| bulk_read | 0.000 | 0.000 | 0.000 |" in lost
    assert quiet.splitlines()[2].startswith("| score |")


@pytest.mark.parametrize(
    ("reached", "word"), [(0.2, "below the floor"), (0.3, "above the floor"), (0.4, "goal met")]
)
def test_a_shortfall_is_called_one(reached: float, word: str) -> None:
    """Floor and goal are inclusive."""
    found = real.Finding("x", "y", Interval(reached, reached, reached, 8), 0.3, 0.4, 1)

    assert report.verdict(found) == word
    assert word in report.findings_table([found])


def test_the_recipe_can_be_run() -> None:
    """It imports what it needs and names its sections."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "pipelines" / "quality.py"), "--help"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "bpic12" in done.stdout
