"""Shares of days: how sure they are, and from when on a group has far more than all others."""

from __future__ import annotations

import numpy as np

FAR_MORE = 2.0  # times the rate of all others, surely: the interval's lower end lies above it
LEAST_DAYS = 30  # of a group; fewer say nothing
_Z90 = 1.6448536269514722  # both tails of 5 %


def wilson(n_hits: int, n: int, z: float = _Z90) -> tuple[float, float]:
    """Return the interval of a share: 90 % unless ``z`` says otherwise; (0, 1) for nothing.

    Source:
        Wilson (1927), the score interval.

    >>> [round(x, 3) for x in wilson(5, 10)]
    [0.269, 0.731]
    """
    if n == 0:
        return 0.0, 1.0
    share, spread = n_hits / n, z * z / n
    middle = (share + spread / 2.0) / (1.0 + spread)
    half = z / (1.0 + spread) * float(np.sqrt(share * (1.0 - share) / n + spread / (4.0 * n)))
    return max(middle - half, 0.0), min(middle + half, 1.0)
