"""A member of a consumer group that hands over whole batches of records.

Assignment is cooperative: only partitions that move are given up, and the member that loses
one learns of it from a `poll` that returns before the next owner can have it. So all state is
flushed and restored by the caller's thread between two polls while heartbeats go on in the
client's own; nothing is done in the callbacks of a rebalance but noting it. With an instance
id the membership is static as well: a restart within the session timeout moves nothing.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kafka import ConsumerRebalanceListener, KafkaConsumer
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import (
    CommitFailedError,
    CorruptRecordError,
    FencedInstanceIdError,
    IllegalGenerationError,
    KafkaError,
    LogTruncationError,
    OffsetOutOfRangeError,
    RebalanceInProgressError,
    RetriableError,
    TopicAuthorizationFailedError,
    UnknownMemberIdError,
)
from kafka.structs import OffsetAndMetadata, TopicPartition

from detector.errors import SourceError
from detector.kafka.ports import LostOwnershipError, NotReadyError, Partition, Polled, Reading
from detector.kafka.raw import install, misfit
from detector.kafka.records import Batch, Records, joined, lay_out, read_batches
from detector.kafka.settings import KafkaSettings

_LOST = (
    CommitFailedError,
    FencedInstanceIdError,
    IllegalGenerationError,
    UnknownMemberIdError,
)
_MALLOPT_TRIM_THRESHOLD, _MALLOPT_MMAP_THRESHOLD = -1, -3
_PAUSE_S = 0.2
_KEPT_BYTES = 33_554_432  # the most that glibc takes for M_MMAP_THRESHOLD


def consumer_options(settings: KafkaSettings, group: str, reading: Reading) -> dict[str, Any]:
    """Return the client's options; every default that would lose or repeat events is set."""
    return settings.client() | {
        "group_id": group,
        "group_instance_id": settings.instance_id,
        "enable_auto_commit": False,  # the store decides where a partition goes on
        "auto_offset_reset": "none",  # a gap stops the worker, it is never jumped over
        "isolation_level": "read_committed",
        "allow_auto_create_topics": False,
        "check_crcs": True,
        "partition_assignment_strategy": (CooperativeStickyAssignor,),
        "session_timeout_ms": int(settings.session_timeout_s * 1000),
        "heartbeat_interval_ms": int(settings.session_timeout_s * 1000 / 10),
        "max_poll_interval_ms": int(settings.max_poll_interval_s * 1000),
        "metadata_max_age_ms": int(settings.metadata_max_age_s * 1000),  # finds new partitions
        "fetch_max_bytes": reading.fetch_bytes,
        "max_partition_fetch_bytes": reading.partition_fetch_bytes,
        "fetch_max_wait_ms": 100,
        "fetch_min_bytes": 1,
        "max_poll_records": reading.poll_records,
        "reconnect_backoff_max_ms": 5_000,
        "metrics_enabled": False,
    }


class _Changes(ConsumerRebalanceListener):  # type: ignore[misc]
    """Notes changes of assignment; runs in the client's thread while `poll` waits for it."""

    def __init__(self, on_assigned: Callable[[TopicPartition], None]) -> None:
        self.lost: set[TopicPartition] = set()
        self.revoked: set[TopicPartition] = set()
        self.assigned: set[TopicPartition] = set()
        self._on_assigned = on_assigned

    def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        self.revoked.update(set(revoked) - self.assigned)
        self.assigned.difference_update(revoked)

    def on_partitions_lost(self, lost: Sequence[TopicPartition]) -> None:
        self.lost.update(lost)
        self.assigned.difference_update(lost)

    def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        self.assigned.update(assigned)
        for partition in assigned:
            self._on_assigned(partition)

    def take(self) -> dict[str, frozenset[Partition]]:
        """Return what has changed since the last time."""
        changes: dict[str, frozenset[Partition]] = {}
        for name in ("lost", "revoked", "assigned"):
            found: set[TopicPartition] = getattr(self, name)
            changes[name] = frozenset(map(_ours, found))
            found.clear()
        return changes


def _ours(partition: TopicPartition) -> Partition:
    return Partition(partition.topic, partition.partition)


def _theirs(partition: Partition) -> TopicPartition:
    return TopicPartition(partition.topic, partition.number)


class KafkaSource:
    """Reads topics as a member of a group.

    Args:
        settings: where the cluster is.
        topics: what to read.
        group: id of the consumer group.
        reading: how much at once.

    Raises:
        SourceError: the cluster cannot be reached.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        topics: Sequence[str],
        group: str,
        reading: Reading | None = None,
    ) -> None:
        reading = reading or Reading()
        keep_freed_memory()
        self._where = ",".join(topics)
        try:
            self._consumer = KafkaConsumer(**consumer_options(settings, group, reading))
        except KafkaError as error:
            raise self._error(error, "Run `detector doctor` to see what is wrong") from None
        self.misfit = "switched off" if not reading.raw else misfit(self._consumer)
        self.is_raw = self.misfit == ""
        self._poll_items = reading.poll_batches if self.is_raw else reading.poll_records
        if self.is_raw:
            install(self._consumer, reading.batch_bytes)
        self._changes = _Changes(self._silence)
        self._silent: set[Partition] = set()
        self._is_paused = False
        self._consumer.subscribe(topics, listener=self._changes)
        self._know(topics)

    def _know(self, topics: Sequence[str]) -> None:
        """Learn the partitions before joining: a leader that knows none hands out none."""
        for topic in topics:
            if not self._consumer.partitions_for_topic(topic):
                self._consumer.close(autocommit=False)
                hint = "Create it, or grant DESCRIBE on it"
                raise SourceError("is no topic that can be seen", where=topic, hint=hint)

    def _error(self, error: Exception, hint: str) -> SourceError:
        return SourceError(str(error) or type(error).__name__, where=self._where, hint=hint)

    def _silence(self, partition: TopicPartition) -> None:
        """Let nothing be fetched before the caller has said from where."""
        self._consumer.pause(partition)
        self._consumer.seek(partition, 0)  # else the client looks for a committed offset

    def poll(self, timeout_s: float) -> Polled:
        """Return changes and records; see `ports.Source`."""
        problem = ""
        try:
            fetched = self._consumer.poll(int(timeout_s * 1000), max_records=self._poll_items)
        except OffsetOutOfRangeError as error:
            raise self._out_of_range(error) from None
        except LogTruncationError as error:
            hint = "The broker lost records that were scored; restore the topic, or reset the store"
            raise self._error(error, hint) from None
        except CorruptRecordError as error:
            hint = "Nothing was skipped; look at the broker's disk, or raise source.batch_bytes"
            raise self._error(error, hint) from None
        except TopicAuthorizationFailedError as error:
            raise self._error(error, "Grant READ on the topic") from None
        except _LOST as error:
            raise LostOwnershipError(f"{self._where}: {type(error).__name__}") from None
        except RetriableError as error:  # no broker answers: the group may go on meanwhile
            fetched, problem = {}, type(error).__name__
            time.sleep(_PAUSE_S)
        changes = self._changes.take()
        self._silent -= changes["revoked"] | changes["lost"]
        self._silent |= changes["assigned"]
        records = {_ours(one): self._records(one, items) for one, items in fetched.items()}
        return Polled(**changes, records=records, positions=self._positions(), problem=problem)

    def _out_of_range(self, error: Exception) -> SourceError:
        ((partition, offset),) = error.args[0].items()
        first, end = self._ends(partition)
        return SourceError(
            f"offset {offset} is gone: the partition holds {first} to {end}. Events were deleted "
            "before they were scored, or the topic was created anew",
            where=f"{partition.topic}/{partition.partition}",
            hint="Nothing was skipped. If the loss is accepted, or the topic is new, start with "
            "another group and an empty store",
        )

    def _ends(self, partition: TopicPartition) -> tuple[int, int]:
        first = self._consumer.beginning_offsets([partition], timeout_ms=10_000)[partition]
        return first, self._consumer.end_offsets([partition], timeout_ms=10_000)[partition]

    def _positions(self) -> dict[Partition, int]:
        """Return where each partition that is read goes on."""
        states = self._consumer._subscription.assignment.items()  # noqa: SLF001  `position` waits
        return {
            _ours(partition): state.position.offset
            for partition, state in list(states)
            if state.position is not None and _ours(partition) not in self._silent
        }

    def _records(self, partition: TopicPartition, items: Sequence[Any]) -> Records:
        """Lay out batches, or records that the client has taken apart."""
        if not self.is_raw:
            return lay_out(items, items[-1].offset + 1)
        parts: list[Records] = []
        start = 0
        for stop in range(1, len(items) + 1):
            if stop < len(items) and isinstance(items[stop], Batch) == isinstance(
                items[start], Batch
            ):
                continue
            parts.append(self._part(partition, items[start:stop]))
            start = stop
        return joined(parts)

    def _part(self, partition: TopicPartition, items: Sequence[Any]) -> Records:
        if not isinstance(items[0], Batch):
            return lay_out(items, items[-1].offset + 1)
        try:
            return read_batches(items)
        except ValueError as error:
            raise SourceError(
                str(error),
                where=f"{partition.topic}/{partition.partition}",
                hint="Nothing was skipped; look at the broker's disk",
            ) from None

    def first_offset(self, partition: Partition) -> int:
        """Return the oldest offset there is."""
        try:
            return self._ends(_theirs(partition))[0]
        except KafkaError as error:
            what, hint = f"says no offsets ({type(error).__name__})", "Look at the broker"
            raise NotReadyError(what, where=partition.stream, hint=hint) from None

    def topic_id(self, topic: str) -> str:
        """Return the topic's id, empty if brokers are too old to have any."""
        return str(self._consumer._cluster.topic_id(topic) or "")  # noqa: SLF001

    def committed(self, partition: Partition) -> int | None:
        """Return the group's offset, when no transaction is about to move it."""
        found: int | None = self._consumer.committed(_theirs(partition), timeout_ms=30_000)
        return found

    def membership(self) -> Any:
        """Return what lets a transaction commit offsets for this member and no former one."""
        return self._consumer.group_metadata()

    def is_at_end(self) -> bool:
        """Tell whether everything assigned has been read, as far as is known."""
        behind = self.lag()
        held = {_ours(one) for one in self._consumer.assignment()}
        return bool(held) and held == set(behind) and not any(behind.values())

    def seek(self, partition: Partition, offset: int) -> None:
        """Deliver a partition from an offset on."""
        self._consumer.seek(_theirs(partition), offset)
        self._silent.discard(partition)
        if not self._is_paused:
            self._consumer.resume(_theirs(partition))

    def pause(self) -> None:
        """Deliver nothing, and stay in the group."""
        self._is_paused = True
        self._consumer.pause(*self._consumer.assignment())

    def resume(self) -> None:
        """Deliver again what is not waiting for its `seek`."""
        self._is_paused = False
        held = map(_ours, self._consumer.assignment())
        self._consumer.resume(*(_theirs(one) for one in held if one not in self._silent))

    def commit(self, positions: Mapping[Partition, int]) -> bool:
        """Show positions to the group's tools; the store holds them, so what passes may pass."""
        offsets = {_theirs(one): OffsetAndMetadata(at, "", -1) for one, at in positions.items()}
        try:
            self._consumer.commit(offsets, timeout_ms=10_000)
        except _LOST as error:
            raise LostOwnershipError(f"{self._where}: {type(error).__name__}") from None
        except (RebalanceInProgressError, RetriableError):  # a broker that restarts, above all
            return False
        return True

    def lag(self) -> dict[Partition, int]:
        """Return how many offsets each partition is behind."""
        behind = {}
        states = self._consumer._subscription.assignment.items()  # noqa: SLF001
        for partition, state in list(states):
            if state.highwater is not None and state.position is not None:
                behind[_ours(partition)] = max(0, state.highwater - state.position.offset)
        return behind

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close(autocommit=False, timeout_ms=5_000)


def keep_freed_memory() -> None:
    """Tell glibc to keep freed megabytes: mapping them anew for every fetch halves the speed."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return  # another C library
    mallopt(_MALLOPT_MMAP_THRESHOLD, _KEPT_BYTES)
    mallopt(_MALLOPT_TRIM_THRESHOLD, 4 * _KEPT_BYTES)
