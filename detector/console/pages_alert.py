"""One alert: why, against what, what to do; and what people have done."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import Connection, select

from detector.console import (
    alert_changes,
    alert_view,
    charts,
    events_behind,
    suppressions,
    triage_actions,
    unmasking,
)
from detector.console.access import Reader, SentForm, Suppressor, Triager, UnmaskAsker, Visit
from detector.console.finding import found
from detector.console.people import person_of
from detector.console.rendering import page, words_for
from detector.console.roles import Right
from detector.console.service import Names, names_for
from detector.console.suppressions import Scope
from detector.console.texts import Words
from detector.console.triage_actions import Change, ConflictError, RefusedError, Seen
from detector.console.viewing import STATUSES, VERDICTS
from detector.store.alert_queries import AlertView, reasons_of, similar
from detector.store.tables import account

router = APIRouter(prefix="/alerts/{alert_id}", include_in_schema=False)
_SENTENCE = {"en": re.compile(r"(?<=\.) (?=[A-Z])"), "zh": re.compile(r"(?<=。)")}
_SUPPRESS_UP_TO = 6.0
_N_SIMILAR = 8
Reason = Annotated[str, Form(max_length=triage_actions.MAX_TEXT_LETTERS)]


def sentences(fields: dict[str, Any], language: str) -> list[str]:
    """Return the explanation sentence by sentence."""
    return [part for part in _SENTENCE[language].split(fields["explanation"][language]) if part]


def sample_events(
    db: Connection, visit: Visit, fields: dict[str, Any], names: Names
) -> list[dict[str, Any]]:
    """Return the stored events among an alert's samples."""
    if not visit.console.has_events:
        return []
    return [
        {
            **event,
            "customer": names.customer(event["customer_id"]),
            "clock": f"{event['quarter'] // 4:02d}:{event['time_ms'] // 60_000 % 60:02d}",
        }
        for event in events_behind.by_ids(db, fields["user_id"], fields["event_ids"])
    ]


@router.get("")
def show(request: Request, visit: Reader, alert_id: str) -> Response:
    """Show an alert; that it was looked at goes into the journal."""
    console, login, t = visit.console, visit.person.login, words_for(request, visit)
    with console.store.writing() as db:
        alert = found(db, visit, alert_id)
        if visit.person.may(Right.TRIAGE):
            triage_actions.look(db, Seen(alert, 0, login, console.clock_ms()))
        entry = console.note(db, login, "alert.look", alert_id)
    console.anchor(entry)
    with console.store.reading() as db:
        names = names_for(console, db, visit.person)
        values = _shown(db, visit, alert, names, t) | _panel(db, visit, alert, names)
    return page(request, "alert.html", visit, **values)


def _shown(
    db: Connection, visit: Visit, alert: AlertView, names: Names, t: Words
) -> dict[str, Any]:
    fields, policy = alert.fields, visit.console.policy
    other = "en" if t.language == "zh" else "zh"
    before = similar(db, fields["alert_id"], visit.person.branches, _N_SIMILAR)
    reasons = reasons_of(db, (s["alert_id"] for s in before))
    return {
        "sentences": sentences(fields, t.language),
        "other_sentence": fields["explanation"][other],
        "comparisons": alert_view.comparisons(fields, t),
        "contributions": alert_view.contributions(fields),
        "quiet_if": alert_view.quiet_if(fields, t),
        "versions": alert_view.versions(alert),
        "similar": [
            {**s, "staff": names.staff(s["user_id"]), "reason": reasons.get(s["alert_id"])}
            for s in before
        ],
        "events": sample_events(db, visit, fields, names),
        "events_stored": visit.console.has_events,
        "has_pdf": visit.console.pdf_font is not None,
        "heat": _heat(db, visit, fields, t),
        "runbooks": [
            (name, {key: text[t.language] for key, text in policy.detectors[name].texts.items()})
            for name in fields["detectors"]
            if name in policy.detectors
        ],
    }


def _heat(db: Connection, visit: Visit, fields: dict[str, Any], t: Words) -> Any:
    """Return (picture, days) of the person's hours in the two weeks up to the alert's day."""
    if not visit.console.has_events:
        return None
    day = date.fromisoformat(fields["time"][:10])
    rows = events_behind.hours_of_days(db, fields["user_id"], day)
    told = [(t.day(when), counts, marked) for when, counts, marked in rows]
    picture = charts.hours_of_days(told, t("alert.hours_label"), t("alert.hours_cell"))
    return picture, [when.isoformat()[5:] for when, _, _ in rows]


def _panel(
    db: Connection, visit: Visit, alert: AlertView, names: Names, **said: Any
) -> dict[str, Any]:
    """Return what the side of the page shows: triage, talk, questions, suppression, identity."""
    fields, viewer = alert.fields, visit.viewer
    ref = names.pseudonyms.staff(fields["user_id"])
    mentions = triage_actions.mentions_of(db, fields["alert_id"])
    return {
        "alert": fields,
        "triage": alert.triage,
        "reason": alert_view.last_reason(alert),
        "judged_version": alert.verdicts[-1]["alert_version"] if alert.verdicts else None,
        "staff": names.staff(fields["user_id"]),
        "ref": ref,
        "known": names.knows(fields["user_id"]),
        "statuses": STATUSES,
        "verdicts": VERDICTS,
        "colleagues": _colleagues(db, fields),
        "comments": [{**c, "mentions": mentions.get(c["number"], [])} for c in alert.comments],
        "questions": alert.justifications,
        "rules": suppressions.covering(db, viewer, fields),
        "hidden_by": alert.suppressions,
        "up_to": _SUPPRESS_UP_TO,
        "unmask_waits": unmasking.waits(db, viewer, ref),
        "preview": None,
        "problem": None,
        "done": None,
        "link": None,
        **said,
    }


def _colleagues(db: Connection, fields: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the people an alert can be given to: who may triage, and sees its branch."""
    let_in = select(account).where(account.c.is_disabled.is_(False))
    rows = db.execute(let_in.order_by(account.c.display_name)).mappings().all()
    people = [person_of(db, row) for row in rows]
    return [
        (person.login, person.name)
        for person in people
        if person.may(Right.TRIAGE)
        and (person.branches is None or fields["user_branch"] in person.branches)
    ]


def panel(request: Request, visit: Visit, alert_id: str, status: int, **said: Any) -> Response:
    """Return the side of the page after a change; without htmx, the whole page again."""
    is_part = request.headers.get("hx-request") == "true"
    if not is_part and status == 200 and "link" not in said:
        return RedirectResponse(f"/alerts/{alert_id}", 303)
    with visit.console.store.reading() as db:
        alert = found(db, visit, alert_id)
        names = names_for(visit.console, db, visit.person)
        values = _panel(db, visit, alert, names, **said)
        if not is_part:
            values |= _shown(db, visit, alert, names, words_for(request, visit))
    name = "triage.html" if is_part else "alert.html"
    return page(request, name, visit, status=status, **values)


def refused(request: Request, visit: Visit, alert_id: str, error: RefusedError) -> Response:
    """Return the side of the page with what is wrong."""
    problem = words_for(request, visit)(f"problem.{error.code}")
    return panel(request, visit, alert_id, 422, problem=problem)


@router.post("/triage")
def change(
    request: Request,
    visit: Triager,
    alert_id: str,
    form: SentForm,
    row_version: Annotated[int, Form(ge=0)],
) -> Response:
    """Change status, assignee or verdict; a change on an old row version is refused and told."""
    t = words_for(request, visit)
    try:
        alert_changes.save_change(visit, alert_id, row_version, _wanted(visit, form))
    except ConflictError:
        return panel(request, visit, alert_id, 409, problem=t("problem.conflict"))
    except RefusedError as error:
        return refused(request, visit, alert_id, error)
    return panel(request, visit, alert_id, 200, done=t("triage.saved"))


def _wanted(visit: Visit, form: SentForm) -> Change:
    """Return the change that the pressed button means."""
    sent = {name: str(value) for name, value in form.items()}
    button = sent.get("do", "")
    if button == "assign":
        return Change(assignee=sent.get("assignee", ""))
    if button == "take":
        return Change(assignee=visit.person.login)
    if button == "judge":
        return Change(verdict=sent.get("verdict", ""), reason=sent.get("reason", ""))
    return Change(status=sent.get("status", ""))


@router.post("/comments")
def comment(request: Request, visit: Triager, alert_id: str, text: Reason) -> Response:
    """Add a comment."""
    try:
        alert_changes.save_comment(visit, alert_id, text)
    except RefusedError as error:
        return refused(request, visit, alert_id, error)
    return panel(request, visit, alert_id, 200)


@router.post("/questions")
def ask(request: Request, visit: Triager, alert_id: str, question: Reason) -> Response:
    """Make a link by which the employee can answer; it is shown once."""
    try:
        secret = alert_changes.save_question(visit, alert_id, question)
    except RefusedError as error:
        return refused(request, visit, alert_id, error)
    base = str(visit.console.settings.public_url or request.base_url).rstrip("/")
    return panel(request, visit, alert_id, 200, link=f"{base}/answer/{secret}")


def scope_of(fields: dict[str, Any], sent: Any) -> Scope:
    """Return the scope that the form's ticks mean for an alert.

    Raises:
        RefusedError: its score is no number from 0 to 40.
    """
    try:
        max_score = float(sent.get("max_score") or _SUPPRESS_UP_TO)
    except ValueError:
        raise RefusedError("score_out_of_range") from None
    if not 0 < max_score <= 40:
        raise RefusedError("score_out_of_range")
    return Scope(
        detector=fields["detector"] if sent.get("by_detector") else None,
        user_id=fields["user_id"] if sent.get("by_person") else None,
        user_role=fields["user_role"] if sent.get("by_role") else None,
        user_branch=fields["user_branch"] if sent.get("by_branch") else None,
        max_score=max_score,
    )


@router.get("/suppressions/preview")
def preview(request: Request, visit: Suppressor, alert_id: str) -> Response:
    """Tell what a suppression would have hidden, before it can be saved."""
    try:
        with visit.console.store.reading() as db:
            scope = scope_of(found(db, visit, alert_id).fields, request.query_params)
            told = suppressions.preview(db, visit.viewer, scope)
    except RefusedError as error:
        return refused(request, visit, alert_id, error)
    return page(request, "preview.html", visit, preview=told)


@router.post("/suppressions")
def suppress(request: Request, visit: Suppressor, alert_id: str, form: SentForm) -> Response:
    """Save a suppression."""
    days, reason = str(form.get("days", "")), str(form.get("reason", ""))
    try:
        with visit.console.store.reading() as db:
            scope = scope_of(found(db, visit, alert_id).fields, form)
        n_days = int(days) if days.isdigit() and len(days) < 5 else 0
        alert_changes.save_suppression(visit, alert_id, scope, reason, n_days)
    except RefusedError as error:
        return refused(request, visit, alert_id, error)
    return RedirectResponse("/suppressions", 303)


@router.post("/unmask")
def ask_unmask(request: Request, visit: UnmaskAsker, alert_id: str, reason: Reason) -> Response:
    """Ask a second person to let this one see who it is."""
    try:
        alert_changes.ask_unmask(visit, alert_id, reason)
    except RefusedError as error:
        return refused(request, visit, alert_id, error)
    done = words_for(request, visit)("identity.sent")
    return panel(request, visit, alert_id, 200, done=done)
