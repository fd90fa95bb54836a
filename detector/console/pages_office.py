"""The journal for auditors, accounts for administrators, one's own settings."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, Field
from sqlalchemy import update

from detector.console import journal, people
from detector.console.access import AccountKeeper, JournalReader, OwnAccount, SentForm, Visit
from detector.console.journal_chain import first_break
from detector.console.passwords import is_acceptable
from detector.console.people import LANGUAGES, SCOPES, NewAccount
from detector.console.rendering import THEME_COOKIE, THEMES, page, words_for
from detector.console.roles import Role
from detector.console.triage_actions import RefusedError
from detector.store.tables import account

router = APIRouter(include_in_schema=False)
_ROWS = 100
_DAY_MS = 86_400_000
_YEAR_S = 31_536_000
Short = Annotated[str, Form(max_length=200)]


class JournalQuery(BaseModel):
    """Which entries: those whose columns begin like this, before a number."""

    actor: str = Field("", max_length=120)
    act: str = Field("", max_length=40)
    thing: str = Field("", max_length=200)
    before: int = Field(0, ge=0)
    verify: bool = False


@router.get("/journal")
def read_journal(
    request: Request, visit: JournalReader, asked: Annotated[JournalQuery, Query()]
) -> Response:
    """Show the journal, newest first; that it was read is an entry of its own."""
    like = {"actor": asked.actor, "act": asked.act, "object": asked.thing}
    visit.console.noted(visit.person.login, "journal.look", **{k: v for k, v in like.items() if v})
    with visit.console.store.reading() as db:
        rows = journal.newest(db, before=asked.before, limit=_ROWS + 1, **like)
        last, broken = first_break(journal.entries(db)) if asked.verify else (None, None)
    following = rows[_ROWS - 1].number if len(rows) > _ROWS else None
    return page(
        request,
        "journal.html",
        visit,
        entries=rows[:_ROWS],
        next_number=following,
        broken=broken,
        whole=last.number if last is not None and broken is None else None,
        asked=asked,
    )


@router.get("/accounts")
def accounts(request: Request, visit: AccountKeeper) -> Response:
    """Show all accounts."""
    return _accounts(request, visit, None)


def _accounts(request: Request, visit: Visit, problem: str | None) -> Response:
    with visit.console.store.reading() as db:
        everybody = people.everybody(db)
    status = 200 if problem is None else 422
    values: dict[str, Any] = {"accounts": everybody, "roles": list(Role), "problem": problem}
    return page(request, "accounts.html", visit, status=status, **values)


class AccountForm(BaseModel):
    """The form of an account; branches by commas, none for all."""

    login: str = Field(max_length=120, pattern=r"^[\w.@\-]+$")
    name: str = Field(max_length=200)
    role: Role
    branches: str = Field("", max_length=2_000)
    password: str = Field("", max_length=200)


@router.post("/accounts")
def save_account(
    request: Request, visit: AccountKeeper, sent: Annotated[AccountForm, Form()]
) -> Response:
    """Make an account, or change one; nobody changes their own."""
    listed = frozenset(part.strip() for part in sent.branches.split(",") if part.strip())
    password = sent.password or None
    try:
        keep_account(visit, NewAccount(sent.login, sent.name, sent.role, listed or None, password))
    except RefusedError as error:
        return _accounts(request, visit, words_for(request, visit)(f"problem.{error.code}"))
    return RedirectResponse("/accounts", 303)


def keep_account(visit: Visit, new: NewAccount) -> None:
    """Save an account and its entry in the journal together.

    Raises:
        RefusedError: it is this person's own, or the password is too short.
    """
    if new.login == visit.person.login:
        raise RefusedError("own_account")
    if new.password is not None and not is_acceptable(new.password):
        raise RefusedError("password_too_short")
    console = visit.console
    with console.store.writing() as db:
        people.save(db, new, console.clock_ms())
        told: dict[str, Any] = {
            "role": new.role.value,
            "branches": new.branches and sorted(new.branches),
        }
        told["password_set"] = new.password is not None
        console.note(db, visit.person.login, "account.save", new.login, **told)


@router.post("/accounts/{login}/active")
def set_active(
    visit: AccountKeeper, login: str, active: Annotated[str, Form(max_length=3)]
) -> Response:
    """Let an account in, or keep it out and end its sessions."""
    keep_active(visit, login, active=active == "yes")
    return RedirectResponse("/accounts", 303)


def keep_active(visit: Visit, login: str, *, active: bool) -> None:
    """Save whether an account is let in; nobody changes their own."""
    if login == visit.person.login:
        raise RefusedError("own_account")
    with visit.console.store.writing() as db:
        people.set_active(db, login, active=active)
        visit.console.note(db, visit.person.login, "account.active", login, active=active)


@router.get("/settings")
def settings(request: Request, visit: OwnAccount) -> Response:
    """Show one's own settings."""
    return _settings(request, visit)


def _settings(request: Request, visit: Visit, status: int = 200, **said: Any) -> Response:
    with visit.console.store.reading() as db:
        tokens = people.tokens_of(db, visit.person.login)
    values = {"tokens": tokens, "themes": THEMES, "scopes": list(SCOPES)}
    empty = {"problem": None, "done": None, "secret": None}
    return page(request, "settings.html", visit, status=status, **{**values, **empty, **said})


@router.post("/settings")
def save_settings(visit: OwnAccount, language: Short = "", theme: Short = "") -> Response:
    """Save the account's language and this browser's theme."""
    answer = RedirectResponse("/settings", 303)
    if language in LANGUAGES:
        mine = account.c.name == visit.person.login
        with visit.console.store.writing() as db:
            db.execute(update(account).where(mine).values(language=language))
    if theme in THEMES:
        secure = visit.console.settings.secure_cookies
        answer.set_cookie(THEME_COOKIE, theme, _YEAR_S, samesite="lax", secure=secure)
    return answer


@router.post("/settings/password")
def save_password(request: Request, visit: OwnAccount, old: Short, new: Short) -> Response:
    """Change one's own password; the old one must be known."""
    console, t = visit.console, words_for(request, visit)
    login = visit.person.login
    with console.store.reading() as db:
        person = people.check_password(db, login, old)
    if person is None:
        return _settings(request, visit, 422, problem=t("sign.wrong"))
    if not is_acceptable(new):
        return _settings(request, visit, 422, problem=t("problem.password_too_short"))
    with console.store.writing() as db:
        told = NewAccount(login, person.name, person.role, person.branches, new)
        people.save(db, told, console.clock_ms())
        console.note(db, login, "account.password", login)
    return _settings(request, visit, done=t("triage.saved"))


@router.post("/settings/tokens")
def make_token(
    request: Request,
    visit: OwnAccount,
    form: SentForm,
    name: Short,
    days: Annotated[int, Form(ge=1, le=365)],
) -> Response:
    """Make a token; its secret is shown once. No token makes another."""
    t = words_for(request, visit)
    scopes = [str(scope) for scope in form.getlist("scopes") if scope in SCOPES]
    if visit.way == "token" or not scopes:
        return _settings(request, visit, 422, problem=t("problem.scopes_missing"))
    console, login, now = visit.console, visit.person.login, visit.console.clock_ms()
    with console.store.writing() as db:
        span = (now, now + days * _DAY_MS)
        number, secret = people.make_token(db, login, name, scopes, span)
        console.note(db, login, "token.make", str(number), scopes=scopes, days=days)
    return _settings(request, visit, secret=secret)


@router.post("/settings/tokens/{number}/revoke")
def revoke_token(visit: OwnAccount, number: int) -> Response:
    """End one of one's own tokens."""
    console, login = visit.console, visit.person.login
    with console.store.writing() as db:
        if people.revoke_token(db, login, number, console.clock_ms()):
            console.note(db, login, "token.revoke", str(number))
    return RedirectResponse("/settings", 303)
