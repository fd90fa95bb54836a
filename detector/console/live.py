"""Alerts as they arrive: server-sent events that go on where a browser left off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from sqlalchemy import Connection, select
from starlette.concurrency import run_in_threadpool

from detector.console.access import Reader, Visit
from detector.store.alert_queries import last_arrival
from detector.store.tables import alert, episode

router = APIRouter(include_in_schema=False)
_POLL_S = 1.0
_SILENCE_S = 20.0
_AT_ONCE = 200
_LONGEST_S = 3_600.0  # then the browser comes back, and its session is looked at anew
_MOST_STREAMS = 200


@router.get("/live")
async def live(request: Request, visit: Reader, after: int = 0) -> StreamingResponse:
    """Send an event for each alert version that arrives after a number.

    ``Last-Event-ID`` wins over ``after``: the browser sends it when a connection broke.
    """
    last = request.headers.get("last-event-id", "")
    start = int(last) if last.isdigit() else after
    open_streams: set[object] = request.app.state.streams
    if len(open_streams) >= _MOST_STREAMS:
        return StreamingResponse(iter(()), 503, headers={"Retry-After": "30"})
    head = {"X-Accel-Buffering": "no"}
    events = _events(request, visit, start, open_streams)
    return StreamingResponse(events, media_type="text/event-stream", headers=head)


async def _events(
    request: Request, visit: Visit, after: int, open_streams: set[object]
) -> AsyncIterator[bytes]:
    mark, silent_s, open_s = object(), 0.0, 0.0
    open_streams.add(mark)
    try:
        yield b"retry: 2000\n\n"
        while open_s < _LONGEST_S and not await request.is_disconnected():
            if request.app.state.closing.is_set():
                return
            after, lines = await run_in_threadpool(_arrived, visit, after)
            silent_s = 0.0 if lines else silent_s + _POLL_S
            if lines:
                yield b"".join(lines)
            elif silent_s >= _SILENCE_S:
                silent_s = 0.0
                yield b": still here\n\n"
            await asyncio.sleep(_POLL_S)
            open_s += _POLL_S
    finally:
        open_streams.discard(mark)


def _arrived(visit: Visit, after: int) -> tuple[int, list[bytes]]:
    """Return the newest number, and an event for everything later that this person may see."""
    with visit.console.store.reading() as db:
        newest, rows = arrived(db, visit.person.branches, after, _AT_ONCE)
    return newest, [_event(row) for row in rows]


def arrived(
    db: Connection, branches: frozenset[str] | None, after: int, limit: int
) -> tuple[int, list[dict[str, Any]]]:
    """Return the number to go on after, and the alert versions that arrived, oldest first.

    Args:
        db: a connection of ``ConsoleStore``.
        branches: that may be seen; None is all of them.
        after: the last number that is known already.
        limit: versions at most.
    """
    newest = last_arrival(db)
    if newest <= after:
        return after, []
    columns = (alert.c.arrival, alert.c.alert_id, alert.c.version, alert.c.severity, alert.c.score)
    query = (
        select(*columns)
        .join(episode, episode.c.alert_id == alert.c.alert_id)
        .where(alert.c.arrival > after)
        .order_by(alert.c.arrival)
        .limit(limit)
    )
    if branches is not None:
        query = query.where(episode.c.user_branch.in_(sorted(branches)))
    rows = [{str(k): v for k, v in row.items()} for row in db.execute(query).mappings()]
    return (rows[-1]["arrival"] if len(rows) == limit else newest), rows


def _event(row: dict[str, Any]) -> bytes:
    return b"id: %d\nevent: alert\ndata: %s\n\n" % (row["arrival"], orjson.dumps(row))
