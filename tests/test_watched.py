"""A detector that is off costs nothing, and is not missed by the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from detector.detections import DETECTORS
from detector.engine import State
from detector.plan import Plan, build_plan
from detector.policy import load_policy
from detector.reference import Reference
from detector.state.layout import CHANNEL_DETECTOR, N_ACTORS, N_VALUE_PAIRS, RAW
from tests.streams import event, open_days, run, usual_work, weekdays

FIRST_THREE = DETECTORS[:3]


def plan_with(detectors: Sequence[str], *, keep_ledger: bool = False) -> Plan:
    """A plan under which only these detectors are on, and no day ever counts as flagged."""
    policy = load_policy(None)
    tables = {
        name: replace(table, enabled=name in detectors) for name, table in policy.detectors.items()
    }
    alerts = replace(policy.alerts, flag_score=1e9)
    policy = replace(policy, detectors=tables, alerts=alerts)
    return build_plan(policy, None, Reference(), keep_ledger=keep_ledger)


def state_after(plan: Plan) -> State:
    """Four weeks of usual work from two devices, then a night at other branches."""
    days = weekdays(20)
    events = usual_work("u1", days, system="core", device_id="d1", source_ip="10.1.2.3")
    night = days[-1] + timedelta(hours=14)
    events += [
        event(5_000 + i, "u1", night + timedelta(seconds=9 * i), branch=f"B{i % 5}", records=40,
              system="crm", device_id=f"d{i % 2}", data_class="C3", outcome="denied")
        for i in range(60)
    ]  # fmt: skip
    return run(events, plan)[2]


def raw_scores(state: State, detector: str) -> list[list[float]]:
    """The raw scores of a detector's channels on the open days of everybody."""
    at = DETECTORS.index(detector)
    columns = [RAW + c for c, owner in enumerate(CHANNEL_DETECTOR) if owner == at]
    n_actors = int(state.tables.counts[N_ACTORS])
    _, surprises = open_days(state, slice(n_actors))
    return [[float(value) for value in line[columns]] for line in surprises]


@pytest.mark.parametrize("detector", DETECTORS)
def test_a_detector_scores_alone_as_it_does_among_others(detector: str) -> None:
    """Leaving out what only others look at must leave out nothing else."""
    among = raw_scores(state_after(plan_with(DETECTORS)), detector)

    assert raw_scores(state_after(plan_with([detector])), detector) == among


def test_what_is_off_remembers_nothing() -> None:
    """No memory per actor, no look into a table."""
    state = state_after(plan_with(FIRST_THREE))

    assert state.tables.actors.recent.size == 0
    assert state.tables.counts[N_VALUE_PAIRS] == 0
    assert np.count_nonzero(raw_scores(state, "sensitive")) == 0


def test_fitting_learns_of_every_detector() -> None:
    """An artifact serves every policy: what is off today may be on tomorrow."""
    assert plan_with(FIRST_THREE, keep_ledger=True).watched == DETECTORS
    assert plan_with(FIRST_THREE).watched == FIRST_THREE
