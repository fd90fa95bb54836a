"""Alerts and dead letters of a partition, each exactly once, in Kafka transactions.

A transaction holds the messages and the position in the source they reach to, as the offset of
a second group (`GROUP.sent`). Its id is the partition's: who takes a partition over opens it
anew, which ends the last owner's transaction and shuts that owner out. From the position on,
and not before it, alerts that are raised again are sent.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kafka import KafkaConsumer, KafkaProducer
from kafka.errors import (
    InvalidProducerEpochError,
    KafkaError,
    ProducerFencedError,
    TransactionCoordinatorFencedError,
)
from kafka.structs import OffsetAndMetadata, TopicPartition

from detector.alerts import Alert
from detector.kafka.deadline import within
from detector.kafka.messages import Message, alert_message, letter_message, size_of
from detector.kafka.ports import (
    DeadLetter,
    LostOwnershipError,
    NotReadyError,
    Partition,
    PublisherError,
)
from detector.kafka.settings import KafkaSettings

_FENCED = (ProducerFencedError, InvalidProducerEpochError, TransactionCoordinatorFencedError)
_RETRY_AFTER_S = (0.2, 1.0, 5.0, 15.0)
_TRANSACTION_S = 20.0
_MESSAGES_PER_TRANSACTION = 2_000


@dataclass(frozen=True, slots=True)
class Topics:
    """Where to publish; None publishes nothing of the kind.

    ``max_waiting`` messages of a partition are an error; ``waiting_bytes`` of all together
    say that it is full until half of them are gone.
    """

    group: str
    alerts: str | None = None
    dead_letters: str | None = None
    max_waiting: int = 100_000
    waiting_bytes: int = 67_108_864


class KafkaPublishers:
    """Publishers of all partitions; one thread sends for all of them.

    Args:
        settings: where the cluster is.
        topics: where to publish.
    """

    def __init__(self, settings: KafkaSettings, topics: Topics) -> None:
        self._settings, self._topics = settings, topics
        self.group = f"{topics.group}.sent"
        self._positions: Any = None
        self._open: list[KafkaPublisher] = []
        self._wake = threading.Condition()
        self._is_over = self._is_full = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="publish", daemon=True)
        self._thread.start()

    def open(self, partition: Partition) -> KafkaPublisher:
        """Take over a partition; see `ports.Publishers`."""
        publisher = KafkaPublisher(self, partition, self._topics)
        publisher.begin()
        with self._wake:
            self._open.append(publisher)
        return publisher

    def flush(self, timeout_s: float) -> None:
        """Wait for what has been offered."""
        with self._wake:
            self._wake.wait_for(lambda: not any(one.waits for one in self._open), timeout_s)

    def is_full(self) -> bool:
        """Tell whether reading should pause, until half of what may wait is left."""
        n_bytes = sum(one.n_bytes for one in list(self._open))
        limit = self._topics.waiting_bytes
        self._is_full = n_bytes > (limit // 2 if self._is_full else limit)
        return self._is_full

    def wake(self) -> None:
        """Tell the thread that there is something to send."""
        with self._wake:
            self._wake.notify_all()

    def forget(self, publisher: KafkaPublisher) -> None:
        """Stop sending for a partition."""
        with self._wake:
            if publisher in self._open:
                self._open.remove(publisher)

    def close(self) -> None:
        """Let go of everything."""
        with self._wake:
            self._is_over = True
            self._wake.notify_all()
        self._thread.join(10)
        for publisher in list(self._open):
            publisher.close()
        if self._positions is not None:
            self._positions.close(autocommit=False)

    def producer(self, partition: Partition) -> KafkaProducer:
        """Open the partition's transactions, which ends those of whoever had it before."""
        producer = KafkaProducer(
            **self._settings.client(),
            transactional_id=f"{self._topics.group}.{partition.topic}.{partition.number}",
            transaction_timeout_ms=60_000,
            max_block_ms=15_000,
            request_timeout_ms=10_000,
            delivery_timeout_ms=30_000,
            allow_auto_create_topics=False,
            reconnect_backoff_max_ms=5_000,
            metrics_enabled=False,
            linger_ms=0,
        )
        try:
            producer.init_transactions()
        except BaseException:
            end_producer(producer)
            raise
        return producer

    def position(self, partition: Partition) -> int:
        """Return how far a partition has been sent, now that nobody else can move it."""
        if self._positions is None:
            self._positions = KafkaConsumer(
                **self._settings.client(),
                group_id=self.group,
                enable_auto_commit=False,
                isolation_level="read_committed",
                metrics_enabled=False,
            )
        place = TopicPartition(partition.topic, partition.number)
        return int(self._positions.committed(place, timeout_ms=15_000) or 0)

    def raise_error(self) -> None:
        """Let a failure of the thread end the worker: without it nothing would be sent."""
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._send_all()
        except BaseException as error:  # noqa: BLE001  raised by raise_error
            self._error = error

    def _send_all(self) -> None:
        """Send what waits, partition after partition, until closed."""
        delay_s: float | None = None
        while True:
            with self._wake:
                if not self._is_over:
                    self._wake.wait_for(self._has_work, delay_s)
                if self._is_over:
                    return
                waiting = [one for one in self._open if one.waits]
            for publisher in waiting:
                publisher.send()
            with self._wake:
                self._wake.notify_all()
            n_failures = max((one.n_failures for one in waiting), default=0)
            delay_s = (
                _RETRY_AFTER_S[min(n_failures, len(_RETRY_AFTER_S)) - 1] if n_failures else None
            )

    def _has_work(self) -> bool:
        return self._is_over or any(one.waits and not one.n_failures for one in self._open)


@dataclass(frozen=True, slots=True)
class _Offer:
    messages: list[Message]
    position: int
    n_bytes: int


class KafkaPublisher:
    """One partition's messages: offered by the caller's thread, sent by the publishers' own."""

    def __init__(self, owner: KafkaPublishers, partition: Partition, topics: Topics) -> None:
        self._owner, self._partition, self._topics = owner, partition, topics
        self._producer: KafkaProducer | None = None
        self._turn, self._lock = threading.Lock(), threading.Lock()
        self._waiting: deque[_Offer] = deque()
        self._committed = self._sent = 0
        self._in_doubt = -1
        self._lost = ""
        self.n_failures = self.n_bytes = 0
        self._last_failure = ""

    def begin(self) -> None:
        """Shut out the last owner, and learn how far it came."""
        try:
            self._producer = self._owner.producer(self._partition)
            self._committed = self._sent = self._owner.position(self._partition)
        except KafkaError as error:
            self.close()
            raise NotReadyError(
                f"transactions cannot be opened ({type(error).__name__})",
                where=self._partition.stream,
                hint="Look at the broker, and at the rights on transactional ids and groups",
            ) from None

    @property
    def waits(self) -> bool:
        """Tell whether there is anything to send, and a way to."""
        return bool(self._waiting) and not self._lost

    def offer(self, alerts: Sequence[Alert], letters: Sequence[DeadLetter], position: int) -> None:
        """Queue messages; see `ports.Publisher`."""
        to_alerts, to_letters = self._topics.alerts, self._topics.dead_letters
        messages = [alert_message(to_alerts, one) for one in alerts] if to_alerts else []
        messages += [letter_message(to_letters, one) for one in letters] if to_letters else []
        with self._lock:
            if not messages and not self._waiting:
                self._sent = position
                return
            n_waiting = sum(len(one.messages) for one in self._waiting)
            if n_waiting + len(messages) > self._topics.max_waiting:
                raise PublisherError(
                    f"{n_waiting:,} messages wait to be sent ({self._last_failure or 'no error'})",
                    where=self._partition.stream,
                    hint="Mend the topics; nothing is lost, a restart goes on from the store",
                )
            offer = _Offer(messages, position, sum(map(size_of, messages)))
            self._waiting.append(offer)
            self.n_bytes += offer.n_bytes
        self._owner.wake()

    def sent(self) -> int:
        """Return the offset up to which everything has been sent."""
        if self._lost:
            raise LostOwnershipError(f"{self._partition.stream}: {self._lost}")
        self._owner.raise_error()
        return self._sent

    def send(self) -> None:
        """Send some of what waits in one transaction, or note why not."""
        with self._turn:
            try:
                self._open_again()
                with self._lock:
                    offers = _some(self._waiting)
                if offers and not self._lost:
                    self._transact(offers)
                self.n_failures = 0
            except _FENCED as error:
                self._lost = type(error).__name__
            except KafkaError as error:
                self.n_failures += 1
                self._last_failure = type(error).__name__
                self._drop_producer()

    def _open_again(self) -> None:
        """After a failure, find out what came of it; another's progress ends our own."""
        if self._producer is not None or self._lost:
            return
        self._producer = self._owner.producer(self._partition)
        position = self._owner.position(self._partition)
        if position == self._in_doubt:
            self._note_sent(position)
        elif position != self._committed:
            self._lost = f"was sent up to {position} by another worker"

    def _transact(self, offers: list[_Offer]) -> None:
        """Run a transaction; one that is late is fenced by the next producer."""
        self._in_doubt = offers[-1].position
        producer = self._producer
        within(_TRANSACTION_S, lambda: self._steps(producer, offers))
        self._note_sent(offers[-1].position)

    def _steps(self, producer: Any, offers: list[_Offer]) -> None:
        position = offers[-1].position
        producer.begin_transaction()
        futures = [
            producer.send(topic, value, key, headers)
            for offer in offers
            for topic, key, value, headers in offer.messages
        ]
        for future in futures:
            future.get(_TRANSACTION_S)
        place = TopicPartition(self._partition.topic, self._partition.number)
        offsets = {place: OffsetAndMetadata(position, "", -1)}
        producer.send_offsets_to_transaction(offsets, self._owner.group)
        producer.commit_transaction()

    def _note_sent(self, position: int) -> None:
        with self._lock:
            self._committed = self._sent = position
            while self._waiting and self._waiting[0].position <= position:
                self.n_bytes -= self._waiting.popleft().n_bytes
        self._in_doubt = -1

    def _drop_producer(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            end_producer(producer)

    def close(self) -> None:
        """Let go of the partition; what waits is raised again by the next owner."""
        self._lost = self._lost or "closed"
        self._owner.forget(self)
        self._drop_producer()


def end_producer(producer: Any) -> None:
    """Close a producer that may be in the middle of something, without waiting for it."""
    try:
        producer.close(timeout=0)
    except KafkaError:
        producer._sender.force_close()  # noqa: SLF001  close gives up before it comes to this


def _some(waiting: deque[_Offer]) -> list[_Offer]:
    """Return the first offers, about as many as fit well into a transaction."""
    offers, n_messages = [], 0
    for offer in waiting:
        offers.append(offer)
        n_messages += len(offer.messages)
        if n_messages >= _MESSAGES_PER_TRANSACTION:
            break
    return offers


class Unpublished:
    """Publishers of a pipeline without topics: everything counts as sent."""

    def open(self, partition: Partition) -> _Nowhere:
        """Take over a partition."""
        del partition
        return _Nowhere()

    def flush(self, timeout_s: float) -> None:
        """Nothing waits."""

    def is_full(self) -> bool:
        """Nothing waits."""
        return False

    def close(self) -> None:
        """Nothing is held."""


class _Nowhere:
    def __init__(self) -> None:
        self._position = 0

    def offer(self, alerts: Sequence[Alert], letters: Sequence[DeadLetter], position: int) -> None:
        del alerts, letters
        self._position = position

    def sent(self) -> int:
        return self._position

    def close(self) -> None:
        pass
