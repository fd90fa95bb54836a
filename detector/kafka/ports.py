"""What the live loop needs from outside: where records come from, and where results go.

The real ones lie beside this file; the fault simulator of the tests has others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from detector.alerts import Alert
from detector.errors import DetectorError, LocatedError
from detector.kafka.records import Header, Records


class Partition(NamedTuple):
    """One partition of a topic."""

    topic: str
    number: int

    @property
    def stream(self) -> str:
        """Name under which the store keeps it.

        >>> Partition("access", 3).stream
        'access/3'
        """
        return f"{self.topic}/{self.number}"


class LostOwnershipError(DetectorError):
    """Another worker holds the partition: drop its state, write nothing more."""


class NotReadyError(LocatedError):
    """A broker cannot say or do it now; it is asked again."""


class PublisherError(LocatedError):
    """Alerts or dead letters cannot be sent, and waiting longer would lose some."""


class StalledError(LocatedError):
    """A partition has records and does not move."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How much is read at once.

    Args:
        fetch_bytes: most bytes of one answer of a broker, compressed.
        partition_fetch_bytes: of one partition within it.
        batch_bytes: most bytes that one record batch may decode to.
        poll_records: most records of one `poll` on the slow path.
        poll_batches: most record batches of one `poll` on the raw path.
        waiting_bytes: most bytes of alerts and dead letters that wait to be sent before
            reading pauses; what one `poll` gave comes on top.
        raw: whether to read whole batches where the client allows.
    """

    fetch_bytes: int = 16_777_216
    partition_fetch_bytes: int = 2_097_152
    batch_bytes: int = 67_108_864
    poll_records: int = 2_000
    poll_batches: int = 200
    waiting_bytes: int = 67_108_864
    raw: bool = True


@dataclass(frozen=True, slots=True)
class Polled:
    """What one poll gave; changes of assignment come before records.

    ``positions`` are the offsets after all records given so far, past what readers are not
    shown (marks and aborted parts of transactions). ``problem`` says why no broker answers.
    """

    lost: frozenset[Partition] = frozenset()
    revoked: frozenset[Partition] = frozenset()
    assigned: frozenset[Partition] = frozenset()
    records: Mapping[Partition, Records] = field(default_factory=dict)
    positions: Mapping[Partition, int] = field(default_factory=dict)
    problem: str = ""


class Source(Protocol):
    """A member of a consumer group. A partition is silent from its assignment until `seek`."""

    def poll(self, timeout_s: float) -> Polled:
        """Return records, at the latest after the timeout.

        Raises:
            LostOwnershipError: the group went on without this member.
            SourceError: records are gone, damaged or forbidden.
        """
        ...

    def first_offset(self, partition: Partition) -> int:
        """Return the oldest offset there is.

        Raises:
            NotReadyError: not now.
        """
        ...

    def topic_id(self, topic: str) -> str:
        """Return what tells a topic from another of its name; empty if that is not known."""
        ...

    def seek(self, partition: Partition, offset: int) -> None:
        """Deliver from an offset on."""
        ...

    def pause(self) -> None:
        """Deliver nothing, and stay in the group."""
        ...

    def resume(self) -> None:
        """Deliver again."""
        ...

    def commit(self, positions: Mapping[Partition, int]) -> bool:
        """Show positions to the tools that look at consumer groups; False if not now.

        Raises:
            LostOwnershipError: the group went on without this member.
        """
        ...

    def lag(self) -> Mapping[Partition, int]:
        """Return how many offsets each partition is behind its end, where that is known."""
        ...

    def close(self) -> None:
        """Leave the group."""
        ...


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that could not be used, as it was; ``mapping`` is the mapping's digest."""

    partition: Partition
    offset: int
    reason: str
    field: str
    mapping: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[Header]


class Publisher(Protocol):
    """Where one partition's alerts and dead letters go, each exactly once."""

    def offer(self, alerts: Sequence[Alert], letters: Sequence[DeadLetter], position: int) -> None:
        """Take alerts and letters of all records before ``position``; does not wait.

        Raises:
            PublisherError: too much is waiting already.
        """
        ...

    def sent(self) -> int:
        """Return the offset up to which everything has been sent, 0 if nothing has.

        Raises:
            LostOwnershipError: another worker publishes for this partition.
        """
        ...

    def close(self) -> None:
        """Let go of the partition; what waits is dropped."""
        ...


class Publishers(Protocol):
    """Opens a publisher for a partition, and shuts out whoever had it before."""

    def open(self, partition: Partition) -> Publisher:
        """Take over a partition.

        Raises:
            NotReadyError: not now.
        """
        ...

    def flush(self, timeout_s: float) -> None:
        """Wait for what has been offered; at most so long."""
        ...

    def is_full(self) -> bool:
        """Tell whether so much waits that nothing more should be read for now."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...
