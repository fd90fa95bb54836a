"""A frozen stream and the built-in priors give the same bytes as last time."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from detector.detections import DETECTORS
from tests.golden.regenerate import FOLDER, OUTPUTS, say, story


@pytest.mark.uncompiled
def test_the_golden_stream_gives_the_golden_bytes(tmp_path: Path) -> None:
    """A moved score must be meant: `make golden` rewrites the files, CHANGELOG says why."""
    say(FOLDER / "events.jsonl", tmp_path)

    for name in OUTPUTS:
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes()


def test_the_golden_stream_is_what_its_code_tells() -> None:
    """Who reads the story must be able to trust it."""
    assert (FOLDER / "events.jsonl").read_bytes() == story()


def test_every_detector_speaks_in_the_golden_alerts() -> None:
    """A detector that says nothing here could change unnoticed."""
    lines = (FOLDER / "alerts.jsonl").read_bytes().splitlines()
    said = {
        part["detector"]
        for line in lines
        for part in orjson.loads(line)["contributions"]
        if part["surprise"] > 0.0
    }

    assert said == set(DETECTORS)
