"""One alert: why, against what, what to do; and what people have done."""

from __future__ import annotations

import re
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import Connection, Row, select

from detector.console import (
    alert_queries,
    alert_view,
    charts,
    events_behind,
    questions,
    suppressions,
    triage_actions,
    unmasking,
)
from detector.console.access import Reader, SentForm, Suppressor, Triager, UnmaskAsker, Visit
from detector.console.alert_queries import STATUSES, VERDICTS
from detector.console.rendering import page, words_for
from detector.console.roles import Right, Role, may
from detector.console.service import Names, names_for
from detector.console.suppressions import Scope
from detector.console.tables import account, unmask
from detector.console.texts import Words
from detector.console.triage_actions import Change, ConflictError, RefusedError, Seen
from detector.errors import DetectorError

router = APIRouter(prefix="/alerts/{alert_id}", include_in_schema=False)
_SENTENCE = {"en": re.compile(r"(?<=\.) (?=[A-Z])"), "zh": re.compile(r"(?<=。)")}
_SUPPRESS_BELOW = 6.0
Reason = Annotated[str, Form(max_length=triage_actions.MAX_TEXT_LETTERS)]


class NoSuchAlertError(DetectorError):
    """There is none, or none this person may see: the same answer for both."""


def found(connection: Connection, visit: Visit, alert_id: str) -> Row[Any]:
    """Return an alert.

    Raises:
        NoSuchAlertError: there is none, or it is of another branch.
    """
    row = alert_queries.one(connection, visit.viewer, alert_id)
    if row is None:
        raise NoSuchAlertError(alert_id)
    return row


def sentences(content: dict[str, Any], language: str) -> list[str]:
    """Return the explanation sentence by sentence."""
    return [part for part in _SENTENCE[language].split(content["explanation"][language]) if part]


def sample_events(connection: Connection, row: Row[Any], content: dict[str, Any], names: Names) -> list[dict[str, Any]]:
    """Return the stored events among an alert's samples."""
    events = events_behind.by_ids(connection, row.user_id, content["event_ids"])
    return [
        {
            **event._mapping,
            "customer": names.customer(event.customer_id),
            "clock": f"{event.quarter // 4:02d}:{event.time_ms // 60_000 % 60:02d}",
        }
        for event in events
    ]


@router.get("")
def show(request: Request, visit: Reader, alert_id: str) -> Response:
    """Show an alert; that it was looked at goes into the journal."""
    console, t = visit.console, words_for(request, visit)
    with console.database.write() as connection:
        row = found(connection, visit, alert_id)
        if visit.person.may(Right.TRIAGE):
            triage_actions.look(connection, alert_id, console.clock_ms())
        entry = console.note(connection, visit.person.login, "alert.look", alert_id)
    console.anchor(entry)
    with console.database.read() as connection:
        names = names_for(console, connection, visit.person)
        values = _shown(connection, visit, row, names, t) | _panel(connection, visit, row, names)
    return page(request, "alert.html", visit, **values)


def _shown(connection: Connection, visit: Visit, row: Row[Any], names: Names, t: Words) -> dict[str, Any]:
    content = orjson.loads(row.content)
    other = "en" if t.language == "zh" else "zh"
    heat = events_behind.hours_of_days(connection, row.user_id, row.day)
    has_heat = any(sum(counts) for _, counts, _ in heat)
    policy = visit.console.policy
    similar = alert_view.similar(connection, visit.viewer, row)
    return {
        "content": content,
        "sentences": sentences(content, t.language),
        "other_sentence": content["explanation"][other],
        "comparisons": alert_view.comparisons(content, t),
        "contributions": alert_view.contributions(content, t),
        "quiet_if": alert_view.quiet_if(content, t),
        "versions": alert_view.versions(connection, row.alert_id),
        "similar": [{**s._mapping, "staff": names.staff(s.user_id)} for s in similar],
        "events": sample_events(connection, row, content, names),
        "events_stored": events_behind.are_stored(connection),
        "heat": has_heat and charts.hours_of_days(heat, t("alert.hours_label"), t("alert.hours_cell")),
        "heat_days": [day for day, _, _ in heat],
        "runbooks": [
            (name, {key: texts[t.language] for key, texts in policy.detectors[name].texts.items()})
            for name in content["detectors"]
            if name in policy.detectors
        ],
    }


def _panel(
    connection: Connection, visit: Visit, row: Row[Any], names: Names, **said: Any
) -> dict[str, Any]:
    """Return what the side of the page shows: triage, talk, questions, suppression, identity."""
    mine = (unmask.c.asked_by == visit.person.login, unmask.c.user_id == row.user_id)
    waits = select(unmask.c.number).where(*mine, unmask.c.decided_ms.is_(None))
    rules = suppressions.for_person(connection, row.user_id, visit.viewer.now_ms)
    return {
        "row": row,
        "staff": names.staff(row.user_id),
        "ref": names.pseudonyms.staff(row.user_id),
        "known": names.knows(row.user_id),
        "statuses": STATUSES,
        "verdicts": VERDICTS,
        "colleagues": _colleagues(connection, row),
        "comments": triage_actions.comments(connection, row.alert_id),
        "questions": questions.of_alert(connection, row.alert_id),
        "rules": [rule for rule in rules if rule.detector in {None, row.detector}],
        "below": _SUPPRESS_BELOW,
        "unmask_waits": connection.execute(waits).first() is not None,
        "preview": None,
        "problem": None,
        "done": None,
        "link": None,
        **said,
    }


def _colleagues(connection: Connection, row: Row[Any]) -> list[tuple[str, str]]:
    """Return the people an alert can be given to: who may triage, and sees its branch."""
    people = connection.execute(select(account).where(account.c.active).order_by(account.c.name))
    return [
        (person.login, person.name)
        for person in people
        if may(Role(person.role), Right.TRIAGE)
        and (person.branches is None or row.user_branch in person.branches)
    ]


def panel(request: Request, visit: Visit, alert_id: str, status: int = 200, **said: Any) -> Response:
    """Return the side of the page after a change; without htmx, the whole page again."""
    if request.headers.get("hx-request") != "true" and status == 200 and "link" not in said:
        return RedirectResponse(f"/alerts/{alert_id}", 303)
    with visit.console.database.read() as connection:
        row = found(connection, visit, alert_id)
        names = names_for(visit.console, connection, visit.person)
        values = _panel(connection, visit, row, names, **said)
        if request.headers.get("hx-request") != "true":
            values |= _shown(connection, visit, row, names, words_for(request, visit))
            return page(request, "alert.html", visit, status=status, **values)
    return page(request, "triage.html", visit, status=status, **values)


@router.post("/triage")
def change(
    request: Request,
    visit: Triager,
    alert_id: str,
    revision: Annotated[int, Form(ge=0)],
    status: Annotated[str | None, Form(max_length=20)] = None,
    assignee: Annotated[str, Form(max_length=120)] = "",
    verdict: Annotated[str | None, Form(max_length=20)] = None,
    reason: Reason = "",
    do: Annotated[str, Form(max_length=20)] = "",
) -> Response:
    """Change status, assignee or verdict; a change on an old revision is refused and told."""
    t = words_for(request, visit)
    wanted = {
        "assign": Change(assignee=assignee),
        "take": Change(assignee=visit.person.login),
        "judge": Change(verdict=verdict or "none", reason=reason),
        "reopen": Change(verdict=""),
    }.get(do, Change(status=status))
    try:
        save_change(visit, alert_id, revision, wanted)
    except ConflictError:
        return panel(request, visit, alert_id, 409, problem=t("problem.conflict"))
    except RefusedError as error:
        return panel(request, visit, alert_id, 422, problem=t(f"problem.{error.code}"))
    return panel(request, visit, alert_id, done=t("triage.saved"))


def save_change(visit: Visit, alert_id: str, revision: int, wanted: Change) -> dict[str, Any]:
    """Save a change and its entry in the journal together.

    Raises:
        NoSuchAlertError, ConflictError, RefusedError: nothing is saved.
    """
    console, login = visit.console, visit.person.login
    with console.database.write() as connection:
        row = found(connection, visit, alert_id)
        seen = Seen(row, revision, login, console.clock_ms())
        told = triage_actions.apply(connection, seen, wanted)
        entry = console.note(connection, login, "alert.triage", alert_id, **told)
    console.anchor(entry)
    return told


@router.post("/comments")
def comment(request: Request, visit: Triager, alert_id: str, text: Reason) -> Response:
    """Add a comment."""
    t = words_for(request, visit)
    try:
        save_comment(visit, alert_id, text)
    except RefusedError as error:
        return panel(request, visit, alert_id, 422, problem=t(f"problem.{error.code}"))
    return panel(request, visit, alert_id)


def save_comment(visit: Visit, alert_id: str, text: str) -> list[str]:
    """Save a comment; returns whom it mentions."""
    console, login = visit.console, visit.person.login
    with console.database.write() as connection:
        found(connection, visit, alert_id)
        mentions = triage_actions.say(connection, alert_id, login, text, console.clock_ms())
        entry = console.note(connection, login, "alert.comment", alert_id, mentions=mentions)
    console.anchor(entry)
    return mentions


@router.post("/questions")
def ask(request: Request, visit: Triager, alert_id: str, question: Reason) -> Response:
    """Make a link by which the employee can answer; it is shown once."""
    console, login = visit.console, visit.person.login
    try:
        with console.database.write() as connection:
            found(connection, visit, alert_id)
            secret = questions.ask(connection, visit.viewer, alert_id, question)
            console.note(connection, login, "alert.ask", alert_id)
    except RefusedError as error:
        t = words_for(request, visit)
        return panel(request, visit, alert_id, 422, problem=t(f"problem.{error.code}"))
    base = str(console.settings.public_url or request.base_url).rstrip("/")
    return panel(request, visit, alert_id, link=f"{base}/answer/{secret}")


def scope_of(row: Row[Any], form: Any) -> Scope:
    """Return the scope that the form's ticks mean for an alert."""
    try:
        below = float(form.get("below_score") or _SUPPRESS_BELOW)
    except ValueError:
        raise RefusedError("score_out_of_range") from None
    if not 0 < below <= 40:
        raise RefusedError("score_out_of_range")
    return Scope(
        detector=row.detector if form.get("by_detector") else None,
        user_id=row.user_id if form.get("by_person") else None,
        user_role=row.user_role if form.get("by_role") else None,
        user_branch=row.user_branch if form.get("by_branch") else None,
        below_score=below,
    )


@router.get("/suppressions/preview")
def preview(request: Request, visit: Suppressor, alert_id: str) -> Response:
    """Tell what a suppression would have hidden, before it can be saved."""
    with visit.console.database.read() as connection:
        row = found(connection, visit, alert_id)
        scope = scope_of(row, request.query_params)
        told = suppressions.preview(connection, visit.viewer, scope)
    return page(request, "preview.html", visit, preview=told)


@router.post("/suppressions")
def suppress(request: Request, visit: Suppressor, alert_id: str, form: SentForm) -> Response:
    """Save a suppression."""
    days = str(form.get("days", ""))
    console, login, t = visit.console, visit.person.login, words_for(request, visit)
    try:
        with console.database.write() as connection:
            row = found(connection, visit, alert_id)
            told = suppressions.save(
                connection,
                visit.viewer,
                scope_of(row, form),
                str(form.get("reason", "")),
                int(days) if days.isdigit() else 0,
            )
            told["user_id"] = told["user_id"] and console.pseudonyms.staff(told["user_id"])
            console.note(connection, login, "suppression.save", alert_id, **told)
    except RefusedError as error:
        return panel(request, visit, alert_id, 422, problem=t(f"problem.{error.code}"))
    return RedirectResponse("/suppressions", 303)


@router.post("/unmask")
def ask_unmask(request: Request, visit: UnmaskAsker, alert_id: str, reason: Reason) -> Response:
    """Ask a second person to let this one see who it is."""
    console, login, t = visit.console, visit.person.login, words_for(request, visit)
    try:
        with console.database.write() as connection:
            row = found(connection, visit, alert_id)
            number = unmasking.ask(connection, visit.viewer, row, reason)
            staff = console.pseudonyms.staff(row.user_id)
            console.note(connection, login, "identity.ask", staff, number=number, alert=alert_id)
    except RefusedError as error:
        return panel(request, visit, alert_id, 422, problem=t(f"problem.{error.code}"))
    return panel(request, visit, alert_id, done=t("identity.sent"))
