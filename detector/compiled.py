"""The one place that knows how kernels are compiled and where the machine code is kept."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

_CONSTANTS = ("state", "scoring")  # folders whose constants are compiled into kernels
_F = TypeVar("_F", bound=Callable[..., object])


def _cache_folder() -> Path:
    """Folder of compiled code, one per state of our sources.

    numba looks only at the file of the outer function; a changed inner kernel in another
    file would go unnoticed. So the digest of all sources is part of the path.
    """
    package = Path(__file__).parent
    digest = hashlib.blake2b(numba.__version__.encode(), digest_size=8)
    for source in sorted(package.rglob("*.py")):
        text = source.read_bytes()
        if b"@kernel" in text or source.parent.name in _CONSTANTS:
            digest.update(text)
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "audit-anomaly-detector" / digest.hexdigest()


if not os.environ.get("NUMBA_CACHE_DIR"):
    numba.config.CACHE_DIR = str(_cache_folder())  # type: ignore[attr-defined]


def kernel(function: _F) -> _F:
    """Compile a per-event loop: exact order, no fast maths, no threads, cached on disk.

    A kernel allocates nothing, so reference counting is off: counting some sixty arrays at
    every inner call cost ten times the work itself.
    """
    compile_ = cast("Any", numba.njit)(cache=True, forceinline=True, _nrt=False)
    return cast("_F", compile_(function))
