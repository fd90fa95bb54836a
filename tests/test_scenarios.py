"""What every detector must raise and what it must let pass, as streams of events.

To add a detector, add rows to a table in ``scenarios/``: at least two that fire and three that
are quiet.
"""

from __future__ import annotations

from collections import Counter

import orjson
import pytest

from detector.artifacts import Artifact
from detector.detections import DETECTORS
from detector.plan import Plan, build_plan
from detector.policy import load_policy
from tests.scenarios import BANK, FIRES, HOME, QUIET, Scenario, access, conduct, volume
from tests.streams import run, usual_work, weekdays

SCENARIOS = (*volume.SCENARIOS, *conduct.SCENARIOS, *access.SCENARIOS)


def plan_for(scenario: Scenario, quiet_artifact: Artifact) -> Plan:
    """The default policy with built-in priors or the small bank's."""
    since = scenario.since
    return build_plan(
        load_policy(None),
        quiet_artifact if scenario.fitted else None,
        scenario.reference,
        emit_from_ns=None if since is None else int(since.timestamp()) * 10**9,
    )


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: f"{s.detector}: {s.name}")
def test_a_detector_fires_where_it_should_and_nowhere_else(
    scenario: Scenario, quiet_artifact: Artifact
) -> None:
    """A detector that never fires is as useless as one that always does."""
    events = sorted(scenario.stream(), key=lambda item: str(item["event_time"]))
    lines, _, _ = run(events, plan_for(scenario, quiet_artifact))
    raised = {name for line in lines for name in orjson.loads(line)["detectors"]}

    assert (scenario.detector in raised) is scenario.fires


CHANGES = {
    "a new computer": {"device_id": "PC-2"},
    "work from home": {"device_id": "PC-2", "source_ip": "100.64.3.3"},
    "a new task": {"system": "crm", "action": "search"},
    "a new desk with everything": {
        "device_id": "PC-2", "source_ip": "100.64.3.3", "system": "crm", "channel": "phone",
    },
    "a transfer the directory knows": {"home": "B005", "branch": "B005"},
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("fitted", [False, True], ids=["built-in", "fitted"])
def test_a_change_for_good_costs_at_most_one_alert(
    change: str, fitted: bool, quiet_artifact: Artifact
) -> None:
    """On the first day somebody may ask; the two weeks after are this person's own ways."""
    usual = {**HOME, **conduct.DESK}
    days = weekdays(26)
    events = usual_work("u1", days[:15], **usual)
    events += usual_work("u1", days[15:], 30, 500_000, **{**usual, **CHANGES[change]})
    plan = build_plan(load_policy(None), quiet_artifact if fitted else None, BANK)
    lines, _, _ = run(events, plan)

    assert len({orjson.loads(line)["alert_id"] for line in lines}) <= 1


def test_every_detector_has_two_firing_and_three_quiet_scenarios() -> None:
    """A new detector without scenarios is not finished."""
    n = Counter((scenario.detector, scenario.fires) for scenario in SCENARIOS)
    detectors = set(DETECTORS)

    assert {d for d in detectors if n[d, FIRES] >= 2 and n[d, QUIET] >= 3} == detectors
