"""The evidence pack: one file that holds an alert, how it was handled, and what proves it."""

from __future__ import annotations

from importlib import resources
from typing import Any

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import Response
from markupsafe import Markup
from sqlalchemy import Connection, Row, select

from detector import __version__
from detector.console import alert_view, triage_actions
from detector.console.access import Exporter
from detector.console.journal_chain import Entry
from detector.console.pages_alert import found, sample_events, sentences
from detector.console.people import LANGUAGES
from detector.console.rendering import page, zone_of
from detector.console.service import names_for
from detector.console.tables import journal
from detector.console.texts import Words

router = APIRouter(prefix="/alerts/{alert_id}", include_in_schema=False)


@router.get("/pack")
def pack(request: Request, visit: Exporter, alert_id: str, language: str = "") -> Response:
    """Return the pack as one HTML file without any link outside; a browser prints it."""
    console = visit.console
    with console.database.write() as connection:
        found(connection, visit, alert_id)
        entry = console.note(connection, visit.person.login, "alert.pack", alert_id)
    console.anchor(entry)
    chosen = language if language in LANGUAGES else visit.person.language
    t = Words(chosen, zone_of(console.policy))
    with console.database.read() as connection:
        row = found(connection, visit, alert_id)
        names = names_for(console, connection, visit.person)
        content = orjson.loads(row.content)
        values: dict[str, Any] = {
            "row": row,
            "content": content,
            "sentences": sentences(content, chosen),
            "comparisons": alert_view.comparisons(content, t),
            "contributions": alert_view.contributions(content, t),
            "versions": alert_view.versions(connection, alert_id),
            "events": sample_events(connection, row, content, names),
            "comments": triage_actions.comments(connection, alert_id),
            "history": _history(connection, alert_id),
            "facts": _facts(row, content, names.staff(row.user_id), t),
            "proof": _proof(content, entry, t),
        }
    css = resources.files("detector.console").joinpath("static/console.css").read_text("utf-8")
    answer = page(request, "pack.html", visit, words=t, css=Markup(css), **values)  # noqa: S704  our own file
    answer.headers["Content-Disposition"] = f'attachment; filename="alert-{row.alert_id[:12]}.html"'
    return answer


def _history(connection: Connection, alert_id: str) -> list[Row[Any]]:
    query = select(journal).where(journal.c.subject == alert_id).order_by(journal.c.number)
    return list(connection.execute(query))


def _facts(row: Row[Any], content: dict[str, Any], staff: str, t: Words) -> list[tuple[str, str]]:
    return [
        (t("column.alert"), row.alert_id),
        (t("column.staff"), staff),
        (t("column.role"), t.of("job", row.user_role)),
        (t("column.branch"), row.user_branch or "–"),
        (t("column.time"), f"{content['first_event_time']} – {content['last_event_time']}"),
        (t("figure.n_events"), t.number(row.n_events)),
        (t("figure.n_records"), t.number(row.n_records)),
        (t("figure.n_customers"), t.number(row.n_customers)),
        (t("column.status"), t.of("status", row.status)),
        (t("column.verdict"), t.of("verdict", row.verdict)),
        (t("triage.reason"), row.verdict_reason or "–"),
    ]


def _proof(content: dict[str, Any], entry: Entry, t: Words) -> list[tuple[str, str]]:
    return [
        (t("alert.policy"), content["policy_digest"]),
        (t("alert.artifact"), content["artifact_digest"]),
        (t("pack.chain_number"), str(entry.number)),
        (t("pack.chain_digest"), entry.digest),
        (t("pack.made_by"), f"detector {__version__}, {t.moment(entry.at_ms)}"),
    ]
