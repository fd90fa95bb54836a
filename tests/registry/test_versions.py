"""Only what is ours, whole and understood is loaded; everything else is refused with its reason."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from detector.artifacts import read_artifact, write_artifact
from detector.errors import ArtifactError
from detector.registry import Decision, Ledger, Registry
from detector.registry import golden as golden_module
from detector.registry.card import card
from detector.registry.golden import golden_events
from detector.registry.guard import FloodGuard, production, undo
from detector.registry.keys import read_private_key, sign, write_key_pair
from detector.registry.ledger import GATES, ledger_text, read_ledger
from detector.registry.record import Origin
from tests.registry.conftest import ORIGIN, Shelf

Break = Callable[[Shelf, Path], None]


def test_a_version_is_loaded_as_it_was_fitted(shelf: Shelf, artifacts: tuple[Path, Path]) -> None:
    """By name, by the beginning of it, and by role."""
    shelf.registry.decide(Decision("t", "production", shelf.first, "", "ben"))
    fitted = read_artifact(artifacts[0])
    for name in (shelf.first, shelf.first[:8], "production"):
        found = shelf.registry.load(name)

        assert found.artifact.digest == fitted.digest == shelf.first
        for array in fitted.arrays:
            np.testing.assert_array_equal(found.artifact.arrays[array], fitted.arrays[array])


def test_the_same_artifact_gives_the_same_files(
    shelf: Shelf, artifacts: tuple[Path, Path], tmp_path: Path
) -> None:
    """Same data, same seed, same person, same moment: the same bytes, signature included."""
    other = Registry(str(tmp_path / "other"))
    other.add(artifacts[0], ORIGIN, read_private_key(shelf.key))
    for path in (tmp_path / "other" / "versions" / shelf.first).iterdir():
        assert (
            path.read_bytes() == (shelf.folder / "versions" / shelf.first / path.name).read_bytes()
        )


def test_an_object_store_holds_versions_too(shelf: Shelf, artifacts: tuple[Path, Path]) -> None:
    """Through fsspec; here its store in memory."""
    remote = Registry("memory://bank/models")
    remote.files.write("trusted/ana.pem", (shelf.folder / "trusted/ana.pem").read_bytes())
    name = remote.add(artifacts[0], ORIGIN, read_private_key(shelf.key))
    remote.decide(Decision("t", "production", name, "", "ben"))

    assert remote.versions() == [name]
    assert remote.load("production").artifact.digest == shelf.first
    with pytest.raises(
        ArtifactError, match=r"memory://bank/models/versions/x/record\.json: is mis"
    ):
        remote.files.read("versions/x/record.json")


def changed(name: str) -> Break:
    """Flip the last byte of a file."""

    def flip(_: Shelf, root: Path) -> None:
        content = bytearray((root / name).read_bytes())
        content[-2] ^= 1
        (root / name).write_bytes(content)

    return flip


def cut(_: Shelf, root: Path) -> None:
    """Leave half of the arrays."""
    content = (root / "arrays.npz").read_bytes()
    (root / "arrays.npz").write_bytes(content[: len(content) // 2])


def foreign(shelf: Shelf, root: Path) -> None:
    """Sign with a key that nobody trusts."""
    stranger = shelf.key.with_name("stranger.pem")
    write_key_pair(stranger, shelf.key.with_name("stranger.pub"))
    record = (root / "record.json").read_bytes()
    (root / "record.json.sig").write_bytes(sign(read_private_key(stranger), record))


def swapped(shelf: Shelf, root: Path) -> None:
    """Put the other version, well signed, into this one's place."""
    shutil.rmtree(root)
    shutil.copytree(shelf.folder / "versions" / shelf.second, root)


def resigned(change: Callable[[dict[str, object]], None]) -> Break:
    """Change the record and sign it well: what another program of ours may have written."""

    def write(shelf: Shelf, root: Path) -> None:
        record = json.loads((root / "record.json").read_bytes())
        change(record)
        content = json.dumps(record).encode()
        (root / "record.json").write_bytes(content)
        (root / "record.json.sig").write_bytes(sign(read_private_key(shelf.key), content))

    return write


BROKEN: dict[str, tuple[Break, str]] = {
    "a changed array": (changed("arrays.npz"), "arrays.npz: has changed since it was added"),
    "cut arrays": (cut, "arrays.npz: has changed since it was added"),
    "a changed manifest": (changed("manifest.json"), "manifest.json: has changed since it was"),
    "a changed record": (changed("record.json"), "record.json: has changed since it was signed"),
    "a changed signature": (
        lambda _, root: (root / "record.json.sig").write_bytes(b"x"),  # type: ignore[func-returns-value]
        "record.json.sig: is no signature",
    ),
    "unsigned": (lambda _, root: (root / "record.json.sig").unlink(), "record.json: is not signed"),
    "foreign": (foreign, "record.json: is signed by a stranger"),
    "swapped": (swapped, "holds another artifact than it says"),
    "a missing array": (lambda _, root: (root / "arrays.npz").unlink(), "arrays.npz: is missing"),
    "changed golden events": (changed("golden_events.jsonl"), "golden_events.jsonl: has changed"),
    "a newer format": (
        resigned(lambda record: record.update(format="audit-anomaly-version-2")),
        "record.json: has format 'audit-anomaly-version-2', expected 'audit-anomaly-version-1'",
    ),
    "other features": (
        resigned(lambda record: record.update(features={"detectors": []})),
        "record.json: was built by detector .* whose features are not those",
    ),
    "no record": (resigned(lambda record: record.clear()), "record.json: is no record"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_cannot_be_trusted_is_refused_by_name(shelf: Shelf, case: str) -> None:
    """The file, the reason, what to do; production is loaded as before."""
    shelf.registry.decide(Decision("t", "production", shelf.second, "", "ben"))
    damage, message = BROKEN[case]
    damage(shelf, shelf.folder / "versions" / shelf.first)

    with pytest.raises(ArtifactError, match=message) as refused:
        shelf.registry.load(shelf.first)
    assert str(shelf.folder) in str(refused.value)
    assert shelf.registry.load("production").name == shelf.second


def test_a_program_that_scores_otherwise_is_refused(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The golden scores were written by the one that added it."""
    monkeypatch.setattr(golden_module, "golden_scores", lambda *_: b"[0.5]")

    with pytest.raises(ArtifactError, match=r"golden_scores\.json: does not match: this program"):
        shelf.registry.load(shelf.first)


def test_golden_events_are_the_same_every_time() -> None:
    """And of nobody: they are simulated."""
    assert golden_events() == golden_events()
    assert golden_events().count(b"\n") > 1_000


def test_a_version_is_never_changed(shelf: Shelf, artifacts: tuple[Path, Path]) -> None:
    """Adding it again could replace what has been approved."""
    with pytest.raises(ArtifactError, match="is there already"):
        shelf.registry.add(artifacts[0], ORIGIN, read_private_key(shelf.key))


def test_an_artifact_that_is_no_model_is_not_added(shelf: Shelf, tmp_path: Path) -> None:
    """It is checked before it is signed."""
    write_artifact(tmp_path / "odd", {"mean": np.zeros(3)}, {"roles": [], "branches": []})

    with pytest.raises(ArtifactError, match="threshold: is missing"):
        shelf.registry.add(tmp_path / "odd", ORIGIN, read_private_key(shelf.key))


@pytest.mark.parametrize("name", ["", "production", "zzz", "shadow"])
def test_a_version_that_is_not_there_is_an_error(shelf: Shelf, name: str) -> None:
    """With those that are."""
    with pytest.raises(ArtifactError, match=f"there is no {name!r}.*{shelf.first[:12]}"):
        shelf.registry.load(name)


def test_the_card_says_in_both_languages_what_the_record_holds(
    shelf: Shelf, artifacts: tuple[Path, Path], tmp_path: Path
) -> None:
    """Figures come from the evaluation; nothing is written by hand."""
    row = {"budget": 5, "recall": 0.75, "recall_low": 0.5, "recall_high": 1.0, "precision": 0.33}
    said = {"nominal": 0.01, "observed": 0.012, "low": 0.008, "high": 0.02}
    data = {"first_event": "2026-03-02", "last_event": "2026-03-08", "digest": "abc"}
    origin = replace(
        ORIGIN, data=data, evaluation={"budgets": [row]}, calibration=(said,), notes="A note."
    )
    registry = Registry(str(tmp_path / "cards"))
    name = registry.add(artifacts[0], origin, read_private_key(shelf.key))
    for language, words in (("en", "What it finds"), ("zh", "发现能力")):
        text = registry.files.read(f"versions/{name}/CARD.{language}.md").decode()

        assert words in text
        assert {"0.75", "0.33", "0.0120", "2026-03-02", "abc", "ana", "A note.", name} <= set(
            re.findall(r"\d{4}-\d\d-\d\d|A note\.|\d+\.\d+|[0-9a-f]{32}|abc|ana", text)
        )
    record = json.loads((shelf.folder / "versions" / shelf.first / "record.json").read_bytes())
    assert "Not evaluated." in card(record, "en")
    assert "未评估。" in card(record, "zh")


def test_the_record_says_what_it_was_made_with(shelf: Shelf) -> None:
    """Enough to make it again, and to know whom to ask."""
    record = shelf.registry.load(shelf.first).record

    assert record["made_by"] == "ana"
    assert {"detector", "numpy", "numba", "scipy"} == set(record["libraries"])
    assert record["features"]["detectors"][0] == "bulk_read"
    assert record["schema"]["mapping"] == "canonical"


def test_roles_and_decisions_are_kept_and_read_back() -> None:
    """Whatever a reason holds."""
    decision = Decision("t", "production", "b", "a", 'A "quoted"\nname', "二", "why = []", "7")
    ledger = Ledger().decided(decision)

    assert read_ledger(ledger_text(ledger), "x") == ledger
    assert ledger.gates == GATES
    with pytest.raises(ArtifactError, match=r"x: unknown key max_alert\. Roles"):
        read_ledger(b"[gates]\nmax_alert = 1.0\n", "x")
    with pytest.raises(ArtifactError, match="x: cannot be read"):
        read_ledger(b"[roles", "x")


def test_the_way_back_leads_over_every_promotion() -> None:
    """Rolling back twice goes back twice, not forth again."""
    ledger = Ledger()
    for version, before in (("a", ""), ("b", "a"), ("c", "b")):
        ledger = ledger.decided(Decision("t", "production", version, before, "ben"))
    assert ledger.previous("production") == "b"
    back = Decision("t", "production", "b", "c", "ben", kind="rollback")

    assert ledger.decided(back).previous("production") == "a"
    assert Ledger().previous("production") == ""


def test_two_who_decide_at_once_do_not_overwrite_each_other(shelf: Shelf) -> None:
    """The second one is told."""
    shelf.registry.decide(Decision("t", "production", shelf.first, "", "ben"))

    with pytest.raises(ArtifactError, match="has been changed by somebody else"):
        shelf.registry.decide(Decision("t", "production", shelf.second, "", "eve"))


def test_production_that_cannot_be_loaded_is_rolled_back(shelf: Shelf) -> None:
    """On its own, with a sentence for the operator; the ledger says why."""
    shelf.registry.decide(Decision("t", "production", shelf.first, "", "ben"))
    assert production(shelf.registry, "now")[1] == ""
    shelf.registry.decide(Decision("t", "production", shelf.second, shelf.first, "ben"))
    cut(shelf, shelf.folder / "versions" / shelf.second)
    version, told = production(shelf.registry, "now")

    assert version.name == shelf.registry.ledger().roles["production"] == shelf.first
    assert f"goes back to {shelf.first[:12]}" in told
    assert "arrays.npz: has changed" in shelf.registry.ledger().history[-1].reason


def test_nothing_is_rolled_back_where_there_is_nothing_to_go_back_to(shelf: Shelf) -> None:
    """The only version stays, and the error is told."""
    shelf.registry.decide(Decision("t", "production", shelf.first, "", "ben"))
    cut(shelf, shelf.folder / "versions" / shelf.first)

    with pytest.raises(ArtifactError, match="production: cannot be loaded"):
        production(shelf.registry, "now")
    with pytest.raises(ArtifactError, match="there is no version to go back to"):
        undo(shelf.registry, "now", "flood")


def test_a_flood_is_ten_budgets_within_an_hour_of_event_time() -> None:
    """Ten days caught up with in a minute are none."""
    hour = 3_600_000_000_000
    guard, calm = FloodGuard(budget_per_day=2.0), FloodGuard(budget_per_day=2.0)

    assert [guard.note(n * hour // 30) for n in range(21)] == [False] * 20 + [True]
    assert not any(calm.note(n * hour) for n in range(1_000))


def test_a_private_key_is_the_owner_s_alone(tmp_path: Path) -> None:
    """And is never written over."""
    write_key_pair(tmp_path / "key", tmp_path / "key.pub")

    assert (tmp_path / "key").stat().st_mode & 0o077 == 0
    with pytest.raises(ArtifactError, match="key: cannot be written"):
        write_key_pair(tmp_path / "key", tmp_path / "other.pub")
    with pytest.raises(ArtifactError, match=r"key\.pub: is no ed25519 key"):
        read_private_key(tmp_path / "key.pub")
    with pytest.raises(ArtifactError, match="none: cannot be read"):
        read_private_key(tmp_path / "none")


def test_what_is_no_key_among_the_trusted_is_told(shelf: Shelf) -> None:
    """Not skipped: somebody meant it to be one."""
    (shelf.folder / "trusted" / "note.txt").write_text("hello")

    with pytest.raises(ArtifactError, match=r"trusted/note\.txt: is no public key"):
        shelf.registry.load(shelf.first)


def test_an_origin_needs_a_person() -> None:
    """Who and when have no default."""
    with pytest.raises(TypeError):
        Origin()  # type: ignore[call-arg]
