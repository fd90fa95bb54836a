"""The queue's address ↔ filters, so that a view can be linked, saved and shared."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from urllib.parse import urlencode

from sqlalchemy import ColumnElement, Connection, select

from detector.console.pseudonyms import Pseudonyms
from detector.console.service import Names
from detector.console.viewing import SORTS, STATUSES, VERDICTS, VIEWS, Viewer
from detector.detections import DETECTORS
from detector.policy import SEVERITIES
from detector.store.queries import Filter, Sort
from detector.store.tables import episode

CHOSEN = {
    "severity": "severities",
    "detector": "detectors",
    "branch": "branches",
    "role": "roles",
    "status": "statuses",
    "verdict": "verdicts",
}
"""Fields of the address that choose, and those of the filter they fill."""

KNOWN = ("view", "q", *CHOSEN, "employee", "since", "until", "sort")
_PSEUDONYM = re.compile(r"S-[0-9A-Z]{5}-[0-9A-Z]{5}")
_LONGEST = 200


def filters_of(db: Connection, names: Names, viewer: Viewer, asked: Mapping[str, str]) -> Filter:
    """Read the filters of an address; what is no day or too long is left out."""
    words = asked.get("q", "")[:_LONGEST].split()
    people = [word for word in words if _PSEUDONYM.fullmatch(word.upper())]
    staff = asked.get("employee", "").strip()[:_LONGEST]
    wanted = [*people, *([staff] if staff else [])]
    chosen = {field: (asked[name][:_LONGEST],) for name, field in CHOSEN.items() if asked.get(name)}
    return viewer.filter(
        **chosen,
        users=tuple(_person(db, names, viewer, text) for text in wanted),
        first_day=_day(asked.get("since", "")),
        last_day=_day(asked.get("until", "")),
        search=" ".join(word for word in words if word not in people),
        finds_people=names.sees_all,
        is_hidden=False,
    )


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def view_of(asked: Mapping[str, str]) -> str:
    """Return the view; today's alerts where none is named."""
    return asked["view"] if asked.get("view") in VIEWS else "today"


def sort_of(asked: Mapping[str, str], view: str) -> Sort:
    """Return what to order by."""
    chosen = asked.get("sort", "")
    return next((sort for sort in SORTS if sort == chosen), "time" if view == "all" else "score")


def query_of(asked: Mapping[str, str], **changed: str) -> str:
    """Return the address's query with some values changed; empty ones left out."""
    values = {**{name: asked.get(name, "") for name in (*KNOWN, "cursor")}, **changed}
    return urlencode({name: value for name, value in values.items() if value})


def n_filters(asked: Mapping[str, str]) -> int:
    """Return how many fields restrict the list."""
    return sum(bool(asked.get(name)) for name in (*CHOSEN, "employee", "since", "until"))


def _person(db: Connection, names: Names, viewer: Viewer, text: str) -> str:
    """Return the id behind a pseudonym, or an id this person may know; else nobody's."""
    user_id = person_behind(db, names.pseudonyms, viewer, text)
    return user_id or (text if names.knows(text) else "\x1fnobody")


def person_behind(db: Connection, pseudonyms: Pseudonyms, viewer: Viewer, ref: str) -> str | None:
    """Return who bears a pseudonym, among those whose alerts this person may see."""
    ref = ref.upper()
    if not _PSEUDONYM.fullmatch(ref):
        return None
    ids = _distinct(db, viewer, episode.c.user_id)
    return next((user_id for user_id in ids if pseudonyms.staff(user_id) == ref), None)


def _distinct(db: Connection, viewer: Viewer, column: ColumnElement[str]) -> list[str]:
    query = select(column).where(column.is_not(None)).distinct()
    if viewer.branches is not None:
        query = query.where(episode.c.user_branch.in_(sorted(viewer.branches)))
    return list(db.execute(query).scalars())


def choices(db: Connection, viewer: Viewer) -> dict[str, list[str]]:
    """Return what can be chosen for each filter."""
    return {
        "severity": list(reversed(SEVERITIES)),
        "detector": list(DETECTORS),
        "branch": sorted(_distinct(db, viewer, episode.c.user_branch)),
        "role": sorted(_distinct(db, viewer, episode.c.user_role)),
        "status": list(STATUSES),
        "verdict": [*VERDICTS, "none"],
    }
