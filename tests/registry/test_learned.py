"""Commands name what was learned by a folder, or by a role or version of a registry."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from detector.errors import ArtifactError, SnapshotError
from detector.hosts.check import check_file
from detector.hosts.doctor_files import examine_files
from detector.hosts.learned import learned
from detector.hosts.live_partition import _roles_of
from detector.hosts.live_pipeline import load_pipeline
from detector.registry import Decision
from tests.conftest import Run
from tests.registry.conftest import Shelf
from tests.streams import plan_of


@pytest.fixture
def pipeline(shelf: Shelf) -> Callable[[str], Path]:
    """Write a pipeline beside the registry, whose production is the first version."""
    shelf.registry.decide(Decision("t", "production", shelf.first, "", "ben"))

    def write(line: str = "") -> Path:
        path = shelf.folder.parent / "pipeline.toml"
        path.write_text(f'registry = "models"\n{line}\n[source]\ntopics = ["t"]\ngroup = "g"\n')
        return path

    return write


def test_a_replay_names_a_role_or_a_version(
    detector: Run, shelf: Shelf, bank: Path, pipeline: Callable[[str], Path]
) -> None:
    """The same alerts as with the folder; production is the usual role."""
    pipeline("")
    alerts = shelf.folder.parent / "alerts.jsonl"

    def lines(*named: object) -> bytes:
        done = detector("replay", bank / "events.jsonl", "--alerts", alerts, *named)
        assert done.code == 0, done.err
        return alerts.read_bytes()

    folder = lines("--artifact", shelf.folder / "versions" / shelf.first)
    by_role = lines("--registry", shelf.folder)
    by_name = lines("--registry", shelf.folder, "--artifact", shelf.second[:9])

    assert by_role == folder != b""
    assert {json.loads(line)["artifact_digest"] for line in by_name.splitlines()} == {shelf.second}


def test_a_pipeline_names_a_registry(shelf: Shelf, pipeline: Callable[[str], Path]) -> None:
    """A folder beside it, or a URL; then `artifact` is a role or version of it."""
    loaded = load_pipeline(pipeline(""))
    assert (loaded.registry, loaded.artifact) == (str(shelf.folder), None)
    found = learned(loaded.artifact, loaded.registry)
    assert found is not None
    assert found.digest == shelf.first
    pinned = load_pipeline(pipeline(f'artifact = "{shelf.second[:9]}"'))
    second = learned(pinned.artifact, pinned.registry)
    assert second is not None
    assert second.digest == shelf.second
    path = pipeline("")
    path.write_text(path.read_text().replace('"models"', '"s3://bank/models"'))

    assert load_pipeline(path).registry == "s3://bank/models"
    assert learned(None, None) is None


def test_what_is_wrong_with_the_registry_is_found_before_the_start(
    shelf: Shelf, pipeline: Callable[[str], Path]
) -> None:
    """By `check` and by `doctor`, with the name of the file."""
    path = pipeline("")
    assert check_file(path).error is None
    assert not [one for one in examine_files(load_pipeline(path)) if one.level == "error"]
    (shelf.folder / "versions" / shelf.first / "arrays.npz").write_bytes(b"")
    (wrong,) = [one for one in examine_files(load_pipeline(path)) if one.level == "error"]

    assert "arrays.npz: has changed since it was added" in str(check_file(path).error)
    assert wrong.check == "artifact"
    with pytest.raises(ArtifactError, match="there is no 'shadow'"):
        learned(Path("shadow"), str(shelf.folder))


def test_an_older_checkpoint_serves_its_own_artifact_only() -> None:
    """It does not tell which roles its rows stand for."""
    plan = plan_of()
    facts: Any = {"digests": {"artifact": "builtin"}}

    assert _roles_of(facts, plan, "t/0") == list(plan.roles)
    other = replace(plan, artifact_digest="another")
    with pytest.raises(SnapshotError, match="t/0: does not tell the roles of its people"):
        _roles_of(facts, other, "t/0")
