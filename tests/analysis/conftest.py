"""A fitted bank and its replay in Python, shared by the tests of the analysts' interface."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

import detector as ad
from detector.analysis import Result
from detector.artifacts import Artifact

SINCE = "2026-03-09"


class Fitted(NamedTuple):
    """A simulated bank, what was learned from its first week, and the replay of the second."""

    bank: Path
    folder: Path
    artifact: Artifact
    result: Result


@pytest.fixture(scope="session")
def fitted(bank: Path, tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    """Fit on the first week, replay with a low bar."""
    folder = tmp_path_factory.mktemp("fitted") / "artifact"
    events, reference = bank / "events.jsonl", bank / "reference"
    artifact = ad.fit(events, output=folder, reference=reference, until=SINCE)
    result = ad.replay(events, artifact=artifact, reference=reference, since=SINCE, min_score=1.0)
    return Fitted(bank, folder, artifact, result)
