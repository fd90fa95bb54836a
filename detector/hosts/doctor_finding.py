"""What an examination found: where, what, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from detector.errors import DetectorError, LocatedError

Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Args:
        check: part of the installation: pipeline, kafka, store, sinks, machine.
        level: an error keeps the detector from working, a warning is a risk somebody should know.
        where: place: file and key, address, topic.
        what: what is so.
        remedy: what to do about it; empty when nothing has to be done.
    """

    check: str
    level: Level
    where: str
    what: str
    remedy: str = ""


def of_error(check: str, error: DetectorError, where: str = "") -> Finding:
    """Return an error of the program as a finding."""
    if isinstance(error, LocatedError):
        return Finding(check, "error", error.where, error.message, error.hint)
    return Finding(check, "error", where, str(error))


def guarded(check: str, where: str, found: Iterator[Finding]) -> Iterator[Finding]:
    """Yield what an examination finds; the error that ends it is its last finding."""
    try:
        yield from found
    except DetectorError as error:
        yield of_error(check, error, where)
