"""Employees, the whole bank, rules in force, and who may see whom."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import Connection, select

from detector.console import (
    alert_queries,
    charts,
    employee_view,
    events_behind,
    overview_view,
    queue_query,
    suppressions,
    unmasking,
)
from detector.console.access import ForbiddenError, OwnAccount, Reader, Suppressor, UnmaskDecider, Visit
from detector.console.alert_queries import VERDICTS, Filters
from detector.console.pages_alert import NoSuchAlertError
from detector.console.rendering import page, words_for
from detector.console.roles import Right
from detector.console.service import names_for
from detector.console.tables import alert
from detector.console.texts import Words
from detector.console.triage_actions import RefusedError

router = APIRouter(include_in_schema=False)


@router.get("/employees/{ref}")
def employee(request: Request, visit: Reader, ref: str) -> Response:
    """Show a person by pseudonym, so that no address ever holds an id."""
    console, t = visit.console, words_for(request, visit)
    with console.database.read() as connection:
        user_id = queue_query.person_behind(connection, console.pseudonyms, visit.viewer, ref)
        if user_id is None:
            raise NoSuchAlertError(ref)
        names = names_for(console, connection, visit.person)
        alerts = employee_view.alerts_of(connection, visit.viewer, user_id)
        today = alert_queries.newest_day(connection, visit.viewer) or alerts[0].day
        values = _behind(connection, user_id, alerts[0], today, t)
    console.noted(visit.person.login, "employee.look", console.pseudonyms.staff(user_id))
    risk = employee_view.risk_of(alerts, today)
    highest = max((part.points for part in risk.parts), default=1.0)
    return page(
        request,
        "employee.html",
        visit,
        staff=names.staff(user_id),
        role=alerts[0].user_role,
        branch=alerts[0].user_branch,
        alerts=alerts,
        risk=risk,
        half_life=int(employee_view.HALF_LIFE_DAYS),
        parts=[(part, charts.bar(part.points / highest, "fired", "")) for part in risk.parts[:12]],
        trend=charts.trend(risk.trend, t("employee.trend_label", points=t.score(risk.points))),
        **values,
    )


def _behind(
    connection: Connection, user_id: str, newest: Any, today: str, t: Words
) -> dict[str, Any]:
    """Return what is known beyond alerts: from stored events, else from the newest alert."""
    if not events_behind.are_stored(connection):
        line = select(alert.c.content).where(alert.c.arrival == newest.arrival)
        evidence = orjson.loads(connection.execute(line).scalar_one())["evidence"]
        told = events_behind.Ledger(30, evidence.get("n_customers_30d", 0), evidence.get("n_records_30d"), None, None, None)
        return {"ledgers": [told], "hours": None, "branches": []}
    hours = events_behind.hours_before(connection, user_id, today)
    titles = [f"{hour:02d}:00 · {t.number(n)}" for hour, n in enumerate(hours)]
    return {
        "ledgers": [
            events_behind.ledger(connection, user_id, newest.user_role, today, days)
            for days in (30, 90)
        ],
        "hours": charts.columns(hours, titles, t("employee.hours")),
        "branches": events_behind.branches_of(connection, user_id, today),
    }


@router.get("/overview")
def overview(request: Request, visit: Reader) -> Response:
    """Show the last 30 days."""
    t = words_for(request, visit)
    with visit.console.database.read() as connection:
        found = overview_view.overview(connection, visit.viewer)
    return page(
        request,
        "overview.html",
        visit,
        o=found,
        days=overview_view.DAYS,
        verdicts=VERDICTS,
        level=charts.level,
        highest=max((n for _, counts in found.by_branch for n in counts), default=1) or 1,
        stacks=charts.stacks(found.days, found.detectors, t("overview.per_day")),
    )


@router.get("/suppressions")
def rules(request: Request, visit: Reader) -> Response:
    """Show the rules that touch what this person may see."""
    with visit.console.database.read() as connection:
        viewer = visit.viewer
        names = names_for(visit.console, connection, visit.person)
        found = [
            {
                **rule._mapping,
                "staff": rule.user_id and names.staff(rule.user_id),
                "in_force": rule.ended_ms is None and rule.expires_ms > viewer.now_ms,
            }
            for rule in suppressions.listed(connection, viewer)
        ]
        n_hidden = alert_queries.count(connection, viewer, Filters(view="suppressed"))
    return page(request, "suppressions.html", visit, rules=found, n_hidden=n_hidden)


@router.post("/suppressions/{number}/end")
def end_rule(visit: Suppressor, number: int) -> Response:
    """End a rule; what it hid comes back."""
    with visit.console.database.write() as connection:
        if suppressions.end(connection, visit.viewer, number):
            login = visit.person.login
            visit.console.note(connection, login, "suppression.end", str(number))
    return RedirectResponse("/suppressions", 303)


@router.get("/identities")
def requests(request: Request, visit: OwnAccount) -> Response:
    """Show requests to see identities, to those who may ask or decide."""
    return _identities(request, visit)


def _identities(request: Request, visit: Visit, problem: str | None = None) -> Response:
    if not (visit.person.may(Right.ASK_UNMASK) or visit.person.may(Right.DECIDE_UNMASK)):
        raise ForbiddenError(Right.ASK_UNMASK.value)
    decides = visit.person.may(Right.DECIDE_UNMASK)
    with visit.console.database.read() as connection:
        names = names_for(visit.console, connection, visit.person)
        found = [
            {
                **asked._mapping,
                "staff": names.staff(asked.user_id),
                "may_decide": decides and asked.asked_by != visit.person.login,
            }
            for asked in unmasking.listed(connection, visit.viewer)
            if decides or asked.asked_by == visit.person.login
        ]
    status = 200 if problem is None else 422
    return page(request, "identities.html", visit, status=status, requests=found, problem=problem)


@router.post("/identities/{number}")
def decide(
    request: Request, visit: UnmaskDecider, number: int, granted: Annotated[str, Form(max_length=3)]
) -> Response:
    """Grant or refuse; nobody decides their own request."""
    try:
        decide_unmask(visit, number, granted=granted == "yes")
    except RefusedError as error:
        return _identities(request, visit, words_for(request, visit)(f"problem.{error.code}"))
    return RedirectResponse("/identities", 303)


def decide_unmask(visit: Visit, number: int, *, granted: bool) -> None:
    """Save a decision and its entry in the journal together.

    Raises:
        RefusedError: it cannot be decided by this person.
    """
    console, login = visit.console, visit.person.login
    lasts_ms = int(console.settings.unmask_lasts.total_seconds() * 1000)
    with console.database.write() as connection:
        asked = unmasking.decide(
            connection, visit.viewer, number, granted=granted, lasts_ms=lasts_ms
        )
        staff = console.pseudonyms.staff(asked.user_id)
        told = {"number": number, "asked_by": asked.asked_by, "granted": granted}
        entry = console.note(connection, login, "identity.decide", staff, **told)
    console.anchor(entry)
