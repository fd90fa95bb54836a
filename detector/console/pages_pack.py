"""The evidence pack: one file that holds an alert, how it was handled, and what proves it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from threading import BoundedSemaphore
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from markupsafe import Markup

from detector.console import alert_view, journal
from detector.console.access import Exporter, Visit
from detector.console.api import TooManyCallsError
from detector.console.finding import found
from detector.console.journal_chain import Entry
from detector.console.pages_alert import sample_events, sentences
from detector.console.people import LANGUAGES
from detector.console.release import VERSION
from detector.console.rendering import page, title_of, zone_of
from detector.console.service import names_for
from detector.console.texts import LANGUAGE_TAGS, Words
from detector.console.triage_actions import RefusedError
from detector.store.alert_queries import AlertView

router = APIRouter(prefix="/alerts/{alert_id}", include_in_schema=False)
_DRAWING = BoundedSemaphore(2)  # a drawing is two seconds of a core: the others' pages go first
_WAIT_S = 20


@dataclass(frozen=True, slots=True)
class Pack:
    """What a pack shows, in which words, and the journal's entry that it was made."""

    values: dict[str, Any]
    words: Words
    entry: Entry


@router.get("/pack")
def pack(request: Request, visit: Exporter, alert_id: str, language: str = "") -> Response:
    """Return the pack as one HTML file without any link outside; a browser prints it."""
    made = _made(visit, alert_id, language)
    css = resources.files("detector.console").joinpath("static/console.css").read_text("utf-8")
    answer = page(
        request,
        "pack.html",
        visit,
        words=made.words,
        css=Markup(css),  # noqa: S704  our own file
        **made.values,
    )
    return _as_file(answer, alert_id, "html")


@router.get("/pack.pdf")
def pack_as_pdf(visit: Exporter, alert_id: str, language: str = "") -> Response:
    """Return the pack as PDF.

    Raises:
        RefusedError: the console has no font for it.
        TooManyCallsError: others are being drawn for a long time already.
    """
    from detector.console import pack_pdf
    from detector.console.pdf import Paper, pdf_of

    console = visit.console
    if console.pdf_font is None:
        raise RefusedError("no_pdf_font")
    made = _made(visit, alert_id, language)
    t = made.words
    foot = f"{t('pack.title')} {alert_id[:12]} · #{made.entry.number}"
    paper = Paper(console.pdf_font, foot, LANGUAGE_TAGS[t.language], made.entry.at_ms)
    blocks = pack_pdf.blocks(
        made.values, t, lambda name: title_of(console.policy, name, t.language)
    )
    if not _DRAWING.acquire(timeout=_WAIT_S):
        raise TooManyCallsError(_WAIT_S)
    try:
        content = pdf_of(blocks, paper)
    finally:
        _DRAWING.release()
    return _as_file(Response(content, media_type="application/pdf"), alert_id, "pdf")


def _as_file(answer: Response, alert_id: str, kind: str) -> Response:
    answer.headers["Content-Disposition"] = f'attachment; filename="alert-{alert_id[:12]}.{kind}"'
    return answer


def _made(visit: Visit, alert_id: str, language: str) -> Pack:
    """Gather a pack; that it was made is an entry in the journal, which it shows itself."""
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
    return Pack(values, t, entry)


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
