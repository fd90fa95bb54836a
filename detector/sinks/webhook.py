"""Alerts posted to a URL, signed, one request per alert version.

The receiver's answer is not believed: at most a few kilobytes of it are read, nothing of it is
written anywhere but the status, and no redirect is followed.

Source:
    Standard Webhooks 1.0 (https://www.standardwebhooks.com): headers ``webhook-id``,
    ``webhook-timestamp`` and ``webhook-signature``, which is ``v1,`` and the base64 of
    HMAC-SHA256(key, id.timestamp.body); a secret that begins with ``whsec_`` is base64.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from detector.errors import OptionError
from detector.sinks.base import PRODUCT, VERSION, AlertFields, Format, Report, key_of
from detector.sinks.tls import tls_context

_CONNECT_S, _ANSWER_S = 5.0, 10.0
_MAX_ANSWER_BYTES = 4_096
_MAX_RETRY_AFTER_S = 300
_MIN_KEY_BYTES = 16
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
# What no repetition mends: the message itself is not liked. All else is tried again: 401, 403,
# 404 are mistakes of set-up, and what was not delivered meanwhile must not be lost.
_REFUSED = {400, 409, 410, 413, 415, 422}
_TAKEN_BEFORE = 409  # "conflict": how receivers answer an idempotency key they know


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to post.

    Args:
        url: https, or http on loopback or with ``allow_http``.
        key: secret of the signature, None signs nothing.
        token: sent as ``Authorization: Bearer``.
        ca_file: certificates to trust instead of the system's.
        certificate: file with our own certificate and key, for mutual TLS.
        proxy: URL of a proxy; proxies of the environment are not used.
    """

    url: str
    key: str | None = None
    token: str | None = None
    ca_file: Path | None = None
    certificate: Path | None = None
    proxy: str | None = None
    allow_http: bool = False


class WebhookSink:
    """Posts one alert version at a time, in order.

    Raises:
        OptionError: URL, key or certificate cannot be used.
    """

    def __init__(
        self,
        name: str,
        endpoint: Endpoint,
        format_: Format,
        clock_s: Callable[[], float] = time.time,
    ) -> None:
        self.name, self._endpoint, self._format, self._clock_s = name, endpoint, format_, clock_s
        where = f"sinks.{name}"
        check_url(endpoint, where)
        self._key = None if endpoint.key is None else signing_key(endpoint.key, where)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"{PRODUCT}/{VERSION}",
            "Accept-Encoding": "identity",
        }
        if endpoint.token is not None:
            headers["Authorization"] = f"Bearer {endpoint.token}"
        self._deadline = _Deadline()
        self._client = httpx.Client(
            verify=tls_context(endpoint.ca_file, endpoint.certificate, where),
            headers=headers,
            proxy=endpoint.proxy,
            timeout=httpx.Timeout(_ANSWER_S, connect=_CONNECT_S),
            limits=httpx.Limits(max_connections=1),
            follow_redirects=False,
            trust_env=False,
        )

    def deliver(self, alerts: Sequence[AlertFields]) -> Report:
        """Post until one has to be tried again."""
        refused: list[str] = []
        for n_done, alert in enumerate(alerts):
            try:
                status, retry_after = self._post(key_of(alert), self._format(alert))
            except httpx.HTTPError as error:
                return Report(n_done, tuple(refused), f"no answer ({type(error).__name__})")
            if status in _REFUSED and status != _TAKEN_BEFORE:
                refused.append(f"answered {status} to {key_of(alert)}")
            elif not 200 <= status < 300 and status != _TAKEN_BEFORE:
                return Report(n_done, tuple(refused), _told(status), retry_after)
        return Report(len(alerts), tuple(refused))

    def _post(self, key: str, body: bytes) -> tuple[int, float]:
        """Return status and seconds to wait; read little of the answer, and not for long."""
        headers = {"Idempotency-Key": key, **self._signature(key, body)}
        extensions = {"trace": self._deadline.note}
        request = self._client.build_request(
            "POST", self._endpoint.url, content=body, headers=headers, extensions=extensions
        )
        with self._deadline.of(_CONNECT_S + _ANSWER_S):
            answer = self._client.send(request, stream=True)
            # With the status all is known: what is wrong with the rest changes nothing.
            with suppress(httpx.TransportError):
                _drain(answer)
            answer.close()
        return answer.status_code, _seconds(answer.headers.get("Retry-After", ""))

    def _signature(self, key: str, body: bytes) -> dict[str, str]:
        stamp = str(int(self._clock_s()))
        headers = {"webhook-id": key, "webhook-timestamp": stamp}
        if self._key is not None:
            headers["webhook-signature"] = signature(self._key, key, stamp, body)
        return headers

    def probe(self) -> str | None:
        """Ask what the URL allows, which posts nothing; any answer is an answer."""
        extensions = {"trace": self._deadline.note}
        request = self._client.build_request("OPTIONS", self._endpoint.url, extensions=extensions)
        try:
            with self._deadline.of(_CONNECT_S + _ANSWER_S):
                self._client.send(request, stream=True).close()
        except httpx.HTTPError as error:
            return f"cannot be reached ({type(error).__name__})"
        return None

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def _drain(answer: httpx.Response) -> None:
    """Read a short answer, so that the connection can be used again; leave a long one."""
    n_bytes = 0
    for chunk in answer.iter_raw():
        n_bytes += len(chunk)
        if n_bytes > _MAX_ANSWER_BYTES:
            return


class _Deadline:
    """Ends a request that would go on for ever.

    A byte now and then satisfies every time limit of a single read.
    """

    def __init__(self) -> None:
        self._socket: socket.socket | None = None

    def note(self, event: str, facts: dict[str, Any]) -> None:
        """Remember the newest socket; called by the HTTP library."""
        if event in {"connection.connect_tcp.complete", "connection.start_tls.complete"}:
            self._socket = facts["return_value"].get_extra_info("socket")

    @contextmanager
    def of(self, seconds: float) -> Iterator[None]:
        """Allow so long for what happens inside."""
        timer = threading.Timer(seconds, self._end)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _end(self) -> None:
        if self._socket is not None:
            # Not SSLSocket.shutdown: that takes the TLS layer away from under the reader.
            with suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def _told(status: int) -> str:
    if 300 <= status < 400:
        return f"answered {status}: redirects are not followed, set the final URL"
    return f"answered {status}"


def _seconds(header: str) -> float:
    """Read a number of seconds, bounded; dates and nonsense count as none.

    >>> _seconds("7"), _seconds("999999999"), _seconds("Wed, 21 Oct 2026"), _seconds("-1")
    (7.0, 300.0, 0.0, 0.0)
    """
    is_number = header.isascii() and header.isdigit() and len(header) < 10
    return float(min(int(header), _MAX_RETRY_AFTER_S)) if is_number else 0.0


def signature(key: bytes, message_id: str, stamp: str, body: bytes) -> str:
    """Return the value of ``webhook-signature``."""
    message = f"{message_id}.{stamp}.".encode() + body
    return f"v1,{base64.b64encode(hmac.digest(key, message, hashlib.sha256)).decode()}"


def signing_key(secret: str, where: str) -> bytes:
    """Return the bytes of a secret.

    Raises:
        OptionError: it is too short, or no base64 behind ``whsec_``.
    """
    hint = "Make one with `openssl rand -base64 32` and write whsec_ before it"
    key = secret.encode()
    if secret.startswith("whsec_"):
        try:
            key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            raise OptionError("is no base64", where=f"{where}.secret", hint=hint) from None
    if len(key) < _MIN_KEY_BYTES:
        raise OptionError("is too short a secret", where=f"{where}.secret", hint=hint)
    return key


def check_url(endpoint: Endpoint, where: str) -> None:
    """Refuse what is no URL, and http where it would leave the machine.

    Raises:
        OptionError: it cannot be used.
    """
    where = f"{where}.url"
    hint = "Write https://host/path"
    try:
        parts = urlsplit(endpoint.url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if host is None or parts.scheme not in {"http", "https"}:
        raise OptionError("is no URL of a web server", where=where, hint=hint)
    if parts.username is not None or parts.password is not None:
        raise OptionError("holds a password", where=where, hint="Set token_file instead")
    if parts.scheme == "http" and host not in _LOOPBACK and not endpoint.allow_http:
        hint = "Use https, or set allow_http = true"
        raise OptionError("would send alerts unencrypted", where=where, hint=hint)
