"""What is wrong with a cluster is one sentence within 15 s, without a secret in it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.conftest import Run
from tests.parts.kafka import PASSWORDS, KafkaCluster, free_ports

NewTopic = Callable[..., str]
WRONG = "wrong-secret-9"
PORT = free_ports(1)[0]


def worker_settings(kafka: KafkaCluster, protocol: str, **more: str) -> dict[str, str]:
    """Settings of the user who may do everything."""
    return {
        "BOOTSTRAP": kafka.secure(protocol),
        "PROTOCOL": protocol,
        "MECHANISM": "SCRAM-SHA-256",
        "USERNAME": "worker",
        "PASSWORD": PASSWORDS["worker"],
        "CA_FILE": str(kafka.certificates.ca),
        **more,
    }


@pytest.fixture
def run_with(
    detector: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_topic: NewTopic
) -> Callable[..., str]:
    """Run `detector run` with settings that must be refused; return what it says."""

    def run(settings: Mapping[str, str], topic: str | None = None) -> str:
        for name, value in settings.items():
            monkeypatch.setenv(f"DETECTOR_KAFKA_{name}", value)
        path = tmp_path / "pipeline.toml"
        path.write_text(
            f'store = "sqlite:///{tmp_path}/alerts.db"\n'
            f'[source]\ntopics = ["{topic or new_topic()}"]\ngroup = "preflight"\n'
        )
        started_s = time.monotonic()
        done = detector("run", path)

        assert time.monotonic() - started_s < 15
        assert done.code == 2
        assert done.err.startswith("error: ")
        assert done.err.count("\n") == 1
        for secret in (*PASSWORDS.values(), WRONG):
            assert secret not in done.err + done.out
        return done.err

    return run


def test_an_unknown_host_is_named(run_with: Callable[..., str]) -> None:
    """Not "unable to bootstrap"."""
    said = run_with({"BOOTSTRAP": "no-such-host.invalid:9092"})

    assert "no-such-host.invalid:9092: has an unknown name" in said


def test_a_closed_port_is_named(run_with: Callable[..., str]) -> None:
    """The host is there, nobody listens."""
    assert f"127.0.0.1:{PORT}: does not answer" in run_with({"BOOTSTRAP": f"127.0.0.1:{PORT}"})


def test_something_else_on_the_port_is_named(run_with: Callable[..., str]) -> None:
    """A listener that says nothing is no broker."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        said = run_with({"BOOTSTRAP": f"127.0.0.1:{silent.getsockname()[1]}"})

    assert "answers, but not as a broker" in said


@pytest.mark.parametrize("protocol", ["SSL", "SASL_SSL"])
def test_a_certificate_nobody_trusts_is_named(
    run_with: Callable[..., str], kafka: KafkaCluster, protocol: str
) -> None:
    """The authority is another one."""
    wrong = str(kafka.certificates.wrong_ca)

    said = run_with(worker_settings(kafka, protocol, CA_FILE=wrong))

    assert "shows a certificate that is not trusted" in said
    assert "DETECTOR_KAFKA_CA_FILE" in said


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
@pytest.mark.parametrize("protocol", ["SASL_SSL", "SASL_PLAINTEXT"])
def test_a_wrong_password_is_named(
    run_with: Callable[..., str], kafka: KafkaCluster, protocol: str, mechanism: str
) -> None:
    """And not shown."""
    settings = worker_settings(kafka, protocol, PASSWORD=WRONG, MECHANISM=mechanism)

    assert "refuses user name or password" in run_with(settings)


def test_a_mechanism_that_is_not_offered_is_named(
    run_with: Callable[..., str], kafka: KafkaCluster
) -> None:
    """The broker knows SCRAM-SHA-256 only, and just hangs up."""
    settings = worker_settings(kafka, "SASL_SSL", MECHANISM="SCRAM-SHA-512")

    assert "or does not offer SCRAM-SHA-512" in run_with(settings)


def test_missing_rights_are_named(run_with: Callable[..., str], kafka: KafkaCluster) -> None:
    """A user that is known and may do nothing."""
    settings = worker_settings(
        kafka, "SASL_SSL", USERNAME="stranger", PASSWORD=PASSWORDS["stranger"]
    )

    assert "may not be read by this user. Grant READ" in run_with(settings)


def test_an_unknown_topic_is_named(run_with: Callable[..., str], kafka: KafkaCluster) -> None:
    """It is not created in passing."""
    said = run_with(worker_settings(kafka, "SSL"), topic="no-such-topic")

    assert "topic no-such-topic: does not exist" in said


@pytest.mark.parametrize(
    ("name", "value"),
    [("PROTOCOL", "TLS"), ("SESSION_TIMEOUT_S", "soon"), ("INSTANCE_ID", "a b")],
)
def test_a_wrong_setting_is_named(run_with: Callable[..., str], name: str, value: str) -> None:
    """With the variable, before anything is tried."""
    assert f"DETECTOR_KAFKA_{name}: " in run_with({name: value}, topic="any")
