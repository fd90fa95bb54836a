"""Areas, quantiles, rates and intervals, each a few lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from detector.state.layout import F64


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over repetitions with its 90 % interval; NaN where nothing was measured."""

    mean: float
    low: float
    high: float
    n: int


def interval(values: Sequence[float], least: float = 0.0, most: float = 1.0) -> Interval:
    """Return mean and 90 % interval over independent repetitions.

    Args:
        values: one figure a seed; NaN ones are left out.
        least: no such figure can be less …
        most: … or more; the interval is cut there.

    Source:
        Student's t interval of a mean.

    >>> interval([0.4, 0.6]).mean, interval([0.5]).n
    (0.5, 1)
    """
    known = np.array([value for value in values if not np.isnan(value)], dtype=np.float64)
    if known.size == 0:
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    mean = float(known.mean())
    if known.size == 1:
        return Interval(mean, float("nan"), float("nan"), 1)
    half = float(stats.t.ppf(0.95, known.size - 1) * known.std(ddof=1) / np.sqrt(known.size))
    low, high = max(mean - half, least), min(mean + half, most)
    return Interval(mean, low, high, int(known.size))


def auc(positive: F64, negative: F64) -> float:
    """P(a positive is above a negative), ties counted half; NaN where one side is empty.

    Source:
        Mann & Whitney (1947), by ranks.

    >>> auc(np.array([2.0, 1.0]), np.array([1.0, 0.0]))
    0.875
    """
    if positive.size == 0 or negative.size == 0:
        return float("nan")
    ranks = stats.rankdata(np.concatenate([positive, negative]))
    above = ranks[: positive.size].sum() - positive.size * (positive.size + 1) / 2
    return float(above / (positive.size * negative.size))


def share_above(values: F64, bar: float) -> float:
    """Share of values strictly above a bar; NaN for none.

    >>> share_above(np.array([1.0, 2.0, 3.0]), 2.0)
    0.3333333333333333
    """
    return float((values > bar).mean()) if values.size else float("nan")


def weighted_quantile(values: F64, weights: F64, level: float) -> float:
    """Smallest value at or below which at least ``level`` of the weight lies.

    Args:
        values: (n,), n >= 1.
        weights: (n,) >= 0.
        level: in (0, 1).

    >>> weighted_quantile(np.array([1.0, 2.0, 9.0]), np.array([1.0, 1.0, 2.0]), 0.5)
    2.0
    """
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order]) / weights.sum()
    at = min(int(np.searchsorted(reached, level - 1e-12, side="left")), values.size - 1)
    return float(values[order[at]])


def observed_over_nominal(surprise: F64, power: int) -> float:
    """How often a surprise reaches ``power`` against the 10**-power it stands for.

    1 is calibrated, above 1 alarms too often; NaN for no values.

    >>> observed_over_nominal(np.array([0.0, 2.5] + [0.0] * 98), 2)
    1.0
    """
    return float((surprise >= power).mean() * 10.0**power) if surprise.size else float("nan")
