"""Alerts from the store to sinks: each sink follows the alerts of a stream at its own pace.

The store is the queue. What a sink has delivered is a position kept there, per sink and stream;
what it could not deliver waits where it lies anyway, on disk, as long as the store keeps alerts.
So a slow or dead sink costs memory for one batch and no detection time, a kill -9 loses
nothing, and what was under way then goes out again under the same keys.

Streams go with partitions: whoever holds a partition delivers its alerts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import orjson

from detector.sinks.base import Sink
from detector.sinks.courier import Courier, Parcel
from detector.telemetry import Telemetry

BATCH = 100
_GRACE_S = 5.0
_COUNT_EVERY_S, _MAX_COUNT = 5.0, 100_000


class Line(Protocol):
    """An alert line of the store; ``number`` grows from line to line."""

    @property
    def number(self) -> int: ...  # noqa: D102  told above
    @property
    def line(self) -> bytes: ...  # noqa: D102


class Alerts(Protocol):
    """The part of the store that sinks need; used by the thread that calls ``turn`` only."""

    def arrivals(self, after: int, limit: int, stream: str | None = None) -> Sequence[Line]:
        """Return the next alert lines of a stream."""
        ...

    def n_arrivals(self, after: int, limit: int, stream: str) -> int:
        """Count what comes after a number, up to ``limit``."""
        ...

    def sink_position(self, sink: str) -> int:
        """Return what was delivered last, 0 at first."""
        ...

    def move_sink(self, sink: str, arrival: int) -> None:
        """Note what was delivered; never goes back."""
        ...


class Outbox:
    """Feeds sinks from the store. All methods are for the host's thread.

    Args:
        store: where alerts and positions are.
        sinks: where alerts go; each gets a thread of its own.
        telemetry: lag, deliveries and failures are told there, by sink.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        store: Alerts,
        sinks: Iterable[Sink],
        telemetry: Telemetry,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._lanes = [_Lane(Courier(sink, telemetry), store, telemetry, clock) for sink in sinks]

    def follow(self, stream: str) -> None:
        """Deliver the alerts of a stream from now on, beginning where its sinks stopped."""
        for lane in self._lanes:
            lane.follow(stream)

    def leave(self, stream: str) -> None:
        """Leave a stream to another host; what is under way still goes out."""
        for lane in self._lanes:
            lane.leave(stream)

    def wake(self, stream: str) -> None:
        """Say that the store has new alerts of a stream."""
        for lane in self._lanes:
            lane.wake(stream)

    def turn(self) -> None:
        """Note what was delivered and hand out what is next; never waits for a sink.

        Raises:
            StoreError: the store cannot be used.
        """
        for lane in self._lanes:
            lane.turn()

    def close(self, grace_s: float = _GRACE_S) -> None:
        """Give deliveries under way a moment, note what arrived, stop."""
        until = time.monotonic() + grace_s
        for lane in self._lanes:
            lane.courier.stop(max(until - time.monotonic(), 0.0))
            lane.note()


class _Lane:
    """One sink: which streams it follows, which of them may have more, and how far it is."""

    def __init__(
        self, courier: Courier, store: Alerts, telemetry: Telemetry, clock: Callable[[], float]
    ) -> None:
        self.courier, self._store, self._telemetry, self._clock = courier, store, telemetry, clock
        self._read: dict[str, int] = {}
        self._moved: dict[str, int] = {}  # delivered, and not noted in the store yet
        self._awake: dict[str, None] = {}  # in order: the next in turn comes first
        self._last_good = self._counted_at = clock()
        self._n_unread = 0

    def follow(self, stream: str) -> None:
        self._read[stream] = self._store.sink_position(self._key(stream))
        self._awake[stream] = None

    def leave(self, stream: str) -> None:
        self._read.pop(stream, None)
        self._awake.pop(stream, None)

    def wake(self, stream: str) -> None:
        if stream in self._read:
            self._awake[stream] = None

    def turn(self) -> None:
        self.note()
        while self.courier.is_free and self._awake:
            self._hand_out(next(iter(self._awake)))
        self._tell()

    def note(self) -> None:
        """Bring to the store what the courier has delivered."""
        for stream, number in self.courier.delivered():
            self._moved[stream] = number
            self._last_good = self._clock()
        for stream, number in list(self._moved.items()):
            self._store.move_sink(self._key(stream), number)
            del self._moved[stream]

    def _hand_out(self, stream: str) -> None:
        """Read the next alerts of a stream; it goes to the end of the line, or to sleep."""
        lines = self._store.arrivals(self._read[stream], BATCH, stream)
        del self._awake[stream]
        if not lines:
            return
        alerts = [(line.number, orjson.loads(line.line)) for line in lines]
        self._read[stream] = lines[-1].number
        self._awake[stream] = None
        self.courier.take(Parcel(stream, alerts))

    def _tell(self) -> None:
        """Tell how much waits, and for how long nothing was taken."""
        now = self._clock()
        if self.courier.is_free:
            self._last_good = now
        if now - self._counted_at >= _COUNT_EVERY_S:
            self._counted_at = now
            self._n_unread = sum(
                self._store.n_arrivals(self._read[stream], _MAX_COUNT, stream)
                for stream in self._awake
            )
        metrics = self._telemetry.metrics
        label = metrics.sink(self.courier.sink.name)
        n_unread = self._n_unread if self._awake else 0
        metrics.sink_waiting.labels(label).set(self.courier.n_under_way + n_unread)
        metrics.sink_waiting_seconds.labels(label).set(now - self._last_good)

    def _key(self, stream: str) -> str:
        return f"{self.courier.sink.name}:{stream}"
