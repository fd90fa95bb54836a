"""One port with `/metrics`, `/healthz` and `/readyz`.

Nothing here is secret and nothing here is authenticated: it listens on loopback unless a
setting says otherwise.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from http import HTTPStatus
from socketserver import ThreadingMixIn
from threading import BoundedSemaphore, Thread
from typing import Any, NamedTuple
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import orjson
from prometheus_client import CollectorRegistry, make_wsgi_app

from detector.errors import OptionError
from detector.telemetry.health import Health
from detector.telemetry.logs import Redactor

_MAX_REQUESTS = 16  # at once; a scraper needs one
_REQUEST_TIMEOUT_S = 10.0


class Address(NamedTuple):
    """Where to listen; port 0 takes a free one."""

    host: str
    port: int


LOOPBACK = Address("127.0.0.1", 9464)


def parse_address(text: str, where: str) -> Address:
    """Read ``host:port``, ``[v6]:port`` or ``port`` (on loopback).

    Raises:
        OptionError: it is none of these; ``where`` names the setting.

    >>> parse_address("9464", "x"), parse_address("[::]:80", "x").host
    (Address(host='127.0.0.1', port=9464), '::')
    """
    host, _, port = text.strip().rpartition(":")
    if not (port.isascii() and port.isdigit() and int(port) <= 65_535):
        hint = "Write host:port, such as 127.0.0.1:9464"
        raise OptionError(f"is no address: {text!r}", where=where, hint=hint)
    return Address(host.removeprefix("[").removesuffix("]") or LOOPBACK.host, int(port))


def application(registry: CollectorRegistry, health: Health, redact: Redactor) -> WSGIApplication:
    """Return the three pages as one WSGI application."""
    metrics = make_wsgi_app(registry)

    def healthz() -> tuple[bool, dict[str, Any]]:
        return health.is_alive, {"alive": health.is_alive}

    def readyz() -> tuple[bool, dict[str, Any]]:
        problems = {name: redact.text(why) for name, why in health.problems().items()}
        return not problems, {"ready": not problems, "problems": problems}

    pages: dict[str, Callable[[], tuple[bool, dict[str, Any]]]] = {
        "/healthz": healthz,
        "/readyz": readyz,
    }

    def respond(request: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path, method = request["PATH_INFO"], request["REQUEST_METHOD"]
        if method not in {"GET", "HEAD"}:
            return _answer(start, HTTPStatus.METHOD_NOT_ALLOWED, {"error": "use GET"})
        if path == "/metrics":
            return metrics({**request, "REQUEST_METHOD": "GET"}, start)  # type: ignore[no-any-return]
        if path not in pages:
            return _answer(start, HTTPStatus.NOT_FOUND, {"pages": ["/metrics", *pages]})
        is_good, content = pages[path]()
        status = HTTPStatus.OK if is_good else HTTPStatus.SERVICE_UNAVAILABLE
        return _answer(start, status, content)

    return respond


def _answer(start: StartResponse, status: HTTPStatus, content: object) -> Iterable[bytes]:
    body = orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE)
    headers = [
        ("Content-Type", "application/json"),
        ("Cache-Control", "no-store"),
        ("Content-Length", str(len(body))),
    ]
    start(f"{status.value} {status.phrase}", headers)
    return [body]


class _Handler(WSGIRequestHandler):
    timeout = _REQUEST_TIMEOUT_S

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base's name
        """Keep scrapes out of the log."""


class _Server(ThreadingMixIn, WSGIServer):
    """A thread per request, and no more threads than allowed."""

    daemon_threads = True

    def __init__(self, address: Address) -> None:
        found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        self.address_family = found[0][0]
        self._free = BoundedSemaphore(_MAX_REQUESTS)
        super().__init__((address.host, address.port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is its own affair."""

    def server_bind(self) -> None:
        """Bind without the base's reverse name lookup, which can take seconds."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]
        self.setup_environ()


class Listener:
    """A server on its own thread.

    Raises:
        OptionError: the address cannot be taken.
    """

    def __init__(self, address: Address, app: WSGIApplication) -> None:
        try:
            self._server = _Server(address)
        except OSError as error:
            what = f"cannot listen there ({error.strerror})"
            where, hint = f"{address.host}:{address.port}", "Set another address for the metrics"
            raise OptionError(what, where=where, hint=hint) from None
        self._server.set_app(app)
        self.address = Address(*self._server.server_address[:2])  # type: ignore[arg-type]
        self._thread = Thread(target=self._server.serve_forever, name="telemetry", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
