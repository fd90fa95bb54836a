"""For whom alerts are looked up, and the views of the queue that everybody has."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from sqlalchemy import Connection, func, select

from detector.store.queries import Filter, Page, Sort, count_alerts, list_alerts
from detector.store.tables import episode

STATUSES = ("new", "acknowledged", "in_progress", "escalated", "closed")
OPEN = STATUSES[:-1]
VERDICTS = ("confirmed", "benign", "wrong_team", "test")
VIEWS = ("today", "held_back", "open", "mine", "suppressed", "all")
SORTS: tuple[Sort, ...] = ("score", "time", "arrival")


@dataclass(frozen=True, slots=True)
class Viewer:
    """Login, branches (None: all of them), the budget of a day, and the time."""

    login: str
    branches: frozenset[str] | None
    budget: int
    now_ms: int

    def filter(self, **fields: Any) -> Filter:
        """Return a filter that shows nothing of other branches."""
        return Filter(scope=self.branches, **fields)


def newest_day(db: Connection, viewer: Viewer) -> date | None:
    """Return the last local day with an alert this person may see: "today" of a replay too."""
    query = select(func.max(episode.c.day))
    if viewer.branches is not None:
        query = query.where(episode.c.user_branch.in_(sorted(viewer.branches)))
    found: date | None = db.execute(query).scalar()
    return found


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody wants to see: a view, filters within it, an order, and from where on."""

    view: str
    which: Filter
    sort: Sort = "score"
    cursor: str | None = None


def listed(db: Connection, viewer: Viewer, asked: Asked) -> Page:
    """Return a page of a view; filters apply within it.

    The budget of a day is counted before any filter: filtering today's alerts never pulls in
    those that were held back.
    """
    which = in_view(viewer, asked.view, asked.which, newest_day(db, viewer))
    if asked.view not in {"today", "held_back"}:
        return list_alerts(db, which, asked.sort, asked.cursor)
    best = _best_of_day(db, viewer, which)
    if asked.view == "held_back":
        after = asked.cursor or best.next_cursor
        return list_alerts(db, which, "score", after) if after is not None else Page()
    ids = {row["alert_id"] for row in best.rows}
    found = list_alerts(db, which, "score", limit=500)
    return Page([row for row in found.rows if row["alert_id"] in ids])


def _best_of_day(db: Connection, viewer: Viewer, which: Filter) -> Page:
    day = viewer.filter(first_day=which.first_day, last_day=which.last_day)
    return list_alerts(db, day, "score", limit=viewer.budget)


def in_view(viewer: Viewer, view: str, which: Filter, day: date | None) -> Filter:
    """Return a filter narrowed to a view."""
    day = day or date.min
    if view in {"today", "held_back"}:
        return replace(which, first_day=day, last_day=day)
    if view == "open":
        return replace(which, statuses=which.statuses or OPEN)
    if view == "mine":
        return replace(which, statuses=which.statuses or OPEN, assignees=(viewer.login,))
    return replace(which, is_hidden=True if view == "suppressed" else None)


def counts(db: Connection, viewer: Viewer, at_most: int) -> dict[str, int]:
    """Return how many alerts each view has, ``at_most`` at most."""
    day = newest_day(db, viewer)
    found = {
        view: count_alerts(db, in_view(viewer, view, viewer.filter(), day), at_most)
        for view in VIEWS
        if view != "held_back"
    }
    of_day = found["today"]
    return {
        **found,
        "today": min(of_day, viewer.budget),
        "held_back": max(of_day - viewer.budget, 0),
    }
