"""Figures of the overview: what comes in, how good it is, how quickly people decide."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from statistics import median
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, case, func, select

from detector.store.tables import checkpoint, episode, stream, triage

_MAX_TIMED = 50_000  # decisions a median is taken of, the newest

Scope = frozenset[str] | None


def alerts_per_day(
    db: Connection, first: date, last: date, scope: Scope = None
) -> list[dict[str, Any]]:
    """Return day, detector, n_alerts and max_score from ``first`` to ``last``, both included."""
    e = episode.c
    query = (
        select(
            e.day, e.detector, func.count().label("n_alerts"), func.max(e.score).label("max_score")
        )
        .where(*_period(first, last, scope))
        .group_by(e.day, e.detector)
        .order_by(e.day, e.detector)
    )
    return _of(db, query)


def branch_heatmap(
    db: Connection, first: date, last: date, scope: Scope = None
) -> list[dict[str, Any]]:
    """Return user_branch, detector and n_alerts."""
    e = episode.c
    query = (
        select(e.user_branch, e.detector, func.count().label("n_alerts"))
        .where(*_period(first, last, scope))
        .group_by(e.user_branch, e.detector)
        .order_by(e.user_branch, e.detector)
    )
    return _of(db, query)


def alerts_per_person(
    db: Connection, first: date, last: date, scope: Scope = None
) -> dict[str, int]:
    """Return how many days of each person were alerts, confirmed ones left out."""
    e = episode.c
    query = (
        select(e.user_id, func.count())
        .outerjoin(triage, triage.c.alert_id == e.alert_id)
        .where(func.coalesce(triage.c.verdict, "") != "confirmed", *_period(first, last, scope))
        .group_by(e.user_id)
    )
    return {user_id: int(n) for user_id, n in db.execute(query)}


def precision(db: Connection, first: date, last: date, scope: Scope = None) -> list[dict[str, Any]]:
    """Return detector, n_confirmed, n_benign and precision; wrong team and test say nothing."""
    e = episode.c
    n_confirmed, n_benign = (
        func.sum(case((triage.c.verdict == name, 1), else_=0)).label(f"n_{name}")
        for name in ("confirmed", "benign")
    )
    query = (
        select(e.detector, n_confirmed, n_benign)
        .join(triage, triage.c.alert_id == e.alert_id)
        .where(triage.c.verdict.in_(("confirmed", "benign")), *_period(first, last, scope))
        .group_by(e.detector)
        .order_by(e.detector)
    )
    rows = _of(db, query)
    return [
        {**row, "precision": row["n_confirmed"] / (row["n_confirmed"] + row["n_benign"])}
        for row in rows
    ]


def triage_times(
    db: Connection, first: date, last: date, scope: Scope = None
) -> dict[str, float | None]:
    """Return median seconds from arrival to the first look and to the decision; None: no case."""
    query = (
        select(
            (triage.c.first_look_ms - episode.c.arrived_ms).label("look"),
            (triage.c.decided_ms - episode.c.arrived_ms).label("decision"),
        )
        .join(episode, triage.c.alert_id == episode.c.alert_id)
        .where(*_period(first, last, scope))
        .order_by(episode.c.arrived_ms.desc())
        .limit(_MAX_TIMED)
    )
    rows = _of(db, query)
    return {
        "first_look_s": _median_s(row["look"] for row in rows),
        "decision_s": _median_s(row["decision"] for row in rows),
    }


def workload(db: Connection, scope: Scope = None) -> list[dict[str, Any]]:
    """Return assignee (None: nobody), status, n_alerts and oldest_ms of what is not closed."""
    query = (
        select(
            triage.c.assignee,
            triage.c.status,
            func.count().label("n_alerts"),
            func.min(episode.c.arrived_ms).label("oldest_ms"),
        )
        .join(episode, triage.c.alert_id == episode.c.alert_id)
        .where(triage.c.status != "closed", *_within(scope))
        .group_by(triage.c.assignee, triage.c.status)
        .order_by(triage.c.assignee, triage.c.status)
    )
    return _of(db, query)


def freshness(db: Connection) -> list[dict[str, Any]]:
    """Return per stream: owner, epoch, checkpoint number, saved_ms, newest_event_ms (UTC)."""
    c = checkpoint.c
    query = (
        select(
            stream.c.stream, stream.c.owner, stream.c.epoch, c.number, c.saved_ms, c.newest_event_ms
        )
        .outerjoin(checkpoint, c.stream == stream.c.stream)
        .order_by(stream.c.stream)
    )
    return _of(db, query)


def _period(first: date, last: date, scope: Scope) -> list[ColumnElement[bool]]:
    return [episode.c.day >= first, episode.c.day <= last, *_within(scope)]


def _within(scope: Scope) -> list[ColumnElement[bool]]:
    return [] if scope is None else [episode.c.user_branch.in_(sorted(scope))]


def _median_s(times_ms: Iterable[int | None]) -> float | None:
    known = [time_ms / 1000.0 for time_ms in times_ms if time_ms is not None]
    return median(known) if known else None


def _of(db: Connection, query: Select[Any]) -> list[dict[str, Any]]:
    return [dict(row) for row in db.execute(query).mappings()]
