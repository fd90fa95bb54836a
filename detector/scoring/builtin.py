"""Priors for a bank without history: broad, so that the first weeks raise little but sure.

The numbers are round on purpose. They come from no data set; `detector fit` replaces all.
"""

from __future__ import annotations

import numpy as np

from detector.state.layout import F64, N_BINS

SERVICE_ROLE = "(service)"
N_KNOTS = 64

# records, customers, volume × 10 min, 1 h, day, for people on a working day
_PERSON_MEAN = (14.0, 32.0, 90.0, 5.0, 13.0, 45.0, 8.0, 14.0, 30.0)
_SERVICE_MEAN = (300.0, 1000.0, 4000.0, 100.0, 400.0, 2000.0, 100.0, 300.0, 1000.0)
_DISPERSION = (0.6, 0.6, 0.6, 0.4, 0.4, 0.4, 2.5, 2.5, 2.5)
_PERSON_SPREAD = (0.7, 0.7, 0.7, 0.5, 0.5, 0.5, 2.0, 2.0, 2.0)
_SERVICE_SPREAD = (4.0,) * 9
_REST_FACTOR = 0.6


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
    """(2, 2, 9) expected daily peaks: people, then services; working day, then rest day."""
    work = np.array([_PERSON_MEAN, _SERVICE_MEAN], dtype=np.float64)
    return np.stack([work, work * _REST_FACTOR], axis=1)


def dispersions() -> F64:
    """(2, 9) dispersion within an actor."""
    return np.array([_DISPERSION, _DISPERSION], dtype=np.float64)


def spreads() -> F64:
    """(2, 9) relative variance between actors of their means."""
    return np.array([_PERSON_SPREAD, _SERVICE_SPREAD], dtype=np.float64)


def knots() -> tuple[F64, F64]:
    """(1, 4, k) raw scores and surprises: cautious lines, then Fisher's sum of three."""
    grid = np.linspace(0.0, 12.0, N_KNOTS, dtype=np.float64)
    lines = np.stack(
        [
            np.maximum(0.8 * grid - 0.5, 0.0),
            np.maximum(0.8 * grid - 0.8, 0.0),
            np.maximum(0.9 * grid - 0.2, 0.0),
            fisher_surprise(grid, 3),
        ]
    )
    return np.tile(grid, (1, 4, 1)), lines[np.newaxis]


def fisher_surprise(total: F64, n_scores: int) -> F64:
    """Return -log10 P(sum of ``n_scores`` independent surprises >= total).

    Source:
        Fisher's method: the sum of -ln p is Gamma(n, 1); its tail is an Erlang sum.

    >>> float(fisher_surprise(np.array([2.0]), 1)[0])
    2.0
    """
    x = total * np.log(10.0)
    term, terms = np.ones_like(x), np.ones_like(x)
    for i in range(1, n_scores):
        term = term * x / i
        terms = terms + term
    return np.asarray((x - np.log(terms)) / np.log(10.0), dtype=np.float64)
