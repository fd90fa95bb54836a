"""Rules that keep alerts out of the queue for a while: narrow, signed, expiring, and counted.

A rule hides what arrives while it is in force, except above a score. Nothing is deleted or closed
by it: what it hides stays one click away, and closing an alert does not end the rule.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, insert, select, update

from detector.console.triage_actions import RefusedError, words_of
from detector.console.viewing import Viewer, newest_day
from detector.store.queries import count_alerts, hidden_by
from detector.store.tables import suppression

LONGEST_DAYS = 180
PREVIEW_DAYS = 90
_ALL = 1_000_000
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Scope:
    """Which alerts a rule covers: every field that is not None agrees, up to a score."""

    detector: str | None
    user_id: str | None
    user_role: str | None
    user_branch: str | None
    max_score: float


@dataclass(frozen=True, slots=True)
class Preview:
    """What a rule would have hidden in some days: alerts, of how many, confirmed among them."""

    days: int
    n_alerts: int
    n_of: int
    n_confirmed: int


def preview(db: Connection, viewer: Viewer, scope: Scope) -> Preview:
    """Tell what a rule would have hidden in the last 90 days of what this person may see."""
    newest = newest_day(db, viewer)
    if newest is None:
        return Preview(PREVIEW_DAYS, 0, 0, 0)
    first = newest - timedelta(days=PREVIEW_DAYS - 1)
    those = viewer.filter(first_day=first, is_hidden=None)
    confirmed = viewer.filter(first_day=first, is_hidden=None, verdicts=("confirmed",))
    named = asdict(scope)
    return Preview(
        PREVIEW_DAYS,
        hidden_by(db, named, those),
        count_alerts(db, those, _ALL),
        hidden_by(db, named, confirmed),
    )


def save(db: Connection, viewer: Viewer, scope: Scope, reason: str, days: int) -> dict[str, Any]:
    """Save a rule.

    Returns:
        What was saved, for the journal.

    Raises:
        RefusedError: it covers too much, lasts too long, reaches beyond this person's
            branches, or has no reason.
    """
    if scope.detector is None and scope.user_id is None:
        raise RefusedError("scope_too_wide")
    if not 1 <= days <= LONGEST_DAYS:
        raise RefusedError("days_out_of_range")
    if viewer.branches is not None and scope.user_branch not in viewer.branches:
        raise RefusedError("scope_beyond_branches")
    words = words_of(reason, "reason_missing")
    values = {**asdict(scope), "author": viewer.login, "reason": words}
    times = {"created_ms": viewer.now_ms, "expires_ms": viewer.now_ms + days * _DAY_MS}
    made = db.execute(insert(suppression).values(**values, **times).returning(suppression.c.number))
    return {"number": int(made.scalar_one()), "days": days, **values}


def listed(db: Connection, viewer: Viewer) -> list[dict[str, Any]]:
    """Return the rules that touch what this person may see, newest first, at most 500."""
    query = select(suppression).order_by(suppression.c.number.desc()).limit(500)
    if viewer.branches is not None:
        query = query.where(suppression.c.user_branch.in_(sorted(viewer.branches)))
    return [
        {**row, "in_force": row["withdrawn_ms"] is None and row["expires_ms"] > viewer.now_ms}
        for row in db.execute(query).mappings()
    ]


def covering(db: Connection, viewer: Viewer, alert: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rules in force that would cover an alert like this one."""
    names = ("detector", "user_id", "user_role", "user_branch")
    return [
        rule
        for rule in listed(db, viewer)
        if rule["in_force"] and all(rule[name] in {None, alert[name]} for name in names)
    ]


def end(db: Connection, viewer: Viewer, number: int) -> bool:
    """End a rule now; False if it is over already, or not this person's to end."""
    mine = [
        suppression.c.number == number,
        suppression.c.withdrawn_ms.is_(None),
        suppression.c.expires_ms > viewer.now_ms,
    ]
    if viewer.branches is not None:
        mine.append(suppression.c.user_branch.in_(sorted(viewer.branches)))
    values = {"withdrawn_ms": viewer.now_ms, "withdrawn_by": viewer.login}
    return db.execute(update(suppression).where(*mine).values(**values)).rowcount == 1
