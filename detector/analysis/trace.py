"""What the engine said after every event, as columns: what scores, features and what-if read."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.analysis.kernels import latest_rise
from detector.columns import EventBatch
from detector.engine import Step
from detector.state.layout import (
    CALIBRATED,
    COUNTS,
    CUSTOMERS_1D,
    DAY,
    EVENTS,
    F64,
    I32,
    I64,
    N_CHANNELS,
    N_DETECTORS,
    N_STATS,
    RAW,
    RECORDS_1D,
    WHOLE,
)

_DAY_BITS = 21  # days since 1970 in a key of user and day: until the year 7700


@dataclass(frozen=True, slots=True)
class Rises:
    """The rows at which a raw score rose, m of them: only there can a surprise change.

    ``row`` (m,) row of the trace; ``raw`` (m, channels) and ``surprise`` (m, detectors) of the
    actor's day after it; ``known`` (m, detectors) what flagged days had said; ``group`` (m,)
    peer group.
    """

    row: I64
    raw: F64
    surprise: F64
    known: F64
    group: I32


@dataclass(frozen=True, slots=True)
class Closings:
    """The actor-days that closed: user key, local day (since 1970) and the day's whole score."""

    user: I64
    day: I64
    whole: F64


@dataclass(frozen=True)
class Trace:
    """One line an accepted event, n in arrival order.

    ``user`` (n,) is a row of ``user_ids``; ``day`` (n,) the actor's local day since 1970 and
    ``score`` (n,) the day's score so far, NaN (and the rest 0) where the event was not scored;
    ``n_*`` (n,) count the day so far, ``n_closed`` the actor's days before it. ``counts`` is
    (n, counts), or (0, counts) if features were not asked for.
    """

    event_ids: tuple[str, ...]
    user_ids: tuple[str, ...]
    user_key: I64
    time_ns: I64
    user: I32
    day: I32
    score: F64
    n_events: I32
    n_records: I64
    n_customers: I32
    n_closed: I32
    counts: I32
    rises: Rises
    closings: Closings

    def __len__(self) -> int:
        """Number of events."""
        return self.time_ns.size

    @cached_property
    def scored(self) -> NDArray[np.bool_]:
        """(n,) events that have a score."""
        return ~np.isnan(self.score)

    @cached_property
    def _episodes(self) -> tuple[I64, NDArray[np.int64]]:
        keys = (self.user.astype(np.int64) << _DAY_BITS) | self.day.astype(np.int64)
        keys[~self.scored] = -1
        distinct, codes = np.unique(keys, return_inverse=True)
        return distinct, codes.astype(np.int64)

    @property
    def episode(self) -> I64:
        """(n,) number of the actor's local day; the same for all its events."""
        return self._episodes[1]

    @property
    def n_episodes(self) -> int:
        """How many actor-days there are, and one for events without a score."""
        return self._episodes[0].size

    def episode_of(self, user: I32, day: I64) -> I64:
        """(k,) number of each actor-day, -1 where no event of it is here."""
        keys = (user.astype(np.int64) << _DAY_BITS) | day
        at = np.minimum(np.searchsorted(self._episodes[0], keys), self.n_episodes - 1)
        return np.where(self._episodes[0][at] == keys, at, -1)

    @cached_property
    def rise_of(self) -> I64:
        """(n,) the latest line of ``rises`` that counts for each event, -1 = none yet."""
        out = np.full(len(self), -1, dtype=np.int64)
        last = np.full(self.n_episodes, -1, dtype=np.int64)
        latest_rise(self.episode, self.rises.row, last, out)
        return out

    def surprises(self, rows: I64) -> F64:
        """(k, detectors) surprise of each detector after some events; NaN where not scored."""
        at = self.rise_of[rows]
        found = np.zeros((rows.size, N_DETECTORS), dtype=np.float64)
        risen = at >= 0
        found[risen] = self.rises.surprise[at[risen]]
        found[~self.scored[rows]] = np.nan
        return found


_Parts = dict[str, list[NDArray[Any]]]


@dataclass(slots=True)
class Tracer:
    """Collects a trace batch by batch."""

    keep_counts: bool
    _event_ids: list[str] = field(default_factory=list)
    _names: dict[int, str] = field(default_factory=dict)
    _parts: _Parts = field(default_factory=dict)
    _n_rows: int = 0

    def note(self, batch: EventBatch, result: Step) -> None:
        """Add one batch."""
        kept, closed = result.kept, result.closed
        self._event_ids += list(batch.event_ids)
        self._note_names(batch)
        rise = np.flatnonzero(kept.actor[:, 3])
        counts = kept.day[:, COUNTS : COUNTS + N_STATS]
        columns: dict[str, NDArray[Any]] = {
            "time_ns": batch.event_time_ns,
            "user_key": batch.user_hash,
            "day": kept.day[:, DAY].astype(np.int32),
            "score": result.scores,
            "n_events": kept.day[:, EVENTS].astype(np.int32),
            "n_records": counts[:, RECORDS_1D].copy(),
            "n_customers": counts[:, CUSTOMERS_1D].astype(np.int32),
            "n_closed": kept.actor[:, 2].astype(np.int32),
            "counts": counts.astype(np.int32) if self.keep_counts else counts[:0].astype(np.int32),
            "rise_row": rise + self._n_rows,
            "raw": kept.surprise[rise, RAW : RAW + N_CHANNELS],
            "surprise": kept.surprise[rise, CALIBRATED : CALIBRATED + N_DETECTORS],
            "known": kept.known[rise],
            "group": kept.actor[rise, 1].astype(np.int32),
            "closed_user": closed.actor[:, 0].copy(),
            "closed_day": closed.day[:, DAY].copy(),
            "closed_whole": closed.surprise[:, WHOLE].copy(),
        }
        for name, part in columns.items():
            self._parts.setdefault(name, []).append(part)
        self._n_rows += len(batch)

    def _note_names(self, batch: EventBatch) -> None:
        keys, first = np.unique(batch.user_hash, return_index=True)
        for key, row in zip(keys.tolist(), first.tolist(), strict=True):
            if key not in self._names:
                self._names[key] = batch.user_ids[row]

    def trace(self) -> Trace:
        """Put everything together."""
        column: dict[str, Any] = {
            name: np.concatenate(parts) for name, parts in self._parts.items()
        }
        keys, user = np.unique(column["user_key"], return_inverse=True)
        return Trace(
            event_ids=tuple(self._event_ids),
            user_ids=tuple(self._names[key] for key in keys.tolist()),
            user_key=keys,
            user=user.astype(np.int32),
            rises=Rises(
                column["rise_row"], column["raw"], column["surprise"], column["known"],
                column["group"],
            ),
            closings=Closings(
                column["closed_user"], column["closed_day"], column["closed_whole"]
            ),
            **{
                name: column[name]
                for name in (
                    "time_ns", "day", "score", "n_events", "n_records", "n_customers",
                    "n_closed", "counts",
                )
            },
        )  # fmt: skip
