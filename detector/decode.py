"""Bytes → EventBatch and Rejects. The only parser; every line becomes one or the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson

from detector.columns import Coded, EventBatch, Reject
from detector.decode_fields import Column, column_of
from detector.decode_json import load_line
from detector.events import FIELDS
from detector.hashing import hash_strings, trailing_numbers
from detector.mapping import Mapping


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
    rejects: list[tuple[int, Reject]] = []
    rows = _parse(lines, bounds, source, first_line, rejects)
    columns = {
        name: column_of(name, mapping.rules.get(name), rows, bounds, loose=loose) for name in FIELDS
    }
    for row, (reason, name) in rows.bad.items():
        number = rows.numbers[row]
        rejects.append((number, Reject(reason, f"{source}:{number}", name, rows.raw[row])))
    if rows.bad:
        keep = [row for row in range(len(rows.raw)) if row not in rows.bad]
        columns = {name: column.take(keep) for name, column in columns.items()}
        rows = Rows([], [rows.raw[i] for i in keep], [rows.numbers[i] for i in keep])
    rejects.sort(key=lambda pair: pair[0])
    return _batch(columns, rows, source), [reject for _, reject in rejects]


def _parse(
    lines: Sequence[bytes],
    bounds: Bounds,
    source: str,
    first_line: int,
    rejects: list[tuple[int, Reject]],
) -> Rows:
    """Parse JSON; what is no object is rejected here."""
    rows = Rows([], [], [])
    documents, raw, numbers = rows.documents, rows.raw, rows.numbers
    loads, limit = orjson.loads, bounds.max_line_bytes
    for number, line in enumerate(lines, first_line):
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


def _batch(columns: dict[str, Column], rows: Rows, source: str) -> EventBatch:
    """Put the columns together; all values have been checked."""
    systems = columns["system"].coded()
    event_ids = columns["event_id"].texts()
    customer_ids = columns["customer_id"].texts()
    return EventBatch(
        event_time_ns=columns["event_time"].numbers(),
        event_hash=_event_hash(systems, event_ids),
        user_hash=hash_strings(columns["user_id"].texts()),
        customer_hash=hash_strings(customer_ids),
        customer_number=trailing_numbers(customer_ids),
        record_count=columns["record_count"].numbers(),
        user_role=columns["user_role"].coded(),
        user_branch=columns["user_branch"].coded(),
        record_branch=columns["record_branch"].coded(),
        account_type=columns["account_type"].coded(),
        system=systems,
        action=columns["action"].coded(),
        data_class=columns["data_class"].coded(),
        outcome=columns["outcome"].coded(),
        device_id=columns["device_id"].coded(),
        source_ip=columns["source_ip"].coded(),
        session_id=columns["session_id"].coded(),
        channel=columns["channel"].coded(),
        ticket_id=columns["ticket_id"].coded(),
        purpose=columns["purpose"].coded(),
        event_ids=event_ids,
        user_ids=columns["user_id"].texts(),
        raw=rows.raw,
        source=source,
        line_numbers=np.array(rows.numbers, dtype=np.int64),
    )


def _event_hash(systems: Coded, event_ids: list[str]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Hash system and event id together: ids are unique per system only."""
    values = [*systems.values, ""]
    if len(values) <= 2 and (systems.codes == systems.codes[:1]).all():
        prefix = values[int(systems.codes[0])] if event_ids else ""
        return hash_strings([f"{prefix}\x1f{event_id}" for event_id in event_ids])
    names = [values[code] for code in systems.codes.tolist()]
    pairs = zip(names, event_ids, strict=True)
    return hash_strings([f"{name}\x1f{event_id}" for name, event_id in pairs])
