"""The one place that knows how kernels are compiled and where the machine code is kept."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]  # what numba compiles with
from numba.core import cgutils, types
from numba.extending import intrinsic, overload

_CONSTANTS = ("state", "scoring")  # folders whose constants are compiled into kernels
_F = TypeVar("_F", bound=Callable[..., object])


def _cache_folder() -> Path:
    """Folder of compiled code, one per state of our sources.

    numba looks only at the file of the outer function; a changed inner kernel or column in
    another file would go unnoticed. So the digest of all their sources is part of the path.
    """
    package = Path(__file__).parent
    digest = hashlib.blake2b(numba.__version__.encode(), digest_size=8)
    digest.update(Path(__file__).read_bytes())
    for source in sorted(package.rglob("*.py")):
        text = source.read_bytes()
        if b"detector.compiled import" in text or source.parent.name in _CONSTANTS:
            digest.update(text)
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "audit-anomaly-detector" / digest.hexdigest()


def _can_be_kept(folder: Path) -> bool:
    """Tell whether compiled code can be written there; numba would refuse to start."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


CACHE = Path(os.environ.get("NUMBA_CACHE_DIR") or _cache_folder())
IS_KEPT = _can_be_kept(CACHE)
numba.config.CACHE_DIR = str(CACHE)  # type: ignore[attr-defined]


def wrapping() -> AbstractContextManager[object]:
    """Let whole numbers wrap round without a warning: uncompiled, numpy would give one.

    Compiled code never warns, and asking numpy not to costs more than a small batch.
    """
    return np.errstate(over="ignore") if numba.config.DISABLE_JIT else nullcontext()  # type: ignore[attr-defined]


def kernel(function: _F) -> _F:
    """Compile a per-event loop: exact order, no fast maths, no threads, cached on disk.

    A kernel allocates nothing, so reference counting is off: counting some sixty arrays at
    every inner call cost ten times the work itself.
    """
    return _compiled(function, cache=IS_KEPT, forceinline=True)


def part(function: _F) -> _F:
    """Compile what only kernels call: it becomes part of each of them.

    Being callable from Python, and kept on disk by itself, took two thirds of the time of
    all compiling: most of it unpacks some hundred arrays.
    """
    return _compiled(function, forceinline=True, no_cpython_wrapper=True)


def aside(function: _F) -> _F:
    """Compile what kernels call seldom, or in many places, as machine code of its own.

    A call copies every array it is handed: give it few, or be rare.
    """
    return _compiled(function, no_cpython_wrapper=True)


def opened(function: _F) -> _F:
    """Return a part so that Python can call it: to test it, or to look at it alone."""
    return _compiled(cast("_F", getattr(function, "py_func", function)))


def _compiled(function: _F, **options: bool) -> _F:
    compile_ = cast("Any", numba.njit)(_nrt=False, no_cfunc_wrapper=True, **options)
    return cast("_F", compile_(function))


def prefetch(array: object, row: int, byte: int) -> None:
    """Ask for the cache line at a byte of a row, which need not exist; nothing waits for it.

    Does nothing uncompiled.
    """


@overload(prefetch, strict=False)
def _prefetch_compiled(array: object, row: int, byte: int) -> object:  # noqa: ARG001
    return lambda array, row, byte: _prefetch_line(array, row, byte)  # type: ignore[call-arg] # noqa: PLW0108


@intrinsic
def _prefetch_line(_typing: Any, array: Any, row: Any, byte: Any) -> Any:  # noqa: ARG001
    """Emit the processor's instruction: for reading, into the second-level cache."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        tools = cast("Any", cgutils)
        view = context.make_array(signature.args[0])(context, builder, arguments[0])
        stride = tools.unpack_tuple(builder, view.strides)[0]
        offset = builder.add(builder.mul(arguments[1], stride), arguments[2])
        address = tools.pointer_add(builder, view.data, offset)
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [address.type, number, number, number])
        ask = builder.module.declare_intrinsic("llvm.prefetch", (address.type,), kind)
        builder.call(ask, [address, number(0), number(2), number(1)])
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp), code
