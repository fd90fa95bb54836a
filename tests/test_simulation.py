"""The simulated bank: repeatable, labelled, and as late and double as its parameters say."""

from __future__ import annotations

import hashlib
from collections import Counter
from datetime import date, datetime
from pathlib import Path

import numpy as np
import orjson
import pytest

from detector.simulate import SimulationConfig, simulate
from detector.simulate import parameters as p
from detector.simulate.bank import build_bank
from detector.simulate.incidents import plan_incidents
from tests.streams import decode_lines

SMALL = SimulationConfig(users=40, branches=4, days=8, seed=11, incidents=6)


def contents(folder: Path) -> dict[str, str]:
    """Digest of every file under a folder, by relative name."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def lines(bank: Path) -> list[bytes]:
    """The events of the small bank, in arrival order."""
    return (bank / "events.jsonl").read_bytes().splitlines()


@pytest.fixture(scope="module")
def times_s(lines: list[bytes]) -> np.ndarray:
    """Event times of the lines, in seconds."""
    return np.array(
        [datetime.fromisoformat(orjson.loads(line)["event_time"]).timestamp() for line in lines]
    )


def test_the_same_configuration_gives_the_same_bytes(tmp_path: Path) -> None:
    """A result can be reproduced elsewhere from six numbers."""
    for name in ("one", "two"):
        simulate(tmp_path / name, SMALL)

    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert set(contents(tmp_path / "one")) >= {
        "events.jsonl", "truth.json", "reference/staff.csv", "reference/branches.csv",
    }  # fmt: skip


def test_another_seed_gives_another_bank(tmp_path: Path) -> None:
    """Eight seeds must be eight banks."""
    simulate(tmp_path / "one", SMALL)
    other = SimulationConfig(users=40, branches=4, days=8, seed=12, incidents=6)
    simulate(tmp_path / "two", other)
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")

    assert [one[name] == two[name] for name in ("events.jsonl", "truth.json")] == [False, False]


@pytest.mark.parametrize("seed", range(6))
def test_every_kind_of_incident_can_be_drawn(seed: int) -> None:
    """A kind that is never drawn is a kind nobody measures."""
    config = SimulationConfig(users=200, branches=12, days=28, seed=seed, incidents=16)
    bank = build_bank(config, np.random.default_rng(seed))
    incidents = plan_incidents(bank, np.random.default_rng(seed))

    assert [case.kind for case in incidents] == list(p.INCIDENTS)


@pytest.mark.parametrize("seed", range(3))
def test_nobody_is_in_two_incidents_and_none_begins_before_the_scored_half(seed: int) -> None:
    """Truth is read by user and day: two cases of one person could not be told apart."""
    config = SimulationConfig(users=200, branches=12, days=28, seed=seed, incidents=32)
    bank = build_bank(config, np.random.default_rng(seed))
    incidents = plan_incidents(bank, np.random.default_rng(seed))
    users = Counter(user for case in incidents for user in case.users)

    assert max(users.values()) == 1
    assert all(
        config.first_scored_day <= min(case.days) <= max(case.days) < config.days
        for case in incidents
    )


def test_every_line_is_a_canonical_event(lines: list[bytes]) -> None:
    """The simulator speaks the format it is made to test: nothing is rejected."""
    _, rejects = decode_lines(lines)

    assert rejects == []


def test_the_events_of_the_truth_exist_and_are_their_users(bank: Path, lines: list[bytes]) -> None:
    """A label that names no event, or somebody else's, would make recall a lie."""
    user_of = {event["event_id"]: event["user_id"] for event in map(orjson.loads, lines)}
    for case in orjson.loads((bank / "truth.json").read_bytes())["incidents"]:
        assert case["event_ids"]
        assert {user_of.get(i) for i in case["event_ids"]} == set(case["users"])


def test_the_events_of_the_truth_lie_within_its_days(bank: Path, lines: list[bytes]) -> None:
    """Local days, both ends included; a night that begins on the last day may end the next."""
    day_of = {
        event["event_id"]: date.fromisoformat(event["event_time"][:10])
        for event in map(orjson.loads, lines)
    }
    for case in orjson.loads((bank / "truth.json").read_bytes())["incidents"]:
        days = {day_of[i] for i in case["event_ids"]}
        after = (max(days) - date.fromisoformat(case["end"])).days

        assert min(days) == date.fromisoformat(case["start"])
        assert after <= (1 if case["kind"] == "off_hours" else 0)


def test_every_person_and_branch_of_the_events_is_in_the_reference(
    bank: Path, lines: list[bytes]
) -> None:
    """The tables are what a bank would hand over with its logs."""
    events = [orjson.loads(line) for line in lines]
    for table, fields in (
        ("staff", ["user_id"]),
        ("branches", ["user_branch", "record_branch"]),
    ):
        text = (bank / "reference" / f"{table}.csv").read_text("utf-8")
        known = {line.split(",")[0] for line in text.splitlines()[1:]}

        assert {event[field] for event in events for field in fields} <= known


def test_late_events_are_as_many_as_the_parameter_says(times_s: np.ndarray) -> None:
    """Behind the newest by two minutes or more: one in a hundred, within a fifth."""
    newest = np.maximum.accumulate(times_s)
    share = float((newest - times_s >= 120.0).mean())

    assert share == pytest.approx(p.LATE_SHARE, rel=0.2)


def test_lines_come_in_the_order_of_arrival(times_s: np.ndarray) -> None:
    """No line is later than the parameter allows, and those on time are in order."""
    behind = np.maximum.accumulate(times_s) - times_s
    punctual = behind < 30.0  # a duplicate comes half a minute after its first

    assert float(behind.max()) <= p.LATE_MAX_S + 31.0
    assert float((behind[punctual] < 1.0).mean()) > 1.0 - 2.0 * p.DUPLICATE_SHARE


def test_duplicates_are_as_many_as_the_parameter_says_and_exact_copies(lines: list[bytes]) -> None:
    """A delivery that is repeated is repeated to the byte."""
    n_ids = len({orjson.loads(line)["event_id"] for line in lines})

    assert len(set(lines)) == n_ids
    assert len(lines) / n_ids - 1.0 == pytest.approx(p.DUPLICATE_SHARE, rel=0.2)


def test_people_rest_at_night_and_on_sundays(lines: list[bytes]) -> None:
    """Office roles; whoever is there at 03:00 on a Sunday is an incident or a batch."""
    hours: Counter[bool] = Counter()
    for event in map(orjson.loads, lines):
        if event["user_role"] in {"teller", "loan_officer", "relationship_manager"}:
            when = datetime.fromisoformat(event["event_time"])
            hours[6 <= when.hour < 22 and when.weekday() != 6] += 1

    assert hours[True] / hours.total() > 0.98


def test_service_accounts_work_in_their_hours(lines: list[bytes]) -> None:
    """The nightly batch is what off_hours must learn to leave alone."""
    events = [e for e in map(orjson.loads, lines) if e["account_type"] == "service"]
    hours = Counter(datetime.fromisoformat(e["event_time"]).hour for e in events)
    first, stop = p.SERVICE_HOURS
    n = sum(count for hour, count in hours.items() if first <= hour < stop)

    assert n / len(events) > 0.97


def test_branches_abroad_have_their_own_offset(tmp_path: Path) -> None:
    """From eight branches on, two lie in other zones."""
    simulate(tmp_path, SimulationConfig(users=80, branches=8, days=2, seed=1, incidents=0))
    offsets = {
        orjson.loads(line)["event_time"][-6:]
        for line in (tmp_path / "events.jsonl").read_bytes().splitlines()
    }

    assert offsets == {"+08:00", "+01:00", "-05:00"}


def test_progress_is_told_day_by_day(tmp_path: Path) -> None:
    """A progress bar that jumps from nothing to all is none."""
    done: list[int] = []
    simulate(tmp_path, SMALL, done.append)

    assert done == list(range(1, SMALL.days + 1))


def test_the_first_day_is_the_one_that_was_asked_for(tmp_path: Path) -> None:
    """History and calendar begin together."""
    config = SimulationConfig(users=20, branches=2, days=2, incidents=0, start=date(2025, 12, 30))
    simulate(tmp_path, config)
    truth = orjson.loads((tmp_path / "truth.json").read_bytes())
    first = orjson.loads((tmp_path / "events.jsonl").read_bytes().splitlines()[0])["event_time"]

    assert (first[:10], truth["first_scored_day"]) == ("2025-12-30", "2025-12-31")
