"""What an artifact must hold to be a model: names, shapes, kinds and ranges of its arrays."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from detector.artifacts import Artifact
from detector.errors import ArtifactError
from detector.state.layout import N_BINS, N_CHANNELS, N_LEVELS, N_STATS

_REMEDY = "Fit it again with this version of the detector"
_KEYS = ("roles", "branches", "threshold")
Shape = tuple[int | None, ...]
"""None stands for any length."""


def check_model(artifact: Artifact) -> None:
    """Refuse an artifact that is whole but is no model of this version.

    Digests say that a file is unchanged, not that it fits: every array is checked before
    a kernel may index it.

    Raises:
        ArtifactError: names the array or the manifest's key.
    """
    for key in _KEYS:
        if key not in artifact.manifest:
            raise ArtifactError("is missing", where=f"artifact manifest {key}", hint=_REMEDY)
    for key in ("roles", "branches"):
        names = artifact.manifest[key]
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            _refuse(f"manifest {key}", "is no list of names")
    threshold = artifact.manifest["threshold"]
    if not isinstance(threshold, int | float) or not np.isfinite(threshold):
        _refuse("manifest threshold", "is no number")
    arrays = artifact.arrays
    n_roles, n_branches = len(artifact.manifest["roles"]), len(artifact.manifest["branches"])
    for name, shape in _shapes(arrays, n_roles, n_branches).items():
        _check_array(name, arrays.get(name), shape)
    n_groups, n_lines = arrays["mean"].shape[0], arrays["knots_raw"].shape[0]
    _check_range("group_of", arrays["group_of"], n_groups)
    _check_range("stratum", arrays["stratum"], n_lines // 2)
    if (np.diff(arrays["value_key"].astype(np.int64)) <= 0).any():
        _refuse("value_key", "is not in order")
    if (np.diff(arrays["knots_raw"].astype(np.float64), axis=2) < 0).any():
        _refuse("knots_raw", "is not in order")


def _shapes(
    arrays: Mapping[str, NDArray[np.generic]], n_roles: int, n_branches: int
) -> dict[str, Shape]:
    """Return the shape of every array; groups, strata and knots follow the leading ones."""
    groups = _length(arrays, "mean", 0)
    lines, knots = _length(arrays, "knots_raw", 0), _length(arrays, "knots_raw", 2)
    return {
        "mean": (groups, 2, N_STATS),
        "dispersion": (groups, 2, N_STATS),
        "spread": (groups, N_STATS),
        "hours": (groups, 2, N_BINS),
        "rest_share": (groups,),
        "out_volume": (groups, 2),
        "away_share": (groups,),
        "visit_size": (groups, 2),
        "reach": (groups, N_LEVELS),
        "stratum": (groups,),
        "group_of": (n_roles + 1, n_branches + 1),
        "relation_share": (n_roles + 1, 3),
        "branch_share": (n_branches + 1,),
        "knots_raw": (lines, N_CHANNELS + 1, knots),
        "knots_surprise": (lines, N_CHANNELS + 1, knots),
        "visit_key": (None, 3),
        "visit_share": (_length(arrays, "visit_key", 0),),
        "value_key": (None,),
        "value_share": (_length(arrays, "value_key", 0),),
    }


def _length(arrays: Mapping[str, NDArray[np.generic]], name: str, axis: int) -> int | None:
    array = arrays.get(name)
    return array.shape[axis] if array is not None and array.ndim > axis else None


def _check_array(name: str, array: NDArray[np.generic] | None, shape: Shape) -> None:
    if array is None:
        raise ArtifactError("is missing", where=f"artifact array {name}", hint=_REMEDY)
    found = array.shape
    fits = len(found) == len(shape) and all(
        want in (None, have) for want, have in zip(shape, found, strict=True)
    )
    if not fits:
        wanted = tuple("any" if n is None else n for n in shape)
        _refuse(name, f"has shape {found}, expected {wanted}")
    if array.dtype.kind not in "if":
        _refuse(name, f"holds {array.dtype}, expected numbers")
    if not np.isfinite(array.astype(np.float64)).all():
        _refuse(name, "holds values that are not finite")


def _check_range(name: str, array: NDArray[np.generic], stop: int) -> None:
    values = array.astype(np.int64)
    if values.size and not 0 <= int(values.min()) <= int(values.max()) < stop:
        _refuse(name, f"points outside 0..{stop - 1}")


def _refuse(name: str, what: str) -> None:
    raise ArtifactError(what, where=f"artifact array {name}", hint=_REMEDY)
