"""Accounts, sessions, tokens: who is at the other end."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select, update

from detector.console.passwords import hashed, matches
from detector.console.roles import RIGHTS, Right, Role
from detector.console.settings import ConsoleSettings
from detector.console.tables import account, session, sign_in_failure, token

LANGUAGES = ("en", "zh")
THEMES = ("auto", "light", "dark")
SCOPES = {
    "read": frozenset({Right.OWN_ACCOUNT, Right.READ_ALERTS, Right.EXPORT, Right.READ_JOURNAL}),
    "triage": frozenset({Right.TRIAGE, Right.SUPPRESS, Right.ASK_UNMASK, Right.DECIDE_UNMASK}),
    "identities": frozenset({Right.SEE_IDENTITIES}),
    "accounts": frozenset({Right.MANAGE_ACCOUNTS}),
}
"""What a token may be good for; never more than its owner's role."""

_FAILURES_PER_ADDRESS = 4  # times those of one login: many people sit behind one address
_SEEN_EVERY_MS = 30_000


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who has been recognised. ``branches`` None: all of them."""

    login: str
    name: str
    role: Role
    branches: tuple[str, ...] | None
    language: str
    theme: str
    rights: frozenset[Right]

    def may(self, right: Right) -> bool:
        """Tell whether this person has a right, here and now."""
        return right in self.rights


def digest(secret: str) -> str:
    """Return what is kept of a random secret: who reads the database cannot use it."""
    return hashlib.sha256(secret.encode()).hexdigest()


def person_of(row: Row[Any]) -> Person:
    """Return an account's person with the rights of the role."""
    role = Role(row.role)
    branches = None if row.branches is None else tuple(row.branches)
    return Person(row.login, row.name, role, branches, row.language, row.theme, RIGHTS[role])


def find(connection: Connection, login: str) -> Person | None:
    """Return an active account."""
    query = select(account).where(account.c.login == login, account.c.active)
    row = connection.execute(query).one_or_none()
    return None if row is None else person_of(row)


def everybody(connection: Connection) -> list[Row[Any]]:
    """Return all accounts."""
    return list(connection.execute(select(account).order_by(account.c.login)))


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account to be made or changed; ``password`` None signs in elsewhere."""

    login: str
    name: str
    role: Role
    branches: tuple[str, ...] | None = None
    password: str | None = None
    language: str = "en"


def save(connection: Connection, new: NewAccount, now_ms: int) -> None:
    """Make an account, or give an existing one its new name, role, branches and password."""
    values: dict[str, Any] = {
        "name": new.name,
        "role": new.role.value,
        "branches": None if new.branches is None else list(new.branches),
    }
    if new.password is not None:
        values["password"] = hashed(new.password)
    held = connection.execute(select(account.c.login).where(account.c.login == new.login)).first()
    if held is not None:
        connection.execute(update(account).where(account.c.login == new.login).values(**values))
        return
    first = {"login": new.login, "language": new.language, "theme": "auto", "created_ms": now_ms}
    connection.execute(account.insert().values(**first, active=True, **values))


def set_active(connection: Connection, login: str, *, active: bool) -> None:
    """Let an account in or keep it out; keeping it out ends its sessions and tokens at once."""
    connection.execute(update(account).where(account.c.login == login).values(active=active))
    if not active:
        connection.execute(delete(session).where(session.c.login == login))


def check_password(connection: Connection, login: str, password: str) -> Person | None:
    """Return the person if the password is right."""
    query = select(account).where(account.c.login == login, account.c.active)
    row = connection.execute(query).one_or_none()
    good = matches(password, None if row is None else row.password)
    return person_of(row) if good and row is not None else None


def is_barred(connection: Connection, keys: tuple[str, str], bar: ConsoleSettings, now: int) -> bool:
    """Tell whether this login or this address has failed too often lately."""
    since = now - int(bar.sign_in_window.total_seconds() * 1000)
    query = select(func.count()).select_from(sign_in_failure)
    limits = (bar.sign_in_failures, bar.sign_in_failures * _FAILURES_PER_ADDRESS)
    return any(
        connection.execute(
            query.where(sign_in_failure.c.key == key, sign_in_failure.c.at_ms > since)
        ).scalar_one()
        >= limit
        for key, limit in zip(keys, limits, strict=True)
    )


def note_failure(connection: Connection, keys: tuple[str, str], bar: ConsoleSettings, now: int) -> None:
    """Count a failure, and forget those that no longer matter."""
    since = now - int(bar.sign_in_window.total_seconds() * 1000)
    connection.execute(delete(sign_in_failure).where(sign_in_failure.c.at_ms <= since))
    connection.execute(sign_in_failure.insert(), [{"key": key, "at_ms": now} for key in keys])


def begin_session(connection: Connection, login: str, settings: ConsoleSettings, now: int) -> str:
    """Return the secret of a new session; expired ones of everybody are swept out."""
    longest = int(settings.session_longest.total_seconds() * 1000)
    connection.execute(delete(session).where(session.c.created_ms < now - longest))
    secret = secrets.token_urlsafe(32)
    values = {"digest": digest(secret), "login": login, "created_ms": now, "seen_ms": now}
    connection.execute(session.insert().values(**values))
    return secret


def find_session(
    connection: Connection, secret: str, settings: ConsoleSettings, now: int
) -> tuple[Person, bool] | None:
    """Return whose session it is, and whether it is time to note that it is in use."""
    query = select(session.c.created_ms, session.c.seen_ms, account).join(account).where(
        session.c.digest == digest(secret), account.c.active
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    idle = now - row.seen_ms > settings.session_idle.total_seconds() * 1000
    old = now - row[0] > settings.session_longest.total_seconds() * 1000
    return None if idle or old else (person_of(row), now - row.seen_ms > _SEEN_EVERY_MS)


def touch_session(connection: Connection, secret: str, now: int) -> None:
    """Note that a session is in use."""
    connection.execute(update(session).where(session.c.digest == digest(secret)).values(seen_ms=now))


def end_session(connection: Connection, secret: str) -> None:
    """Forget a session."""
    connection.execute(delete(session).where(session.c.digest == digest(secret)))


def make_token(
    connection: Connection, login: str, name: str, scopes: list[str], span_ms: tuple[int, int]
) -> tuple[str, str]:
    """Return id and secret of a new token, good from one time to the other; shown once."""
    now, until = span_ms
    token_id, secret = secrets.token_hex(6), f"det_{secrets.token_urlsafe(32)}"
    values = {"token_id": token_id, "login": login, "name": name, "scopes": scopes}
    times = {"created_ms": now, "expires_ms": until}
    connection.execute(token.insert().values(digest=digest(secret), **values, **times))
    return token_id, secret


def tokens_of(connection: Connection, login: str) -> list[Row[Any]]:
    """Return the tokens of a login, newest first."""
    query = select(token).where(token.c.login == login).order_by(token.c.created_ms.desc())
    return list(connection.execute(query))


def revoke_token(connection: Connection, login: str, token_id: str, now: int) -> bool:
    """End a token of a login; False if there is none."""
    mine = (token.c.login == login, token.c.token_id == token_id, token.c.revoked_ms.is_(None))
    return connection.execute(update(token).where(*mine).values(revoked_ms=now)).rowcount == 1


def find_token(connection: Connection, secret: str, now: int) -> Person | None:
    """Return whose token it is, with the rights that the token's scopes leave."""
    query = select(token.c.scopes, account).join(account).where(
        token.c.digest == digest(secret),
        token.c.revoked_ms.is_(None),
        token.c.expires_ms > now,
        account.c.active,
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    owner = person_of(row)
    allowed = frozenset[Right]().union(*(SCOPES[name] for name in row.scopes if name in SCOPES))
    return replace(owner, rights=owner.rights & allowed)
