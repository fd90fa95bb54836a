"""Records of some topics → other records, each exactly once: consume, transform, produce.

One transaction holds what a poll gave and the positions it reached, as offsets of the reading
group itself: the broker takes both only from the group's present members. After a failure
nothing of the poll has happened, and it is read again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from kafka import KafkaProducer
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata, TopicPartition

from detector.errors import SourceError
from detector.kafka.deadline import within
from detector.kafka.messages import Message
from detector.kafka.ports import LostOwnershipError, Partition, Reading
from detector.kafka.publisher import end_producer
from detector.kafka.records import Records
from detector.kafka.settings import KafkaSettings
from detector.kafka.source import KafkaSource

_POLL_S = 0.2
_TRANSACTION_S = 20.0
_MAX_FAILURES = 5


@dataclass(frozen=True, slots=True)
class Transfer:
    """What goes where.

    Args:
        settings: where the cluster is.
        topics: what to read.
        group: whose offsets say how far that is done.
        writer: transactional id, of this process alone.
        transform: the messages a partition's records become.
        reading: how much is read at once.
    """

    settings: KafkaSettings
    topics: Sequence[str]
    group: str
    writer: str
    transform: Callable[[Partition, Records], Sequence[Message]]
    reading: Reading = field(default_factory=Reading)

    def run(self, is_over: Callable[[bool], bool]) -> None:
        """Transfer until told to stop.

        Args:
            is_over: asked between transactions; told whether everything has been read.

        Raises:
            SourceError: it failed several times in a row.
        """
        n_failures = 0
        while True:
            link = _Link(self)
            try:
                while not is_over(link.is_at_end):
                    n_failures = 0 if link.turn() else n_failures
            except (KafkaError, LostOwnershipError) as error:
                n_failures += 1
                if n_failures > _MAX_FAILURES:
                    hint = "Nothing is lost; look at the broker and start again"
                    where = ",".join(self.topics)
                    raise SourceError(type(error).__name__, where=where, hint=hint) from None
            else:
                return
            finally:
                link.close()


class _Link:
    """A source and a producer, until one of them fails."""

    def __init__(self, transfer: Transfer) -> None:
        self._transfer = transfer
        self._source = KafkaSource(
            transfer.settings, transfer.topics, transfer.group, transfer.reading
        )
        self._producer = KafkaProducer(
            **transfer.settings.client(),
            transactional_id=transfer.writer,
            transaction_timeout_ms=20_000,
            max_block_ms=15_000,
            request_timeout_ms=10_000,
            delivery_timeout_ms=15_000,
            allow_auto_create_topics=False,
            metrics_enabled=False,
            compression_type="lz4",
            batch_size=262_144,
            linger_ms=5,
        )
        self._producer.init_transactions()
        self.is_at_end = False

    def turn(self) -> bool:
        """Transfer what one poll gives; tell whether that was anything."""
        polled = self._source.poll(_POLL_S)
        for partition in sorted(polled.assigned):
            committed = self._source.committed(partition)
            first = self._source.first_offset(partition) if committed is None else committed
            self._source.seek(partition, first)
        self.is_at_end = self._source.is_at_end()
        if not polled.records:
            return False
        self._producer.begin_transaction()
        futures = [
            self._producer.send(topic, value, key, headers)
            for partition, records in polled.records.items()
            for topic, key, value, headers in self._transfer.transform(partition, records)
        ]
        for future in futures:
            future.get(_TRANSACTION_S)
        offsets = {
            TopicPartition(*partition): OffsetAndMetadata(polled.positions[partition], "", -1)
            for partition in polled.records
        }
        member = self._source.membership()
        within(_TRANSACTION_S, lambda: self._producer.send_offsets_to_transaction(offsets, member))
        within(_TRANSACTION_S, self._producer.commit_transaction)
        return True

    def close(self) -> None:
        end_producer(self._producer)
        self._source.close()
