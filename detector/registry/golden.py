"""Golden events and what an artifact says about them; one that speaks otherwise is refused."""

from __future__ import annotations

import tempfile
from itertools import islice
from pathlib import Path

import numpy as np
import orjson

from detector.artifacts import Artifact
from detector.decode import Bounds, decode
from detector.engine import new_state, step
from detector.errors import ArtifactError
from detector.mapping import load_mapping
from detector.plan import build_plan
from detector.policy import load_policy
from detector.reference import Reference
from detector.simulate import SimulationConfig, simulate

_BOUNDS = Bounds(946_684_800_000_000_000, 4_000_000_000_000_000_000)
_N_LINES = 2_000
_BANK = SimulationConfig(users=20, branches=2, days=2, seed=20, incidents=2)


def golden_events() -> bytes:
    """Return simulated events, the same every time: no customer of the bank is among them."""
    with tempfile.TemporaryDirectory() as folder:
        simulate(Path(folder), _BANK)
        with (Path(folder) / "events.jsonl").open("rb") as stream:
            return b"".join(islice(stream, _N_LINES))


def golden_scores(artifact: Artifact, events: bytes) -> bytes:
    """Return the score after each event as a JSON list, null where it was not scored."""
    plan = build_plan(load_policy(None), artifact, Reference())
    batch, _ = decode(
        events.splitlines(), load_mapping(None), _BOUNDS, source="golden", first_line=1
    )
    scores = step(new_state(plan), batch, plan).scores
    listed = [None if np.isnan(score) else score for score in scores.tolist()]
    return orjson.dumps(listed, option=orjson.OPT_APPEND_NEWLINE)


def check_golden(artifact: Artifact, events: bytes, scores: bytes, where: str) -> None:
    """Refuse an artifact that does not say about the golden events what it said when added.

    Raises:
        ArtifactError: this program scores otherwise than the one that added it.
    """
    if golden_scores(artifact, events) != scores:
        hint = "Fit it again with this version of the detector"
        what = "does not match: this program scores the golden events otherwise"
        raise ArtifactError(what, where=where, hint=hint)
