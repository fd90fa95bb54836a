"""Bytes → EventBatch and Rejects. The only parser; every line becomes one or the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson

from detector.columns import EventBatch, Lines, Reject
from detector.decode_columns import IdTexts, Table, coded, in_line_order
from detector.decode_fields import column_of
from detector.decode_json import load_line
from detector.decode_plain import decode_plain, is_plain_mapping
from detector.events import COUNT, FIELDS, ID, TIME
from detector.mapping import Mapping
from detector.state.layout import I64


@dataclass(frozen=True, slots=True)
class Bounds:
    """What an event may look like at most; times are UTC nanoseconds."""

    not_before_ns: int
    not_after_ns: int
    max_line_bytes: int = 1_000_000


@dataclass(slots=True)
class Rows:
    """Lines that are JSON objects, on their way to columns."""

    documents: list[dict[str, Any]]
    raw: list[bytes]
    numbers: list[int]
    bad: dict[int, tuple[str, str]] = field(default_factory=dict)

    def refuse(self, row: int, reason: str, name: str) -> None:
        """Note the first reason to reject a row."""
        self.bad.setdefault(row, (reason, name))


def decode(
    lines: Sequence[bytes],
    mapping: Mapping,
    bounds: Bounds,
    *,
    source: str,
    first_line: int,
    loose: bool = False,
) -> tuple[EventBatch, list[Reject]]:
    """Decode lines of JSON; never raises on a line.

    Args:
        lines: one JSON object each, without line feed.
        mapping: how the source's fields become canonical ones.
        bounds: earliest and latest time, longest line.
        source: name of the input, for ``Reject.where``.
        first_line: number of the first line, 1-based.
        loose: numbers may be texts and empty texts are null, as in CSV.

    Returns:
        The accepted events in order, and the rejects in order.

    >>> from detector.mapping import load_mapping
    >>> line = b'{"event_id":"1","event_time":"2026-03-02T10:00:00Z","user_id":"u","action":"read"}'
    >>> bounds = Bounds(0, 2**62)
    >>> batch, rejects = decode([line, b"?"], load_mapping(None), bounds, source="s", first_line=1)
    >>> len(batch), rejects[0].reason, rejects[0].where
    (1, 'not_json', 's:2')
    """
    if loose:
        numbered = list(enumerate(lines, first_line))
        return decode_carefully(numbered, mapping, bounds, source, loose=True)
    numbers = np.arange(first_line, first_line + len(lines), dtype=np.int64)
    found = decode_spans(Lines.of(lines), numbers, mapping, bounds, source)
    return found.batch, found.rejects


@dataclass(frozen=True, slots=True)
class Decoded:
    """Accepted events and rejects, in order; ``n_refused`` rows the scanner left to orjson."""

    batch: EventBatch
    rejects: list[Reject]
    n_refused: int


def decode_spans(
    lines: Lines,
    numbers: I64,
    mapping: Mapping,
    bounds: Bounds,
    source: str,
    *,
    scanner: bool = True,
) -> Decoded:
    """Decode lines that lie in one run of bytes; they may have gaps between them.

    Args:
        lines: n lines of one JSON object each.
        numbers: (n,) their numbers in the source, growing.
        mapping: how the source's fields become canonical ones.
        bounds: earliest and latest time, longest line.
        source: name of the input, for ``Reject.where``.
        scanner: False hands every line to orjson; the result is the same.
    """
    if not scanner or not is_plain_mapping(mapping):
        numbered = list(zip(numbers.tolist(), lines, strict=True))
        return Decoded(*decode_carefully(numbered, mapping, bounds, source, loose=False), 0)
    plain = decode_plain(
        lines,
        mapping,
        time_bounds_ns=(bounds.not_before_ns, bounds.not_after_ns),
        max_line_bytes=bounds.max_line_bytes,
        numbers=numbers,
    )
    if not plain.left_over.size:
        return Decoded(plain.table.batch(lines, source, numbers), [], 0)
    left_over = plain.left_over
    numbered = list(zip(numbers[left_over].tolist(), lines.take(left_over), strict=True))
    odd, rejects = decode_carefully(numbered, mapping, bounds, source, loose=False)
    even = plain.table.batch(lines.take(plain.rows), source, numbers[plain.rows])
    return Decoded(in_line_order(even, odd) if len(odd) else even, rejects, len(numbered))


def decode_carefully(
    numbered: Sequence[tuple[int, bytes]],
    mapping: Mapping,
    bounds: Bounds,
    source: str,
    *,
    loose: bool,
) -> tuple[EventBatch, list[Reject]]:
    """Decode lines, given with their numbers, value by value; the only place that rejects."""
    rejects: list[tuple[int, Reject]] = []
    rows = _parse(numbered, bounds, source, rejects)
    columns = {
        name: column_of(name, mapping.rules.get(name), rows, bounds, loose=loose) for name in FIELDS
    }
    for row, (reason, name) in rows.bad.items():
        number = rows.numbers[row]
        rejects.append((number, Reject(reason, f"{source}:{number}", name, rows.raw[row])))
    rejects.sort(key=lambda pair: pair[0])
    table, raw, kept_numbers = _table(columns), rows.raw, np.array(rows.numbers, dtype=np.int64)
    if rows.bad:
        keep = np.array([row for row in range(len(raw)) if row not in rows.bad], dtype=np.int64)
        table, kept_numbers = table.take(keep), kept_numbers[keep]
        raw = [raw[row] for row in keep.tolist()]
    return table.batch(raw, source, kept_numbers), [reject for _, reject in rejects]


def _table(columns: dict[str, list[Any]]) -> Table:
    """Give checked values the form of their kind."""
    table = Table({}, {}, {})
    for name, values in columns.items():
        if FIELDS[name] == ID:
            table.ids[name] = IdTexts([value or "" for value in values])
        elif FIELDS[name] in (COUNT, TIME):
            table.numbers[name] = np.array(values, dtype=np.int64)
        else:
            table.coded[name] = coded(values)
    return table


def _parse(
    numbered: Sequence[tuple[int, bytes]],
    bounds: Bounds,
    source: str,
    rejects: list[tuple[int, Reject]],
) -> Rows:
    """Parse JSON; what is no object is rejected here."""
    rows = Rows([], [], [])
    documents, raw, numbers = rows.documents, rows.raw, rows.numbers
    loads, limit = orjson.loads, bounds.max_line_bytes
    for number, line in numbered:
        try:
            document = loads(line)
            plain = (
                len(line) <= limit
                and type(document) is dict
                and line.count(b'":') == len(document)
                and b'" ' not in line
                and b'"\t' not in line
                and b'"\r' not in line
            )
        except orjson.JSONDecodeError:
            plain = False
        if not plain:
            document, reason = load_line(line, limit)
            if document is None:
                rejects.append((number, Reject(reason, f"{source}:{number}", "", line)))
                continue
        documents.append(document)
        raw.append(line)
        numbers.append(number)
    return rows
