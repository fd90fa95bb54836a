"""Employees, the whole bank, rules in force, and who may see whom."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import Connection

from detector.console import (
    alert_changes,
    charts,
    employee_view,
    events_behind,
    overview_view,
    queue_query,
    suppressions,
    unmasking,
    viewing,
)
from detector.console.access import (
    ForbiddenError,
    OwnAccount,
    Reader,
    Suppressor,
    UnmaskDecider,
    Visit,
)
from detector.console.finding import NoSuchAlertError, found
from detector.console.rendering import page, title_of, words_for
from detector.console.roles import Right
from detector.console.service import Names, names_for
from detector.console.staff import SHOWN_DAYS
from detector.console.texts import Words
from detector.console.triage_actions import RefusedError
from detector.store.people import Ledger, ledger
from detector.store.queries import count_alerts, list_alerts

router = APIRouter(include_in_schema=False)
_PARTS = 12


@router.get("/employees/{ref}")
def employee(request: Request, visit: Reader, ref: str) -> Response:
    """Show a person by pseudonym, so that no address ever holds an id."""
    console, t = visit.console, words_for(request, visit)
    with console.store.reading() as db:
        names = names_for(console, db, visit.person)
        user_id = queue_query.person_behind(db, console.directory, visit.viewer, ref)
        if user_id is None:
            raise NoSuchAlertError("no such person")
        values = _person(db, visit, user_id, names, t)
    console.noted(visit.person.login, "employee.look", console.pseudonyms.staff(user_id))
    return page(request, "employee.html", visit, **values)


def _person(db: Connection, visit: Visit, user_id: str, names: Names, t: Words) -> dict[str, Any]:
    viewer = visit.viewer
    today = viewing.newest_day(db, viewer) or date.min
    kept = ledger(db, user_id, today, viewer.branches)
    newest = list_alerts(db, viewer.filter(users=(user_id,), is_hidden=None), "time", limit=1)
    row = newest.rows[0]
    values = employee_view.trend(kept, today)
    return {
        "staff": names.staff(user_id),
        "role": row["user_role"],
        "branch": row["user_branch"],
        "alerts": kept.rows,
        "risk": kept.risk,
        "by_detector": sorted(kept.parts.items(), key=lambda part: -part[1]),
        "parts": _parts(kept, today),
        "trend": charts.trend(values, t("employee.trend_label", points=t.score(kept.risk))),
        "duties": visit.console.staff.of(user_id, today) if visit.console.staff.is_known else None,
        "duty_days": SHOWN_DAYS,
        **_behind(db, visit, row, today, t),
    }


def _parts(kept: Ledger, today: date) -> list[tuple[dict[str, Any], float, Any]]:
    """Return (alert, points today, bar), most points first."""
    said = sorted(
        ((row, employee_view.points(row, today)) for row in kept.rows), key=lambda p: -p[1]
    )
    highest = max((points for _, points in said), default=0.0) or 1.0
    return [
        (row, points, charts.bar(points / highest, "fired", f"{points:.1f}"))
        for row, points in said[:_PARTS]
        if points > 0
    ]


def _behind(
    db: Connection, visit: Visit, row: dict[str, Any], today: date, t: Words
) -> dict[str, Any]:
    """Return what is known beyond alerts: from stored events, else from the newest alert."""
    if not visit.console.has_events:
        evidence = found(db, visit, row["alert_id"]).fields["evidence"]
        told = events_behind.Ledger(30, evidence.get("n_customers_30d", 0))
        return {"ledgers": [told], "hours": None, "branches": []}
    user_id = row["user_id"]
    hours = events_behind.hours_before(db, user_id, today)
    titles = [f"{hour:02d}:00 · {t.number(n)}" for hour, n in enumerate(hours)]
    return {
        "ledgers": [
            events_behind.ledger(db, user_id, row["user_role"], today, days) for days in (30, 90)
        ],
        "hours": charts.columns(hours, titles, t("employee.hours")),
        "branches": events_behind.branches_of(db, user_id, today),
    }


@router.get("/overview")
def overview(request: Request, visit: Reader) -> Response:
    """Show the last 30 days."""
    t = words_for(request, visit)
    told = overview_view.overview(visit.console, visit.viewer)
    with visit.console.store.reading() as db:
        names = names_for(visit.console, db, visit.person)
    return page(
        request,
        "overview.html",
        visit,
        o=told,
        days=overview_view.DAYS,
        riskiest=[
            {
                **row,
                "staff": names.staff(row["user_id"]),
                "ref": names.pseudonyms.staff(row["user_id"]),
            }
            for row in told.riskiest
        ],
        level=charts.level,
        highest=max((n for _, counts in told.by_branch for n in counts), default=1) or 1,
        stacks=charts.stacks(
            [(t.day(day), counts) for day, counts in told.days],
            [title_of(visit.console.policy, name, t.language) for name in told.detectors],
            t("overview.per_day"),
        ),
    )


@router.get("/suppressions")
def rules(request: Request, visit: Reader) -> Response:
    """Show the rules that touch what this person may see."""
    with visit.console.store.reading() as db:
        viewer, names = visit.viewer, names_for(visit.console, db, visit.person)
        told = [
            {**rule, "staff": rule["user_id"] and names.staff(rule["user_id"])}
            for rule in suppressions.listed(db, viewer)
        ]
        n_hidden = count_alerts(db, viewer.filter(is_hidden=True))
    return page(request, "suppressions.html", visit, rules=told, n_hidden=n_hidden)


@router.post("/suppressions/{number}/end")
def end_rule(visit: Suppressor, number: int) -> Response:
    """End a rule; what arrives from now on is shown again."""
    alert_changes.end_suppression(visit, number)
    return RedirectResponse("/suppressions", 303)


@router.get("/identities")
def requests(request: Request, visit: OwnAccount) -> Response:
    """Show requests to see identities, to those who may ask or decide."""
    return _identities(request, visit)


def _identities(request: Request, visit: Visit, problem: str | None = None) -> Response:
    decides = visit.person.may(Right.DECIDE_UNMASK)
    if not (decides or visit.person.may(Right.ASK_UNMASK)):
        raise ForbiddenError(Right.ASK_UNMASK.value)
    viewer, mine = visit.viewer, visit.person.login
    with visit.console.store.reading() as db:
        told = [
            {
                **asked,
                "is_over": asked["expires_ms"] <= viewer.now_ms,
                "may_decide": decides and asked["asked_by"] != mine,
            }
            for asked in unmasking.listed(db, viewer)
            if decides or asked["asked_by"] == mine
        ]
    status = 200 if problem is None else 422
    return page(request, "identities.html", visit, status=status, requests=told, problem=problem)


@router.post("/identities/{number}")
def decide(
    request: Request, visit: UnmaskDecider, number: int, granted: Annotated[str, Form(max_length=3)]
) -> Response:
    """Grant or refuse; nobody decides their own request."""
    try:
        alert_changes.decide_unmask(visit, number, granted=granted == "yes")
    except RefusedError as error:
        return _identities(request, visit, words_for(request, visit)(f"problem.{error.code}"))
    return RedirectResponse("/identities", 303)
