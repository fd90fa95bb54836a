"""The audit log as sinks read it: which acts are sent on, in which words, and how far each is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import Connection, func, select

from detector.console.journal import entry_of
from detector.console.journal_chain import Entry
from detector.store.console import ConsoleStore
from detector.store.queries import count_up_to
from detector.store.settings import set_setting, setting_of
from detector.store.tables import audit_entry

ACTS = (
    "alert.triage", "alert.comment", "alert.ask", "suppression.save", "suppression.end",
)  # fmt: skip
"""Acts that are sent; looks, sign-ins and identities are nobody else's business."""


@dataclass(frozen=True, slots=True)
class Act:
    """An act as a line for sinks."""

    number: int
    line: bytes


class Acts:
    """The audit log as the outbox of sinks reads it (``sinks.outbox.Alerts``)."""

    def __init__(self, store: ConsoleStore, public_url: str, clock_ms: Callable[[], int]) -> None:
        self._store, self._public_url, self._clock_ms = store, public_url, clock_ms
        self._nothing_until: dict[int, int] = {}

    def arrivals(self, after: int, limit: int, stream: str | None = None) -> Sequence[Act]:  # noqa: ARG002  one stream
        """Return the next acts; what lies between two acts is read once."""
        since = max(after, self._nothing_until.get(after, 0))
        with self._store.reading() as db:
            rows = db.execute(_acts_after(since).limit(limit)).mappings().all()
            newest = _newest(db)
        if not rows:
            self._nothing_until = {after: newest}
        return [Act(row["number"], self._line(entry_of(row))) for row in rows]

    def n_arrivals(self, after: int, limit: int, stream: str) -> int:  # noqa: ARG002
        """Count acts after a number, up to a limit."""
        since = max(after, self._nothing_until.get(after, 0))
        with self._store.reading() as db:
            return count_up_to(db, _acts_after(since), limit)

    def sink_position(self, sink: str) -> int:
        """Return what was delivered last; a new sink begins at the end of the log."""
        with self._store.writing() as db:
            held = setting_of(db, _position(sink))
            if held is not None:
                return int(held)
            newest = _newest(db)
            set_setting(db, _position(sink), str(newest), self._clock_ms())
            return newest

    def move_sink(self, sink: str, arrival: int) -> None:
        """Note what was delivered."""
        with self._store.writing() as db:
            if int(setting_of(db, _position(sink)) or 0) < arrival:
                set_setting(db, _position(sink), str(arrival), self._clock_ms())

    def _line(self, entry: Entry) -> bytes:
        alert_id = entry.thing if entry.act.startswith("alert.") else None
        url = f"{self._public_url}/alerts/{alert_id}" if self._public_url and alert_id else None
        at = datetime.fromtimestamp(entry.at_ms / 1000, tz=UTC)
        return orjson.dumps(
            {
                "delivery_key": f"act-{entry.number}-{entry.digest[:12]}",
                "act": entry.act,
                "number": entry.number,
                "time": at.isoformat(timespec="milliseconds"),
                "actor": entry.actor,
                "object": entry.thing,
                "detail": entry.detail,
                "url": url,
            }
        )


def _acts_after(number: int) -> Any:
    later = (audit_entry.c.number > number, audit_entry.c.act.in_(ACTS))
    return select(audit_entry).where(*later).order_by(audit_entry.c.number)


def _newest(db: Connection) -> int:
    return int(db.execute(select(func.coalesce(func.max(audit_entry.c.number), 0))).scalar_one())


def _position(sink: str) -> str:
    return f"webhooks.position.{sink}"
