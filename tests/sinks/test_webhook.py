"""Webhooks: signed, verified, patient, and not at the mercy of whoever answers."""

from __future__ import annotations

import json
import re
import socket
import ssl
import time
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Event

import pytest

from detector.errors import OptionError
from detector.sinks import webhook
from detector.sinks.base import Report
from detector.sinks.settings import native
from detector.sinks.webhook import Endpoint, WebhookSink, signature, signing_key
from tests.sinks.conftest import Tls, alerts
from tests.sinks.receivers import WebServer, status, web_server

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105  the published example
TOKEN = "t0ken"  # noqa: S105
NOW_S = 1_800_000_000


def deliver(web: WebServer, n_alerts: int, **settings: object) -> Report:
    """Deliver some alerts to a server."""
    url = f"http://127.0.0.1:{web.port}/hook"
    return deliver_to(Endpoint(url, **settings), n_alerts)  # type: ignore[arg-type]


def deliver_to(endpoint: Endpoint, n_alerts: int = 1) -> Report:
    """Deliver some alerts to an endpoint."""
    with closing(WebhookSink("siem", endpoint, native, clock_s=lambda: NOW_S)) as sink:
        return sink.deliver(alerts(n_alerts))


def test_the_signature_is_the_one_of_standard_webhooks() -> None:
    """Their published example."""
    got = signature(
        signing_key(SECRET, "x"),
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "1614265330",
        b'{"test": 2432232314}',
    )

    assert got == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_each_alert_is_one_signed_request_with_a_stable_key(web: WebServer) -> None:
    """The receiver can verify, reject replays by time, and drop what it has."""
    sent = alerts(2)
    report = deliver(web, 2, key=SECRET, token=TOKEN)

    assert (report.n_done, report.failure) == (2, None)
    assert web.keys == [f"{alert['alert_id']}-1" for alert in sent]
    for request, alert in zip(web.requests, sent, strict=True):
        assert json.loads(request.body) == alert
        key, stamp = request.headers["webhook-id"], request.headers["webhook-timestamp"]
        assert (key, stamp) == (request.headers["idempotency-key"], str(NOW_S))
        expected = signature(signing_key(SECRET, "x"), key, stamp, request.body)
        assert request.headers["webhook-signature"] == expected
        assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert web.n_connections == 1


@pytest.mark.parametrize("code", [401, 403, 404, 408, 425, 429, 500, 502, 503])
def test_what_time_or_an_operator_can_mend_is_tried_again(web: WebServer, code: int) -> None:
    """Behind the one that failed nothing is sent: order stays."""
    web.answers = [status(200), status(code, Retry_After="7")]
    report = deliver(web, 3)

    assert (report.n_done, report.refused, report.retry_after_s) == (1, (), 7.0)
    assert report.failure == f"answered {code}"
    assert len(web.requests) == 2


@pytest.mark.parametrize("code", [400, 410, 413, 415, 422])
def test_what_no_repetition_mends_is_counted_and_passed_over(web: WebServer, code: int) -> None:
    """One alert that a receiver cannot read does not keep back all others."""
    web.answers = [status(code)]
    sent = alerts(2)
    report = deliver(web, 2)

    assert (report.n_done, report.failure) == (2, None)
    assert report.refused == (f"answered {code} to {sent[0]['alert_id']}-1",)


def test_a_conflict_means_the_receiver_has_it(web: WebServer) -> None:
    """That is how an idempotency key is answered the second time."""
    web.answers = [status(409)]
    report = deliver(web, 1)

    assert (report.n_done, report.refused) == (1, ())


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(web: WebServer, code: int) -> None:
    """Not to another host, and not to another path: an alert goes where the settings say."""
    with web_server() as elsewhere:
        web.answers = [status(code, Location=f"http://127.0.0.1:{elsewhere.port}/")]
        report = deliver(web, 1)

        assert report.failure is not None
        assert "redirects are not followed" in report.failure
        assert elsewhere.requests == []


def test_a_huge_answer_is_not_read(web: WebServer) -> None:
    """The status is all we want; the connection is dropped."""
    n_written = 0

    def flood(handler: BaseHTTPRequestHandler) -> None:
        nonlocal n_written
        handler.send_response(200)
        handler.send_header("Content-Length", str(1 << 40))
        handler.end_headers()
        with suppress(OSError):
            while True:
                n_written += handler.wfile.write(b"\x1b[2J" * 16_384)

    web.answers = [flood]
    report = deliver(web, 2)

    assert (report.n_done, report.failure) == (2, None)
    assert n_written < 1 << 26


@pytest.mark.parametrize("what", ["headers", "body"])
def test_an_answer_that_drips_for_ever_ends(
    web: WebServer, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """A byte now and then satisfies the time limit of every read, not the one of the whole."""
    monkeypatch.setattr(webhook, "_CONNECT_S", 0.1)
    monkeypatch.setattr(webhook, "_ANSWER_S", 0.4)
    ended = Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        if what == "body":
            handler.wfile.write(b"Content-Length: 100000\r\n\r\n")
        with suppress(OSError):
            while not ended.wait(0.02):
                handler.wfile.write(b"x")

    web.answers = [drip]
    started = time.monotonic()
    report = deliver(web, 1)
    ended.set()

    assert time.monotonic() - started < 8
    assert report.n_done == (1 if what == "body" else 0)


@pytest.mark.parametrize(
    "rubbish",
    [
        b"\x00\xff\x1b]0;owned\x07\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n",
        b"HTTP/9.9 999 \xe2\x80\xae\r\n\r\n",
        b"",
    ],
)
def test_rubbish_is_a_failure_that_quotes_nothing(web: WebServer, rubbish: bytes) -> None:
    """What a receiver says ends up in no log."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(rubbish)
        handler.close_connection = True

    web.answers = [answer]
    report = deliver(web, 1)

    assert report.n_done == 0
    assert report.failure is not None
    assert re.fullmatch(r"no answer \(\w+\)|answered 999", report.failure)


def test_nobody_there_is_a_failure_without_an_address() -> None:
    """It is in the settings; a log does not need it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    report = deliver(WebServer(port), 1)

    assert report.failure == "no answer (ConnectError)"


def test_a_private_authority_is_trusted_only_where_it_is_named(tls: Tls) -> None:
    """Without it, or under another name, nothing is sent."""
    with web_server(tls.server) as web:
        url, other_name = (f"https://{host}:{web.port}/" for host in ("127.0.0.1", "localhost"))

        assert deliver_to(Endpoint(url, ca_file=tls.ca_file)).n_done == 1
        assert deliver_to(Endpoint(url)).failure == "no answer (ConnectError)"
        assert deliver_to(Endpoint(other_name, ca_file=tls.ca_file)).n_done == 0
        assert len(web.requests) == 1


def test_a_receiver_can_ask_for_our_certificate(tls: Tls) -> None:
    """Mutual TLS, common between systems of a bank."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.server_file)
    context.load_verify_locations(tls.ca_file)
    context.verify_mode = ssl.CERT_REQUIRED
    with web_server(context) as web:
        url = f"https://127.0.0.1:{web.port}/"
        known = Endpoint(url, ca_file=tls.ca_file, certificate=tls.client_file)
        unknown = Endpoint(url, ca_file=tls.ca_file)

        assert deliver_to(known).n_done == 1
        assert deliver_to(unknown).n_done == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"url": "http://siem.bank.example/"}, "sinks.siem.url: would send alerts unencrypted"),
        ({"url": "ftp://siem/"}, "sinks.siem.url: is no URL of a web server"),
        ({"url": "https://siem:port/"}, "sinks.siem.url: is no URL of a web server"),
        ({"url": "https://me:pw@siem/"}, "sinks.siem.url: holds a password"),
        ({"url": "https://siem/", "key": "short"}, "sinks.siem.secret: is too short a secret"),
        ({"url": "https://siem/", "key": "whsec_?"}, "sinks.siem.secret: is no base64"),
        ({"url": "https://siem/", "ca_file": Path("nowhere")}, "sinks.siem.ca_file: nowhere"),
        ({"url": "https://s/", "certificate": Path("x")}, "sinks.siem.certificate_file: x"),
    ],
)
def test_wrong_settings_are_named_before_the_first_alert(
    settings: dict[str, object], message: str
) -> None:
    """Place, value, remedy; never the secret."""
    with pytest.raises(OptionError) as error:
        WebhookSink("siem", Endpoint(**settings), native)  # type: ignore[arg-type]

    assert str(error.value).startswith(message)
    assert "pw" not in str(error.value)
