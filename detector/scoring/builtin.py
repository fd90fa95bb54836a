"""Priors for a bank without history: broad, so that the first weeks raise little but sure.

The numbers are round on purpose. They come from no data set; `detector fit` replaces all.
"""

from __future__ import annotations

import numpy as np

from detector.state.layout import F64, N_BINS, N_LEVELS

SERVICE_ROLE = "(service)"
N_KNOTS = 64
_INDEPENDENT = 3  # detectors that really say different things, on the cautious lines below
_NOTABLE = 0.5  # the policy's, for the built-in line
_N_STEPS = 200

# 10 min, 1 h and day of records, customers, volume; then the special counts in the order of
# state/layout.py, for people on a working day
_PERSON_MEAN = (
    14.0, 32.0, 90.0, 5.0, 13.0, 45.0, 8.0, 14.0, 30.0,
    30.0, 25.0, 8.0, 0.4, 2.0, 0.002, 0.5, 0.5, 0.5, 0.5, 3.0,
)  # fmt: skip
_SERVICE_MEAN = (
    300.0, 1000.0, 4000.0, 100.0, 400.0, 2000.0, 100.0, 300.0, 1000.0,
    800.0, 800.0, 300.0, 10.0, 50.0, 0.002, 2.0, 100.0, 1.0, 0.5, 300.0,
)  # fmt: skip
_DISPERSION = (0.6,) * 3 + (0.4,) * 3 + (2.5,) * 3 + (0.5, 0.5, 5.0) + (2.0,) * 8
_PERSON_SPREAD = (0.7,) * 3 + (0.5,) * 3 + (2.0,) * 3 + (0.7, 0.7, 10.0) + (6.0,) * 8
_SERVICE_SPREAD = (4.0,) * 9 + (10.0,) * 11
_REST_FACTOR = 0.6


def reach_rates() -> F64:
    """(2, levels) customers a day that reach 2, 3, … distinct days within two weeks."""
    people = 3.0 * 0.45 ** np.arange(N_LEVELS, dtype=np.float64)
    return np.stack([people, people * 50.0])


def _working_hours(start: float, stop: float, floor: float) -> F64:
    hour = (np.arange(N_BINS, dtype=np.float64) + 0.5) / 4.0
    rise = 1.0 / (1.0 + np.exp(-(hour - start) * 3.0))
    fall = 1.0 / (1.0 + np.exp((hour - stop) * 2.0))
    return np.asarray(floor + 0.6 * rise * fall, dtype=np.float64)


def hours() -> F64:
    """(2, 2, 96) share of active days with work in a quarter: people, then services."""
    people = np.stack([_working_hours(8.0, 18.5, 0.003), _working_hours(9.0, 18.0, 0.01)])
    return np.stack([people, np.full((2, N_BINS), 0.3)])


def means() -> F64:
    """(2, 2, counts) expected daily peaks: people, services; working day, rest day."""
    work = np.array([_PERSON_MEAN, _SERVICE_MEAN], dtype=np.float64)
    return np.stack([work, work * _REST_FACTOR], axis=1)


def dispersions() -> F64:
    """(2, 2, counts) dispersion within an actor: people, services; working day, rest day."""
    return np.tile(np.array(_DISPERSION, dtype=np.float64), (2, 2, 1))


def spreads() -> F64:
    """(2, counts) relative variance between actors of their means."""
    return np.array([_PERSON_SPREAD, _SERVICE_SPREAD], dtype=np.float64)


# Slope and offset of each channel's cautious line.
_LINES = (
    (0.8, 0.5), (0.8, 0.8), (0.9, 0.2), (0.5, 0.5), (0.7, 0.8), (0.6, 0.5),
    (0.8, 0.5), (0.6, 0.8), (0.6, 0.8), (0.7, 0.5),
    (0.7, 0.7), (0.6, 0.8), (0.5, 0.8), (0.6, 0.8), (0.8, 0.5), (0.7, 0.5),
    (1.0, 0.0),
)  # fmt: skip


def knots() -> tuple[F64, F64]:
    """(1, channels + 1, k) raw scores and surprises: cautious lines, then the sum."""
    grid = np.linspace(0.0, 12.0, N_KNOTS, dtype=np.float64)
    lines = [np.maximum(slope * grid - offset, 0.0) for slope, offset in _LINES]
    lines.append(combined_surprise(grid, _INDEPENDENT))
    return np.tile(grid, (1, len(lines), 1)), np.stack(lines)[np.newaxis]


def combined_surprise(total: F64, n_scores: int) -> F64:
    """Return -log10 P(root of the squares of ``n_scores`` independent surprises >= total).

    What each has above ``_NOTABLE`` counts: with chance 10**-_NOTABLE there is something, and
    times ln 10 it is exponential. One after the other is added by the midpoint rule.

    Args:
        total: (k,) ascending.
        n_scores: how many surprises.

    >>> combined_surprise(np.array([0.0, 2.0]), 1).round(6).tolist()
    [0.0, 2.5]
    """
    above = 10.0**-_NOTABLE
    surprise = total + _NOTABLE
    steps = (np.arange(_N_STEPS, dtype=np.float64) + 0.5) / _N_STEPS
    one = total[:, np.newaxis] * steps
    density = 10.0**-one * np.log(10.0) * total[:, np.newaxis] / _N_STEPS
    for _ in range(1, n_scores):
        rest = np.interp(np.sqrt(total[:, np.newaxis] ** 2 - one**2), total, surprise)
        both = 10.0**-total + (density * 10.0**-rest).sum(axis=1)
        surprise = -np.log10((1.0 - above) * 10.0**-surprise + above * both)
    return np.where(total > 0.0, surprise, 0.0)
