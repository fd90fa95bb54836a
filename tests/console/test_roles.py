"""Each role on each route: what is allowed, what is not, with a browser and with a token."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from detector.console.access import right_of
from detector.console.app import create_app
from detector.console.people import SCOPES
from detector.console.roles import RIGHTS, Right, Role
from tests.console.conftest import NEWEST, Served

# Written by hand: the reviewed table. `roles.py` must say the same.
TABLE = {
    Right.OWN_ACCOUNT: {*Role},
    Right.READ_ALERTS: {Role.VIEWER, Role.ANALYST, Role.INVESTIGATOR, Role.MANAGER, Role.AUDITOR},
    Right.TRIAGE: {Role.ANALYST, Role.INVESTIGATOR, Role.MANAGER},
    Right.SUPPRESS: {Role.ANALYST, Role.INVESTIGATOR, Role.MANAGER},
    Right.EXPORT: {Role.ANALYST, Role.INVESTIGATOR, Role.MANAGER, Role.AUDITOR},
    Right.ASK_UNMASK: {Role.ANALYST, Role.MANAGER},
    Right.DECIDE_UNMASK: {Role.INVESTIGATOR, Role.MANAGER},
    Right.SEE_IDENTITIES: {Role.INVESTIGATOR},
    Right.READ_JOURNAL: {Role.AUDITOR},
    Right.MANAGE_ACCOUNTS: {Role.ADMIN},
}
OPEN_TO_ANYBODY = {
    ("GET", "/sign-in"), ("POST", "/sign-in"), ("GET", "/answer/{secret}"),
    ("POST", "/answer/{secret}"), ("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/metrics"),
    ("GET", "/api/v1/openapi.json"),
}  # fmt: skip
# Own account is enough to ask, but the page says no to who may neither ask nor decide.
STRICTER = {"/identities": {Role.ANALYST, Role.INVESTIGATOR, Role.MANAGER}}
_LEFT_OUT = {"/live", "/sign-out"}  # an endless answer; the end of the test's session


def rights_in(dependant: Dependant) -> Iterator[Right]:
    """Yield the rights that a route's dependencies ask for."""
    right = right_of(dependant.call)
    if right is not None:
        yield right
    for part in dependant.dependencies:
        yield from rights_in(part)


def flat(routes: list[Any]) -> Iterator[APIRoute]:
    """Yield every route, however it was included."""
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        elif hasattr(route, "effective_route_contexts"):
            yield from flat(
                [context.original_route for context in route.effective_route_contexts()]
            )


@pytest.fixture(scope="module")
def routes(shared: Served) -> list[tuple[str, str, Right | None]]:
    """(method, path, right) of every route of the application."""
    app = create_app(shared.console)
    found = []
    for route in flat(app.routes):
        rights = set(rights_in(route.dependant))
        assert len(rights) <= 1, route.path
        found += [(method, route.path, *rights) for method in route.methods]
    return [(row[0], row[1], row[2] if len(row) > 2 else None) for row in found]


def test_the_roles_have_the_rights_of_the_reviewed_table() -> None:
    """A right given by mistake is a leak; this table is the one that people review."""
    assert {right: {role for role in Role if right in RIGHTS[role]} for right in Right} == TABLE


def test_every_route_names_a_right_or_is_known_to_need_none(
    routes: list[tuple[str, str, Right | None]],
) -> None:
    """A new page without a right would be open to everybody."""
    assert len(routes) > 50
    assert {(method, path) for method, path, right in routes if right is None} == OPEN_TO_ANYBODY


@pytest.mark.parametrize("role", [*Role])
def test_each_role_reaches_its_routes_and_no_other(
    shared: Served, routes: list[tuple[str, str, Right | None]], role: Role
) -> None:
    """Exhaustive: allowed or 403, whatever is sent; never anything else than the table says."""
    browser = shared.signed_in(role.value)
    wrong = []
    for method, path, right in routes:
        if right is None or path in _LEFT_OUT:
            continue
        answer = browser.request(
            method, filled(path), data={"x": "y"} if method == "POST" else None
        )
        allowed = role in STRICTER.get(path, TABLE[right])
        if (answer.status_code == 403) == allowed or answer.status_code in {401, 500}:
            wrong.append((method, path, answer.status_code))

    assert not wrong


@pytest.mark.parametrize("scope", [*SCOPES])
def test_a_token_gives_what_its_scope_and_its_owners_role_both_give(
    shared: Served, routes: list[tuple[str, str, Right | None]], scope: str
) -> None:
    """A token for reading cannot judge, and no token makes a viewer an investigator."""
    wrong = []
    for role in Role:
        program = shared.with_token(role.value, scope)
        for method, path, right in routes:
            if right is None or not path.startswith("/api/v1"):
                continue
            answer = program.request(method, filled(path).removeprefix("/api/v1"), json={})
            allowed = role in TABLE[right] and right in SCOPES[scope]
            if (answer.status_code == 403) == allowed or answer.status_code in {401, 500}:
                wrong.append((role, method, path, answer.status_code))

    assert not wrong


def test_nobody_gets_anywhere_without_signing_in(
    shared: Served, routes: list[tuple[str, str, Right | None]]
) -> None:
    """Pages send to the door, programs are told 401."""
    wrong = []
    with httpx.Client(base_url=shared.base) as stranger:
        for method, path, right in routes:
            answer = stranger.request(method, filled(path))
            expected = 401 if path.startswith("/api/v1") else 303
            if right is not None and answer.status_code != expected:
                wrong.append((method, path, answer.status_code))

    assert not wrong


def filled(path: str) -> str:
    """Fill a route's pattern with things that exist, or might."""
    alert_id = next(iter(NEWEST))
    values = {"alert_id": alert_id, "number": "999", "ref": "S-00000-00000", "login": "nobody"}
    return re.sub(r"{(\w+)}", lambda found: values.get(found[1], "x"), path)
