"""bulk_read: more records, customers or listed volume than this person on such a day?

Nine counts: records, distinct customers, records listed or exported, each as the day's
largest 10 min, the day's largest hour, and the day. Each is held against a negative
binomial whose mean leans on the peer group until the actor has a history, and whose
dispersion is shrunk to the peer group's (detection.md: Poisson alarms 150 times too often).
"""

from __future__ import annotations

import math

import numpy as np

from detector.compiled import kernel
from detector.scoring.model import Model
from detector.scoring.negative_binomial import upper_tail_surprise
from detector.state.layout import (
    BEST_STAT,
    CUSTOMERS,
    EXCESS,
    F32,
    F64,
    I64,
    KIND,
    MEANS,
    N_STATS,
    PEAKS,
    RAW,
    RECORDS,
    SQUARES,
    VOLUME,
    WEIGHTS,
)

QUANTITIES = ("records", "customers", "volume")
WINDOWS = ("10m", "1h", "1d")
_SPREAD_DAYS = 15.0  # history after which the own dispersion weighs as much as the peers'
_SCREEN_SD = 1.5  # below it a count is ordinary and the tail is not worth computing


@kernel
def own_weight(days: float, mean: float, dispersion: float, spread: float) -> float:
    """Return how far an actor's own mean is trusted, in [0, 1).

    Source:
        Bühlmann credibility: n / (n + within variance / between variance), both relative
        to the squared mean.
    """
    ratio = (dispersion + 1.0 / max(mean, 0.05)) / max(spread, 1e-3)
    return days / (days + min(max(ratio, 1.0), 30.0))


@kernel
def expected_count(
    baseline: F32, model: Model, group: int, kind: int, stat: int
) -> tuple[float, float]:
    """Predict one of the nine counts: mean and dispersion of a negative binomial.

    The dispersion includes what is not known yet about a new actor's mean.
    """
    prior = model.mean[group, kind, stat]
    peer = model.dispersion[group, stat]
    spread = model.spread[group, stat]
    trust = own_weight(np.float64(baseline[WEIGHTS + kind]), prior, peer, spread)
    mean = prior + trust * (np.float64(baseline[MEANS + kind * N_STATS + stat]) - prior)
    mean = max(mean, 1e-3)
    weight = _SPREAD_DAYS * mean * mean
    excess = max(np.float64(baseline[EXCESS + stat]), 0.0)
    own = (excess + weight * peer) / (np.float64(baseline[SQUARES + stat]) + weight)
    return mean, own + (1.0 - trust) * spread


@kernel
def observed_count(day: I64, stat: int) -> int:
    """Return one of the nine counts of an open day."""
    quantity, window = stat // 3, stat % 3
    if window < 2:
        return int(day[PEAKS + quantity * 2 + window])
    if quantity == 0:
        return int(day[RECORDS])
    return int(day[CUSTOMERS] if quantity == 1 else day[VOLUME])


@kernel
def score_bulk(
    day: I64, surprise: F64, baseline: F32, model: Model, group: int, grown: int
) -> None:
    """Raise the day's raw bulk_read score where a count that has grown is a surprise.

    Args:
        day: integers of the open day; BEST_STAT is updated.
        surprise: scores of the open day; RAW is updated.
        baseline: what is usual for the actor.
        model: priors.
        group: peer group.
        grown: bit *s* is set if count *s* has grown with this row.
    """
    for stat in range(N_STATS):
        if grown >> stat & 1 == 0:
            continue
        count = observed_count(day, stat)
        mean, dispersion = expected_count(baseline, model, group, day[KIND], stat)
        excess = count - mean
        variance = mean + dispersion * mean * mean
        if excess <= 0.0 or excess * excess < _SCREEN_SD * _SCREEN_SD * variance:
            continue
        tail = upper_tail_surprise(count, mean, dispersion)
        if tail > surprise[RAW]:
            surprise[RAW] = tail
            day[BEST_STAT] = stat


@kernel
def learn_bulk(
    day: I64, baseline: F32, model: Model, group: int, weight: float, keep: float, winsor_sd: float
) -> None:
    """Let a closed day into the baseline, its counts cut at ``winsor_sd`` above usual."""
    kind = day[KIND]
    total = np.float64(baseline[WEIGHTS + kind]) * keep + weight
    for stat in range(N_STATS):
        mean, dispersion = expected_count(baseline, model, group, kind, stat)
        usual = mean + winsor_sd * math.sqrt(mean + dispersion * mean * mean) + 1.0
        count = min(float(observed_count(day, stat)), usual)
        column = MEANS + kind * N_STATS + stat
        own = np.float64(baseline[column])
        baseline[column] = own + weight / total * (count - own)
        error = (count - mean) * (count - mean) - mean
        baseline[EXCESS + stat] = np.float64(baseline[EXCESS + stat]) * keep + weight * error
        squares = np.float64(baseline[SQUARES + stat]) * keep + weight * mean * mean
        baseline[SQUARES + stat] = squares
    baseline[WEIGHTS + kind] = total
