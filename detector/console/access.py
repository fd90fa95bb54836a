"""Who asks, and whether they may: every route names the right it needs.

Pages are asked with a session cookie or by a trusted proxy, the API with a token as well. Whoever
changes something with a cookie must also know the session's CSRF token.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.params import Depends as Dependency
from starlette.datastructures import FormData

from detector.console import people
from detector.console.people import Person
from detector.console.proxy import person_of_proxy
from detector.console.roles import Right
from detector.console.service import Console
from detector.console.viewing import Viewer
from detector.errors import DetectorError

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_FIELD, CSRF_HEADER = "csrf", "x-csrf-token"


class NotSignedInError(DetectorError):
    """Nobody, or nobody any more."""


class ForbiddenError(DetectorError):
    """Somebody who may not do this."""


class ForgedError(DetectorError):
    """A change without the token that our own pages carry."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One request by somebody known. ``secret`` is the session's, "" without one."""

    console: Console
    person: Person
    secret: str
    way: str

    @property
    def csrf(self) -> str:
        """Return the token that this session's forms carry."""
        return csrf_token(self.console, self.secret or f"proxy:{self.person.login}")

    @property
    def viewer(self) -> Viewer:
        """Return for whom alerts are looked up."""
        return self.console.viewer(self.person)


def csrf_token(console: Console, secret: str) -> str:
    """Return what only pages made for this session can know."""
    key = console.settings.session_key.get_secret_value().encode()
    return hmac.new(key, b"csrf\x1f" + secret.encode(), hashlib.sha256).hexdigest()


def cookie_name(console: Console) -> str:
    """Return the session cookie's name; ``__Host-`` binds it to this host and to TLS."""
    return "__Host-detector" if console.settings.secure_cookies else "detector"


def console_of(request: Request) -> Console:
    """Return the console this process serves."""
    console: Console = request.app.state.console
    return console


def address_of(request: Request) -> str:
    """Return where a request comes from; what a trusted proxy says about it is believed."""
    direct = request.client.host if request.client is not None else "unknown"
    if not console_of(request).settings.trusts(direct):
        return direct
    told = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    return told or direct


def recognised(request: Request) -> Visit:
    """Find out who asks.

    Raises:
        NotSignedInError: nobody we know.
    """
    console = console_of(request)
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return _by_token(console, secret.strip())
    if console.settings.proxy.roles:
        return _by_proxy(console, request)
    return _by_session(console, request.cookies.get(cookie_name(console), ""))


def _by_token(console: Console, secret: str) -> Visit:
    with console.store.reading() as db:
        person = people.find_token(db, secret, console.clock_ms())
    if person is None:
        raise NotSignedInError("no such token")
    return Visit(console, person, "", "token")


def _by_proxy(console: Console, request: Request) -> Visit:
    person = person_of_proxy(console, request)
    if person is None:
        raise NotSignedInError("not named by a trusted proxy")
    return Visit(console, person, "", "proxy")


def _by_session(console: Console, secret: str) -> Visit:
    now = console.clock_ms()
    with console.store.reading() as db:
        found = people.find_session(db, secret, console.settings, now) if secret else None
    if found is None:
        raise NotSignedInError("no session")
    person, is_due = found
    if is_due:
        with console.store.writing() as db:
            people.touch_session(db, secret, now)
    return Visit(console, person, secret, "session")


async def unforged(request: Request, visit: Annotated[Visit, Depends(recognised)]) -> Visit:
    """Let a change pass only if it comes from a page of ours, or with a token.

    Raises:
        ForgedError: it does not.
    """
    if request.method in SAFE_METHODS or visit.way == "token":
        return visit
    given: Any = request.headers.get(CSRF_HEADER)
    if given is None and "form" in request.headers.get("content-type", ""):
        given = (await request.form()).get(CSRF_FIELD)
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), visit.csrf.encode()):
        raise ForgedError("no valid CSRF token")
    return visit


async def form_of(request: Request) -> FormData:
    """Return the form of a request, read before the handler's thread begins."""
    return await request.form()


SentForm = Annotated[FormData, Depends(form_of)]


def needs(right: Right) -> Dependency:
    """Return the dependency of a route that needs a right."""

    def checked(visit: Annotated[Visit, Depends(unforged)]) -> Visit:
        if not visit.person.may(right):
            raise ForbiddenError(right.value)
        return visit

    checked.right = right  # type: ignore[attr-defined]  # tests read it
    found: Dependency = Depends(checked)
    return found


def right_of(dependency: Callable[..., Any] | None) -> Right | None:
    """Return the right a dependency asks for."""
    return getattr(dependency, "right", None)


OwnAccount = Annotated[Visit, needs(Right.OWN_ACCOUNT)]
Reader = Annotated[Visit, needs(Right.READ_ALERTS)]
Triager = Annotated[Visit, needs(Right.TRIAGE)]
Suppressor = Annotated[Visit, needs(Right.SUPPRESS)]
Exporter = Annotated[Visit, needs(Right.EXPORT)]
UnmaskAsker = Annotated[Visit, needs(Right.ASK_UNMASK)]
UnmaskDecider = Annotated[Visit, needs(Right.DECIDE_UNMASK)]
JournalReader = Annotated[Visit, needs(Right.READ_JOURNAL)]
AccountKeeper = Annotated[Visit, needs(Right.MANAGE_ACCOUNTS)]
