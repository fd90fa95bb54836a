"""Thresholds, severities and runbooks: TOML, merged over the default, checked key by key."""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import re
import tomllib
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from detector.detections import DETECTORS
from detector.errors import PolicyError

_UNITS_NS = {"s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86_400 * 10**9}
_HOUR_NS = _UNITS_NS["h"]
_MAX_POLICY_BYTES = 1_000_000
_MAX_CAP = 10_000_000
_TEXTS = ("title", "why", "false_positives", "known_gaps", "runbook")
SEVERITIES = ("low", "medium", "high", "critical")

_NUMBER_RANGES: dict[str, tuple[float, float]] = {
    "alerts.budget_per_day": (0.01, 10_000),
    "alerts.builtin_threshold": (0, 40),
    "alerts.flag_score": (0, 40),
    "alerts.known_share": (0, 1),
    "alerts.sample_events": (2, 100),
    "alerts.version_growth_score": (0.01, 10),
    "alerts.version_growth_share": (0, 10),
    "limits.max_actors": (1, 100_000_000),
    "limits.max_tail_rows": (16, 4096),
    "limits.max_customers_per_actor": (1, 100_000_000),
    "limits.max_branches_per_actor": (1, 1_000_000),
    "limits.max_values_per_actor": (8, 1_000_000),
    "limits.max_approvals_per_actor": (1, 10_000),
    "limits.max_line_bytes": (1_000, 100_000_000),
    "learning.half_life_active_days": (2, 1_000),
    "learning.flagged_day_weight": (0.001, 1),
    "learning.benign_days": (1, 366),
    "learning.mature_days": (1, 100),
    "learning.winsor_sd": (1, 100),
    "detectors.*.threshold": (0, 40),
    "detectors.*.notable": (0, 40),
    "detectors.off_hours.out_of_hours_share": (0.0001, 0.5),
}
_DURATION_RANGES_NS = {
    "alerts.lateness": (0, 12 * _HOUR_NS),
    "clock.max_jump": (24 * _HOUR_NS, 4_000 * 24 * _HOUR_NS),
}


@dataclass(frozen=True, slots=True)
class AlertPolicy:
    """When an alert is raised and when it speaks again."""

    budget_per_day: float
    builtin_threshold: float
    flag_score: float
    known_share: float
    lateness_ns: int
    sample_events: int
    version_growth_score: float
    version_growth_share: float
    severity: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class ClockPolicy:
    """Time zone and calendar where no branch says otherwise; the largest leap of a clock."""

    default_time_zone: str
    default_calendar: str
    max_jump_ns: int


@dataclass(frozen=True, slots=True)
class LimitPolicy:
    """What bounds memory."""

    max_actors: int
    max_tail_rows: int
    max_customers_per_actor: int
    max_branches_per_actor: int
    max_values_per_actor: int
    max_approvals_per_actor: int
    max_line_bytes: int


@dataclass(frozen=True, slots=True)
class EventPolicy:
    """Actions that list records in volume or take them away, and known limits of queries."""

    volume_actions: tuple[str, ...]
    export_actions: tuple[str, ...]
    business_actions: tuple[str, ...]
    query_caps: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LearningPolicy:
    """How fast and how much a day teaches."""

    half_life_active_days: float
    flagged_day_weight: float
    benign_days: float
    mature_days: float
    winsor_sd: float


@dataclass(frozen=True, slots=True)
class DetectorPolicy:
    """One detector's thresholds and what people need to know about it.

    ``threshold``: surprise from which it counts as fired; ``notable``: what lies below it
    says nothing in the day's score.

    ``texts`` maps title, why, false_positives, known_gaps and runbook to language to text
    (runbook: to a list of steps).
    """

    enabled: bool
    threshold: float
    notable: float
    texts: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Policy:
    """A whole policy; ``digest`` identifies its merged content."""

    alerts: AlertPolicy
    clock: ClockPolicy
    limits: LimitPolicy
    events: EventPolicy
    learning: LearningPolicy
    detectors: Mapping[str, DetectorPolicy]
    out_of_hours_share: float
    digest: str


def load_policy(path: Path | None) -> Policy:
    """Read a policy file over the default; None is the default alone.

    Raises:
        PolicyError: names file, table, key, value and what is allowed.

    >>> load_policy(None).alerts.budget_per_day
    5.0
    """
    return policy_of({} if path is None else read_changes(path), str(path))


def policy_of(changes: Mapping[str, Any], where: str = "policy") -> Policy:
    """Lay tables, as a policy file would hold them, over the default.

    Raises:
        PolicyError: names table, key, value and what is allowed.

    >>> policy_of({"alerts": {"budget_per_day": 20}}).alerts.budget_per_day
    20.0
    """
    return _build(_merged(tomllib.loads(_default_text()), dict(changes), where, ""))


def _default_text() -> str:
    return resources.files("detector").joinpath("policies/default.toml").read_text("utf-8")


def read_changes(path: Path) -> dict[str, Any]:
    """Read what a policy file states, unchecked.

    Raises:
        PolicyError: it cannot be read or is not TOML.
    """
    try:
        if path.stat().st_size > _MAX_POLICY_BYTES:
            raise PolicyError("is too large", where=str(path), hint="Limit: 1 MB")
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        hint = "Check path and rights"
        raise PolicyError(
            f"cannot be read ({error.strerror})", where=str(path), hint=hint
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PolicyError(f"is not TOML: {error}", where=str(path), hint="Mend it") from None


def _merged(base: dict[str, Any], over: dict[str, Any], where: str, prefix: str) -> dict[str, Any]:
    """Lay one table over another; every key and value of ``over`` is checked."""
    result = dict(base)
    for key, value in over.items():
        name = f"{prefix}{key}"
        if key not in base:
            near = difflib.get_close_matches(key, base, n=1)
            hint = f"Did you mean {near[0]!r}? " if near else ""
            allowed = ", ".join(sorted(base))
            raise PolicyError(f"unknown key {name}", where=where, hint=f"{hint}Allowed: {allowed}")
        if isinstance(base[key], dict) and isinstance(value, dict):
            result[key] = _merged(base[key], value, where, f"{name}.")
        else:
            _check(name, value, base[key], where)
            result[key] = value
    return result


def _check(name: str, value: Any, base: Any, where: str) -> None:
    """Refuse a value of another type than the default's, or out of range."""
    is_number = isinstance(base, int | float) and not isinstance(base, bool)
    same = (
        isinstance(value, int | float) and not isinstance(value, bool)
        if is_number
        else type(value) is type(base)
    )
    if not same:
        kind = "a number" if is_number else f"a {type(base).__name__}"
        _refuse(name, value, f"Expected {kind}, such as {base!r}", where)
    if is_number:
        low, high = _NUMBER_RANGES[
            re.sub(r"^detectors\.\w+\.(threshold|notable)$", r"detectors.*.\1", name)
        ]
        if not low <= value <= high:
            _refuse(name, value, f"Allowed: {low:g} to {high:g}", where)
    if name in _DURATION_RANGES_NS:
        low, high = _DURATION_RANGES_NS[name]
        if not low <= _duration_ns(name, value, where) <= high:
            _refuse(name, value, f"Allowed: {low // _HOUR_NS}h to {high // _HOUR_NS}h", where)
    if name == "clock.default_time_zone" and value not in zoneinfo.available_timezones():
        _refuse(name, value, "Use an IANA name such as Asia/Shanghai", where)
    _check_lists(name, value, where)
    if isinstance(value, list) and name.rsplit(".", 2)[-2] == "runbook":
        good = all(isinstance(step, str) and step for step in value) and value
        if not good:
            _refuse(name, value, "Expected a list of steps", where)


def _check_lists(name: str, value: Any, where: str) -> None:
    """Refuse a list with entries of another kind."""
    if name == "alerts.severity":
        _check_severities(name, value, where)
    if name.endswith("_actions") and not all(isinstance(item, str) for item in value):
        _refuse(name, value, "Expected a list of action names", where)
    if name == "events.query_caps" and not all(
        isinstance(item, int) and 10 <= item <= _MAX_CAP for item in value
    ):
        _refuse(name, value, f"Expected whole numbers from 10 to {_MAX_CAP:,}", where)


def _check_severities(name: str, value: list[Any], where: str) -> None:
    cuts = [pair for pair in value if isinstance(pair, list) and len(pair) == 2]
    good = len(cuts) == len(value) and all(
        pair[0] in SEVERITIES and isinstance(pair[1], int | float) and math.isfinite(pair[1])
        for pair in cuts
    )
    if not good or [pair[1] for pair in cuts] != sorted(pair[1] for pair in cuts):
        _refuse(name, value, 'Expected rising cuts such as [["medium", 3.5], ["high", 4.5]]', where)


def _refuse(name: str, value: Any, hint: str, where: str) -> None:
    raise PolicyError(f"{name} is wrong, got {value!r}", where=where, hint=hint)


def _duration_ns(name: str, value: str, where: str) -> int:
    match = re.fullmatch(r"(\d{1,6})([smhd])", value)
    if match is None:
        _refuse(name, value, 'Write a duration such as "2h" (s, m, h or d)', where)
        return 0
    return int(match[1]) * _UNITS_NS[match[2]]


def _build(content: dict[str, Any]) -> Policy:
    alerts, clock = content["alerts"], content["clock"]
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False).encode()
    return Policy(
        alerts=AlertPolicy(
            budget_per_day=float(alerts["budget_per_day"]),
            builtin_threshold=float(alerts["builtin_threshold"]),
            flag_score=float(alerts["flag_score"]),
            known_share=float(alerts["known_share"]),
            lateness_ns=_duration_ns("alerts.lateness", alerts["lateness"], "policy"),
            sample_events=int(alerts["sample_events"]),
            version_growth_score=float(alerts["version_growth_score"]),
            version_growth_share=float(alerts["version_growth_share"]),
            severity=tuple((name, float(cut)) for name, cut in alerts["severity"]),
        ),
        clock=ClockPolicy(
            default_time_zone=clock["default_time_zone"],
            default_calendar=clock["default_calendar"],
            max_jump_ns=_duration_ns("clock.max_jump", clock["max_jump"], "policy"),
        ),
        limits=LimitPolicy(**{key: int(value) for key, value in content["limits"].items()}),
        events=EventPolicy(**{key: tuple(value) for key, value in content["events"].items()}),
        learning=LearningPolicy(**{k: float(v) for k, v in content["learning"].items()}),
        detectors={name: _detector(content["detectors"][name]) for name in DETECTORS},
        out_of_hours_share=float(content["detectors"]["off_hours"]["out_of_hours_share"]),
        digest=hashlib.blake2b(canonical, digest_size=16).hexdigest(),
    )


def _detector(table: dict[str, Any]) -> DetectorPolicy:
    return DetectorPolicy(
        enabled=table["enabled"],
        threshold=float(table["threshold"]),
        notable=float(table["notable"]),
        texts={name: table[name] for name in _TEXTS},
    )
