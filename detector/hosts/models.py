"""Promotion: compare a candidate, check the gates, record who decided; and the way back."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from detector.artifacts import Artifact
from detector.errors import OptionError, SourceError
from detector.evaluation import read_truth
from detector.hosts.events import decoded
from detector.hosts.inputs import files_of
from detector.hosts.shadow import Comparison, Shadow
from detector.mapping import load_mapping
from detector.plan import BUILTIN, Plan, build_plan
from detector.policy import load_policy
from detector.reference import load_reference
from detector.registry import Decision, Ledger, Registry
from detector.registry.guard import undo
from detector.registry.ledger import PRODUCTION, SHADOW

_MAX_REPORT_BYTES = 100_000_000
_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class ShadowOptions:
    """What `detector shadow` is told; see the command's help."""

    events: str
    registry: str
    candidate: str
    mapping: Path | None = None
    policy: Path | None = None
    reference: Path | None = None
    since_ns: int | None = None
    truth: Path | None = None


def now_text() -> str:
    """Return this moment in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def shadow(options: ShadowOptions) -> Comparison:
    """Score stored events with production and a candidate; nobody is alerted.

    Without a production version, the built-in priors are compared with.

    Raises:
        DetectorError: an input cannot be used, or a version cannot be trusted.
    """
    registry = Registry(options.registry)
    candidate = registry.load(options.candidate).artifact
    holds = registry.ledger().roles.get(PRODUCTION)
    production = registry.load(PRODUCTION).artifact if holds else None
    policy, mapping = load_policy(options.policy), load_mapping(options.mapping)
    reference = load_reference(options.reference)

    def plan(artifact: Artifact | None) -> Plan:
        return build_plan(policy, artifact, reference, emit_from_ns=options.since_ns)

    truth = None if options.truth is None else read_truth(options.truth)
    both = Shadow(plan(production), plan(candidate))
    for chunk in decoded(options.events, mapping, policy.limits.max_line_bytes):
        both.run(chunk.batch)
    return both.comparison(truth)


@dataclass(frozen=True, slots=True)
class Promotion:
    """What `detector promote` is told: a version, who, the second person, the comparison."""

    registry: str
    version: str
    by: str
    approved_by: str
    comparison: Path
    reason: str = ""
    position: str = ""


def promote(promotion: Promotion) -> Ledger:
    """Make a version production, once it is trusted, compared, within the gates and approved.

    Raises:
        DetectorError: one of these is missing; says which.
    """
    registry = Registry(promotion.registry)
    version = registry.load(promotion.version)
    ledger = registry.ledger()
    before = ledger.roles.get(PRODUCTION, "")
    if promotion.approved_by in {"", promotion.by, str(version.record["made_by"])}:
        hint = "Name somebody who neither made nor promotes it"
        raise OptionError("is no second person", where="--approved-by", hint=hint)
    found = _comparison(promotion.comparison)
    compared = (found.candidate, found.production)
    if compared != (version.name, before or BUILTIN):
        hint = "Run `detector shadow` with this version against production"
        where = str(promotion.comparison)
        raise OptionError("compares other versions", where=where, hint=hint)
    refusals = found.refusals(ledger.gates)
    if refusals:
        hint = f"Gates stand in {registry.files.where('registry.toml')}"
        raise OptionError("; ".join(refusals), where=str(promotion.comparison), hint=hint)
    return registry.decide(
        Decision(
            time=now_text(),
            role=PRODUCTION,
            version=version.name,
            before=before,
            by=promotion.by,
            approved_by=promotion.approved_by,
            reason=promotion.reason,
            position=promotion.position,
        )
    )


def try_version(url: str, version: str, by: str) -> str:
    """Give a version the role of the shadow, verified first; an empty one ends it.

    Raises:
        DetectorError: it cannot be trusted, or somebody else has decided meanwhile.
    """
    registry = Registry(url)
    name = registry.load(version).name if version else ""
    before = registry.ledger().roles.get(SHADOW, "")
    registry.decide(Decision(now_text(), SHADOW, name, before, by))
    return name


def rollback(url: str, by: str, reason: str) -> Decision:
    """Give production back to the version before, which is verified first.

    Raises:
        DetectorError: there is none, or it cannot be trusted.
    """
    registry = Registry(url)
    previous = registry.ledger().previous(PRODUCTION)
    if previous:
        registry.load(previous)
    return undo(registry, now_text(), reason, by)


def _comparison(path: Path) -> Comparison:
    """Read what `detector shadow --output` has written.

    Raises:
        SourceError: it cannot be read or is no comparison.
    """
    try:
        content: Mapping[str, Any] = orjson.loads(path.read_bytes()[:_MAX_REPORT_BYTES])
        return Comparison(**content)
    except OSError as error:
        what = f"cannot be read ({error.strerror})"
        raise SourceError(what, where=str(path), hint="Check path and rights") from None
    except (ValueError, TypeError):
        hint = "`detector shadow --output` writes one"
        raise SourceError("is no comparison", where=str(path), hint=hint) from None


def history_of(events: str, mapping: Path | None, max_line_bytes: int) -> dict[str, Any]:
    """Return the window and the digest of a history, for a version's record.

    Raises:
        DetectorError: it cannot be read, or holds no event.
    """
    digest = hashlib.blake2b(digest_size=16)
    for file in files_of(events):
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    first, last = 2**63 - 1, -(2**63)
    for chunk in decoded(events, load_mapping(mapping), max_line_bytes):
        first = min(first, int(chunk.batch.event_time_ns.min(initial=first)))
        last = max(last, int(chunk.batch.event_time_ns.max(initial=last)))
    if last < first:
        raise SourceError("holds no event", where=events, hint="Check path and mapping")
    return {"first_event": _iso(first), "last_event": _iso(last), "digest": digest.hexdigest()}


def _iso(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns // _SECOND_NS, tz=UTC).isoformat()
