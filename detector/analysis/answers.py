"""What would another policy have raised? Answered from stored scores, or refused with a reason.

A change is accepted only if its answer equals a real replay. Thresholds, severities and growth
decide about scores that stay as they are. Weights (a detector off, ``notable``,
``known_share``, ``flag_score``) are combined anew by the engine's own code; they too leave
what is learned alone as long as no closed day is flagged that was not, or the other way
round, and that is checked.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.alerts import alert_id, severity
from detector.analysis.kernels import combine_rises, decide_rows
from detector.analysis.result import Result
from detector.analysis.trace import Trace
from detector.detections import DETECTORS
from detector.errors import OptionError
from detector.extras import needed
from detector.plan import Plan, build_plan
from detector.policy import Policy, policy_of
from detector.state.layout import (
    CHANNEL_DETECTOR,
    F64,
    I64,
    LOUDEST,
    N_BASELINE,
    N_DAY,
    N_DETECTORS,
    N_SURPRISE,
    SAID_SCORE,
    WHOLE,
)

_MILLISECOND_NS = 1_000_000
_DECISIONS = (
    "threshold", "alerts.builtin_threshold", "alerts.severity", "alerts.version_growth_score",
    "alerts.version_growth_share", "alerts.budget_per_day", "alerts.sample_events",
    "detectors.*.threshold", "detectors.*.title.*", "detectors.*.why.*", "detectors.*.runbook.*",
    "detectors.*.false_positives.*", "detectors.*.known_gaps.*",
)  # fmt: skip
_WEIGHTS = (
    "alerts.known_share", "alerts.flag_score", "detectors.*.enabled", "detectors.*.notable",
)  # fmt: skip
_REPLAY = "Replay with this policy"
_REASONS = {
    "alerts.lateness": "decides which events are scored",
    "clock.*": "decides to which local day an event belongs",
    "limits.*": "decides what is remembered",
    "events.*": "decides what is counted",
    "learning.*": "changes what every day teaches, and so all later scores",
    "detectors.off_hours.out_of_hours_share": "decides what is counted",
}
_UNSCORED_WHEN_OFF = ("cross_branch", "slow_drip")
DECISION_COLUMNS = (
    "alert_id", "version", "score", "severity", "detector", "detectors", "user_id",
    "n_events", "n_records", "n_customers", "learning",
)  # fmt: skip
"""Columns of an answer that a real replay's alerts have too; ``time`` is UTC here."""


@dataclass(frozen=True)
class WhatIf:
    """The alerts that a changed policy would have raised on the same events.

    ``alerts`` has ``DECISION_COLUMNS`` and ``event_row`` (row of ``scores``), ``time`` (UTC,
    milliseconds), ``day`` (local). ``threshold`` is the score from which alerts are raised.
    """

    alerts: Any
    before: Any
    threshold: float
    policy: Policy

    @cached_property
    def gained(self) -> list[str]:
        """Ids of alerts that were not raised before."""
        return sorted(set(self.alerts["alert_id"]) - set(self.before["alert_id"]))

    @cached_property
    def lost(self) -> list[str]:
        """Ids of alerts that are no longer raised."""
        return sorted(set(self.before["alert_id"]) - set(self.alerts["alert_id"]))

    @property
    def n_alerts(self) -> int:
        """How many alerts there are, versions of one counted once."""
        return int(self.alerts["alert_id"].nunique())


def what_if(result: Result, policy_changes: Mapping[str, Any] | None = None) -> WhatIf:
    """Answer what a replay with a changed policy would raise, without replaying.

    Args:
        result: a replay.
        policy_changes: tables as in a policy file or dotted keys, such as
            ``{"alerts.budget_per_day": 20}`` (with the thresholds that the artifact holds for
            budgets), ``{"threshold": 3.2}`` (as ``min_score`` of a replay) or
            ``{"detectors.off_hours.enabled": False}``.

    Raises:
        OptionError: a change needs a replay; says which and why.
        PolicyError: a key or a value that no policy may have.
    """
    flat = dict(_flat(policy_changes or {}))
    threshold = flat.pop("threshold", None)
    content = _nested({**dict(_flat(result.policy_changes)), **flat})
    policy = policy_of(content, "policy_changes")
    for name in flat:
        _refuse_replays(name)
    limits = _plan(result, policy).limits
    emit_score = _threshold(result, policy, flat, threshold)
    limits = limits._replace(emit_score=emit_score, emit_from_ns=result.plan.limits.emit_from_ns)
    trace, score, surprises = result.trace, result.trace.score, result.trace.rises.surprise
    if any(fnmatch.fnmatch(name, pattern) for name in flat for pattern in _WEIGHTS):
        rise_score, surprises = _combined(result, policy, limits)
        score = _spread(trace, rise_score)
    alerts = _alerts(trace, score, surprises, limits, policy)
    is_changed = bool(flat) or threshold is not None
    return WhatIf(alerts, what_if(result).alerts if is_changed else alerts, emit_score, policy)


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted keys and values."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Turn dotted keys into tables."""
    whole: dict[str, Any] = {}
    for name, value in flat.items():
        *tables, key = name.split(".")
        at = whole
        for table in tables:
            at = at.setdefault(table, {})
        at[key] = value
    return whole


def _refuse_replays(name: str) -> None:
    """Refuse a change that no stored score can answer."""
    for pattern, reason in _REASONS.items():
        if fnmatch.fnmatch(name, pattern):
            raise OptionError(f"{name} {reason}", where="policy_changes", hint=_REPLAY)
    if not any(fnmatch.fnmatch(name, pattern) for pattern in (*_DECISIONS, *_WEIGHTS)):
        what = f"{name} is none of the changes that stored scores can answer"
        raise OptionError(what, where="policy_changes", hint=_REPLAY)


def _plan(result: Result, policy: Policy) -> Plan:
    return build_plan(policy, result.artifact, result.reference)


def _threshold(
    result: Result, policy: Policy, changed: Mapping[str, Any], asked: float | None
) -> float:
    """Return the score from which alerts are raised.

    Raises:
        OptionError: the artifact holds no threshold for the budget.
    """
    if asked is not None:
        if not isinstance(asked, int | float) or not np.isfinite(asked):
            hint = "Give a number such as 3.2"
            raise OptionError(f"is no score: {asked!r}", where="threshold", hint=hint)
        return float(asked)
    if "alerts.budget_per_day" in changed:
        return _of_budget(result, policy.alerts.budget_per_day)
    if "alerts.builtin_threshold" in changed and result.artifact is None:
        return policy.alerts.builtin_threshold
    return result.plan.limits.emit_score


def _of_budget(result: Result, budget: float) -> float:
    """Return the threshold that fitting with another budget would have given."""
    where = "alerts.budget_per_day"
    if result.artifact is None:
        hint = "Fit an artifact, or ask about alerts.builtin_threshold"
        raise OptionError("decides nothing without an artifact", where=where, hint=hint)
    known = result.artifact.manifest.get("thresholds", {})
    if f"{budget:g}" not in known:
        hint = f"The artifact knows {', '.join(known) or 'none'}; ask about threshold, or fit again"
        raise OptionError(f"{budget:g} needs the history", where=where, hint=hint)
    return float(known[f"{budget:g}"])


def _combined(result: Result, policy: Policy, limits: Any) -> tuple[F64, F64]:
    """Combine all raw scores anew: (m,) scores and (m, detectors) surprises of the rises.

    Raises:
        OptionError: a day that closed would be flagged otherwise, and so teach otherwise; or a
            detector is switched on.
    """
    trace, rises = result.trace, result.trace.rises
    for name in DETECTORS:
        if policy.detectors[name].enabled and not result.plan.policy.detectors[name].enabled:
            what = (
                f"detectors.{name}.enabled: the detector was off, so what it remembers is missing"
            )
            raise OptionError(what, where="policy_changes", hint=_REPLAY)
    off = [name for name in _UNSCORED_WHEN_OFF if not policy.detectors[name].enabled]
    silent = np.array([DETECTORS[d] in off for d in CHANNEL_DETECTOR], dtype=np.uint8)
    days = np.zeros((trace.n_episodes, N_DAY), dtype=np.int64)
    days[:, LOUDEST : LOUDEST + N_DETECTORS] = -1
    states = np.zeros((trace.n_episodes, N_SURPRISE), dtype=np.float64)
    score = np.zeros(rises.row.size, dtype=np.float64)
    surprises = np.zeros((rises.row.size, N_DETECTORS), dtype=np.float64)
    combine_rises(
        trace.episode[rises.row], rises.raw, rises.known, rises.group,
        trace.n_closed[rises.row], silent, days, states,
        np.zeros(N_BASELINE, dtype=np.float32), result.plan.model, limits, score, surprises,
    )  # fmt: skip
    _refuse_other_lessons(trace, states[:, WHOLE], result.plan.limits.flag_score, limits.flag_score)
    return score, surprises


def _refuse_other_lessons(trace: Trace, whole: F64, flag_before: float, flag_now: float) -> None:
    """Refuse when a closed day would have been flagged otherwise than it was."""
    closings = trace.closings
    user = np.searchsorted(trace.user_key, closings.user).astype(np.int32)
    episode = trace.episode_of(user, closings.day)
    now = np.where(episode >= 0, whole[np.maximum(episode, 0)], closings.whole)
    n = int(((closings.whole >= flag_before) != (now >= flag_now)).sum())
    if n:
        what = f"{n} closed days would be flagged otherwise, and so teach otherwise"
        raise OptionError(what, where="policy_changes", hint=_REPLAY)


def _spread(trace: Trace, rise_score: F64) -> F64:
    """(n,) scores of events from those of rises."""
    at = trace.rise_of
    score = np.where(at >= 0, np.append(rise_score, 0.0)[at], 0.0)
    score[~trace.scored] = np.nan
    return score


def _alerts(trace: Trace, score: F64, surprises: F64, limits: Any, policy: Policy) -> Any:
    """Raise versions on the rows that reach the threshold."""
    with np.errstate(invalid="ignore"):
        reaches = (score >= limits.emit_score) & (trace.time_ns >= limits.emit_from_ns)
    rows = np.flatnonzero(reaches)
    found = _surprises(trace, surprises, rows)
    distinct, episode = np.unique(trace.episode[rows], return_inverse=True)
    said = np.zeros((distinct.size, N_SURPRISE), dtype=np.float64)
    said[:, SAID_SCORE] = -1.0
    version, fired = np.zeros(rows.size, dtype=np.int32), np.zeros(rows.size, dtype=np.int64)
    decide_rows(
        episode.astype(np.int64), score[rows], found, trace.n_events[rows], trace.n_records[rows],
        np.zeros((distinct.size, N_DAY), dtype=np.int64), said,
        np.zeros(distinct.size, dtype=np.int64), limits, version, fired,
    )  # fmt: skip
    raised = version > 0
    return _frame(trace, rows[raised], version[raised], found[raised], score, fired[raised], policy)


def _surprises(trace: Trace, surprises: F64, rows: I64) -> F64:
    at = trace.rise_of[rows]
    return np.append(surprises, np.zeros((1, N_DETECTORS)), axis=0)[at]


def _frame(
    trace: Trace,
    rows: I64,
    version: NDArray[np.int32],
    surprises: F64,
    score: F64,
    fired: I64,
    policy: Policy,
) -> Any:
    """Name the raised rows as the alerts file does."""
    pd = needed("pandas")
    users = [trace.user_ids[code] for code in trace.user[rows].tolist()]
    rounded = [round(value, 4) for value in score[rows].tolist()]
    ranked = [_fired(*pair) for pair in zip(surprises.tolist(), fired.tolist(), strict=True)]
    time_ms = trace.time_ns[rows] // _MILLISECOND_NS
    return pd.DataFrame(
        {
            "alert_id": _ids(users, trace.day[rows].tolist()),
            "version": version.astype(np.int64),
            "time": pd.to_datetime(time_ms, unit="ms", utc=True),
            "day": trace.day[rows].astype("datetime64[D]").astype("datetime64[s]"),
            "score": np.array(rounded, dtype=np.float64),
            "severity": [severity(value, policy) for value in rounded],
            "detector": [names[0] for names in ranked],
            "detectors": ranked,
            "user_id": users,
            "n_events": trace.n_events[rows].astype(np.int64),
            "n_records": trace.n_records[rows],
            "n_customers": trace.n_customers[rows].astype(np.int64),
            "learning": trace.n_closed[rows] < policy.learning.mature_days,
            "event_row": rows,
        }
    )


def _ids(users: list[str], days: list[int]) -> list[str]:
    known = {pair: alert_id(*pair) for pair in set(zip(users, days, strict=True))}
    return [known[pair] for pair in zip(users, days, strict=True)]


def _fired(surprises: list[float], bits: int) -> list[str]:
    """Return the detectors that fired, most surprising first, else the strongest."""
    ranked = sorted(range(N_DETECTORS), key=lambda detector: -surprises[detector])
    return [DETECTORS[d] for d in ranked if bits >> d & 1] or [DETECTORS[ranked[0]]]
