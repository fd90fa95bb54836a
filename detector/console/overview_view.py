"""The whole bank at a glance: how much comes in, how good it is, how fast and by whom it is decided."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median
from typing import Any

from sqlalchemy import Connection, func, select

from detector.console.alert_queries import Viewer, newest_day
from detector.console.tables import checkpoint, episode, triage

DAYS = 30
_MAX_BRANCHES = 24


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything the overview shows. Times in milliseconds, shares 0 to 1, None: nothing to tell."""

    days: list[tuple[str, list[int]]]
    detectors: list[str]
    verdicts: dict[str, dict[str, int]]
    by_branch: list[tuple[str, list[int]]]
    workload: list[tuple[str, int, int]]
    n_open: int
    n_judged: int
    precision: float | None
    to_first_look_ms: float | None
    to_decision_ms: float | None
    newest_event_ms: int | None
    saved_ms: int | None


def overview(connection: Connection, viewer: Viewer) -> Overview:
    """Gather the overview of the last 30 days of alerts this person may see."""
    newest = newest_day(connection, viewer) or date(1970, 1, 1).isoformat()
    since = (date.fromisoformat(newest) - timedelta(days=DAYS - 1)).isoformat()
    by_day, by_branch = _counts(connection, viewer, since)
    detectors, branches = _ranked(by_day, 1), _ranked(by_branch, 0)[:_MAX_BRANCHES]
    all_days = [(date.fromisoformat(since) + timedelta(days=i)).isoformat() for i in range(DAYS)]
    verdicts = _verdicts(connection, viewer, since)
    confirmed, benign = (
        sum(by.get(name, 0) for by in verdicts.values()) for name in ("confirmed", "benign")
    )
    fresh = connection.execute(
        select(func.max(checkpoint.c.newest_event_ms), func.max(checkpoint.c.saved_ms))
    ).one()
    look, decision = _delays(connection, viewer, since)
    return Overview(
        days=[(day, [by_day[day, name] for name in detectors]) for day in all_days],
        detectors=detectors,
        verdicts=verdicts,
        by_branch=[(where, [by_branch[where, name] for name in detectors]) for where in branches],
        workload=_workload(connection, viewer, since),
        n_open=_n_open(connection, viewer),
        n_judged=sum(sum(by.values()) for by in verdicts.values()),
        precision=confirmed / (confirmed + benign) if confirmed + benign else None,
        to_first_look_ms=look,
        to_decision_ms=decision,
        newest_event_ms=fresh[0],
        saved_ms=fresh[1],
    )


def _counts(
    connection: Connection, viewer: Viewer, since: str
) -> tuple[Counter[tuple[str, str]], Counter[tuple[str, str]]]:
    """Return alerts by (day, detector) and by (branch, detector)."""
    keys = (episode.c.day, episode.c.detector, func.coalesce(episode.c.user_branch, "–"))
    query = select(*keys, func.count()).where(viewer.sees(), episode.c.day >= since).group_by(*keys)
    by_day, by_branch = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for day, name, branch, n in connection.execute(query):
        by_day[day, name] += n
        by_branch[branch, name] += n
    return by_day, by_branch


def _ranked(counts: Counter[tuple[str, str]], axis: int) -> list[str]:
    """Return the names on one axis, those with most alerts first."""
    totals = Counter[str]()
    for key, n in counts.items():
        totals[key[axis]] += n
    return [name for name, _ in totals.most_common()]


def _verdicts(connection: Connection, viewer: Viewer, since: str) -> dict[str, dict[str, int]]:
    """Return detector → verdict → alerts."""
    query = (
        select(episode.c.detector, triage.c.verdict, func.count())
        .join(triage, triage.c.alert_id == episode.c.alert_id)
        .where(viewer.sees(), episode.c.day >= since, triage.c.verdict.is_not(None))
        .group_by(episode.c.detector, triage.c.verdict)
    )
    found: dict[str, dict[str, int]] = {}
    for name, verdict, n in connection.execute(query):
        found.setdefault(name, {})[verdict] = n
    return found


def _delays(
    connection: Connection, viewer: Viewer, since: str
) -> tuple[float | None, float | None]:
    """Return the median times from an alert to its first look and to its decision."""
    query = (
        select(episode.c.opened_ms, triage.c.first_look_ms, triage.c.decided_ms)
        .join(triage, triage.c.alert_id == episode.c.alert_id)
        .where(viewer.sees(), episode.c.day >= since)
    )
    rows = list(connection.execute(query))
    looks = [row.first_look_ms - row.opened_ms for row in rows if row.first_look_ms is not None]
    decided = [row.decided_ms - row.opened_ms for row in rows if row.decided_ms is not None]
    return (median(looks) if looks else None, median(decided) if decided else None)


def _workload(connection: Connection, viewer: Viewer, since: str) -> list[tuple[str, int, int]]:
    """Return (login, open alerts, alerts judged), busiest first."""
    mine = (
        select(
            triage.c.assignee,
            func.count().filter(triage.c.status != "closed"),
            func.count().filter(triage.c.verdict.is_not(None)),
        )
        .join(episode, episode.c.alert_id == triage.c.alert_id)
        .where(viewer.sees(), episode.c.day >= since, triage.c.assignee.is_not(None))
        .group_by(triage.c.assignee)
    )
    rows: list[Any] = list(connection.execute(mine))
    return sorted(((who, n_open, n_done) for who, n_open, n_done in rows), key=lambda w: -w[1])


def _n_open(connection: Connection, viewer: Viewer) -> int:
    source = episode.outerjoin(triage, triage.c.alert_id == episode.c.alert_id)
    query = select(func.count()).select_from(source)
    is_open = func.coalesce(triage.c.status, "new") != "closed"
    return int(connection.execute(query.where(viewer.sees(), is_open)).scalar_one())
