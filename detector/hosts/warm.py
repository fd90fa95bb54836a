"""Compile all kernels once, so that the first event does not wait: `python -m detector.hosts.warm`.

Run when the program is installed or an image is built.
"""

from __future__ import annotations

from detector.decode import Bounds, decode
from detector.engine import new_state, step
from detector.kafka.checksum import crc32c
from detector.kafka.records import Batch, read_batches
from detector.mapping import load_mapping
from detector.plan import build_plan
from detector.policy import load_policy
from detector.reference import Reference
from detector.state.snapshot import ChangedPages

_LINES = [
    (
        f'{{"event_id":"e{i}","event_time":"2026-03-02T10:{i:02d}:00.000+08:00","user_id":"u1",'
        f'"action":"read","customer_id":"C{i}","record_count":1}}'
    ).encode()
    for i in range(9)
]

_RECORD = bytes([12, 0, 0, 0, 1, 1, 0])  # length 6, no attributes, first in its batch, all null


def warm() -> int:
    """Send a few events through decode, step and the snapshot; return how many were scored.

    What only reads Kafka is compiled too: one record is enough.
    """
    bounds = Bounds(0, 2**62)
    batch, _ = decode(_LINES, load_mapping(None), bounds, source="warm", first_line=1)
    plan = build_plan(load_policy(None), None, Reference())
    state = step(new_state(plan), batch, plan).state
    list(ChangedPages().since_last(state.arrays()))
    crc32c(b"")
    read_batches([Batch(_RECORD, 0, 0, -1, 1, 1, 0)])
    return len(batch)


if __name__ == "__main__":
    warm()
