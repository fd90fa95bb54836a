"""`detector doctor` on a real broker: what is wrong with it, in words, and nothing moves."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer

from detector.cli.main import FINDINGS
from tests.conftest import Run
from tests.parts.kafka import PASSWORDS, KafkaCluster

Examined = Callable[..., list[tuple[str, str]]]
SECOND_MS = 1_000


@pytest.fixture
def producer(kafka: KafkaCluster) -> Iterator[KafkaProducer]:
    """A source."""
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap)
    yield producer
    producer.close()


@pytest.fixture
def examined(
    detector: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kafka: KafkaCluster
) -> Examined:
    """Examine a pipeline; return level and words of what was found about Kafka."""

    def run(topic: str, tail: str = "", *options: str, **environment: str) -> list[tuple[str, str]]:
        settings = {"BOOTSTRAP": kafka.bootstrap, **environment}
        for name, value in settings.items():
            monkeypatch.setenv(f"DETECTOR_KAFKA_{name}", value)
        monkeypatch.setenv("DETECTOR_STORE", f"sqlite:///{tmp_path}/alerts.db")
        pipeline = tmp_path / "pipeline.toml"
        pipeline.write_text(f'[source]\ntopics = ["{topic}"]\ngroup = "doctor"\n{tail}\n')
        done = detector("doctor", pipeline, "--json", *options)
        assert done.code in {0, FINDINGS}
        assert not any(secret in done.out + done.err for secret in PASSWORDS.values())
        found: list[dict[str, Any]] = json.loads(done.out)
        levels = {one["level"] for one in found}
        assert (done.code == FINDINGS) == ("error" in levels)
        return [(one["level"], one["what"]) for one in found if one["check"] == "kafka"]

    return run


def send(
    producer: KafkaProducer, topic: str, n: int, partition_of: Callable[[int], int], **changes: Any
) -> None:
    """Send events of 20 people."""
    now_ms = int(time.time() * 1_000)
    for number in range(n):
        event = {
            "event_id": f"e{number}",
            "event_time": "2026-03-02T10:41:07+08:00",
            "user_id": f"u{number % 20}",
            "action": "read",
            **changes.get("fields", {}),
        }
        producer.send(
            topic,
            json.dumps(event).encode(),
            key=f"u{number % 20}".encode(),
            partition=partition_of(number % 20 if "by_actor" in changes else number),
            timestamp_ms=now_ms + changes.get("ahead_ms", 0),
        )
    producer.flush()


def levels(found: list[tuple[str, str]]) -> set[str]:
    """Return the levels."""
    return {level for level, _ in found}


def test_a_topic_as_it_should_be_is_found_good(
    examined: Examined, producer: KafkaProducer, new_topic: Callable[..., str]
) -> None:
    """Keyed by actor, kept for a week, read and understood; nobody joins the group."""
    topic, alerts = new_topic(4, retention_ms="604800000"), new_topic()
    send(producer, topic, 200, lambda user: user % 4, by_actor=True)
    found = examined(topic, f'[alerts]\ntopic = "{alerts}"')

    assert levels(found) == {"ok"}
    assert [what for _, what in found][-6:] == [
        "may be written",
        "may be joined",
        "has 4 partitions and may be read",
        "keeps records for 168 h",
        "200 of 200 sampled records are events",
        "each of 20 people sampled is in one partition",
    ]


def test_a_topic_that_is_not_keyed_by_actor_is_an_error(
    examined: Examined, producer: KafkaProducer, new_topic: Callable[..., str]
) -> None:
    """Each part of a person would be judged alone; nobody is named."""
    topic = new_topic(3, retention_ms="604800000")
    send(producer, topic, 300, lambda number: number % 3)
    (error,) = [what for level, what in examined(topic) if level == "error"]

    assert error == (
        "is not keyed by actor: 20 of 20 people in the sample are in several partitions, "
        "and each part would be judged alone"
    )


Config = dict[str, str]


@pytest.mark.parametrize(
    ("config", "level", "words"),
    [
        ({"retention_ms": "3600000"}, "error", "keeps records for 1.0 h, and the longest catch-up"),
        ({"retention_ms": "-1"}, "ok", "keeps records for ever"),
        ({"retention_ms": "-1", "retention_bytes": "1048576"}, "warning", "beyond 1,048,576 bytes"),
        ({"retention_ms": "-1", "cleanup_policy": "compact"}, "error", "is compacted"),
    ],
)
def test_retention_is_compared_with_the_longest_absence(
    examined: Examined,
    new_topic: Callable[..., str],
    config: dict[str, str],
    level: str,
    words: str,
) -> None:
    """What is gone before we are back was never watched."""
    assert any(one == level and words in what for one, what in examined(new_topic(1, **config)))


def test_the_longest_absence_can_be_stated(
    examined: Examined, new_topic: Callable[..., str]
) -> None:
    """A bank that is on call at weekends needs less."""
    found = examined(new_topic(1, retention_ms="7200000"), "", "--catch-up-hours", "1.5")

    assert "error" not in levels(found)


def test_records_that_are_no_events_are_counted_by_reason(
    examined: Examined, producer: KafkaProducer, new_topic: Callable[..., str]
) -> None:
    """A mapping that does not fit shows before the first day without alerts."""
    topic = new_topic(1, retention_ms="-1")
    send(producer, topic, 40, lambda _: 0, fields={"action": None})
    errors = [what for level, what in examined(topic) if level == "error"]

    assert len(errors) == 1
    assert errors[0].startswith("40 of 40 sampled records cannot be used: 40 ")


@pytest.mark.parametrize(
    ("ahead_ms", "words"),
    [(600 * SECOND_MS, "ahead of this machine's clock"), (-172_800 * SECOND_MS, "for 48 h")],
)
def test_times_are_compared_with_this_machine_s_clock(
    examined: Examined,
    producer: KafkaProducer,
    new_topic: Callable[..., str],
    ahead_ms: int,
    words: str,
) -> None:
    """A clock that is off, or a source that has stopped."""
    topic = new_topic(1, retention_ms="-1")
    send(producer, topic, 5, lambda _: 0, ahead_ms=ahead_ms)

    assert any(level == "warning" and words in what for level, what in examined(topic))


def test_an_empty_topic_and_a_missing_one_are_told_apart(
    examined: Examined, new_topic: Callable[..., str]
) -> None:
    """The one waits for its source, the other for an operator."""
    empty = examined(new_topic(1, retention_ms="-1"))
    missing = examined("nowhere")

    assert ("warning", "holds no record to look at") in empty
    assert any(level == "error" and "does not exist" in what for level, what in missing)


def test_one_address_of_several_that_does_not_answer_is_a_warning(
    examined: Examined, kafka: KafkaCluster, new_topic: Callable[..., str]
) -> None:
    """It works today, and has no reserve."""
    both = f"127.0.0.1:1,{kafka.bootstrap}"
    found = examined(new_topic(1, retention_ms="-1"), BOOTSTRAP=both)

    assert ("warning", "does not answer (Connection refused)") in found
    assert "error" not in levels(found)


def test_a_user_without_rights_learns_which_are_missing(
    examined: Examined, kafka: KafkaCluster, new_topic: Callable[..., str]
) -> None:
    """On the topic that is read, the one that is written, and the group."""
    alerts = new_topic()
    found = examined(
        new_topic(),
        f'[alerts]\ntopic = "{alerts}"',
        BOOTSTRAP=kafka.secure("SASL_PLAINTEXT"),
        PROTOCOL="SASL_PLAINTEXT",
        MECHANISM="PLAIN",
        USERNAME="stranger",
        PASSWORD=PASSWORDS["stranger"],
    )
    errors = [what for level, what in found if level == "error"]

    assert len(errors) == 3
    assert all("by this user" in what or "authoriz" in what.lower() for what in errors)


def test_where_verdicts_go_back_the_source_must_be_writable(
    examined: Examined, new_topic: Callable[..., str]
) -> None:
    """A right that reading does not need."""
    topic = new_topic()

    assert ("ok", "may be written") not in examined(topic)
    assert ("ok", "may be written") in examined(topic, "[verdicts]\npublish = true")


@pytest.mark.parametrize(
    ("protocol", "settings", "words"),
    [
        ("SASL_PLAINTEXT", {"PASSWORD": "wrong-secret-3"}, "refuses user name or password"),
        ("SSL", {}, "certificate that is not trusted"),
    ],
)
def test_wrong_credentials_and_certificates_are_named(
    examined: Examined, kafka: KafkaCluster, protocol: str, settings: dict[str, str], words: str
) -> None:
    """Not "unable to bootstrap"."""
    found = examined(
        "access",
        BOOTSTRAP=kafka.secure(protocol),
        PROTOCOL=protocol,
        MECHANISM="PLAIN",
        USERNAME="worker",
        **settings,
    )

    assert any(level == "error" and words in what for level, what in found)


def test_a_router_s_sources_need_no_key(
    examined: Examined,
    producer: KafkaProducer,
    new_topic: Callable[..., str],
    tmp_path: Path,
    detector: Run,
) -> None:
    """Re-keying them is what it is for; its target is tried for writing."""
    raw, target = new_topic(3, retention_ms="-1"), new_topic(3)
    send(producer, raw, 60, lambda number: number % 3)
    examined("nowhere")
    pipeline = tmp_path / "route.toml"
    pipeline.write_text(
        f'[route]\ntopic = "{target}"\ngroup = "router"\n[[route.sources]]\ntopics = ["{raw}"]\n'
    )
    done = detector("doctor", pipeline)

    assert done.code == 0, done.out
    assert "60 of 60 sampled records are events" in done.out
    assert f"topic {target}: may be written" in done.out
