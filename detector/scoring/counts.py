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
_LEAST_OTHERS = 0.1  # share of customers who are nothing special, where hardly any is left
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
    """Return the dispersion within an actor, shrunk to the peer group's ``peer``.

    What is learned is a multiple: working and rest days differ in how much days differ.
    """
    weight = _SPREAD_DAYS * mean * mean * peer
    excess = max(np.float64(baseline[EXCESS + stat]), 0.0)
    return peer * (excess + weight) / (np.float64(baseline[SQUARES + stat]) + weight)


@part
def prior_mean(baseline: F32, model: Model, group: int, kind: int, stat: int) -> float:
    """Return what a day is expected to bring before anything is known of such days.

    On rest days the peers' mean, as much higher or lower as this actor's working days are:
    few rest days are worked, and the first says little about the next.
    """
    prior = model.mean[group, kind, stat]
    if kind == 0:
        return float(prior)
    work = model.mean[group, 0, stat]
    trust = own_weight(
        np.float64(baseline[WEIGHTS]), work, model.dispersion[group, 0, stat],
        model.spread[group, stat],
    )  # fmt: skip
    level = 1.0 + trust * (np.float64(baseline[MEANS + stat]) / work - 1.0)
    return float(prior * max(level, _PEER_FLOOR))


@part
def expected_count(
    baseline: F32, model: Model, group: int, kind: int, stat: int
) -> tuple[float, float]:
    """Predict one count: mean and dispersion of a negative binomial.

    The dispersion includes what is not known yet about a new actor's mean.
    """
    prior = prior_mean(baseline, model, group, kind, stat)
    peer = model.dispersion[group, kind, stat]
    spread = model.spread[group, stat]
    trust = own_weight(np.float64(baseline[WEIGHTS + kind]), prior, peer, spread)
    own = np.float64(baseline[MEANS + kind * N_STATS + stat])
    mean = max(prior + trust * (own - prior), _PEER_FLOOR * prior, 1e-3)
    return mean, own_dispersion(baseline, stat, mean, peer) + (1.0 - trust) * spread


@part
def busy_factor(day: I64, baseline: F32, model: Model, group: int, special: int) -> float:
    """Return how much busier than usual the day is, apart from special customers; >= 1.

    On a day with twice the customers, twice the VIPs or customers of other branches are
    no news of their own: bulk_read says it already.

    Args:
        day: integers of the open day.
        baseline: what is usual for the actor.
        model: priors.
        group: peer group.
        special: the count of special customers, itself left out on both sides.
    """
    kind = day[KIND]
    usual, _ = expected_count(baseline, model, group, kind, CUSTOMERS_1D)
    usual_special, _ = expected_count(baseline, model, group, kind, special)
    others = max(usual - usual_special, _LEAST_OTHERS * usual, 1.0)
    return float(max((day[COUNTS + CUSTOMERS_1D] - day[COUNTS + special]) / others, 1.0))


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
            mean *= busy_factor(day, baseline, model, group, stat)
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
        foreseen = model.dispersion[group, kind, stat] * mean * mean
        squares = np.float64(baseline[SQUARES + stat]) * keep + weight * foreseen
        baseline[SQUARES + stat] = squares
    baseline[WEIGHTS + kind] = total
