"""Policy → the numbers a kernel reads, and which detectors and counts it follows at all."""

from __future__ import annotations

import numpy as np

from detector.detections import DETECTORS
from detector.policy import Policy
from detector.scoring import account, bulk_read, enumeration, sensitive, under_cap
from detector.scoring.account import ACCOUNT
from detector.scoring.enumeration import ENUMERATION
from detector.scoring.model import Limits
from detector.scoring.repeat_target import REPEAT_TARGET
from detector.scoring.slow_drip import SLOW_DRIP
from detector.scoring.unfamiliar import UNFAMILIAR
from detector.state.layout import (
    CHANNEL_DETECTOR,
    CUSTOMERS_1D,
    DRIP_STATS,
    I64,
    LAGGED_DAYS,
    N_BASELINE,
    N_DAY,
    N_DRIP,
    N_FIRST_BASELINE,
    N_FIRST_DAY,
    N_FIRST_INTS,
    N_INTS,
    N_STATS,
    REACHED_DAYS,
    U8,
    Widths,
)

_HOUR_NS = 3_600_000_000_000
_EVER_NS = -(2**63)


def limits_of(
    policy: Policy, emit_score: float, emit_from_ns: int | None, *, watch_all: bool
) -> Limits:
    """Take the numbers of a policy.

    Args:
        policy: thresholds and limits.
        emit_score: score from which a day is emitted.
        emit_from_ns: alerts only for events from this UTC time on; None for all.
        watch_all: let detectors that are off count and learn as well.
    """
    detectors = [policy.detectors[name] for name in DETECTORS]
    enabled = np.array([detector.enabled for detector in detectors], dtype=np.uint8)
    watched = np.ones_like(enabled) if watch_all else enabled
    return Limits(
        lateness_ns=policy.alerts.lateness_ns,
        keep_ns=policy.alerts.lateness_ns + _HOUR_NS,
        max_jump_ns=policy.clock.max_jump_ns,
        emit_from_ns=_EVER_NS if emit_from_ns is None else emit_from_ns,
        emit_score=emit_score,
        flag_score=float(policy.alerts.flag_score),
        known_share=float(policy.alerts.known_share),
        flagged_weight=float(policy.learning.flagged_day_weight),
        winsor_sd=float(policy.learning.winsor_sd),
        mature_days=float(policy.learning.mature_days),
        out_share=float(policy.out_of_hours_share),
        growth_score=float(policy.alerts.version_growth_score),
        growth_share=float(policy.alerts.version_growth_share),
        max_actors=policy.limits.max_actors,
        max_tail_rows=policy.limits.max_tail_rows,
        max_customers=policy.limits.max_customers_per_actor,
        max_branches=policy.limits.max_branches_per_actor,
        max_values=policy.limits.max_values_per_actor,
        max_approvals=policy.limits.max_approvals_per_actor,
        benign_days=int(policy.learning.benign_days),
        threshold=np.array([detector.threshold for detector in detectors], dtype=np.float64),
        notable=np.array([detector.notable for detector in detectors], dtype=np.float64),
        enabled=enabled,
        watched=watched,
        learned=_learned_counts(watched),
    )


def _learned_counts(watched: U8) -> U8:
    """(counts,) 1 for those of a detector that is watched; all are held against the customers."""
    channel_of = channel_of_counts()
    detector_of = np.array(CHANNEL_DETECTOR, dtype=np.int64)[channel_of]
    learned = np.array((channel_of >= 0) & (watched[detector_of] == 1), dtype=np.uint8)
    learned[CUSTOMERS_1D] = 1
    if watched[SLOW_DRIP]:
        learned[list(DRIP_STATS)] = 1
    return learned


def channel_of_counts() -> I64:
    """(counts,) channel on which each count speaks, or -1."""
    channel_of = np.full(N_STATS, -1, dtype=np.int64)
    for detector in (bulk_read, sensitive, under_cap, enumeration, account):
        for channel, stats in detector.COUNTED.items():
            channel_of[list(stats)] = channel
    return channel_of


def widths_of(watched: U8) -> Widths:
    """Return how much is kept of each actor: columns that nobody reads are at the ends."""
    baseline = N_FIRST_BASELINE
    for detector, width in (
        (SLOW_DRIP, LAGGED_DAYS + 1), (REPEAT_TARGET, REACHED_DAYS + 1), (UNFAMILIAR, N_BASELINE),
    ):  # fmt: skip
        if watched[detector]:
            baseline = width
    return Widths(
        ints=N_INTS
        if watched[[ENUMERATION, ACCOUNT, SLOW_DRIP, UNFAMILIAR]].any()
        else N_FIRST_INTS,
        baseline=baseline,
        day=N_DAY if watched[UNFAMILIAR] else N_FIRST_DAY,
        drip=N_DRIP if watched[SLOW_DRIP] else 0,
    )
