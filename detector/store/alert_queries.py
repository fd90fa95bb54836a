"""One alert: its versions, what people did about it, and what was seen like it before."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, Select, Table, func, select

from detector.store.queries import hiding
from detector.store.tables import (
    alert,
    comment,
    episode,
    justification,
    suppression,
    triage,
    verdict,
)


@dataclass(frozen=True, slots=True)
class AlertView:
    """Everything known about an alert, as rows.

    ``fields`` is the latest line of the alerts file; ``versions`` all of them, oldest first.
    ``row_version`` in ``triage`` is 0 while nobody has touched it.
    """

    fields: dict[str, Any]
    versions: list[dict[str, Any]]
    triage: dict[str, Any]
    verdicts: list[dict[str, Any]]
    comments: list[dict[str, Any]]
    justifications: list[dict[str, Any]]
    suppressions: list[dict[str, Any]]


def alert_by_id(
    db: Connection, alert_id: str, scope: frozenset[str] | None = None
) -> AlertView | None:
    """Return an alert, None if there is none or its branch is out of ``scope``."""
    row = db.execute(select(episode).where(episode.c.alert_id == alert_id)).mappings().first()
    if row is None or (scope is not None and row["user_branch"] not in scope):
        return None
    lines = _of(db, select(alert).where(alert.c.alert_id == alert_id).order_by(alert.c.arrival))
    versions = [
        {"arrival": line["arrival"], "stream": line["stream"], "arrived_ms": line["arrived_ms"],
         "fields": orjson.loads(line["content"])}
        for line in lines
    ]  # fmt: skip
    (latest,) = (v["fields"] for v in versions if v["arrival"] == row["arrival"])
    done = _of(db, select(triage).where(triage.c.alert_id == alert_id))
    hides = (
        select(suppression)
        .select_from(episode)
        .join(suppression, hiding())
        .where(episode.c.alert_id == alert_id)
    )
    return AlertView(
        fields=latest,
        versions=versions,
        triage=done[0] if done else untouched(alert_id),
        verdicts=_of(db, _acts(verdict, alert_id)),
        comments=_of(db, _acts(comment, alert_id)),
        justifications=_of(db, _acts(justification, alert_id)),
        suppressions=_of(db, hides),
    )


def untouched(alert_id: str) -> dict[str, Any]:
    """Return the triage row of an alert that nobody has touched yet."""
    row: dict[str, Any] = dict.fromkeys(column.name for column in triage.c)
    return {**row, "alert_id": alert_id, "status": "new", "row_version": 0}


def similar(
    db: Connection, alert_id: str, scope: frozenset[str] | None = None, limit: int = 20
) -> list[dict[str, Any]]:
    """Return earlier alerts of the same detector: of the same person first, then of the branch.

    Each comes with its verdict and ``same_person``.
    """
    found = db.execute(select(episode).where(episode.c.alert_id == alert_id)).mappings().first()
    if found is None:
        return []
    is_before = episode.c.time_ms < found["time_ms"]
    base = _with_verdict().where(is_before, episode.c.detector == found["detector"])
    if scope is not None:
        base = base.where(episode.c.user_branch.in_(sorted(scope)))
    same = base.where(episode.c.user_id == found["user_id"])
    branch = base.where(
        episode.c.user_branch == found["user_branch"], episode.c.user_id != found["user_id"]
    )
    newest = episode.c.time_ms.desc()
    own = _of(db, same.order_by(newest).limit(limit))
    others = _of(db, branch.order_by(newest).limit(limit - len(own))) if len(own) < limit else []
    return [{**row, "same_person": row["user_id"] == found["user_id"]} for row in (*own, *others)]


def reasons_of(db: Connection, alert_ids: Iterable[str]) -> dict[str, str]:
    """Return what was said to the newest verdict of each of some alerts, where something was."""
    v = verdict.c
    query = select(v.alert_id, v.reason).where(v.alert_id.in_(list(alert_ids))).order_by(v.number)
    newest = {row.alert_id: row.reason for row in db.execute(query)}
    return {alert_id: reason for alert_id, reason in newest.items() if reason}


def versions_after(db: Connection, arrival: int, limit: int) -> list[dict[str, Any]]:
    """Return what arrived after a number, oldest first: what a live page has not shown yet."""
    columns = [column for column in alert.c if column.name != "content"]
    query = select(*columns).where(alert.c.arrival > arrival)
    return _of(db, query.order_by(alert.c.arrival).limit(limit))


def last_arrival(db: Connection) -> int:
    """Return the number of the newest arrival, 0 if there is none."""
    return int(db.execute(select(func.coalesce(func.max(alert.c.arrival), 0))).scalar_one())


def _acts(table: Table, alert_id: str) -> Select[Any]:
    shown = [column for column in table.c if column.name != "token_digest"]
    return select(*shown).where(table.c.alert_id == alert_id).order_by(table.c.number)


def _with_verdict() -> Select[Any]:
    e = episode.c
    columns = (
        e.alert_id, e.day, e.time_ms, e.score, e.severity, e.detector, e.user_id, e.user_branch,
        e.n_customers, func.coalesce(triage.c.status, "new").label("status"), triage.c.verdict,
    )  # fmt: skip
    return select(*columns).outerjoin(triage, triage.c.alert_id == e.alert_id)


def _of(db: Connection, query: Select[Any]) -> list[dict[str, Any]]:
    return [dict(row) for row in db.execute(query).mappings()]
