"""Coming in and going out: local accounts, language, and the employee's page behind a link."""

from __future__ import annotations

import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import update

from detector.console import people, questions
from detector.console.access import (
    ForgedError,
    OwnAccount,
    address_of,
    console_of,
    cookie_name,
    csrf_token,
)
from detector.console.attempts import Attempts
from detector.console.people import LANGUAGES
from detector.console.rendering import LANGUAGE_COOKIE, page, words_for
from detector.console.service import Console
from detector.console.triage_actions import MAX_TEXT_LETTERS, RefusedError
from detector.store.tables import account

router = APIRouter(include_in_schema=False)
_DOOR = "detector_door"
_YEAR_S = 31_536_000


def with_door(request: Request, name: str, status: int = 200, **values: Any) -> Response:
    """Return a form for somebody not signed in: a cookie and a field that must agree."""
    console = console_of(request)
    secret = request.cookies.get(_DOOR) or secrets.token_urlsafe(16)
    token = csrf_token(console, f"door:{secret}")
    answer = page(request, name, None, status=status, door_csrf=token, **values)
    secure = console.settings.secure_cookies
    answer.set_cookie(_DOOR, secret, httponly=True, samesite="strict", secure=secure)
    chosen = request.query_params.get("language")
    if chosen in LANGUAGES:
        answer.set_cookie(LANGUAGE_COOKIE, chosen, _YEAR_S, samesite="lax", secure=secure)
    return answer


def check_door(request: Request, token: str) -> None:
    """Refuse a form that was not made for this browser.

    Raises:
        ForgedError: it was not.
    """
    secret = request.cookies.get(_DOOR, "")
    expected = csrf_token(console_of(request), f"door:{secret}")
    if not secret or not secrets.compare_digest(token.encode(), expected.encode()):
        raise ForgedError("the form was not made for this browser")


@router.get("/sign-in")
def door(request: Request, next: str = "/") -> Response:  # noqa: A002  name of the field
    """Show the form."""
    oidc = console_of(request).settings.oidc is not None
    return with_door(request, "sign_in.html", error=None, next=local(next), oidc=oidc)


def local(path: str) -> str:
    """Return a path of ours; anything that leads elsewhere becomes the start.

    >>> local("//elsewhere.example"), local("/alerts/1")
    ('/', '/alerts/1')
    """
    good = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if good else "/"


@router.post("/sign-in")
def sign_in(
    request: Request,
    login: Annotated[str, Form(max_length=120)],
    password: Annotated[str, Form(max_length=200)],
    csrf: Annotated[str, Form(max_length=100)] = "",
    next: Annotated[str, Form(max_length=500)] = "/",  # noqa: A002  name of the field
) -> Response:
    """Let somebody in; too many failures bar login and address for a while."""
    check_door(request, csrf)
    console, now = console_of(request), console_of(request).clock_ms()
    tried = _tried(request, login)
    with console.store.reading() as db:
        barred = any(counts.is_barred(key, now) for counts, key in tried)
        barred = barred or people.is_locked(db, login, now)
        person = None if barred else people.check_password(db, login, password)
    if person is None:
        for counts, key in tried:
            counts.note(key, now)
        return _refused(request, login, barred=barred, to=local(next))
    with console.store.writing() as db:
        secret = people.begin_session(db, person.login, console.settings, now)
        console.note(db, person.login, "session.begin", person.login, way="password")
    to = local(next)
    answer = RedirectResponse(person.home if to == "/" else to, 303)
    set_session(answer, console, secret)
    return answer


def _tried(request: Request, login: str) -> list[tuple[Attempts, str]]:
    """Return where failures are counted: by login, whether it exists or not, and by address."""
    state = request.app.state
    return [(state.logins, login.lower()), (state.addresses, address_of(request))]


def _refused(request: Request, login: str, *, barred: bool, to: str) -> Response:
    console, t = console_of(request), words_for(request, None)
    request.app.state.metrics.sign_ins_refused.inc()
    if not barred:
        with console.store.writing() as db:
            people.note_failure(db, login, console.settings, console.clock_ms())
            # A login that nobody has may be a password typed into the wrong field: not kept.
            who = login if people.exists(db, login) else "?"
            console.note(db, who, "session.refused")
    text = t("sign.barred" if barred else "sign.wrong")
    oidc = console.settings.oidc is not None
    status = 429 if barred else 401
    return with_door(request, "sign_in.html", status, error=text, next=to, oidc=oidc)


def set_session(answer: Response, console: Console, secret: str) -> None:
    """Give the browser its session; no script can read it, no other site can send it along."""
    answer.set_cookie(
        cookie_name(console),
        secret,
        httponly=True,
        samesite="lax",
        secure=console.settings.secure_cookies,
        path="/",
    )


@router.post("/sign-out")
def sign_out(visit: OwnAccount) -> Response:
    """End the session."""
    console = visit.console
    with console.store.writing() as db:
        people.end_session(db, visit.secret)
        console.note(db, visit.person.login, "session.end", visit.person.login)
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(cookie_name(console), path="/", secure=console.settings.secure_cookies)
    return answer


@router.post("/language")
def language(
    visit: OwnAccount,
    language: Annotated[str, Form(max_length=5)],
    back: Annotated[str, Form(max_length=500)] = "/",
) -> Response:
    """Change the language of the account, and go on where one was."""
    if language in LANGUAGES:
        mine = account.c.name == visit.person.login
        with visit.console.store.writing() as db:
            db.execute(update(account).where(mine).values(language=language))
    return RedirectResponse(local(back), 303)


@router.get("/answer/{secret}")
def asked(request: Request, secret: str) -> Response:
    """Show the employee what is asked; the link is the key, nothing else is told."""
    console, t = console_of(request), words_for(request, None)
    with console.store.reading() as db:
        found = questions.find(db, secret, console.clock_ms())
    if found is None:
        values: dict[str, Any] = {"title": t("answer.over"), "text": t("answer.over_text")}
        return page(request, "message.html", None, status=404, **values)
    return with_door(request, "answer.html", asked=found, problem=None)


@router.post("/answer/{secret}")
def answered(
    request: Request,
    secret: str,
    answer: Annotated[str, Form(max_length=MAX_TEXT_LETTERS)] = "",
    csrf: Annotated[str, Form(max_length=100)] = "",
) -> Response:
    """Keep the answer; the first one stands."""
    check_door(request, csrf)
    console, t = console_of(request), words_for(request, None)
    try:
        with console.store.writing() as db:
            kept = questions.answer(db, secret, answer, console.clock_ms())
            if kept is not None:
                console.note(db, "employee", "alert.answer", kept["alert_id"])
    except RefusedError as error:
        with console.store.reading() as db:
            found = questions.find(db, secret, console.clock_ms())
        if found is not None:
            problem = t(f"problem.{error.code}")
            return with_door(request, "answer.html", 422, asked=found, problem=problem)
    return RedirectResponse(f"/answer/{secret}", 303)
