"""The queue's address ↔ filters, so that a view can be linked, saved and shared."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlencode

from sqlalchemy import Connection, select

from detector.console.alert_queries import SORTS, STATUSES, VERDICTS, VIEWS, Filters, Viewer
from detector.console.pseudonyms import Pseudonyms
from detector.console.service import Names
from detector.console.tables import episode
from detector.detections import DETECTORS
from detector.policy import SEVERITIES

CHOSEN = ("severity", "detector", "branch", "role", "status", "verdict")
_DAY = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")
_PSEUDONYM = re.compile(r"S-[0-9A-Z]{5}-[0-9A-Z]{5}")
_LONGEST = 200


def filters_of(connection: Connection, names: Names, viewer: Viewer, asked: Mapping[str, str]) -> Filters:
    """Read the filters of an address; what is no day, no view or too long is left out."""
    view = asked.get("view", "today")
    words = asked.get("q", "")[:_LONGEST].split()
    people = [word for word in words if _PSEUDONYM.fullmatch(word.upper())]
    staff = asked.get("employee", "").strip()[:_LONGEST]
    wanted = [*people, *([staff] if staff else [])]
    found = {name: (asked[name][:_LONGEST],) for name in CHOSEN if asked.get(name)}
    return Filters(
        view=view if view in VIEWS else "today",
        user_ids=_people(connection, names, viewer, wanted) if wanted else None,
        since=_day(asked.get("since", "")),
        until=_day(asked.get("until", "")),
        words=tuple(word for word in words if word not in people),
        **found,  # type: ignore[arg-type]  names of CHOSEN are fields of one type
    )


def _day(text: str) -> str:
    return text if _DAY.fullmatch(text) else ""


def sort_of(asked: Mapping[str, str]) -> str:
    """Return what to order by."""
    return asked["sort"] if asked.get("sort") in SORTS else "day"


def query_of(asked: Mapping[str, str], **changed: str) -> str:
    """Return the address's query with some values changed; empty ones left out."""
    known = ("view", "q", *CHOSEN, "employee", "since", "until", "sort", "cursor")
    values = {**{name: asked.get(name, "") for name in known}, **changed}
    return urlencode({name: value for name, value in values.items() if value})


def n_filters(asked: Mapping[str, str]) -> int:
    """Return how many fields restrict the list."""
    return sum(bool(asked.get(name)) for name in (*CHOSEN, "employee", "since", "until"))


def _people(
    connection: Connection, names: Names, viewer: Viewer, wanted: list[str]
) -> tuple[str, ...]:
    """Return the ids behind pseudonyms, and ids this person may know."""
    found = []
    for text in wanted:
        user_id = person_behind(connection, names.pseudonyms, viewer, text)
        if user_id is None and names.knows(text):
            user_id = text
        found.append(user_id or "\x00nobody")
    return tuple(found)


def person_behind(
    connection: Connection, pseudonyms: Pseudonyms, viewer: Viewer, ref: str
) -> str | None:
    """Return who bears a pseudonym, among those whose alerts this person may see."""
    ref = ref.upper()
    if not _PSEUDONYM.fullmatch(ref):
        return None
    ids = connection.execute(select(episode.c.user_id).where(viewer.sees()).distinct()).scalars()
    return next((user_id for user_id in ids if pseudonyms.staff(user_id) == ref), None)


def choices(connection: Connection, viewer: Viewer) -> dict[str, list[str]]:
    """Return what can be chosen for each filter."""
    places = {
        name: sorted(
            value
            for value in connection.execute(select(column).where(viewer.sees()).distinct()).scalars()
            if value
        )
        for name, column in (("branch", episode.c.user_branch), ("role", episode.c.user_role))
    }
    return {
        "severity": list(reversed(SEVERITIES)),
        "detector": list(DETECTORS),
        **places,
        "status": list(STATUSES),
        "verdict": list(VERDICTS),
    }
