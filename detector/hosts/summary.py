"""What a replay has done so far: totals that outlive interruptions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from detector.alerts import Alert
from detector.engine import Step
from detector.hosts.events import Decoded

_N_TOP = 5


@dataclass(slots=True)
class ReplaySummary:
    """Totals since the first event of the input, interruptions included."""

    events: int = 0
    alert_lines: int = 0
    rejects: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    alerts_per_day: Counter[str] = field(default_factory=Counter)
    top: dict[str, dict[str, Any]] = field(default_factory=dict)
    resumed_at_line: int = 0
    newest_event_ns: int = -(2**63)
    notices: tuple[str, ...] = ()

    def note(self, step_: Step, chunk: Decoded) -> None:
        """Add one batch."""
        self.events += len(chunk.batch)
        newest = int(chunk.batch.event_time_ns.max(initial=self.newest_event_ns))
        self.newest_event_ns = newest
        self.rejects.update(r.reason for r in (*chunk.rejects, *step_.rejects))
        actors = step_.counts.pop("actors")
        self.counts.update(step_.counts)
        self.counts["actors"] = actors
        for alert in step_.alerts:
            self._note_alert(alert)

    def _note_alert(self, alert: Alert) -> None:
        self.alert_lines += 1
        if alert.version == 1:
            self.alerts_per_day[alert.fields["time"][:10]] += 1
        self.top[alert.alert_id] = alert.fields
        if len(self.top) > 4 * _N_TOP:
            self.top = {fields["alert_id"]: fields for fields in self.best()}

    def best(self) -> list[dict[str, Any]]:
        """Return the highest ranked alerts, best first."""
        ranked = sorted(self.top.values(), key=lambda f: (-f["score"], f["alert_id"]))
        return ranked[:_N_TOP]

    def to_json(self) -> dict[str, Any]:
        """Return JSON values; ``from_json`` reads them back."""
        return {
            "events": self.events,
            "alerts": sum(self.alerts_per_day.values()),
            "alert_lines": self.alert_lines,
            "rejects": dict(self.rejects),
            "counts": dict(self.counts),
            "alerts_per_day": dict(self.alerts_per_day),
            "top": self.best(),
            "resumed_at_line": self.resumed_at_line,
            "newest_event_ns": self.newest_event_ns,
            "notices": list(self.notices),
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> ReplaySummary:
        """Go on counting where a checkpoint stopped."""
        return cls(
            events=content["events"],
            alert_lines=content["alert_lines"],
            rejects=Counter(content["rejects"]),
            counts=Counter(content["counts"]),
            alerts_per_day=Counter(content["alerts_per_day"]),
            top={fields["alert_id"]: fields for fields in content["top"]},
            newest_event_ns=content["newest_event_ns"],
        )
