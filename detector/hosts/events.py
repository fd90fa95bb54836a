"""Input → decoded batches: what replay and fit share. Owns the clock's bounds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from detector.columns import EventBatch, Reject
from detector.decode import Bounds, decode
from detector.hosts.inputs import Lines, Position, read_lines
from detector.mapping import Mapping

NOT_BEFORE_NS = 946_684_800_000_000_000  # 2000-01-01
_DAY_NS = 86_400_000_000_000


@dataclass(frozen=True, slots=True)
class Decoded:
    """One chunk of the input, decoded."""

    lines: Lines
    batch: EventBatch
    rejects: list[Reject]


def not_after_now() -> int:
    """Return the latest time to believe: a day ahead of this machine's clock."""
    return time.time_ns() + _DAY_NS


def bounds_now(max_line_bytes: int, not_after_ns: int | None = None) -> Bounds:
    """Return what an event may look like today, or up to ``not_after_ns``."""
    latest_ns = not_after_now() if not_after_ns is None else not_after_ns
    return Bounds(NOT_BEFORE_NS, latest_ns, max_line_bytes)


def decoded(
    path: str,
    mapping: Mapping,
    max_line_bytes: int,
    start: Position | None = None,
    not_after_ns: int | None = None,
) -> Iterator[Decoded]:
    """Yield the decoded chunks of an input from a position on.

    Events before 2000 and after ``not_after_ns`` (default: a day from now) are rejected.

    Raises:
        SourceError: the input cannot be read, or is cut; whole lines come first.
    """
    bounds = bounds_now(max_line_bytes, not_after_ns)
    for lines in read_lines(path, start, max_line_bytes):
        batch, rejects = decode(
            lines.lines,
            mapping,
            bounds,
            source=lines.source,
            first_line=lines.first_line,
            loose=lines.loose,
        )
        yield Decoded(lines, batch, rejects)
