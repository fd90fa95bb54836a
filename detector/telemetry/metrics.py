"""Every metric the program has, in a registry of its own; labels are bounded.

A label takes one of the values declared here or by the host, never a user, a customer or
anything else an event says; an undeclared value counts as ``other``. Series of declared
values exist from the start at 0: ``rate`` sees the first increment.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import product

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from detector import __version__
from detector.detections import DETECTORS
from detector.events import REASONS

SEVERITIES = ("low", "medium", "high", "critical")
LIMITS = (
    "unscored", "tail_limit", "customer_limit", "branch_limit", "value_limit", "approval_limit",
)  # fmt: skip
MODEL_PROBLEMS = ("refused", "flood", "unreadable", "shadow")
OTHER = "other"

_BATCH_BUCKETS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
_CHECKPOINT_BUCKETS = (0.01, 0.03, 0.1, 0.25, 0.5, 1.0, 3.0, 10.0, 30.0, 100.0)


def bounded(value: str, known: Iterable[str]) -> str:
    """Return a label's value if it was declared.

    >>> bounded("high", SEVERITIES), bounded("u00017", SEVERITIES)
    ('high', 'other')
    """
    return value if value in known else OTHER


class Metrics:
    """The metrics of one process.

    Args:
        sources: names of the topics or files read; the ``source`` label.
        sinks: names of the sinks; the ``sink`` label.
        limits: limits the host has besides those of the engine.
        severities: names of the policy's severities.
    """

    def __init__(
        self,
        sources: Iterable[str] = (),
        sinks: Iterable[str] = (),
        limits: Iterable[str] = (),
        severities: Iterable[str] = SEVERITIES,
    ) -> None:
        self.registry = CollectorRegistry()
        self.sources, self.sinks = tuple(sources), tuple(sinks)
        self.limits, self.severities = (*LIMITS, *limits), tuple(severities)
        self._declare_events()
        self._declare_alerts()
        self._declare_progress()
        self._declare_sinks()
        self.check = self._gauge(
            "detector_check_good", "1 while a check of readiness is good, else 0.", ("check",)
        )
        ProcessCollector(registry=self.registry)
        build = self._gauge("detector_build_info", "Version that runs, always 1.", ("version",))
        build.labels(__version__).set(1)

    def _counter(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, text, registry=self.registry, buckets=buckets)

    def _declare_events(self) -> None:
        by_source = ("source",)
        self.events = self._counter("detector_events_total", "Events decoded.", by_source)
        self.rejects = self._counter(
            "detector_rejects_total", "Rows that could not be used.", ("source", "reason")
        )
        self.late = self._counter(
            "detector_late_events_total", "Events behind their actor's newest one.", by_source
        )
        self.duplicates = self._counter(
            "detector_duplicates_total", "Events dropped as duplicates.", by_source
        )
        self.scanner_refused = self._counter(
            "detector_scanner_refused_total", "Rows decoded the slow way.", by_source
        )
        for source in (*self.sources, OTHER):
            for metric in (self.events, self.late, self.duplicates, self.scanner_refused):
                metric.labels(source)
            for reason in (*REASONS, OTHER):
                self.rejects.labels(source, reason)

    def _declare_alerts(self) -> None:
        self.alerts = self._counter(
            "detector_alerts_total", "Alerts raised, first versions.", ("detector", "severity")
        )
        for labels in product((*DETECTORS, OTHER), (*self.severities, OTHER)):
            self.alerts.labels(*labels)
        self.alert_versions = self._counter(
            "detector_alert_versions_total", "Alert lines written, later versions included."
        )
        self.alerts_held_back = self._counter(
            "detector_alerts_held_back_total", "Alerts below the budget's cut, kept and counted."
        )
        self.alert_budget = self._gauge(
            "detector_alert_budget_per_day", "Alerts a day that the policy allows."
        )
        self.limit_hits = self._counter(
            "detector_limit_hits_total", "Times a limit was reached.", ("limit",)
        )
        for limit in (*self.limits, OTHER):
            self.limit_hits.labels(limit)

    def _declare_progress(self) -> None:
        self.batch_seconds = self._histogram(
            "detector_batch_seconds", "Time from bytes to alerts of a batch.", _BATCH_BUCKETS
        )
        self.event_time_lag = self._gauge(
            "detector_event_time_lag_seconds",
            "Age of the newest event of the last batch when it was scored.",
            ("source",),
        )
        self.last_event = self._gauge(
            "detector_last_event_timestamp_seconds",
            "When the last event of a source was scored (start of the process if none was).",
            ("source",),
        )
        self.consumer_lag = self._gauge(
            "detector_consumer_lag_events",
            "Records of a partition behind its end.",
            ("source", "partition"),
        )
        self.partitions = self._gauge("detector_partitions_assigned", "Partitions held here.")
        self.rebalances = self._counter("detector_rebalances_total", "Changes of assignment.")
        self.raw_fetch = self._gauge(
            "detector_raw_fetch_active",
            "1 while raw batches are read, 0 after a fall-back; NaN: not asked for.",
        )
        self.raw_fetch.set(math.nan)
        self.checkpoint_seconds = self._histogram(
            "detector_checkpoint_seconds", "Pause for one checkpoint.", _CHECKPOINT_BUCKETS
        )
        self.checkpoint_failures = self._counter(
            "detector_checkpoint_failures_total", "Checkpoints the store did not take."
        )
        self.last_checkpoint = self._gauge(
            "detector_last_checkpoint_timestamp_seconds",
            "When the last checkpoint was saved (start of the process if none was).",
        )
        self.state_actors = self._gauge("detector_state_actors", "People held in memory.")
        self.state_bytes = self._gauge("detector_state_bytes", "Memory of the state.")
        self.artifact_age = self._gauge(
            "detector_artifact_age_seconds", "Time since the artifact in force was made; NaN: none."
        )
        self.artifact_age.set(math.nan)
        self.model_problems = self._counter(
            "detector_model_problems_total",
            "Versions refused or undone after a flood, registries not read, shadows dropped.",
            ("problem",),
        )
        for problem in MODEL_PROBLEMS:
            self.model_problems.labels(problem)

    def _declare_sinks(self) -> None:
        by_sink = ("sink",)
        self.sink_delivered = self._counter(
            "detector_sink_delivered_total", "Alert versions a sink has taken.", by_sink
        )
        self.sink_failures = self._counter(
            "detector_sink_failures_total", "Deliveries that failed and are tried again.", by_sink
        )
        self.sink_refused = self._counter(
            "detector_sink_refused_total", "Alert versions a receiver refused for good.", by_sink
        )
        self.sink_waiting = self._gauge(
            "detector_sink_waiting_alerts", "Alert versions a sink has not taken yet.", by_sink
        )
        self.sink_waiting_seconds = self._gauge(
            "detector_sink_waiting_seconds",
            "How long a sink has taken none of what waits; 0: nothing waits.",
            by_sink,
        )
        for sink in (*self.sinks, OTHER):
            for counter in (self.sink_delivered, self.sink_failures, self.sink_refused):
                counter.labels(sink)
        for sink in self.sinks:
            self.sink_waiting.labels(sink).set(0)
            self.sink_waiting_seconds.labels(sink).set(0)

    def source(self, name: str) -> str:
        """Return the label of a source."""
        return bounded(name, self.sources)

    def sink(self, name: str) -> str:
        """Return the label of a sink."""
        return bounded(name, self.sinks)

    def forget_partition(self, source: str, partition: int) -> None:
        """Stop telling the lag of a partition that another host holds now."""
        self.consumer_lag.remove(self.source(source), str(partition))
