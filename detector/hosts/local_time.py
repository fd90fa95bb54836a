"""Dates and times on the command line → UTC nanoseconds."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from detector.errors import OptionError
from detector.policy import load_policy

_SECOND_NS = 1_000_000_000


def since_ns(text: str | None, policy: Path | None, option: str) -> int | None:
    """Return the instant of a date (midnight in the policy's zone) or an ISO time.

    Raises:
        OptionError: neither a date nor a time.

    >>> since_ns("2026-03-02T00:00:00+00:00", None, "--since")
    1772409600000000000
    """
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        hint = "Write 2026-03-02 or 2026-03-02T08:00:00+08:00"
        raise OptionError(f"is no date or time: {text!r}", where=option, hint=hint) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(load_policy(policy).clock.default_time_zone))
    return int(moment.astimezone(UTC).timestamp()) * _SECOND_NS
