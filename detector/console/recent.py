"""Answers kept for a few seconds: many people ask for the same figures, one question is enough."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

_MAX_KEYS = 64

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Keeps answers by key; who asks while one is being made waits for it.

    Args:
        keep_ms: how old an answer may be.

    >>> recent = Recent[str, int](5_000)
    >>> recent.of("a", 0, lambda: 1), recent.of("a", 4_999, lambda: 2)
    (1, 1)
    >>> recent.of("a", 5_000, lambda: 3)
    3
    """

    def __init__(self, keep_ms: int) -> None:
        self._keep_ms = keep_ms
        self._held: OrderedDict[K, tuple[int, V]] = OrderedDict()
        self._lock = Lock()

    def of(self, key: K, now_ms: int, make: Callable[[], V]) -> V:
        """Return the answer to a key, made anew if it is too old.

        ``make`` must not wait for anybody who waits here: it opens its own connection.
        """
        with self._lock:
            held = self._held.get(key)
            if held is not None and 0 <= now_ms - held[0] < self._keep_ms:
                return held[1]
            answer = make()
            self._held[key] = (now_ms, answer)
            self._held.move_to_end(key)
            if len(self._held) > _MAX_KEYS:
                self._held.popitem(last=False)
            return answer
