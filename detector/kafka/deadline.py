"""A time limit for calls of the client that have none."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from kafka.errors import KafkaTimeoutError

_T = TypeVar("_T")


def within(seconds: float, call: Callable[[], _T]) -> _T:
    """Return what a call returns, if it does so in time.

    A call that is late goes on in a thread of its own and its result is dropped: the caller
    must have shut out what it may still do (a transaction's old epoch is fenced).

    Raises:
        KafkaTimeoutError: it is late.

    >>> within(1.0, lambda: 7)
    7
    """
    results: list[_T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:  # noqa: BLE001  raised in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=run, name="within", daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise KafkaTimeoutError(f"no answer within {seconds:g} s")
    return results[0]
