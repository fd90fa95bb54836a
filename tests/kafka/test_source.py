"""Raw batches equal what the client's own `poll` gives, on a real broker."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import pytest
from kafka import KafkaProducer
from kafka.errors import KafkaConnectionError, RebalanceInProgressError

from detector.kafka import raw
from detector.kafka.ports import Partition
from detector.kafka.records import Header
from detector.kafka.settings import KafkaSettings
from detector.kafka.source import KafkaSource, Reading

CODECS = (None, "gzip", "snappy", "lz4", "zstd")
NewTopic = Callable[..., str]
Row = tuple[int, int, bytes | None, bytes | None, list[Header]]


def rows(
    settings: KafkaSettings, topic: str, *, raw: bool, start: int = 0, n_partitions: int = 1
) -> dict[int, list[Row]]:
    """Read a topic to its end; everything of every record, by partition."""
    source = KafkaSource(settings, [topic], f"{topic}-{raw}-{start}", Reading(raw=raw))
    assert source.is_raw is raw, source.misfit
    found: dict[int, list[Row]] = {number: [] for number in range(n_partitions)}
    waiting = set(found)
    deadline = time.monotonic() + 30
    try:
        while waiting and time.monotonic() < deadline:
            polled = source.poll(0.1)
            for partition in polled.assigned:
                source.seek(partition, start)
            for partition, records in polled.records.items():
                assert records.next_offset <= polled.positions[partition]
                spans = records.spans
                found[partition.number] += [
                    (
                        int(spans.offset[row]), int(spans.time_ms[row]), records.key(row),
                        records.value(row), records.headers(row),
                    )
                    for row in range(len(records))
                ]  # fmt: skip
            done = {p.number for p, lag in source.lag().items() if lag == 0}
            waiting -= done & {p.number for p in polled.positions}
    finally:
        source.close()
    assert not waiting
    return found


def produce(settings: KafkaSettings, topic: str, seed: int, **options: Any) -> None:
    """Send records of many shapes: tombstones, empty and large ones, headers."""
    dice, now_ms = random.Random(seed), time.time_ns() // 10**6
    producer = KafkaProducer(**settings.client(), linger_ms=5, batch_size=4_000, **options)
    for i in range(300):
        key = dice.choice([None, b"", f"u{i % 7}".encode()])
        value = dice.choice(
            [
                None if key is not None else b"",
                b"",
                b"x" * dice.randrange(3_000),
                f'{{"n":{i}}}'.encode(),
            ]
        )
        names = ("a", "source", "日")
        headers = [
            (name, dice.choice([b"", b"\xff\x00", name.encode()]))
            for name in names[: dice.randrange(4)]
        ]
        producer.send(topic, value, key, headers, timestamp_ms=now_ms - dice.randrange(10**7))
    producer.flush()
    producer.close()


@pytest.mark.parametrize("codec", CODECS)
def test_raw_batches_equal_polled_records(
    settings: KafkaSettings, new_topic: NewTopic, codec: str | None
) -> None:
    """Offsets, times, keys, tombstones and headers, whatever the codec and the first offset."""
    topic = new_topic()
    produce(settings, topic, seed=len(str(codec)), compression_type=codec)

    polled = rows(settings, topic, raw=False)

    assert len(polled[0]) == 300
    assert rows(settings, topic, raw=True) == polled
    assert rows(settings, topic, raw=True, start=77)[0] == polled[0][77:]


@pytest.mark.parametrize("codec", CODECS[1:])
def test_batches_compressed_by_the_broker_are_read(
    settings: KafkaSettings, new_topic: NewTopic, codec: str
) -> None:
    """The broker's Java codecs frame their output in other ways than Python's."""
    topic = new_topic(compression_type=codec, message_timestamp_type="LogAppendTime")
    produce(settings, topic, seed=7)

    assert rows(settings, topic, raw=True) == rows(settings, topic, raw=False)


def test_aborted_transactions_are_not_seen(settings: KafkaSettings, new_topic: NewTopic) -> None:
    """Committed and aborted batches of two producers lie one among the other."""
    topic = new_topic()
    producers = [
        KafkaProducer(**settings.client(), transactional_id=f"{topic}-{n}") for n in range(2)
    ]
    for producer in producers:
        producer.init_transactions()
    expected = []
    for turn in range(12):
        for number, producer in enumerate(producers):
            producer.begin_transaction()
            for i in range(3):
                producer.send(topic, f"{turn} {number} {i}".encode(), b"k")
            producer.flush()
        for number, producer in enumerate(producers):
            if (turn + number) % 3:
                producer.abort_transaction()
            else:
                producer.commit_transaction()
                expected += [f"{turn} {number} {i}".encode() for i in range(3)]
    for producer in producers:
        producer.close()

    found = rows(settings, topic, raw=True)

    assert found == rows(settings, topic, raw=False)
    assert sorted(row[3] or b"" for row in found[0]) == sorted(expected)


def test_a_position_passes_what_readers_are_not_shown(
    settings: KafkaSettings, new_topic: NewTopic
) -> None:
    """Else the lag of a transactional topic would never be 0, and the watchdog would bark."""
    topic = new_topic()
    producer = KafkaProducer(**settings.client(), transactional_id=topic)
    producer.init_transactions()
    producer.begin_transaction()
    producer.send(topic, b"{}")
    producer.flush()
    producer.abort_transaction()
    producer.close()
    source = KafkaSource(settings, [topic], topic)
    position = 0
    for _ in range(100):
        polled = source.poll(0.1)
        for partition in polled.assigned:
            source.seek(partition, 0)
        position = polled.positions.get(Partition(topic, 0), 0)
        if position:
            break
    source.close()

    assert position == 2


def test_a_changed_client_is_noticed(
    settings: KafkaSettings, new_topic: NewTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Private parts may change with any version: then the public way serves, and it is told."""
    monkeypatch.setattr(raw.Base, "_is_batch_aborted", None)
    monkeypatch.setattr(raw.Base, "take", lambda _self, _n=None: [])
    source = KafkaSource(settings, [new_topic()], "changed")
    source.close()

    assert not source.is_raw
    assert source.misfit


@pytest.mark.parametrize("passing", [KafkaConnectionError, RebalanceInProgressError])
def test_a_broker_that_restarts_does_not_stop_what_only_shows_positions(
    passing: type[Exception],
    settings: KafkaSettings,
    new_topic: NewTopic,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The store holds the position; the group's offsets follow at the next turn."""
    name = new_topic()
    source = KafkaSource(settings, [name], f"{name}-shown", Reading())

    def fails(*_: object, **__: object) -> None:
        raise passing

    try:
        monkeypatch.setattr(source._consumer, "commit", fails)

        assert not source.commit({Partition(name, 0): 3})
    finally:
        source.close()
