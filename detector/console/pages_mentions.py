"""The comments that name whoever asks."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from detector.console import mentions
from detector.console.access import Reader
from detector.console.rendering import page
from detector.console.service import names_for

router = APIRouter(include_in_schema=False)


@router.get("/mentions")
def mine(request: Request, visit: Reader) -> Response:
    """Show them, the unseen ones marked; then they are seen."""
    console, viewer = visit.console, visit.viewer
    with console.store.reading() as db:
        names = names_for(console, db, visit.person)
        rows = mentions.listed(db, viewer)
    unseen = [row["number"] for row in rows if row["seen_ms"] is None]
    if unseen:
        with console.store.writing() as db:
            mentions.see(db, viewer, unseen)
    shown = [{**row, "staff": names.staff(row["user_id"])} for row in rows]
    return page(request, "mentions.html", visit, mentions=shown)
