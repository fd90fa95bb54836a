"""The one object a host owns."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, TextIO

from detector.alerts import Alert
from detector.detections import DETECTORS
from detector.events import REASONS
from detector.telemetry.health import Health
from detector.telemetry.http import LOOPBACK, Address, Listener, application
from detector.telemetry.logs import LibraryLogs, Redactor, json_logger
from detector.telemetry.metrics import Metrics, bounded

_NS = 1e9


@dataclass(frozen=True, slots=True)
class BatchReport:
    """What one batch gave.

    Args:
        source: topic or file it came from.
        n_events: rows decoded, rejects not among them.
        seconds: from bytes to alerts.
        rejects: rows that could not be used, by reason; decode's and the engine's.
        alerts: as ``step`` returned them.
        counts: ``Step.counts``.
        newest_event_ns: newest event time of the batch, or the broker's timestamp; None
            if it had no event.
        n_scanner_refused: rows the compiled scanner left to the slow decoder.
        n_held_back: alerts below the budget's cut.
    """

    source: str
    n_events: int
    seconds: float
    rejects: Mapping[str, int] = field(default_factory=dict)
    alerts: Sequence[Alert] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    newest_event_ns: int | None = None
    n_scanner_refused: int = 0
    n_held_back: int = 0


@dataclass(frozen=True, slots=True)
class Logs:
    """Values that must never be written, where lines go (stderr), and the lowest level."""

    secrets: tuple[str, ...] = ()
    stream: TextIO | None = None
    level: int = logging.INFO


class Telemetry:
    """Metrics, log, health and their port; a context manager.

    Args:
        metrics: what to count, with the names of sources and sinks.
        checks: names of what must be good before the host is ready.
        address: where to listen; None listens nowhere.
        logs: how to log.
        clock_ns: wall clock in nanoseconds.

    Raises:
        OptionError: on entering, when the address cannot be taken.
    """

    def __init__(
        self,
        metrics: Metrics,
        checks: Iterable[str] = (),
        *,
        address: Address | None = LOOPBACK,
        logs: Logs = Logs(),
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.metrics, self.redact = metrics, Redactor(logs.secrets)
        self.health = Health(checks, on_change=self._tell_check)
        self.log = json_logger(self.redact, logs.stream, logs.level)
        self.app = application(metrics.registry, self.health, self.redact)
        self._wanted, self._clock_ns = address, clock_ns
        self._listener: Listener | None = None
        self._library_logs = LibraryLogs(self.log)
        now_s = self._clock_ns() / _NS
        metrics.last_checkpoint.set(now_s)
        for source in metrics.sources:
            metrics.last_event.labels(source).set(now_s)

    def __enter__(self) -> Self:
        """Listen, and take in what libraries log."""
        if self._wanted is not None:
            self._listener = Listener(self._wanted, self.app)
        logging.getLogger().addHandler(self._library_logs)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop listening."""
        logging.getLogger().removeHandler(self._library_logs)
        if self._listener is not None:
            self._listener.close()

    @property
    def address(self) -> Address | None:
        """Where it listens; None if it does not."""
        return None if self._listener is None else self._listener.address

    def _tell_check(self, check: str, is_good: bool) -> None:
        self.metrics.check.labels(check).set(is_good)

    def batch(self, report: BatchReport) -> None:
        """Count a batch, write its line, and note that the loop turns."""
        self.health.beat()
        self._count(report)
        for alert in report.alerts:
            self._count_alert(alert)
        limits = self._count_limits(report.counts)
        write = self.log.warning if limits else self.log.info
        facts: dict[str, object] = {"rejects": dict(report.rejects), "limits": limits}
        write(
            "batch",
            source=report.source,
            events=report.n_events,
            seconds=round(report.seconds, 6),
            alerts=len(report.alerts),
            **{name: value for name, value in facts.items() if value},
        )

    def _count(self, report: BatchReport) -> None:
        metrics, source = self.metrics, self.metrics.source(report.source)
        metrics.events.labels(source).inc(report.n_events)
        metrics.late.labels(source).inc(report.counts.get("late", 0))
        metrics.duplicates.labels(source).inc(report.counts.get("duplicates", 0))
        metrics.scanner_refused.labels(source).inc(report.n_scanner_refused)
        metrics.batch_seconds.observe(report.seconds)
        metrics.alerts_held_back.inc(report.n_held_back)
        for reason, n in report.rejects.items():
            metrics.rejects.labels(source, bounded(reason, REASONS)).inc(n)
        now_ns = self._clock_ns()
        if report.newest_event_ns is not None:
            metrics.event_time_lag.labels(source).set((now_ns - report.newest_event_ns) / _NS)
        if report.n_events:
            metrics.last_event.labels(source).set(now_ns / _NS)

    def _count_alert(self, alert: Alert) -> None:
        self.metrics.alert_versions.inc()
        if alert.version > 1:
            return
        detector = bounded(str(alert.fields["detector"]), DETECTORS)
        severity = bounded(str(alert.fields["severity"]), self.metrics.severities)
        self.metrics.alerts.labels(detector, severity).inc()

    def _count_limits(self, counts: Mapping[str, int]) -> dict[str, int]:
        hits = {name: counts[name] for name in self.metrics.limits if counts.get(name)}
        for name, n in hits.items():
            self.metrics.limit_hits.labels(name).inc(n)
        return hits

    def checkpoint(self, seconds: float) -> None:
        """Count a checkpoint that was saved."""
        self.health.beat()
        self.metrics.checkpoint_seconds.observe(seconds)
        self.metrics.last_checkpoint.set(self._clock_ns() / _NS)

    def checkpoint_failed(self, why: str) -> None:
        """Count a checkpoint that was not saved, and say why."""
        self.metrics.checkpoint_failures.inc()
        self.log.error("checkpoint failed", why=why)

    def artifact(self, made_ns: int | None) -> None:
        """Say when the artifact in force was made; its age is told at every scrape."""
        if made_ns is None:
            self.metrics.artifact_age.set_function(lambda: math.nan)
            return
        self.metrics.artifact_age.set_function(lambda: (self._clock_ns() - made_ns) / _NS)
