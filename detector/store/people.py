"""Employees: days on which they were flagged, and a risk that fades."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, func, or_, select

from detector.store.tables import episode, triage

RISK_DAYS = 91
_WEEKS = RISK_DAYS // 7
_NOT_COUNTED = ("benign", "test")


@dataclass(frozen=True, slots=True)
class Ledger:
    """A person's flagged days, newest first, and what of the risk each detector has led to.

    ``risk`` is the sum of scores, halved every two weeks in steps of one; alerts judged benign
    or a test do not count. ``parts`` sums to it.
    """

    user_id: str
    rows: list[dict[str, Any]]
    risk: float
    parts: dict[str, float]


def ledger(
    db: Connection, user_id: str, today: date, scope: frozenset[str] | None = None
) -> Ledger:
    """Return a person's last ``RISK_DAYS`` days up to ``today``."""
    e = episode.c
    query = (
        select(
            e.alert_id, e.day, e.time_ms, e.score, e.severity, e.detector, e.user_role,
            e.user_branch, e.n_events, e.n_records, e.n_customers,
            func.coalesce(triage.c.status, "new").label("status"), triage.c.verdict,
        )
        .outerjoin(triage, triage.c.alert_id == e.alert_id)
        .where(e.user_id == user_id, e.day > today - timedelta(days=RISK_DAYS), e.day <= today)
        .order_by(e.time_ms.desc())
    )  # fmt: skip
    if scope is not None:
        query = query.where(e.user_branch.in_(sorted(scope)))
    rows = [dict(row) for row in db.execute(query).mappings()]
    parts: dict[str, float] = {}
    for row in rows:
        if row["verdict"] not in _NOT_COUNTED:
            weighed = row["score"] * _weight((today - row["day"]).days // 7)
            parts[row["detector"]] = parts.get(row["detector"], 0.0) + weighed
    return Ledger(user_id, rows, sum(parts.values()), parts)


def riskiest(
    db: Connection, today: date, limit: int = 20, scope: frozenset[str] | None = None
) -> list[dict[str, Any]]:
    """Return the people with the highest risk: user_id, role, branch, risk, n_alerts, last_day."""
    e = episode.c
    risk = func.sum(e.score * _faded(today)).label("risk")
    counts = or_(triage.c.verdict.is_(None), triage.c.verdict.not_in(_NOT_COUNTED))
    query = (
        select(
            e.user_id,
            func.max(e.user_role).label("user_role"),
            func.max(e.user_branch).label("user_branch"),
            risk,
            func.count().label("n_alerts"),
            func.max(e.day).label("last_day"),
        )
        .outerjoin(triage, triage.c.alert_id == e.alert_id)
        .where(e.day > today - timedelta(days=RISK_DAYS), e.day <= today, counts)
        .group_by(e.user_id)
        .order_by(risk.desc(), e.user_id)
        .limit(limit)
    )
    if scope is not None:
        query = query.where(e.user_branch.in_(sorted(scope)))
    return [dict(row) for row in db.execute(query).mappings()]


def newest_day(db: Connection) -> date | None:
    """Return the newest day with an alert: "today" of a replay."""
    found: date | None = db.execute(select(func.max(episode.c.day))).scalar_one()
    return found


def _weight(weeks: int) -> float:
    """Return what is left of a score after whole weeks."""
    return float(0.5 ** (weeks / 2))


def _faded(today: date) -> ColumnElement[float]:
    """Return the weight of a row's day as SQL; SQLite may lack powers."""
    newer = [
        (episode.c.day > today - timedelta(days=7 * (week + 1)), _weight(week))
        for week in range(_WEEKS)
    ]
    return case(*newer, else_=0.0)
