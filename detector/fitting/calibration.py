"""Raw day maxima → tail probabilities per stratum, and the threshold of a budget."""

from __future__ import annotations

import math

import numpy as np

from detector.scoring.builtin import N_KNOTS
from detector.state.layout import F64, I64

_TAIL_DAYS = 40  # exceedances that shape the tail
_LEAST_TAIL_SHARE = 0.01
_MAX_SHAPE = 0.4
ALLOWANCE = 1.2  # the next month is not the last one: rare days come so much more often
_EXPONENTIAL = 1e-3  # smaller shapes are the exponential, numerically
_LEAN_DAYS = 200.0  # a stratum of so many days weighs as much as the whole bank …
_LEAN_RARE = 2.0  # … and one in which the whole bank expects so many such days
_SURE_DAYS = 6.0
_BUSY_DAY = 0.75  # quantile of actor-days a day: rest days do not make the budget
LEAST_THRESHOLD = 0.5  # below it nothing is an anomaly, however large the budget
_BEYOND = 4.0  # powers of ten beyond the largest value seen that get knots


def survival(values: F64, at: F64) -> F64:
    """P(X >= x) of a sample: counted in the body, generalised Pareto in the tail.

    Args:
        values: (n,) sample, n >= 1.
        at: (k,) points.

    Returns:
        (k,) probabilities in (0, 1].

    Source:
        Peaks over threshold, Coles (2001), section 4.2; shape and scale by L-moments,
        Hosking & Wallis (1987). The shape is kept in [0, 0.4]: a lighter tail than the
        exponential would claim certainty that some forty values do not hold.
    """
    ordered = np.sort(values)
    n = ordered.size
    n_tail = int(min(max(_TAIL_DAYS, _LEAST_TAIL_SHARE * n), max(n // 4, 1)))
    start = ordered[n - n_tail]
    shape, scale = _pareto(ordered[n - n_tail :] - start)
    counted = (n - np.searchsorted(ordered, at, side="left") + 0.5) / (n + 1.0)
    excess = np.maximum(at - start, 0.0)
    if shape < _EXPONENTIAL:
        tail = np.exp(-excess / scale)
    else:
        tail = (1.0 + shape * excess / scale) ** (-1.0 / shape)
    return np.asarray(np.clip(np.where(at > start, n_tail / n * tail, counted), 1e-300, 1.0))


def _pareto(excess: F64) -> tuple[float, float]:
    """Return shape and scale of a generalised Pareto law from ascending excesses."""
    n = excess.size
    mean = max(float(excess.mean()), 1e-6)
    weights = np.arange(n, dtype=np.float64) / max(n - 1, 1)
    l_scale = 2.0 * float((weights * excess).mean()) - mean
    shape = 2.0 - mean / max(l_scale, 1e-6)
    shape = min(max(shape, 0.0), _MAX_SHAPE)
    return shape, max(mean * (1.0 - shape), 0.02)


def fit_knots(pool: F64, stratum: F64, allowance: float = ALLOWANCE) -> tuple[F64, F64]:
    """Return (k,) raw scores and (k,) surprises of a stratum, leaning on the whole bank.

    That a rare day has not come in a stratum yet says little: its rate is a gamma-Poisson
    mean around the whole bank's.

    Args:
        pool: (n,) raw day maxima of all strata.
        stratum: (m,) those of this stratum, may be empty.
        allowance: how much more often rare days will come than they have; 1 where ``pool``
            is calibrated already.
    """
    if pool.max(initial=0.0) <= 0.0:  # nothing to learn from: the built-in line
        return np.linspace(0.0, 12.0, N_KNOTS), np.linspace(0.0, 9.6, N_KNOTS)
    grid = _grid(pool, stratum)
    whole = survival(pool, grid)
    ordered = np.sort(stratum)
    count = ordered.size - np.searchsorted(ordered, grid, side="left")
    lean = np.maximum(_LEAN_DAYS, _LEAN_RARE / whole)
    share = (count + lean * whole) / (ordered.size + lean)
    share = allowance * share / (1.0 + (allowance - 1.0) * share)
    surprise = np.maximum.accumulate(-np.log10(np.clip(share, 1e-300, 1.0)))
    surprise[0] = 0.0
    return grid, _bounded(grid, surprise, pool.size)


def _bounded(grid: F64, surprise: F64, n: int) -> F64:
    """Let a surprise grow no faster than the raw score where the history thins out.

    A raw score is a power of ten of the detector's own model. Six days of a history can
    correct the model; where there are fewer, they cannot make a day rarer than it says.
    """
    bounded = surprise.copy()
    sure = math.log10(n / _SURE_DAYS) if n > _SURE_DAYS else 0.0
    for knot in range(1, grid.size):
        if surprise[knot] > sure:
            step = min(surprise[knot] - surprise[knot - 1], grid[knot] - grid[knot - 1])
            bounded[knot] = bounded[knot - 1] + step
    return bounded


def _grid(pool: F64, stratum: F64) -> F64:
    """Choose knots: 0, quantiles that crowd towards the tail, and a stretch beyond it."""
    both = np.concatenate([pool, stratum])
    levels = 1.0 - np.geomspace(1.0, 1.0 / (2.0 * both.size), N_KNOTS - 9)
    knots = np.unique(np.concatenate([[0.0], np.quantile(both, levels)]))
    step = max(float(np.median(np.abs(np.diff(knots)))), 0.05)
    last, n_more = float(knots[-1]), N_KNOTS - knots.size
    stretch = np.linspace(step, _BEYOND + step, n_more)
    return np.concatenate([knots, last + stretch])


def threshold_for(score: F64, local_day: I64, budget_per_day: float) -> float:
    """Return the score that so many actor-days a day reach.

    The higher of two answers: what the history shows, and what the score itself promises (s
    is reached by one actor-day in 10**s). The first alone would be too low: priors and
    calibration have seen these very days.

    Args:
        score: (m,) day scores of the whole bank.
        local_day: (m,) day of each.
        budget_per_day: alerts a team can read.
    """
    _, per_day = np.unique(local_day, return_counts=True)
    n_alerts = int(budget_per_day * max(per_day.size, 1))
    if n_alerts >= score.size:
        return LEAST_THRESHOLD
    shown = float(np.sort(score)[::-1][max(n_alerts, 1) - 1])
    busy = float(np.quantile(per_day, _BUSY_DAY))
    promised = -math.log10(min(budget_per_day / busy, 1.0))
    return max(shown, promised, LEAST_THRESHOLD)
