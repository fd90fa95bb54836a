"""Tell what a file is meant to be, and whether it is right."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import NamedTuple

from detector.artifact_model import check_model
from detector.artifacts import read_artifact
from detector.errors import DetectorError
from detector.hosts.live_pipeline import check_pipeline, is_pipeline
from detector.mapping import load_mapping
from detector.policy import load_policy
from detector.reference import load_reference


class Finding(NamedTuple):
    """The kind of a file or folder, the first thing wrong with it if any, and what to know."""

    kind: str
    error: str | None = None
    notices: tuple[str, ...] = ()


def check_file(path: Path) -> Finding:
    """Read a file or folder as replay would."""
    kind = _kind(path)
    notices: tuple[str, ...] = ()
    try:
        if kind == "artifact":
            check_model(read_artifact(path))
        elif kind == "reference":
            notices = load_reference(path).notices
        elif kind == "mapping":
            load_mapping(path)
        elif kind == "pipeline":
            check_pipeline(path)
        else:
            load_policy(path)
    except DetectorError as error:
        return Finding(kind, str(error))
    return Finding(kind, None, notices)


def _kind(path: Path) -> str:
    if path.is_dir():
        return "artifact" if (path / "manifest.json").exists() else "reference"
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return "policy"
    if is_pipeline(content):
        return "pipeline"
    return "mapping" if "fields" in content else "policy"
