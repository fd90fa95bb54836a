"""Texts and numbers → UTC nanoseconds, exactly."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np

from detector.compiled import kernel
from detector.state.layout import I64, U8

NOT_A_TIME = -(2**63)
_SECOND_NS = 1_000_000_000
_NO_OFFSET = 1_000_000
_LIMIT_NS = 2**62  # about the year 2116
EPOCH_NS = {"epoch_s": _SECOND_NS, "epoch_ms": 1_000_000, "epoch_us": 1_000, "epoch_ns": 1}
_MONTH_DAYS = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], dtype=np.int64)


@kernel
def _number(text: U8, start: int, stop: int) -> int:
    """Read digits; -1 if there is anything else."""
    value = 0
    for i in range(start, stop):
        digit = int(text[i]) - 48
        if digit < 0 or digit > 9:
            return -1
        value = value * 10 + digit
    return value


@kernel
def _days_since_epoch(year: int, month: int, day: int) -> int:
    """Civil date to days (proleptic Gregorian), by counting years from a March."""
    y = year - 1 if month <= 2 else year
    era = y // 400
    yoe = y - era * 400
    doy = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + yoe * 365 + yoe // 4 - yoe // 100 + doy - 719_468


@kernel
def _offset_s(text: U8, start: int) -> int:
    """Read Z or ±HH:MM at the end; a value beyond a day means it is neither."""
    if text.size == start + 1 and text[start] in (90, 122):
        return 0
    if text.size != start + 6 or text[start] not in (43, 45) or text[start + 3] != 58:
        return _NO_OFFSET
    hours, minutes = _number(text, start + 1, start + 3), _number(text, start + 4, start + 6)
    if hours < 0 or hours > 23 or minutes < 0 or minutes > 59:
        return _NO_OFFSET
    seconds = hours * 3600 + minutes * 60
    return seconds if text[start] == 43 else -seconds


@kernel
def _date_days(text: U8) -> int:
    """Read YYYY-MM-DD as days since 1970-01-01; NOT_A_TIME if it is no date."""
    year, month, day = _number(text, 0, 4), _number(text, 5, 7), _number(text, 8, 10)
    separated = text[4] == 45 and text[7] == 45 and text[10] in (84, 32)
    if not separated or year < 1700 or year > 2100 or month < 1 or month > 12:
        return NOT_A_TIME
    is_leap = (year % 4 == 0 and year % 100 != 0) or year % 400 == 0
    last = _MONTH_DAYS[month - 1] + (1 if is_leap and month == 2 else 0)
    return _days_since_epoch(year, month, day) if 1 <= day <= last else NOT_A_TIME


@kernel
def _time_s(text: U8) -> int:
    """Read HH:MM:SS at its place as seconds; NOT_A_TIME if it is no time of day."""
    hour, minute, second = _number(text, 11, 13), _number(text, 14, 16), _number(text, 17, 19)
    fits = 0 <= hour <= 23 and 0 <= minute <= 59 and 0 <= second <= 59
    if not fits or text[13] != 58 or text[16] != 58:
        return NOT_A_TIME
    return hour * 3600 + minute * 60 + second


@kernel
def parse_bytes(text: U8) -> int:
    """Parse YYYY-MM-DDTHH:MM:SS[.f](Z|±HH:MM); NOT_A_TIME if it is anything else."""
    if text.size < 20:
        return NOT_A_TIME
    days, seconds = _date_days(text), _time_s(text)
    stop, fraction = 19, 0
    if text[19] == 46:
        stop = 20
        while stop < text.size and 48 <= text[stop] <= 57:
            stop += 1
        fraction = _number(text, 20, min(stop, 29))
        for _ in range(29 - stop):
            fraction *= 10
    offset = _offset_s(text, stop) if stop < text.size else _NO_OFFSET
    wrong_fraction = stop == 20 or stop > 29
    if NOT_A_TIME in (days, seconds) or offset == _NO_OFFSET or wrong_fraction:
        return NOT_A_TIME
    return (days * 86_400 + seconds - offset) * _SECOND_NS + fraction


@kernel
def _parse_all(text: U8, ends: I64, out: I64) -> None:
    start = 0
    for row in range(ends.size):
        out[row] = parse_bytes(text[start : ends[row]])
        start = ends[row]


def parse_iso(texts: Sequence[str]) -> I64:
    """Parse the common ISO-8601 form of many texts at once.

    Args:
        texts: n ASCII texts.

    Returns:
        (n,) UTC nanoseconds; NOT_A_TIME where the text has another form (which the slow
        path may still know).

    >>> parse_iso(["1970-01-01T08:00:01.5+08:00", "soon"]).tolist()[0]
    1500000000
    """
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    out = np.empty(len(texts), dtype=np.int64)
    buffer = np.frombuffer("".join(texts).encode("ascii"), dtype=np.uint8)
    _parse_all(buffer, np.cumsum(lengths), out)
    return out


def parse_one(value: object, formats: Sequence[str], zone: ZoneInfo | None) -> int | None:
    """Parse one value in the first format that fits; None if none does.

    Args:
        value: a text or a number, as JSON gave it.
        formats: iso8601, epoch_s, epoch_ms, epoch_us, epoch_ns or strptime formats.
        zone: of texts without an offset; without it such texts do not fit.

    >>> parse_one(1.5, ["epoch_s"], None)
    1500000000
    """
    for name in formats:
        unit_ns = EPOCH_NS.get(name)
        parsed = _text(value, name, zone) if unit_ns is None else _epoch(value, unit_ns)
        if parsed is not None:
            return parsed
    return None


def _epoch(value: object, unit_ns: int) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        exact = Decimal(str(value)) * unit_ns
        return int(exact) if exact.is_finite() and abs(exact) < _LIMIT_NS else None
    except ArithmeticError:  # no number, or one beyond Decimal's exponents
        return None


def _text(value: object, name: str, zone: ZoneInfo | None) -> int | None:
    if not isinstance(value, str) or len(value) > 64:
        return None
    try:
        if name == "iso8601":
            moment = datetime.fromisoformat(value)
        else:
            moment = datetime.strptime(value, name)  # noqa: DTZ007  the zone follows
        if moment.tzinfo is None:
            if zone is None:
                return None
            moment = moment.replace(tzinfo=zone)
        since = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    whole_s = since.days * 86_400 + since.seconds
    ns = whole_s * _SECOND_NS + since.microseconds * 1_000
    return ns if abs(ns) < _LIMIT_NS else None
