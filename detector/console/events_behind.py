"""The access events behind alerts, where they are stored: samples, usual hours, branches, ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy import Connection, Row, delete, func, insert, select

from detector.columns import EventBatch
from detector.console.tables import access_event

_ROWS_AT_ONCE = 5_000
_HEAT_DAYS = 14


@dataclass(frozen=True, slots=True)
class Ledger:
    """Distinct customers, records and branches of one person in some days, and of colleagues.

    ``peer_median`` and ``peer_high`` (95 %) are of distinct customers of the same role.
    """

    days: int
    n_customers: int
    n_records: int | None
    n_branches: int | None
    peer_median: float | None
    peer_high: float | None


def replace_all(
    connection: Connection, batches: Iterable[EventBatch], zones: dict[str, str], default_zone: str
) -> int:
    """Store events anew; returns how many. ``zones`` maps branches to IANA zones."""
    connection.execute(delete(access_event))
    n_rows = 0
    for batch in batches:
        rows: list[dict[str, Any]] = []
        for row in _rows(batch, zones, default_zone):
            rows.append(row)
            if len(rows) == _ROWS_AT_ONCE:
                connection.execute(insert(access_event), rows)
                n_rows, rows = n_rows + len(rows), []
        if rows:
            connection.execute(insert(access_event), rows)
            n_rows += len(rows)
    return n_rows


def _rows(batch: EventBatch, zones: dict[str, str], default_zone: str) -> Iterator[dict[str, Any]]:
    known = {name: ZoneInfo(zone) for name, zone in zones.items()}
    default = ZoneInfo(default_zone)
    for i, (event_id, user_id) in enumerate(zip(batch.event_ids, batch.user_ids, strict=True)):
        branch = batch.user_branch.at(i)
        time_ms = int(batch.event_time_ns[i]) // 1_000_000
        zone = known.get(branch or "", default)
        local = datetime.fromtimestamp(time_ms / 1000, tz=UTC).astimezone(zone)
        yield {
            "event_id": event_id,
            "user_id": user_id,
            "user_role": batch.user_role.at(i),
            "time_ms": time_ms,
            "day": local.date().isoformat(),
            "quarter": local.hour * 4 + local.minute // 15,
            "system": batch.system.at(i),
            "action": batch.action.at(i) or "",
            "customer_id": _customer_id(batch, i),
            "record_branch": batch.record_branch.at(i),
            "record_count": int(batch.record_count[i]),
            "data_class": batch.data_class.at(i),
            "ticket_id": batch.ticket_id.at(i),
            "outcome": batch.outcome.at(i),
        }


def _customer_id(batch: EventBatch, row: int) -> str | None:
    """Return the id as the source wrote it; the batch itself holds its hash only."""
    if not batch.customer_hash[row]:
        return None
    try:
        event = orjson.loads(batch.raw[row])
    except orjson.JSONDecodeError:
        event = None
    held = event.get("customer_id") if isinstance(event, dict) else None
    return held if isinstance(held, str) else f"{int(batch.customer_hash[row]):016x}"


def are_stored(connection: Connection) -> bool:
    """Tell whether there are any."""
    return connection.execute(select(access_event.c.number).limit(1)).first() is not None


def by_ids(connection: Connection, user_id: str, event_ids: list[str]) -> list[Row[Any]]:
    """Return a person's events of these ids in order of time."""
    query = select(access_event).where(
        access_event.c.user_id == user_id, access_event.c.event_id.in_(event_ids)
    )
    return list(connection.execute(query.order_by(access_event.c.time_ms)))


def hours_of_days(
    connection: Connection, user_id: str, last_day: str
) -> list[tuple[str, list[int], frozenset[int]]]:
    """Return a person's events by hour for two weeks up to a day; that day's hours are marked."""
    last = date.fromisoformat(last_day)
    days = [(last - timedelta(days=i)).isoformat() for i in reversed(range(_HEAT_DAYS))]
    query = (
        select(access_event.c.day, access_event.c.quarter, func.count())
        .where(access_event.c.user_id == user_id, access_event.c.day.between(days[0], days[-1]))
        .group_by(access_event.c.day, access_event.c.quarter)
    )
    counts = {day: [0] * 24 for day in days}
    for day, quarter, n in connection.execute(query):
        counts[day][quarter // 4] += n
    marked = frozenset(h for h, n in enumerate(counts[last_day]) if n > 0)
    return [(day, counts[day], marked if day == last_day else frozenset()) for day in days]


def hours_before(connection: Connection, user_id: str, day: str) -> list[int]:
    """Return a person's events by hour of the day, over all days before one."""
    query = (
        select(access_event.c.quarter, func.count())
        .where(access_event.c.user_id == user_id, access_event.c.day < day)
        .group_by(access_event.c.quarter)
    )
    hours = [0] * 24
    for quarter, n in connection.execute(query):
        hours[quarter // 4] += n
    return hours


def branches_of(
    connection: Connection, user_id: str, until: str
) -> list[tuple[str | None, int, int]]:
    """Return (branch, events, distinct customers) of 90 days, most visited first, at most twelve."""
    column = access_event.c
    since = (date.fromisoformat(until) - timedelta(days=89)).isoformat()
    n = func.count()
    query = (
        select(column.record_branch, n, func.count(column.customer_id.distinct()))
        .where(column.user_id == user_id, column.day.between(since, until))
        .group_by(column.record_branch)
        .order_by(n.desc())
        .limit(12)
    )
    return [(branch, events, customers) for branch, events, customers in connection.execute(query)]


def ledger(
    connection: Connection, user_id: str, role: str | None, until: str, days: int
) -> Ledger:
    """Count what a person has seen in some days, beside colleagues of the same role."""
    column = access_event.c
    since = (date.fromisoformat(until) - timedelta(days=days - 1)).isoformat()
    in_time = column.day.between(since, until)
    own = connection.execute(
        select(
            func.count(column.customer_id.distinct()),
            func.coalesce(func.sum(column.record_count), 0),
            func.count(column.record_branch.distinct()),
        ).where(column.user_id == user_id, in_time)
    ).one()
    peers = (
        select(func.count(column.customer_id.distinct()))
        .where(column.user_role == role, column.user_id != user_id, in_time)
        .group_by(column.user_id)
    )
    others = sorted(connection.execute(peers).scalars()) if role else []
    median = others[len(others) // 2] if others else None
    high = others[min(int(len(others) * 0.95), len(others) - 1)] if others else None
    return Ledger(days, *(int(n) for n in own), median, high)
