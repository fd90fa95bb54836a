"""One token of JSON in the bytes: where it ends and of what kind it is. Compiled."""

from __future__ import annotations

import numpy as np

from detector.compiled import kernel
from detector.state.layout import U8

ABSENT, NULL, TEXT, ODD_TEXT, INTEGER, OTHER = range(6)
"""Kinds of a value. ODD_TEXT holds bytes beyond printable ASCII; OTHER is never looked at."""


_MAX_DIGITS = 18
_TRUE, _FALSE, _NULL = (
    np.frombuffer(word, dtype=np.uint8) for word in (b"true", b"false", b"null")
)
_QUOTE, _BACKSLASH = b'"\\'
_ZERO, _NINE, _MINUS, _POINT = b"09-."
_DELETE = 0x7F


@kernel
def skip_space(text: U8, at: int, stop: int) -> int:
    """Return the next byte that is no white space, or ``stop``."""
    while at < stop and text[at] <= 32 and text[at] in (32, 9, 13, 10):
        at += 1
    return at


@kernel
def character_bytes(text: U8, at: int, stop: int) -> int:
    """Return the length of the UTF-8 character that starts at a byte >= 0x80; 0 if it is none.

    Source:
        Well-formed byte sequences, table 3-7 of the Unicode standard.
    """
    first = int(text[at])
    if not 0xC2 <= first <= 0xF4:
        return 0
    size = 2 if first < 0xE0 else 3 if first < 0xF0 else 4
    low = 0xA0 if first == 0xE0 else 0x90 if first == 0xF0 else 0x80
    high = 0x9F if first == 0xED else 0x8F if first == 0xF4 else 0xBF
    if at + size > stop or not low <= int(text[at + 1]) <= high:
        return 0
    for i in range(at + 2, at + size):
        if int(text[i]) & 0xC0 != 0x80:
            return 0
    return size


@kernel
def end_of_text(text: U8, at: int, stop: int) -> tuple[int, int]:
    """Return the byte after a quoted text without escapes, and its kind; OTHER if it is none."""
    if at >= stop or text[at] != _QUOTE:
        return at, OTHER
    kind = TEXT
    at += 1
    while at < stop:
        byte = int(text[at])
        if byte == _QUOTE:
            return at + 1, kind
        if byte < 32 or byte == _BACKSLASH:
            return at, OTHER
        if byte >= _DELETE:
            kind = ODD_TEXT
            size = 1 if byte == _DELETE else character_bytes(text, at, stop)
            if size == 0:
                return at, OTHER
            at += size
        else:
            at += 1
    return at, OTHER


@kernel
def end_of_digits(text: U8, at: int, stop: int) -> int:
    """Return the first byte that is no digit."""
    while at < stop and _ZERO <= int(text[at]) <= _NINE:
        at += 1
    return at


@kernel
def end_of_number(text: U8, at: int, stop: int) -> tuple[int, int]:
    """Return the byte after a number and INTEGER, OTHER or, if it needs care, ABSENT.

    INTEGER is a whole number >= 0 of at most 18 digits. Exponents need care.
    """
    kind = INTEGER
    if text[at] == _MINUS:
        kind = OTHER
        at += 1
    first = at
    at = end_of_digits(text, at, stop)
    size = at - first
    if size == 0 or size > _MAX_DIGITS or (size > 1 and text[first] == _ZERO):
        return at, ABSENT
    if at < stop and text[at] == _POINT:
        kind = OTHER
        first = at + 1
        at = end_of_digits(text, first, stop)
        if at == first or at - first > _MAX_DIGITS:
            return at, ABSENT
    if at < stop and text[at] in (69, 101):  # an exponent
        return at, ABSENT
    return at, kind


@kernel
def same_bytes(left: U8, left_at: int, right: U8, right_at: int, size: int) -> bool:
    """Compare two runs of bytes."""
    for i in range(size):  # noqa: SIM110  a generator cannot be compiled
        if left[left_at + i] != right[right_at + i]:
            return False
    return True


@kernel
def is_word(text: U8, at: int, stop: int, word: U8) -> bool:
    """Tell whether a literal stands here."""
    if at + word.size > stop:
        return False
    return same_bytes(text, at, word, 0, word.size)


@kernel
def end_of_value(text: U8, at: int, stop: int) -> tuple[int, int]:
    """Return the byte after a text, number or literal, and its kind; ABSENT if it needs care."""
    byte = int(text[at])
    if byte == _QUOTE:
        end, kind = end_of_text(text, at, stop)
        return end, ABSENT if kind == OTHER else kind
    if byte == _MINUS or _ZERO <= byte <= _NINE:
        return end_of_number(text, at, stop)
    if is_word(text, at, stop, _NULL):
        return at + 4, NULL
    if is_word(text, at, stop, _TRUE):
        return at + 4, OTHER
    if is_word(text, at, stop, _FALSE):
        return at + 5, OTHER
    return at, ABSENT
