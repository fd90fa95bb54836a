"""People whom a proxy in front has signed in: headers, believed from its address only."""

from __future__ import annotations

from fastapi import Request

from detector.console import people
from detector.console.people import NewAccount, Person
from detector.console.roles import Role
from detector.console.service import Console

_STRONGEST_FIRST = (
    Role.INVESTIGATOR, Role.MANAGER, Role.ANALYST, Role.AUDITOR, Role.ADMIN, Role.VIEWER,
)  # fmt: skip


def role_of(groups: list[str], roles: dict[str, Role]) -> Role | None:
    """Return the role that somebody's groups stand for; None if none does."""
    held = {roles[group] for group in groups if group in roles}
    return next((role for role in _STRONGEST_FIRST if role in held), None)


def person_of_proxy(console: Console, request: Request) -> Person | None:
    """Return whom a trusted proxy names; None from any other address, or without a role."""
    settings = console.settings
    if request.client is None or not settings.trusts(request.client.host):
        return None
    headers = settings.proxy
    login = request.headers.get(headers.user_header, "").strip()
    role = role_of(_listed(request.headers.get(headers.groups_header)), headers.roles)
    if not login or role is None:
        return None
    branches = frozenset(_listed(request.headers.get(headers.branches_header))) or None
    return known(console, NewAccount(login[:120], login[:120], role, branches))


def known(console: Console, told: NewAccount) -> Person | None:
    """Return the account of somebody signed in elsewhere, made or changed as that place says.

    None for a local account of that name, which nobody from elsewhere may take over, and for one
    that was kept out here.
    """
    with console.store.reading() as db:
        held, is_there = people.find(db, told.login), people.exists(db, told.login)
        is_local = people.has_password(db, told.login)
    if is_local or (held is None and is_there):
        return None
    if held is not None and (held.role, held.branches) == (told.role, told.branches):
        return held
    with console.store.writing() as db:
        people.save(db, told, console.clock_ms())
        console.note(db, told.login, "account.told", told.login, role=told.role.value)
        return people.find(db, told.login)


def _listed(header: str | None) -> list[str]:
    return [part.strip() for part in (header or "").split(",") if part.strip()]
