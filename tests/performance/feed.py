"""Events at a steady rate, faster than a producer in Python: record batches made beforehand.

Runs in a process of its own. An event's time of sending is when its turn was, not when its
batch left: a sender that falls behind makes every delay longer, not shorter.
"""

from __future__ import annotations

import re
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import kafka.record.default_records as records_of_client
from kafka.protocol.producer import ProduceRequest
from kafka.record import MemoryRecordsBuilder

from detector.kafka.checksum import crc32c

_TICK_S = 0.02
_VERSION = 9  # the newest whose topics have names
_ACTOR = re.compile(rb'(?<="user_id":")[^"]*')
_DAY = re.compile(rb'(?<="event_time":")(\d{4}-\d\d-\d\d)')


@dataclass(frozen=True)
class Feed:
    """What to send where; events after the last line begin again a day later, with new ids.

    With ``n_people`` the actors are so many made-up ones, in turn, instead of the lines' own.
    """

    address: str
    topic: str
    n_partitions: int
    lines: list[bytes]
    rate: float
    seconds: float
    n_people: int = 0

    @property
    def n_events(self) -> int:
        """How many there are in all."""
        return int(self.rate * self.seconds)

    @property
    def _per_tick(self) -> int:
        return max(1, round(self.rate * _TICK_S))

    def turn_s(self, number: int) -> float:
        """Return when an event has its turn, in seconds from the start."""
        return number * _TICK_S / self._per_tick

    def requests(self) -> Iterator[bytes]:
        """Make the request of every tick."""
        records_of_client.calc_crc32c = crc32c  # the client's own takes 45 µs an event
        for first in range(0, self.n_events, self._per_tick):
            yield self._request(range(first, min(first + self._per_tick, self.n_events)))

    def _request(self, numbers: range) -> bytes:
        now_ms = int(time.time() * 1000)
        made = [
            MemoryRecordsBuilder(magic=2, compression_type=0, batch_size=2**24, offset=0)
            for _ in range(self.n_partitions)
        ]
        given = set()
        for number in numbers:
            event = self.event(number)
            key = _actor(event)
            partition = zlib.crc32(key) % self.n_partitions
            given.add(partition)
            made[partition].append(now_ms, key, event, [])
        one_topic = ProduceRequest.TopicProduceData
        partitions = []
        for partition in sorted(given):
            made[partition].close()
            content = bytes(made[partition].buffer())
            partitions.append(one_topic.PartitionProduceData(index=partition, records=content))
        request = ProduceRequest(
            transactional_id=None,
            acks=1,
            timeout_ms=30_000,
            topic_data=[one_topic(name=self.topic, partition_data=partitions)],
            version=_VERSION,
        )
        request.with_header(correlation_id=1, client_id="feed")
        return bytes(request.encode(version=_VERSION, framed=True, header=True))

    def event(self, number: int) -> bytes:
        """Return an event; its id says its number."""
        again, row = divmod(number, len(self.lines))
        _, _, rest = self.lines[row].partition(b",")
        if again:
            rest = _DAY.sub(lambda found: _later(found[1], again), rest, count=1)
        if self.n_people:
            rest = _ACTOR.sub(b"p%d" % (number % self.n_people), rest, count=1)
        return b'{"event_id":"d%d",' % number + rest


def _actor(event: bytes) -> bytes:
    found = _ACTOR.search(event)
    assert found is not None
    return found[0]


def _later(day: bytes, n_days: int) -> bytes:
    return (date.fromisoformat(day.decode()) + timedelta(days=n_days)).isoformat().encode()


def send_at_rate(feed: Feed, ready: Any, results: Any) -> None:
    """Make everything and say so; wait until told, send, and put when that began and ended."""
    requests = list(feed.requests())
    results.put(len(requests))
    with _connected(feed) as connection:
        ready.wait()
        started = time.time()
        for tick, request in enumerate(requests):
            ahead = started + (tick + 1) * _TICK_S - time.time()
            if ahead > 0:
                time.sleep(ahead)
            connection.sendall(request)
        results.put((started, time.time()))


def send_all(feed: Feed) -> None:
    """Send as fast as events can be made."""
    with _connected(feed) as connection:
        for request in feed.requests():
            connection.sendall(request)


@contextmanager
def _connected(feed: Feed) -> Iterator[socket.socket]:
    """Connect, read answers meanwhile, and give the last ones a second."""
    host, _, port = feed.address.partition(":")
    with socket.create_connection((host, int(port))) as connection:
        threading.Thread(target=_drain, args=(connection,), daemon=True).start()
        yield connection
        time.sleep(1)


def _drain(connection: socket.socket) -> None:
    while connection.recv(65_536):
        pass
