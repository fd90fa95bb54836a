"""Parts of a truth by time: to choose on some days and to judge on others."""

from __future__ import annotations

from datetime import timedelta

from detector.evaluation import Truth


def between(truth: Truth, start: float, stop: float) -> Truth:
    """Keep the days between two shares of the period, and the incidents that begin in them.

    Args:
        truth: labelled incidents.
        start: share of the days at which to begin, 0 to 1.
        stop: share of the days at which to end.
    """
    first_index, end_index = round(start * truth.n_days), round(stop * truth.n_days)
    first = truth.first_day + timedelta(days=first_index)
    n_days = end_index - first_index
    kept = tuple(i for i in truth.incidents if 0 <= (i.first_day - first).days < n_days)
    return Truth(first, n_days, kept)
