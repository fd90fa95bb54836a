"""The record of a version: what it was made from, by whom, with what, and how good it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import orjson

from detector import __version__
from detector.artifacts import Artifact
from detector.detections import DETECTORS
from detector.errors import ArtifactError
from detector.scoring.counts import STATS
from detector.state.layout import N_CHANNELS

FORMAT = "audit-anomaly-version-1"
_LIBRARIES = ("numpy", "numba", "scipy")
_REMEDY = "Fit it again with this version of the detector"


@dataclass(frozen=True, slots=True)
class Origin:
    """What the registry cannot see in an artifact.

    ``data`` has first and last event time and the digest of the history; ``evaluation`` is
    ``Evaluation.to_json()`` on days after it; ``calibration`` rows of surprise, nominal,
    observed, low, high; ``made_by`` and ``made_at`` (ISO time) who and when.
    """

    made_by: str
    made_at: str
    data: Mapping[str, Any] = field(default_factory=dict)
    evaluation: Mapping[str, Any] = field(default_factory=dict)
    calibration: tuple[Mapping[str, Any], ...] = ()
    seed: int = 0
    notes: str = ""


def feature_order() -> dict[str, Any]:
    """Return the names behind the axes of an artifact's arrays."""
    return {
        "detectors": list(DETECTORS),
        "counts": ["/".join(stat) for stat in STATS],
        "channels": N_CHANNELS,
    }


def record_of(artifact: Artifact, origin: Origin, digests: Mapping[str, str]) -> bytes:
    """Return the record's bytes; equal content gives equal bytes."""
    manifest = artifact.manifest
    content = {
        "format": FORMAT,
        "artifact": artifact.digest,
        "files": dict(digests),
        "made_by": origin.made_by,
        "made_at": origin.made_at,
        "data": dict(origin.data),
        "learned_from": manifest.get("learned_from", {}),
        "schema": {"mapping": manifest.get("mapping_digest"), "policy": manifest["policy_digest"]},
        "seed": origin.seed,
        "budget_per_day": manifest["budget_per_day"],
        "threshold": manifest["threshold"],
        "features": feature_order(),
        "libraries": {"detector": __version__, **{name: version(name) for name in _LIBRARIES}},
        "evaluation": dict(origin.evaluation),
        "calibration": [dict(row) for row in origin.calibration],
        "notes": origin.notes,
    }
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False)
    return f"{text}\n".encode()


def read_record(content: bytes, where: str) -> dict[str, Any]:
    """Read a record that has been verified, and refuse what this program cannot use.

    Raises:
        ArtifactError: another format, or an artifact whose arrays mean something else.
    """
    try:
        record = orjson.loads(content)
        found, features, files = record["format"], record["features"], record["files"]
    except (ValueError, KeyError, TypeError):
        raise ArtifactError("is no record", where=where, hint="Fetch a whole copy") from None
    if found != FORMAT:
        hint = "Upgrade the detector, or fit again with this one"
        raise ArtifactError(f"has format {found!r}, expected {FORMAT!r}", where=where, hint=hint)
    if features != feature_order():
        made_by = record.get("libraries", {}).get("detector", "?")
        what = f"was built by detector {made_by}, whose features are not those of {__version__}"
        raise ArtifactError(what, where=where, hint=_REMEDY)
    if not isinstance(files, dict):
        raise ArtifactError("is no record", where=where, hint="Fetch a whole copy")
    return dict(record)
