"""The thread of a sink: one parcel at a time, tried until it is delivered."""

from __future__ import annotations

from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event, Thread

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_result,
    sleep_using_event,
    stop_when_event_set,
    wait_random_exponential,
)

from detector.sinks.base import AlertFields, Report, Sink, UnformattableError, key_of
from detector.telemetry import Telemetry

_MAX_WAIT_S = 60.0
_jittered = wait_random_exponential(multiplier=0.5, max=_MAX_WAIT_S)


@dataclass(frozen=True, slots=True)
class Parcel:
    """Some alerts of a stream with their numbers, in order."""

    stream: str
    alerts: list[tuple[int, AlertFields]]


class Courier:
    """Delivers parcels on a thread of its own.

    ``take``, ``delivered`` and ``stop`` are called by one other thread.
    """

    def __init__(self, sink: Sink, telemetry: Telemetry) -> None:
        self.sink, self._telemetry = sink, telemetry
        self._parcels: SimpleQueue[Parcel | None] = SimpleQueue()
        self._delivered: SimpleQueue[tuple[str, int, int]] = SimpleQueue()
        self._stop = Event()
        self._n_under_way = 0
        self._retrying = Retrying(
            retry=retry_if_result(lambda report: report.failure is not None),
            wait=_wait,
            stop=stop_when_event_set(self._stop),
            sleep=sleep_using_event(self._stop),
            retry_error_callback=lambda _state: None,
        )
        self._thread = Thread(target=self._run, name=f"sink {sink.name}", daemon=True)
        self._thread.start()

    @property
    def is_free(self) -> bool:
        """Nothing is under way."""
        return self._n_under_way == 0

    @property
    def n_under_way(self) -> int:
        """Alert versions taken and not delivered yet, as far as ``delivered`` has told."""
        return self._n_under_way

    def take(self, parcel: Parcel) -> None:
        """Take a parcel; only when free."""
        self._n_under_way += len(parcel.alerts)
        self._parcels.put(parcel)

    def delivered(self) -> list[tuple[str, int]]:
        """Return what has been delivered since the last call: (stream, last number)."""
        found: list[tuple[str, int]] = []
        while True:
            try:
                stream, number, n_alerts = self._delivered.get_nowait()
            except Empty:
                return found
            self._n_under_way -= n_alerts
            found.append((stream, number))

    def stop(self, grace_s: float) -> None:
        """End after what is under way, or after ``grace_s`` wherever it is."""
        self._parcels.put(None)
        self._thread.join(grace_s)
        self._stop.set()
        self._thread.join(grace_s)
        if not self._thread.is_alive():
            self.sink.close()

    def _run(self) -> None:
        while (parcel := self._parcels.get()) is not None and not self._stop.is_set():
            self._bring(parcel)

    def _bring(self, parcel: Parcel) -> None:
        """Try until all is delivered or the host stops."""
        rest = list(parcel.alerts)

        def attempt() -> Report:
            report = self._try([alert for _, alert in rest])
            if report.n_done:
                done = (parcel.stream, rest[report.n_done - 1][0], report.n_done)
                del rest[: report.n_done]
                self._delivered.put(done)
            return report

        while rest and not self._stop.is_set():
            self._retrying(attempt)

    def _try(self, alerts: list[AlertFields]) -> Report:
        """Deliver once and tell how it went; whatever is wrong, the thread goes on."""
        try:
            report = self.sink.deliver(alerts)
        except UnformattableError as error:
            if len(alerts) > 1:
                return self._try(alerts[:1])  # one by one, until it is clear which it is
            report = Report(1, refused=(f"{key_of(alerts[0])} {error}",))
        except Exception as error:
            report = Report(0, failure=f"failed ({type(error).__name__})")
            self._telemetry.log.exception("sink broke", sink=self.sink.name)
        self._tell(report)
        return report

    def _tell(self, report: Report) -> None:
        metrics, log, name = self._telemetry.metrics, self._telemetry.log, self.sink.name
        label = metrics.sink(name)
        metrics.sink_delivered.labels(label).inc(report.n_done - len(report.refused))
        metrics.sink_refused.labels(label).inc(len(report.refused))
        for why in report.refused:
            log.error("sink refused an alert", sink=name, why=why)
        if report.failure is not None:
            metrics.sink_failures.labels(label).inc()
            log.warning("sink failed", sink=name, why=report.failure)


def _wait(state: RetryCallState) -> float:
    """Wait longer from try to try, by chance, and at least as long as the receiver asks."""
    asked_s = 0.0 if state.outcome is None else state.outcome.result().retry_after_s
    return max(float(_jittered(state)), asked_s)
