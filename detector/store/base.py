"""What every store promises, whatever database is behind it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from detector.alerts import Alert

Page = tuple[str, int, bytes]
"""(array, page, content) of a page of state, as ``ChangedPages`` yields them."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to write a stream, until somebody else claims it; ``epoch`` only grows."""

    stream: str
    owner: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything needed to go on: ``facts`` are JSON values, ``pages`` the state's bytes.

    ``number`` grows by one with every checkpoint of a stream. ``facts["layout"]`` is the
    layout of the state's arrays. ``newest_event_ns`` (UTC) tells people how fresh the stream is.
    """

    number: int
    facts: dict[str, Any]
    newest_event_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Activation:
    """From ``position`` (JSON value) of a stream on, these digests decided: name → digest."""

    position: Any
    digests: dict[str, str]


@dataclass(frozen=True, slots=True)
class Arrival:
    """An alert line as it came in; ``number`` grows with every new line of any stream."""

    number: int
    stream: str
    line: bytes


class Store(Protocol):
    """Alerts and checkpoints of streams; threads that share it wait for each other.

    Every method raises ``StoreError`` when the database cannot do it; nothing of that call has
    been written then.
    """

    @property
    def n_retries(self) -> int:
        """How many transactions had to be tried again."""
        ...

    def claim(self, stream: str, owner: str) -> Claim:
        """Take a stream: from now on, older claims of it write nothing.

        Args:
            stream: such as ``replay`` or ``topic/3``.
            owner: who takes it, for people; host and process, say.
        """
        ...

    def last_checkpoint(self, stream: str) -> Checkpoint | None:
        """Return the newest checkpoint of a stream, None if there is none.

        Raises:
            SnapshotError: it has changed since it was written.
        """
        ...

    def state_content(self, claim: Claim, layout: dict[str, Any]) -> bytes:
        """Return the saved state's bytes, array after array as in ``layout``.

        Raises:
            FencedError: somebody else has claimed the stream.
            SnapshotError: a page has changed since it was written.
        """
        ...

    def write_alerts(self, claim: Claim, alerts: Iterable[Alert]) -> None:
        """Save alerts at once; the same alert again changes nothing.

        Raises:
            FencedError: somebody else has claimed the stream; nothing is written.
        """
        ...

    def commit(
        self,
        claim: Claim,
        checkpoint: Checkpoint,
        alerts: Iterable[Alert],
        pages: Iterable[Page],
    ) -> None:
        """Save alerts, changed pages and position in one transaction.

        After an error, the caller's ``ChangedPages`` no longer knows what is saved: begin
        anew from the last checkpoint.

        Raises:
            FencedError: somebody else has claimed the stream; nothing is written.
            StoreError: the store holds this or a newer checkpoint.
        """
        ...

    def activate(self, claim: Claim, activation: Activation) -> None:
        """Note which digests decide from a position on; the same again changes nothing.

        Raises:
            FencedError: somebody else has claimed the stream; nothing is written.
        """
        ...

    def activations(self, stream: str) -> list[Activation]:
        """Return what was in force in a stream, in the order it came into force."""
        ...

    def alert_lines(self, stream: str | None = None) -> Iterator[bytes]:
        """Yield saved alerts as lines of the alerts file, in order of emission.

        Args:
            stream: only of this one; None yields all, in order of arrival.
        """
        ...

    def arrivals(self, after: int, limit: int, stream: str | None = None) -> list[Arrival]:
        """Return the next alert lines of a stream or of all streams, at most ``limit``.

        Who goes on after the last number returned misses none: numbers become visible in order.
        """
        ...

    def last_arrival(self) -> int:
        """Return the number of the newest alert line, 0 if there is none."""
        ...

    def n_arrivals(self, after: int, limit: int, stream: str) -> int:
        """Count the alert lines of a stream after a number, up to ``limit``."""
        ...

    def sink_position(self, sink: str) -> int:
        """Return the number of the last arrival a sink has delivered, 0 at first."""
        ...

    def move_sink(self, sink: str, arrival: int) -> None:
        """Note that a sink has delivered everything up to an arrival; never goes back."""
        ...

    def close(self) -> None:
        """Let go of the store."""
        ...
