"""Dates and times on the command line → UTC nanoseconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from detector.errors import OptionError
from detector.policy import load_policy

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEARS = range(1970, 2200)  # within the nanoseconds of 64 bits, whatever the zone


def since_ns(text: str | None, policy: Path | None, option: str) -> int | None:
    """Return the instant of a date (midnight in the policy's zone) or an ISO time.

    Raises:
        OptionError: neither a date nor a time, or of a year that no event can have.

    >>> since_ns("2026-03-02T00:00:00+00:00", None, "--since")
    1772409600000000000
    >>> since_ns("2026-03-02T00:00:00.25Z", None, "--since")
    1772409600250000000
    """
    if text is None:
        return None
    return instant_ns(text, load_policy(policy).clock.default_time_zone, option)


def instant_ns(text: str, zone: str, option: str) -> int:
    """Return the instant of a date (midnight in a zone) or an ISO time.

    Raises:
        OptionError: neither a date nor a time, or of a year that no event can have.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        hint = "Write 2026-03-02 or 2026-03-02T08:00:00+08:00"
        raise OptionError(f"is no date or time: {text!r}", where=option, hint=hint) from None
    if moment.year not in _YEARS:
        what, hint = f"is out of range: {text!r}", f"Years {_YEARS[0]} to {_YEARS[-1]} are known"
        raise OptionError(what, where=option, hint=hint)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(zone))
    return (moment.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1) * 1_000
