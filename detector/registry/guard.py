"""What undoes a promotion on its own: a version that cannot be loaded, or that floods."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from detector.errors import ArtifactError
from detector.registry.files import UnreadableError, UnwritableError
from detector.registry.ledger import PRODUCTION, ROLLBACK, Decision
from detector.registry.versions import Registry, Version

_HOUR_NS = 3_600_000_000_000
FLOOD = 10.0  # times the daily budget within one hour


@dataclass(slots=True)
class FloodGuard:
    """Counts new alerts in event time; an hour with ten daily budgets is a flood.

    Event time, so that catching up after a pause, in which days pass in minutes, is none.

    >>> guard = FloodGuard(budget_per_day=1.0)
    >>> [guard.note(second * 10**9) for second in range(11)].index(True)
    10
    """

    budget_per_day: float
    _recent_ns: deque[int] = field(default_factory=deque)

    def note(self, event_time_ns: int) -> bool:
        """Count the first version of an alert; tell whether it is now a flood."""
        self._recent_ns.append(event_time_ns)
        newest = max(self._recent_ns)
        while self._recent_ns[0] <= newest - _HOUR_NS:
            self._recent_ns.popleft()
        return len(self._recent_ns) > FLOOD * self.budget_per_day


def production(registry: Registry, time: str) -> tuple[Version, str]:
    """Load production; where it cannot be loaded, go back to the version before it.

    Args:
        registry: where versions lie.
        time: now (ISO), for the ledger.

    Returns:
        The version, and what the operator must be told (empty if all is well).

    Raises:
        UnreadableError: the registry cannot be read now, which is no fault of the version.
        ArtifactError: neither can be loaded; nothing was changed then.
    """
    try:
        return registry.load(PRODUCTION), ""
    except UnreadableError:
        raise
    except ArtifactError as error:
        reason = str(error)
    previous = registry.ledger().previous(PRODUCTION)
    if not previous:
        raise ArtifactError("cannot be loaded", where=PRODUCTION, hint=reason)
    version = registry.load(previous)
    told = f"production goes back to {previous[:12]}: {reason}"
    try:
        undo(registry, time, reason)
    except UnwritableError as error:
        told = f"{told} (the registry still names the other one: {error})"
    return version, told


def undo(
    registry: Registry, time: str, reason: str, by: str = "detector", *, only: str = ""
) -> Decision:
    """Give production back to the version before; nothing is deleted, no state is touched.

    Args:
        registry: where versions lie.
        time: now (ISO), for the ledger.
        reason: why, for the ledger.
        by: who.
        only: undo this version and no other; several workers see the same flood.

    Raises:
        ArtifactError: there was none before, or another version is production by now.
    """
    ledger = registry.ledger()
    if only not in {"", ledger.roles.get(PRODUCTION)}:
        hint = "Nothing to undo"
        raise ArtifactError("is not production any more", where=only[:12], hint=hint)
    previous = ledger.previous(PRODUCTION)
    if not previous:
        hint = "Promote another version"
        what = "there is no version to go back to"
        raise ArtifactError(what, where=registry.files.url, hint=hint)
    decision = Decision(
        time=time,
        role=PRODUCTION,
        version=previous,
        before=ledger.roles[PRODUCTION],
        by=by,
        reason=reason,
        kind=ROLLBACK,
    )
    registry.decide(decision)
    return decision
