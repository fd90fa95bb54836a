"""Alive and ready, as two different questions.

Ready: every named check is good; a load balancer or an operator waits. Alive: the host's
loop still turns; if it does not, only a restart helps. A store that is down makes a host
unready and not dead.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from threading import Lock

_STALLED_AFTER_S = 120.0  # longest honest pause: a restore of a million actors, a slow commit
_STARTING = "starting"


def _nobody(_check: str, _is_good: bool) -> None:
    """Tell nobody."""


class Health:
    """Named checks, set by the host as it learns of them; readable from any thread.

    Args:
        checks: names that must all be good; each is ``starting`` until it is set.
        on_change: called with (check, is it good) at the start and whenever a check is set.
        stalled_after_s: a loop that has begun and not turned for so long is dead.
        clock: monotonic seconds.

    >>> health = Health(["store"])
    >>> health.problems()
    {'store': 'starting'}
    >>> health.good("store")
    >>> health.is_ready
    True
    """

    def __init__(
        self,
        checks: Iterable[str],
        on_change: Callable[[str, bool], None] = _nobody,
        stalled_after_s: float = _STALLED_AFTER_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lock = Lock()
        self._problems: dict[str, str | None] = dict.fromkeys(checks, _STARTING)
        self._stalled_after_s, self._clock = stalled_after_s, clock
        self._last_beat: float | None = None
        self._on_change = on_change
        for check in self._problems:
            on_change(check, False)

    def good(self, check: str) -> None:
        """Say that a check is good now."""
        self._set(check, None)

    def bad(self, check: str, why: str) -> None:
        """Say what is wrong, in words an operator can act on; no secrets."""
        self._set(check, why)

    def _set(self, check: str, problem: str | None) -> None:
        with self._lock:
            if check not in self._problems:
                raise KeyError(check)
            self._problems[check] = problem
        self._on_change(check, problem is None)

    def beat(self) -> None:
        """Say that the loop has turned once more, also when there was nothing to do."""
        self._last_beat = self._clock()

    def problems(self) -> dict[str, str]:
        """Return what is wrong, by check; empty when ready."""
        with self._lock:
            return {name: why for name, why in self._problems.items() if why is not None}

    @property
    def is_ready(self) -> bool:
        """Every check is good."""
        return not self.problems()

    @property
    def is_alive(self) -> bool:
        """The loop turns, or has not begun."""
        last = self._last_beat
        return last is None or self._clock() - last < self._stalled_after_s
