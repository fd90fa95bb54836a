"""Surgery on decoded batches: join, cut, leave rows out, put rows in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.columns import Coded, EventBatch
from detector.hashing import hash_strings

CHUNK_ROWS = 8_192  # a batch the engine likes; where it is cut has no meaning


def joined(batches: Iterable[EventBatch]) -> EventBatch:
    """Put batches end to end; source bytes are dropped, for nothing here rejects a row.

    Args:
        batches: at least one.
    """
    parts = list(batches)
    columns = {name: [getattr(part, name) for part in parts] for name in EventBatch.__slots__}
    whole: dict[str, Any] = {name: _end_to_end(column) for name, column in columns.items()}
    n = len(whole["event_ids"])
    return EventBatch(**{**whole, "raw": [b""] * n, "source": parts[0].source})


def _end_to_end(column: list[Any]) -> Any:
    if isinstance(column[0], Coded):
        return _joined_codes(column)
    if isinstance(column[0], np.ndarray):
        return np.concatenate(column)
    if isinstance(column[0], str):
        return column[0]
    return [value for part in column for value in part]


def _joined_codes(parts: list[Coded]) -> Coded:
    """Give equal texts equal codes across batches."""
    code_of: dict[str, int] = {}
    codes = []
    for part in parts:
        own = [code_of.setdefault(text, len(code_of)) for text in part.values]
        codes.append(np.array([*own, -1], dtype=np.int32)[part.codes])
    return Coded(np.concatenate(codes), tuple(code_of))


def cut(batch: EventBatch, n_rows: int = CHUNK_ROWS) -> list[EventBatch]:
    """Cut a batch into pieces the engine likes."""
    return list(_pieces(batch, n_rows))


def _pieces(batch: EventBatch, n_rows: int) -> Iterator[EventBatch]:
    for first in range(0, len(batch), n_rows):
        span = slice(first, first + n_rows)
        kept = {name: _sliced(getattr(batch, name), span) for name in EventBatch.__slots__}
        yield EventBatch(**kept)


def _sliced(column: Any, span: slice) -> Any:
    if isinstance(column, Coded):
        return Coded(column.codes[span], column.values)
    return column if isinstance(column, str) else column[span]


def edited(base: EventBatch, without: NDArray[np.int64], extra: EventBatch) -> EventBatch:
    """Leave rows of ``base`` out and put ``extra`` in, at their times.

    Rows of ``base`` keep their order, late ones too; an extra row stands behind all that
    had happened before it.

    Args:
        base: events in arrival order.
        without: (k,) rows of ``base``, in any order.
        extra: rows taken from ``base`` (``EventBatch.take``) and changed.
    """
    kept = np.delete(np.arange(len(base), dtype=np.int64), without)
    arrival_ns = np.maximum.accumulate(base.event_time_ns)[kept]
    key = np.concatenate([arrival_ns, extra.event_time_ns])
    return joined([base.take(kept), extra]).take(np.argsort(key, kind="stable"))


def changed(
    rows: EventBatch, time_ns: NDArray[np.int64], name: str, case_texts: Sequence[str] | None = None
) -> EventBatch:
    """Return copies of rows at other times, as new events, optionally on other cases.

    Args:
        rows: n events.
        time_ns: (n,) UTC times of the copies.
        name: makes the ids of the copies unlike those of other injections.
        case_texts: n customer ids; None keeps those of the rows.
    """
    ids = [f"{name}-{number}" for number in range(len(rows))]
    fresh = replace(rows, event_time_ns=time_ns, event_ids=ids, event_hash=hash_strings(ids))
    if case_texts is None:
        return fresh
    numbers = np.array([int(text) for text in case_texts], dtype=np.int64)
    return replace(fresh, customer_hash=hash_strings(case_texts), customer_number=numbers)
