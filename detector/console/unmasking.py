"""Seeing who is behind a pseudonym: a reason, a second person, an end."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from detector.console.alert_queries import Viewer
from detector.console.tables import episode, unmask
from detector.console.triage_actions import MAX_TEXT_LETTERS, RefusedError


def ask(connection: Connection, viewer: Viewer, alert: Row[Any], reason: str) -> int:
    """Ask to see who an alert is about.

    Returns:
        Number of the request.

    Raises:
        RefusedError: no reason, or this person's last request still waits.
    """
    words = reason.strip()[:MAX_TEXT_LETTERS]
    if not words:
        raise RefusedError("reason_missing")
    mine = (unmask.c.asked_by == viewer.login, unmask.c.user_id == alert.user_id)
    waiting = select(unmask.c.number).where(*mine, unmask.c.decided_ms.is_(None))
    if connection.execute(waiting).first() is not None:
        raise RefusedError("already_asked")
    values = {"user_id": alert.user_id, "alert_id": alert.alert_id, "asked_by": viewer.login}
    said = {"reason": words, "asked_ms": viewer.now_ms}
    key = connection.execute(insert(unmask).values(**values, **said)).inserted_primary_key
    return int(key[0]) if key else 0


def decide(
    connection: Connection, viewer: Viewer, number: int, *, granted: bool, lasts_ms: int
) -> Row[Any]:
    """Grant or refuse somebody else's request.

    Returns:
        The request.

    Raises:
        RefusedError: it is this person's own, decided already, or not theirs to see.
    """
    query = (
        select(unmask, episode.c.user_branch)
        .join(episode, episode.c.alert_id == unmask.c.alert_id)
        .where(unmask.c.number == number, unmask.c.decided_ms.is_(None), viewer.sees())
    )
    asked = connection.execute(query).one_or_none()
    if asked is None:
        raise RefusedError("no_such_request")
    if asked.asked_by == viewer.login:
        raise RefusedError("second_person_needed")
    values = {
        "decided_by": viewer.login,
        "decided_ms": viewer.now_ms,
        "granted": granted,
        "expires_ms": viewer.now_ms + lasts_ms if granted else None,
    }
    waiting = (unmask.c.number == number, unmask.c.decided_ms.is_(None))
    if connection.execute(update(unmask).where(*waiting).values(**values)).rowcount != 1:
        raise RefusedError("no_such_request")
    return asked


def unmasked(connection: Connection, viewer: Viewer) -> frozenset[str]:
    """Return the people whose identity was granted to this person, for now."""
    mine = (unmask.c.asked_by == viewer.login, unmask.c.granted)
    query = select(unmask.c.user_id).where(*mine, unmask.c.expires_ms > viewer.now_ms)
    return frozenset(connection.execute(query).scalars())


def listed(connection: Connection, viewer: Viewer) -> list[Row[Any]]:
    """Return requests about what this person may see, waiting ones first, at most 200."""
    query = (
        select(unmask, episode.c.user_branch)
        .join(episode, episode.c.alert_id == unmask.c.alert_id)
        .where(viewer.sees())
        .order_by(unmask.c.decided_ms.is_not(None), unmask.c.number.desc())
        .limit(200)
    )
    return list(connection.execute(query))
