"""What the store asks of a database: transactions, statements, a few words of its dialect.

Statements name their values ``:like_this`` in every dialect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
Values = Mapping[str, Any]


class Transaction(Protocol):
    """An open transaction."""

    def rows(self, statement: str, values: Values | None = None) -> list[tuple[Any, ...]]:
        """Run a statement, return its rows; none if it has none to give."""
        ...

    def each(self, statement: str, values: Iterable[Values]) -> None:
        """Run a statement once for each set of values."""
        ...


class Database(Protocol):
    """A connection that comes back; threads wait for each other."""

    where: str
    """The database's address, without secrets."""

    may_repeat: bool
    """Whether a transaction may be tried several times."""

    n_retries: int

    now_ms: str
    """SQL for the present time in milliseconds, UTC."""

    for_update: str
    """SQL that keeps others from a selected row until the transaction ends."""

    def read(self, work: Callable[[Transaction], T]) -> T:
        """Run ``work`` on one snapshot of the data.

        Raises:
            StoreError: the database cannot be read.
        """
        ...

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Run ``work`` in a transaction: all of it happens or nothing.

        Raises:
            StoreError: the database cannot be written.
        """
        ...

    def lock_arrivals(self, transaction: Transaction) -> None:
        """Let no other transaction number alerts before this one has ended."""
        ...

    def close(self) -> None:
        """Let go of the database."""
        ...
