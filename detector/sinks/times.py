"""Times of an alert as receivers want them."""

from __future__ import annotations

from datetime import datetime


def epoch_ms(iso_time: str) -> int:
    """Return milliseconds since 1970 in UTC.

    >>> epoch_ms("1970-01-01T08:00:00.120+08:00")
    120
    """
    return round(datetime.fromisoformat(iso_time).timestamp() * 1_000)


def offset_minutes(iso_time: str) -> int:
    """Return how far local time is ahead of UTC.

    >>> offset_minutes("2026-03-02T10:41:07.120+08:00")
    480
    """
    offset = datetime.fromisoformat(iso_time).utcoffset()
    return 0 if offset is None else round(offset.total_seconds() / 60)
