"""What people do with alerts, each in one transaction with its entry in the journal.

Nobody overwrites what they have not seen: a change names the revision it was made on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from detector.console.alert_queries import STATUSES, VERDICTS
from detector.console.tables import account, comment, triage, verdict_event
from detector.errors import DetectorError

MAX_TEXT_LETTERS = 4_000
_MENTION = re.compile(r"(?<![\w@])@([\w.\-]{1,120})")
_NEEDS_REASON = frozenset({"benign", "wrong_team"})


class ConflictError(DetectorError):
    """Somebody else has changed the alert in between."""


class RefusedError(DetectorError):
    """What was asked for is not possible; ``code`` names the text that tells why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be different; None leaves a field as it is, an empty assignee takes it away."""

    status: str | None = None
    assignee: str | None = None
    verdict: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """The alert a change was made on: its row as shown, and who changes it when."""

    row: Row[Any]
    revision: int
    author: str
    now_ms: int


def apply(connection: Connection, seen: Seen, change: Change) -> dict[str, Any]:
    """Change status, assignee or verdict.

    Returns:
        What is different now, for the journal.

    Raises:
        RefusedError: an unknown word, nobody of this login, or no reason where one is due.
        ConflictError: the revision is no longer the newest.
    """
    values = _values(connection, seen, change)
    alert_id = seen.row.alert_id
    values |= {"changed_ms": seen.now_ms, "changed_by": seen.author, "revision": seen.revision + 1}
    _begin(connection, alert_id, seen.now_ms)
    newest = (triage.c.alert_id == alert_id, triage.c.revision == seen.revision)
    if connection.execute(update(triage).where(*newest).values(**values)).rowcount != 1:
        raise ConflictError("somebody else has changed it")
    if change.verdict is not None:
        _tell_engine(connection, seen, values["verdict"], values["verdict_reason"])
    return {name: value for name, value in values.items() if not name.startswith("changed_")}


def _values(connection: Connection, seen: Seen, change: Change) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if change.status is not None:
        values["status"] = _known(change.status, STATUSES, "unknown_status")
    if change.assignee is not None:
        values["assignee"] = _assignee(connection, change.assignee)
    if change.verdict is not None:
        values |= _verdict(seen, change)
    if not values:
        raise RefusedError("nothing_changed")
    return values


def _verdict(seen: Seen, change: Change) -> dict[str, Any]:
    """Return a verdict's fields; an empty one takes the last one back and opens the alert."""
    reason = (change.reason or "").strip()[:MAX_TEXT_LETTERS]
    if change.verdict == "":
        return {"verdict": None, "verdict_reason": None, "decided_ms": None} | _reopened(change)
    verdict = _known(str(change.verdict), VERDICTS, "unknown_verdict")
    if verdict in _NEEDS_REASON and not reason:
        raise RefusedError("reason_missing")
    decided = {"verdict": verdict, "verdict_reason": reason or None, "decided_ms": seen.now_ms}
    closes = {"status": "escalated" if verdict == "confirmed" else "closed"}
    return {**closes, **decided, "verdict_version": seen.row.version} | (
        {} if change.status is None else {"status": change.status}
    )


def _reopened(change: Change) -> dict[str, Any]:
    return {"status": change.status or "in_progress"}


def _known(word: str, words: tuple[str, ...], code: str) -> str:
    if word not in words:
        raise RefusedError(code)
    return word


def _assignee(connection: Connection, login: str) -> str | None:
    if not login:
        return None
    query = select(account.c.login).where(account.c.login == login, account.c.active)
    if connection.execute(query).first() is None:
        raise RefusedError("unknown_assignee")
    return login


def _tell_engine(connection: Connection, seen: Seen, verdict: str | None, reason: str | None) -> None:
    """Append to what the engine reads: an event of the person the alert is about."""
    row = seen.row
    event = {"alert_id": row.alert_id, "version": row.version, "user_id": row.user_id}
    said = {"verdict": verdict, "reason": reason, "author": seen.author, "at_ms": seen.now_ms}
    detectors = [name for name in row.detectors.split(",") if name]
    connection.execute(insert(verdict_event).values(**event, **said, detectors=detectors))


def look(connection: Connection, alert_id: str, now_ms: int) -> None:
    """Note when somebody who may act on an alert first opened it."""
    _begin(connection, alert_id, now_ms)
    unseen = (triage.c.alert_id == alert_id, triage.c.first_look_ms.is_(None))
    connection.execute(update(triage).where(*unseen).values(first_look_ms=now_ms))


def _begin(connection: Connection, alert_id: str, now_ms: int) -> None:
    """Make sure that an alert has a triage; revision 0 is one that nobody has changed yet."""
    held = select(triage.c.alert_id).where(triage.c.alert_id == alert_id)
    if connection.execute(held).first() is not None:
        return
    first = {"alert_id": alert_id, "revision": 0, "status": "new"}
    try:
        with connection.begin_nested():
            values = {**first, "changed_ms": now_ms, "changed_by": ""}
            connection.execute(insert(triage).values(**values))
    except IntegrityError:
        return  # somebody else's transaction was a moment earlier: it is there


def say(connection: Connection, alert_id: str, author: str, text: str, now_ms: int) -> list[str]:
    """Add a comment.

    Returns:
        Logins it mentions, of accounts that exist.

    Raises:
        RefusedError: it is empty.
    """
    words = text.strip()[:MAX_TEXT_LETTERS]
    if not words:
        raise RefusedError("text_missing")
    named = set(_MENTION.findall(words))
    query = select(account.c.login).where(account.c.login.in_(named))
    mentions = sorted(connection.execute(query).scalars()) if named else []
    values = {"alert_id": alert_id, "author": author, "text": words, "mentions": mentions}
    connection.execute(insert(comment).values(**values, at_ms=now_ms))
    return mentions


def comments(connection: Connection, alert_id: str) -> list[Row[Any]]:
    """Return an alert's comments, oldest first."""
    query = select(comment).where(comment.c.alert_id == alert_id).order_by(comment.c.number)
    return list(connection.execute(query))


def verdict_events(connection: Connection, after: int, limit: int) -> list[Row[Any]]:
    """Return the next verdicts as the engine reads them, in the order they were given."""
    later = select(verdict_event).where(verdict_event.c.number > after)
    return list(connection.execute(later.order_by(verdict_event.c.number).limit(limit)))


def n_verdict_events(connection: Connection) -> int:
    """Return how many verdicts were given in all."""
    return int(connection.execute(select(func.count()).select_from(verdict_event)).scalar_one())
