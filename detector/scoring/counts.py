"""The counts of an actor's day against a negative binomial: what several detectors share.

Each count's mean leans on the peer group until the actor has a history, and its dispersion
is shrunk to the peer group's (detection.md: Poisson alarms 150 times too often on people).
"""

from __future__ import annotations

import math

import numpy as np

from detector.compiled import part
from detector.scoring.model import Limits, Model
from detector.scoring.negative_binomial import upper_tail_surprise
from detector.state.days import set_small_number
from detector.state.layout import (
    BEST_STAT,
    COUNTS,
    CUSTOMERS_1D,
    EXCESS,
    F32,
    F64,
    I64,
    KIND,
    MEANS,
    N_STATS,
    NEW,
    RAW,
    SQUARES,
    UNEXPLAINED,
    WEIGHTS,
)

# Quantity and window of each count, in the order of ``state/layout.py``.
STATS = (
    ("records", "10m"), ("records", "1h"), ("records", "1d"),
    ("customers", "10m"), ("customers", "1h"), ("customers", "1d"),
    ("volume", "10m"), ("volume", "1h"), ("volume", "1d"),
    ("new_customers", "1d"), ("unexplained_customers", "1d"), ("exported_records", "1d"),
    ("sensitive_customers", "1d"), ("secret_customers", "1d"), ("own_records", "1d"),
    ("capped_queries", "1d"), ("ordered_records", "1d"),
    ("denials", "1d"), ("device_switches", "1d"), ("foreign_customers", "1d"),
)  # fmt: skip

_SPREAD_DAYS = 15.0  # history after which the own dispersion weighs as much as the peers'
_PEER_FLOOR = 0.1  # who never lists may list once: what peers do daily is no anomaly
_SCREEN_SD = 1.5  # below it a count is ordinary and the tail is not worth computing


@part
def own_weight(days: float, mean: float, dispersion: float, spread: float) -> float:
    """Return how far an actor's own mean is trusted, in [0, 1).

    Source:
        Bühlmann credibility: n / (n + within variance / between variance), both relative
        to the squared mean.
    """
    ratio = (dispersion + 1.0 / max(mean, 0.05)) / max(spread, 1e-3)
    return days / (days + min(max(ratio, 1.0), 30.0))


@part
def own_dispersion(baseline: F32, stat: int, mean: float, peer: float) -> float:
    """Return the dispersion within an actor, shrunk to the peer group's."""
    weight = _SPREAD_DAYS * mean * mean
    excess = max(np.float64(baseline[EXCESS + stat]), 0.0)
    return (excess + weight * peer) / (np.float64(baseline[SQUARES + stat]) + weight)


@part
def expected_count(
    baseline: F32, model: Model, group: int, kind: int, stat: int
) -> tuple[float, float]:
    """Predict one count: mean and dispersion of a negative binomial.

    The dispersion includes what is not known yet about a new actor's mean.
    """
    prior = model.mean[group, kind, stat]
    peer = model.dispersion[group, stat]
    spread = model.spread[group, stat]
    trust = own_weight(np.float64(baseline[WEIGHTS + kind]), prior, peer, spread)
    mean = prior + trust * (np.float64(baseline[MEANS + kind * N_STATS + stat]) - prior)
    mean = max(mean, _PEER_FLOOR * prior, 1e-3)
    return mean, own_dispersion(baseline, stat, mean, peer) + (1.0 - trust) * spread


@part
def busy_factor(day: I64, baseline: F32, model: Model, group: int, n_special: int) -> float:
    """Return how much busier than usual the day is, apart from special customers; >= 1.

    On a day with twice the customers, twice the VIPs or customers of other branches are
    no news of their own: bulk_read says it already.
    """
    mean, _ = expected_count(baseline, model, group, day[KIND], CUSTOMERS_1D)
    return float(max((day[COUNTS + CUSTOMERS_1D] - n_special) / max(mean, 1.0), 1.0))


@part
def score_counts(
    day: I64,
    surprise: F64,
    baseline: F32,
    model: Model,
    group: int,
    grown: int,
    limits: Limits,
) -> None:
    """Raise the day's raw scores where a count that has grown is a surprise.

    Args:
        day: integers of the open day; BEST_STAT of the channel is updated.
        surprise: scores of the open day; RAW of the channel is updated.
        baseline: what is usual for the actor.
        model: priors; ``channel_of`` says on which channel a count speaks.
        group: peer group.
        grown: bit *s* is set if count *s* has grown with this row.
        limits: which detectors are watched.
    """
    for stat in range(N_STATS):
        channel = model.channel_of[stat]
        if grown >> stat & 1 == 0 or channel < 0 or not limits.watched[model.detector_of[channel]]:
            continue
        count = day[COUNTS + stat]
        mean, dispersion = expected_count(baseline, model, group, day[KIND], stat)
        if model.per_customer[stat]:
            mean *= busy_factor(day, baseline, model, group, count)
        excess = count - mean
        variance = mean + dispersion * mean * mean
        if excess <= 0.0 or excess * excess < _SCREEN_SD * _SCREEN_SD * variance:
            continue
        tail = upper_tail_surprise(count, mean, dispersion)
        if tail > surprise[RAW + channel]:
            surprise[RAW + channel] = tail
            set_small_number(day, BEST_STAT, channel, stat)


@part
def learn_counts(
    day: I64,
    baseline: F32,
    model: Model,
    group: int,
    weight: float,
    keep: float,
    limits: Limits,
    settled: bool,
) -> None:
    """Let a closed day into the baseline, its counts cut at ``winsor_sd`` above usual.

    Until an actor has ``settled``, how many customers are new says nothing.
    """
    kind = day[KIND]
    total = np.float64(baseline[WEIGHTS + kind]) * keep + weight
    for stat in range(N_STATS):
        if not limits.learned[stat]:
            continue
        mean, dispersion = expected_count(baseline, model, group, kind, stat)
        usual = mean + limits.winsor_sd * math.sqrt(mean + dispersion * mean * mean) + 1.0
        count = min(float(day[COUNTS + stat]), usual)
        if not settled and stat in (NEW, UNEXPLAINED):
            count = mean
        column = MEANS + kind * N_STATS + stat
        own = np.float64(baseline[column])
        baseline[column] = own + weight / total * (count - own)
        error = (count - mean) * (count - mean) - mean
        baseline[EXCESS + stat] = np.float64(baseline[EXCESS + stat]) * keep + weight * error
        squares = np.float64(baseline[SQUARES + stat]) * keep + weight * mean * mean
        baseline[SQUARES + stat] = squares
    baseline[WEIGHTS + kind] = total
