"""What a sink promises, and what the program says it is in what leaves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from detector import __version__
from detector.errors import DetectorError

VENDOR: Final = "audit-anomaly-detector"
PRODUCT: Final = "detector"
VERSION: Final = __version__

AlertFields = dict[str, Any]
"""Fields of one line of the alerts file."""

Format = Callable[[AlertFields], bytes]
"""Alert → one message without a line end; pure."""


class UnformattableError(DetectorError):
    """An alert that a format cannot say: it is refused for good, the others go on."""


def checked(format_: Format) -> Format:
    """Return a format that says which alert it cannot say."""

    def apply(alert: AlertFields) -> bytes:
        try:
            return format_(alert)
        except (KeyError, TypeError, ValueError) as error:
            raise UnformattableError(f"cannot be formatted ({type(error).__name__})") from error

    return apply


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a batch.

    Args:
        n_done: alerts from the front of the batch that need no further try: taken by the
            receiver, or refused for good.
        refused: why, for each of those that were refused for good.
        failure: why the rest has to be tried again; None: there is no rest.
        retry_after_s: least time to wait, if the receiver named one.
    """

    n_done: int
    refused: tuple[str, ...] = ()
    failure: str | None = None
    retry_after_s: float = 0.0


class Sink(Protocol):
    """Somewhere alerts go. Used by one thread; a call may take seconds, never for ever."""

    @property
    def name(self) -> str:
        """Name in the settings, metrics and logs."""
        ...

    def deliver(self, alerts: Sequence[AlertFields]) -> Report:
        """Bring alert versions to the receiver, in order.

        What goes wrong is in the report and names no address, secret or content.
        """
        ...

    def probe(self) -> str | None:
        """Return what keeps the receiver from being reached, None if nothing; sends nothing."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


def key_of(alert: AlertFields) -> str:
    """Return what tells one message from every other, in every delivery the same.

    An alert version has its id and number; what is no alert brings a ``delivery_key``.

    >>> key_of({"alert_id": "ec1e", "version": 2})
    'ec1e-2'
    """
    if "delivery_key" in alert:
        return str(alert["delivery_key"])
    return f"{alert['alert_id']}-{alert['version']}"
