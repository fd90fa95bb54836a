"""slow_drip: a sustained excess, too small for any one day?

Sums over the last 2 to 16 active days, today included, are held against a baseline that
ends before them: it lags up to 15 active days behind, so that a drift cannot hide in what
is usual. The loudest day of a sum is taken for a usual one: it is bulk_read's. A day that
was flagged starts the sums anew, and a day that brings no more than usual adds nothing to
what the days before have said: nothing is alerted twice.
"""

from __future__ import annotations

import math

import numpy as np

from detector.compiled import part
from detector.scoring.counts import own_dispersion, own_weight
from detector.scoring.model import Model
from detector.scoring.negative_binomial import upper_tail_surprise
from detector.state.layout import (
    BEST_DRIP,
    BEST_SPAN,
    COUNTS,
    DAY,
    DRIP_STATS,
    F32,
    F64,
    FIRST_DAY,
    I64,
    KIND,
    LAGGED,
    LAGGED_DAYS,
    N_DRIP,
    N_DRIP_DAYS,
    N_RECENT,
    NEW,
    RAW,
    SETTLED_DAYS,
    UNEXPLAINED,
)

SLOW_DRIP = 4  # position in ``DETECTORS``
_STATS = np.array(DRIP_STATS, dtype=np.int64)
_MAX_LAG, _LEAST_LAG = 15, 3
_LEAST_DAYS = 3.0  # of lagged baseline before the sums mean anything
_SCREEN_SD = 1.5
_CAP_SD = 4.0
_DRIFT = 0.015  # relative variance of an honest person's level from month to month
_KEEP = 0.5 ** (1.0 / 60.0)


@part
def day_factor(model: Model, group: int, kind: int, stat: int) -> float:
    """Return how much of a working day's count such a day usually brings."""
    work = max(model.mean[group, 0, stat], 0.02)
    return 1.0 if kind == 0 else max(model.mean[group, kind, stat] / work, 0.05)


@part
def lagged_mean(baseline: F32, model: Model, group: int, k: int) -> tuple[float, float, float]:
    """Return a working day's mean before the recent days, its dispersion, and the trust."""
    stat = _STATS[k]
    prior, peer = model.mean[group, 0, stat], model.dispersion[group, 0, stat]
    spread, days = model.spread[group, stat], np.float64(baseline[LAGGED_DAYS])
    trust = own_weight(days, prior, peer, spread)
    mean = max(prior + trust * (np.float64(baseline[LAGGED + k]) - prior), 0.02)
    return mean, own_dispersion(baseline, stat, mean, peer), trust


@part
def sum_dispersion(
    mean: float, dispersion: float, trust: float, spread: float, days: float, span: int
) -> float:
    """Return the dispersion of a sum over ``span`` days around a baseline of ``days`` days."""
    level = (dispersion + 1.0 / mean) / max(days, 1.0)
    return dispersion / span + trust * level + (1.0 - trust) * spread + _DRIFT


@part
def score_drip(
    day: I64,
    surprise: F64,
    me: I64,
    recent: F32,
    baseline: F32,
    model: Model,
    group: int,
    grown: int,
) -> None:
    """Raise the day's raw score where a sum that has grown is a surprise.

    Args:
        day: integers of the open day; BEST_DRIP and BEST_SPAN are updated.
        surprise: scores of the open day.
        me: the actor's integers.
        recent: (N_DRIP, N_RECENT) counts of recent active days, newest first.
        baseline: what is usual for the actor.
        model: priors.
        group: peer group.
        grown: bits of the counts that have grown.
    """
    days = np.float64(baseline[LAGGED_DAYS])
    if days < _LEAST_DAYS:
        return
    for k in range(N_DRIP):
        stat = _STATS[k]
        if grown >> stat & 1 == 0:
            continue
        mean, dispersion, trust = lagged_mean(baseline, model, group, k)
        cap = mean + _CAP_SD * math.sqrt(mean + dispersion * mean * mean) + 1.0
        today = day[COUNTS + stat] / day_factor(model, group, day[KIND], stat)
        if today <= mean:
            continue
        total = loudest = min(today, cap)
        for back in range(me[N_DRIP_DAYS]):
            count = min(np.float64(recent[k, back]), cap)
            total += count
            loudest = max(loudest, count)
            span = back + 2
            expected = span * mean
            wide = sum_dispersion(mean, dispersion, trust, model.spread[group, stat], days, span)
            excess = total - max(loudest - mean, 0.0) - expected
            variance = expected + wide * expected * expected
            if excess <= 0.0 or excess * excess < _SCREEN_SD * _SCREEN_SD * variance:
                continue
            tail = upper_tail_surprise(int(expected + excess), expected, wide)
            if tail > surprise[RAW + SLOW_DRIP]:
                surprise[RAW + SLOW_DRIP] = tail
                day[BEST_DRIP], day[BEST_SPAN] = k, span


@part
def learn_drip(
    day: I64, me: I64, recent: F32, baseline: F32, model: Model, group: int, flagged: bool
) -> None:
    """Remember a closed day, and let those that are old enough into the lagged baseline."""
    if flagged:
        me[N_DRIP_DAYS] = 0
        return
    settled = day[DAY] - me[FIRST_DAY] >= SETTLED_DAYS
    n = me[N_DRIP_DAYS]
    known = np.float64(baseline[LAGGED_DAYS])
    lag = min(max(int((known + n + 1.0) / 2.0), _LEAST_LAG), _MAX_LAG)
    n_old = max(n + 1 - lag, 0)
    for i in range(n_old):
        known = known * _KEEP + 1.0
        for k in range(N_DRIP):
            own = np.float64(baseline[LAGGED + k])
            baseline[LAGGED + k] = own + (np.float64(recent[k, n - 1 - i]) - own) / known
    baseline[LAGGED_DAYS] = known
    n -= n_old
    for k in range(N_DRIP):
        stat = _STATS[k]
        for i in range(min(n, N_RECENT - 1), 0, -1):
            recent[k, i] = recent[k, i - 1]
        recent[k, 0] = day[COUNTS + stat] / day_factor(model, group, day[KIND], stat)
        if not settled and stat in (NEW, UNEXPLAINED):
            recent[k, 0] = model.mean[group, 0, stat]
    me[N_DRIP_DAYS] = n + 1
