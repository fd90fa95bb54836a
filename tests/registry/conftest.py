"""Two artifacts of one bank, and a registry that trusts one key."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

import detector as ad
from detector.registry import Origin, Registry
from detector.registry.keys import read_private_key, write_key_pair

SINCE = "2026-03-09"
ORIGIN = Origin(made_by="ana", made_at="2026-03-20T10:00:00+00:00")


class Shelf(NamedTuple):
    """A registry with two versions, and the key that signed them."""

    registry: Registry
    folder: Path
    key: Path
    first: str
    second: str


@pytest.fixture(scope="session")
def artifacts(bank: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Fitted for five alerts a day, and for one."""
    folder = tmp_path_factory.mktemp("artifacts")
    for name, budget in (("five", 5), ("one", 1)):
        ad.fit(
            bank / "events.jsonl",
            output=folder / name,
            policy={"alerts": {"budget_per_day": budget}},
            reference=bank / "reference",
            until=SINCE,
        )
    return folder / "five", folder / "one"


@pytest.fixture
def shelf(artifacts: tuple[Path, Path], tmp_path: Path) -> Shelf:
    """Both artifacts, added and signed; nothing has a role yet."""
    folder, key = tmp_path / "models", tmp_path / "key.pem"
    write_key_pair(key, folder / "trusted" / "ana.pem")
    registry = Registry(str(folder))
    names = [registry.add(artifact, ORIGIN, read_private_key(key)) for artifact in artifacts]
    return Shelf(registry, folder, key, *names)
