"""The queue: today's alerts first, everything else one click away."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import Connection, Row, delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from detector.console import alert_queries, queue_query, triage_actions
from detector.console.access import Exporter, Reader, SentForm, Triager, Visit
from detector.console.alert_queries import SORTS, VERDICTS, VIEWS, Filters
from detector.console.rendering import page, words_for
from detector.console.service import Names, names_for
from detector.console.tables import episode, saved_view
from detector.console.triage_actions import Change, ConflictError, RefusedError, Seen

router = APIRouter(include_in_schema=False)
ROWS = 50
_CSV_ROWS = 10_000
_MOST_AT_ONCE = 200
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@router.get("/")
def queue(request: Request, visit: Reader) -> Response:
    """Show the queue; htmx asks for the same page and takes the list out of it."""
    viewer, asked = visit.viewer, request.query_params
    sort = queue_query.sort_of(asked)
    with visit.console.database.read() as connection:
        names = names_for(visit.console, connection, visit.person)
        filters = queue_query.filters_of(connection, names, viewer, asked)
        found = alert_queries.page(
            connection, viewer, filters, sort=sort, cursor=asked.get("cursor", ""), limit=ROWS
        )
        values = {
            "filters": filters,
            "rows": [shown(row, names, visit, request) for row in found.rows],
            "counts": {
                view: alert_queries.count(connection, viewer, Filters(view=view))
                for view in VIEWS
            },
            "choices": _choices(connection, visit, filters),
            "saved_views": _views(connection, visit.person.login),
            "day": alert_queries.newest_day(connection, viewer),
            "arrival": newest_arrival(connection),
        }
    following = found.next_cursor
    return page(
        request,
        "queue.html",
        visit,
        views=VIEWS,
        sorts=SORTS,
        sort=sort,
        budget=viewer.budget,
        verdicts=VERDICTS,
        q=asked.get("q", ""),
        employee=asked.get("employee", ""),
        n_filters=queue_query.n_filters(asked),
        this_query=queue_query.query_of(asked, cursor=""),
        next_query=following and queue_query.query_of(asked, cursor=following),
        **values,
    )


def newest_arrival(connection: Connection) -> int:
    """Return the number of the last alert line that came in."""
    newest = connection.execute(select(func.max(episode.c.arrival))).scalar()
    return int(newest or 0)


def shown(row: Row[Any], names: Names, visit: Visit, request: Request) -> dict[str, Any]:
    """Return what a row of the queue shows."""
    content = orjson.loads(row.content)
    words = words_for(request, visit)
    return {
        **row._mapping,
        "detectors": content["detectors"],
        "time": content["time"],
        "staff": names.staff(row.user_id),
        "ref": names.pseudonyms.staff(row.user_id),
        "sentence": content["explanation"][words.language],
    }


def _choices(connection: Connection, visit: Visit, filters: Filters) -> list[Any]:
    sections = {"branch": "branch", "role": "job"}
    return [
        (name, values, getattr(filters, name), sections.get(name, name))
        for name, values in queue_query.choices(connection, visit.viewer).items()
    ]


def _views(connection: Connection, login: str) -> list[Row[Any]]:
    query = select(saved_view).where(saved_view.c.owner == login).order_by(saved_view.c.name)
    return list(connection.execute(query))


@router.post("/views")
def save_view(
    visit: Triager,
    name: Annotated[str, Form(max_length=80)],
    query: Annotated[str, Form(max_length=2_000)],
) -> Response:
    """Keep the present filters under a name; the same name again replaces them."""
    owner = visit.person.login
    with visit.console.database.write() as connection:
        mine = (saved_view.c.owner == owner, saved_view.c.name == name)
        connection.execute(delete(saved_view).where(*mine))
        try:
            connection.execute(insert(saved_view).values(owner=owner, name=name, query=query))
        except IntegrityError:
            raise RefusedError("name_taken") from None
        visit.console.note(connection, owner, "view.save", name)
    return RedirectResponse(f"/?{query}", 303)


@router.post("/bulk")
def bulk(request: Request, visit: Triager, form: SentForm) -> Response:
    """Change several alerts; those that somebody has changed in between are told and left alone."""
    chosen = [str(text) for text in form.getlist("alert")][:_MOST_AT_ONCE]
    change = _bulk_change(visit, {name: str(value) for name, value in form.items()})
    failed = 0
    for text in chosen:
        alert_id, _, revision = text.partition(":")
        failed += not _changed(visit, alert_id, int(revision) if revision.isdigit() else -1, change)
    back = request.headers.get("referer", "/")
    separator = "&" if "?" in back else "?"
    path = back if back.startswith(str(request.base_url)) else "/"
    return RedirectResponse(f"{path}{separator}failed={failed}" if failed else path, 303)


def _bulk_change(visit: Visit, form: dict[str, str]) -> Change:
    act = form.get("act", "")
    if act == "mine":
        return Change(assignee=visit.person.login)
    if act == "verdict":
        return Change(verdict=form.get("verdict") or "none", reason=form.get("reason"))
    return Change(status=act)


def _changed(visit: Visit, alert_id: str, revision: int, change: Change) -> bool:
    console, login = visit.console, visit.person.login
    try:
        with console.database.write() as connection:
            row = alert_queries.one(connection, visit.viewer, alert_id)
            if row is None:
                return False
            seen = Seen(row, revision, login, console.clock_ms())
            told = triage_actions.apply(connection, seen, change)
            console.note(connection, login, "alert.triage", alert_id, bulk=True, **told)
    except ConflictError:
        return False
    return True


@router.get("/alerts.csv")
def as_csv(request: Request, visit: Exporter) -> Response:
    """Return the filtered list as CSV in which no cell can be a formula."""
    viewer, asked = visit.viewer, request.query_params
    with visit.console.database.read() as connection:
        names = names_for(visit.console, connection, visit.person)
        filters = queue_query.filters_of(connection, names, viewer, asked)
        sort = queue_query.sort_of(asked)
        found = alert_queries.page(connection, viewer, filters, sort=sort, cursor="", limit=_CSV_ROWS)
        rows = [shown(row, names, visit, request) for row in found.rows]
    visit.console.noted(visit.person.login, "queue.export", queue_query.query_of(asked), n=len(rows))
    head = {"Content-Disposition": 'attachment; filename="alerts.csv"'}
    return Response(csv_of(rows), media_type="text/csv; charset=utf-8", headers=head)


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
    text = value if isinstance(value, str) else None
    return f"'{text}" if text is not None and text.startswith(_FORMULA) else value
