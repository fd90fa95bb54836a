"""The access events behind alerts, where they are stored: samples, hours, branches, ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Date,
    Integer,
    MetaData,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
)

from detector.columns import EventBatch

access_event = Table(
    "access_event",
    MetaData(),  # its own: what `--events` names is read anew at each start, and in no backup
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("event_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("user_role", Text),
    Column("time_ms", BigInteger, nullable=False),
    Column("day", Date, nullable=False),  # local day
    Column("quarter", Integer, nullable=False),  # quarter of an hour of the local day
    Column("system", Text),
    Column("action", Text, nullable=False),
    Column("customer_id", Text),
    Column("record_branch", Text),
    Column("record_count", BigInteger, nullable=False),
    Column("data_class", Text),
    Column("ticket_id", Text),
    Column("outcome", Text),
)
_ROWS_AT_ONCE = 5_000
_HEAT_DAYS = 14


@dataclass(frozen=True, slots=True)
class Ledger:
    """Distinct customers, records and branches of one person in some days, and of colleagues.

    ``peer_median`` and ``peer_high`` (95 %) are of distinct customers of the same role.
    """

    days: int
    n_customers: int
    n_records: int | None = None
    n_branches: int | None = None
    peer_median: float | None = None
    peer_high: float | None = None


def replace_all(
    db: Connection, batches: Iterable[EventBatch], zones: dict[str, str], default_zone: str
) -> int:
    """Store events anew; returns how many. ``zones`` maps branches to IANA zones."""
    db.execute(delete(access_event))
    n_rows = 0
    for batch in batches:
        rows: list[dict[str, Any]] = []
        for row in _rows(batch, zones, default_zone):
            rows.append(row)
            if len(rows) == _ROWS_AT_ONCE:
                db.execute(insert(access_event), rows)
                n_rows, rows = n_rows + len(rows), []
        if rows:
            db.execute(insert(access_event), rows)
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
            "day": local.date(),
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


def are_stored(db: Connection) -> bool:
    """Tell whether there are any."""
    return db.execute(select(access_event.c.number).limit(1)).first() is not None


def by_ids(db: Connection, user_id: str, event_ids: list[str]) -> list[dict[str, Any]]:
    """Return a person's events of these ids in order of time."""
    query = select(access_event).where(
        access_event.c.user_id == user_id, access_event.c.event_id.in_(event_ids)
    )
    return [dict(row) for row in db.execute(query.order_by(access_event.c.time_ms)).mappings()]


def hours_of_days(
    db: Connection, user_id: str, last: date
) -> list[tuple[date, list[int], frozenset[int]]]:
    """Return a person's events by hour for two weeks up to a day; that day's hours are marked."""
    days = [last - timedelta(days=i) for i in reversed(range(_HEAT_DAYS))]
    query = (
        select(access_event.c.day, access_event.c.quarter, func.count())
        .where(access_event.c.user_id == user_id, access_event.c.day.between(days[0], days[-1]))
        .group_by(access_event.c.day, access_event.c.quarter)
    )
    counts = {day: [0] * 24 for day in days}
    for day, quarter, n in db.execute(query):
        counts[day][quarter // 4] += n
    marked = frozenset(h for h, n in enumerate(counts[last]) if n > 0)
    return [(day, counts[day], marked if day == last else frozenset()) for day in days]


def hours_before(db: Connection, user_id: str, day: date) -> list[int]:
    """Return a person's events by hour of the day, over all days before one."""
    query = (
        select(access_event.c.quarter, func.count())
        .where(access_event.c.user_id == user_id, access_event.c.day < day)
        .group_by(access_event.c.quarter)
    )
    hours = [0] * 24
    for quarter, n in db.execute(query):
        hours[quarter // 4] += n
    return hours


def branches_of(db: Connection, user_id: str, until: date) -> list[tuple[str | None, int, int]]:
    """Return (branch, events, distinct customers) of 90 days, most visited first, up to 12."""
    column = access_event.c
    since = until - timedelta(days=89)
    n = func.count()
    query = (
        select(column.record_branch, n, func.count(column.customer_id.distinct()))
        .where(column.user_id == user_id, column.day.between(since, until))
        .group_by(column.record_branch)
        .order_by(n.desc())
        .limit(12)
    )
    return [(branch, events, customers) for branch, events, customers in db.execute(query)]


def ledger(db: Connection, user_id: str, role: str | None, until: date, days: int) -> Ledger:
    """Count what a person has seen in some days, beside colleagues of the same role."""
    column = access_event.c
    since = until - timedelta(days=days - 1)
    in_time = column.day.between(since, until)
    own = db.execute(
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
    others = sorted(db.execute(peers).scalars()) if role else []
    median = others[len(others) // 2] if others else None
    high = others[min(int(len(others) * 0.95), len(others) - 1)] if others else None
    n_customers, n_records, n_branches = (int(n) for n in own)
    return Ledger(days, n_customers, n_records, n_branches, median, high)
