"""Accounts, sessions, tokens: who is at the other end."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, replace
from typing import Any

import orjson
from sqlalchemy import Connection, RowMapping, delete, select, update

from detector.console.passwords import hashed, matches
from detector.console.roles import RIGHTS, Right, Role
from detector.console.settings import ConsoleSettings
from detector.store.tables import account, account_branch, api_token, session

LANGUAGES = ("en", "zh")
SCOPES = {
    "read": frozenset({Right.OWN_ACCOUNT, Right.READ_ALERTS, Right.EXPORT, Right.READ_JOURNAL}),
    "triage": frozenset({Right.TRIAGE, Right.SUPPRESS, Right.ASK_UNMASK, Right.DECIDE_UNMASK}),
    "identities": frozenset({Right.SEE_IDENTITIES}),
    "accounts": frozenset({Right.MANAGE_ACCOUNTS}),
}
"""What a token may be good for; never more than its owner's role."""

_SEEN_EVERY_MS = 30_000


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who has been recognised. ``branches`` None: all of them."""

    login: str
    name: str
    role: Role
    branches: frozenset[str] | None
    language: str
    rights: frozenset[Right]

    def may(self, right: Right) -> bool:
        """Tell whether this person has a right, here and now."""
        return right in self.rights

    @property
    def home(self) -> str:
        """Return the page this person begins with."""
        return "/" if self.may(Right.READ_ALERTS) else "/accounts"


def digest(secret: str) -> bytes:
    """Return what is kept of a random secret: who reads the database cannot use it."""
    return hashlib.sha256(secret.encode()).digest()


def person_of(db: Connection, row: RowMapping) -> Person:
    """Return an account's person with branches and the rights of the role."""
    role = Role(row["role"])
    branches = None if row["sees_all_branches"] else branches_of(db, row["name"])
    name = row["display_name"]
    return Person(row["name"], name, role, branches, row["language"], RIGHTS[role])


def branches_of(db: Connection, login: str) -> frozenset[str]:
    """Return the branches an account may see that does not see all."""
    query = select(account_branch.c.branch).where(account_branch.c.account == login)
    return frozenset(db.execute(query).scalars())


def find(db: Connection, login: str) -> Person | None:
    """Return an account that is let in."""
    query = select(account).where(account.c.name == login, account.c.is_disabled.is_(False))
    row = db.execute(query).mappings().one_or_none()
    return None if row is None else person_of(db, row)


def exists(db: Connection, login: str) -> bool:
    """Tell whether there is an account, let in or not."""
    return db.execute(select(account.c.name).where(account.c.name == login)).first() is not None


def has_password(db: Connection, login: str) -> bool:
    """Tell whether an account is a local one, which nobody from elsewhere may take over."""
    query = select(account.c.password_hash).where(account.c.name == login)
    return db.execute(query).scalar() is not None


def everybody(db: Connection) -> list[dict[str, Any]]:
    """Return all accounts with their branches (None: all of them)."""
    rows = db.execute(select(account).order_by(account.c.name)).mappings()
    return [
        {
            **row,
            "branches": None if row["sees_all_branches"] else sorted(branches_of(db, row["name"])),
        }
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account to be made or changed; ``password`` None signs in elsewhere."""

    login: str
    name: str
    role: Role
    branches: frozenset[str] | None = None
    password: str | None = None
    language: str = "en"


def save(db: Connection, new: NewAccount, now_ms: int) -> None:
    """Make an account, or give an existing one its new name, role, branches and password."""
    values: dict[str, Any] = {
        "display_name": new.name,
        "role": new.role.value,
        "sees_all_branches": new.branches is None,
    }
    if new.password is not None:
        values["password_hash"] = hashed(new.password)
    if exists(db, new.login):
        changed = {**values, "row_version": account.c.row_version + 1}
        db.execute(update(account).where(account.c.name == new.login).values(**changed))
    else:
        first = {"name": new.login, "language": new.language, "created_ms": now_ms}
        counters = {"is_disabled": False, "n_failures": 0, "row_version": 1}
        db.execute(account.insert().values(**first, **counters, **values))
    db.execute(delete(account_branch).where(account_branch.c.account == new.login))
    if new.branches:
        rows = [{"account": new.login, "branch": branch} for branch in sorted(new.branches)]
        db.execute(account_branch.insert(), rows)


def set_active(db: Connection, login: str, *, active: bool) -> None:
    """Let an account in or keep it out; keeping it out ends its sessions at once."""
    db.execute(update(account).where(account.c.name == login).values(is_disabled=not active))
    if not active:
        db.execute(delete(session).where(session.c.account == login))


def check_password(db: Connection, login: str, password: str) -> Person | None:
    """Return the person if the password is right; as slow for nobody as for somebody."""
    query = select(account).where(account.c.name == login, account.c.is_disabled.is_(False))
    row = db.execute(query).mappings().one_or_none()
    good = matches(password, None if row is None else row["password_hash"])
    return person_of(db, row) if good and row is not None else None


def is_locked(db: Connection, login: str, now_ms: int) -> bool:
    """Tell whether an account has failed too often lately."""
    query = select(account.c.locked_until_ms).where(account.c.name == login)
    until = db.execute(query).scalar()
    return until is not None and until > now_ms


def note_failure(db: Connection, login: str, settings: ConsoleSettings, now_ms: int) -> None:
    """Count a failure; one too many locks the account for a while."""
    query = select(account.c.n_failures).where(account.c.name == login)
    n_failures = (db.execute(query).scalar() or 0) + 1
    locks = n_failures >= settings.sign_in_failures
    until = now_ms + int(settings.sign_in_window.total_seconds() * 1000)
    values = {"n_failures": 0 if locks else n_failures, "locked_until_ms": until if locks else None}
    db.execute(update(account).where(account.c.name == login).values(**values))


def begin_session(db: Connection, login: str, settings: ConsoleSettings, now_ms: int) -> str:
    """Return the secret of a new session; expired ones of everybody are swept out."""
    db.execute(delete(session).where(session.c.expires_ms < now_ms))
    db.execute(update(account).where(account.c.name == login).values(n_failures=0))
    secret = secrets.token_urlsafe(32)
    until = now_ms + int(settings.session_longest.total_seconds() * 1000)
    times = {"created_ms": now_ms, "seen_ms": now_ms, "expires_ms": until}
    db.execute(session.insert().values(token_digest=digest(secret), account=login, **times))
    return secret


def find_session(
    db: Connection, secret: str, settings: ConsoleSettings, now_ms: int
) -> tuple[Person, bool] | None:
    """Return whose session it is, and whether it is time to note that it is in use."""
    query = (
        select(session.c.seen_ms, account)
        .join(account, account.c.name == session.c.account)
        .where(
            session.c.token_digest == digest(secret),
            session.c.expires_ms > now_ms,
            account.c.is_disabled.is_(False),
        )
    )
    row = db.execute(query).mappings().one_or_none()
    if row is None or now_ms - row["seen_ms"] > settings.session_idle.total_seconds() * 1000:
        return None
    return person_of(db, row), now_ms - row["seen_ms"] > _SEEN_EVERY_MS


def touch_session(db: Connection, secret: str, now_ms: int) -> None:
    """Note that a session is in use."""
    mine = session.c.token_digest == digest(secret)
    db.execute(update(session).where(mine).values(seen_ms=now_ms))


def end_session(db: Connection, secret: str) -> None:
    """Forget a session."""
    db.execute(delete(session).where(session.c.token_digest == digest(secret)))


def make_token(
    db: Connection, login: str, name: str, scopes: list[str], span_ms: tuple[int, int]
) -> tuple[int, str]:
    """Return number and secret of a new token, good from one time to the other; shown once."""
    secret = f"det_{secrets.token_urlsafe(32)}"
    created_ms, expires_ms = span_ms
    values = {"account": login, "name": name, "scopes": orjson.dumps(scopes).decode()}
    times = {"created_ms": created_ms, "expires_ms": expires_ms}
    made = db.execute(
        api_token.insert()
        .values(token_digest=digest(secret), **values, **times)
        .returning(api_token.c.number)
    )
    return int(made.scalar_one()), secret


def tokens_of(db: Connection, login: str) -> list[dict[str, Any]]:
    """Return the tokens of a login, newest first."""
    query = select(api_token).where(api_token.c.account == login)
    rows = db.execute(query.order_by(api_token.c.number.desc())).mappings()
    return [{**row, "scopes": orjson.loads(row["scopes"])} for row in rows]


def revoke_token(db: Connection, login: str, number: int, now_ms: int) -> bool:
    """End a token of a login; False if there is none."""
    mine = (
        api_token.c.account == login,
        api_token.c.number == number,
        api_token.c.revoked_ms.is_(None),
    )
    return db.execute(update(api_token).where(*mine).values(revoked_ms=now_ms)).rowcount == 1


def find_token(db: Connection, secret: str, now_ms: int) -> Person | None:
    """Return whose token it is, with the rights that the token's scopes leave."""
    query = (
        select(api_token.c.scopes, account)
        .join(account, account.c.name == api_token.c.account)
        .where(
            api_token.c.token_digest == digest(secret),
            api_token.c.revoked_ms.is_(None),
            api_token.c.expires_ms > now_ms,
            account.c.is_disabled.is_(False),
        )
    )
    row = db.execute(query).mappings().one_or_none()
    if row is None:
        return None
    owner, names = person_of(db, row), orjson.loads(row["scopes"])
    allowed = frozenset[Right]().union(*(SCOPES[name] for name in names if name in SCOPES))
    return replace(owner, rights=owner.rights & allowed)
