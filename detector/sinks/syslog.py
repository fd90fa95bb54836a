"""Alerts as syslog messages over UDP, TCP or TLS.

Syslog has no acknowledgement. Over TCP and TLS a message counts as delivered when the receiver's
kernel has acknowledged every byte; what a receiver loses when it crashes with messages unread, or
what UDP loses on the way, nobody can know. Where that matters, use a webhook.

Source:
    RFC 5424 (messages), RFC 6587 and 5425 (octet counting over TCP and TLS), RFC 5426 (UDP).
"""

from __future__ import annotations

import fcntl
import os
import socket
import ssl
import struct
import termios
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from detector.sinks.base import PRODUCT, AlertFields, Format, Report

Transport = Literal["udp", "tcp", "tls"]

_TIMEOUT_S = 10.0
_SECURITY = 10  # facility: security and authorization messages
_SEVERITY = {"low": 5, "medium": 4, "high": 3, "critical": 2}
_UNKNOWN_SEVERITY = 4
_MAX_DATAGRAM = 8_192  # most receivers take so much; a longer one may vanish without a trace
_POLL_S = 0.01


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where messages go; ``tls`` is the context of transport ``tls``."""

    host: str
    port: int
    transport: Transport = "tcp"
    tls: ssl.SSLContext | None = None


class SyslogSink:
    """Sends a batch on one connection, and waits until it has been acknowledged.

    Args:
        name: of the sink.
        receiver: where to.
        format_: what a message holds.
        clock_s: wall clock, for the message header.
    """

    def __init__(
        self,
        name: str,
        receiver: Receiver,
        format_: Format,
        clock_s: Callable[[], float] = time.time,
    ) -> None:
        self.name, self._receiver, self._format, self._clock_s = name, receiver, format_, clock_s
        self._host = ascii_token(socket.gethostname(), 255)
        self._socket: socket.socket | None = None

    def deliver(self, alerts: Sequence[AlertFields]) -> Report:
        """Send all of them; after any failure the whole batch is tried again."""
        messages = [self.message(alert) for alert in alerts]
        try:
            if self._receiver.transport == "udp":
                return self._send_datagrams(messages)
            self._send_stream(messages)
        except OSError as error:
            self.close()
            return Report(0, failure=f"not sent ({error.strerror or type(error).__name__})")
        return Report(len(alerts))

    def message(self, alert: AlertFields) -> bytes:
        """Return one RFC 5424 message."""
        severity = _SEVERITY.get(str(alert["severity"]), _UNKNOWN_SEVERITY)
        stamp = datetime.fromtimestamp(self._clock_s(), UTC).isoformat(timespec="milliseconds")
        kind = ascii_token(str(alert["detector"]), 32)
        header = (
            f"<{_SECURITY * 8 + severity}>1 {stamp} {self._host} {PRODUCT} {os.getpid()} {kind}"
        )
        return f"{header} - ".encode() + self._format(alert)

    def _send_datagrams(self, messages: Sequence[bytes]) -> Report:
        if self._socket is None:
            self._socket = connected(self._receiver, socket.SOCK_DGRAM)
        refused = []
        for message in messages:
            if len(message) > _MAX_DATAGRAM:
                refused.append(f"{len(message)} bytes do not fit into a datagram: use tcp or tls")
            else:
                self._socket.send(message)
        return Report(len(messages), tuple(refused))

    def _send_stream(self, messages: Sequence[bytes]) -> None:
        if self._socket is not None and has_hung_up(self._socket):
            self.close()
        if self._socket is None:
            self._socket = connected(self._receiver, socket.SOCK_STREAM)
        self._socket.sendall(b"".join(b"%d %s" % (len(m), m) for m in messages))
        wait_until_acknowledged(self._socket)

    def probe(self) -> str | None:
        """Connect and hang up; over UDP only the name is tried."""
        kind = socket.SOCK_DGRAM if self._receiver.transport == "udp" else socket.SOCK_STREAM
        try:
            connected(self._receiver, kind).close()
        except OSError as error:
            return f"cannot be reached ({error.strerror or type(error).__name__})"
        return None

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def ascii_token(text: str, limit: int) -> str:
    r"""Return a header field: printable ASCII without spaces, ``-`` where nothing is left.

    >>> ascii_token("host 1\n", 255), ascii_token("柜员", 32)
    ('host1', '-')
    """
    return "".join(c for c in text if "!" <= c <= "~")[:limit] or "-"


def connected(receiver: Receiver, kind: socket.SocketKind) -> socket.socket:
    """Connect; over TLS the receiver's name is verified.

    Raises:
        OSError: it does not answer, or is not who it should be.
    """
    if kind == socket.SOCK_STREAM:
        plain = socket.create_connection((receiver.host, receiver.port), _TIMEOUT_S)
        if receiver.tls is None:
            return plain
        try:
            return receiver.tls.wrap_socket(plain, server_hostname=receiver.host)
        except OSError:
            plain.close()
            raise
    family, *_, address = socket.getaddrinfo(receiver.host, receiver.port, type=kind)[0]
    datagrams = socket.socket(family, kind)
    datagrams.settimeout(_TIMEOUT_S)
    datagrams.connect(address)
    return datagrams


def has_hung_up(connection: socket.socket) -> bool:
    """Tell whether the receiver has closed: the first message after that would be lost."""
    connection.settimeout(0)
    try:
        return connection.recv(4_096) == b""  # whatever it says is none of our affair
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True
    finally:
        connection.settimeout(_TIMEOUT_S)


def wait_until_acknowledged(connection: socket.socket) -> None:
    """Wait until the peer's kernel has every byte.

    Raises:
        OSError: it takes too long, or the peer has gone.
    """
    until = time.monotonic() + _TIMEOUT_S
    while unacknowledged(connection):
        if time.monotonic() > until:
            raise TimeoutError("receiver does not acknowledge")
        time.sleep(_POLL_S)
    if has_hung_up(connection):
        raise ConnectionResetError("receiver has hung up")


def unacknowledged(connection: socket.socket) -> int:
    """Return the bytes sent and not acknowledged yet (``SIOCOUTQ`` of Linux, see tcp(7))."""
    (n_bytes,) = struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, b"\0" * 4))
    return int(n_bytes)
