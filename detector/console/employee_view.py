"""A person over time: decaying risk with its parts, from alerts and what was judged of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select

from detector.console.alert_queries import Viewer
from detector.console.tables import episode, triage

HALF_LIFE_DAYS = 14.0
RISK_DAYS = 90
_WEIGHT = {"confirmed": 2.0, "benign": 0.1, "wrong_team": 0.5, "test": 0.0}
_UNJUDGED = 1.0


@dataclass(frozen=True, slots=True)
class RiskPart:
    """What one alert adds today: its score, weighted by the verdict, halved every two weeks."""

    row: Row[Any]
    weight: float
    age_days: int
    points: float


@dataclass(frozen=True, slots=True)
class Risk:
    """Sum of the parts today, and the same sum on each of the last 90 days, oldest first."""

    points: float
    parts: tuple[RiskPart, ...]
    trend: tuple[float, ...]


def alerts_of(connection: Connection, viewer: Viewer, user_id: str) -> list[Row[Any]]:
    """Return a person's alerts that may be seen, newest first, at most 200."""
    query = (
        select(episode, triage.c.status, triage.c.verdict)
        .select_from(episode.outerjoin(triage, triage.c.alert_id == episode.c.alert_id))
        .where(viewer.sees(), episode.c.user_id == user_id)
        .order_by(episode.c.day.desc())
        .limit(200)
    )
    return list(connection.execute(query))


def risk_of(alerts: list[Row[Any]], today: str) -> Risk:
    """Return the risk that a person's alerts make on a day."""
    end = date.fromisoformat(today)
    parts = [_part(row, end) for row in alerts]
    recent = tuple(part for part in parts if 0 <= part.age_days < RISK_DAYS and part.points > 0)
    ranked = tuple(sorted(recent, key=lambda part: -part.points))
    days = [end - timedelta(days=i) for i in reversed(range(RISK_DAYS))]
    trend = tuple(sum(_part(row, day).points for row in alerts) for day in days)
    return Risk(sum(part.points for part in ranked), ranked, trend)


def _part(row: Row[Any], today: date) -> RiskPart:
    weight = _UNJUDGED if row.verdict is None else _WEIGHT.get(row.verdict, _UNJUDGED)
    age = (today - date.fromisoformat(row.day)).days
    points = row.score * weight * 0.5 ** (age / HALF_LIFE_DAYS) if age >= 0 else 0.0
    return RiskPart(row, weight, age, points)
