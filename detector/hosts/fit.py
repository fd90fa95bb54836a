"""Stored events → artifact folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from detector.artifacts import Artifact, refuse_foreign, write_artifact
from detector.columns import EventBatch
from detector.errors import SourceError
from detector.fitting import fit
from detector.hosts.events import decoded
from detector.hosts.inputs import total_bytes
from detector.mapping import Mapping, load_mapping
from detector.plan import build_plan
from detector.policy import load_policy
from detector.reference import load_reference

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class FitOptions:
    """What `detector fit` is told; see the command's help."""

    events: str
    output: Path
    until_ns: int | None = None
    mapping: Path | None = None
    policy: Path | None = None
    reference: Path | None = None


@dataclass(frozen=True, slots=True)
class Fitted:
    """The artifact, and what the operator must know: rows left out by reason, notices."""

    artifact: Artifact
    rejects: dict[str, int]
    notices: tuple[str, ...]


@dataclass(slots=True)
class _History:
    """The events to learn from, as often as they are asked for; counts what it leaves out."""

    options: FitOptions
    mapping: Mapping
    max_line_bytes: int
    progress: Progress | None
    rejects: Counter[str] = field(default_factory=Counter)
    newest_event_ns: int = -(2**63)
    n_lines: int = 0
    n_passes: int = 0

    def is_empty(self) -> bool:
        """Tell whether there is nothing to learn from; reads no further than needed."""
        chunks = decoded(self.options.events, self.mapping, self.max_line_bytes)
        return not any(len(before(chunk.batch, self.options.until_ns)) for chunk in chunks)

    def batches(self) -> Iterator[EventBatch]:
        """Go through the history once more."""
        self.n_passes += 1
        is_first = self.n_passes == 1
        done_before = (self.n_passes - 1) * (total_bytes(self.options.events) or 0)
        for chunk in decoded(self.options.events, self.mapping, self.max_line_bytes):
            batch = before(chunk.batch, self.options.until_ns)
            self.n_lines += len(chunk.lines.lines)
            if is_first:
                self.rejects.update(reject.reason for reject in chunk.rejects)
            if self.progress is not None:
                self.progress(self.n_lines, done_before + chunk.lines.bytes_done)
            if len(batch):
                self.newest_event_ns = max(self.newest_event_ns, int(batch.event_time_ns.max()))
                yield batch


def fit_artifact(options: FitOptions, progress: Progress | None = None) -> Artifact:
    """Fit on stored events and write the artifact; see ``fit_history``."""
    return fit_history(options, progress).artifact


def fit_history(options: FitOptions, progress: Progress | None = None) -> Fitted:
    """Fit on stored events, write the artifact, tell what was left out.

    Raises:
        DetectorError: a file or option is wrong, or there are no events to learn from.
    """
    if options.events == "-":
        hint = "The history is read twice: write it to a file first"
        raise SourceError("cannot be fitted from stdin", where="EVENTS", hint=hint)
    refuse_foreign(options.output)
    policy, mapping = load_policy(options.policy), load_mapping(options.mapping)
    reference = load_reference(options.reference)
    history = _History(options, mapping, policy.limits.max_line_bytes, progress)
    if history.is_empty():
        hint = "Check the mapping and --until; `detector replay --rejects FILE` tells why"
        raise SourceError("holds no events to learn from", where=options.events, hint=hint)
    arrays, manifest = fit(history.batches, policy, reference)
    rejects = dict(sorted(history.rejects.items()))
    manifest["learned_from"] = {**manifest["learned_from"], "rejects": rejects}
    manifest["mapping_digest"] = mapping.digest
    notices = build_plan(policy, None, reference).notices
    due = tuple(notice.text for notice in notices if notice.from_ns <= history.newest_event_ns)
    return Fitted(write_artifact(options.output, arrays, manifest), rejects, due)


def before(batch: EventBatch, until_ns: int | None) -> EventBatch:
    """Keep the events before an instant."""
    if until_ns is None or bool((batch.event_time_ns < until_ns).all()):
        return batch
    return batch.take(np.flatnonzero(batch.event_time_ns < until_ns))
