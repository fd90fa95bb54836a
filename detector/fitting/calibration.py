"""Raw day maxima → tail probabilities per stratum, and the threshold of a budget."""

from __future__ import annotations

import numpy as np

from detector.scoring.builtin import N_KNOTS
from detector.state.layout import F64

_TAIL_DAYS = 40  # exceedances that shape the exponential tail
_LEAST_TAIL_SHARE = 0.02
_LEAN_DAYS = 200.0  # a stratum of so many days weighs as much as the whole bank
_BEYOND = 4.0  # powers of ten beyond the largest value seen that get knots


def survival(values: F64, at: F64) -> F64:
    """P(X >= x) of a sample: counted in the body, exponential in the tail.

    The tail starts where some forty values lie beyond; its scale is the median excess over
    ln 2, so that a few insiders in the history do not stretch it.

    Args:
        values: (n,) sample, n >= 1.
        at: (k,) points.

    Returns:
        (k,) probabilities in (0, 1].

    Source:
        Peaks over threshold with shape 0, Coles (2001), section 4.2.
    """
    ordered = np.sort(values)
    n = ordered.size
    n_tail = int(min(max(_TAIL_DAYS, _LEAST_TAIL_SHARE * n), max(n // 4, 1)))
    start = ordered[n - n_tail]
    excess = ordered[n - n_tail :] - start
    scale = max(float(np.median(excess)) / np.log(2.0), 0.02)
    counted = (n - np.searchsorted(ordered, at, side="left") + 0.5) / (n + 1.0)
    tail = n_tail / n * np.exp(-(at - start) / scale)
    return np.asarray(np.clip(np.where(at > start, tail, counted), 1e-300, 1.0))


def fit_knots(pool: F64, stratum: F64) -> tuple[F64, F64]:
    """Return (k,) raw scores and (k,) surprises of a stratum, leaning on the whole bank.

    Args:
        pool: (n,) raw day maxima of all strata.
        stratum: (m,) those of this stratum, may be empty.
    """
    grid = _grid(pool, stratum)
    whole = survival(pool, grid)
    ordered = np.sort(stratum)
    count = ordered.size - np.searchsorted(ordered, grid, side="left")
    share = (count + _LEAN_DAYS * whole) / (ordered.size + _LEAN_DAYS)
    surprise = np.maximum.accumulate(-np.log10(np.clip(share, 1e-300, 1.0)))
    surprise[0] = 0.0
    return grid, surprise


def _grid(pool: F64, stratum: F64) -> F64:
    """Choose knots: 0, quantiles that crowd towards the tail, and a stretch beyond it."""
    both = np.concatenate([pool, stratum])
    levels = 1.0 - np.geomspace(1.0, 1.0 / (2.0 * both.size), N_KNOTS - 9)
    knots = np.unique(np.concatenate([[0.0], np.quantile(both, levels)]))
    step = max(float(np.median(np.abs(np.diff(knots)))), 0.05)
    last, n_more = float(knots[-1]), N_KNOTS - knots.size
    stretch = np.linspace(step, _BEYOND + step, n_more)
    return np.concatenate([knots, last + stretch])


def threshold_for(score: F64, n_days: int, budget_per_day: float) -> float:
    """Return the score that so many actor-days a day reach on the history.

    Args:
        score: (m,) day scores of the whole bank.
        n_days: local days of the history.
        budget_per_day: alerts a team can read.
    """
    n_alerts = int(budget_per_day * max(n_days, 1))
    if n_alerts >= score.size:
        return 0.5
    ordered = np.sort(score)[::-1]
    return max(float(ordered[max(n_alerts, 1) - 1]), 0.5)
