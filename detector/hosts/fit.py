"""Stored events → artifact folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detector.artifacts import Artifact, refuse_foreign, write_artifact
from detector.columns import EventBatch
from detector.errors import SourceError
from detector.fitting import fit
from detector.hosts.events import decoded
from detector.hosts.inputs import total_bytes
from detector.mapping import load_mapping
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


def fit_artifact(options: FitOptions, progress: Progress | None = None) -> Artifact:
    """Fit on stored events and write the artifact.

    Raises:
        DetectorError: a file or option is wrong, or there are no events to learn from.
    """
    if options.events == "-":
        hint = "The history is read twice: write it to a file first"
        raise SourceError("cannot be fitted from stdin", where="EVENTS", hint=hint)
    refuse_foreign(options.output)
    policy, mapping = load_policy(options.policy), load_mapping(options.mapping)
    n_bytes = total_bytes(options.events) or 0
    passes = iter(range(2))
    n_lines = 0

    def batches() -> Iterator[EventBatch]:
        nonlocal n_lines
        done_before = next(passes) * n_bytes
        for chunk in decoded(options.events, mapping, policy.limits.max_line_bytes):
            batch = before(chunk.batch, options.until_ns)
            n_lines += len(chunk.lines.lines)
            if progress is not None:
                progress(n_lines, done_before + chunk.lines.bytes_done)
            if len(batch):
                yield batch

    chunks = decoded(options.events, mapping, policy.limits.max_line_bytes)
    if not any(len(before(chunk.batch, options.until_ns)) for chunk in chunks):
        hint = "Check the mapping and --until; `detector replay --rejects FILE` tells why"
        raise SourceError("holds no events to learn from", where=options.events, hint=hint)
    arrays, manifest = fit(batches, policy, load_reference(options.reference))
    return write_artifact(options.output, arrays, {**manifest, "mapping_digest": mapping.digest})


def before(batch: EventBatch, until_ns: int | None) -> EventBatch:
    """Keep the events before an instant."""
    if until_ns is None or bool((batch.event_time_ns < until_ns).all()):
        return batch
    return batch.take(np.flatnonzero(batch.event_time_ns < until_ns))
