"""Generic detectors on the same actor-days: z-scores, EWMA, isolation forest, ECOD, trees.

They get what the engine counted (``features``) and nothing of what it concluded, and are
read at the same budget. scikit-learn, pyod and river come with the extra ``quality``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.quality.ledger import Ledger
from detector.state.layout import (
    COUNTS,
    EVENTS,
    F64,
    FIRST_NS,
    KIND,
    LAST_NS,
    N_STATS,
    OUT_CUSTOMERS,
    OUT_EVENTS,
)

_PRIOR_DAYS = 5.0  # of the bank's spread, in a person's own
_MEMORY = 0.3  # of the EWMA, per active day
_Z_CAP = 8.0
_HOUR_NS = 3_600_000_000_000

Bools = NDArray[np.bool_]


def features(days: Ledger) -> F64:
    """(m, f) logs of counts, shares and hours of each actor-day; what a data scientist takes."""
    columns = days.columns.astype(np.float64)
    counts = np.log1p(columns[:, COUNTS : COUNTS + N_STATS])
    events = np.maximum(columns[:, EVENTS], 1.0)
    start_h = np.mod(columns[:, FIRST_NS] / _HOUR_NS, 24.0)
    span_h = (columns[:, LAST_NS] - columns[:, FIRST_NS]) / _HOUR_NS
    others = [
        np.log1p(columns[:, EVENTS]),
        columns[:, OUT_EVENTS] / events,
        np.log1p(columns[:, OUT_CUSTOMERS]),
        start_h,
        span_h,
        columns[:, KIND],
    ]
    return np.column_stack([counts, *others])


def z_scores(days: Ledger, values: F64, train: Bools) -> F64:
    """(m, f) z-scores against the person's own past, never the day itself; capped at ±8.

    Args:
        days: by user and day.
        values: (m, f) features.
        train: (m,) days that give the bank's mean and spread, on which new people lean.
    """
    spread = np.maximum(values[train].std(axis=0), 0.05)
    centre = values[train].mean(axis=0)
    out = np.zeros_like(values)
    for rows in _by_user(days):
        mine = values[rows]
        n = np.arange(rows.size, dtype=np.float64)[:, np.newaxis]
        total = np.cumsum(mine, axis=0) - mine
        mean = (total + centre) / (n + 1.0)
        squares = np.cumsum((mine - mean) ** 2, axis=0) - (mine - mean) ** 2
        sd = np.sqrt((squares + _PRIOR_DAYS * spread**2) / (n + _PRIOR_DAYS))
        out[rows] = np.clip((mine - mean) / sd, -_Z_CAP, _Z_CAP)
    return out


def _by_user(days: Ledger) -> Iterator[NDArray[np.int64]]:
    _, first = np.unique(days.user, return_index=True)
    yield from np.split(np.arange(days.user.size, dtype=np.int64), first[1:])


def ewma(days: Ledger, z: F64) -> F64:
    """(m, f) exponentially weighted mean of z-scores over a person's active days.

    Source:
        Roberts (1959); scaled to unit variance on white noise.
    """
    out = np.zeros_like(z)
    for rows in _by_user(days):
        level = np.zeros(z.shape[1])
        for row in rows.tolist():
            level = (1.0 - _MEMORY) * level + _MEMORY * z[row]
            out[row] = level
    return np.asarray(out / np.sqrt(_MEMORY / (2.0 - _MEMORY)))


def upward(z: F64) -> F64:
    """(m,) root of the summed squares of what is above usual.

    >>> upward(np.array([[3.0, -9.0, 4.0]]))
    array([5.])
    """
    return np.asarray(np.sqrt((np.maximum(z, 0.0) ** 2).sum(axis=1)))


def isolation_forest(values: F64, train: Bools, seed: int = 0) -> F64:
    """(m,) scores of a forest grown on the training days (scikit-learn)."""
    from sklearn.ensemble import IsolationForest

    forest = IsolationForest(n_estimators=200, random_state=seed).fit(values[train])
    return -np.asarray(forest.score_samples(values), dtype=np.float64)


def ecod(values: F64, train: Bools) -> F64:
    """(m,) empirical-cumulative-distribution outlier scores against the training days (pyod)."""
    from pyod.models.ecod import ECOD

    model = ECOD().fit(values[train])
    return np.asarray(model.decision_function(values), dtype=np.float64)


def half_space_trees(days: Ledger, values: F64, train: Bools, seed: int = 0) -> F64:
    """(m,) scores of streaming half-space trees, each day scored before it is learned (river).

    Features are scaled to [0, 1] by the training days' 1 % and 99 % quantiles.
    """
    from river.anomaly import HalfSpaceTrees

    low, high = np.quantile(values[train], [0.01, 0.99], axis=0)
    scaled = np.clip((values - low) / np.maximum(high - low, 1e-9), 0.0, 1.0)
    used = np.flatnonzero(high > low)
    trees: Any = HalfSpaceTrees(n_trees=25, height=8, window_size=250, seed=seed)
    out = np.zeros(days.user.size)
    for row in np.lexsort((days.user, days.day)).tolist():
        point = {int(column): float(scaled[row, column]) for column in used}
        out[row] = trees.score_one(point)
        trees.learn_one(point)
    return out


def peer_scores(days: Ledger, train: Bools) -> dict[str, F64]:
    """Score all actor-days with every peer: name → (m,), higher is more unusual.

    Isolation forest, ECOD and half-space trees see features and z-scores side by side.

    Args:
        days: by user and day, training days among them.
        train: (m,) the days that models may be fitted on.
    """
    values = features(days)
    z = z_scores(days, values, train)
    both = np.column_stack([values, z])
    return {
        "per-user z-scores": upward(z),
        "EWMA of z-scores": upward(ewma(days, z)),
        "isolation forest": isolation_forest(both, train),
        "ECOD": ecod(both, train),
        "half-space trees": half_space_trees(days, both, train),
    }
