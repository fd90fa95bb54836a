"""repeat_target: one customer looked at again and again, without business?

A level is the number of distinct days, within two weeks, on which an actor looked at a
customer not seen in the two weeks before. Favourites and own portfolios were seen before
and do not count, nor do days with a ticket, an approval or a business action. How often this
actor and the peers reach a level, per active day, is what makes one more day a surprise.
"""

from __future__ import annotations

import math

import numpy as np

from detector.compiled import part
from detector.scoring.model import Model
from detector.state.layout import (
    BEST_LEVEL,
    F32,
    F64,
    I64,
    LEVELS,
    N_LEVELS,
    N_RING,
    RAW,
    REACHED,
    REACHED_DAYS,
    CustomerPairs,
)

REPEAT_TARGET = 6  # position in ``DETECTORS``
SPAN_DAYS = 14
BITS = 6  # per level in LEVELS
_OWN_DAYS = 15.0
_LEAST_RATE = 1e-6


@part
def level_of(pairs: CustomerPairs, cell: int, day: int) -> int:
    """Return the distinct days of the last 14 on which a customer was looked at for nothing.

    0 for customers known from before: their looks have a history.
    """
    back = int(min(int(pairs.last_day[cell]) - day, N_RING - 1))
    seen, served = np.int64(pairs.seen[cell]) >> back, np.int64(pairs.served[cell]) >> back
    if seen >> SPAN_DAYS != 0:
        return 0
    seen &= ~served
    level = 0
    while seen != 0:
        seen &= seen - 1
        level += 1
    return level


@part
def reach_rate(baseline: F32, model: Model, group: int, level: int) -> float:
    """Return how many customers a day reach at least this level, for this actor."""
    own, peers = 0.0, 0.0
    for i in range(min(level, N_LEVELS + 1) - 2, N_LEVELS):
        own += np.float64(baseline[REACHED + i])
        peers += model.reach[group, i]
    days = np.float64(baseline[REACHED_DAYS])
    return max((own + _OWN_DAYS * peers) / (days + _OWN_DAYS), _LEAST_RATE)


@part
def score_repeat(
    day: I64, surprise: F64, baseline: F32, model: Model, group: int, level: int
) -> None:
    """Raise the day's raw score by the level a customer reaches with this row."""
    if level < 2:
        return
    shift = BITS * (min(level, N_LEVELS + 1) - 2)
    if (day[LEVELS] >> shift) & ((1 << BITS) - 1) < (1 << BITS) - 1:
        day[LEVELS] += np.int64(1) << shift
    raw = -math.log10(1.0 - math.exp(-reach_rate(baseline, model, group, level)))
    if raw > surprise[RAW + REPEAT_TARGET]:
        surprise[RAW + REPEAT_TARGET] = raw
        day[BEST_LEVEL] = level


@part
def learn_repeat(day: I64, baseline: F32, weight: float, keep: float) -> None:
    """Let a closed day's levels into the actor's rates."""
    for i in range(N_LEVELS):
        reached = (day[LEVELS] >> (BITS * i)) & ((1 << BITS) - 1)
        baseline[REACHED + i] = np.float64(baseline[REACHED + i]) * keep + weight * reached
    baseline[REACHED_DAYS] = np.float64(baseline[REACHED_DAYS]) * keep + weight
