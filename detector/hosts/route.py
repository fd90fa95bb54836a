"""Raw topics of any key and format → one canonical topic, keyed by actor, exactly once."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from detector.columns import Coded, EventBatch
from detector.decode_columns import CODED
from detector.errors import PipelineError
from detector.hosts.live_decode import TOMBSTONE, Decoding, decode_records
from detector.hosts.live_partition import letter_of
from detector.hosts.live_pipeline import Pipeline, Route, load_pipeline
from detector.hosts.live_run import stop_requests
from detector.kafka.messages import Message, letter_message
from detector.kafka.ports import Partition
from detector.kafka.preflight import refuse_unreachable
from detector.kafka.records import Records
from detector.kafka.settings import KafkaSettings, kafka_settings
from detector.kafka.transfer import Transfer
from detector.mapping import load_mapping
from detector.policy import load_policy
from detector.timestamps import NOT_A_TIME

_SECOND_NS = 1_000_000_000


def route_pipeline(path: Path) -> None:
    """Route until SIGTERM or SIGINT.

    Raises:
        DetectorError: a file or a setting is wrong, or it cannot go on.
    """
    pipeline, settings = load_pipeline(path), kafka_settings()
    if pipeline.route is None:
        raise PipelineError("has no [route]", where=str(path), hint="Add route.topic and sources")
    transfer = transfer_of(pipeline, pipeline.route, settings)
    writes = [one for one in (pipeline.route.topic, pipeline.dead_letters.topic) if one]
    refuse_unreachable(settings, transfer.topics, transfer.group, writes)
    with stop_requests() as is_over:
        transfer.run(lambda _is_at_end: is_over())


def transfer_of(pipeline: Pipeline, route: Route, settings: KafkaSettings) -> Transfer:
    """Return what the pipeline's route says."""
    max_line_bytes = load_policy(pipeline.policy).limits.max_line_bytes
    decodings = {
        topic: Decoding(load_mapping(source.mapping), max_line_bytes, pipeline.scanner)
        for source in route.sources
        for topic in source.topics
    }
    letters = pipeline.dead_letters.topic

    def transform(partition: Partition, records: Records) -> Sequence[Message]:
        return routed(partition, records, decodings[partition.topic], route.topic, letters)

    return Transfer(
        settings=settings,
        topics=tuple(decodings),
        group=route.group,
        writer=f"{route.group}.{socket.gethostname()}.{os.getpid()}",
        transform=transform,
        reading=pipeline.reading,
    )


def routed(
    partition: Partition, records: Records, decoding: Decoding, topic: str, letters: str | None
) -> list[Message]:
    """Return canonical events keyed by actor, and dead letters if there is a topic for them."""
    found = decode_records(records, decoding, partition.stream)
    lines = canonical_lines(found.batch)
    users = found.batch.user_ids
    messages: list[Message] = [
        (topic, users[row].encode(), line, []) for row, line in enumerate(lines)
    ]
    if letters is not None:
        messages += [
            letter_message(letters, letter_of(partition, records, reject, decoding.mapping.digest))
            for reject in found.rejects
            if reject.reason != TOMBSTONE
        ]
    return messages


def canonical_lines(batch: EventBatch) -> list[bytes]:
    """Return events as canonical JSON; what is missing is left out.

    >>> from detector.decode import Bounds, decode
    >>> line = (b'{"event_id":"1","event_time":"2026-03-02T10:00:00.5+08:00",'
    ...         b'"user_id":"u","action":"read"}')
    >>> batch, _ = decode([line], load_mapping(None), Bounds(0, 2**62), source="s", first_line=1)
    >>> canonical_lines(batch)[0][:66]
    b'{"event_id":"1","event_time":"2026-03-02T02:00:00.500000000Z","use'
    """
    coded: dict[str, Coded] = {name: getattr(batch, name) for name in CODED}
    lines = []
    for row in range(len(batch)):
        event: dict[str, Any] = {
            "event_id": batch.event_ids[row],
            "event_time": _iso_ns(int(batch.event_time_ns[row])),
            "user_id": batch.user_ids[row],
        }
        event |= {name: text for name, one in coded.items() if (text := one.at(row)) is not None}
        if batch.customer_ids[row]:
            event["customer_id"] = batch.customer_ids[row]
        if batch.valid_until_ns[row] != NOT_A_TIME:
            event["valid_until"] = _iso_ns(int(batch.valid_until_ns[row]))
        event["record_count"] = int(batch.record_count[row])
        lines.append(orjson.dumps(event))
    return lines


def _iso_ns(time_ns: int) -> str:
    seconds, rest_ns = divmod(time_ns, _SECOND_NS)
    moment = datetime.fromtimestamp(seconds, tz=UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest_ns:09d}Z"
