"""State → bytes and back, without pickle; and the pages of a state that have changed."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from detector.compiled import kernel
from detector.errors import SnapshotError
from detector.state.layout import I64, U8

VERSION = 9
PAGE_BYTES = 65_536
_MAGIC = b"AADSNAP\x01"
_DTYPES = frozenset({"<i8", "<i4", "<i2", "|u1", "<u2", "<u4", "<f8", "<f4"})
_MAX_DIMENSIONS = 8  # ours have three
_DIGEST_BYTES = 16
_REMEDY = "Start with an empty store, or restore an unchanged copy"

Arrays = Mapping[str, NDArray[np.generic]]


def layout_of(arrays: Arrays) -> dict[str, list[Any]]:
    """Return name → [dtype, shape], in order, as JSON values."""
    return {name: [array.dtype.str, list(array.shape)] for name, array in arrays.items()}


def dump(arrays: Arrays, meta: Mapping[str, Any]) -> bytes:
    """Write arrays and meta into one blob: magic, header, data, digest of all before.

    >>> load(dump({"a": np.arange(3)}, {"b": 1}))[1]
    {'b': 1}
    """
    header = json.dumps({"version": VERSION, "arrays": layout_of(arrays), "meta": dict(meta)})
    text = header.encode()
    body = [_MAGIC, len(text).to_bytes(8, "little"), text]
    body += [np.ascontiguousarray(array).tobytes() for array in arrays.values()]
    blob = b"".join(body)
    return blob + hashlib.blake2b(blob, digest_size=_DIGEST_BYTES).digest()


def load(blob: bytes) -> tuple[dict[str, NDArray[np.generic]], dict[str, Any]]:
    """Read what ``dump`` wrote.

    Raises:
        SnapshotError: cut, changed, foreign or of another version.
    """
    start = len(_MAGIC) + 8
    if blob[: len(_MAGIC)] != _MAGIC or len(blob) < start + _DIGEST_BYTES:
        raise SnapshotError("is no snapshot", where="snapshot", hint=_REMEDY)
    content, digest = blob[:-_DIGEST_BYTES], blob[-_DIGEST_BYTES:]
    if hashlib.blake2b(content, digest_size=_DIGEST_BYTES).digest() != digest:
        raise SnapshotError("is cut or has changed", where="snapshot", hint=_REMEDY)
    stop = start + int.from_bytes(blob[len(_MAGIC) : start], "little")
    header = _header(content[start:stop]) if stop <= len(content) else None
    if header is None:
        raise SnapshotError("has a foreign header", where="snapshot", hint=_REMEDY)
    return arrays_of(header["arrays"], content[stop:]), header["meta"]


def _header(text: bytes) -> dict[str, Any] | None:
    """Read a header, None if it is not ours: the digest only says that nothing has changed.

    Raises:
        SnapshotError: of another version.
    """
    try:
        header = orjson.loads(text)
    except orjson.JSONDecodeError:  # too deep as well
        return None
    if not isinstance(header, dict):
        return None
    version = header.get("version")
    if type(version) is not int or version != VERSION:
        what = f"has version {_shown(version)}, expected {VERSION}"
        raise SnapshotError(what, where="snapshot", hint=_REMEDY)
    is_ours = isinstance(header.get("arrays"), dict) and isinstance(header.get("meta"), dict)
    return header if is_ours else None


def _shown(value: object) -> str:
    """Show a foreign value: the text of a list may be as long as the file, or too deep."""
    return str(value)[:20] if isinstance(value, int | str | None) else type(value).__name__


def arrays_of(layout: object, content: bytes) -> dict[str, NDArray[np.generic]]:
    """Cut one run of bytes into writable arrays.

    Raises:
        SnapshotError: the layout is none of ours, or does not add up to the bytes.
    """
    if not isinstance(layout, Mapping):
        raise SnapshotError("has a foreign layout", where="snapshot", hint=_REMEDY)
    arrays: dict[str, NDArray[np.generic]] = {}
    at = 0
    for name, entry in layout.items():
        dtype, shape = _dtype_and_shape(name, entry)
        count = math.prod(shape)
        if min(shape, default=0) < 0 or at + count * dtype.itemsize > len(content):
            raise SnapshotError("is shorter than its layout", where=name, hint=_REMEDY)
        flat = np.frombuffer(content, dtype=dtype, count=count, offset=at)
        arrays[name] = flat.reshape(shape).copy()
        at += count * dtype.itemsize
    if at != len(content):
        raise SnapshotError("is longer than its layout", where="snapshot", hint=_REMEDY)
    return arrays


def _dtype_and_shape(name: str, entry: object) -> tuple[np.dtype[np.generic], list[int]]:
    """Take one entry of a layout.

    The other sides of an array with a side of 0 count as well: numpy refuses them by itself.

    Raises:
        SnapshotError: it is not [dtype, shape] of an array that can be.
    """
    if not isinstance(entry, list | tuple) or len(entry) != 2:
        raise SnapshotError("has a foreign layout", where=name, hint=_REMEDY)
    dtype, shape = entry
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise SnapshotError(f"has dtype {_shown(dtype)}", where=name, hint=_REMEDY)
    is_shape = isinstance(shape, list | tuple) and len(shape) <= _MAX_DIMENSIONS
    if not is_shape or any(type(n) is not int for n in shape):
        raise SnapshotError("has a foreign shape", where=name, hint=_REMEDY)
    if math.prod(abs(n) for n in shape if n) >= 2**59:
        raise SnapshotError("is shorter than its layout", where=name, hint=_REMEDY)
    return np.dtype(dtype), list(shape)


@kernel
def _page_digests(content: U8, page_bytes: int, out: I64) -> None:
    """FNV-like digest of every page, byte by byte."""
    for page in range(out.size):
        start = page * page_bytes
        stop = min(start + page_bytes, content.size)
        digest = np.int64(1_469_598_103_934_665_603)
        for i in range(start, stop):
            digest = (digest ^ np.int64(content[i])) * np.int64(1_099_511_628_211)
        out[page] = digest


@kernel
def _word_digests(words: I64, page_words: int, out: I64) -> None:
    """Digest pages of whole 8-byte words; the shift lets high bits reach low ones."""
    for page in range(out.size):
        start = page * page_words
        stop = min(start + page_words, words.size)
        digest = np.int64(1_469_598_103_934_665_603)
        for i in range(start, stop):
            digest = (digest ^ words[i]) * np.int64(1_099_511_628_211)
            digest ^= digest >> np.int64(29)
        out[page] = digest


def page_digests(array: NDArray[np.generic]) -> I64:
    """Return the 64-bit digest of each 64 KB page of an array's bytes.

    Raises nothing; used only to find what has changed since the last checkpoint.
    """
    raw = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    out = np.zeros(-(-raw.size // PAGE_BYTES), dtype=np.int64)
    with np.errstate(over="ignore"):
        if raw.size % 8 == 0:
            _word_digests(raw.view(np.int64), PAGE_BYTES // 8, out)
        else:
            _page_digests(raw, PAGE_BYTES, out)
    return out


class ChangedPages:
    """Remembers digests, so that a checkpoint writes only pages that have changed."""

    def __init__(self) -> None:
        self._known: dict[str, I64] = {}

    def learn(self, arrays: Arrays) -> None:
        """Take arrays as saved already: they have just been restored."""
        self._known = {name: page_digests(array) for name, array in arrays.items()}

    def since_last(self, arrays: Arrays) -> Iterator[tuple[str, int, bytes]]:
        """Yield (array, page, bytes) of all pages that differ from the last call."""
        for name, array in arrays.items():
            new, old = page_digests(array), self._known.get(name)
            raw = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
            for page in range(new.size):
                if old is None or page >= old.size or old[page] != new[page]:
                    start = page * PAGE_BYTES
                    yield name, page, raw[start : start + PAGE_BYTES].tobytes()
            self._known[name] = new
