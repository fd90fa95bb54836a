"""Records of one partition as spans of one run of bytes; nothing is built per record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from detector.compiled import kernel
from detector.state.layout import I64, U8

_STOP, _BASE, _TIME, _APPEND, _COUNT = range(5)
_N_HEAD = 5
_NULL = -1
_MAX_SHIFT = 63

Header = tuple[str, bytes | None]


class Batch(NamedTuple):
    """One record batch (format 2), decompressed.

    ``append_ms`` is the broker's time for all records, -1 where each has its producer's.
    Records before ``wanted_offset`` were not asked for: a broker sends whole batches.
    """

    content: bytes
    base_offset: int
    first_ms: int
    append_ms: int
    n_records: int
    next_offset: int
    wanted_offset: int

    @property
    def offset(self) -> int:
        """Return the last offset: the fetcher drops what lies wholly before its position."""
        return self.next_offset - 1


class Spans(NamedTuple):
    """(n,) where each record's parts lie; a start of -1 is null."""

    offset: I64
    time_ms: I64
    key_start: I64
    key_stop: I64
    value_start: I64
    value_stop: I64
    header_start: I64


@dataclass(frozen=True, slots=True)
class Records:
    """n records in order of offset; ``next_offset`` is where the partition goes on."""

    content: bytes
    text: U8  # the same bytes
    spans: Spans
    next_offset: int

    def __len__(self) -> int:
        """Number of records."""
        return self.spans.offset.size

    def key(self, row: int) -> bytes | None:
        """Return the key of a record."""
        return self._part(self.spans.key_start[row], self.spans.key_stop[row])

    def value(self, row: int) -> bytes | None:
        """Return the value of a record, None for a tombstone."""
        return self._part(self.spans.value_start[row], self.spans.value_stop[row])

    def headers(self, row: int) -> list[Header]:
        """Return the headers of a record."""
        return read_headers(self.content, int(self.spans.header_start[row]))

    def _part(self, start: int, stop: int) -> bytes | None:
        return None if start == _NULL else self.content[start:stop]

    def cut(self, start: int, stop: int) -> Records:
        """Return some records in a row; the last part keeps ``next_offset``."""
        spans = Spans(*(column[start:stop] for column in self.spans))
        is_last = stop >= len(self)
        next_offset = self.next_offset if is_last else int(self.spans.offset[stop])
        return Records(self.content, self.text, spans, next_offset)

    def take(self, rows: I64) -> Records:
        """Keep some records."""
        spans = Spans(*(column[rows] for column in self.spans))
        return Records(self.content, self.text, spans, self.next_offset)


def read_batches(batches: Sequence[Batch]) -> Records:
    """Lay out the wanted records of some batches in a row.

    Raises:
        ValueError: a batch is damaged; names its first offset.
    """
    heads = np.empty((len(batches), _N_HEAD), dtype=np.int64)
    stop = 0
    for row, batch in enumerate(batches):
        stop += len(batch.content)
        heads[row] = (stop, *batch[1:5])
    content = b"".join([batch.content for batch in batches])
    text = np.frombuffer(content, dtype=np.uint8)
    # a record takes at least seven bytes; a head may claim any number
    n = min(int(np.maximum(heads[:, _COUNT], 0).sum()), stop // 7)
    spans = Spans(*(np.empty(n, dtype=np.int64) for _ in Spans._fields))
    n_read = read_records(text, heads, batches[0].wanted_offset, spans)
    if n_read < 0:
        damaged = batches[-1 - n_read]
        raise ValueError(f"the record batch at offset {damaged.base_offset} is damaged")
    spans = Spans(*(column[:n_read] for column in spans))
    return Records(content, text, spans, batches[-1].next_offset)


def lay_out(records: Sequence[Any], next_offset: int) -> Records:
    """Lay out records that the client has already taken apart (the slow way)."""
    parts: list[bytes] = []
    rows = np.empty((len(records), len(Spans._fields)), dtype=np.int64)
    at = 0
    for row, record in enumerate(records):
        key, value, headers = record.key, record.value, _written(record.headers)
        key_stop = at + len(key or b"")
        value_stop = key_stop + len(value or b"")
        rows[row] = (
            record.offset, record.timestamp,
            _NULL if key is None else at, key_stop,
            _NULL if value is None else key_stop, value_stop, value_stop,
        )  # fmt: skip
        parts += (key or b"", value or b"", headers)
        at = value_stop + len(headers)
    content = b"".join(parts)
    spans = Spans(*(np.ascontiguousarray(rows[:, column]) for column in range(rows.shape[1])))
    return Records(content, np.frombuffer(content, dtype=np.uint8), spans, next_offset)


def joined(parts: Sequence[Records]) -> Records:
    """Put records of one partition one after the other."""
    if len(parts) == 1:
        return parts[0]
    starts = np.cumsum([0, *(len(part.content) for part in parts[:-1])])
    columns: dict[str, I64] = {}
    for name in Spans._fields:
        found = [getattr(part.spans, name) for part in parts]
        if name not in {"offset", "time_ms"}:
            pairs = zip(found, starts, strict=True)
            found = [np.where(column == _NULL, _NULL, column + start) for column, start in pairs]
        columns[name] = np.concatenate(found)
    content = b"".join(part.content for part in parts)
    text = np.frombuffer(content, dtype=np.uint8)
    return Records(content, text, Spans(**columns), parts[-1].next_offset)


@kernel
def read_varint(text: U8, at: int, stop: int) -> tuple[int, int]:
    """Return a zigzag number and the byte after it; -1 if there is none.

    Source:
        Protocol Buffers encoding, signed integers.
    """
    raw = np.uint64(0)
    shift = 0
    while at < stop and shift <= _MAX_SHIFT:
        byte = int(text[at])
        raw |= np.uint64(byte & 0x7F) << np.uint64(shift)
        at += 1
        if byte < 0x80:
            value = np.int64(raw >> np.uint64(1)) ^ -np.int64(raw & np.uint64(1))
            return int(value), at
        shift += 7
    return 0, -1


@kernel
def after_bytes(text: U8, at: int, stop: int) -> tuple[int, int]:
    """Return where bytes behind their length begin (-1 for null) and end (-1 if damaged)."""
    size, at = read_varint(text, at, stop)
    if at < 0 or size > stop - at:
        return _NULL, -1
    if size < 0:
        return _NULL, at
    return at, at + size


@kernel
def after_headers(text: U8, at: int, stop: int) -> int:
    """Return the byte after the headers, -1 if they are damaged."""
    n_headers, at = read_varint(text, at, stop)
    if at < 0 or n_headers < 0:
        return -1
    for _ in range(n_headers):
        start, at = after_bytes(text, at, stop)
        if at < 0 or start == _NULL:
            return -1
        start, at = after_bytes(text, at, stop)
        if at < 0:
            return -1
    return at


@kernel
def read_record(text: U8, at: int, stop: int, head: I64, row: int, spans: Spans) -> int:
    """Lay out one record; return the byte after it, -1 if it is damaged."""
    size, at = read_varint(text, at, stop)
    if at < 0 or size <= 0 or size > stop - at:
        return -1
    stop = at + size
    delta_ms, at = read_varint(text, at + 1, stop)  # one byte of attributes, unused
    if at < 0:
        return -1
    delta, at = read_varint(text, at, stop)
    if at < 0:
        return -1
    spans.offset[row] = head[_BASE] + delta
    spans.time_ms[row] = head[_APPEND] if head[_APPEND] >= 0 else head[_TIME] + delta_ms
    start, at = after_bytes(text, at, stop)
    if at < 0:
        return -1
    spans.key_start[row], spans.key_stop[row] = start, at
    start, at = after_bytes(text, at, stop)
    if at < 0:
        return -1
    spans.value_start[row], spans.value_stop[row] = start, at
    spans.header_start[row] = at
    return stop if after_headers(text, at, stop) == stop else -1


@kernel
def read_records(text: U8, heads: I64, first_offset: int, spans: Spans) -> int:
    """Lay out the records of all batches; return how many are from ``first_offset`` on.

    A negative result -1 - b says that batch b is damaged.
    """
    at, row = 0, 0
    for b in range(heads.shape[0]):
        stop = heads[b, _STOP]
        for _ in range(heads[b, _COUNT]):
            if row >= spans.offset.size:
                return -1 - b
            at = read_record(text, at, stop, heads[b], row, spans)
            if at < 0:
                return -1 - b
            if spans.offset[row] >= first_offset:
                row += 1
        if at != stop:
            return -1 - b
    return row


def read_headers(content: bytes, at: int) -> list[Header]:
    """Read headers whose lengths have been checked.

    >>> read_headers(_written([("source", b"crm"), ("note", None)]), 0)
    [('source', b'crm'), ('note', None)]
    """
    n_headers, at = _varint(content, at)
    headers: list[Header] = []
    for _ in range(n_headers):
        size, at = _varint(content, at)
        name = content[at : at + size].decode("utf-8", "replace")
        at += size
        size, at = _varint(content, at)
        headers.append((name, None if size < 0 else content[at : at + size]))
        at += max(size, 0)
    return headers


def _varint(content: bytes, at: int) -> tuple[int, int]:
    raw = shift = 0
    while content[at] >= 0x80:
        raw |= (content[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
    raw |= content[at] << shift
    return (raw >> 1) ^ -(raw & 1), at + 1


def _written(headers: Sequence[Header]) -> bytes:
    out = bytearray(_number(len(headers)))
    for name, value in headers:
        text = name.encode()
        out += _number(len(text)) + text
        out += _number(_NULL) if value is None else _number(len(value)) + value
    return bytes(out)


def _number(value: int) -> bytes:
    raw = value << 1 if value >= 0 else (-value << 1) - 1
    out = bytearray()
    while raw >= 0x80:
        out.append(raw & 0x7F | 0x80)
        raw >>= 7
    out.append(raw)
    return bytes(out)
