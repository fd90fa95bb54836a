"""Compiled loops over the spans of one field: check, hash, code, parse."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detector.compiled import kernel
from detector.decode_tokens import ABSENT, INTEGER, NULL, ODD_TEXT, TEXT, same_bytes
from detector.events import MAX_COUNT, MAX_TEXT
from detector.hashing import BASIS, finish_hash, hash_bytes
from detector.state.layout import I32, I64, U8
from detector.timestamps import NOT_A_TIME, parse_bytes

U64 = NDArray[np.uint64]

_MAX_EPOCH_NS = 2**62


@kernel
def check_ids(start: I64, stop: I64, kind: U8, required: bool, plain: U8) -> None:
    """Leave rows over whose id is missing, too long or needs a closer look.

    Afterwards a missing id is an empty span.
    """
    for row in range(start.size):
        is_missing = kind[row] in (ABSENT, NULL) or stop[row] == start[row]
        if is_missing:
            stop[row] = start[row]
        elif kind[row] == ODD_TEXT or stop[row] - start[row] > MAX_TEXT:
            plain[row] = 0
        if is_missing and required:
            plain[row] = 0


@kernel
def read_counts(text: U8, start: I64, stop: I64, kind: U8, plain: U8, out: I64) -> None:
    """Read whole numbers in [0, MAX_COUNT]; 1 where missing."""
    for row in range(start.size):
        out[row] = 1
        if kind[row] == INTEGER:
            out[row] = read_integer(text, start[row], stop[row])
        if kind[row] in (TEXT, ODD_TEXT) or out[row] > MAX_COUNT:
            plain[row] = 0


@kernel
def read_integer(text: U8, start: int, stop: int) -> int:
    """Read digits that have been checked."""
    value = 0
    for i in range(start, stop):
        value = value * 10 + int(text[i]) - 48
    return value


@kernel
def read_times(
    text: U8, start: I64, stop: I64, kind: U8, is_iso: bool, unit_ns: int, out: I64
) -> None:
    """Read ISO-8601 texts and, if ``unit_ns`` > 0, numbers since 1970; else NOT_A_TIME."""
    for row in range(start.size):
        out[row] = NOT_A_TIME
        if kind[row] == TEXT and is_iso:
            out[row] = parse_bytes(text[start[row] : stop[row]])
        elif kind[row] == INTEGER and unit_ns > 0:
            value = read_integer(text, start[row], stop[row])
            if value < _MAX_EPOCH_NS // unit_ns:
                out[row] = value * unit_ns


@kernel
def hash_spans(text: U8, start: I64, stop: I64, out: I64) -> None:
    """Hash each span as ``hash_strings`` would; an empty one is 0."""
    for row in range(start.size):
        out[row] = 0
        if stop[row] > start[row]:
            out[row] = finish_hash(hash_bytes(text, start[row], stop[row], BASIS))


@kernel
def hash_after(text: U8, start: I64, stop: I64, before: U64, codes: I32, out: I64) -> None:
    """Hash each span behind a prefix; ``before[codes[row]]`` is the hash of the prefix so far."""
    for row in range(start.size):
        out[row] = finish_hash(hash_bytes(text, start[row], stop[row], before[codes[row]]))


@kernel
def code_spans(
    text: U8, start: I64, stop: I64, kind: U8, table: I32, first_row: I64, codes: I32
) -> int:
    """Number the distinct values in order of appearance; -1 where missing.

    Args:
        text: the bytes.
        start: (n,) first byte.
        stop: (n,) end.
        kind: (n,) of the value; a number and a text of the same digits are one value.
        table: (m,) open addressing, m > n a power of two, -1 everywhere.
        first_row: (n,) receives the row at which each value is seen first.
        codes: (n,) receives the code.

    Returns:
        How many values there are.
    """
    n_values = 0
    mask = table.size - 1
    for row in range(start.size):
        codes[row] = -1
        if kind[row] in (ABSENT, NULL):
            continue
        size = stop[row] - start[row]
        cell = finish_hash(hash_bytes(text, start[row], stop[row], BASIS)) & mask
        while table[cell] >= 0:
            other = first_row[table[cell]]
            if stop[other] - start[other] == size and same_bytes(
                text, start[row], text, start[other], size
            ):
                break
            cell = (cell + 1) & mask
        if table[cell] < 0:
            table[cell] = n_values
            first_row[n_values] = row
            n_values += 1
        codes[row] = table[cell]
    return n_values
