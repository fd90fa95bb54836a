"""Verdicts about the alerts of a stream, in order: what its engine is to learn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, select

from detector.store.queries import count_up_to
from detector.store.tables import episode, verdict

FOLLOWER = "verdicts"
"""Whose position in ``sink_position`` is the number of a verdict, not that of an alert."""
TEACHING = ("benign", "confirmed")


@dataclass(frozen=True, slots=True)
class Judgement:
    """What somebody decided about what was flagged of a person; ``number`` grows."""

    number: int
    user_id: str
    verdict: str
    given_ms: int


def judgements(db: Connection, stream: str, after: int, limit: int) -> list[Judgement]:
    """Return the next verdicts that teach, of a stream's alerts.

    Who goes on after the last number misses none: numbers become visible in order.
    """
    v = verdict.c
    columns = (v.number, episode.c.user_id, v.verdict, v.given_ms)
    rows = db.execute(_of(select(*columns), stream, after).order_by(v.number).limit(limit))
    return [Judgement(*row) for row in rows]


def n_judgements(db: Connection, stream: str, after: int, limit: int) -> int:
    """Count them, up to ``limit``."""
    return count_up_to(db, _of(select(verdict.c.number), stream, after), limit)


def _of(query: Select[Any], stream: str, after: int) -> Select[Any]:
    joined = query.join(episode, episode.c.alert_id == verdict.c.alert_id)
    teaches = verdict.c.verdict.in_(TEACHING)
    return joined.where(verdict.c.number > after, episode.c.stream == stream, teaches)
