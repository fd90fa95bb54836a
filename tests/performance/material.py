"""What is measured on: a simulated file and its artifact, and columns for a million users."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.artifacts import read_artifact
from detector.columns import Coded, EventBatch, Texts
from detector.compiled import _cache_folder
from detector.decode_columns import CODED
from detector.detections import DETECTORS
from detector.hashing import mix
from detector.hosts.fit import FitOptions, fit_artifact
from detector.plan import Plan, build_plan
from detector.policy import Policy
from detector.reference import load_reference
from detector.simulate import SimulationConfig, simulate
from detector.timestamps import NOT_A_TIME

_START_NS = 1_772_416_800_000_000_000  # 2026-03-02T02:00:00Z: ten in Shanghai, a Monday
_HOUR_NS = 3_600_000_000_000
_KEY = np.array([42], dtype=np.int64)
_BRANCHES = 300
_BATCH = 4_000
_HISTORY = SimulationConfig(users=1_000, branches=20, days=8, seed=2, incidents=0)


@dataclass(frozen=True, slots=True)
class Material:
    """Paths of a prepared benchmark."""

    events: Path
    reference: Path
    artifact: Path
    n_events: int

    def plan(self, policy: Policy) -> Plan:
        """Return the plan of a replay."""
        artifact, reference = read_artifact(self.artifact), load_reference(self.reference)
        return build_plan(policy, artifact, reference)


def policy_file(path: Path, detectors: Iterable[str]) -> Path:
    """Write a policy under which only these detectors are on."""
    off = [name for name in DETECTORS if name not in detectors]
    path.write_text("".join(f"[detectors.{name}]\nenabled = false\n" for name in off), "utf-8")
    return path


def prepare(folder: Path, *, n_events: int, n_users: int) -> Material:
    """Simulate a bank and fit an artifact, or find both where they were left.

    The file is a stretch of full density from the first day's morning into the second day,
    without the night before: otherwise service accounts would be most of it.
    """
    bank = folder / f"bank-{n_users}"
    events = bank / f"first-{n_events}.jsonl"
    if not events.exists():
        config = SimulationConfig(users=n_users, branches=_BRANCHES, days=2, incidents=16)
        written = simulate(bank, config).events
        _cut(bank / "events.jsonl", events, skip=written // 5, keep=n_events)
    artifact = folder / f"artifact-{_cache_folder().name}"  # one per state of the kernels
    if not artifact.exists():
        for old in folder.glob("artifact-*"):
            shutil.rmtree(old)
        simulate(folder / "history", _HISTORY)
        history, tables = folder / "history" / "events.jsonl", folder / "history" / "reference"
        fit_artifact(FitOptions(str(history), artifact, reference=tables))
    return Material(events, bank / "reference", artifact, n_events)


def _cut(source: Path, target: Path, *, skip: int, keep: int) -> None:
    part = target.with_suffix(".part")
    with source.open("rb") as lines, part.open("wb") as out:
        for number, line in enumerate(lines):
            if skip <= number < skip + keep:
                out.write(line)
    part.rename(target)
    source.unlink()


@dataclass(slots=True)
class Crowd:
    """Users who come at random, straight as columns: nobody's last event is in a cache.

    Everybody has twenty events an hour from ten o'clock on, so that windows hold the same at
    any number of users.
    """

    n_users: int
    n_given: int = 0

    def everybody(self) -> Iterator[EventBatch]:
        """Yield one event of every user."""
        for first in range(0, self.n_users, _BATCH):
            stop = min(first + _BATCH, self.n_users)
            yield self._batch(np.arange(first, stop, dtype=np.int64))

    def batches(self, n_events: int) -> Iterator[EventBatch]:
        """Yield the next events."""
        for first in range(0, n_events, _BATCH):
            n = min(_BATCH, n_events - first)
            rng = np.random.default_rng(self.n_given)
            yield self._batch(rng.integers(0, self.n_users, n))

    def _batch(self, users: NDArray[np.int64]) -> EventBatch:
        numbers = np.arange(self.n_given, self.n_given + users.size, dtype=np.int64)
        self.n_given += users.size
        rng = np.random.default_rng(self.n_given)
        home = (users % _BRANCHES).astype(np.int32)
        branch = np.where(rng.random(users.size) < 0.02, (home + 7) % _BRANCHES, home)
        customers = branch * 20_000 + rng.integers(0, 2_000, users.size)
        nothing = np.zeros(users.size, dtype=np.int64)
        return EventBatch(
            event_time_ns=_START_NS + numbers * (_HOUR_NS // (20 * self.n_users)),
            event_hash=mix(numbers, _KEY),
            user_hash=mix(users, _KEY),
            customer_hash=mix(customers, _KEY),
            customer_number=customers.astype(np.int64),
            record_count=np.ones(users.size, dtype=np.int64),
            valid_until_ns=np.full(users.size, NOT_A_TIME, dtype=np.int64),
            event_ids=Texts(b"", nothing, nothing),
            user_ids=Texts(b"", nothing, nothing),
            customer_ids=Texts(b"", nothing, nothing),
            raw=[],
            source="columns",
            line_numbers=numbers,
            **_coded(home, branch.astype(np.int32)),
        )


def _coded(home: NDArray[np.int32], branch: NDArray[np.int32]) -> dict[str, Coded]:
    """Return every dictionary-coded column of a batch; those not named here are missing."""
    branches = tuple(f"B{i:03d}" for i in range(_BRANCHES))
    same = np.zeros(home.size, dtype=np.int32)
    missing = Coded(np.full(home.size, -1, dtype=np.int32), ())
    return {
        **dict.fromkeys(CODED, missing),
        "user_role": Coded(same, ("teller",)),
        "user_branch": Coded(home, branches),
        "record_branch": Coded(branch, branches),
        "account_type": Coded(same, ("person",)),
        "system": Coded(same, ("core",)),
        "action": Coded(same, ("read",)),
    }
