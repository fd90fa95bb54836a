"""Nobody carries the alerts of all for what they are rather than what they do."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import detector as ad
from detector.analysis import Result
from detector.analysis.fairness import GROUPS, fairness
from detector.errors import OptionError
from detector.evaluation import read_truth
from detector.reference import Reference, Staff
from tests.analysis.conftest import SINCE, Fitted
from tests.conftest import Run
from tests.streams import event, usual_work, weekdays

DAYS = weekdays(20)
PEOPLE = [f"u{number}" for number in range(10)]
STAFF = Staff(
    user_ids=(*PEOPLE, "svc"),
    roles=(*("teller" if number < 8 else "auditor" for number in range(10)), None),
    branches=(*("B1" if number % 2 else "B2" for number in range(10)), None),
    account_types=(*("person" for _ in PEOPLE), "service"),
    left=(None,) * 11,
    leave=((),) * 11,
)


@pytest.fixture(scope="module")
def unfair() -> Result:
    """Two auditors read a lot on every other day; one teller works nights, one two days a week."""
    rows = []
    for number, user in enumerate([*PEOPLE, "svc"]):
        days = DAYS[::3] if number == 1 else DAYS
        shift = timedelta(hours=12 if number == 0 else 0)
        rows += usual_work(user, [day + shift for day in days], 12, 1_000 * number)
        if number in {8, 9}:
            rows += [
                event(100_000 * number + 100 * n + k, user, day + timedelta(hours=3), records=400)
                for n, day in enumerate(DAYS)
                if n % 2
                for k in range(5)
            ]
    frame = pd.DataFrame(rows).sort_values("event_time", kind="stable")
    return ad.replay(frame, reference=Reference(staff=STAFF), min_score=1.0)


def test_a_group_that_carries_far_more_is_named(unfair: Result) -> None:
    """With its share, and how many times that of all others."""
    found = fairness(unfair)

    assert any(text.startswith("role auditor: ") for text in found.warnings)
    assert not any(text.startswith("role teller") for text in found.warnings)


def test_the_groups_are_who_they_are(unfair: Result) -> None:
    """Nights from 20 o'clock, two thirds of a median colleague's days, the first ten days."""
    table = fairness(unfair).table.set_index(["kind", "group"])["n_days"]

    assert table["role", "auditor"] == 2 * 20
    assert table["night_shift", "True"] == 20
    assert table["part_time", "True"] == len(DAYS[::3])
    assert table["newcomer", "True"] == 9 * 10 + len(DAYS[::3])


def test_every_day_of_a_person_is_in_one_group_of_each_kind(fitted: Fitted) -> None:
    """Rates that leave some out would flatter; machines are nobody."""
    table = fairness(fitted.result, read_truth(fitted.bank / "truth.json")).table
    n = table.groupby("kind")["n_days"].sum()

    assert set(table["kind"]) == set(GROUPS)
    assert len(set(n)) == 1
    assert (table["n_false"] <= table["n_alerts"]).all()
    assert np.isfinite(table["false_rate"]).all()


def test_alerts_of_incidents_are_no_false_alarms(fitted: Fitted) -> None:
    """Known to be true, they burden nobody."""
    truth = read_truth(fitted.bank / "truth.json")
    known, unknown = fairness(fitted.result, truth).table, fairness(fitted.result).table

    assert known["n_alerts"].tolist() == unknown["n_alerts"].tolist()
    assert known["n_false"].sum() < unknown["n_false"].sum()


def test_nobody_s_days_are_an_error(unfair: Result) -> None:
    """An empty table reads like a good one."""
    late = unfair.plan.limits._replace(emit_from_ns=2**62)

    with pytest.raises(OptionError, match="holds no day of a person"):
        fairness(replace(unfair, plan=replace(unfair.plan, limits=late)))


def test_the_command_writes_the_report_and_warns(
    detector: Run, fitted: Fitted, tmp_path: Path
) -> None:
    """What was found, calibration, drift and fairness, on one page."""
    done = detector(
        "report", fitted.bank / "events.jsonl", "--output", tmp_path / "report.md",
        "--artifact", fitted.folder, "--reference", fitted.bank / "reference", "--since", SINCE,
        "--truth", fitted.bank / "truth.json", "--language", "zh",
    )  # fmt: skip
    text = (tmp_path / "report.md").read_text()

    assert done.code == 0, done.err
    assert text.count("## ") == 4
    assert done.err.count("warning: ") == text.count("**警示:**")
