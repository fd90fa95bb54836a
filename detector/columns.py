"""Decoded events as columns: what decode hands to the engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Coded:
    """A dictionary-coded text column.

    ``codes`` is (n,) int32; -1 means missing. ``values[code]`` is the text: a tuple, or
    ``Texts`` where hardly any of many texts is ever looked at. Codes have meaning within one
    batch only.
    """

    codes: NDArray[np.int32]
    values: Sequence[str]

    def at(self, row: int) -> str | None:
        """Return the text of one row, None where it is missing."""
        code = int(self.codes[row])
        return None if code < 0 else self.values[code]


class Texts(Sequence[str]):
    """n texts that are cut out of ASCII bytes only when asked for.

    Args:
        content: the bytes.
        start: (n,) first byte of each text.
        stop: (n,) end of each text.

    >>> texts = Texts(b"u1u22", np.array([0, 2]), np.array([2, 5]))
    >>> texts[1], list(texts), texts == ["u1", "u22"]
    ('u22', ['u1', 'u22'], True)
    """

    __slots__ = ("content", "start", "stop")

    def __init__(self, content: bytes, start: NDArray[np.int64], stop: NDArray[np.int64]) -> None:
        self.content, self.start, self.stop = content, start, stop

    def __len__(self) -> int:
        """Number of texts."""
        return self.start.size

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> Texts: ...
    def __getitem__(self, row: int | slice) -> str | Texts:
        """Return one text, or some."""
        if isinstance(row, slice):
            return Texts(self.content, self.start[row], self.stop[row])
        return self.content[self.start[row] : self.stop[row]].decode("ascii")

    def __iter__(self) -> Iterator[str]:
        """Yield the texts."""
        content = self.content
        for start, stop in zip(self.start.tolist(), self.stop.tolist(), strict=True):
            yield content[start:stop].decode("ascii")

    def __eq__(self, other: object) -> bool:
        """Compare with any sequence of texts."""
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def take(self, rows: NDArray[np.int64]) -> Texts:
        """Keep some rows."""
        return Texts(self.content, self.start[rows], self.stop[rows])


class Lines(Sequence[bytes]):
    """n lines that are cut out of one run of bytes only when asked for.

    Args:
        content: the bytes.
        start: (n,) first byte of each line.
        stop: (n,) end of each line.

    >>> lines = Lines(b"{} {}", np.array([0, 3]), np.array([2, 5]))
    >>> lines[1], len(lines.take(np.array([1])))
    (b'{}', 1)
    """

    __slots__ = ("content", "start", "stop", "text")

    def __init__(self, content: bytes, start: NDArray[np.int64], stop: NDArray[np.int64]) -> None:
        self.content, self.start, self.stop = content, start, stop
        self.text: NDArray[np.uint8] = np.frombuffer(content, dtype=np.uint8)

    @classmethod
    def of(cls, lines: Sequence[bytes]) -> Lines:
        """Put lines end to end."""
        stop = np.cumsum(np.fromiter(map(len, lines), dtype=np.int64, count=len(lines)))
        return cls(b"".join(lines), np.append(np.int64(0), stop[:-1])[: len(lines)], stop)

    def __len__(self) -> int:
        """Number of lines."""
        return self.start.size

    @overload
    def __getitem__(self, row: int) -> bytes: ...
    @overload
    def __getitem__(self, row: slice) -> Lines: ...
    def __getitem__(self, row: int | slice) -> bytes | Lines:
        """Return one line, or some."""
        if isinstance(row, slice):
            return Lines(self.content, self.start[row], self.stop[row])
        return self.content[self.start[row] : self.stop[row]]

    def take(self, rows: NDArray[np.int64]) -> Lines:
        """Keep some rows."""
        return Lines(self.content, self.start[rows], self.stop[rows])


@dataclass(frozen=True, slots=True)
class EventBatch:
    """n accepted events in arrival order; every column has length n.

    Hashes are 63-bit int64 (``detector.hashing.hash_strings``); 0 means the field is missing.
    ``event_hash`` covers system and event id together: it is the duplicate key.
    ``valid_until_ns`` is ``timestamps.NOT_A_TIME`` where an event names none.
    ``customer_number`` is the number a customer id ends with, -1 where it ends with none.
    ``raw`` keeps the source bytes so that a row rejected later can still be shown whole;
    ``line_numbers`` (1-based, in ``source``) say where it stood.
    """

    event_time_ns: NDArray[np.int64]
    event_hash: NDArray[np.int64]
    user_hash: NDArray[np.int64]
    customer_hash: NDArray[np.int64]
    customer_number: NDArray[np.int64]
    record_count: NDArray[np.int64]
    valid_until_ns: NDArray[np.int64]
    user_role: Coded
    user_branch: Coded
    record_branch: Coded
    account_type: Coded
    system: Coded
    action: Coded
    data_class: Coded
    outcome: Coded
    device_id: Coded
    source_ip: Coded
    session_id: Coded
    channel: Coded
    ticket_id: Coded
    purpose: Coded
    verdict: Coded
    event_ids: Sequence[str]
    user_ids: Sequence[str]
    customer_ids: Sequence[str]
    raw: Sequence[bytes]
    source: str
    line_numbers: NDArray[np.int64]

    def __len__(self) -> int:
        """Number of events."""
        return len(self.event_ids)

    def take(self, rows: NDArray[np.int64]) -> EventBatch:
        """Keep some rows, in this order."""
        kept: dict[str, Any] = {}
        for name in self.__slots__:
            column = getattr(self, name)
            if isinstance(column, Coded):
                kept[name] = Coded(column.codes[rows], column.values)
            elif isinstance(column, np.ndarray):
                kept[name] = column[rows]
            elif isinstance(column, Texts | Lines):
                kept[name] = column.take(rows)
            elif isinstance(column, list):
                kept[name] = [column[row] for row in rows.tolist()]
            else:
                kept[name] = column
        return EventBatch(**kept)


@dataclass(frozen=True, slots=True)
class Reject:
    """One row that could not be used: a reason code, the place, and its bytes."""

    reason: str
    where: str
    field: str
    raw: bytes
