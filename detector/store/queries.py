"""The queue: which alerts there are, filtered, sorted, page by page; one query for both databases.

Every list goes on after its last row (alert and key), never by counting rows from the start, so
that page 1,000 costs what page 1 does.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    exists,
    false,
    func,
    literal,
    or_,
    select,
    text,
    tuple_,
)

from detector.errors import OptionError
from detector.store.rows import words_in
from detector.store.tables import alert, episode, suppression, triage

Sort = Literal["score", "time", "arrival"]
_KEYS = {"score": episode.c.score, "time": episode.c.time_ms, "arrival": episode.c.arrival}
_COLUMNS = {
    "severity": episode.c.severity,
    "detector": episode.c.detector,
    "user_branch": episode.c.user_branch,
    "user_role": episode.c.user_role,
    "day": episode.c.day,
    "status": func.coalesce(triage.c.status, "new"),
    "verdict": triage.c.verdict,
    "assignee": triage.c.assignee,
}
"""What alerts can be counted by."""

_FIND = {
    "sqlite": "episode.number in (select rowid from episode_word where episode_word match :words)",
    "postgresql": "array_to_tsvector(string_to_array(episode.words, ' '))"
    " @@ cast(:words as tsquery)",
}
_MAX_PAGE = 500
_FEW_DAYS = 8
_MAX_WORDS, _MAX_WORD = 16, 256  # of a search; the rest is not looked at


@dataclass(frozen=True, slots=True)
class Filed:
    """A word of a search as what alerts are filed under: any of these, or the id begins so.

    Branches, roles and detectors are few: named one by one they have an index, and a word that
    stands for none of them finds nothing at once, among millions of alerts.
    """

    branches: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    detectors: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    alert_id: str = ""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which alerts; an empty tuple asks for nothing. ``*_ms`` are UTC, ``*_day`` local days.

    Args:
        detectors: any of them fired.
        verdicts: ``none`` means not judged yet.
        assignees: ``none`` means nobody.
        search: words, each the beginning of one in ids, role, branch, detectors or evidence.
        filed: words of a search that looks only at what tells nobody who is behind a pseudonym.
        is_hidden: only what a suppression hides; None shows both.
        scope: branches that may be seen at all; None is all.
    """

    severities: tuple[str, ...] = ()
    detectors: tuple[str, ...] = ()
    branches: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    verdicts: tuple[str, ...] = ()
    assignees: tuple[str, ...] = ()
    first_day: date | None = None
    last_day: date | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    min_score: float | None = None
    learning: bool | None = None
    search: str = ""
    filed: tuple[Filed, ...] = ()
    is_hidden: bool | None = False
    scope: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of a list, and where the next page begins; None at the end."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    next_cursor: str | None = None


def list_alerts(
    db: Connection, which: Filter, sort: Sort = "score", cursor: str | None = None, limit: int = 50
) -> Page:
    """Return alerts, highest or newest first.

    Args:
        db: a connection of ``ConsoleStore``.
        which: what to show.
        sort: by score, event time or arrival.
        cursor: of the page before; None begins.
        limit: rows, at most 500.

    Raises:
        OptionError: the cursor belongs to another list.
    """
    key = _KEYS[sort]
    rank = _rank(db, which, key)
    order = (rank.desc(), episode.c.alert_id.desc())
    query = _matching(db, which, select(episode.c.alert_id)).order_by(*order)
    if cursor is not None:
        value, last_id = _read_cursor(cursor, sort)
        query = query.where(
            tuple_(rank, episode.c.alert_id) < tuple_(literal(value), literal(last_id))
        )
    n = max(1, min(limit, _MAX_PAGE))
    shown = _rows(query.limit(n + 1)).order_by(*order)
    rows = [dict(row) for row in db.execute(shown).mappings()]
    if len(rows) <= n:
        return Page(rows)
    last = rows[n - 1]
    return Page(rows[:n], _cursor(sort, last[key.name], last["alert_id"]))


def _rank(db: Connection, which: Filter, key: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return what to sort by. PostgreSQL takes every beginning of a word for a frequent one.

    It would then walk millions of rows in the index's order to find fifty: a sum has no index.
    """
    is_searched = which.search.strip() and db.dialect.name == "postgresql"
    return key + 0 if is_searched else key


def count_alerts(db: Connection, which: Filter, at_most: int = 10_000) -> int:
    """Count alerts, ``at_most`` of them: one more than can be shown is "more"."""
    return count_up_to(db, _matching(db, which, select(literal(1))), at_most)


def count_up_to(db: Connection, query: Select[Any], at_most: int) -> int:
    """Count what a query finds, and stop there."""
    some = query.limit(at_most).subquery()
    return int(db.execute(select(func.count()).select_from(some)).scalar_one())


def count_by(db: Connection, which: Filter, column: str) -> dict[Any, int]:
    """Count alerts by a column, most frequent first; see ``_COLUMNS``.

    Raises:
        OptionError: alerts cannot be counted by that.
    """
    if column not in _COLUMNS:
        hint = f"Use one of {', '.join(_COLUMNS)}"
        raise OptionError("is nothing to count by", where=column[:40], hint=hint)
    by, n = _COLUMNS[column].label("by"), func.count().label("n")
    query = _matching(db, which, select(by, n)).group_by(by).order_by(n.desc(), by)
    return {value: int(count) for value, count in db.execute(query)}


def hidden_by(db: Connection, scope: dict[str, Any], which: Filter) -> int:
    """Count what a suppression would have hidden, before it is saved.

    Args:
        db: a connection of ``ConsoleStore``.
        scope: its columns (user_id, user_role, user_branch, detector, max_score); None is any.
        which: among these, say the last 90 days.
    """
    named = [(name, scope.get(name)) for name in ("user_id", "user_role", "user_branch")]
    conditions = [episode.c[name] == value for name, value in named if value is not None]
    if scope.get("detector") is not None:
        conditions.append(episode.c.detector == scope["detector"])
    if scope.get("max_score") is not None:
        conditions.append(episode.c.score <= scope["max_score"])
    query = _matching(db, which, select(func.count())).where(*conditions)
    return int(db.execute(query).scalar_one())


def _rows(found: Select[Any]) -> Select[Any]:
    """Fetch whole rows once it is clear which: sorting them whole would be slow."""
    ids = found.subquery("found")
    shown = [column for column in episode.c if column.name != "words"]
    source = (
        ids.join(episode, episode.c.alert_id == ids.c.alert_id)
        .join(alert, alert.c.arrival == episode.c.arrival)
        .outerjoin(triage, triage.c.alert_id == episode.c.alert_id)
    )
    return select(
        *shown,
        func.coalesce(triage.c.status, "new").label("status"),
        triage.c.assignee,
        triage.c.verdict,
        func.coalesce(triage.c.row_version, 0).label("row_version"),
        alert.c.content,
    ).select_from(source)


def _matching(db: Connection, which: Filter, query: Select[Any]) -> Select[Any]:
    source = episode.outerjoin(triage, triage.c.alert_id == episode.c.alert_id)
    return query.select_from(source).where(*conditions(db, which))


def conditions(db: Connection, which: Filter) -> list[ColumnElement[bool]]:
    """Return what a row of episode and triage has to meet."""
    e = episode.c
    within = [
        (e.severity, which.severities), (e.user_branch, which.branches), (e.user_role, which.roles),
        (e.user_id, which.users), (func.coalesce(triage.c.status, "new"), which.statuses),
    ]  # fmt: skip
    found: list[ColumnElement[bool]] = [column.in_(values) for column, values in within if values]
    found += [
        _or_none(column, values)
        for column, values in (
            (triage.c.verdict, which.verdicts),
            (triage.c.assignee, which.assignees),
        )
        if values
    ]
    if which.detectors:
        found.append(
            or_(*(e.detectors.contains(f",{n},", autoescape=True) for n in which.detectors))
        )
    found += _within_days(db, which)
    bounds = [
        (which.since_ms, e.time_ms.__ge__), (which.until_ms, e.time_ms.__lt__),
        (which.min_score, e.score.__ge__), (which.learning, e.learning.__eq__),
    ]  # fmt: skip
    found += [compare(value) for value, compare in bounds if value is not None]
    if which.scope is not None:
        found.append(e.user_branch.in_(sorted(which.scope)))
    if which.search.strip():
        found.append(_found_by(db, which.search))
    found += [_filed_under(word) for word in which.filed]
    if which.is_hidden is not None:
        hides = exists().where(hiding())
        found.append(hides if which.is_hidden else ~hides)
    if which.is_hidden:  # without a rule no alert has to be looked at
        found.append(exists(select(suppression.c.number)).correlate(None))
    return found


def _within_days(db: Connection, which: Filter) -> list[ColumnElement[bool]]:
    """Bound the days. SQLite knows nothing of ranges: many days are no reason for their index."""
    first, last = which.first_day, which.last_day
    bounds = [(first, episode.c.day.__ge__), (last, episode.c.day.__le__)]
    found = [compare(day) for day, compare in bounds if day is not None]
    is_short = first is not None and last is not None and (last - first).days < _FEW_DAYS
    return found if is_short or db.dialect.name != "sqlite" else [func.likely(c) for c in found]


def _or_none(column: ColumnElement[Any], values: tuple[str, ...]) -> ColumnElement[bool]:
    named = column.in_([value for value in values if value != "none"])
    return or_(named, column.is_(None)) if "none" in values else named


def hiding() -> ColumnElement[bool]:
    """Return how a suppression row hides an episode: all it names agrees, and it was in force."""
    s, e = suppression.c, episode.c
    named = [(s.user_id, e.user_id), (s.user_role, e.user_role), (s.user_branch, e.user_branch)]
    agrees = [
        or_(own.is_(None), own == theirs) for own, theirs in (*named, (s.detector, e.detector))
    ]
    ended_ms = func.coalesce(s.withdrawn_ms, s.expires_ms)
    return and_(
        *agrees,
        or_(s.max_score.is_(None), e.score <= s.max_score),
        s.created_ms <= e.arrived_ms,
        e.arrived_ms < ended_ms,
    )


def _filed_under(word: Filed) -> ColumnElement[bool]:
    e = episode.c
    listed = [
        (e.user_branch, word.branches), (e.user_role, word.roles), (e.severity, word.severities),
    ]  # fmt: skip
    found: list[ColumnElement[bool]] = [column.in_(v) for column, v in listed if v]
    found += [e.detectors.contains(f",{name},", autoescape=True) for name in word.detectors]
    if word.alert_id:  # a range has an index in both databases, a pattern in none
        found.append(and_(e.alert_id >= word.alert_id, e.alert_id < f"{word.alert_id}~"))
    return or_(false(), *found)


def _found_by(db: Connection, search: str) -> ColumnElement[bool]:
    words = [word[:_MAX_WORD] for word in words_in(search)[:_MAX_WORDS]]
    if not words:
        return literal(value=False) == literal(value=True)
    if db.dialect.name == "sqlite":
        asked = " ".join(f'"{word}"*' for word in words)
    else:
        asked = " & ".join(f"'{word}':*" for word in words)
    return text(_FIND[db.dialect.name]).bindparams(bindparam("words", asked))  # type: ignore[return-value]


def _cursor(sort: Sort, value: object, alert_id: str) -> str:
    return urlsafe_b64encode(json.dumps([sort, value, alert_id]).encode()).decode().rstrip("=")


def _read_cursor(cursor: str, sort: Sort) -> tuple[float, str]:
    try:
        held, value, alert_id = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        good = held == sort and type(value) in {int, float} and isinstance(alert_id, str)
    except (ValueError, TypeError):
        good = False
    if not good:
        raise OptionError("is none of this list", where="cursor", hint="Begin without a cursor")
    return value, alert_id
