"""`registry.toml`: which version has which role, gates of a promotion, what was decided."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from detector.errors import ArtifactError

PROMOTION, ROLLBACK = "promotion", "rollback"
RAISES = "raises while scoring"
"""How the reason of a rollback begins whose version cannot go on at all."""
ROLES = PRODUCTION, SHADOW = ("production", "shadow")
GATES = {
    "max_alerts_ratio": 2.0,
    "max_lost_known_incidents": 0.0,
    "max_cost_ratio": 1.5,
    "min_days": 5.0,
}
"""Candidate against production: alerts, known incidents that only production finds, time an event,
and days compared."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One change of a role: by whom, approved by whom, why, and from which position on.

    ``kind`` is a promotion or a rollback; the latter leads back over the former.
    """

    time: str
    role: str
    version: str
    before: str
    by: str
    approved_by: str = ""
    reason: str = ""
    position: str = ""
    kind: str = PROMOTION


@dataclass(frozen=True, slots=True)
class Ledger:
    """Roles, gates and all decisions, oldest first."""

    roles: Mapping[str, str] = field(default_factory=dict)
    gates: Mapping[str, float] = field(default_factory=lambda: dict(GATES))
    history: tuple[Decision, ...] = ()

    def decided(self, decision: Decision) -> Ledger:
        """Return the ledger after one more decision."""
        roles = {**self.roles, decision.role: decision.version}
        return Ledger(roles, self.gates, (*self.history, decision))

    def is_given_up(self, version: str) -> bool:
        """Tell whether a version was rolled back because it raises, and not promoted since."""
        for decision in reversed(self.history):
            if decision.kind == ROLLBACK and decision.before == version:
                return decision.reason.startswith(RAISES)
            if decision.version == version:
                return False
        return False

    def previous(self, role: str) -> str:
        """Return the version that had a role before its present one; empty if there was none."""
        held: list[str] = []
        for decision in self.history:
            if decision.role == role and decision.kind == ROLLBACK and held:
                held.pop()
            elif decision.role == role:
                held.append(decision.version)
        return held[-2] if len(held) > 1 else ""


def read_ledger(content: bytes, where: str) -> Ledger:
    """Read ``registry.toml``.

    Raises:
        ArtifactError: it is no TOML, or a name in it is unknown.
    """
    try:
        table = tomllib.loads(content.decode())
        roles = {str(role): str(version) for role, version in table.get("roles", {}).items()}
        gates = {str(name): float(value) for name, value in table.get("gates", {}).items()}
        history = tuple(Decision(**entry) for entry in table.get("history", []))
    except (ValueError, TypeError, AttributeError) as error:
        hint = "Mend it; `detector models list` shows what is there"
        raise ArtifactError(f"cannot be read ({error})", where=where, hint=hint) from None
    odd = sorted((set(roles) - set(ROLES)) | (set(gates) - set(GATES)))
    if odd:
        hint = f"Roles: {', '.join(ROLES)}. Gates: {', '.join(GATES)}"
        raise ArtifactError(f"unknown key {odd[0]}", where=where, hint=hint)
    return Ledger(roles, {**GATES, **gates}, history)


def ledger_text(ledger: Ledger) -> bytes:
    """Return ``registry.toml``; reading it back gives the same ledger."""
    lines = ["# Changed by `detector promote` and `detector rollback`; gates are yours to set.", ""]
    lines += ["[roles]", *(_line(role, version) for role, version in sorted(ledger.roles.items()))]
    lines += ["", "[gates]", *(_line(name, value) for name, value in sorted(ledger.gates.items()))]
    for decision in ledger.history:
        values = {name: getattr(decision, name) for name in Decision.__slots__}
        lines += ["", "[[history]]", *(_line(name, value) for name, value in values.items())]
    return ("\n".join(lines) + "\n").encode()


def _line(name: str, value: Any) -> str:
    return f"{name} = {json.dumps(value, ensure_ascii=False)}"
