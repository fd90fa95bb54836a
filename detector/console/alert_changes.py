"""Acts on one alert, each saved together with its entry in the journal; pages and API call them."""

from __future__ import annotations

from typing import Any

from detector.console import questions, suppressions, triage_actions, unmasking
from detector.console.access import Visit
from detector.console.finding import found
from detector.console.suppressions import Scope
from detector.console.triage_actions import Change, Seen


def save_change(visit: Visit, alert_id: str, row_version: int, wanted: Change) -> dict[str, Any]:
    """Change status, assignee or verdict.

    Raises:
        NoSuchAlertError, ConflictError, RefusedError: nothing is saved.
    """
    console, login = visit.console, visit.person.login
    with console.store.writing() as db:
        seen = Seen(found(db, visit, alert_id), row_version, login, console.clock_ms())
        told = triage_actions.apply(db, seen, wanted)
        entry = console.note(db, login, "alert.triage", alert_id, **told)
    console.anchor(entry)
    return told


def save_comment(visit: Visit, alert_id: str, text: str) -> list[str]:
    """Add a comment; returns whom it mentions.

    Raises:
        NoSuchAlertError, RefusedError: nothing is saved.
    """
    console, login = visit.console, visit.person.login
    with console.store.writing() as db:
        found(db, visit, alert_id)
        mentions = triage_actions.say(db, alert_id, login, text, console.clock_ms())
        entry = console.note(db, login, "alert.comment", alert_id, mentions=mentions)
    console.anchor(entry)
    return mentions


def save_question(visit: Visit, alert_id: str, question: str) -> str:
    """Ask the employee; returns the secret of the link.

    Raises:
        NoSuchAlertError, RefusedError: nothing is saved.
    """
    console, login = visit.console, visit.person.login
    with console.store.writing() as db:
        found(db, visit, alert_id)
        secret = questions.ask(db, visit.viewer, alert_id, question)
        entry = console.note(db, login, "alert.ask", alert_id)
    console.anchor(entry)
    return secret


def save_suppression(
    visit: Visit, alert_id: str, scope: Scope, reason: str, days: int
) -> dict[str, Any]:
    """Hide what is like an alert for some days; returns the rule.

    Raises:
        NoSuchAlertError, RefusedError: nothing is saved.
    """
    console, login = visit.console, visit.person.login
    with console.store.writing() as db:
        found(db, visit, alert_id)
        told = suppressions.save(db, visit.viewer, scope, reason, days)
        if told["user_id"] is not None:
            told["user_id"] = console.pseudonyms.staff(told["user_id"])
        entry = console.note(db, login, "suppression.save", alert_id, **told)
    console.anchor(entry)
    return told


def end_suppression(visit: Visit, number: int) -> bool:
    """End a rule; False if it is over already, or not this person's to end."""
    console, login = visit.console, visit.person.login
    with console.store.writing() as db:
        ended = suppressions.end(db, visit.viewer, number)
        if ended:
            console.note(db, login, "suppression.end", str(number))
    return ended


def ask_unmask(visit: Visit, alert_id: str, reason: str) -> int:
    """Ask a second person to let this one see who an alert is about.

    Raises:
        NoSuchAlertError, RefusedError: nothing is saved.
    """
    console, login = visit.console, visit.person.login
    with console.store.writing() as db:
        alert = found(db, visit, alert_id)
        staff = console.pseudonyms.staff(alert.fields["user_id"])
        number = unmasking.ask(db, visit.viewer, alert_id, staff, reason)
        entry = console.note(db, login, "identity.ask", staff, number=number, alert=alert_id)
    console.anchor(entry)
    return number


def decide_unmask(visit: Visit, number: int, *, granted: bool) -> None:
    """Grant or refuse somebody else's request.

    Raises:
        RefusedError: it cannot be decided by this person.
    """
    console, login = visit.console, visit.person.login
    lasts_ms = int(console.settings.unmask_lasts.total_seconds() * 1000)
    with console.store.writing() as db:
        asked = unmasking.decide(db, visit.viewer, number, granted=granted, lasts_ms=lasts_ms)
        told = {"number": number, "asked_by": asked["asked_by"], "granted": granted}
        entry = console.note(db, login, "identity.decide", asked["pseudonym"], **told)
    console.anchor(entry)
