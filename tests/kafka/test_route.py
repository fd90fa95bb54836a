"""Raw topics of several formats become one canonical topic, keyed by actor, exactly once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
from kafka import KafkaProducer

from detector.hosts.live_pipeline import load_pipeline
from detector.hosts.route import transfer_of
from detector.kafka import transfer as transfer_module
from detector.kafka.messages import letter_message
from detector.kafka.settings import KafkaSettings
from tests.conftest import Run
from tests.kafka.access import read_topic, send
from tests.kafka.simulated import Record
from tests.streams import MONDAY, event

NewTopic = Callable[..., str]
MAPPING = """[fields]
event_id = "/id"
event_time = { pointer = "/@kafka/headers/written", formats = ["epoch_ms"] }
user_id = "/@kafka/key"
action = { constant = "read" }
customer_id = "/customer"
system = "/@kafka/headers/source"
"""
WRITTEN_MS = 1_772_424_000_000


def crm_record(number: int, user: str) -> Record:
    """A record of a system whose time and name stand in headers, its actor in the key."""
    value = orjson.dumps({"id": f"crm{number}", "customer": f"c{number}"})
    headers = (("source", b"crm"), ("written", str(WRITTEN_MS + number).encode()))
    return Record(number, 0, user.encode(), value, headers)


def core_record(number: int, user: str) -> Record:
    """A canonical record of another system, keyed by nothing."""
    when = MONDAY + timedelta(seconds=number)
    return Record(number, 0, None, orjson.dumps(event(number, user, when, system="core")), ())


@pytest.fixture
def pipeline(tmp_path: Path, new_topic: NewTopic) -> Path:
    """A pipeline of two raw topics."""
    (tmp_path / "crm.toml").write_text(MAPPING)
    path = tmp_path / "route.toml"
    path.write_text(
        f'[route]\ntopic = "{new_topic(3)}"\ngroup = "{new_topic()}"\n'
        f'[[route.sources]]\ntopics = ["{new_topic(2)}"]\nmapping = "crm.toml"\n'
        f'[[route.sources]]\ntopics = ["{new_topic()}"]\n'
        f'[dead_letters]\ntopic = "{new_topic()}"\n'
    )
    return path


def routed(path: Path, settings: KafkaSettings) -> list[Record]:
    """Return what has been written to the canonical topic."""
    route = load_pipeline(path).route
    assert route is not None
    return list(read_topic(settings, route.topic))


def test_each_event_is_routed_once_though_transactions_fail(
    pipeline: Path, settings: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the transactions break before or after they are committed."""
    loaded = load_pipeline(pipeline)
    assert loaded.route is not None
    (crm,), (core,) = (source.topics for source in loaded.route.sources)
    send(settings, crm, 0, [crm_record(n, f"u{n % 5}") for n in range(300)])
    send(settings, crm, 1, [crm_record(n, f"u{n % 5}") for n in range(300, 500)])
    send(
        settings, core, 0, [*(core_record(n, f"u{n % 5}") for n in range(200)), crm_record(0, "x")]
    )
    breaks = iter(["before", "", "after", "", *[""] * 1_000])

    class Breaking(KafkaProducer):
        def commit_transaction(self) -> None:
            when = next(breaks)
            if when == "before":
                raise transfer_module.KafkaError("broken before")
            super().commit_transaction()
            if when == "after":
                raise transfer_module.KafkaError("broken after")

    monkeypatch.setattr(transfer_module, "KafkaProducer", Breaking)
    deadline = time.monotonic() + 60
    transfer = transfer_of(loaded, loaded.route, settings)
    transfer.run(lambda is_at_end: is_at_end or time.monotonic() > deadline)
    found = routed(pipeline, settings)

    events = [orjson.loads(record.value or b"") for record in found]
    ids = sorted(item["event_id"] for item in events)
    assert ids == sorted([*(f"crm{n}" for n in range(500)), *(f"e{n}" for n in range(200))])
    assert all(
        (record.key or b"").decode() == item["user_id"]
        for record, item in zip(found, events, strict=True)
    )
    by_id = {item["event_id"]: item for item in events}
    assert by_id["crm7"] == {
        "event_id": "crm7", "event_time": "2026-03-02T04:00:00.007000000Z", "user_id": "u2",
        "action": "read", "system": "crm", "customer_id": "c7", "record_count": 1,
    }  # fmt: skip
    letters = list(read_topic(settings, str(loaded.dead_letters.topic)))
    assert [letter.value for letter in letters] == [crm_record(0, "x").value]


def test_route_stops_when_asked(
    pipeline: Path, settings: KafkaSettings, detector: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command runs until a signal and exits 0."""
    monkeypatch.setenv("DETECTOR_KAFKA_BOOTSTRAP", settings.bootstrap)
    import os
    import signal

    loaded = load_pipeline(pipeline)
    assert loaded.route is not None
    (core,) = loaded.route.sources[1].topics
    send(settings, core, 0, [core_record(1, "u1")])
    timer = threading.Timer(5.0, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    done = detector("route", pipeline)

    assert done.code == 0
    assert len(routed(pipeline, settings)) == 1


@pytest.mark.parametrize("kind", ["topic", "file"])
def test_dead_letters_are_sent_again_once(
    kind: str, pipeline: Path, settings: KafkaSettings, detector: Run,
    monkeypatch: pytest.MonkeyPatch, new_topic: NewTopic,
) -> None:  # fmt: skip
    """As they were, of the reason asked for; a second replay sends what has come since."""
    from detector.kafka.dead_letter_file import DeadLetterFile
    from detector.kafka.ports import DeadLetter, Partition
    from detector.kafka.publisher import Unpublished

    monkeypatch.setenv("DETECTOR_KAFKA_BOOTSTRAP", settings.bootstrap)
    letters = [
        DeadLetter(
            Partition("t", 0), n, ("not_json", "too_late")[n % 2], "", "d",
            b"k%d" % n, b"\xff%d" % n, [("h", b"x")],
        )
        for n in range(6)
    ]  # fmt: skip
    target, letters_topic = new_topic(), new_topic()
    path = pipeline.with_name("letters.toml")
    where = f'topic = "{letters_topic}"' if kind == "topic" else 'file = "letters.jsonl"'
    path.write_text(
        f'[source]\ntopics = ["{target}"]\ngroup = "{letters_topic}"\n[dead_letters]\n{where}\n'
    )

    def keep(some: list[DeadLetter]) -> None:
        if kind == "file":
            file = DeadLetterFile(path.with_name("letters.jsonl"), 10**6, Unpublished(), print)
            file.write(some)
            file.close()
            return
        producer = KafkaProducer(**settings.client())
        for letter in some:
            topic, key, value, headers = letter_message(letters_topic, letter)
            producer.send(topic, value, key, headers)
        producer.close()

    def again() -> str:
        command = ("dead-letters", "replay", path, "--to", target, "--reason", "not_json")
        done = detector(*command)
        assert done.code == 0, done.err
        return done.out

    keep(letters[:4])
    assert again() == f"2 records sent to {target}\n"
    assert again() == f"0 records sent to {target}\n"
    keep(letters[4:])
    assert again() == f"1 records sent to {target}\n"
    found = [(one.key, one.value, one.headers) for one in read_topic(settings, target)]

    assert found == [(one.key, one.value, (("h", b"x"),)) for one in letters[::2]]
