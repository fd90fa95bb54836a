"""Comments that name somebody: what they are asked, and what they have not seen yet."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select, select, update

from detector.console.viewing import Viewer
from detector.store.queries import count_up_to
from detector.store.tables import comment, episode, mention

_MOST = 100


def listed(db: Connection, viewer: Viewer) -> list[dict[str, Any]]:
    """Return the newest comments that name this person, about alerts they may see."""
    e, c = episode.c, comment.c
    shown = (
        c.number, c.alert_id, c.author, c.body, c.written_ms, mention.c.seen_ms,
        e.user_id, e.detector, e.score, e.severity, e.day,
    )  # fmt: skip
    query = _mine(viewer, select(*shown)).order_by(c.number.desc()).limit(_MOST)
    return [dict(row) for row in db.execute(query).mappings()]


def n_unseen(db: Connection, viewer: Viewer) -> int:
    """Count those this person has not seen, up to a hundred."""
    some = _mine(viewer, select(mention.c.comment)).where(mention.c.seen_ms.is_(None))
    return count_up_to(db, some, _MOST)


def see(db: Connection, viewer: Viewer, numbers: list[int]) -> None:
    """Note that this person has seen comments."""
    unseen = (mention.c.account == viewer.login, mention.c.seen_ms.is_(None))
    those = update(mention).where(*unseen, mention.c.comment.in_(numbers))
    db.execute(those.values(seen_ms=viewer.now_ms))


def _mine(viewer: Viewer, query: Select[Any]) -> Select[Any]:
    source = mention.join(comment, comment.c.number == mention.c.comment).join(
        episode, episode.c.alert_id == comment.c.alert_id
    )
    found = query.select_from(source).where(mention.c.account == viewer.login)
    if viewer.branches is not None:
        found = found.where(episode.c.user_branch.in_(sorted(viewer.branches)))
    return found
