"""Templates → pages: escaped everywhere, in the language of who reads."""

from __future__ import annotations

from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from detector.console.access import Visit, console_of
from detector.console.people import LANGUAGES
from detector.console.roles import Right
from detector.console.texts import LANGUAGE_TAGS, Words
from detector.policy import Policy

LANGUAGE_COOKIE, THEME_COOKIE = "language", "theme"
THEMES = ("auto", "light", "dark")


@cache
def _environment() -> Environment:
    found = Environment(
        loader=PackageLoader("detector.console"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.globals["Right"] = Right
    return found


def zone_of(policy: Policy) -> ZoneInfo:
    """Return the zone in which times of the console are told."""
    return ZoneInfo(policy.clock.default_time_zone)


def words_for(request: Request, visit: Visit | None) -> Words:
    """Return the texts for a request: the account's language, the cookie's, the browser's."""
    zone = zone_of(console_of(request).policy)
    if visit is not None:
        return Words(visit.person.language, zone)
    chosen = request.query_params.get("language") or request.cookies.get(LANGUAGE_COOKIE, "")
    if chosen in LANGUAGES:
        return Words(chosen, zone)
    wishes = request.headers.get("accept-language", "").lower()
    return Words("zh" if wishes.startswith("zh") else "en", zone)


def theme_of(request: Request) -> str:
    """Return the browser's theme; it follows the system where none was chosen."""
    chosen = request.cookies.get(THEME_COOKIE, "")
    return chosen if chosen in THEMES else "auto"


def page(
    request: Request,
    name: str,
    visit: Visit | None,
    *,
    status: int = 200,
    words: Words | None = None,
    **values: Any,
) -> HTMLResponse:
    """Return a page, or a part of one for htmx."""
    words = words or words_for(request, visit)
    policy = console_of(request).policy
    content = (
        _environment()
        .get_template(name)
        .render(
            t=words,
            lang=LANGUAGE_TAGS[words.language],
            visit=visit,
            person=None if visit is None else visit.person,
            theme=theme_of(request),
            nonce=request.state.nonce,
            path=request.url.path,
            title_of=lambda detector: title_of(policy, detector, words.language),
            **values,
        )
    )
    return HTMLResponse(content, status_code=status)


def title_of(policy: Policy, detector: str, language: str) -> str:
    """Return what people call a detector; one that this policy does not know keeps its name."""
    known = policy.detectors.get(detector)
    return detector if known is None else str(known.texts["title"][language])
