"""Asking the employee why: a link with its own small page, and the answer beside the alert."""

from __future__ import annotations

import secrets
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from detector.console.alert_queries import Viewer
from detector.console.people import digest
from detector.console.tables import episode, justification
from detector.console.triage_actions import MAX_TEXT_LETTERS, RefusedError

ANSWER_WITHIN_DAYS = 7


def ask(connection: Connection, viewer: Viewer, alert_id: str, question: str) -> str:
    """Ask about an alert.

    Returns:
        The secret of the employee's link; it is shown once, only its digest is kept.

    Raises:
        RefusedError: the question is empty.
    """
    words = question.strip()[:MAX_TEXT_LETTERS]
    if not words:
        raise RefusedError("text_missing")
    secret = secrets.token_urlsafe(24)
    until = viewer.now_ms + ANSWER_WITHIN_DAYS * 86_400_000
    values = {"request_id": secrets.token_hex(6), "alert_id": alert_id, "digest": digest(secret)}
    said = {"asked_by": viewer.login, "question": words}
    times = {"asked_ms": viewer.now_ms, "expires_ms": until}
    connection.execute(insert(justification).values(**values, **said, **times))
    return secret


def find(connection: Connection, secret: str, now_ms: int) -> Row[Any] | None:
    """Return what an employee was asked and about which day; None if the link is over."""
    query = (
        select(justification, episode.c.day, episode.c.n_customers, episode.c.n_records)
        .join(episode, episode.c.alert_id == justification.c.alert_id)
        .where(justification.c.digest == digest(secret), justification.c.expires_ms > now_ms)
    )
    return connection.execute(query).one_or_none()


def answer(connection: Connection, secret: str, text: str, now_ms: int) -> Row[Any] | None:
    """Keep an answer; the first one stands. Returns the request, None if it is over or answered.

    Raises:
        RefusedError: the answer is empty.
    """
    words = text.strip()[:MAX_TEXT_LETTERS]
    if not words:
        raise RefusedError("text_missing")
    open_ones = (
        justification.c.digest == digest(secret),
        justification.c.expires_ms > now_ms,
        justification.c.answered_ms.is_(None),
    )
    values = {"answer": words, "answered_ms": now_ms}
    changed = connection.execute(update(justification).where(*open_ones).values(**values))
    return find(connection, secret, now_ms) if changed.rowcount == 1 else None


def of_alert(connection: Connection, alert_id: str) -> list[Row[Any]]:
    """Return what was asked about an alert, oldest first."""
    query = select(justification).where(justification.c.alert_id == alert_id)
    return list(connection.execute(query.order_by(justification.c.asked_ms)))
