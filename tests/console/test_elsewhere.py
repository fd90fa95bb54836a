"""People who sign in elsewhere: at an OpenID provider, or at a proxy in front."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import uvicorn
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from fastapi import FastAPI, Request
from joserfc import jwt
from joserfc.jwk import RSAKey
from pydantic import HttpUrl, SecretStr

from detector.console.roles import Role
from detector.console.settings import OidcSettings, ProxySettings
from tests.console.conftest import NEWEST, Served, serving

CLIENT = ("console", "a secret of the console")
Claims = Callable[[dict[str, Any]], dict[str, Any]]


class Provider:
    """A small OpenID provider: real HTTP, real RS256, one user, PKCE checked."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
        self.user = {
            "sub": "42",
            "preferred_username": "wang",
            "name": "Wang Li",
            "groups": ["soc"],
        }
        self.change: Claims = lambda claims: claims
        self.sign_with = self.key
        self.issuer = ""
        self._codes: dict[str, dict[str, str]] = {}
        self.app = FastAPI(openapi_url=None)
        self.app.get("/.well-known/openid-configuration")(self.configuration)
        self.app.get("/authorize")(self.authorize)
        self.app.post("/token")(self.token)
        self.app.get("/keys")(lambda: {"keys": [self.key.as_dict(private=False)]})

    def configuration(self) -> dict[str, str]:
        """Tell where everything is."""
        names = {
            "authorization_endpoint": "authorize",
            "token_endpoint": "token",
            "jwks_uri": "keys",
        }
        return {"issuer": self.issuer, **{k: f"{self.issuer}/{v}" for k, v in names.items()}}

    def authorize(self, request: Request) -> dict[str, str]:
        """Note what was asked for; the test plays the browser."""
        asked = dict(request.query_params)
        assert asked["response_type"] == "code"
        self._codes["the-code"] = asked
        return {"code": "the-code", "state": asked["state"]}

    async def token(self, request: Request) -> dict[str, str]:
        """Exchange a code: for the client that asked, with the verifier of its challenge."""
        form = dict(await request.form())
        asked = self._codes.pop(str(form["code"]))
        assert httpx.BasicAuth(*CLIENT)._auth_header == request.headers["authorization"]
        assert create_s256_code_challenge(str(form["code_verifier"])) == asked["code_challenge"]
        assert form["redirect_uri"] == asked["redirect_uri"]
        now = int(time.time())
        about = {"iss": self.issuer, "aud": CLIENT[0], "iat": now, "exp": now + 300}
        claims = self.change({**about, "nonce": asked["nonce"], **self.user})
        return {"id_token": jwt.encode({"alg": "RS256", "kid": "one"}, claims, self.sign_with)}


@pytest.fixture
def provider() -> Iterator[Provider]:
    """A provider that runs."""
    found = Provider()
    config = uvicorn.Config(found.app, host="127.0.0.1", port=0, log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.02)
    found.issuer = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    yield found
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def with_oidc(url: str, provider: Provider) -> Iterator[Served]:
    """A console that knows the provider."""
    oidc = OidcSettings(
        issuer=HttpUrl(provider.issuer),
        client_id=CLIENT[0],
        client_secret=SecretStr(CLIENT[1]),
        roles={"soc": Role.ANALYST, "audit": Role.AUDITOR},
    )
    with serving(url, oidc=oidc) as found:
        yield found


def through(browser: httpx.Client) -> httpx.Response:
    """Go to the provider and come back."""
    there = browser.get("/oidc/sign-in").headers["location"]
    told = httpx.get(there).json()
    return browser.get("/oidc/callback", params=told)


def test_the_provider_lets_somebody_in_with_the_role_of_the_group(with_oidc: Served) -> None:
    """And a group that is taken away takes the role away at the next sign-in."""
    browser = with_oidc.browser()
    answer = through(browser)

    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "Wang Li" in browser.get("/").text
    assert "Sign in with the bank" in with_oidc.browser().get("/sign-in").text


@pytest.mark.parametrize(
    "lie",
    [
        {"aud": "another client"}, {"iss": "https://evil.example"}, {"nonce": "of another sign-in"},
        {"exp": 1_000_000}, {"sub": None},
    ],
)  # fmt: skip
def test_a_token_that_is_not_for_this_sign_in_lets_nobody_in(
    with_oidc: Served, provider: Provider, lie: dict[str, Any]
) -> None:
    """Each claim is looked at."""
    provider.change = lambda claims: {k: v for k, v in {**claims, **lie}.items() if v is not None}

    assert through(with_oidc.browser()).status_code == 401


def test_a_token_signed_by_somebody_else_lets_nobody_in(
    with_oidc: Served, provider: Provider
) -> None:
    """The key must be one the provider publishes."""
    provider.sign_with = RSAKey.generate_key(2048, {"kid": "one"})

    assert through(with_oidc.browser()).status_code == 401


def test_an_answer_for_another_browser_lets_nobody_in(with_oidc: Served) -> None:
    """State and cookie belong together."""
    there = with_oidc.browser().get("/oidc/sign-in").headers["location"]
    state = parse_qs(urlsplit(there).query)["state"][0]
    stolen = with_oidc.browser().get("/oidc/callback", params={"code": "x", "state": state})

    assert stolen.status_code == 401


def test_somebody_without_a_group_of_ours_is_told_so(with_oidc: Served, provider: Provider) -> None:
    """Recognised is not invited."""
    provider.user = {**provider.user, "groups": ["canteen"]}
    answer = through(with_oidc.browser())

    assert answer.status_code == 403
    assert "no role here is yours" in answer.text


def test_a_name_of_a_local_account_is_not_taken_over(with_oidc: Served) -> None:
    """Whoever names accounts there must not become the administrator here."""
    with_oidc.account("wang", Role.ADMIN)

    assert through(with_oidc.browser()).status_code == 403


@pytest.fixture(params=["127.0.0.0/8", "10.0.0.0/8"])
def behind(url: str, request: pytest.FixtureRequest) -> Iterator[tuple[Served, bool]]:
    """A console behind a proxy, and whether this test's own address is the proxy's."""
    networks = (ip_network(request.param),)
    proxy = ProxySettings(roles={"soc": Role.ANALYST})
    with serving(url, trusted_proxies=networks, proxy=proxy) as found:
        yield found, request.param.startswith("127")


def test_a_proxys_headers_are_believed_from_its_address_only(
    behind: tuple[Served, bool],
) -> None:
    """Anybody can send them."""
    served, is_trusted = behind
    head = {
        "x-forwarded-user": "wang",
        "x-forwarded-groups": "canteen, soc",
        "x-forwarded-branches": "B1",
    }
    browser = served.browser()
    page = browser.get("/?view=all", headers=head)

    assert page.status_code == (200 if is_trusted else 303)
    assert browser.get("/", headers={"x-forwarded-user": "wang"}).status_code == 303
    if is_trusted:
        foreign = next(a for a, line in NEWEST.items() if line["user_branch"] == "B2")
        assert browser.get(f"/alerts/{foreign}", headers=head).status_code == 404
