"""What was learned, wherever it lies: a folder that `fit` has written, or a registry."""

from __future__ import annotations

from pathlib import Path

from detector.artifact_model import check_model
from detector.artifacts import Artifact, read_artifact
from detector.registry import Registry
from detector.registry.ledger import PRODUCTION


def learned(artifact: Path | None, registry: str | None) -> Artifact | None:
    """Read an artifact; None are the built-in priors.

    Args:
        artifact: a folder; with a registry, a role or version in it (None: production).
        registry: folder or URL of versions.

    Raises:
        ArtifactError: it cannot be used, or not be trusted.
    """
    if registry is not None:
        return Registry(registry).load(PRODUCTION if artifact is None else str(artifact)).artifact
    if artifact is None:
        return None
    found = read_artifact(artifact)
    check_model(found)
    return found
