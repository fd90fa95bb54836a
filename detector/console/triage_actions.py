"""What people do with alerts, each in one transaction with its entry in the journal.

Nobody overwrites what they have not seen: a change names the row version it was made on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from detector.console.viewing import STATUSES, VERDICTS
from detector.errors import DetectorError
from detector.store.alert_queries import AlertView
from detector.store.tables import account, comment, episode, mention, triage, verdict

MAX_TEXT_LETTERS = 4_000
_MENTION = re.compile(r"(?<![\w@])@([\w.\-]{1,120})")
_LOCK = 7_301_552  # numbers of verdicts become visible in order; see `journal` for the other
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
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """The alert a change was made on, which row version of its triage, by whom and when."""

    alert: AlertView
    row_version: int
    author: str
    now_ms: int


def words_of(text: str, code: str = "text_missing") -> str:
    """Return a text that people wrote, cut to length.

    Raises:
        RefusedError: there is none.
    """
    words = text.strip()[:MAX_TEXT_LETTERS]
    if not words:
        raise RefusedError(code)
    return words


def apply(db: Connection, seen: Seen, change: Change) -> dict[str, Any]:
    """Change status, assignee or verdict.

    Returns:
        What is different now, for the journal.

    Raises:
        RefusedError: an unknown word, nobody of this login, or no reason where one is due.
        ConflictError: the row version is no longer the newest.
    """
    values = _values(db, seen, change)
    if not values:
        raise RefusedError("nothing_changed")
    alert_id = str(seen.alert.fields["alert_id"])
    status = values.get("status")
    if status is not None:
        values["closed_ms"] = seen.now_ms if status == "closed" else None
    _begin(db, alert_id, seen)
    newest = (triage.c.alert_id == alert_id, triage.c.row_version == seen.row_version)
    by: dict[str, Any] = {"changed_ms": seen.now_ms, "changed_by": seen.author}
    by["first_look_ms"] = func.coalesce(triage.c.first_look_ms, seen.now_ms)
    changed = {**values, **by, "row_version": seen.row_version + 1}
    if db.execute(update(triage).where(*newest).values(**changed)).rowcount != 1:
        raise ConflictError("somebody else has changed it")
    if change.verdict is not None:
        _tell_engine(db, seen, change)
        values["reason"] = change.reason.strip()
    return {name: value for name, value in values.items() if not name.endswith("_ms")}


def _values(db: Connection, seen: Seen, change: Change) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if change.verdict is not None:
        values["verdict"] = _known(change.verdict, VERDICTS, "unknown_verdict")
        if change.verdict in _NEEDS_REASON:
            words_of(change.reason, "reason_missing")
        values["decided_ms"] = seen.now_ms
        values["status"] = "escalated" if change.verdict == "confirmed" else "closed"
    if change.status is not None:
        values["status"] = _known(change.status, STATUSES, "unknown_status")
    if change.assignee is not None:
        values["assignee"] = _assignee(db, change.assignee)
    return values


def _known(word: str, words: tuple[str, ...], code: str) -> str:
    if word not in words:
        raise RefusedError(code)
    return word


def _assignee(db: Connection, login: str) -> str | None:
    if not login:
        return None
    query = select(account.c.name).where(account.c.name == login, account.c.is_disabled.is_(False))
    if db.execute(query).first() is None:
        raise RefusedError("unknown_assignee")
    return login


def _tell_engine(db: Connection, seen: Seen, change: Change) -> None:
    """Append to what the engine learns from; the newest verdict of an alert counts."""
    fields = seen.alert.fields
    about = {"alert_id": fields["alert_id"], "alert_version": fields["version"]}
    said = {"verdict": change.verdict, "reason": change.reason.strip()[:MAX_TEXT_LETTERS]}
    by = {"author": seen.author, "given_ms": seen.now_ms}
    if db.dialect.name == "postgresql":  # who follows the numbers must not pass one by
        db.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    db.execute(insert(verdict).values(**about, **said, **by))


def look(db: Connection, seen: Seen) -> None:
    """Note when somebody who may act on an alert first opened it."""
    alert_id = str(seen.alert.fields["alert_id"])
    _begin(db, alert_id, seen)
    unseen = (triage.c.alert_id == alert_id, triage.c.first_look_ms.is_(None))
    db.execute(update(triage).where(*unseen).values(first_look_ms=seen.now_ms))


def _begin(db: Connection, alert_id: str, seen: Seen) -> None:
    """Make sure that an alert has a triage; row version 0 is one that nobody has changed yet."""
    held = select(triage.c.alert_id).where(triage.c.alert_id == alert_id)
    if db.execute(held).first() is not None:
        return
    first = {"alert_id": alert_id, "row_version": 0, "status": "new"}
    try:
        with db.begin_nested():
            values = {**first, "changed_ms": seen.now_ms, "changed_by": ""}
            db.execute(insert(triage).values(**values))
    except IntegrityError:
        return  # somebody else's transaction was a moment earlier: it is there


def say(db: Connection, alert_id: str, author: str, text: str, now_ms: int) -> list[str]:
    """Add a comment.

    Returns:
        Logins it mentions, of accounts that exist.

    Raises:
        RefusedError: it is empty.
    """
    words = words_of(text)
    named = set(_MENTION.findall(words))
    query = select(account.c.name).where(account.c.name.in_(named))
    mentions = sorted(db.execute(query).scalars()) if named else []
    values = {"alert_id": alert_id, "author": author, "body": words, "written_ms": now_ms}
    made = db.execute(insert(comment).values(**values).returning(comment.c.number))
    number = made.scalar_one()
    if mentions:
        db.execute(insert(mention), [{"comment": number, "account": name} for name in mentions])
    return mentions


def mentions_of(db: Connection, alert_id: str) -> dict[int, list[str]]:
    """Return who is mentioned in an alert's comments, by comment."""
    query = (
        select(mention.c.comment, mention.c.account)
        .join(comment, comment.c.number == mention.c.comment)
        .where(comment.c.alert_id == alert_id)
        .order_by(mention.c.account)
    )
    found: dict[int, list[str]] = {}
    for number, name in db.execute(query):
        found.setdefault(number, []).append(name)
    return found


def verdict_events(
    db: Connection, after: int, limit: int, branches: frozenset[str] | None = None
) -> list[dict[str, Any]]:
    """Return the next verdicts as the engine will read them, in the order they were given.

    Each is keyed by the person the alert is about, ``user_id``; ``branches`` None is all.
    """
    e, v = episode.c, verdict.c
    columns = (
        v.number, v.given_ms, e.user_id, v.alert_id, v.alert_version, v.verdict, v.reason, v.author,
        e.day, e.detectors,
    )  # fmt: skip
    query = select(*columns).join(episode, e.alert_id == v.alert_id).where(v.number > after)
    if branches is not None:
        query = query.where(e.user_branch.in_(sorted(branches)))
    rows = db.execute(query.order_by(v.number).limit(limit)).mappings()
    return [
        {
            **{str(name): value for name, value in row.items()},
            "day": row["day"].isoformat(),
            "detectors": row["detectors"].strip(",").split(","),
        }
        for row in rows
    ]
