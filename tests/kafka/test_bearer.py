"""OAUTHBEARER against the real broker, whose own validator takes tokens without a signature."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from detector.kafka.preflight import UnreachableError, refuse_unreachable
from detector.kafka.settings import KafkaSettings
from tests.kafka.access import access_log, low_plan, send
from tests.kafka.running import Stream, assert_calm, wait_until_shown
from tests.parts.kafka import KafkaCluster

NewTopic = Callable[..., str]


def token(user: str, seconds: float) -> str:
    """Return an unsecured JWS (RFC 7515, appendix A.5) that ends in so many seconds."""
    now_s = time.time()
    claims = {"sub": user, "iat": now_s - 60, "exp": now_s + seconds}
    parts = [base64.urlsafe_b64encode(orjson.dumps(one)) for one in ({"alg": "none"}, claims)]
    return ".".join(part.rstrip(b"=").decode() for part in parts) + "."


@pytest.fixture
def bearer(kafka: KafkaCluster, tmp_path: Path) -> Callable[..., KafkaSettings]:
    """Settings with a token of a user in a file."""

    def settings(user: str, seconds: float = 600.0) -> KafkaSettings:
        file = tmp_path / "token"
        file.write_text(token(user, seconds) + "\n")
        return KafkaSettings(
            bootstrap=kafka.secure("SASL_SSL"),
            protocol="SASL_SSL",
            mechanism="OAUTHBEARER",
            token_file=file,
            ca_file=kafka.certificates.ca,
            session_timeout_s=6.0,
        )

    return settings


def test_a_worker_with_a_token_gives_the_calm_run_s_alerts(
    bearer: Callable[..., KafkaSettings],
    settings: KafkaSettings,
    new_topic: NewTopic,
    tmp_path: Path,
) -> None:
    """Group, transactions and offsets, all logged in by the token's user."""
    topic, alerts, letters = new_topic(1), new_topic(1), new_topic(1)
    url = f"sqlite:///{tmp_path}/alerts.db"
    stream = Stream(bearer("worker"), topic, alerts, letters, url, low_plan())
    log = access_log(8, 300)
    send(settings, topic, 0, log)
    with stream.running():
        wait_until_shown(stream, {0: 300})

    assert_calm(stream, {0: log})


@pytest.mark.parametrize(
    ("user", "seconds", "words"),
    [
        ("worker", -1.0, "refuses the token, or does not offer OAUTHBEARER. Renew the token"),
        ("stranger", 600.0, "may not be read by this user. Grant READ"),
    ],
)
def test_a_token_that_will_not_do_is_named(
    bearer: Callable[..., KafkaSettings],
    new_topic: NewTopic,
    user: str,
    seconds: float,
    words: str,
) -> None:
    """Too old, or of somebody without rights; the token itself is not shown."""
    started_s = time.monotonic()
    settings = bearer(user, seconds)
    with pytest.raises(UnreachableError) as refused:
        refuse_unreachable(settings, [new_topic()], "bearer", [])

    assert words in str(refused.value)
    assert token(user, 0)[:30] not in str(refused.value)
    assert time.monotonic() - started_s < 15
