"""What a replay in Python gives: alerts, scores and features as data frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import orjson

from detector.analysis.trace import Trace
from detector.artifacts import Artifact
from detector.columns import Reject
from detector.detections import DETECTORS
from detector.errors import OptionError
from detector.extras import needed
from detector.plan import Plan
from detector.reference import Reference
from detector.scoring.counts import STATS
from detector.state.layout import I64

COUNTS = tuple(f"{quantity}_{window}" for quantity, window in STATS)
"""Columns of ``features`` that count, in the order of the engine."""


@dataclass(frozen=True)
class Result:
    """A replay that can be asked questions; nothing in it changes.

    ``alert_lines`` are the bytes of the alerts file. ``counts`` are the engine's totals,
    ``notices`` what an operator would have been told.
    """

    alert_lines: tuple[bytes, ...]
    trace: Trace
    rejected: tuple[Reject, ...]
    counts: Counter[str]
    notices: tuple[str, ...]
    plan: Plan
    policy_changes: Mapping[str, Any]
    artifact: Artifact | None
    reference: Reference
    has_features: bool

    @cached_property
    def alerts(self) -> Any:
        """One row an alert version, in order of emission; columns as in the alerts file."""
        pd = needed("pandas")
        rows = [orjson.loads(line) for line in self.alert_lines]
        return pd.DataFrame(rows) if rows else pd.DataFrame(columns=list(ALERT_COLUMNS))

    @cached_property
    def scores(self) -> Any:
        """One row an accepted event, in arrival order: who, when, and the day's score after it.

        ``score`` is NaN where an event was not scored (a duplicate, or too late); ``day`` is
        the local day in the branch's zone.
        """
        pd, trace = needed("pandas"), self.trace
        day = trace.day.astype("datetime64[D]").astype("datetime64[s]")
        day[~trace.scored] = np.datetime64("NaT")
        return pd.DataFrame(
            {
                "event_id": pd.array(trace.event_ids, dtype="str"),
                "event_time": pd.to_datetime(trace.time_ns, unit="ns", utc=True),
                "user_id": pd.Categorical.from_codes(trace.user, categories=list(trace.user_ids)),
                "day": day,
                "score": trace.score,
            }
        )

    @cached_property
    def features(self) -> Any:
        """One row an accepted event, aligned with ``scores``.

        ``surprise_<detector>`` are calibrated powers of ten, 0 = ordinary; the counts are of
        the actor's local day so far, the largest of their windows; ``learning`` where the
        history is short. NaN and 0 where an event was not scored.

        Raises:
            OptionError: the replay was asked not to keep features.
        """
        if not self.has_features:
            hint = "Replay with features=True"
            raise OptionError("were not kept", where="features", hint=hint)
        pd, trace = needed("pandas"), self.trace
        surprises = trace.surprises(np.arange(len(trace), dtype=np.int64))
        mature = self.plan.policy.learning.mature_days
        columns: dict[str, Any] = {"learning": trace.n_closed < mature}
        columns["n_events"] = trace.n_events
        columns |= {f"surprise_{name}": surprises[:, i] for i, name in enumerate(DETECTORS)}
        columns |= {name: trace.counts[:, i] for i, name in enumerate(COUNTS)}
        return pd.DataFrame(columns)

    @cached_property
    def actor_days(self) -> Any:
        """One row an actor's local day: its last score, events, records and customers."""
        pd, trace = needed("pandas"), self.trace
        last = self.last_rows()
        return pd.DataFrame(
            {
                "user_id": [trace.user_ids[code] for code in trace.user[last].tolist()],
                "day": trace.day[last].astype("datetime64[D]").astype("datetime64[s]"),
                "score": trace.score[last],
                "n_events": trace.n_events[last],
                "n_records": trace.n_records[last],
                "n_customers": trace.n_customers[last],
                "learning": trace.n_closed[last] < self.plan.policy.learning.mature_days,
                **dict(zip(_SURPRISES, trace.surprises(last).T, strict=True)),
            }
        )

    def last_rows(self) -> I64:
        """(k,) the last scored event of every actor-day, in order."""
        trace = self.trace
        rows = np.flatnonzero(trace.scored)
        last = np.full(trace.n_episodes, -1, dtype=np.int64)
        last[trace.episode[rows]] = rows
        return np.sort(last[last >= 0])

    @cached_property
    def rejects(self) -> Any:
        """One row a reject: reason, place and field; without its content."""
        pd = needed("pandas")
        rows = [(reject.reason, reject.where, reject.field) for reject in self.rejected]
        return pd.DataFrame(rows, columns=["reason", "where", "field"])


_SURPRISES = tuple(f"surprise_{name}" for name in DETECTORS)
ALERT_COLUMNS = (
    "alert_id", "version", "time", "score", "severity", "detector", "detectors", "user_id",
    "user_role", "user_branch", "first_event_time", "last_event_time", "n_events", "n_records",
    "n_customers", "learning", "contributions", "evidence", "event_ids", "explanation",
    "policy_digest", "artifact_digest",
)  # fmt: skip
