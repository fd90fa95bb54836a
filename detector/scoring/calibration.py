"""Raw score → calibrated surprise: a monotone broken line per stratum."""

from __future__ import annotations

from detector.compiled import kernel
from detector.state.layout import F64

MAX_SURPRISE = 40.0  # beyond it a ranking means nothing


@kernel
def calibrate(raw: float, knots_raw: F64, knots_surprise: F64) -> float:
    """Interpolate; beyond the last knot go on with the last slope (an exponential tail).

    Args:
        raw: score of a detector, higher is more anomalous.
        knots_raw: (k,) ascending, k >= 2.
        knots_surprise: (k,) non-decreasing, -log10 of the tail probability.

    Returns:
        Calibrated surprise in [0, MAX_SURPRISE].

    >>> import numpy as np
    >>> calibrate(3.0, np.array([0.0, 1.0]), np.array([0.0, 0.5]))
    1.5
    """
    low, high = 0, knots_raw.size - 1
    if raw <= knots_raw[0]:
        return float(max(knots_surprise[0], 0.0))
    while high - low > 1:
        middle = (low + high) // 2
        if knots_raw[middle] <= raw:
            low = middle
        else:
            high = middle
    width = knots_raw[high] - knots_raw[low]
    slope = (knots_surprise[high] - knots_surprise[low]) / width if width > 0.0 else 0.0
    surprise = knots_surprise[low] + slope * (raw - knots_raw[low])
    return float(min(max(surprise, 0.0), MAX_SURPRISE))
