"""The evidence pack: one file that holds an alert, how it was handled, and what proves it."""

from __future__ import annotations

from importlib import resources
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from markupsafe import Markup

from detector.console import alert_view, journal
from detector.console.access import Exporter
from detector.console.finding import found
from detector.console.journal_chain import Entry
from detector.console.pages_alert import sample_events, sentences
from detector.console.people import LANGUAGES
from detector.console.release import VERSION
from detector.console.rendering import page, zone_of
from detector.console.service import names_for
from detector.console.texts import Words
from detector.store.alert_queries import AlertView

router = APIRouter(prefix="/alerts/{alert_id}", include_in_schema=False)


@router.get("/pack")
def pack(request: Request, visit: Exporter, alert_id: str, language: str = "") -> Response:
    """Return the pack as one HTML file without any link outside; a browser prints it."""
    console = visit.console
    with console.store.writing() as db:
        alert = found(db, visit, alert_id)
        entry = console.note(db, visit.person.login, "alert.pack", alert_id)
    console.anchor(entry)
    chosen = language if language in LANGUAGES else visit.person.language
    t, fields = Words(chosen, zone_of(console.policy)), alert.fields
    with console.store.reading() as db:
        names = names_for(console, db, visit.person)
        values: dict[str, Any] = {
            "alert": fields,
            "sentences": sentences(fields, chosen),
            "comparisons": alert_view.comparisons(fields, t),
            "contributions": alert_view.contributions(fields),
            "versions": alert_view.versions(alert),
            "events": sample_events(db, visit, fields, names),
            "comments": alert.comments,
            "verdicts": alert.verdicts,
            "questions": alert.justifications,
            "history": journal.about(db, alert_id),
            "facts": _facts(alert, names.staff(fields["user_id"]), t),
            "proof": _proof(fields, entry, t),
        }
    css = resources.files("detector.console").joinpath("static/console.css").read_text("utf-8")
    answer = page(request, "pack.html", visit, words=t, css=Markup(css), **values)  # noqa: S704  our own file
    answer.headers["Content-Disposition"] = f'attachment; filename="alert-{alert_id[:12]}.html"'
    return answer


def _facts(alert: AlertView, staff: str, t: Words) -> list[tuple[str, str]]:
    fields, triage = alert.fields, alert.triage
    return [
        (t("column.alert"), fields["alert_id"]),
        (t("column.staff"), staff),
        (t("column.role"), t.of("job", fields["user_role"])),
        (t("column.branch"), fields["user_branch"] or "–"),
        (t("column.time"), f"{fields['first_event_time']} – {fields['last_event_time']}"),
        *((t(f"figure.{name}"), t.number(fields[name])) for name in _FIGURES),
        (t("column.status"), t.of("status", triage["status"])),
        (t("column.verdict"), t.of("verdict", triage["verdict"])),
        (t("triage.reason"), alert_view.last_reason(alert) or "–"),
    ]


_FIGURES = ("n_events", "n_records", "n_customers")


def _proof(fields: dict[str, Any], entry: Entry, t: Words) -> list[tuple[str, str]]:
    return [
        (t("alert.policy"), fields["policy_digest"]),
        (t("alert.artifact"), fields["artifact_digest"]),
        (t("pack.chain_number"), str(entry.number)),
        (t("pack.chain_digest"), entry.digest),
        (t("pack.made_by"), f"detector {VERSION}, {t.moment(entry.at_ms)}"),
    ]
