"""How often an address may fail or call: counted in memory, bounded, per process."""

from __future__ import annotations

from collections import OrderedDict, deque
from threading import Lock

_MAX_KEYS = 10_000


class Attempts:
    """Bars a key once it has been noted ``limit`` times within a window.

    Args:
        limit: times allowed.
        window_ms: milliseconds in which they count.

    >>> attempts = Attempts(2, 1_000)
    >>> attempts.note("a", 0), attempts.note("a", 10), attempts.is_barred("a", 20)
    (None, None, True)
    >>> attempts.is_barred("a", 2_000)
    False
    """

    def __init__(self, limit: int, window_ms: int) -> None:
        self._limit = limit
        self._window_ms = window_ms
        self._times: OrderedDict[str, deque[int]] = OrderedDict()
        self._lock = Lock()

    def is_barred(self, key: str, now_ms: int) -> bool:
        """Tell whether a key has reached the limit."""
        return self.wait_ms(key, now_ms) > 0

    def wait_ms(self, key: str, now_ms: int) -> int:
        """Return how long a key has to wait, 0 if it need not."""
        with self._lock:
            times = self._times.get(key, deque())
            while times and times[0] <= now_ms - self._window_ms:
                times.popleft()
            return times[0] + self._window_ms - now_ms if len(times) >= self._limit else 0

    def note(self, key: str, now_ms: int) -> None:
        """Count one more; the key noted longest ago is forgotten when there are too many."""
        with self._lock:
            times = self._times.setdefault(key, deque(maxlen=self._limit))
            times.append(now_ms)
            self._times.move_to_end(key)
            if len(self._times) > _MAX_KEYS:
                self._times.popitem(last=False)
