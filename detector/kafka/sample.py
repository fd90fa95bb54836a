"""The newest records of a topic, read without joining a group: nothing moves."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from kafka import KafkaConsumer
from kafka.errors import KafkaError
from kafka.structs import TopicPartition

from detector.kafka.preflight import UnreachableError
from detector.kafka.records import Records, lay_out
from detector.kafka.settings import KafkaSettings

_MAX_PARTITIONS = 16
_PATIENCE_S = 8.0
_MAX_FETCH_BYTES = 4_194_304


def newest_records(
    settings: KafkaSettings, topic: str, n_partitions: int, n_records: int
) -> dict[int, Records]:
    """Return up to ``n_records`` of the newest records of each of some partitions.

    Raises:
        UnreachableError: the topic may not be read.
    """
    step = max(n_partitions // _MAX_PARTITIONS, 1)
    chosen = [TopicPartition(topic, number) for number in range(0, n_partitions, step)]
    try:
        consumer = KafkaConsumer(
            **settings.client(),
            group_id=None,
            enable_auto_commit=False,
            isolation_level="read_committed",
            fetch_max_bytes=_MAX_FETCH_BYTES,
            metrics_enabled=False,
        )
        try:
            return _read(consumer, chosen, n_records)
        finally:
            consumer.close()
    except KafkaError as error:
        what, hint = f"cannot be read ({type(error).__name__})", "Grant READ on it"
        raise UnreachableError(what, where=f"topic {topic}", hint=hint) from None


def _read(consumer: Any, chosen: list[TopicPartition], n_records: int) -> dict[int, Records]:
    consumer.assign(chosen)
    first, end = consumer.beginning_offsets(chosen), consumer.end_offsets(chosen)
    waiting = {partition for partition in chosen if end[partition] > first[partition]}
    for partition in chosen:
        consumer.seek(partition, max(first[partition], end[partition] - n_records))
    found: dict[TopicPartition, list[Any]] = {partition: [] for partition in chosen}
    until = time.monotonic() + _PATIENCE_S
    while waiting and time.monotonic() < until:
        for partition, records in consumer.poll(timeout_ms=200).items():
            found[partition] += records
        waiting = {p for p in waiting if consumer.position(p) < end[p]}
    return _laid_out(found, n_records)


def _laid_out(found: Mapping[TopicPartition, list[Any]], n_records: int) -> dict[int, Records]:
    return {
        partition.partition: lay_out(records[-n_records:], records[-1].offset + 1)
        for partition, records in found.items()
        if records
    }
