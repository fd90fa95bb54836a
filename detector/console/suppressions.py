"""Rules that keep alerts out of the queue for a while: narrow, signed, expiring, and counted.

A suppressed alert is hidden while nobody has begun it and the rule is in force; it comes back when
the rule ends. Nothing is deleted, nothing is closed by it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Connection, Row, func, insert, literal, or_, select, update

from detector.console.alert_queries import Viewer, covers_all_of, newest_day
from detector.console.tables import episode, suppression, triage
from detector.console.triage_actions import MAX_TEXT_LETTERS, RefusedError

LONGEST_DAYS = 180
PREVIEW_DAYS = 90


@dataclass(frozen=True, slots=True)
class Scope:
    """Which alerts a rule covers: every field that is not None must agree; scores below a bound."""

    detector: str | None
    user_id: str | None
    user_role: str | None
    user_branch: str | None
    below_score: float


@dataclass(frozen=True, slots=True)
class Preview:
    """What a rule would have hidden: alerts, of them confirmed, and the highest score."""

    days: int
    n_alerts: int
    n_of: int
    n_confirmed: int
    highest_score: float | None


@dataclass(frozen=True, slots=True)
class _Literal:
    """A scope that is not saved yet, looking like the rule's columns."""

    detector: Any
    user_id: Any
    user_role: Any
    user_branch: Any
    below_score: Any


def preview(connection: Connection, viewer: Viewer, scope: Scope) -> Preview:
    """Tell what a rule would have hidden in the last 90 days of alerts this person may see."""
    newest = newest_day(connection, viewer)
    if newest is None:
        return Preview(PREVIEW_DAYS, 0, 0, 0, None)
    since = (date.fromisoformat(newest) - timedelta(days=PREVIEW_DAYS - 1)).isoformat()
    columns = _Literal(**{name: literal(value) for name, value in asdict(scope).items()})
    covered = covers_all_of(columns, episode.c)
    source = episode.outerjoin(triage, triage.c.alert_id == episode.c.alert_id)
    query = (
        select(
            func.count().filter(covered),
            func.count(),
            func.count().filter(covered, triage.c.verdict == "confirmed"),
            func.max(episode.c.score).filter(covered),
        )
        .select_from(source)
        .where(viewer.sees(), episode.c.day >= since)
    )
    return Preview(PREVIEW_DAYS, *connection.execute(query).one())


def save(
    connection: Connection, viewer: Viewer, scope: Scope, reason: str, days: int
) -> dict[str, Any]:
    """Save a rule.

    Returns:
        What was saved, for the journal.

    Raises:
        RefusedError: it covers everything, lasts too long, reaches beyond this person's
            branches, or has no reason.
    """
    if scope.detector is None and scope.user_id is None:
        raise RefusedError("scope_too_wide")
    if not 1 <= days <= LONGEST_DAYS:
        raise RefusedError("days_out_of_range")
    words = reason.strip()[:MAX_TEXT_LETTERS]
    if not words:
        raise RefusedError("reason_missing")
    if viewer.branches is not None and scope.user_branch not in viewer.branches:
        raise RefusedError("scope_beyond_branches")
    values = {**asdict(scope), "author": viewer.login, "reason": words}
    times = {"created_ms": viewer.now_ms, "expires_ms": viewer.now_ms + days * 86_400_000}
    number = connection.execute(insert(suppression).values(**values, **times)).inserted_primary_key
    return {"number": int(number[0]) if number else 0, "days": days, **values}


def listed(connection: Connection, viewer: Viewer) -> list[Row[Any]]:
    """Return the rules that touch what this person may see, newest first."""
    query = select(suppression).order_by(suppression.c.number.desc()).limit(500)
    if viewer.branches is not None:
        query = query.where(suppression.c.user_branch.in_(viewer.branches))
    return list(connection.execute(query))


def end(connection: Connection, viewer: Viewer, number: int) -> bool:
    """End a rule now; False if it is over already, or not this person's to end."""
    mine = [
        suppression.c.number == number,
        suppression.c.ended_ms.is_(None),
        suppression.c.expires_ms > viewer.now_ms,
    ]
    if viewer.branches is not None:
        mine.append(suppression.c.user_branch.in_(viewer.branches))
    values = {"ended_ms": viewer.now_ms, "ended_by": viewer.login}
    return connection.execute(update(suppression).where(*mine).values(**values)).rowcount == 1


def for_person(connection: Connection, user_id: str, now_ms: int) -> list[Row[Any]]:
    """Return the rules in force that name a person."""
    ours = or_(suppression.c.user_id == user_id, suppression.c.user_id.is_(None))
    force = (suppression.c.ended_ms.is_(None), suppression.c.expires_ms > now_ms)
    return list(connection.execute(select(suppression).where(ours, *force)))
