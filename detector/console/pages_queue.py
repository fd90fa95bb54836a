"""The queue: today's alerts first, everything else one click away."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import Connection, delete, insert, or_, select

from detector.console import mentions, queue_query, viewing
from detector.console.access import Exporter, Reader, SentForm, Triager, Visit
from detector.console.alert_changes import save_change
from detector.console.finding import NoSuchAlertError
from detector.console.rendering import page, words_for
from detector.console.service import Names, names_for
from detector.console.triage_actions import Change, ConflictError
from detector.console.viewing import SORTS, VERDICTS, VIEWS, Asked
from detector.store.alert_queries import last_arrival
from detector.store.queries import list_alerts
from detector.store.tables import saved_view

router = APIRouter(include_in_schema=False)
_MOST_COUNTED = 1_000
_MOST_AT_ONCE = 200
_CSV_ROWS = 10_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@router.get("/")
def queue(request: Request, visit: Reader) -> Response:
    """Show the queue; htmx asks for the same page and takes the list out of it."""
    viewer, asked = visit.viewer, request.query_params
    view = queue_query.view_of(asked)
    sort = queue_query.sort_of(asked, view)
    language = words_for(request, visit).language
    with visit.console.store.reading() as db:
        names = names_for(visit.console, db, visit.person)
        which = queue_query.filters_of(db, names, viewer, asked)
        cursor = asked.get("cursor") or None
        found = viewing.listed(db, viewer, Asked(view, which, sort, cursor))
        values: dict[str, Any] = {
            "rows": [shown(row, names, language) for row in found.rows],
            "counts": viewing.counts(db, viewer, _MOST_COUNTED + 1),
            "most": _MOST_COUNTED,
            "choices": _choices(db, visit, asked),
            "saved_views": _views(db, visit.person.login),
            "day": viewing.newest_day(db, viewer),
            "arrival": last_arrival(db),
            "n_mentions": mentions.n_unseen(db, viewer),
        }
    following = found.next_cursor
    return page(
        request,
        "queue.html",
        visit,
        view=view,
        views=VIEWS,
        sorts=SORTS,
        sort=sort,
        budget=viewer.budget,
        verdicts=VERDICTS,
        asked={name: asked.get(name, "") for name in queue_query.KNOWN},
        failed=asked.get("failed", "")[:5],
        n_filters=queue_query.n_filters(asked),
        this_query=queue_query.query_of(asked, cursor=""),
        next_query=following and queue_query.query_of(asked, cursor=following),
        **values,
    )


def shown(row: dict[str, Any], names: Names, language: str) -> dict[str, Any]:
    """Return what a row of the queue shows."""
    content = orjson.loads(row["content"])
    return {
        **row,
        "detectors": content["detectors"],
        "time": content["time"],
        "staff": names.staff(row["user_id"]),
        "ref": names.pseudonyms.staff(row["user_id"]),
        "sentence": content["explanation"][language],
    }


def _choices(db: Connection, visit: Visit, asked: Any) -> list[tuple[str, list[str], str, str]]:
    sections = {"role": "job"}
    return [
        (name, values, asked.get(name, ""), sections.get(name, name))
        for name, values in queue_query.choices(db, visit.console.directory, visit.viewer).items()
    ]


def _views(db: Connection, login: str) -> list[dict[str, Any]]:
    mine = or_(saved_view.c.owner == login, saved_view.c.is_shared.is_(True))
    rows = db.execute(select(saved_view).where(mine).order_by(saved_view.c.name)).mappings()
    return [{**row, "query": orjson.loads(row["query"])} for row in rows]


@router.post("/views")
def save_view(
    visit: Triager,
    name: Annotated[str, Form(max_length=80, min_length=1)],
    query: Annotated[str, Form(max_length=2_000)],
    is_shared: Annotated[bool, Form()] = False,
) -> Response:
    """Keep the present filters under a name; the same name again replaces them."""
    keep_view(visit, name, query, is_shared=is_shared)
    return RedirectResponse(f"/?{query}", 303)


def keep_view(visit: Visit, name: str, query: str, *, is_shared: bool) -> None:
    """Save a view in place of one's own of the same name."""
    owner = visit.person.login
    with visit.console.store.writing() as db:
        db.execute(delete(saved_view).where(saved_view.c.owner == owner, saved_view.c.name == name))
        values = {"owner": owner, "name": name, "is_shared": is_shared}
        db.execute(insert(saved_view).values(query=orjson.dumps(query).decode(), **values))
        visit.console.note(db, owner, "view.save", name, shared=is_shared)


@router.post("/bulk")
def bulk(visit: Triager, form: SentForm) -> Response:
    """Change several alerts; those that somebody has changed in between are told and left alone."""
    chosen = [str(text) for text in form.getlist("alert")][:_MOST_AT_ONCE]
    change = _bulk_change(visit, {name: str(value) for name, value in form.items()})
    failed = 0
    for text in chosen:
        alert_id, _, row_version = text.partition(":")
        failed += not _changed(visit, alert_id, row_version, change)
    query = str(form.get("query", ""))[:2_000]
    return RedirectResponse(f"/?{query}" + (f"&failed={failed}" if failed else ""), 303)


def _bulk_change(visit: Visit, form: dict[str, str]) -> Change:
    act = form.get("act", "")
    if act == "mine":
        return Change(assignee=visit.person.login)
    if act == "verdict":
        return Change(verdict=form.get("verdict", ""), reason=form.get("reason", ""))
    return Change(status=act)


def _changed(visit: Visit, alert_id: str, row_version: str, change: Change) -> bool:
    try:
        save_change(visit, alert_id, int(row_version) if row_version.isdigit() else -1, change)
    except (ConflictError, NoSuchAlertError):
        return False
    return True


@router.get("/alerts.csv")
def as_csv(request: Request, visit: Exporter) -> Response:
    """Return the filtered list as CSV in which no cell can be a formula."""
    viewer, asked = visit.viewer, request.query_params
    view = queue_query.view_of(asked)
    language = words_for(request, visit).language
    with visit.console.store.reading() as db:
        names = names_for(visit.console, db, visit.person)
        which = queue_query.filters_of(db, names, viewer, asked)
        rows = [shown(row, names, language) for row in _all_of(db, viewer, view, which)]
    visit.console.noted(visit.person.login, "queue.export", view, n=len(rows))
    head = {"Content-Disposition": 'attachment; filename="alerts.csv"'}
    return Response(csv_of(rows), media_type="text/csv; charset=utf-8", headers=head)


def _all_of(db: Connection, viewer: viewing.Viewer, view: str, which: Any) -> list[dict[str, Any]]:
    """Return a view's alerts, page after page, at most 10,000."""
    found = viewing.listed(db, viewer, Asked(view, which))
    rows = list(found.rows)
    narrowed = viewing.in_view(viewer, view, which, viewing.newest_day(db, viewer))
    while found.next_cursor is not None and len(rows) < _CSV_ROWS:
        found = list_alerts(db, narrowed, "score", found.next_cursor, limit=500)
        rows += found.rows
    return rows


_COLUMNS = (
    "alert_id", "version", "time", "score", "severity", "detector", "staff", "user_role",
    "user_branch", "n_events", "n_records", "n_customers", "status", "verdict", "assignee",
    "sentence",
)  # fmt: skip


def csv_of(rows: Iterable[dict[str, Any]]) -> str:
    """Return rows as CSV; a text that a spreadsheet would run gets an apostrophe before it.

    >>> csv_of([{**dict.fromkeys(_COLUMNS, 1), "sentence": "=1+1"}]).splitlines()[1][-6:]
    ",'=1+1"
    """
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    writer.writerows([_inert(row[name]) for name in _COLUMNS] for row in rows)
    return out.getvalue()


def _inert(value: Any) -> Any:
    is_formula = isinstance(value, str) and value.startswith(_FORMULA)
    return f"'{value}" if is_formula else value
