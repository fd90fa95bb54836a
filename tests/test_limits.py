"""Limits bound memory; whoever runs the detector is told when one has been reached."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.conftest import Run
from tests.streams import approval, event, lines_of

NOON = datetime(2024, 3, 4, 4, 0, tzinfo=UTC)  # a Monday in a year whose holidays are known
LIMITED = {
    "max_actors = 1": (
        [event(i, f"u{i}", NOON + timedelta(seconds=i)) for i in range(4)],
        "3 events of actors beyond max_actors were not scored; raise [limits] max_actors",
    ),
    "max_tail_rows = 16": (
        [event(i, "u1", NOON + timedelta(seconds=i)) for i in range(100)],
        "an actor's recent rows were cut; raise [limits] max_tail_rows",
    ),
    "max_customers_per_actor = 5": (
        [event(i, "u1", NOON + timedelta(seconds=i)) for i in range(12)],
        "7 events beyond max_customers_per_actor counted as known customers",
    ),
    "max_branches_per_actor = 2": (
        [event(i, "u1", NOON + timedelta(seconds=i), branch=f"B{i}") for i in range(6)],
        "events beyond max_branches_per_actor were not scored for their branch",
    ),
    "max_values_per_actor = 8": (
        [event(i, "u1", NOON + timedelta(seconds=i), device_id=f"PC-{i}") for i in range(13)],
        "6 values beyond max_values_per_actor were left out of profiles",
    ),
    "max_approvals_per_actor = 2": (
        [
            approval(i, "u1", NOON, NOON + timedelta(days=1), customer_id=f"c{i}")
            for i in (0, 1, 1, 2, 3)
        ],
        "2 approvals beyond max_approvals_per_actor explain nothing",
    ),
}


@pytest.mark.parametrize("limit", LIMITED)
@pytest.mark.parametrize("output", [[], ["--json"]], ids=["for people", "for programs"])
def test_a_limit_that_is_reached_is_one_warning_at_the_end(
    limit: str, output: list[str], tmp_path: Path, detector: Run
) -> None:
    """An operator who is not told believes that everything was looked at."""
    events, words = LIMITED[limit]
    (tmp_path / "policy.toml").write_text(f"[limits]\n{limit}\n", "utf-8")
    done = detector(
        "replay", "-", "--policy", tmp_path / "policy.toml", *output,
        stdin=b"\n".join(lines_of(events)),
    )  # fmt: skip

    assert done.code == 0
    assert done.err.startswith("warning: ")
    assert done.err.endswith(f"{words}\n")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("limit", LIMITED)
def test_a_limit_that_is_not_reached_is_no_warning(limit: str, detector: Run) -> None:
    """The same events under the limits of the default policy."""
    done = detector("replay", "-", stdin=b"\n".join(lines_of(LIMITED[limit][0])))

    assert (done.code, done.err) == (0, "")


def test_the_warning_counts_the_runs_before_an_interruption(tmp_path: Path, detector: Run) -> None:
    """With a store the totals are those since the first event, whoever saw it."""
    events, words = LIMITED["max_actors = 1"]
    (tmp_path / "policy.toml").write_text("[limits]\nmax_actors = 1\n", "utf-8")
    (tmp_path / "e.jsonl").write_bytes(b"\n".join(lines_of(events)))
    store = f"sqlite:///{tmp_path}/a.db"
    command = ("replay", tmp_path / "e.jsonl", "--policy", tmp_path / "policy.toml")
    warnings = [detector(*command, "--store", store).err for _ in range(2)]

    assert warnings == [f"warning: {words}\n"] * 2
