"""What the tests of sinks share: alerts, certificates, telemetry without a port."""

from __future__ import annotations

import io
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trustme

from detector.telemetry import Logs, Metrics, Telemetry
from tests.contracts.alerts import an_alert
from tests.sinks.receivers import WebServer, web_server


class Tls(NamedTuple):
    """A certificate for loopback, and the authority that made it."""

    server: ssl.SSLContext
    server_file: Path
    ca_file: Path
    client_file: Path


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    """A private authority, as banks have one."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server = authority.issue_cert("127.0.0.1")
    server.configure_cert(context)
    server.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    client = authority.issue_cert("detector@bank.example")
    client.private_key_and_cert_chain_pem.write_to_path(folder / "client.pem")
    return Tls(context, *(folder / f"{name}.pem" for name in ("server", "ca", "client")))


@pytest.fixture
def web() -> Iterator[WebServer]:
    """A web server without TLS."""
    with web_server() as running:
        yield running


@pytest.fixture
def log() -> io.StringIO:
    """Where log lines go."""
    return io.StringIO()


@pytest.fixture
def telemetry(log: io.StringIO) -> Iterator[Telemetry]:
    """Telemetry that listens nowhere."""
    metrics = Metrics(sinks=["siem", "file"])
    with Telemetry(metrics, address=None, logs=Logs(stream=log)) as telemetry:
        yield telemetry


def alerts(n: int) -> list[dict[str, Any]]:
    """Return alerts of n people."""
    return [an_alert(f"u{number}").fields for number in range(n)]
