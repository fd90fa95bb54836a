"""What every store promises, whatever database is behind it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from detector.alerts import Alert


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything needed to go on: ``facts`` are JSON values, ``pages`` the state's bytes.

    ``number`` grows by one with every checkpoint of a run.
    """

    number: int
    facts: dict[str, Any]


class Store(Protocol):
    """Alerts and checkpoints. One writer at a time."""

    def last_checkpoint(self) -> Checkpoint | None:
        """Return the newest checkpoint, None if there is none."""
        ...

    def state_content(self, layout: dict[str, Any]) -> bytes:
        """Return the saved state's bytes, array after array as in ``layout``."""
        ...

    def commit(
        self,
        checkpoint: Checkpoint,
        alerts: Iterable[Alert],
        pages: Iterable[tuple[str, int, bytes]],
    ) -> None:
        """Save alerts, changed pages and position in one transaction.

        Raises:
            StoreError: the store holds this or a newer checkpoint.
        """
        ...

    def alert_lines(self) -> Iterable[bytes]:
        """Yield the saved alerts as lines of the alerts file, in order of emission."""
        ...

    def close(self) -> None:
        """Let go of the store."""
        ...
