"""Checked values of all fields, by kind, and the EventBatch they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from detector.columns import Coded, EventBatch, Texts
from detector.compiled import wrapping
from detector.decode_values import hash_after, hash_spans
from detector.events import CHOICE, FIELDS, NOTE
from detector.events import TEXT as TEXT_FIELD
from detector.hashing import hash_strings, number_spans, running_hash, trailing_numbers
from detector.state.layout import I64, U8

_BETWEEN = "\x1f"
CODED = tuple(name for name, kind in FIELDS.items() if kind in (TEXT_FIELD, CHOICE, NOTE))


class Ids(Protocol):
    """n texts that are mostly different from each other."""

    def texts(self) -> Sequence[str]:
        """Return the texts, empty where missing."""
        ...

    def hashes(self) -> I64:
        """Return (n,) keys, 0 where missing."""
        ...

    def hashes_after(self, first: Coded) -> I64:
        """Return (n,) keys of another column's text and this one's together."""
        ...

    def numbers(self) -> I64:
        """Return (n,) the number each text ends with, -1 for none."""
        ...

    def take(self, rows: NDArray[np.int64]) -> Ids:
        """Keep some rows."""
        ...


@dataclass(frozen=True, slots=True)
class IdTexts:
    """Ids as texts, empty where missing."""

    values: list[str]

    def texts(self) -> list[str]:
        """Return the texts."""
        return self.values

    def hashes(self) -> I64:
        """Return (n,) keys."""
        return hash_strings(self.values)

    def hashes_after(self, first: Coded) -> I64:
        """Return (n,) keys of both texts."""
        names = [*first.values, ""]
        pairs = zip(first.codes.tolist(), self.values, strict=True)
        return hash_strings([f"{names[code]}{_BETWEEN}{text}" for code, text in pairs])

    def numbers(self) -> I64:
        """Return (n,) trailing numbers."""
        return trailing_numbers(self.values)

    def take(self, rows: NDArray[np.int64]) -> IdTexts:
        """Keep some rows."""
        return IdTexts([self.values[row] for row in rows.tolist()])


@dataclass(frozen=True, slots=True)
class IdSpans:
    """Ids as ASCII bytes of the source, not yet texts; an empty span is missing."""

    content: bytes
    source: U8  # the same bytes
    start: I64
    stop: I64

    def texts(self) -> Texts:
        """Return the texts."""
        return Texts(self.content, self.start, self.stop)

    def hashes(self) -> I64:
        """Return (n,) keys."""
        out = np.empty(self.start.size, dtype=np.int64)
        with wrapping():
            hash_spans(self.source, self.start, self.stop, out)
        return out

    def hashes_after(self, first: Coded) -> I64:
        """Return (n,) keys of both texts."""
        prefixes = [running_hash(name + _BETWEEN) for name in (*first.values, "")]
        out = np.empty(self.start.size, dtype=np.int64)
        before = np.array(prefixes, dtype=np.uint64)
        with wrapping():
            hash_after(self.source, self.start, self.stop, before, first.codes, out)
        return out

    def numbers(self) -> I64:
        """Return (n,) trailing numbers."""
        out = np.empty(self.start.size, dtype=np.int64)
        number_spans(self.source, self.start, self.stop, out)
        return out

    def take(self, rows: NDArray[np.int64]) -> IdSpans:
        """Keep some rows."""
        return IdSpans(self.content, self.source, self.start[rows], self.stop[rows])


@dataclass(frozen=True, slots=True)
class Table:
    """All fields of n rows, by kind of field."""

    ids: dict[str, Ids]
    coded: dict[str, Coded]
    numbers: dict[str, I64]

    def take(self, rows: NDArray[np.int64]) -> Table:
        """Keep some rows."""
        return Table(
            {name: ids.take(rows) for name, ids in self.ids.items()},
            {name: Coded(c.codes[rows], c.values) for name, c in self.coded.items()},
            {name: numbers[rows] for name, numbers in self.numbers.items()},
        )

    def batch(self, raw: Sequence[bytes], source: str, line_numbers: I64) -> EventBatch:
        """Put the columns together; dictionary-coded fields keep their names."""
        event_id, user_id, customer_id = (
            self.ids[name] for name in ("event_id", "user_id", "customer_id")
        )
        return EventBatch(
            event_time_ns=self.numbers["event_time"],
            event_hash=event_id.hashes_after(self.coded["system"]),
            user_hash=user_id.hashes(),
            customer_hash=customer_id.hashes(),
            customer_number=customer_id.numbers(),
            record_count=self.numbers["record_count"],
            valid_until_ns=self.numbers["valid_until"],
            event_ids=event_id.texts(),
            user_ids=user_id.texts(),
            customer_ids=customer_id.texts(),
            raw=raw,
            source=source,
            line_numbers=line_numbers,
            **{name: self.coded[name] for name in CODED},
        )


def coded(values: Sequence[str | None]) -> Coded:
    """Code texts in order of first appearance; None is missing.

    >>> coded(["b", None, "a", "b"])
    Coded(codes=array([ 0, -1,  1,  0], dtype=int32), values=('b', 'a'))
    """
    seen = dict.fromkeys(values)
    seen.pop(None, None)
    codes: dict[str | None, int] = {value: code for code, value in enumerate(seen)}
    codes[None] = -1
    column = np.fromiter(map(codes.__getitem__, values), np.int32, len(values))
    return Coded(column, tuple(value for value in seen if value is not None))


def in_line_order(left: EventBatch, right: EventBatch) -> EventBatch:
    """Merge two batches of one source that hold different lines of it."""
    numbers = np.concatenate([left.line_numbers, right.line_numbers])
    order = np.argsort(numbers, kind="stable")
    merged: dict[str, Any] = {}
    for name in EventBatch.__slots__:
        one, two = getattr(left, name), getattr(right, name)
        if isinstance(one, Coded):
            merged[name] = _joined(one, two, order)
        elif isinstance(one, np.ndarray):
            merged[name] = np.concatenate([one, two])[order]
        elif isinstance(one, Sequence) and not isinstance(one, str):
            both = [*one, *two]
            merged[name] = [both[row] for row in order.tolist()]
        else:
            merged[name] = one
    return EventBatch(**merged)


def _joined(left: Coded, right: Coded, order: NDArray[np.int64]) -> Coded:
    """Bring two codings to one."""
    codes = {value: code for code, value in enumerate(left.values)}
    moved = [codes.setdefault(value, len(codes)) for value in right.values]
    table = np.array([*moved, -1], dtype=np.int32)
    return Coded(np.concatenate([left.codes, table[right.codes]])[order], tuple(codes))
