"""Asking the employee why: a link with its own small page, and the answer beside the alert."""

from __future__ import annotations

import secrets
from typing import Any

from sqlalchemy import Connection, insert, select, update

from detector.console.people import digest
from detector.console.triage_actions import words_of
from detector.console.viewing import Viewer
from detector.store.tables import episode, justification

ANSWER_WITHIN_DAYS = 7
_j = justification.c


def ask(db: Connection, viewer: Viewer, alert_id: str, question: str) -> str:
    """Ask about an alert.

    Returns:
        The secret of the employee's link; it is shown once, only its digest is kept.

    Raises:
        RefusedError: the question is empty.
    """
    words, secret = words_of(question), secrets.token_urlsafe(24)
    until = viewer.now_ms + ANSWER_WITHIN_DAYS * 86_400_000
    about = {"alert_id": alert_id, "asked_by": viewer.login, "question": words}
    times = {"asked_ms": viewer.now_ms, "expires_ms": until}
    db.execute(insert(justification).values(token_digest=digest(secret), **about, **times))
    return secret


def find(db: Connection, secret: str, now_ms: int) -> dict[str, Any] | None:
    """Return what an employee was asked and about which day; None if the link is over."""
    query = (
        select(
            _j.alert_id, _j.question, _j.answer, _j.answered_ms,
            episode.c.day, episode.c.n_customers, episode.c.n_records,
        )
        .join(episode, episode.c.alert_id == _j.alert_id)
        .where(_j.token_digest == digest(secret), _j.expires_ms > now_ms)
    )  # fmt: skip
    row = db.execute(query).mappings().one_or_none()
    return None if row is None else dict(row)


def answer(db: Connection, secret: str, text: str, now_ms: int) -> dict[str, Any] | None:
    """Keep an answer; the first one stands. None if the link is over or answered.

    Raises:
        RefusedError: the answer is empty.
    """
    words = words_of(text)
    waiting = (
        _j.token_digest == digest(secret),
        _j.expires_ms > now_ms,
        _j.answered_ms.is_(None),
    )
    values = {"answer": words, "answered_ms": now_ms}
    changed = db.execute(update(justification).where(*waiting).values(**values))
    return find(db, secret, now_ms) if changed.rowcount == 1 else None
