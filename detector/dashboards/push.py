"""Dashboards and marks of alerts → a Grafana server that is there; again changes nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from detector.dashboards.catalogue import DASHBOARDS
from detector.dashboards.model import Sources
from detector.dashboards.render import TAG, to_json

FOLDER_UID, FOLDER_TITLE = "detector", "Audit anomaly detector · 审计异常检测"
_MESSAGE = "detector dashboards push"
_KEPT_BY_SERVER = {"id", "version"}


@dataclass(frozen=True, slots=True)
class Mark:
    """An alert on the time axis of every panel; ``key`` stays the same for one alert."""

    key: str
    time_ms: int
    tags: tuple[str, ...]
    text: str


class Server(Protocol):
    """What we need of a Grafana server; every method raises ``GrafanaError``."""

    def has_folder(self, uid: str) -> bool:
        """Tell whether a folder is there."""

    def make_folder(self, uid: str, title: str) -> None:
        """Make a folder."""

    def dashboard(self, uid: str) -> tuple[dict[str, Any], str] | None:
        """Return a dashboard and its folder's uid, None if there is none."""

    def save_dashboard(self, content: dict[str, Any], folder_uid: str, message: str) -> None:
        """Save a dashboard over what is there."""

    def mark(self, key: str) -> tuple[int, Mark] | None:
        """Return the server's number and content of the mark with a key, None if there is none."""

    def add_mark(self, mark: Mark) -> None:
        """Add a mark."""

    def change_mark(self, number: int, mark: Mark) -> None:
        """Replace a mark."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """What was new, changed, or as it should be."""

    made: int = 0
    changed: int = 0
    same: int = 0

    def plus(self, outcome: str) -> Pushed:
        """Count one more."""
        counts = {"made": self.made, "changed": self.changed, "same": self.same}
        counts[outcome] += 1
        return Pushed(**counts)


def push_dashboards(server: Server, sources: Sources) -> Pushed:
    """Bring all dashboards into our folder; what is the same is left alone, with its history."""
    if not server.has_folder(FOLDER_UID):
        server.make_folder(FOLDER_UID, FOLDER_TITLE)
    done = Pushed()
    for one in DASHBOARDS:
        content, held = to_json(one, sources), server.dashboard(one.uid)
        if held is not None and held[1] == FOLDER_UID and _without_numbers(held[0]) == content:
            done = done.plus("same")
            continue
        server.save_dashboard(content, FOLDER_UID, _MESSAGE)
        done = done.plus("made" if held is None else "changed")
    return done


def _without_numbers(content: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in content.items() if key not in _KEPT_BY_SERVER}


def marks_of(alerts: Iterable[dict[str, Any]], console_url: str) -> list[Mark]:
    """Return a mark for each alert.

    A mark says what, how bad and where to look: no number of a person or a customer.

    Args:
        alerts: rows with alert_id, time_ms (UTC), detector, severity and score.
        console_url: address of the console, without a slash at the end.
    """
    return [_mark(row, console_url) for row in alerts]


def _mark(row: dict[str, Any], console_url: str) -> Mark:
    key, detector, severity = (_plain(row[name]) for name in ("alert_id", "detector", "severity"))
    link = f'<a href="{console_url}/alerts/{key}">{key}</a>'
    text = f"{severity} {detector}, {row['score']:.1f}: {link}"
    tags = tuple(sorted({TAG, detector, severity, tag_of(key)}))
    return Mark(key, int(row["time_ms"]), tags, text)


def _plain(value: object) -> str:
    """Return a name as it is; Grafana shows marks as HTML, so anything else becomes dashes."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", str(value))[:100]


def tag_of(key: str) -> str:
    """Return the tag that only this alert's mark bears."""
    return f"alert:{key}"


def push_marks(server: Server, marks: Iterable[Mark]) -> Pushed:
    """Bring marks to the server; one that is there under its key is changed, never doubled."""
    done = Pushed()
    for mark in marks:
        held = server.mark(mark.key)
        if held is None:
            server.add_mark(mark)
            done = done.plus("made")
        elif held[1] == mark:
            done = done.plus("same")
        else:
            server.change_mark(held[0], mark)
            done = done.plus("changed")
    return done
