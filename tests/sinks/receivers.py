"""Receivers on loopback that behave as told: a web server and a syslog server."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass(slots=True)
class Request:
    """What came in."""

    path: str
    headers: dict[str, str]
    body: bytes


def status(code: int, body: bytes = b"", **headers: str) -> Answer:
    """Answer with a status."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


OK = status(200)


@dataclass(slots=True)
class WebServer:
    """Answers as ``answers`` say, one after the other, then ``OK``."""

    port: int
    answers: list[Answer] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    n_connections: int = 0

    @property
    def keys(self) -> list[str]:
        """Idempotency keys in order of arrival."""
        return [request.headers["idempotency-key"] for request in self.requests]


@contextmanager
def web_server(tls: ssl.SSLContext | None = None, port: int = 0) -> Iterator[WebServer]:
    """Run a web server."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            told.n_connections += 1
            super().setup()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            told.requests.append(Request(self.path, headers, body))
            answer = told.answers.pop(0) if told.answers else OK
            answer(self)

        def log_message(self, *_told: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_told: object) -> None:
            """A client that hangs up is no error here."""

    server = Server(("127.0.0.1", port), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    told = WebServer(server.server_address[1])
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class SyslogServer:
    """Takes octet-counted messages, or leaves them in the kernel while it is paused."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._tls = tls
        self._connections: list[socket.socket] = []
        self.received: list[bytes] = []
        self.arrived = Event()
        self._threads: list[Thread] = []
        self._thread = Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = Thread(target=self._serve, args=(connection,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _serve(self, plain: socket.socket) -> None:
        with suppress(OSError), plain, self._wrapped(plain) as connection:
            self._connections.append(connection)
            with connection.makefile("rb") as stream:
                while length := _length(stream.read):
                    self.received.append(stream.read(length))
                    self.arrived.set()

    def _wrapped(self, plain: socket.socket) -> socket.socket:
        return plain if self._tls is None else self._tls.wrap_socket(plain, server_side=True)

    def hang_up(self) -> None:
        """Close every connection, as a restart does."""
        while self._connections:
            with suppress(OSError):
                socket.socket.shutdown(self._connections.pop(), socket.SHUT_RDWR)

    def close(self) -> None:
        """Stop listening."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        self.hang_up()
        for thread in self._threads:
            thread.join()


def _length(read: Callable[[int], bytes]) -> int:
    """Read the length in front of a message, 0 at the end of the stream."""
    digits = b""
    while (sign := read(1)).isdigit():
        digits += sign
    return int(digits or b"0")


@contextmanager
def syslog_server(tls: ssl.SSLContext | None = None) -> Iterator[SyslogServer]:
    """Run a syslog server over TCP or TLS."""
    server = SyslogServer(tls)
    try:
        yield server
    finally:
        server.close()
