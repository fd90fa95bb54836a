"""`/api/v1`: everything the pages do, for programs with a token."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse

from detector.console import alert_changes, live, queue_query, suppressions, viewing
from detector.console.access import Reader, Suppressor, Triager, UnmaskAsker, Visit, recognised
from detector.console.api_models import (
    AlertPage,
    AlertQuery,
    Feed,
    NewSuppression,
    NewText,
    Saved,
    TriageChange,
)
from detector.console.api_once import OnceRoute
from detector.console.finding import found
from detector.console.pages_alert import scope_of
from detector.console.pages_queue import shown
from detector.console.release import VERSION
from detector.console.roles import Right
from detector.console.service import Names, names_for
from detector.console.triage_actions import (
    Change,
    Seen,
    look,
    mentions_of,
    verdict_events,
)
from detector.errors import DetectorError
from detector.store.alert_queries import AlertView

PREFIX = "/api/v1"
_MOST_ROWS = 500


class TooManyCallsError(DetectorError):
    """More calls in a minute than one account may make; ``wait_s`` until the next."""

    def __init__(self, wait_s: int) -> None:
        super().__init__("too many calls")
        self.wait_s = wait_s


def limited(request: Request, visit: Annotated[Visit, Depends(recognised)]) -> None:
    """Count a call.

    Raises:
        TooManyCallsError: the account has used up its minute.
    """
    now, calls = visit.console.clock_ms(), request.app.state.calls
    wait_ms = calls.wait_ms(visit.person.login, now)
    if wait_ms > 0:
        raise TooManyCallsError(-(-wait_ms // 1000))
    calls.note(visit.person.login, now)


def router_of(tag: str) -> APIRouter:
    """Return a router whose calls are limited and done once."""
    return APIRouter(
        prefix=PREFIX, route_class=OnceRoute, dependencies=[Depends(limited)], tags=[tag]
    )


router = router_of("alerts")
Limit = Annotated[int, Query(ge=1, le=_MOST_ROWS)]


@router.get("/alerts")
def alerts(visit: Reader, asked: Annotated[AlertQuery, Query()]) -> AlertPage:
    """List alerts as the queue does: views, filters, order, and a cursor for the next page."""
    texts = asked.model_dump()
    view = queue_query.view_of(texts)
    with visit.console.store.reading() as db:
        names = names_for(visit.console, db, visit.person)
        which = queue_query.filters_of(db, names, visit.viewer, texts)
        order = queue_query.sort_of(texts, view)
        cursor = asked.cursor or None
        page = viewing.listed(db, visit.viewer, viewing.Asked(view, which, order, cursor))
    rows = [shown(row, names, visit.person.language) for row in page.rows]
    return AlertPage.model_validate({"alerts": rows, "next_cursor": page.next_cursor})


@router.get("/alerts/{alert_id}")
def alert(visit: Reader, alert_id: str) -> dict[str, Any]:
    """Return one alert with all versions, verdicts, comments and questions; the look is logged."""
    console, login = visit.console, visit.person.login
    with console.store.writing() as db:
        view = found(db, visit, alert_id)
        if visit.person.may(Right.TRIAGE):
            look(db, Seen(view, 0, login, console.clock_ms()))
        entry = console.note(db, login, "alert.look", alert_id, way=visit.way)
        names = names_for(console, db, visit.person)
        mentions = mentions_of(db, alert_id)
    console.anchor(entry)
    return {
        "alert": named(view.fields, names),
        "versions": [named(line["fields"], names) for line in view.versions],
        "triage": _triage(view),
        "verdicts": view.verdicts,
        "comments": [{**c, "mentions": mentions.get(c["number"], [])} for c in view.comments],
        "questions": view.justifications,
    }


def _triage(view: AlertView) -> dict[str, Any]:
    return {name: value for name, value in view.triage.items() if name != "alert_id"}


def named(fields: dict[str, Any], names: Names) -> dict[str, Any]:
    """Return an alert's fields with the name this person may see instead of the id."""
    user_id = fields["user_id"]
    rest = {name: value for name, value in fields.items() if name != "user_id"}
    return {**rest, "staff": names.staff(user_id), "ref": names.pseudonyms.staff(user_id)}


@router.post("/alerts/{alert_id}/triage")
def triage(visit: Triager, alert_id: str, sent: TriageChange) -> Saved:
    """Change status, assignee or verdict; 409 if somebody was quicker."""
    change = Change(sent.status, sent.assignee, sent.verdict, sent.reason)
    return Saved(saved=alert_changes.save_change(visit, alert_id, sent.row_version, change))


@router.post("/alerts/{alert_id}/comments", status_code=201)
def comment(visit: Triager, alert_id: str, sent: NewText) -> Saved:
    """Add a comment."""
    return Saved(saved={"mentions": alert_changes.save_comment(visit, alert_id, sent.text)})


@router.post("/alerts/{alert_id}/questions", status_code=201)
def question(request: Request, visit: Triager, alert_id: str, sent: NewText) -> Saved:
    """Ask the employee; the answer's link is told once."""
    secret = alert_changes.save_question(visit, alert_id, sent.text)
    base = str(visit.console.settings.public_url or request.base_url).rstrip("/")
    return Saved(saved={"link": f"{base}/answer/{secret}"})


@router.post("/alerts/{alert_id}/suppressions/preview")
def preview(visit: Suppressor, alert_id: str, sent: NewSuppression) -> dict[str, int]:
    """Tell what a rule would have hidden in the last 90 days."""
    with visit.console.store.reading() as db:
        scope = scope_of(found(db, visit, alert_id).fields, sent.model_dump())
        told = suppressions.preview(db, visit.viewer, scope)
    return {
        "days": told.days,
        "n_alerts": told.n_alerts,
        "n_of": told.n_of,
        "n_confirmed": told.n_confirmed,
    }


@router.post("/alerts/{alert_id}/suppressions", status_code=201)
def suppress(visit: Suppressor, alert_id: str, sent: NewSuppression) -> Saved:
    """Hide what is like an alert for some days."""
    with visit.console.store.reading() as db:
        scope = scope_of(found(db, visit, alert_id).fields, sent.model_dump())
    told = alert_changes.save_suppression(visit, alert_id, scope, sent.reason, sent.days)
    return Saved(saved=told)


@router.post("/alerts/{alert_id}/unmask-requests", status_code=201)
def ask_unmask(visit: UnmaskAsker, alert_id: str, sent: NewText) -> Saved:
    """Ask a second person to let this one see who it is."""
    return Saved(saved={"number": alert_changes.ask_unmask(visit, alert_id, sent.text)})


@router.get("/arrivals")
def arrivals(visit: Reader, after: int = 0, limit: Limit = 100) -> Feed:
    """Return what arrived after a number, in order: for programs that follow the queue."""
    with visit.console.store.reading() as db:
        newest, rows = live.arrived(db, visit.person.branches, after, limit)
    return Feed(rows=rows, after=newest)


@router.get("/verdicts")
def verdicts(visit: Reader, after: int = 0, limit: Limit = 100) -> Feed:
    """Return the verdicts given after a number, in order, by pseudonym."""
    with visit.console.store.reading() as db:
        names = names_for(visit.console, db, visit.person)
        rows = verdict_events(db, after, limit, visit.person.branches)
    return Feed(
        rows=[named(row, names) for row in rows], after=rows[-1]["number"] if rows else after
    )


def describe(app: FastAPI) -> JSONResponse:
    """Return the OpenAPI description of everything under `/api/v1`."""
    told = get_openapi(
        title="audit-anomaly-detector",
        version=VERSION,
        summary="Alerts, triage, people and the audit log of the console",
        routes=app.routes,
    )
    scheme = {"token": {"type": "http", "scheme": "bearer"}}
    told.setdefault("components", {})["securitySchemes"] = scheme
    return JSONResponse({**told, "security": [{"token": []}]})
