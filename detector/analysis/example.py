"""A small simulated bank to try everything on, made once a machine and user."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from dataclasses import astuple, dataclass
from pathlib import Path

import orjson

from detector import __version__
from detector.simulate import SimulationConfig, simulate


@dataclass(frozen=True, slots=True)
class Bank:
    """Where a simulated bank lies: events, truth, reference tables.

    Incidents begin on ``first_scored_day`` (ISO date); the days before are a history.
    """

    folder: Path
    first_scored_day: str

    @property
    def events(self) -> Path:
        """Events in order of arrival."""
        return self.folder / "events.jsonl"

    @property
    def truth(self) -> Path:
        """Labelled incidents."""
        return self.folder / "truth.json"

    @property
    def reference(self) -> Path:
        """Folder of staff, branches, calendars, customers."""
        return self.folder / "reference"


def example_bank(
    *, users: int = 60, branches: int = 6, days: int = 28, seed: int = 11, incidents: int = 12
) -> Bank:
    """Return a simulated bank; the first call makes it, later ones find it.

    It lies in this user's own folder among the temporary files; equal arguments give equal
    bytes.
    """
    config = SimulationConfig(users, branches, days, seed, incidents)
    name = "-".join(str(value) for value in (*astuple(config)[:5], __version__))
    folder = _own_folder() / name
    if not folder.exists():
        draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=folder.parent))
        simulate(draft, config)
        try:
            draft.replace(folder)
        except OSError:  # somebody else was quicker: equal arguments, equal bytes
            shutil.rmtree(draft)
    truth = orjson.loads((folder / "truth.json").read_bytes())
    return Bank(folder, truth["first_scored_day"])


def _own_folder() -> Path:
    """Return a folder that nobody else can write to; a foreign one of that name is not used."""
    folder = Path(tempfile.gettempdir()) / f"audit-anomaly-examples-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077:
        return folder
    return Path(tempfile.mkdtemp(prefix="audit-anomaly-examples-"))
