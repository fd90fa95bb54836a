"""Which alerts a person sees: filters, order, pages without offsets."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    exists,
    func,
    or_,
    select,
    tuple_,
)

from detector.console.tables import alert, episode, suppression, triage

STATUSES = ("new", "acknowledged", "in_progress", "escalated", "closed")
VERDICTS = ("confirmed", "benign", "wrong_team", "test")
VIEWS = ("today", "held_back", "open", "mine", "suppressed", "all")
SORTS = {
    "day": (episode.c.day, episode.c.score, episode.c.alert_id),
    "score": (episode.c.score, episode.c.alert_id),
    "time": (episode.c.time_ms, episode.c.alert_id),
}
"""What pages are ordered by, always falling."""

_STATUS = func.coalesce(triage.c.status, "new")
_LONGEST_CURSOR = 500
_MAX_WORDS = 8

Condition = ColumnElement[bool]


@dataclass(frozen=True, slots=True)
class Filters:
    """What to show; an empty field does not restrict. Several values of one field: any of them."""

    view: str = "all"
    severity: tuple[str, ...] = ()
    detector: tuple[str, ...] = ()
    branch: tuple[str, ...] = ()
    role: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    verdict: tuple[str, ...] = ()
    user_ids: tuple[str, ...] | None = None
    since: str = ""
    until: str = ""
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Viewer:
    """For whom: login, branches (None: all of them), and the budget of a day."""

    login: str
    branches: tuple[str, ...] | None
    budget: int
    now_ms: int

    def sees(self) -> Condition:
        """Return the condition that keeps alerts of other branches out."""
        if self.branches is None:
            return episode.c.alert_id.is_not(None)
        return episode.c.user_branch.in_(self.branches)


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of one page and where the next begins; None at the end."""

    rows: list[Row[Any]]
    next_cursor: str | None


def one(connection: Connection, viewer: Viewer, alert_id: str) -> Row[Any] | None:
    """Return an alert with its triage; None if there is none, or none this person may see."""
    query = _listed().where(episode.c.alert_id == alert_id, viewer.sees())
    return connection.execute(query).one_or_none()


def page(
    connection: Connection, viewer: Viewer, filters: Filters, *, sort: str, cursor: str, limit: int
) -> Page:
    """Return the next ``limit`` alerts after a cursor; an unreadable cursor begins anew."""
    keys = SORTS[sort]
    query = _listed().where(*conditions(connection, viewer, filters))
    after = _read_cursor(cursor, len(keys))
    if after is not None:
        query = query.where(tuple_(*keys) < tuple_(*after))
    query = query.order_by(*(key.desc() for key in keys)).limit(limit + 1)
    rows = list(connection.execute(query))
    if len(rows) <= limit:
        return Page(rows, None)
    last = rows[limit - 1]
    return Page(rows[:limit], _cursor([last._mapping[key.name] for key in keys]))


def count(connection: Connection, viewer: Viewer, filters: Filters) -> int:
    """Return how many alerts there are."""
    source = episode.outerjoin(triage, triage.c.alert_id == episode.c.alert_id)
    query = select(func.count()).select_from(source)
    return int(
        connection.execute(query.where(*conditions(connection, viewer, filters))).scalar_one()
    )


def newest_day(connection: Connection, viewer: Viewer) -> str | None:
    """Return the last local day that has an alert."""
    day = connection.execute(select(func.max(episode.c.day)).where(viewer.sees())).scalar()
    return None if day is None else str(day)


def conditions(connection: Connection, viewer: Viewer, filters: Filters) -> list[Condition]:
    """Return everything an alert must fulfil to be shown."""
    return [
        viewer.sees(),
        *_of_view(connection, viewer, filters.view),
        *_of_columns(filters),
        *(_word(word) for word in filters.words[:_MAX_WORDS]),
    ]


def _listed() -> Select[Any]:
    """Select an alert's columns, its newest line and its triage."""
    source = episode.join(alert, alert.c.arrival == episode.c.arrival).outerjoin(
        triage, triage.c.alert_id == episode.c.alert_id
    )
    return select(
        episode,
        alert.c.content,
        _STATUS.label("status"),
        func.coalesce(triage.c.revision, 0).label("revision"),
        triage.c.assignee,
        triage.c.verdict,
        triage.c.verdict_reason,
        triage.c.verdict_version,
        triage.c.first_look_ms,
        triage.c.decided_ms,
        triage.c.changed_by,
        triage.c.changed_ms,
    ).select_from(source)


def _of_view(connection: Connection, viewer: Viewer, view: str) -> list[Condition]:
    hidden = is_suppressed(viewer.now_ms)
    if view == "suppressed":
        return [hidden]
    if view == "open":
        return [_STATUS != "closed", ~hidden]
    if view == "mine":
        return [triage.c.assignee == viewer.login, _STATUS != "closed"]
    if view in {"today", "held_back"}:
        day = newest_day(connection, viewer)
        best = _best_of_day(viewer, day, hidden)
        chosen = episode.c.alert_id.in_(best)
        of_day = episode.c.day == day
        return [of_day, ~hidden, chosen if view == "today" else ~chosen]
    return []


def _best_of_day(viewer: Viewer, day: str | None, hidden: Condition) -> Select[Any]:
    """Select the ids of the day's alerts within the budget."""
    source = episode.outerjoin(triage, triage.c.alert_id == episode.c.alert_id)
    best = (
        select(episode.c.alert_id)
        .select_from(source)
        .where(episode.c.day == day, viewer.sees(), ~hidden)
        .order_by(episode.c.score.desc(), episode.c.alert_id.desc())
        .limit(viewer.budget)
        .subquery()
    )
    return select(best.c.alert_id)


def is_suppressed(now_ms: int) -> Condition:
    """Return the condition that a suppression in force hides an alert nobody has begun."""
    rule = suppression.c
    return and_(
        _STATUS == "new",
        exists().where(
            rule.ended_ms.is_(None), rule.expires_ms > now_ms, covers_all_of(rule, episode.c)
        ),
    )


def covers_all_of(rule: Any, column: Any) -> Condition:
    """Return the condition that every field a suppression names is that of the alert."""
    return and_(
        or_(rule.detector.is_(None), rule.detector == column.detector),
        or_(rule.user_id.is_(None), rule.user_id == column.user_id),
        or_(rule.user_role.is_(None), rule.user_role == column.user_role),
        or_(rule.user_branch.is_(None), rule.user_branch == column.user_branch),
        column.score < rule.below_score,
    )


def _of_columns(filters: Filters) -> list[Condition]:
    columns = (
        (episode.c.severity, filters.severity),
        (episode.c.user_branch, filters.branch),
        (episode.c.user_role, filters.role),
        (_STATUS, filters.status),
        (triage.c.verdict, filters.verdict),
    )
    found: list[Condition] = [column.in_(values) for column, values in columns if values]
    if filters.detector:
        fired = (episode.c.detectors.contains(f",{d},", autoescape=True) for d in filters.detector)
        found.append(or_(*fired))
    if filters.user_ids is not None:
        found.append(episode.c.user_id.in_(filters.user_ids))
    if filters.since:
        found.append(episode.c.day >= filters.since)
    if filters.until:
        found.append(episode.c.day <= filters.until)
    return found


def _word(word: str) -> Condition:
    """Return the condition that a word occurs in what an alert is filed under."""
    columns = (
        episode.c.user_branch,
        episode.c.user_role,
        episode.c.detectors,
        episode.c.severity,
        triage.c.assignee,
        triage.c.verdict_reason,
    )
    return or_(
        episode.c.alert_id.startswith(word, autoescape=True),
        *(column.icontains(word, autoescape=True) for column in columns),
    )


def _cursor(values: list[Any]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(values)).decode().rstrip("=")


def _read_cursor(cursor: str, n_keys: int) -> list[Any] | None:
    if not cursor or len(cursor) > _LONGEST_CURSOR:
        return None
    try:
        values = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error):
        return None
    good = isinstance(values, list) and len(values) == n_keys
    return values if good and all(isinstance(v, str | int | float) for v in values) else None
