"""A surprise of 2 is reached by about one quiet person-day in a hundred, not by more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from detector.artifacts import Artifact
from detector.columns import EventBatch
from detector.detections import DETECTORS
from detector.fitting import fit
from detector.fitting.calibration import fit_knots
from detector.fitting.history import History, run_history
from detector.hosts.events import decoded
from detector.hosts.fit import before
from detector.hosts.local_time import since_ns
from detector.mapping import Mapping, load_mapping
from detector.plan import build_plan
from detector.policy import Policy, load_policy
from detector.reference import Reference, load_reference
from detector.simulate import SimulationConfig, simulate
from detector.state.layout import CALIBRATED, DAY, F64, SCORE
from tests.conftest import ROOT

BANK = SimulationConfig(users=300, branches=12, days=56, incidents=0)
# What a quiet bank hardly ever brings (the same customer on many days, refusals, record
# numbers in order), and at 3 also sums over weeks, may be rarer than it says, not more frequent.
EXACT = {
    2: ("bulk_read", "off_hours", "cross_branch", "unfamiliar", "slow_drip", "sensitive",
        "under_cap", "score"),
    3: ("bulk_read", "off_hours", "cross_branch", "unfamiliar", "under_cap", "score"),
}  # fmt: skip


def later_days(
    events: Path, cut_ns: int, mapping: Mapping, policy: Policy, reference: Reference
) -> History:
    """Fit on what lies before an instant, run everything, return the days after it."""
    batches = [chunk.batch for chunk in decoded(str(events), mapping, 1_000_000)]

    def history() -> Iterator[EventBatch]:
        kept = (before(batch, cut_ns) for batch in batches)
        return (batch for batch in kept if len(batch))

    arrays, manifest = fit(history, policy, reference)
    plan = build_plan(
        policy, Artifact(arrays, manifest, "test"), reference,
        emit_from_ns=2**62, keep_ledger=True,
    )  # fmt: skip
    return run_history(batches, plan)


def surprises_after(history: History, first_day: int) -> F64:
    """(days, detectors + 1) calibrated surprises, the score last."""
    columns = [*range(CALIBRATED, CALIBRATED + len(DETECTORS)), SCORE]
    return history.surprise[history.day[:, DAY] >= first_day][:, columns]


def observed_over_nominal(surprise: F64, power: int) -> dict[str, float]:
    """Rate of surprises of at least ``power``, times 10 to the power, by detector."""
    share = (surprise >= power).mean(axis=0) * 10.0**power
    return dict(zip((*DETECTORS, "score"), share.tolist(), strict=True))


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> F64:
    """Surprises of four weeks of two quiet banks, fitted on the four weeks before."""
    parts = []
    for seed in (31, 32):
        folder = tmp_path_factory.mktemp("quiet")
        simulate(folder, SimulationConfig(BANK.users, BANK.branches, BANK.days, seed, 0))
        cut_ns = since_ns("2026-03-30", None, "test")
        assert cut_ns is not None
        history = later_days(
            folder / "events.jsonl", cut_ns, load_mapping(None), load_policy(None),
            load_reference(folder / "reference"),
        )  # fmt: skip
        parts.append(surprises_after(history, 20_542))
    return np.concatenate(parts)


@pytest.mark.parametrize("power", [2, 3])
@pytest.mark.parametrize("name", [*DETECTORS, "score"])
def test_a_surprise_is_as_rare_as_it_says_on_quiet_days(quiet: F64, name: str, power: int) -> None:
    """On days the fit has not seen, between half and twice as often."""
    least = 0.5 if name in EXACT[power] else 0.0

    assert least <= observed_over_nominal(quiet, power)[name] <= 2.0


def test_what_has_not_come_in_a_small_stratum_is_little_rarer_there_than_in_the_bank() -> None:
    """A thousand days without a day of which the bank sees one in a thousand prove nothing."""
    rng = np.random.default_rng(5)
    pool = rng.exponential(1.0 / np.log(10.0), 20_000)
    quiet = pool[:1000][pool[:1000] < 2.0]
    grid, surprise = fit_knots(pool, quiet)

    assert 2.7 <= np.interp(3.0, grid, surprise) <= 3.3


def test_many_days_of_a_stratum_outweigh_the_bank() -> None:
    """A role that is ten times as loud is judged by itself."""
    rng = np.random.default_rng(6)
    pool = rng.exponential(1.0 / np.log(10.0), 20_000)
    grid, surprise = fit_knots(pool, pool[:5000] + 1.0)

    assert 0.8 <= np.interp(2.0, grid, surprise) <= 1.2


def test_a_surprise_is_as_rare_as_it_says_on_real_days(shared_data: Path) -> None:
    """Staff of a Dutch bank, January to March 2012, fitted on the three months before."""
    policy = load_policy(ROOT / "pipelines" / "policies" / "netherlands.toml")
    mapping = load_mapping(ROOT / "pipelines" / "mappings" / "bpic12.toml")
    cut_ns = since_ns("2012-01-01T00:00:00+01:00", None, "test")
    assert cut_ns is not None
    events = shared_data / "bpic12.jsonl.gz"
    history = later_days(events, cut_ns, mapping, policy, Reference())
    observed = observed_over_nominal(surprises_after(history, 15_340), 2)
    print(observed)

    assert all(0.5 <= observed[name] <= 2.0 for name in ("bulk_read", "off_hours", "score"))
