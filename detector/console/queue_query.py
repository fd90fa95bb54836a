"""The queue's address ↔ filters, so that a view can be linked, saved and shared."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Connection, select

from detector.console.directory import Directory
from detector.console.service import Names
from detector.console.viewing import SORTS, STATUSES, VERDICTS, VIEWS, Viewer
from detector.detections import DETECTORS
from detector.policy import SEVERITIES
from detector.store.queries import Filed, Filter, Sort
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
_ID = re.compile(r"[0-9a-f]{8,32}")
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
        **_searched(db, names, [word for word in words if word not in people]),
        is_hidden=False,
    )


def _searched(db: Connection, names: Names, words: list[str]) -> dict[str, Any]:
    """Return the part of a filter that searches: everywhere, for who may know identities."""
    if names.sees_all:
        return {"search": " ".join(words)}
    branches, roles = names.directory.branches(db), names.directory.roles(db)
    return {"filed": tuple(_filed(word.lower(), branches, roles) for word in words)}


def _filed(word: str, branches: list[str], roles: list[str]) -> Filed:
    def holding(known: Iterable[str]) -> tuple[str, ...]:
        return tuple(name for name in known if word in name.lower())

    begins = word if _ID.fullmatch(word) else ""
    return Filed(holding(branches), holding(roles), holding(DETECTORS), holding(SEVERITIES), begins)


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
    user_id = person_behind(db, names.directory, viewer, text)
    return user_id or (text if names.knows(text) else "\x1fnobody")


def person_behind(db: Connection, directory: Directory, viewer: Viewer, ref: str) -> str | None:
    """Return who bears a pseudonym, if this person may see an alert about them."""
    user_id = directory.person(db, ref.upper())
    if user_id is None or viewer.branches is None:
        return user_id
    theirs = (episode.c.user_id == user_id, episode.c.user_branch.in_(sorted(viewer.branches)))
    seen = db.execute(select(episode.c.alert_id).where(*theirs).limit(1)).first()
    return None if seen is None else user_id


def choices(db: Connection, directory: Directory, viewer: Viewer) -> dict[str, list[str]]:
    """Return what can be chosen for each filter."""
    every = directory.branches(db)
    return {
        "severity": list(reversed(SEVERITIES)),
        "detector": list(DETECTORS),
        "branch": every if viewer.branches is None else sorted(viewer.branches),
        "role": directory.roles(db),
        "status": list(STATUSES),
        "verdict": [*VERDICTS, "none"],
    }
