"""Old alerts leave the store: to Parquet, day by day, with all that people did about them.

A day's file is complete on the disk before a row of that day is deleted. Killed in between, the
next run writes the day again; what the file holds already and the store no longer does is kept.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import ColumnElement, Connection, Select, Table, delete, func, select, text

from detector.errors import StoreError
from detector.store.tables import (
    alert,
    comment,
    episode,
    justification,
    mention,
    sink_position,
    stream,
    triage,
    verdict,
)
from detector.store.verdicts import FOLLOWER, TEACHING
from detector.store.whole import arrow_schema, writing

# Rows are found through the episode, which therefore goes last.
_TABLES = (mention, comment, justification, verdict, triage, alert, episode)
_KEYS = {mention: ("comment", "account"), triage: ("alert_id",), episode: ("alert_id",)}
_NUMBERS = {alert: ("arrival",)}


@dataclass(frozen=True, slots=True)
class Archived:
    """Rows that were moved, per table; sinks that kept days back, with the first such day."""

    rows: dict[str, int]
    waiting: dict[str, date]


def archive(url: str, before: date, folder: Path, *, undelivered_too: bool = False) -> Archived:
    """Move alerts of days before a date out of the store.

    Args:
        url: the store; on SQLite, detector and console must have stopped.
        before: the first local day that stays.
        folder: gets ``TABLE/day=YYYY-MM-DD.parquet``; made if missing, files mode 0600. The audit
            log stays in the store whatever its age.
        undelivered_too: also days with alerts that a sink has not delivered: it never will.

    Raises:
        StoreError: the store cannot be written, or a file of the archive has been changed.
    """
    moved = Counter(dict.fromkeys((table.name for table in _TABLES), 0))
    with writing(url) as db:
        waiting = {} if undelivered_too else _waiting(db, before)
        for day in _days(db, min((before, *waiting.values()))):
            moved.update(_move(db, day, folder))
    return Archived(dict(moved), waiting)


def _waiting(db: Connection, before: date) -> dict[str, date]:
    """Return the first day with an alert that a sink has not delivered, where it is old."""
    found = {}
    with db.begin():
        streams = db.execute(select(stream.c.stream)).scalars().all()
        for sink, arrival in db.execute(select(sink_position.c.sink, sink_position.c.arrival)):
            own = [name for name in streams if sink.endswith(f":{name}")]
            day = db.execute(_first_undelivered(sink, arrival, own)).scalar_one()
            if day is not None and day < before:
                found[sink] = day
    return found


def _first_undelivered(sink: str, number: int, streams: list[str]) -> Select[Any]:
    """Ask for the first day behind a sink's position: of an alert, or of one with a verdict."""
    if sink.startswith(f"{FOLLOWER}:"):
        judged = select(func.min(episode.c.day)).join(
            verdict, verdict.c.alert_id == episode.c.alert_id
        )
        teaches = verdict.c.verdict.in_(TEACHING)
        return judged.where(verdict.c.number > number, episode.c.stream.in_(streams), teaches)
    query = select(func.min(alert.c.day)).where(alert.c.arrival > number)
    return query.where(alert.c.stream.in_(streams)) if streams else query


def _move(db: Connection, day: date, folder: Path) -> dict[str, int]:
    with db.begin():
        if db.dialect.name == "postgresql":  # what arrives meanwhile stays
            db.execute(text("set transaction isolation level repeatable read"))
        rows = {table: _rows_of(db, table, day) for table in _TABLES}
        for table, found in rows.items():
            _keep(table, found, folder / table.name / f"day={day}.parquet")
        for table in _TABLES:
            db.execute(delete(table).where(_belongs(table, day)))
    return {table.name: len(found) for table, found in rows.items()}


def _days(db: Connection, before: date) -> list[date]:
    with db.begin():
        query = select(episode.c.day).where(episode.c.day < before).distinct()
        return sorted(db.execute(query).scalars())


def _belongs(table: Table, day: date) -> ColumnElement[bool]:
    """Return which rows of a table belong to alerts of a day."""
    if table is episode:
        return episode.c.day == day
    ids = select(episode.c.alert_id).where(episode.c.day == day)
    if table is mention:
        comments = select(comment.c.number).where(comment.c.alert_id.in_(ids))
        return mention.c.comment.in_(comments)
    return table.c.alert_id.in_(ids)


def _rows_of(db: Connection, table: Table, day: date) -> list[dict[str, Any]]:
    rows = db.execute(select(table).where(_belongs(table, day)).with_for_update())
    return [dict(row) for row in rows.mappings()]


def _keep(table: Table, rows: list[dict[str, Any]], path: Path) -> None:
    """Write rows of a day, beside those that the file holds already."""
    if not rows:
        return
    key = _KEYS.get(table, _NUMBERS.get(table, ("number",)))
    merged = {tuple(row[name] for name in key): row for row in (*_held(table, path), *rows)}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with os.fdopen(os.open(part, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as out:
        content = pa.Table.from_pylist([merged[k] for k in sorted(merged)], arrow_schema(table))
        pq.write_table(content, out, compression="zstd")
        out.flush()
        os.fsync(out.fileno())
    part.rename(path)
    _sync_folder(path.parent)


def _held(table: Table, path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    try:
        content = pq.read_table(path)
    except pa.ArrowException as error:
        what = f"cannot be read ({type(error).__name__})"
        hint = "Put the file back as it was, or name another folder"
        raise StoreError(what, where=str(path), hint=hint) from None
    if not content.schema.equals(arrow_schema(table)):
        hint = "Name another folder"
        raise StoreError("is of another version", where=str(path), hint=hint)
    yield from content.to_pylist()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
