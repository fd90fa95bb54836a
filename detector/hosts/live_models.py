"""Which artifact decides: one for the whole run, or what a role of the registry says."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, Self

from detector.artifacts import Artifact
from detector.errors import ArtifactError, DetectorError
from detector.hosts.flood_watch import FloodWatch
from detector.hosts.live_partition import PartitionRun
from detector.hosts.live_shadow import Shadows
from detector.hosts.models import now_text
from detector.kafka.ports import NotReadyError
from detector.plan import BUILTIN, Plan
from detector.registry import Registry, Version
from detector.registry.files import UnreadableError
from detector.registry.guard import production, undo
from detector.registry.ledger import PRODUCTION, PROMOTION, RAISES, ROLES, SHADOW, Ledger
from detector.store import Store
from detector.telemetry import Telemetry

_MAX_PLANS = 4  # production, the one before, and two while partitions switch
_STOP_WITHIN_S = 5.0


class Models(Protocol):
    """What the live loop asks; no answer takes longer than reading a version once."""

    @property
    def wanted(self) -> Plan:
        """What should decide from the next checkpoint on."""
        ...

    def in_force(self, stream: str) -> Plan:
        """Return what a stream was last decided by: after a crash it must decide again.

        Raises:
            NotReadyError: that cannot be known now.
        """
        ...

    def accompany(self, run: PartitionRun) -> None:
        """Let a partition have the candidate beside it that should be, if any."""
        ...

    def raised(self, plan: Plan, why: str) -> None:
        """Note that the engine raises under a plan; the worker is about to end."""
        ...


@dataclass(frozen=True, slots=True)
class OneModel:
    """The same artifact from the start to the end."""

    wanted: Plan

    def in_force(self, stream: str) -> Plan:
        """Return the one there is; another one before it lies nowhere."""
        del stream
        return self.wanted

    def accompany(self, run: PartitionRun) -> None:
        """There is no candidate without a registry."""

    def raised(self, plan: Plan, why: str) -> None:
        """There is nothing to go back to."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Where versions lie, the role (or one version) that decides, how a plan is made of it."""

    registry: Registry
    role: str
    plan_of: Callable[[Artifact | None], Plan]


class RoleModels:
    """What a role of the registry says, looked up on a thread of its own.

    A version that cannot be trusted or loaded is refused: what decided before goes on. A
    promotion to it is undone, and so is one that floods. The registry may not answer for as
    long as it likes; the loop never waits for it, except to take over a partition that an
    older version decided last.

    Args:
        choice: what to follow.
        store: what was in force, and the alerts of all workers.
        telemetry: where refusals and floods are told.
        look_every_s: seconds between two looks.

    Raises:
        ArtifactError: at the start, neither the version nor the one before can be loaded.
    """

    def __init__(
        self, choice: Choice, store: Store, telemetry: Telemetry, look_every_s: float = 10.0
    ) -> None:
        self._choice, self._store, self._telemetry = choice, store, telemetry
        self._look_every_s = look_every_s
        self._plans: dict[str, Plan] = {}
        self._seen: tuple[str, int] | None = None
        self._last_problem = ""
        self._made: dict[str, str] = {}
        self._wanted = self._first()
        self._decide(self._wanted)
        budget = self._wanted.policy.alerts.budget_per_day
        self._watch = FloodWatch(store, budget)
        self._shadows = Shadows(choice.registry, telemetry)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="models", daemon=True)

    @property
    def wanted(self) -> Plan:
        """What should decide from the next checkpoint on."""
        return self._wanted

    def in_force(self, stream: str) -> Plan:
        """Return what a stream was last decided by; what should decide, if that cannot go on.

        Raises:
            NotReadyError: the registry cannot be read now.
        """
        history = self._store.activations(stream)
        held = history[-1].digests.get("artifact", "") if history else ""
        if not held:
            return self._wanted
        try:
            if self._choice.registry.ledger().is_given_up(held):
                return self._wanted
            return self._plan(held)
        except UnreadableError as error:
            raise NotReadyError(error.message, where=error.where, hint=error.hint) from None
        except ArtifactError as error:
            self._tell("refused", f"{stream} was decided by {held[:12]}: {error}")
            return self._wanted

    def accompany(self, run: PartitionRun) -> None:
        """Let a partition have the shadow of the registry beside it."""
        self._shadows.accompany(run)

    def raised(self, plan: Plan, why: str) -> None:
        """Take back a promotion that cannot go on; the next start does without it."""
        version = plan.artifact_digest
        try:
            ledger = self._choice.registry.ledger()
            if ledger.roles.get(PRODUCTION) == version and self._is_promoted(ledger):
                self._go_back(version, "refused", f"{RAISES}: {why}")
        except ArtifactError as error:
            self._tell("unreadable", f"{version[:12]} raises, and cannot be undone: {error}")

    def __enter__(self) -> Self:
        """Follow the registry from now on; one version by its name never changes."""
        if self._choice.role in ROLES:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop following."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_WITHIN_S)

    def look(self) -> None:
        """Look once: has the role another version, and does production flood?

        Raises:
            DetectorError: registry or store cannot be read now; what decides goes on.
        """
        ledger = self._choice.registry.ledger()
        version = ledger.roles.get(self._choice.role, "")
        seen = (version, len(ledger.history))
        if version and seen != self._seen:
            self._change(version)
            self._seen = seen
        elif self._watch.is_flooded(version) and self._is_promoted(ledger):
            self._go_back(version, "flood", self._watch.sentence)
        if self._choice.role == PRODUCTION:
            self._shadows.look(ledger.roles.get(SHADOW, ""), self._plan)

    def _first(self) -> Plan:
        choice = self._choice
        if choice.role != PRODUCTION:
            return self._plan(choice.registry.version_of(choice.role))
        version, told = production(choice.registry, now_text())
        if told:
            self._tell("refused", told)
        return self._keep(version)

    def _follow(self) -> None:
        while not self._over.wait(self._look_every_s):
            try:
                self.look()
                self._last_problem = ""
            except Exception as error:  # noqa: BLE001  an object store has errors of its own
                why = str(error) if isinstance(error, DetectorError) else type(error).__name__
                self._tell("unreadable", why, once=True)

    def _change(self, version: str) -> None:
        """Load what the role names now, or refuse it and go on."""
        try:
            self._decide(self._plan(version))
        except UnreadableError:
            raise
        except ArtifactError as error:
            self._go_back(version, "refused", str(error))

    def _go_back(self, version: str, kind: str, reason: str) -> None:
        """Undo a promotion for all workers; if the registry is not ours to change, for us."""
        self._tell(kind, reason)
        if self._choice.role != PRODUCTION:
            return
        registry = self._choice.registry
        previous = registry.ledger().previous(PRODUCTION)
        try:
            undo(registry, now_text(), reason, only=version)
        except ArtifactError as error:
            self._tell("unreadable", f"promotion not undone in the registry: {error}")
        if previous and version == self._wanted.artifact_digest:
            self._decide(self._plan(previous))

    def _decide(self, plan: Plan) -> None:
        """Let a plan decide from the next checkpoint on, and tell how old it is."""
        self._wanted = plan
        made_at = self._made.get(plan.artifact_digest)
        made_s = None if made_at is None else datetime.fromisoformat(made_at).timestamp()
        self._telemetry.artifact(None if made_s is None else int(made_s) * 1_000_000_000)

    def _is_promoted(self, ledger: Ledger) -> bool:
        """Tell whether a person's promotion decides: what was rolled back to is not undone."""
        decisions = [one for one in ledger.history if one.role == self._choice.role]
        return bool(decisions) and decisions[-1].kind == PROMOTION

    def _plan(self, digest: str) -> Plan:
        held = self._plans.get(digest)
        if held is not None:
            return held
        if digest == BUILTIN:
            return self._choice.plan_of(None)
        return self._keep(self._choice.registry.load(digest))

    def _keep(self, version: Version) -> Plan:
        plan = self._choice.plan_of(version.artifact)
        self._plans[plan.artifact_digest] = plan
        self._made[plan.artifact_digest] = str(version.record["made_at"])
        while len(self._plans) > _MAX_PLANS:
            del self._plans[next(iter(self._plans))]
        return plan

    def _tell(self, kind: str, why: str, *, once: bool = False) -> None:
        self._telemetry.metrics.model_problems.labels(kind).inc()
        if not once or why != self._last_problem:
            self._telemetry.log.error("model", problem=kind, why=why)
        self._last_problem = why
