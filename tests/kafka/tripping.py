"""Where a worker dies: calls that are passed, until one of them is the last."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from detector.alerts import Alert
from detector.store import Activation, Checkpoint, Claim, Store


class Killed(BaseException):
    """kill -9: nothing catches it."""


class TrippingStore:
    """A real store, between calls of which a worker may die; in a transaction too."""

    def __init__(self, store: Store, trip: Callable[[str], None]) -> None:
        self._store, self._trip = store, trip

    def __getattr__(self, name: str) -> Any:
        """Everything else as it is."""
        return getattr(self._store, name)

    def claim(self, stream: str, owner: str) -> Claim:
        """Claim, then perhaps die."""
        claim = self._store.claim(stream, owner)
        self._trip("claimed")
        return claim

    def write_alerts(self, claim: Claim, alerts: Iterable[Alert]) -> None:
        """Write, and die before or after."""
        self._trip("write alerts")
        self._store.write_alerts(claim, alerts)
        self._trip("alerts written")

    def activate(self, claim: Claim, activation: Activation) -> None:
        """Note, then perhaps die."""
        self._store.activate(claim, activation)
        self._trip("activated")

    def commit(
        self,
        claim: Claim,
        checkpoint: Checkpoint,
        alerts: Iterable[Alert],
        pages: Iterable[tuple[str, int, bytes]],
    ) -> None:
        """Commit, and die before, in the middle or after."""
        self._trip("commit")
        self._store.commit(claim, checkpoint, alerts, self._pages(pages))
        self._trip("committed")

    def _pages(self, pages: Iterable[tuple[str, int, bytes]]) -> Iterator[tuple[str, int, bytes]]:
        for number, page in enumerate(pages):
            if number == 1:
                self._trip("in a commit")
            yield page


class Fuse:
    """Kills its worker at a chosen call."""

    def __init__(self) -> None:
        self.n_calls_left = -1
        self.tripped_at = ""

    def __call__(self, name: str) -> None:
        """Count a call."""
        if self.n_calls_left < 0:
            return
        if self.n_calls_left == 0:
            self.n_calls_left = -1
            self.tripped_at = name
            raise Killed
        self.n_calls_left -= 1
