"""Syslog over TCP, TLS and UDP: framed right, and nothing lost that anyone could notice."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from detector.sinks import syslog
from detector.sinks.cef import cef
from detector.sinks.ocsf import ocsf
from detector.sinks.syslog import Receiver, SyslogSink, Transport
from detector.sinks.tls import tls_context
from tests.sinks.conftest import Tls, alerts
from tests.sinks.reading import SYSLOG, read_cef
from tests.sinks.receivers import SyslogServer, syslog_server

MAX_DATAGRAM = 65_535


@pytest.fixture(params=["tcp", "tls"])
def server(request: pytest.FixtureRequest, tls: Tls) -> Iterator[SyslogServer]:
    """A syslog server over either transport."""
    with syslog_server(tls.server if request.param == "tls" else None) as running:
        yield running


@pytest.fixture
def sink(server: SyslogServer, request: pytest.FixtureRequest, tls: Tls) -> Iterator[SyslogSink]:
    """A sink connected to it."""
    transport: Transport = "tls" if "tls" in request.node.name else "tcp"
    context = tls_context(tls.ca_file, None, "sinks.siem") if transport == "tls" else None
    receiver = Receiver("127.0.0.1", server.port, transport, context)
    with closing(SyslogSink("siem", receiver, cef, clock_s=lambda: 1_800_000_000)) as sink:
        yield sink


def wait_for(server: SyslogServer, n_messages: int) -> list[bytes]:
    """Return the messages once so many have been read from the connection."""
    until = time.monotonic() + 20
    while len(server.received) < n_messages and time.monotonic() < until:
        server.arrived.wait(0.2)
        server.arrived.clear()
    return list(server.received)


def test_each_alert_is_one_framed_rfc_5424_message(server: SyslogServer, sink: SyslogSink) -> None:
    """Facility security, severity from the alert's, our detector as message id."""
    sent = alerts(3)
    assert sink.deliver(sent).n_done == 3

    for message, alert in zip(wait_for(server, 3), sent, strict=True):
        found = SYSLOG.fullmatch(message)
        assert found is not None, message
        severity = {"low": 5, "medium": 4, "high": 3, "critical": 2}[alert["severity"]]
        assert int(found["pri"]) == 10 * 8 + severity
        assert found["time"] == b"2027-01-15T08:00:00.000+00:00"
        assert found["kind"].decode() == alert["detector"]
        _, fields = read_cef(found["message"].decode())
        assert fields["externalId"] == f"{alert['alert_id']}-1"


def test_a_receiver_that_restarts_loses_nothing(server: SyslogServer, sink: SyslogSink) -> None:
    """The first write after a hang-up succeeds and is lost: so we look before we write."""
    sent = alerts(2)
    assert sink.deliver(sent[:1]).n_done == 1
    wait_for(server, 1)
    server.hang_up()
    until = time.monotonic() + 20
    while sink.deliver(sent[1:]).failure is not None:
        assert time.monotonic() < until

    ids = [message.split(b"externalId=")[1].split()[0] for message in wait_for(server, 2)]
    assert ids == [f"{alert['alert_id']}-1".encode() for alert in sent]


def test_a_receiver_that_takes_nothing_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel takes what the receiver does not read, up to a point; then we say so."""
    monkeypatch.setattr(syslog, "_TIMEOUT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        receiver = Receiver("127.0.0.1", deaf.getsockname()[1])
        with closing(SyslogSink("siem", receiver, lambda _alert: b"x" * 30_000_000)) as sink:
            report = sink.deliver(alerts(1))

    assert report.n_done == 0
    assert report.failure is not None
    assert report.failure.startswith("not sent (")


def test_nobody_there_is_a_failure_and_no_exception() -> None:
    """Detection goes on; the courier tries again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    report = SyslogSink("siem", Receiver("127.0.0.1", port), cef).deliver(alerts(1))

    assert report.failure == "not sent (Connection refused)"


def test_a_receiver_with_another_name_or_authority_gets_nothing(tls: Tls) -> None:
    """Alerts name people: they go to whom the certificate says or to nobody."""
    with syslog_server(tls.server) as server:
        for host, ca_file in (("localhost", tls.ca_file), ("127.0.0.1", None)):
            receiver = Receiver(host, server.port, "tls", tls_context(ca_file, None, "x"))
            report = SyslogSink("siem", receiver, cef).deliver(alerts(1))
            assert report.failure is not None
            assert "certificate" in report.failure.lower()

        assert server.received == []


def test_a_datagram_is_one_message() -> None:
    """Without framing, as RFC 5426 has it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(20)
        receiver = Receiver("127.0.0.1", server.getsockname()[1], "udp")
        with closing(SyslogSink("siem", receiver, cef)) as sink:
            assert sink.deliver(alerts(2)).n_done == 2
        messages = [server.recv(MAX_DATAGRAM) for _ in range(2)]

    assert all(SYSLOG.fullmatch(message) for message in messages)


def test_what_does_not_fit_into_a_datagram_is_refused_aloud() -> None:
    """Cut in half it would be lost without a trace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        receiver = Receiver("127.0.0.1", server.getsockname()[1], "udp")
        big = {**alerts(1)[0], "event_ids": ["e" * 1_000] * 10}
        with closing(SyslogSink("siem", receiver, ocsf)) as sink:
            report = sink.deliver([big])

    assert (report.n_done, report.failure) == (1, None)
    assert "do not fit into a datagram" in report.refused[0]
