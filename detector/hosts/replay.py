"""Stored events through the engine: resumable, byte-identical after any interruption."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from detector.alerts import Alert
from detector.compiled import CACHE, IS_KEPT
from detector.engine import State, new_state, restore_state, step
from detector.errors import DetectorError, OptionError, SourceError, StoreError
from detector.hosts.events import Decoded, decoded, not_after_now
from detector.hosts.inputs import Position, files_of, fingerprint
from detector.hosts.learned import learned
from detector.hosts.outputs import GrowingFile, reject_line
from detector.hosts.paths import Named, refuse_overwriting, stdin_file
from detector.hosts.summary import ReplaySummary
from detector.mapping import Mapping, load_mapping
from detector.plan import Plan, build_plan
from detector.policy import load_policy
from detector.reference import load_reference
from detector.state.snapshot import VERSION, ChangedPages, arrays_of, layout_of
from detector.store import Checkpoint, Claim, Store, open_store

__all__ = ["InterruptedRunError", "Progress", "ReplayOptions", "ReplaySummary", "replay"]

_CHECKPOINT_EVERY_S = 5.0
_SQLITE = "sqlite:///"
_STREAM = "replay"
_NOT_KEPT = (
    f"compiled code cannot be kept in {CACHE}: every start compiles for half a minute; "
    "make the folder writable or set XDG_CACHE_HOME"
)

Progress = Callable[[int, int], None]
"""Called with (lines done since the start, bytes of the input done)."""


class InterruptedRunError(DetectorError):
    """The run was asked to stop; what is done has been written, and saved if it has a store."""


def _checkpoint_every_s() -> float:
    """Seconds between checkpoints: a setting of the operator, not of a run."""
    text = os.environ.get("DETECTOR_CHECKPOINT_EVERY_S", str(_CHECKPOINT_EVERY_S))
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not seconds >= 0.0:
        where, hint = "DETECTOR_CHECKPOINT_EVERY_S", "Give seconds, such as 5"
        raise OptionError(f"is no number of seconds: {text!r}", where=where, hint=hint)
    return seconds


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """What `detector replay` is told; see the command's help."""

    events: str
    artifact: Path | None = None
    registry: str | None = None
    mapping: Path | None = None
    policy: Path | None = None
    reference: Path | None = None
    since_ns: int | None = None
    min_score: float | None = None
    alerts: Path | None = None
    rejects: Path | None = None
    store: str | None = None
    checkpoint_every_s: float = field(default_factory=_checkpoint_every_s)


@dataclass(slots=True)
class _Run:
    """A run between two checkpoints."""

    plan: Plan
    mapping: Mapping
    options: ReplayOptions
    identity: dict[str, Any]
    store: Store | None
    claim: Claim | None
    state: State
    position: Position
    summary: ReplaySummary
    alerts_file: GrowingFile
    rejects_file: GrowingFile
    number: int
    not_after_ns: int
    pages: ChangedPages
    unsaved: list[Alert] = field(default_factory=list)

    def save(self) -> None:
        """Commit alerts, state and position; afterwards a kill loses nothing."""
        alerts_bytes, rejects_bytes = self.alerts_file.sync(), self.rejects_file.sync()
        if self.store is None or self.claim is None:
            return
        arrays = self.state.arrays()
        self.number += 1
        facts = {
            "identity": self.identity,
            "layout": layout_of(arrays),
            "meta": self.state.meta(),
            "position": [self.position.file_index, self.position.line],
            "alerts_bytes": alerts_bytes,
            "rejects_bytes": rejects_bytes,
            "not_after_ns": self.not_after_ns,
            "summary": self.summary.to_json(),
        }
        changed = self.pages.since_last(arrays)
        newest_ns = self.summary.newest_event_ns if self.summary.events else None
        checkpoint = Checkpoint(self.number, facts, newest_ns)
        self.store.commit(self.claim, checkpoint, self.unsaved, changed)
        self.unsaved = []

    def close(self) -> None:
        self.alerts_file.close()
        self.rejects_file.close()
        if self.store is not None:
            self.store.close()


def replay(options: ReplayOptions, progress: Progress | None = None) -> ReplaySummary:
    """Run stored events through the engine.

    With a store, the same command goes on where the last one stopped, however it stopped;
    alerts and rejects files are cut back to the last checkpoint first. A run from stdin
    cannot be gone on with: its store is refused the second time.

    Raises:
        DetectorError: a file or option is wrong; the input is cut (after all whole lines
            have been scored and saved); the store belongs to another run.
    """
    run = _begin(options)
    try:
        _score_all(run, progress)
    finally:
        run.close()
    newest_ns = run.summary.newest_event_ns
    due = [n.text for n in run.plan.notices if n.from_ns <= newest_ns]
    run.summary.notices = tuple(due if IS_KEPT else [*due, _NOT_KEPT])
    return run.summary


def _score_all(run: _Run, progress: Progress | None) -> None:
    """Score chunk by chunk; save on a clock, at the end, on a cut input and on request."""
    last_save = time.monotonic()
    n_lines = 0
    max_line_bytes = run.plan.policy.limits.max_line_bytes
    with _stop_requests() as stop:
        chunks = decoded(
            run.options.events, run.mapping, max_line_bytes, run.position, run.not_after_ns
        )
        try:
            for chunk in chunks:
                _score_chunk(run, chunk)
                n_lines += len(chunk.lines.lines)
                if progress is not None:
                    progress(n_lines, chunk.lines.bytes_done)
                if stop:
                    break
                if time.monotonic() - last_save > run.options.checkpoint_every_s:
                    run.save()
                    last_save = time.monotonic()
        except SourceError:
            run.save()
            raise
        if n_lines or run.number == 0:
            run.save()
        if stop:
            raise InterruptedRunError(_stopped(run))


def _stopped(run: _Run) -> str:
    """Say how far the run came, and how to go on if that is possible."""
    text = f"stopped by signal after {run.summary.events} events"
    if run.store is None or run.options.events == "-":
        return text
    return f"{text}; run the same command with the same --store to go on"


def _score_chunk(run: _Run, chunk: Decoded) -> None:
    result = step(run.state, chunk.batch, run.plan)
    run.state = result.state
    for alert in result.alerts:
        run.alerts_file.write(alert.to_json_line())
    for reject in (*chunk.rejects, *result.rejects):
        run.rejects_file.write(reject_line(reject))
    if result.alerts:
        run.alerts_file.flush()
    if run.store is not None:
        run.unsaved += result.alerts
    run.summary.note(result, chunk)
    run.position = chunk.lines.end


@contextmanager
def _stop_requests() -> Iterator[list[int]]:
    """Collect SIGINT or SIGTERM, so that a run ends at a checkpoint; a second one ends it now."""
    received: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number: int, _frame: object) -> None:
        received.append(number)
        restore()

    for number in before:
        signal.signal(number, note)
    try:
        yield received
    finally:
        restore()


def _begin(options: ReplayOptions) -> _Run:
    """Check everything before the first event, and load the last checkpoint if any."""
    _refuse_overwriting(options)
    policy, mapping = load_policy(options.policy), load_mapping(options.mapping)
    plan = build_plan(
        policy,
        learned(options.artifact, options.registry),
        load_reference(options.reference),
        emit_from_ns=options.since_ns,
        min_score=options.min_score,
    )
    identity = {
        "input": fingerprint(options.events),
        "policy": plan.policy_digest,
        "artifact": plan.artifact_digest,
        "mapping": mapping.digest,
        "reference": plan.reference_digest,
        "since_ns": options.since_ns,
        "min_score": options.min_score,
        "state_version": VERSION,
    }
    store = None if options.store is None else open_store(options.store)
    try:
        return _load(options, plan, mapping, identity, store)
    except BaseException:
        if store is not None:
            store.close()
        raise


def _refuse_overwriting(options: ReplayOptions) -> None:
    """Let no output fall on an input, on another output or among the events."""
    outputs: list[Named] = []
    if options.alerts is not None:
        outputs.append(("--alerts", options.alerts))
    if options.rejects is not None:
        outputs.append(("--rejects", options.rejects))
    if options.store is not None and options.store.startswith(_SQLITE):
        database = options.store.removeprefix(_SQLITE)
        outputs += (("--store", Path(f"{database}{end}")) for end in ("", "-wal", "-shm", ".lock"))
    events = stdin_file() if options.events == "-" else files_of(options.events)
    inputs: list[Named] = [("EVENTS", file) for file in events]
    for name, file in (("--mapping", options.mapping), ("--policy", options.policy)):
        inputs += [] if file is None else [(name, file)]
    for name, folder in (("--artifact", options.artifact), ("--reference", options.reference)):
        if folder is not None and folder.is_dir():
            inputs += ((name, file) for file in folder.iterdir())
    root = Path(options.events)
    is_folder = options.events != "-" and root.is_dir()
    refuse_overwriting(outputs, inputs, root if is_folder else None)


def _load(
    options: ReplayOptions,
    plan: Plan,
    mapping: Mapping,
    identity: dict[str, Any],
    store: Store | None,
) -> _Run:
    claim = checkpoint = None
    if store is not None:
        _held_of_this_run(options, identity, store.last_checkpoint(_STREAM))  # before it is ours
        claim = store.claim(_STREAM, f"process {os.getpid()}")
        checkpoint = store.last_checkpoint(_STREAM)
    state, position, summary, number = new_state(plan), Position(), ReplaySummary(), 0
    alerts_bytes = rejects_bytes = 0
    not_after_ns = not_after_now()
    held = _held_of_this_run(options, identity, checkpoint)
    if store and claim and checkpoint and held:
        arrays = arrays_of(held.layout, store.state_content(claim, held.layout))
        state = restore_state(plan, arrays, held.meta)
        position, number, summary = held.position, checkpoint.number, held.summary
        summary.resumed_at_line = position.line
        rejects_bytes, not_after_ns = held.rejects_bytes, held.not_after_ns
        alerts_bytes = _restored_alerts(options.alerts, held.alerts_bytes, store)
    return _Run(
        plan=plan,
        mapping=mapping,
        options=options,
        identity=identity,
        store=store,
        claim=claim,
        state=state,
        position=position,
        summary=summary,
        alerts_file=GrowingFile(options.alerts, alerts_bytes),
        rejects_file=GrowingFile(options.rejects, rejects_bytes),
        number=number,
        not_after_ns=not_after_ns,
        pages=ChangedPages(),
    )


def _held_of_this_run(
    options: ReplayOptions, identity: dict[str, Any], checkpoint: Checkpoint | None
) -> _Held | None:
    """Take what a checkpoint holds, or refuse that of another run."""
    if checkpoint is None:
        return None
    _refuse_another_stdin(options)
    held = _held(options, checkpoint.facts)
    _same_run(options, held.identity, identity)
    return held


@dataclass(frozen=True, slots=True)
class _Held:
    """The facts of a checkpoint; ``not_after_ns`` is the upper bound of the first start."""

    identity: dict[str, Any]
    layout: dict[str, Any]
    meta: dict[str, Any]
    position: Position
    alerts_bytes: int
    rejects_bytes: int
    not_after_ns: int
    summary: ReplaySummary


def _held(options: ReplayOptions, facts: dict[str, Any]) -> _Held:
    """Take the facts of a checkpoint, or refuse those that another program has left."""
    try:
        file_index, line = facts["position"]
        return _Held(
            identity=dict(facts["identity"]),
            layout=dict(facts["layout"]),
            meta=dict(facts["meta"]),
            position=Position(int(file_index), int(line)),
            alerts_bytes=int(facts["alerts_bytes"]),
            rejects_bytes=int(facts["rejects_bytes"]),
            not_after_ns=int(facts["not_after_ns"]),
            summary=ReplaySummary.from_json(facts["summary"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        what, hint = "holds a checkpoint that is none of this version's", "Name a new store"
        raise StoreError(what, where=str(options.store), hint=hint) from None


def _restored_alerts(path: Path | None, n_bytes: int, store: Store) -> int:
    """Rebuild the alerts file from the store if it is not what the checkpoint left."""
    if path is None:
        return 0
    if path.exists() and path.stat().st_size >= n_bytes > 0:
        return n_bytes
    content = b"".join(store.alert_lines(_STREAM))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return len(content)


def _refuse_another_stdin(options: ReplayOptions) -> None:
    """A stream cannot be told from another: going on would skip the lines of a new one."""
    if options.events == "-":
        raise StoreError(
            "holds a run already, and stdin cannot be gone on with",
            where=str(options.store),
            hint="Write the stream to a file to resume it, or name a new store",
        )


def _same_run(options: ReplayOptions, held: dict[str, Any], identity: dict[str, Any]) -> None:
    """Refuse to go on with anything but what the store was begun with."""
    changed = [name for name, value in identity.items() if held.get(name) != value]
    if changed:
        raise StoreError(
            f"was begun with another {' and '.join(changed)}",
            where=str(options.store),
            hint="Repeat the first command, or name a new store",
        )
