"""Promotion: compared in the shadow, within the gates, approved by a second, undone at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from detector.artifacts import read_artifact
from detector.engine import new_state, step
from detector.evaluation import read_truth
from detector.hosts.events import decoded
from detector.hosts.live_shadow import place_of, write_tally
from detector.hosts.models import try_version
from detector.hosts.shadow import Comparison, Shadow, Tally
from detector.mapping import load_mapping
from detector.plan import Plan, build_plan
from detector.policy import load_policy
from detector.reference import load_reference
from detector.registry import Decision
from detector.registry.ledger import GATES
from tests.conftest import Run
from tests.registry.conftest import SINCE, Shelf

OPEN = {
    **GATES,
    "max_alerts_ratio": 1_000.0,
    "max_lost_known_incidents": 100.0,
    "max_cost_ratio": 1_000.0,
    "min_days": 1.0,
}


@pytest.fixture(scope="module")
def plans(bank: Path, artifacts: tuple[Path, Path]) -> tuple[Plan, Plan]:
    """Production reads one alert a day, the candidate five."""
    policy, reference = load_policy(None), load_reference(bank / "reference")
    five, one = (build_plan(policy, read_artifact(path), reference) for path in artifacts)
    return one, five


@pytest.fixture(scope="module")
def compared(bank: Path, plans: tuple[Plan, Plan]) -> tuple[Comparison, list[bytes]]:
    """The comparison, and the alerts that were let out."""
    both, lines = Shadow(*plans), []
    for chunk in decoded(str(bank / "events.jsonl"), load_mapping(None), 1_000_000):
        lines += [alert.to_json_line() for alert in both.run(chunk.batch)]
    return both.comparison(read_truth(bank / "truth.json")), lines


def test_the_shadow_lets_out_what_production_says(
    bank: Path, plans: tuple[Plan, Plan], compared: tuple[Comparison, list[bytes]]
) -> None:
    """Byte for byte, and nothing of the candidate."""
    state, alone = new_state(plans[0]), []
    for chunk in decoded(str(bank / "events.jsonl"), load_mapping(None), 1_000_000):
        result = step(state, chunk.batch, plans[0])
        state = result.state
        alone += [alert.to_json_line() for alert in result.alerts]

    assert compared[1] == alone != []


def test_the_comparison_counts_both_sides(compared: tuple[Comparison, list[bytes]]) -> None:
    """A lower threshold gains alerts and loses none; every count adds up."""
    found = compared[0]

    assert found.n_after == found.n_before + len(found.gained) - len(found.lost)
    assert not found.lost
    assert len(found.gained) > 0
    for counts in found.by.values():
        assert sum(before for before, _ in counts.values()) == found.n_before
        assert sum(after for _, after in counts.values()) == found.n_after
    assert found.lost_incidents == 0
    assert found.cost_ratio > 0.0
    assert found.n_days >= 13


def test_each_gate_refuses_in_words(compared: tuple[Comparison, list[bytes]]) -> None:
    """The figure, the limit and its name."""
    found = compared[0]
    assert not found.refusals(OPEN)
    for name, value in (
        ("max_alerts_ratio", 0.1), ("max_lost_known_incidents", -1.0), ("max_cost_ratio", 0.0),
        ("min_days", 400.0),
    ):  # fmt: skip
        (said,) = found.refusals({**OPEN, name: value})

        assert f"({name})" in said


def open_gates(shelf: Shelf) -> None:
    """Let any comparison of this small bank pass."""
    gates = "".join(f"{name} = {value}\n" for name, value in OPEN.items())
    (shelf.folder / "registry.toml").write_text(f"[gates]\n{gates}")


def shadow_and_promote(detector: Run, shelf: Shelf, bank: Path, version: str, **who: str) -> object:
    """Run both commands; return how the second ended."""
    report = shelf.folder.parent / "comparison.json"
    done = detector(
        "shadow", bank / "events.jsonl", "--registry", shelf.folder, "--candidate", version,
        "--reference", bank / "reference", "--since", SINCE, "--truth", bank / "truth.json",
        "--output", report,
    )  # fmt: skip
    assert done.code == 0, done.err
    return detector(
        "promote", version, "--registry", shelf.folder, "--by", who.get("by", "ben"),
        "--approved-by", who.get("approved_by", "eve"), "--comparison", report,
        "--reason", "more", "--position", "topic/3:17",
    )  # fmt: skip


def test_a_version_goes_its_whole_way(detector: Run, shelf: Shelf, bank: Path) -> None:
    """Shadow, promote, a second one, and back with one command."""
    open_gates(shelf)
    assert shadow_and_promote(detector, shelf, bank, shelf.second).code == 0
    assert shadow_and_promote(detector, shelf, bank, shelf.first).code == 0
    last = shelf.registry.ledger().history[-1]
    assert (last.by, last.approved_by, last.position) == ("ben", "eve", "topic/3:17")

    done = detector("rollback", "--registry", shelf.folder, "--by", "ben", "--reason", "noise")
    assert done.out == f"production is {shelf.second}, no longer {shelf.first}\n"
    listed = json.loads(detector("models", "list", "--registry", shelf.folder, "--json").out)
    assert {"version": shelf.second, "roles": ["production"]} in listed
    again = detector("rollback", "--registry", shelf.folder, "--by", "ben", "--reason", "more")
    assert again.code == 2
    assert "there is no version to go back to" in again.err


@pytest.mark.parametrize("approved_by", ["ben", "ana", ""])
def test_who_made_or_promotes_it_is_no_second_person(
    detector: Run, shelf: Shelf, bank: Path, approved_by: str
) -> None:
    """Four eyes."""
    open_gates(shelf)
    done = shadow_and_promote(detector, shelf, bank, shelf.second, approved_by=approved_by)

    assert done.code == 2
    assert "--approved-by: is no second person" in done.err
    assert shelf.registry.ledger().roles == {}


def test_a_gate_that_is_not_passed_stops_the_promotion(
    detector: Run, shelf: Shelf, bank: Path
) -> None:
    """The built-in priors say less than five alerts a day: too many more, by default."""
    (shelf.folder / "registry.toml").write_text("[gates]\nmin_days = 300.0\n")
    done = shadow_and_promote(detector, shelf, bank, shelf.first)

    assert done.code == 2
    assert "days compared, at least 300 (min_days)" in done.err


def test_a_comparison_of_other_versions_is_refused(detector: Run, shelf: Shelf, bank: Path) -> None:
    """What was compared is what is promoted."""
    open_gates(shelf)
    assert shadow_and_promote(detector, shelf, bank, shelf.second).code == 0
    report = shelf.folder.parent / "comparison.json"
    say = ["--registry", shelf.folder, "--by", "ben", "--approved-by", "eve"]
    other = detector("promote", shelf.first, *say, "--comparison", report)
    assert "compares other versions" in other.err
    report.write_text("[]")
    broken = detector("promote", shelf.first, *say, "--comparison", report)

    assert (other.code, broken.code) == (2, 1)
    assert "is no comparison" in broken.err


def test_the_shadow_role_is_the_usual_candidate(detector: Run, shelf: Shelf, bank: Path) -> None:
    """Set once, compared every night."""
    shelf.registry.decide(Decision("t", "shadow", shelf.first, "", "ben"))
    shelf.registry.decide(Decision("t", "production", shelf.second, "", "ben"))
    done = detector("shadow", bank / "events.jsonl", "--registry", shelf.folder, "--json")
    found = json.loads(done.out)

    assert (found["candidate"], found["production"]) == (shelf.first, shelf.second)


def test_keys_and_versions_are_made_on_the_command_line(
    detector: Run, artifacts: tuple[Path, Path], bank: Path, tmp_path: Path
) -> None:
    """Make a key, add with the history's window and digest, verify; a broken one is a finding."""
    key, models = tmp_path / "key.pem", tmp_path / "models"
    assert detector("models", "keygen", key, models / "trusted" / "ana.pem").code == 0
    done = detector(
        "models", "add", artifacts[0], "--registry", models, "--key", key, "--by", "ana",
        "--events", bank / "events.jsonl", "--notes", "first",
    )  # fmt: skip
    name = done.out.strip()
    record = json.loads((models / "versions" / name / "record.json").read_bytes())
    assert record["data"]["first_event"].startswith("2026-03-0")
    assert len(record["data"]["digest"]) == 32

    assert detector("models", "verify", name, "--registry", models).code == 0
    (models / "versions" / name / "arrays.npz").write_bytes(b"")
    broken = detector("models", "verify", name, "--registry", models)
    assert broken.code == 3
    assert "arrays.npz: has changed since it was added" in broken.out


def test_tallies_of_many_streams_add_up_to_one_comparison(
    detector: Run, shelf: Shelf, bank: Path, plans: tuple[Plan, Plan], tmp_path: Path
) -> None:
    """Written by workers, stream by stream; the same one again changes no count of alerts."""
    for version, before in ((shelf.second, ""), (shelf.first, shelf.second)):
        shelf.registry.decide(Decision("t", "production", version, before, "ben"))
    try_version(str(shelf.folder), shelf.second, "ben")
    parts = [Tally(), Tally()]
    states = [new_state(plan) for plan in plans]
    for number, chunk in enumerate(decoded(str(bank / "events.jsonl"), load_mapping(None), 10**6)):
        raised = []
        for side, plan in enumerate(plans):
            result = step(states[side], chunk.batch, plan)
            states[side] = result.state
            raised.append(result.alerts)
        parts[number % 2].note(chunk.batch, 0, raised)
    for number, tally in enumerate((*parts, parts[0])):
        place = place_of(shelf.first, shelf.second, f"topic/{number}")
        write_tally(shelf.registry, place, tally)
    report = tmp_path / "comparison.json"
    done = detector("models", "compare", "--registry", shelf.folder, "--output", report)
    found = Comparison(**json.loads(report.read_text()))
    whole = Tally()
    for tally in parts:
        whole.add(tally)

    assert done.code == 0, done.err
    assert (found.production, found.candidate) == (shelf.first, shelf.second)
    assert (found.n_before, found.n_after) == (len(whole.before), len(whole.after))
    assert 0 < found.n_before < found.n_after
    assert f"{found.n_before} alerts now, {found.n_after} with the candidate" in done.out
    (shelf.folder / place).write_text("{}")
    broken = detector("models", "compare", "--registry", shelf.folder)
    assert (broken.code, "topic-2.json: is no tally of a shadow" in broken.err) == (2, True)


def test_the_shadow_is_given_and_taken_on_the_command_line(detector: Run, shelf: Shelf) -> None:
    """Verified first; nothing has been compared yet."""
    shelf.registry.decide(Decision("t", "production", shelf.first, "", "ben"))
    say = ["--registry", shelf.folder, "--by", "ben"]

    assert detector("models", "try", shelf.second[:8], *say).out == f"shadow is {shelf.second}\n"
    none = detector("models", "compare", "--registry", shelf.folder)
    assert "holds no comparison yet" in none.err
    assert detector("models", "try", *say).out == "there is no shadow\n"
    (shelf.folder / "versions" / shelf.second / "arrays.npz").write_bytes(b"")
    assert "has changed since it was added" in detector("models", "try", shelf.second, *say).err
    assert shelf.registry.ledger().roles == {"production": shelf.first, "shadow": ""}
