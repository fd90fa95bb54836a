"""Actor-days as a table: one run of the engine, one line for each person and local day."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.columns import EventBatch
from detector.fitting.history import run_history
from detector.plan import Plan
from detector.state.layout import CALIBRATED, DAY, F64, I64, N_DETECTORS, SCORE


@dataclass(frozen=True, slots=True)
class Ledger:
    """m actor-days, by user and then day.

    ``user`` (m,) user keys; ``day`` (m,) local days since 1970-01-01; ``n_before`` (m,) days
    closed before; ``columns`` (m, N_DAY) the day's counts as ``state/layout.py`` names them;
    ``score`` (m,) and ``surprise`` (m, detectors) in powers of ten, higher is more unusual,
    0 is ordinary.
    """

    user: I64
    day: I64
    n_before: I64
    columns: I64
    score: F64
    surprise: F64

    def take(self, rows: NDArray[np.generic]) -> Ledger:
        """Keep some lines: positions or a mask."""
        return Ledger(*(getattr(self, name)[rows] for name in self.__slots__))

    def rows(self, user: int, first_day: int, last_day: int) -> slice:
        """Return the lines of one user from one day to another, both inclusive."""
        mine = slice(
            int(np.searchsorted(self.user, user, side="left")),
            int(np.searchsorted(self.user, user, side="right")),
        )
        days = self.day[mine]
        low = int(np.searchsorted(days, first_day, side="left"))
        high = int(np.searchsorted(days, last_day, side="right"))
        return slice(mine.start + low, mine.start + high)

    def between(self, first_day: int, last_day: int) -> Ledger:
        """Keep the lines of a period, both days inclusive."""
        return self.take((self.day >= first_day) & (self.day <= last_day))


def ledger(batches: Iterable[EventBatch], plan: Plan) -> Ledger:
    """Run events through the engine and keep every actor-day.

    Args:
        batches: events in arrival order.
        plan: with ``keep_ledger``.
    """
    history = run_history(batches, plan)
    day = history.day[:, DAY]
    order = np.lexsort((day, history.user))
    whole = Ledger(
        user=history.user,
        day=day,
        n_before=history.n_before,
        columns=history.day,
        score=history.surprise[:, SCORE],
        surprise=history.surprise[:, CALIBRATED : CALIBRATED + N_DETECTORS],
    )
    return whole.take(order)
