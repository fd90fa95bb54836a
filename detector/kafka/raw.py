"""Whole record batches out of the client's fetcher, in place of one object per record.

The client has no public way to do so. What is replaced is one class on one attribute; its
behaviour is tried on a batch made here before it is used (`fits`), and the caller falls back
to the public `poll` where the client has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError
from kafka.protocol.consumer import IsolationLevel
from kafka.record import MemoryRecords, MemoryRecordsBuilder
from kafka.structs import TopicPartition

from detector.kafka.codecs import DamagedError, TooLargeError, decompress
from detector.kafka.records import Batch, lay_out, read_batches

_MAGIC_V2 = 2
_ZSTD = 4
_LOG_APPEND_TIME = 1
Base: Any = Fetcher.PartitionRecords


class RawPartitionRecords(Base):  # type: ignore[misc]
    """Yields a `Batch` per record batch of format 2, and the records of older ones."""

    def __init__(self, *arguments: Any, max_batch_bytes: int, **options: Any) -> None:
        self._max_batch_bytes = max_batch_bytes
        super().__init__(*arguments, **options)

    def _unpack_records(
        self, tp: TopicPartition, records: Any, key_deserializer: Any, value_deserializer: Any
    ) -> Iterator[Any]:
        last = None
        for batch in records:
            last = batch
            if batch.magic != _MAGIC_V2:
                yield from self._old_records(tp, batch, key_deserializer, value_deserializer)
                continue
            self._check(batch)
            self.leader_epoch = batch.leader_epoch
            is_shown = not self._is_hidden(batch)
            content = self._content(batch) if is_shown else b""
            self.next_fetch_offset = batch.next_offset
            if is_shown:
                self.records_read += batch.records_count
                self.bytes_read += batch.size_in_bytes
                yield _batch(batch, content, self.fetch_offset)
        if last is not None and last.magic == _MAGIC_V2:
            # compaction may have removed the last records of a batch, never its last offset
            self.next_fetch_offset = last.next_offset
        self.drain()

    def _check(self, batch: Any) -> None:
        if self.check_crcs and not batch.validate_crc():
            raise CorruptRecordError(
                f"{self.topic_partition} offset {batch.base_offset}: checksum is wrong"
            )

    def _is_hidden(self, batch: Any) -> bool:
        """Tell whether a batch is a mark of a transaction, or part of an aborted one."""
        if self.isolation_level == IsolationLevel.READ_COMMITTED and batch.has_producer_id():
            self._consume_aborted_transactions_up_to(batch.last_offset)
            if self._contains_abort_marker(batch):
                self.aborted_producer_ids.discard(batch.producer_id)
            elif self._is_batch_aborted(batch):
                return True
        return bool(batch.is_control_batch)

    def _content(self, batch: Any) -> bytes:
        content = bytes(memoryview(batch._buffer)[batch.HEADER_STRUCT.size :])  # noqa: SLF001
        if not batch.compression_type:
            return content
        try:
            return decompress(batch.compression_type, content, self._max_batch_bytes)
        except (DamagedError, TooLargeError) as error:
            raise CorruptRecordError(
                f"{self.topic_partition} offset {batch.base_offset}: {error}"
            ) from None

    def _old_records(self, tp: TopicPartition, batch: Any, *deserializers: Any) -> Iterator[Any]:
        """Yield the records of a format before 2 as the client makes them."""
        alone = _One(batch)
        plain = Base(self.fetch_offset, tp, alone, *deserializers, check_crcs=self.check_crcs)
        for record in plain.take():
            self.records_read += 1
            self.next_fetch_offset = record.offset + 1
            yield record


class _One:
    """The client's sequence of batches, of one batch."""

    def __init__(self, batch: Any) -> None:
        self._batches = [batch]

    def next_batch(self) -> Any:
        return self._batches.pop() if self._batches else None


def _batch(batch: Any, content: bytes, wanted_offset: int) -> Batch:
    is_append = batch.timestamp_type == _LOG_APPEND_TIME
    return Batch(
        content=content,
        base_offset=batch.base_offset,
        first_ms=batch.first_timestamp,
        append_ms=batch.max_timestamp if is_append else -1,
        n_records=batch.records_count,
        next_offset=batch.next_offset,
        wanted_offset=wanted_offset,
    )


def install(consumer: Any, max_batch_bytes: int) -> None:
    """Let a consumer's `poll` return batches: one is one "record" of `max_poll_records`."""
    consumer._fetcher.PartitionRecords = partial(  # noqa: SLF001
        RawPartitionRecords, max_batch_bytes=max_batch_bytes
    )


def misfit(consumer: Any) -> str:
    """Say in what the client differs from the one this was written for; empty if in nothing."""
    fetcher = getattr(consumer, "_fetcher", None)
    if not isinstance(fetcher, Fetcher) or fetcher.PartitionRecords is not Base:
        return "the consumer's fetcher is another"
    try:
        plain, raw = _tried(Base), _tried(partial(RawPartitionRecords, max_batch_bytes=1_000))
        batches = [item for item in raw.take() if isinstance(item, Batch)]
        ours = read_batches(batches)
        theirs = lay_out(plain.take(), plain.next_fetch_offset)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    if raw.next_fetch_offset != plain.next_fetch_offset or ours.next_offset != theirs.next_offset:
        return "positions differ"
    rows = range(len(theirs))
    same = len(ours) == len(theirs) and all(
        one.spans.offset[row] == two.spans.offset[row]
        and one.spans.time_ms[row] == two.spans.time_ms[row]
        and one.key(row) == two.key(row)
        and one.value(row) == two.value(row)
        and one.headers(row) == two.headers(row)
        for one, two, row in ((ours, theirs, row) for row in rows)
    )
    return "" if same else "records differ"


def _tried(kind: Callable[..., Any]) -> Any:
    """Give a class two batches as the fetcher would, starting inside the first."""
    content = b""
    for first, codec in ((0, 0), (3, _ZSTD)):
        builder = MemoryRecordsBuilder(
            magic=2, compression_type=codec, batch_size=1_000, offset=first
        )
        builder.append(timestamp=7, key=b"k", value=b"v" * 90, headers=[("h", b"x"), ("n", None)])
        builder.append(timestamp=9, key=None, value=None, headers=[])
        builder.append(timestamp=8, key=b"", value=b"", headers=[])
        builder.close()
        content += bytes(builder.buffer())
    return kind(
        1,
        TopicPartition("tried", 0),
        MemoryRecords(content),
        key_deserializer=None,
        value_deserializer=None,
        check_crcs=True,
        isolation_level=IsolationLevel.READ_COMMITTED,
        aborted_transactions=None,
        metric_aggregator=None,
        on_drain=lambda _: None,
    )
