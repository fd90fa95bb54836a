"""A learned artifact on disk: arrays without pickle, a manifest, digests that must match."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from detector.errors import ArtifactError

FORMAT = "audit-anomaly-artifact-1"
_MAX_BYTES = 2_000_000_000
_ARRAYS, _MANIFEST = "arrays.npz", "manifest.json"
# a zip may be cut, squeezed in a way or locked with a password nobody here knows, or claim any size
_UNREADABLE = (
    ValueError, OSError, EOFError, KeyError, SyntaxError, RuntimeError, MemoryError,
    OverflowError, struct.error, zlib.error, zipfile.BadZipFile,
)  # fmt: skip
_REMEDY = "Fit it again, or fetch an unchanged copy"


@dataclass(frozen=True, slots=True)
class Artifact:
    """Arrays of the model, what they were made from, and the digest of both."""

    arrays: Mapping[str, NDArray[np.generic]]
    manifest: Mapping[str, Any]
    digest: str


def write_artifact(
    folder: Path, arrays: Mapping[str, NDArray[np.generic]], manifest: Mapping[str, Any]
) -> Artifact:
    """Write an artifact folder as a whole or not at all; equal content gives equal bytes.

    Raises:
        ArtifactError: the folder exists and holds something else, or cannot be written.
    """
    refuse_foreign(folder)
    content = _npz(arrays)
    whole = {"format": FORMAT, "arrays_digest": digest_of(content), **manifest}
    text = json.dumps(whole, indent=1, sort_keys=True, ensure_ascii=False).encode()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        (draft / _ARRAYS).write_bytes(content)
        (draft / _MANIFEST).write_bytes(text)
        draft.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(draft, folder)  # noqa: PTH105  atomic; Path.replace is the same call
    except OSError as error:
        what, hint = f"cannot be written ({error.strerror})", "Check path, rights and disk space"
        raise ArtifactError(what, where=str(folder), hint=hint) from None
    return Artifact(dict(arrays), whole, digest_of(text))


def refuse_foreign(folder: Path) -> None:
    """Tell before the work is done that a folder will not be written over.

    Raises:
        ArtifactError: the folder exists and holds something else.
    """
    if folder.exists() and not _is_artifact(folder):
        hint = "Name a new folder, or that of an artifact to replace"
        raise ArtifactError("exists and is no artifact", where=str(folder), hint=hint)


def _is_artifact(folder: Path) -> bool:
    """Tell whether a folder holds an artifact and nothing that would be lost with it."""
    return folder.is_dir() and {_MANIFEST} <= {p.name for p in folder.iterdir()} <= {
        _MANIFEST, _ARRAYS,
    }  # fmt: skip


def read_artifact(folder: Path) -> Artifact:
    """Read and verify an artifact.

    Raises:
        ArtifactError: missing, changed, foreign or of another version.
    """
    text, content = _bytes(folder / _MANIFEST), _bytes(folder / _ARRAYS)
    try:
        manifest = json.loads(text)
        found = manifest["format"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ArtifactError("is no manifest", where=str(folder / _MANIFEST), hint=_REMEDY) from None
    if found != FORMAT:
        what = f"has format {found!r}, expected {FORMAT!r}"
        raise ArtifactError(what, where=str(folder / _MANIFEST), hint=_REMEDY)
    if manifest.get("arrays_digest") != digest_of(content):
        raise ArtifactError("has changed since it was fitted", where=str(folder), hint=_REMEDY)
    try:
        arrays = _arrays(content)
    except _UNREADABLE:
        raise ArtifactError("cannot be read", where=str(folder / _ARRAYS), hint=_REMEDY) from None
    return Artifact(arrays, manifest, digest_of(text))


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ArtifactError("is too large", where=str(path), hint="Limit: 2 GB")
        return path.read_bytes()
    except OSError as error:
        hint = "Check path and rights; `detector fit` writes an artifact"
        raise ArtifactError(
            f"cannot be read ({error.strerror})", where=str(path), hint=hint
        ) from None


def digest_of(content: bytes) -> str:
    """BLAKE2b with 16 bytes, in hex."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _arrays(content: bytes) -> dict[str, NDArray[np.generic]]:
    """Read what ``_npz`` wrote; whatever else it may be ends in one of ``_UNREADABLE``."""
    if content[:2] != b"PK":
        raise ValueError("no zip")
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _npz(arrays: Mapping[str, NDArray[np.generic]]) -> bytes:
    """Write arrays to a zip with fixed times and order."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(arrays):
            part = io.BytesIO()
            npy_format.write_array(part, np.ascontiguousarray(arrays[name]), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, part.getvalue())
    return whole.getvalue()
