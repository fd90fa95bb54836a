"""Streams that detectors must raise or let pass: what they are built of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from detector.reference import Branch, Reference
from tests.streams import event, usual_work, weekdays

Stream = list[dict[str, Any]]

CHINA = ZoneInfo("Asia/Shanghai")
*HISTORY, TESTED = weekdays(16)  # three weeks from 10:00 on; then Monday, 23 March 2026
HOME = {"home": "B001", "branch": "B001"}
HEAD_OFFICE = {"home": "B000", "branch": "B000"}
BANK = Reference(branches=tuple(Branch(f"B00{i}") for i in range(6)))
FIRES, QUIET = True, False


def moment(day: datetime, clock: str, zone: ZoneInfo = CHINA) -> datetime:
    """The instant of a local time on the day of another instant."""
    local = datetime.combine(day.astimezone(zone).date(), time.fromisoformat(clock), tzinfo=zone)
    return local.astimezone(UTC)


def burst(start: datetime, n: int, gap_s: float, **fields: Any) -> Stream:
    """``n`` events of u1 at even gaps, on customers nobody else has looked at."""
    first = int(start.timestamp())
    return [
        event(first * 1_000 + i, "u1", start + timedelta(seconds=gap_s * i), **{**HOME, **fields})
        for i in range(n)
    ]


def daily(days: list[datetime], clock: str, n: int, gap_s: float, **fields: Any) -> Stream:
    """The same burst on many days."""
    zone = fields.pop("zone", CHINA)
    return [e for day in days for e in burst(moment(day, clock, zone), n, gap_s, **fields)]


def day_worker(*extra: dict[str, Any], **fields: Any) -> Stream:
    """Three ordinary weeks of a teller and an ordinary day more, with something on top."""
    return [*usual_work("u1", [*HISTORY, TESTED], **{**HOME, **fields}), *extra]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A stream, and whether its detector is heard in it.

    ``fitted`` takes the artifact of a small bank instead of the built-in priors. ``since``
    judges only what comes later: the days before show what is usual.
    """

    detector: str
    name: str
    fires: bool
    stream: Callable[[], Stream]
    fitted: bool = False
    since: datetime | None = None
    reference: Reference = BANK
