"""Records of a partition → events: bodies, and what a mapping takes from around them.

What Kafka knows of a record is part of the event for a mapping whose pointers begin with
`/@kafka`: `/@kafka/timestamp_ms`, `/@kafka/key` and `/@kafka/headers/NAME`. A body that has
such a key itself is refused as `duplicate_key`: nobody can forge a broker's time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import orjson

from detector.columns import Lines, Reject
from detector.decode import Bounds, Decoded, decode_spans
from detector.hosts.events import NOT_BEFORE_NS
from detector.kafka.records import Records
from detector.mapping import Mapping
from detector.state.layout import I64

ENVELOPE = "@kafka"
TOMBSTONE = "tombstone"
_NULL = -1
_DAY_NS = 86_400_000_000_000
_MILLISECOND_NS = 1_000_000
_FOREVER_NS = 2**62


@dataclass(frozen=True, slots=True)
class Decoding:
    """How records become events.

    Args:
        mapping: how the source's fields become canonical ones.
        max_line_bytes: longest body.
        scanner: False hands every body to orjson; the result is the same.
    """

    mapping: Mapping
    max_line_bytes: int
    scanner: bool = True

    @property
    def wants_envelope(self) -> bool:
        """Tell whether the mapping takes anything from around the body."""
        rules = self.mapping.rules.values()
        return any(pointer[:1] == (ENVELOPE,) for rule in rules for pointer in rule.pointers)


def decode_records(records: Records, decoding: Decoding, source: str) -> Decoded:
    """Decode records; every one becomes an event or a reject.

    A time more than a day after the record's own is refused. It is compared with no clock of
    this machine: a second reading of the record must say the same.
    """
    bodies = records.spans.value_start != _NULL
    missing: list[Reject] = []
    if not bodies.all():
        places = records.spans.offset[~bodies].tolist()
        missing = [Reject(TOMBSTONE, f"{source}:{offset}", "", b"") for offset in places]
        records = records.take(np.flatnonzero(bodies))
    spans = records.spans
    lines = Lines(records.content, spans.value_start, spans.value_stop)
    if decoding.wants_envelope:
        lines = Lines.of([with_envelope(records, row) for row in range(len(records))])
    bounds = Bounds(NOT_BEFORE_NS, _FOREVER_NS, decoding.max_line_bytes)
    found = decode_spans(
        lines, spans.offset, decoding.mapping, bounds, source, scanner=decoding.scanner
    )
    found = _refuse_ahead(found, spans.offset, spans.time_ms, source)
    if missing:
        rejects = sorted([*found.rejects, *missing], key=offset_of)
        found = Decoded(found.batch, rejects, found.n_refused)
    return found


def offset_of(reject: Reject) -> int:
    """Return the offset at which a reject stood.

    >>> offset_of(Reject("not_json", "access/3:1042", "", b"?"))
    1042
    """
    return int(reject.where.rpartition(":")[2])


def with_envelope(records: Records, row: int) -> bytes:
    """Put what Kafka knows of a record in front of its fields."""
    body = records.value(row) or b""
    start = body.lstrip()
    if not start.startswith(b"{"):
        return body
    key = records.key(row)
    around = {
        "timestamp_ms": int(records.spans.time_ms[row]),
        "key": None if key is None else key.decode("utf-8", "replace"),
        "headers": {
            name: None if value is None else value.decode("utf-8", "replace")
            for name, value in records.headers(row)
        },
    }
    rest = start[1:].lstrip()
    comma = b"" if rest.startswith(b"}") else b","
    return b'{"' + ENVELOPE.encode() + b'":' + orjson.dumps(around) + comma + rest


def _refuse_ahead(found: Decoded, offsets: I64, time_ms: I64, source: str) -> Decoded:
    """Reject events that happened long after their record was written."""
    batch = found.batch
    row_of = np.searchsorted(offsets, batch.line_numbers)
    written_ms = time_ms[row_of]
    latest_ns = np.where(written_ms < 0, _FOREVER_NS, written_ms * _MILLISECOND_NS + _DAY_NS)
    ahead = batch.event_time_ns > latest_ns
    if not ahead.any():
        return found
    rejects = [
        Reject(
            "time_out_of_bounds",
            f"{source}:{batch.line_numbers[row]}",
            "event_time",
            batch.raw[row],
        )
        for row in np.flatnonzero(ahead).tolist()
    ]
    kept = batch.take(np.flatnonzero(~ahead))
    return Decoded(kept, sorted([*found.rejects, *rejects], key=offset_of), found.n_refused)
