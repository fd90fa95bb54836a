"""Seeing who is behind a pseudonym: a reason, a second person, an end."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select, insert, select, update

from detector.console.triage_actions import RefusedError, words_of
from detector.console.viewing import Viewer
from detector.store.tables import episode, unmask_request

_ASKED_FOR_MS = 7 * 86_400_000
_r = unmask_request.c


def ask(db: Connection, viewer: Viewer, alert_id: str, pseudonym: str, reason: str) -> int:
    """Ask to see who an alert is about; the request lapses after a week.

    Returns:
        Number of the request.

    Raises:
        RefusedError: no reason, or this person's last request still waits.
    """
    words = words_of(reason, "reason_missing")
    if waits(db, viewer, pseudonym):
        raise RefusedError("already_asked")
    about = {"kind": "user", "pseudonym": pseudonym, "alert_id": alert_id, "reason": words}
    times = {"asked_ms": viewer.now_ms, "expires_ms": viewer.now_ms + _ASKED_FOR_MS}
    values = {**about, **times, "asked_by": viewer.login}
    return int(
        db.execute(insert(unmask_request).values(**values).returning(_r.number)).scalar_one()
    )


def waits(db: Connection, viewer: Viewer, pseudonym: str) -> bool:
    """Tell whether this person has asked and nobody has decided."""
    mine = (_r.asked_by == viewer.login, _r.pseudonym == pseudonym, _r.kind == "user")
    query = select(_r.number).where(*mine, _r.decided_ms.is_(None), _r.expires_ms > viewer.now_ms)
    return db.execute(query).first() is not None


def decide(
    db: Connection, viewer: Viewer, number: int, *, granted: bool, lasts_ms: int
) -> dict[str, Any]:
    """Grant or refuse somebody else's request.

    Returns:
        The request.

    Raises:
        RefusedError: it is this person's own, decided or lapsed already, or not theirs to see.
    """
    waiting = (_r.number == number, _r.decided_ms.is_(None), _r.expires_ms > viewer.now_ms)
    asked = db.execute(_seen_by(viewer).where(*waiting)).mappings().one_or_none()
    if asked is None:
        raise RefusedError("no_such_request")
    if asked["asked_by"] == viewer.login:
        raise RefusedError("second_person_needed")
    values: dict[str, Any] = {"decided_by": viewer.login, "decided_ms": viewer.now_ms}
    values |= {"is_granted": granted, "expires_ms": viewer.now_ms + lasts_ms}
    if db.execute(update(unmask_request).where(*waiting).values(**values)).rowcount != 1:
        raise RefusedError("no_such_request")
    return dict(asked)


def unmasked(db: Connection, viewer: Viewer) -> frozenset[str]:
    """Return the pseudonyms whose bearer was granted to this person, for now."""
    mine = (_r.asked_by == viewer.login, _r.is_granted.is_(True), _r.kind == "user")
    query = select(_r.pseudonym).where(*mine, _r.expires_ms > viewer.now_ms)
    return frozenset(db.execute(query).scalars())


def listed(db: Connection, viewer: Viewer) -> list[dict[str, Any]]:
    """Return requests about what this person may see, waiting ones first, at most 200."""
    order = (_r.decided_ms.is_not(None), _r.number.desc())
    query = _seen_by(viewer).order_by(*order).limit(200)
    return [dict(row) for row in db.execute(query).mappings()]


def _seen_by(viewer: Viewer) -> Select[Any]:
    query = select(unmask_request).join(episode, episode.c.alert_id == _r.alert_id)
    if viewer.branches is None:
        return query
    return query.where(episode.c.user_branch.in_(sorted(viewer.branches)))
