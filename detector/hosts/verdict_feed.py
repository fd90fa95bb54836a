"""Verdicts from the console's tables to the topic the engine reads: feedback with effect.

A verdict goes into the very partition its alert came from, keyed by the person, so that it has
its place among that person's events and every replay sees it there. It is delivered as alerts
are: the store is the queue, a position per stream says how far, whoever holds the partition
delivers. At least once; a verdict that comes twice means what it meant (statements are
idempotent), so the engine learns it exactly once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import orjson
from kafka import KafkaProducer
from kafka.errors import KafkaError
from sqlalchemy import Connection

from detector.errors import StoreError
from detector.hosts.statements import verdict_event
from detector.kafka.publisher import end_producer
from detector.kafka.settings import KafkaSettings
from detector.mapping import Mapping
from detector.sinks import Outbox
from detector.sinks.base import AlertFields, Report
from detector.store import Arrival, Store
from detector.store.console import ConsoleStore, has_console
from detector.store.verdicts import FOLLOWER, Judgement, judgements, n_judgements
from detector.telemetry import Telemetry

_LOOK_EVERY_S = 2.0
_SEND_S = 15.0
T = TypeVar("T")


class VerdictFeed:
    """Follows the verdicts about the alerts of streams.

    Args:
        store: where positions are.
        url: of the store, for the console's tables beside it.
        topic: where verdicts go.
        telemetry: counts as for a sink named ``verdicts``.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        store: Store,
        url: str,
        topic: VerdictTopic,
        telemetry: Telemetry,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._verdicts = _Verdicts(store, url, telemetry)
        self._outbox = Outbox(self._verdicts, [topic], telemetry, clock)
        self._streams: set[str] = set()
        self._clock, self._looked_s = clock, clock()

    def follow(self, stream: str) -> None:
        """Publish the verdicts of a stream's alerts from now on."""
        self._streams.add(stream)
        self._outbox.follow(stream)

    def leave(self, stream: str) -> None:
        """Leave a stream to another worker."""
        self._streams.discard(stream)
        self._outbox.leave(stream)

    def wake(self, stream: str) -> None:
        """New alerts have no verdicts yet."""

    def turn(self) -> None:
        """Look for verdicts every two seconds, and hand out what is next."""
        if self._clock() - self._looked_s >= _LOOK_EVERY_S:
            self._looked_s = self._clock()
            for stream in sorted(self._streams):
                self._outbox.wake(stream)
        self._outbox.turn()

    def close(self) -> None:
        """End what is under way."""
        self._outbox.close()
        self._verdicts.close()


class _Verdicts:
    """The console's tables as the outbox sees a store; a console need not be there yet."""

    def __init__(self, store: Store, url: str, telemetry: Telemetry) -> None:
        self._store, self._url, self._telemetry = store, url, telemetry
        self._console: ConsoleStore | None = None

    def arrivals(self, after: int, limit: int, stream: str | None = None) -> Sequence[Arrival]:
        """Return the next verdicts of a stream, as lines."""
        name = stream or ""
        found = self._ask(lambda db: judgements(db, name, after, limit), list[Judgement]())
        return [Arrival(one.number, name, _line(one, name)) for one in found]

    def n_arrivals(self, after: int, limit: int, stream: str) -> int:
        """Count what comes after a number."""
        return self._ask(lambda db: n_judgements(db, stream, after, limit), 0)

    def sink_position(self, sink: str) -> int:
        """Return the number of the last verdict delivered."""
        return self._store.sink_position(sink)

    def move_sink(self, sink: str, arrival: int) -> None:
        """Note what was delivered."""
        self._store.move_sink(sink, arrival)

    def close(self) -> None:
        """Let go of the console's tables."""
        if self._console is not None:
            self._console.close()

    def _ask(self, question: Callable[[Connection], T], otherwise: T) -> T:
        """Read; tables that cannot be read now are counted, told and asked again."""
        if not has_console(self._url):
            return otherwise
        try:
            if self._console is None:
                self._console = ConsoleStore(self._url, reads_only=True)
            with self._console.reading() as db:
                return question(db)
        except StoreError as error:
            self._telemetry.metrics.sink_failures.labels(FOLLOWER).inc()
            self._telemetry.log.warning("verdicts cannot be read", why=str(error))
            return otherwise


def _line(judgement: Judgement, stream: str) -> bytes:
    topic, _, number = stream.rpartition("/")
    fields = {name: getattr(judgement, name) for name in Judgement.__slots__}
    return orjson.dumps({"topic": topic, "partition": int(number), "verdict": fields})


class VerdictTopic:
    """The topics the events come from, as a sink; used by its courier's thread.

    Args:
        settings: where the cluster is.
        mapping: how the topic's events name their fields.
    """

    name = FOLLOWER

    def __init__(self, settings: KafkaSettings, mapping: Mapping) -> None:
        self._settings, self._mapping = settings, mapping
        self._producer: Any = None

    def deliver(self, alerts: Sequence[AlertFields]) -> Report:
        """Send verdicts, in order; after an error all of them again."""
        try:
            if self._producer is None:
                self._producer = self._opened()
            for future in [self._send(one) for one in alerts]:
                future.get(_SEND_S)
        except KafkaError as error:
            self.close()
            return Report(0, failure=type(error).__name__)
        return Report(len(alerts))

    def probe(self) -> str | None:
        """Return None: `detector doctor` looks at the topic as a source."""
        return None

    def close(self) -> None:
        """Let go of the connection."""
        producer, self._producer = self._producer, None
        if producer is not None:
            end_producer(producer)

    def _opened(self) -> Any:
        return KafkaProducer(
            **self._settings.client(),
            acks="all",
            enable_idempotence=True,
            max_block_ms=15_000,
            request_timeout_ms=10_000,
            delivery_timeout_ms=15_000,
            allow_auto_create_topics=False,
            metrics_enabled=False,
        )

    def _send(self, fields: AlertFields) -> Any:
        judgement = Judgement(**fields["verdict"])
        return self._producer.send(
            fields["topic"],
            verdict_event(judgement, self._mapping),
            judgement.user_id.encode(),
            [("detector.verdict", str(judgement.number).encode())],
            fields["partition"],
        )
