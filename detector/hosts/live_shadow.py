"""A candidate beside one partition's production, on the live stream; nobody is alerted.

It begins as a copy of what production has learned, renumbered: exactly what it would begin with
if it were promoted now. It can fail in whatever way; production never notices.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TYPE_CHECKING

import orjson

from detector.alerts import Alert
from detector.columns import EventBatch
from detector.engine import State, restore_state, step
from detector.errors import ArtifactError
from detector.hosts.shadow import Comparison, Tally, compared
from detector.plan import Plan
from detector.registry import Registry
from detector.registry.ledger import PRODUCTION
from detector.renumber import renumbered
from detector.telemetry import Telemetry

if TYPE_CHECKING:  # which holds what is beside it
    from detector.hosts.live_partition import PartitionRun

_MAX_ALERTS = 100_000
_FOLDER = "shadow"


@dataclass(slots=True)
class Beside:
    """A candidate, its state, and what both have said; ``failure`` says why it was dropped."""

    production: str
    candidate: Plan
    state: State
    tally: Tally = field(default_factory=Tally)
    failure: str = ""

    @classmethod
    def begin(cls, production: Plan, candidate: Plan, state: State) -> Beside:
        """Copy what production has learned."""
        arrays = {name: array.copy() for name, array in state.arrays().items()}
        ours = renumbered(arrays, list(production.roles), candidate)
        return cls(
            production.artifact_digest, candidate, restore_state(candidate, ours, state.meta())
        )

    def is_another(self, production: Plan, candidate: Plan) -> bool:
        """Tell whether other artifacts should be compared by now."""
        mine = (self.production, self.candidate.artifact_digest)
        return mine != (production.artifact_digest, candidate.artifact_digest)

    def note(self, batch: EventBatch, alerts: list[Alert], seconds: float) -> None:
        """Score a batch that production has scored, and compare; a failure ends it.

        Args:
            batch: the events.
            alerts: what production raised.
            seconds: what production took.
        """
        if self.failure:
            return
        try:
            started = time.perf_counter()
            result = step(self.state, batch, self.candidate)
            self.state = result.state
            self.tally.seconds[0] += seconds
            self.tally.seconds[1] += time.perf_counter() - started
            self.tally.note(batch, self.candidate.limits.emit_from_ns, (alerts, result.alerts))
            if len(self.tally.before) + len(self.tally.after) > _MAX_ALERTS:
                self.failure = f"{_MAX_ALERTS:,} alerts are more than anybody compares"
        except Exception as error:  # noqa: BLE001  whatever it is, production goes on
            self.failure = f"failed ({type(error).__name__}: {error})"


class Shadows:
    """The candidates beside the partitions of a worker.

    Args:
        registry: where tallies go.
        telemetry: where a dropped candidate is told.
        keep_every_s: seconds after which a partition's tally is handed over.
        clock_s: seconds that only grow.
    """

    def __init__(
        self,
        registry: Registry,
        telemetry: Telemetry,
        keep_every_s: float = 60.0,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry, self._telemetry = registry, telemetry
        self._keep_every_s, self._clock_s = keep_every_s, clock_s
        self._candidate: Plan | None = None
        self._dropped: str | None = None
        self._kept_s: dict[str, float] = {}
        self._waiting: SimpleQueue[tuple[str, Beside, bytes]] = SimpleQueue()
        self._bases: dict[str, tuple[Beside, Tally]] = {}

    def look(self, version: str, plan_of: Callable[[str], Plan]) -> None:
        """Take the candidate the registry names, and write what has been said; on a thread.

        Raises:
            ArtifactError: a tally cannot be read or written now.
        """
        held = "" if self._candidate is None else self._candidate.artifact_digest
        if version != self._dropped:
            self._dropped = None
        if version not in {held, self._dropped}:
            try:
                self._candidate = plan_of(version) if version else None
            except ArtifactError as error:
                self._drop(version, str(error))
        while not self._waiting.empty():
            self._write(*self._waiting.get())

    def accompany(self, run: PartitionRun) -> None:
        """Begin, end or go on beside a partition; in the loop, between two batches."""
        candidate, beside = self._candidate, run.beside
        if beside is not None and beside.failure:
            self._drop(beside.candidate.artifact_digest, beside.failure)
            run.beside = None
        elif candidate is None or candidate.artifact_digest == run.plan.artifact_digest:
            run.beside = None
        elif beside is None or beside.is_another(run.plan, candidate):
            self._begin(run, candidate)
        else:
            self._hand_over(run.partition.stream, beside)

    def _begin(self, run: PartitionRun, candidate: Plan) -> None:
        self._kept_s[run.partition.stream] = self._clock_s()
        try:
            run.beside = Beside.begin(run.plan, candidate, run.state)
        except Exception as error:  # noqa: BLE001  whatever it is, production goes on
            self._drop(candidate.artifact_digest, f"{type(error).__name__}: {error}")

    def _hand_over(self, stream: str, beside: Beside) -> None:
        now_s = self._clock_s()
        is_due = now_s - self._kept_s[stream] >= self._keep_every_s
        if beside.tally.n_events and is_due:
            self._kept_s[stream] = now_s
            place = place_of(beside.production, beside.candidate.artifact_digest, stream)
            self._waiting.put((place, beside, orjson.dumps(beside.tally.to_json())))

    def _write(self, place: str, beside: Beside, content: bytes) -> None:
        """Write a tally behind what lay there when its shadow began."""
        base = self._bases.get(place)
        if base is None or base[0] is not beside:
            there = self._registry.files.exists(place)
            base = beside, read_tally(self._registry, place) if there else Tally()
            self._bases[place] = base
        whole = Tally.from_json(orjson.loads(content))
        whole.add(base[1])
        write_tally(self._registry, place, whole)

    def _drop(self, version: str, why: str) -> None:
        """Go on without a candidate until the registry names another one."""
        self._candidate, self._dropped = None, version
        self._telemetry.metrics.model_problems.labels("shadow").inc()
        self._telemetry.log.error("model", problem="shadow", why=f"{version[:12]}: {why}")


def place_of(production: str, candidate: str, stream: str) -> str:
    """Return where the registry keeps the tally of a stream.

    >>> place_of("aa", "bb", "topic/3")
    'shadow/bb/aa/topic-3.json'
    """
    return f"{_FOLDER}/{candidate}/{production}/{stream.replace('/', '-')}.json"


def read_tally(registry: Registry, name: str) -> Tally:
    """Read a tally.

    Raises:
        ArtifactError: it cannot be read or is none.
    """
    content = registry.files.read(name)
    try:
        return Tally.from_json(orjson.loads(content))
    except (ValueError, KeyError, TypeError):
        where, hint = registry.files.where(name), "Delete it; the shadow writes a new one"
        raise ArtifactError("is no tally of a shadow", where=where, hint=hint) from None


def write_tally(registry: Registry, name: str, tally: Tally) -> None:
    """Write a tally, whole or not at all.

    Raises:
        ArtifactError: it cannot be written.
    """
    registry.files.write(name, orjson.dumps(tally.to_json()))


def live_comparison(registry: Registry, candidate: str) -> Comparison:
    """Add up what the shadow has said beside today's production, over all streams.

    Raises:
        ArtifactError: nothing has been written yet, or it cannot be read.
    """
    production, tried = (registry.version_of(name) for name in (PRODUCTION, candidate))
    folder = f"{_FOLDER}/{tried}/{production}"
    names = registry.files.names(folder)
    if not names:
        hint = "Give it a role with `detector models try`, and let a worker run for some days"
        where = registry.files.where(folder)
        raise ArtifactError("holds no comparison yet", where=where, hint=hint)
    whole = Tally()
    for name in names:
        whole.add(read_tally(registry, f"{folder}/{name}"))
    return compared(whole, production, tried)
