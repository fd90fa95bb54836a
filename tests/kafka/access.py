"""Access events for the broker: what is sent, and what an undisturbed run makes of it."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import islice
from pathlib import Path

import orjson
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from detector.engine import new_state, step
from detector.hosts.live_decode import Decoding, decode_records, offset_of
from detector.kafka.records import lay_out
from detector.kafka.settings import KafkaSettings
from detector.mapping import load_mapping
from detector.plan import Plan, build_plan
from detector.policy import load_policy
from detector.reference import Reference
from detector.store import Store
from tests.kafka.simulated import Record
from tests.streams import MONDAY, event

POLICY = "[alerts]\nbuiltin_threshold = 0.3\n"
"""A low bar: many alerts from few events."""

Log = list[Record]


def access_log(seed: int, n: int) -> Log:
    """Return records of one partition: mostly events, some that cannot be used, some twice."""
    dice, log = random.Random(seed), []
    for number in range(n):
        user = f"u{seed}-{dice.randrange(6)}"
        when = MONDAY + timedelta(minutes=3 * number - dice.choice((0, 0, 0, 300)))
        twin = dice.choice((number, number, number, max(0, number - 5)))
        fields = event(twin, user, when, records=dice.choice((1, 2, 3, 5, 700)))
        value: bytes | None = orjson.dumps(fields)
        if dice.random() < 0.03:
            value = dice.choice((b"{", b"\xff", None, b'{"event_id":"x"}', b"[]"))
        log.append(Record(number, -1, user.encode(), value, (("n", str(number).encode()),)))
    return log


def low_plan() -> Plan:
    """The plan of ``POLICY``."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "policy.toml"
        path.write_text(POLICY)
        return build_plan(load_policy(path), None, Reference())


class Expected:
    """What the engine alone makes of some logs."""

    def __init__(self, plan: Plan, logs: Mapping[int, Sequence[Record]], topic: str) -> None:
        decoding = Decoding(load_mapping(None), 1_000_000)
        self.alerts: dict[int, list[bytes]] = {}
        self.letters: dict[tuple[int, int], bytes | None] = {}
        for number, log in logs.items():
            found = decode_records(lay_out(log, len(log)), decoding, f"{topic}/{number}")
            result = step(new_state(plan), found.batch, plan)
            self.alerts[number] = [alert.to_json_line() for alert in result.alerts]
            for reject in (*found.rejects, *result.rejects):
                if reject.reason != "tombstone":
                    offset = offset_of(reject)
                    self.letters[number, offset] = log[offset].value


def send(settings: KafkaSettings, topic: str, number: int, records: Sequence[Record]) -> None:
    """Write records to a partition, in order."""
    producer = KafkaProducer(**settings.client(), linger_ms=5)
    for one in records:
        producer.send(topic, one.value, one.key, list(one.headers), partition=number)
    producer.flush()
    producer.close()


def read_topic(settings: KafkaSettings, topic: str) -> Iterator[Record]:
    """Return everything committed in a topic, partition by partition."""
    consumer = KafkaConsumer(
        **settings.client(), isolation_level="read_committed", enable_auto_commit=False
    )
    places = [TopicPartition(topic, n) for n in sorted(consumer.partitions_for_topic(topic))]
    ends = consumer.end_offsets(places)
    consumer.assign(places)
    consumer.seek_to_beginning(*places)
    found: dict[TopicPartition, list[Record]] = {place: [] for place in places}
    while any(consumer.position(place) < ends[place] for place in places):
        for place, records in consumer.poll(200).items():
            found[place] += [
                Record(r.offset, r.timestamp, r.key, r.value, tuple(r.headers)) for r in records
            ]
    consumer.close()
    for place in places:
        yield from found[place]


def by_actor(lines: Sequence[bytes]) -> dict[str, list[bytes]]:
    """Return alert lines per actor, in order."""
    found: dict[str, list[bytes]] = {}
    for line in lines:
        found.setdefault(orjson.loads(line)["user_id"], []).append(line.rstrip(b"\n"))
    return found


def published(settings: KafkaSettings, topic: str) -> dict[str, list[bytes]]:
    """Return the alerts topic per actor, in order; keys must be the actors."""
    found: dict[str, list[bytes]] = {}
    for record in read_topic(settings, topic):
        found.setdefault((record.key or b"").decode(), []).append(record.value or b"")
    return found


def dead(settings: KafkaSettings, topic: str) -> list[tuple[tuple[int, int], bytes | None]]:
    """Return the dead letters: place and bytes of each, sorted."""
    letters = []
    for record in read_topic(settings, topic):
        notes = dict(record.headers)
        place = (int(notes["detector.partition"]), int(notes["detector.offset"]))
        letters.append((place, record.value))
    return sorted(letters)


def stored(store: Store, topic: str, n_partitions: int) -> dict[int, list[bytes]]:
    """Return the alerts table per partition, in order of emission."""
    return {n: list(store.alert_lines(f"{topic}/{n}")) for n in range(n_partitions)}


def slices(log: Log, size: int) -> Iterator[Log]:
    """Cut a log."""
    rest = iter(log)
    while part := list(islice(rest, size)):
        yield part
