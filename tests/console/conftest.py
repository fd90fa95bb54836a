"""A console on a store with the golden alerts, served for real on a loopback port."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import uvicorn

from detector.alerts import Alert
from detector.console.app import create_app
from detector.console.pdf import find_font
from detector.console.people import NewAccount, exists, make_token, save
from detector.console.pseudonyms import Pseudonyms
from detector.console.roles import Role
from detector.console.service import Console, wall_clock_ms
from detector.console.settings import ConsoleSettings
from detector.policy import load_policy
from detector.store import open_store
from detector.store.console import ConsoleStore
from tests.conftest import ROOT

PASSWORD = "a password of the tests"  # noqa: S105
GOLDEN = [
    orjson.loads(line) for line in (ROOT / "tests/golden/alerts.jsonl").read_bytes().splitlines()
]
NEWEST = {line["alert_id"]: line for line in GOLDEN}
ALL_DAYS_MS = 10 * 86_400_000


def write_alerts(url: str, lines: list[dict[str, Any]]) -> None:
    """Let a detector write alerts, and be gone."""
    store = open_store(url)
    store.write_alerts(store.claim("topic/0", "test"), [Alert(line) for line in lines])
    store.close()


@dataclass
class Clock:
    """The console's time, which a test may move."""

    ahead_ms: int = 0

    def __call__(self) -> int:
        """Return the present time, as the console sees it."""
        return wall_clock_ms() + self.ahead_ms


@dataclass
class Served:
    """A console that runs: its address, its parts, and browsers that have signed in."""

    url: str
    base: str
    console: Console
    clock: Clock
    _clients: dict[str, httpx.Client] = field(default_factory=dict)
    _others: list[httpx.Client] = field(default_factory=list)

    def browser(self) -> httpx.Client:
        """Return a browser that nobody has signed in with."""
        return self._opened(self.base, {"accept-language": "en"})

    def _opened(self, base: str, headers: dict[str, str]) -> httpx.Client:
        self._others.append(httpx.Client(base_url=base, headers=headers, timeout=60))
        return self._others[-1]

    def account(self, login: str, role: Role, branches: set[str] | None = None) -> str:
        """Make an account."""
        with self.console.store.writing() as db:
            of = None if branches is None else frozenset(branches)
            save(db, NewAccount(login, login.title(), role, of, PASSWORD), wall_clock_ms())
        return login

    def signed_in(self, login: str) -> httpx.Client:
        """Return a browser in which somebody has signed in, through the form.

        Who is named like a role has that role.
        """
        if login not in self._clients:
            self._known(login)
            client = self.browser()
            answer = sign_in(client, login, PASSWORD)
            assert answer.status_code == 303, answer.text
            client.headers["x-csrf-token"] = csrf_of(client.get("/settings").text)
            self._clients[login] = client
        return self._clients[login]

    def with_token(self, login: str, *scopes: str) -> httpx.Client:
        """Return a program that has a token."""
        now = self.clock()
        self._known(login)
        with self.console.store.writing() as db:
            _, secret = make_token(db, login, "test", list(scopes), (now, now + ALL_DAYS_MS))
        head = {"authorization": f"Bearer {secret}"}
        return self._opened(f"{self.base}/api/v1", head)

    def _known(self, login: str) -> None:
        with self.console.store.reading() as db:
            is_there = exists(db, login)
        if not is_there:
            self.account(login, Role(login))

    def close(self) -> None:
        """Close every browser."""
        for client in self._others:
            client.close()


def csrf_of(page: str) -> str:
    """Return the token that a page's forms carry."""
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', page)
    assert found is not None, page
    return found[1]


def sign_in(client: httpx.Client, login: str, password: str) -> httpx.Response:
    """Fill in the form."""
    sent = {"login": login, "password": password, "csrf": csrf_of(client.get("/sign-in").text)}
    return client.post("/sign-in", data=sent)


@contextmanager
def running(console: Console, port: int = 0) -> Iterator[str]:
    """Serve a console from a thread; yield its address."""
    config = uvicorn.Config(
        create_app(console), host="127.0.0.1", port=port, log_level="warning",
        proxy_headers=False, timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        thread.join(0.02)
    assert server.started
    bound = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{bound}"
    finally:
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive()


@contextmanager
def serving(url: str, parts: dict[str, Any] | None = None, **changed: Any) -> Iterator[Served]:
    """Serve a console on a store that exists, with some parts and settings changed."""
    clock, settings = Clock(), ConsoleSettings.for_demo()
    settings = settings.model_copy(update={"api_calls_per_minute": 100_000, **changed})
    names = Pseudonyms(settings.pseudonym_key.get_secret_value().encode())
    console = Console(
        ConsoleStore(url), settings, load_policy(None), names,
        **{"pdf_font": find_font(settings.pdf_font), "clock_ms": clock, **(parts or {})},
    )  # fmt: skip
    with running(console) as base:
        served = Served(url, base, console, clock)
        yield served
        served.close()
    console.store.close()


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A store with the golden alerts."""
    address = f"sqlite:///{tmp_path}/alerts.db"
    write_alerts(address, GOLDEN)
    return address


@pytest.fixture
def served(url: str) -> Iterator[Served]:
    """A running console."""
    with serving(url) as found:
        yield found


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A running console for all tests of a file that leave alerts as they are."""
    address = f"sqlite:///{tmp_path_factory.mktemp('shared')}/alerts.db"
    write_alerts(address, GOLDEN)
    with serving(address) as found:
        yield found


@pytest.fixture
def an_alert() -> dict[str, Any]:
    """The newest version of one golden alert of branch B1."""
    return next(line for line in NEWEST.values() if line["user_branch"] == "B1")


Arrive = Callable[..., dict[str, Any]]


@pytest.fixture
def arrive(served: Served) -> Arrive:
    """Let an alert like a golden one arrive now."""

    def one(line: dict[str, Any], **changed: Any) -> dict[str, Any]:
        new = {**line, "alert_id": f"{len(changed):032x}", **changed}
        write_alerts(served.url, [new])
        return new

    return one
