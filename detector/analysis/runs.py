"""Fit and replay in Python: the consumer's own engine over files or data frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from collections.abc import Mapping as MappingType
from dataclasses import replace as with_
from datetime import datetime
from pathlib import Path
from typing import Any

from detector.analysis.frames import events_of
from detector.analysis.result import Result
from detector.analysis.trace import Tracer
from detector.artifacts import Artifact, read_artifact, refuse_foreign, write_artifact
from detector.columns import EventBatch, Reject
from detector.engine import new_state, step
from detector.errors import OptionError, SourceError
from detector.fitting import fit as fit_arrays
from detector.hosts.fit import before
from detector.hosts.local_time import instant_ns
from detector.mapping import Mapping
from detector.plan import build_plan
from detector.policy import Policy, policy_of, read_changes
from detector.reference import Reference, load_reference

PathLike = Path | str
Changes = MappingType[str, Any]
Moment = str | int | datetime


def replay(
    events: Any,
    *,
    artifact: Artifact | PathLike | None = None,
    policy: Changes | PathLike | None = None,
    reference: Reference | PathLike | None = None,
    mapping: Mapping | PathLike | None = None,
    since: Moment | None = None,
    min_score: float | None = None,
    features: bool = True,
) -> Result:
    """Run events through the engine; the alerts are those of `detector replay`, bit for bit.

    Args:
        events: a path (file or folder) or a data frame (pandas, Polars, Arrow).
        artifact: what `fit` has learned, or its folder; None: the built-in priors.
        policy: TOML file, or tables such as ``{"alerts": {"known_share": 0.5}}``, over the
            default.
        reference: folder of staff, branches, calendars, cover, customers, approvals.
        mapping: TOML file that names the source's fields; None: they are canonical.
        since: raise alerts only from this date (midnight in the policy's zone) or time on;
            earlier events teach.
        min_score: emit from this score on instead of the threshold; changes nothing learned.
        features: keep every count of every event (80 bytes each) for ``Result.features``.

    Raises:
        DetectorError: an input cannot be used; says which and what to do.
    """
    changes = _changes(policy)
    rules, tables = policy_of(changes, _where(policy)), _reference(reference)
    learned = _artifact(artifact)
    plan = build_plan(
        rules, learned, tables,
        emit_from_ns=_moment_ns(since, rules, "since"), min_score=min_score, keep_ledger=True,
    )  # fmt: skip
    plan = with_(plan, keep_rows=True)
    source = events_of(events, mapping, rules.limits.max_line_bytes)
    state, tracer, counts = new_state(plan), Tracer(features), Counter[str]()
    lines: list[bytes] = []
    rejected: list[Reject] = []
    newest_ns = -(2**63)
    for batch, refused in source.chunks():
        result = step(state, batch, plan)
        state = result.state
        tracer.note(batch, result)
        lines += (alert.to_json_line() for alert in result.alerts)
        rejected += (*refused, *result.rejects)
        counts.update({k: n for k, n in result.counts.items() if k != "actors"})
        counts["actors"] = result.counts["actors"]
        newest_ns = max(newest_ns, int(batch.event_time_ns.max(initial=newest_ns)))
    if not counts:
        raise SourceError("hold no event", where="events", hint="Check path and mapping")
    return Result(
        alert_lines=tuple(lines),
        trace=tracer.trace(),
        rejected=tuple(rejected),
        counts=counts,
        notices=tuple(n.text for n in plan.notices if n.from_ns <= newest_ns),
        plan=plan,
        policy_changes=changes,
        artifact=learned,
        reference=tables,
        has_features=features,
    )


def fit(
    events: Any,
    *,
    output: PathLike | None = None,
    policy: Changes | PathLike | None = None,
    reference: Reference | PathLike | None = None,
    mapping: Mapping | PathLike | None = None,
    until: Moment | None = None,
) -> Artifact:
    """Learn priors, calibration and threshold from a history, as `detector fit` does.

    Args:
        events: a path or a data frame; gone through twice.
        output: folder to write the artifact to; None: it is only returned.
        policy: as in ``replay``.
        reference: as in ``replay``.
        mapping: as in ``replay``.
        until: use events before this date or time only.

    Raises:
        DetectorError: an input cannot be used, or holds no events to learn from.
    """
    if output is not None:
        refuse_foreign(Path(output))
    rules, tables = policy_of(_changes(policy), _where(policy)), _reference(reference)
    until_ns = _moment_ns(until, rules, "until")
    source = events_of(events, mapping, rules.limits.max_line_bytes)
    rejects = Counter(reject.reason for _, refused in source.chunks() for reject in refused)

    def batches() -> Iterator[EventBatch]:
        kept = (before(batch, until_ns) for batch, _ in source.chunks())
        return (batch for batch in kept if len(batch))

    if next(batches(), None) is None:
        hint = "Check the mapping and `until`"
        raise SourceError("hold no events to learn from", where="events", hint=hint)
    arrays, manifest = fit_arrays(batches, rules, tables)
    learned = {**manifest["learned_from"], "rejects": dict(sorted(rejects.items()))}
    whole = {**manifest, "learned_from": learned, "mapping_digest": source.mapping.digest}
    if output is not None:
        return write_artifact(Path(output), arrays, whole)
    return in_memory(arrays, whole)


def in_memory(arrays: MappingType[str, Any], manifest: MappingType[str, Any]) -> Artifact:
    """Return an artifact with the digest that writing it would give."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return write_artifact(Path(folder) / "artifact", arrays, manifest)


def _changes(policy: Changes | PathLike | None) -> Changes:
    if policy is None:
        return {}
    return policy if isinstance(policy, MappingType) else read_changes(Path(policy))


def _where(policy: Changes | PathLike | None) -> str:
    return str(policy) if isinstance(policy, str | Path) else "policy"


def _reference(reference: Reference | PathLike | None) -> Reference:
    if isinstance(reference, Reference):
        return reference
    return load_reference(None if reference is None else Path(reference))


def _artifact(artifact: Artifact | PathLike | None) -> Artifact | None:
    if artifact is None or isinstance(artifact, Artifact):
        return artifact
    return read_artifact(Path(artifact))


def _moment_ns(moment: Any, policy: Policy, name: str) -> int | None:
    """Return UTC nanoseconds; a date or a time without offset is in the policy's zone."""
    if moment is None or isinstance(moment, int):
        return moment
    if not isinstance(moment, str | datetime):
        hint = 'Give "2026-03-02", a datetime, or UTC nanoseconds'
        raise OptionError(f"is no date or time: {moment!r}", where=name, hint=hint)
    text = moment if isinstance(moment, str) else moment.isoformat()
    return instant_ns(text, policy.clock.default_time_zone, name)
