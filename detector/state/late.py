"""Rows older than their actor's newest: into the tail, and the windows that end at them.

Everything behind a late row moves up by one; what leads to those rows follows.
"""

from __future__ import annotations

from detector.compiled import aside, part
from detector.state.layout import (
    CHUNK,
    CHUNK_CLASS,
    COUNTS_1H,
    COUNTS_10M,
    HAS_VOLUME,
    I64,
    NEWEST_NS,
    NEXT,
    OPEN_1H,
    OPEN_10M,
    SUPERSEDED,
    TAIL_END,
    TAIL_START,
    Arena,
    CustomerPairs,
)
from detector.state.tail import (
    HOUR_NS,
    ROWS_OF_CLASS,
    TEN_MINUTES_NS,
    copy_row,
    head_of,
    last_of_customer,
    note_last,
    write_row,
)


@aside
def insert_late(
    arena: Arena,
    pairs: CustomerPairs,
    me: I64,
    t_ns: int,
    event: int,
    cell: int,
    records: int,
    volume: bool,
) -> int:
    """Add a row older than the newest one; return its index in the tail."""
    base = me[CHUNK]
    last = last_of_customer(arena, pairs, me, cell) if cell >= 0 else -1
    position = me[TAIL_END]
    while position > me[TAIL_START] and arena.time_ns[base + position - 1] > t_ns:
        copy_row(arena, base + position - 1, arena, base + position)
        position -= 1
    me[TAIL_END] += 1
    write_row(arena, base + position, t_ns, event, cell, records, volume)
    if last >= position:
        arena.event_next[base + position] |= SUPERSEDED
    elif last >= 0:
        arena.event_next[base + last] |= SUPERSEDED
    _count_late(arena, me, position, last, OPEN_1H, COUNTS_1H, HOUR_NS)
    _count_late(arena, me, position, last, OPEN_10M, COUNTS_10M, TEN_MINUTES_NS)
    _number_from(arena, pairs, me, position)
    _chain_late(arena, me, position)
    return int(position)


@part
def _count_late(
    arena: Arena, me: I64, position: int, last: int, opened: int, first: int, width_ns: int
) -> None:
    """Count a late row in the window that ends at the newest row, if it lies in it.

    Args:
        arena: recent rows, the late one among them.
        me: the actor's integers.
        position: index of the late row in its tail.
        last: index its customer's last row had before, -1 = none.
        opened: column of the first row inside the window.
        first: column of the window's counts.
        width_ns: window length.
    """
    row = me[CHUNK] + position
    if arena.time_ns[row] <= me[NEWEST_NS] - width_ns:
        me[opened] += 1
        return
    me[first] += 1
    me[first + 1] += arena.records[row]
    if arena.customer[row] != 0 and last < me[opened]:
        me[first + 2] += 1
    if arena.event_next[row] & HAS_VOLUME:
        me[first + 3] += arena.records[row]


@part
def _number_from(arena: Arena, pairs: CustomerPairs, me: I64, first: int) -> None:
    """Let the customers of all rows from ``first`` on know which row is their last."""
    for i in range(first, me[TAIL_END]):
        row = me[CHUNK] + i
        if arena.customer[row] != 0 and arena.event_next[row] & SUPERSEDED == 0:
            note_last(pairs, me, arena.customer[row] - 1, i)


@part
def _chain_late(arena: Arena, me: I64, position: int) -> None:
    """Let links follow the rows that a late row has moved up, and chain it among them."""
    base, rows = me[CHUNK], ROWS_OF_CLASS[me[CHUNK_CLASS]]
    for bucket in range(base, base + rows):
        if arena.event_head[bucket] > position:
            arena.event_head[bucket] += 1
    for row in range(base + me[TAIL_START], base + me[TAIL_END]):
        if arena.event_next[row] & NEXT > position:
            arena.event_next[row] += 1
    bucket = base + head_of(arena.event[base + position], me[CHUNK_CLASS])
    newer, older = 0, int(arena.event_head[bucket])
    while older > position + 1:
        newer, older = older, int(arena.event_next[base + older - 1]) & NEXT
    arena.event_next[base + position] |= older
    if newer == 0:
        arena.event_head[bucket] = position + 1
    else:
        flags = arena.event_next[base + newer - 1] & ~NEXT
        arena.event_next[base + newer - 1] = flags | (position + 1)


@aside
def window_ending_at(
    arena: Arena, pairs: CustomerPairs, me: I64, position: int, width_ns: int, out: I64
) -> None:
    """Count events, records, customers, volume in the window that ends at one tail row.

    Args:
        arena: recent rows.
        pairs: actor × customer; as they were, afterwards.
        me: the actor's integers.
        position: index of the row in its tail.
        width_ns: window length.
        out: (4,) receives the counts.
    """
    base, i = me[CHUNK], position
    t_ns = arena.time_ns[base + position]
    out[:] = 0
    while i >= me[TAIL_START] and arena.time_ns[base + i] > t_ns - width_ns:
        out[0] += 1
        out[1] += arena.records[base + i]
        if _is_last_until(arena, pairs, me, i, position):
            out[2] += 1
        if arena.event_next[base + i] & HAS_VOLUME:
            out[3] += arena.records[base + i]
        i -= 1
    _number_from(arena, pairs, me, position + 1)


@part
def _is_last_until(arena: Arena, pairs: CustomerPairs, me: I64, i: int, position: int) -> bool:
    """Tell whether row ``i`` is its customer's last up to ``position``, asked from there down.

    A customer whose last row lies beyond is told that this is its last, so that it is
    counted once; the caller numbers those rows anew.
    """
    cell = arena.customer[me[CHUNK] + i] - 1
    if cell < 0:
        return False
    if arena.event_next[me[CHUNK] + i] & SUPERSEDED == 0:
        return True
    if last_of_customer(arena, pairs, me, cell) <= position:
        return False
    note_last(pairs, me, cell, i)
    return True
