"""Text to 63-bit keys, the same on every machine and in every process."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from detector.columns import Texts
from detector.compiled import kernel, wrapping

_PRIME = np.uint64(0x100000001B3)
BASIS = np.uint64(0xCBF29CE484222325)
_MIX_1 = np.uint64(0xFF51AFD7ED558CCD)
_MIX_2 = np.uint64(0xC4CEB9FE1A85EC53)
_SHIFT = np.uint64(33)
_ZERO = np.uint64(0)
_ONE = np.uint64(1)  # 63 bits: kernels then need no unsigned arithmetic


@kernel
def hash_bytes(text: NDArray[np.uint8], start: int, stop: int, h: np.uint64) -> np.uint64:
    """Go on hashing from ``h`` (BASIS at first) over some bytes."""
    for i in range(start, stop):
        h = (h ^ np.uint64(text[i])) * _PRIME
    return h


@kernel
def finish_hash(h: np.uint64) -> np.int64:
    """Turn the running hash into a key, > 0."""
    h = (h ^ (h >> _SHIFT)) * _MIX_1
    h = (h ^ (h >> _SHIFT)) * _MIX_2
    h = (h ^ (h >> _SHIFT)) >> _ONE
    return np.int64(h) if h != _ZERO else np.int64(1)


@kernel
def _hash_ragged(text: NDArray[np.uint8], ends: NDArray[np.int64], out: NDArray[np.int64]) -> None:
    start = 0
    for row in range(ends.size):
        end = ends[row]
        if end > start:
            out[row] = finish_hash(hash_bytes(text, start, end, BASIS))
        start = end


def running_hash(text: str) -> np.uint64:
    """Return the running hash after a text: what may stand before others.

    >>> int(running_hash("")) == int(BASIS)
    True
    """
    h = int(BASIS)
    for byte in text.encode():
        h = (h ^ byte) * int(_PRIME) & 0xFFFFFFFFFFFFFFFF
    return np.uint64(h)


def hash_strings(texts: Sequence[str]) -> NDArray[np.int64]:
    """Hash each text to 63 bits; the empty text is 0, "missing", and nothing else is.

    Args:
        texts: n texts without lone surrogates.

    Returns:
        (n,) int64, >= 0.

    Source:
        FNV-1a (draft-eastlake-fnv) over UTF-8, then the finaliser of MurmurHash3.

    >>> hash_strings(["", "a"]) == hash_strings(["", "b"])
    array([ True, False])
    """
    buffer, ends = ragged(texts)
    out = np.zeros(len(texts), dtype=np.int64)
    with wrapping():
        _hash_ragged(buffer, ends, out)
    return out


def ragged(texts: Sequence[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the UTF-8 bytes of all texts end to end, and where each ends."""
    if isinstance(texts, Texts):
        ends = np.cumsum(texts.stop - texts.start)
        buffer = np.empty(ends[-1] if ends.size else 0, dtype=np.uint8)
        _gather(np.frombuffer(texts.content, dtype=np.uint8), texts.start, texts.stop, buffer)
        return buffer, ends
    joined = "".join(texts)
    if joined.isascii():
        lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
        content = joined.encode("ascii")
    else:
        encoded = [text.encode() for text in texts]
        lengths = np.fromiter(map(len, encoded), dtype=np.int64, count=len(texts))
        content = b"".join(encoded)
    return np.frombuffer(content, dtype=np.uint8), np.cumsum(lengths)


@kernel
def _gather(
    text: NDArray[np.uint8],
    start: NDArray[np.int64],
    stop: NDArray[np.int64],
    out: NDArray[np.uint8],
) -> None:
    """Copy spans end to end."""
    at = 0
    for row in range(start.size):
        for i in range(start[row], stop[row]):
            out[at] = text[i]
            at += 1


@kernel
def number_spans(
    text: NDArray[np.uint8],
    start: NDArray[np.int64],
    stop: NDArray[np.int64],
    out: NDArray[np.int64],
) -> None:
    """Write the number each span ends with (its last 18 digits at most), -1 for none."""
    for row in range(start.size):
        first = stop[row]
        while first > start[row] and stop[row] - first < 18 and 48 <= text[first - 1] <= 57:
            first -= 1
        number = -1 if first == stop[row] else 0
        for i in range(first, stop[row]):
            number = number * 10 + int(text[i]) - 48
        out[row] = number


def trailing_numbers(texts: Sequence[str]) -> NDArray[np.int64]:
    """Return the number each text ends with (its last 18 digits at most), -1 for none.

    >>> trailing_numbers(["C0042", "A-7", "x", ""]).tolist()
    [42, 7, -1, -1]
    """
    buffer, ends = ragged(texts)
    out = np.empty(len(texts), dtype=np.int64)
    number_spans(buffer, np.append(np.int64(0), ends[:-1])[: len(texts)], ends, out)
    return out


def mix(left: NDArray[np.int64], right: NDArray[np.int64] | np.int64) -> NDArray[np.int64]:
    """Combine two keys into one that depends on their order.

    Args:
        left: (n,) keys.
        right: (n,) keys, or one key for all.

    Returns:
        (n,) int64, > 0 for practical purposes: the chance of 0 is 2**-63.

    >>> a, b = hash_strings(["teller", "B001"])
    >>> bool(mix(np.array([a]), np.array([b])) == mix(np.array([b]), np.array([a])))
    False
    """
    is_whole = isinstance(right, np.ndarray) and right.size == left.size
    every = np.asarray(right) if is_whole else np.full(left.size, right)
    out = np.empty(left.size, dtype=np.int64)
    with wrapping():
        _mix(left, every, out)
    return out


@kernel
def _mix(left: NDArray[np.int64], right: NDArray[np.int64], out: NDArray[np.int64]) -> None:
    for row in range(left.size):
        h = np.uint64(left[row]) * _PRIME + np.uint64(right[row])
        h = (h ^ (h >> _SHIFT)) * _MIX_1
        h = (h ^ (h >> _SHIFT)) * _MIX_2
        out[row] = np.int64((h ^ (h >> _SHIFT)) >> _ONE)
