"""Signing in at an OpenID provider: authorization code with PKCE, state and nonce in one cookie."""

from __future__ import annotations

import secrets
from typing import Any

import httpx
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from itsdangerous import BadSignature, URLSafeTimedSerializer
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from detector.console import people
from detector.console.access import console_of
from detector.console.pages_door import set_session
from detector.console.people import NewAccount
from detector.console.proxy import known, role_of
from detector.console.rendering import page, words_for
from detector.console.service import Console
from detector.console.settings import OidcSettings
from detector.errors import DetectorError

router = APIRouter(prefix="/oidc", include_in_schema=False)
_COOKIE = "detector_oidc"
_MINUTES_S = 600
_TIMEOUT_S = 5.0
_ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"]  # never none, never a shared secret
_MAX_ANSWER_BYTES = 200_000


class OidcError(DetectorError):
    """The provider could not be reached, or what it said cannot be believed."""


@router.get("/sign-in")
def begin(request: Request) -> Response:
    """Send the browser to the provider."""
    console = console_of(request)
    oidc = _settings(console)
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    address = prepare_grant_uri(
        _told(_well_known(oidc))["authorization_endpoint"],
        client_id=oidc.client_id,
        response_type="code",
        redirect_uri=_callback(request),
        scope="openid profile",
        state=state,
        nonce=nonce,
        code_challenge=create_s256_code_challenge(verifier),
        code_challenge_method="S256",
    )
    answer = RedirectResponse(address, 303)
    kept = _signer(console).dumps([state, nonce, verifier])
    secure = console.settings.secure_cookies
    answer.set_cookie(_COOKIE, kept, _MINUTES_S, httponly=True, samesite="lax", secure=secure)
    return answer


@router.get("/callback")
def finish(request: Request, state: str = "", code: str = "") -> Response:
    """Let the browser in if the provider vouches for somebody with a role here."""
    console = console_of(request)
    try:
        nonce, verifier = _begun(request, state)
        claims = _claims(request, _settings(console), (code, verifier), nonce)
    except (BadSignature, OidcError, httpx.HTTPError, JoseError, KeyError, ValueError) as error:
        console.noted("?", "session.refused", way="oidc", why=type(error).__name__)
        return _problem(request, "sign.oidc_failed", 401)
    person = _known(console, claims)
    if person is None:
        console.noted("?", "session.refused", way="oidc", why="no role")
        return _problem(request, "sign.no_role", 403)
    with console.store.writing() as db:
        secret = people.begin_session(db, person.login, console.settings, console.clock_ms())
        console.note(db, person.login, "session.begin", person.login, way="oidc")
    answer = RedirectResponse(person.home, 303)
    answer.delete_cookie(_COOKIE)
    set_session(answer, console, secret)
    return answer


def _begun(request: Request, state: str) -> tuple[str, str]:
    """Return nonce and verifier of the sign-in this browser has begun.

    Raises:
        OidcError, BadSignature: it has begun none, or another one.
    """
    kept = request.cookies.get(_COOKIE, "")
    held, nonce, verifier = _signer(console_of(request)).loads(kept, max_age=_MINUTES_S)
    if not secrets.compare_digest(held, state):
        raise OidcError("the answer belongs to another sign-in")
    return nonce, verifier


def _settings(console: Console) -> OidcSettings:
    if console.settings.oidc is None:
        raise OidcError("no provider is set")
    return console.settings.oidc


def _signer(console: Console) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(console.settings.session_key.get_secret_value(), salt="oidc")


def _callback(request: Request) -> str:
    base = str(console_of(request).settings.public_url or request.base_url).rstrip("/")
    return f"{base}/oidc/callback"


def _well_known(oidc: OidcSettings) -> str:
    return str(oidc.issuer).rstrip("/") + "/.well-known/openid-configuration"


def _told(address: str, **form: Any) -> dict[str, Any]:
    """Ask the provider; a form makes it a POST.

    Raises:
        OidcError: it answers with more than anybody needs, or with no object.
        httpx.HTTPError: it cannot be reached, or refuses.
    """
    with httpx.Client(timeout=_TIMEOUT_S) as client:
        answer = client.post(address, **form) if form else client.get(address)
    answer.raise_for_status()
    if len(answer.content) > _MAX_ANSWER_BYTES:
        raise OidcError("the provider's answer is too long")
    told = answer.json()
    if not isinstance(told, dict):
        raise OidcError("the provider's answer is no object")
    return told


def _claims(
    request: Request, oidc: OidcSettings, proof: tuple[str, str], nonce: str
) -> dict[str, Any]:
    """Exchange the code and return what the ID token says, once it is believed."""
    provider = _told(_well_known(oidc))
    code, verifier = proof
    answer = _told(
        provider["token_endpoint"],
        auth=(oidc.client_id, oidc.client_secret.get_secret_value()),
        data={
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": _callback(request),
            "code_verifier": verifier,
        },
    )
    keys = KeySet.import_key_set(_told(provider["jwks_uri"]))  # type: ignore[arg-type]
    token = jwt.decode(answer["id_token"], keys, algorithms=_ALGORITHMS)
    rules = jwt.JWTClaimsRegistry(
        leeway=30,
        iss={"essential": True, "value": provider["issuer"]},
        aud={"essential": True, "value": oidc.client_id},
        exp={"essential": True},
        sub={"essential": True},
        nonce={"essential": True, "value": nonce},
    )
    rules.validate(token.claims)
    if provider["issuer"].rstrip("/") != str(oidc.issuer).rstrip("/"):
        raise OidcError("the provider calls itself by another name")
    return dict(token.claims)


def _known(console: Console, claims: dict[str, Any]) -> people.Person | None:
    oidc = _settings(console)
    groups = claims.get(oidc.groups_claim, [])
    role = role_of([str(group) for group in groups] if isinstance(groups, list) else [], oidc.roles)
    if role is None:
        return None
    listed = claims.get(oidc.branches_claim)
    branches = frozenset(map(str, listed)) if isinstance(listed, list) and listed else None
    login = str(claims.get("preferred_username") or claims["sub"])[:120]
    name = str(claims.get("name") or login)[:200]
    return known(console, NewAccount(login, name, role, branches))


def _problem(request: Request, text: str, status: int) -> Response:
    t = words_for(request, None)
    values: dict[str, Any] = {"title": t("problem.title"), "text": t(text)}
    return page(request, "message.html", None, status=status, **values)
