"""Alerts of one artifact as they arrive in the store, whichever worker raised them."""

from __future__ import annotations

from datetime import datetime

import orjson

from detector.registry.guard import FLOOD, FloodGuard
from detector.store import Store

_LINES_AT_ONCE = 1_000
_SECOND_NS = 1_000_000_000


class FloodWatch:
    """Follows the store's alerts from now on.

    Each worker sees the alerts of all, so that a flood spread over many partitions is one.

    Args:
        store: where alerts arrive.
        budget_per_day: alerts a day that the policy allows.
    """

    def __init__(self, store: Store, budget_per_day: float) -> None:
        self._store, self._budget = store, budget_per_day
        self._after = store.last_arrival()
        self._artifact, self._guard = "", FloodGuard(budget_per_day)

    @property
    def sentence(self) -> str:
        """What an operator is told of a flood."""
        most = f"{FLOOD * self._budget:g} alerts"
        return f"more than {most} within an hour of event time, ten times the day's budget"

    def is_flooded(self, artifact: str) -> bool:
        """Read what has arrived; tell whether an artifact floods, once.

        Args:
            artifact: digest of the one that decides; with another one counting begins anew.

        Raises:
            StoreError: the store cannot be read.
        """
        if artifact != self._artifact:
            self._artifact, self._guard = artifact, FloodGuard(self._budget)
        is_flooded = False
        while found := self._store.arrivals(self._after, _LINES_AT_ONCE):
            for arrival in found:
                is_flooded |= self._note(arrival.line)
            self._after = found[-1].number
        if is_flooded:
            self._guard = FloodGuard(self._budget)
        return is_flooded

    def _note(self, line: bytes) -> bool:
        alert = orjson.loads(line)
        if alert["artifact_digest"] != self._artifact or alert["version"] != 1:
            return False
        time = datetime.fromisoformat(alert["time"])
        return self._guard.note(int(time.timestamp()) * _SECOND_NS)
