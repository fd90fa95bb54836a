"""Each actor's recent rows, sorted by event time, and their exact 10 min and 1 h counts.

Windows are event-time intervals (t - w, t]. A row in order moves two pointers; a late row
takes the slow exact path (``late.py``). A customer is counted at its last row in the tail:
earlier ones are flagged SUPERSEDED. The pair of actor and customer holds the number of that
row; numbers go on when a tail loses its oldest rows, so that moving a tail touches no pair.
"""

from __future__ import annotations

import numpy as np

from detector.compiled import aside, kernel, part
from detector.state.layout import (
    ARENA_TOP,
    CHUNK,
    CHUNK_CLASS,
    CHUNK_ROWS,
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
    TAIL_LIMIT,
    TAIL_NUMBER,
    TAIL_SHIFT,
    TAIL_START,
    Arena,
    CustomerPairs,
)
from detector.state.tables import home_cell

TEN_MINUTES_NS = 600_000_000_000
HOUR_NS = 3_600_000_000_000
N_CLASSES = len(CHUNK_ROWS)
ROWS_OF_CLASS = np.array(CHUNK_ROWS, dtype=np.int64)


@part
def head_of(key: int, size_class: int) -> int:
    """Return the bucket of an event or customer in a chunk of this size."""
    return home_cell(key, ROWS_OF_CLASS[size_class])


@part
def take_chunk(arena: Arena, counts: I64, size_class: int) -> int:
    """Return the first row of a free chunk; the caller has checked that the top has room."""
    base = arena.free[size_class]
    if base >= 0:
        arena.free[size_class] = arena.time_ns[base]
    else:
        base = counts[ARENA_TOP]
        counts[ARENA_TOP] = base + ROWS_OF_CLASS[size_class]
    _cut_chains(arena, base, ROWS_OF_CLASS[size_class])
    return int(base)


@part
def give_chunk(arena: Arena, base: int, size_class: int) -> None:
    """Put a chunk on its free list."""
    arena.time_ns[base] = arena.free[size_class]
    arena.free[size_class] = base


@part
def copy_row(arena: Arena, source: int, into: Arena, target: int) -> None:
    """Copy a row, its link and flags with it."""
    into.time_ns[target] = arena.time_ns[source]
    into.event[target] = arena.event[source]
    into.customer[target] = arena.customer[source]
    into.records[target] = arena.records[source]
    into.event_next[target] = arena.event_next[source]


@part
def _cut_chains(arena: Arena, base: int, rows: int) -> None:
    for bucket in range(base, base + rows):
        arena.event_head[bucket] = 0


@part
def _chain(arena: Arena, base: int, rows: int, i: int) -> None:
    """Put row ``i`` of a chunk before the others of its event's bucket."""
    bucket = base + home_cell(arena.event[base + i], rows)
    flags = arena.event_next[base + i] & ~NEXT
    arena.event_next[base + i] = flags | arena.event_head[bucket]
    arena.event_head[bucket] = i + 1


@part
def _chain_all(arena: Arena, me: I64) -> None:
    """Chain the rows of a tail anew after they have moved."""
    base, rows = me[CHUNK], ROWS_OF_CLASS[me[CHUNK_CLASS]]
    _cut_chains(arena, base, rows)
    for i in range(me[TAIL_START], me[TAIL_END]):
        _chain(arena, base, rows, i)


@part
def _leave(arena: Arena, me: I64, row: int, first: int) -> None:
    """Take one row out of the counts that start at column ``first``."""
    me[first] -= 1
    me[first + 1] -= arena.records[row]
    flags = arena.event_next[row]
    if arena.customer[row] != 0 and flags & SUPERSEDED == 0:
        me[first + 2] -= 1
    if flags & HAS_VOLUME:
        me[first + 3] -= arena.records[row]


@part
def _advance(arena: Arena, me: I64, t_ns: int) -> None:
    """Let both windows end at ``t_ns``."""
    base, end = me[CHUNK], me[TAIL_END]
    while me[OPEN_1H] < end and arena.time_ns[base + me[OPEN_1H]] <= t_ns - HOUR_NS:
        _leave(arena, me, base + me[OPEN_1H], COUNTS_1H)
        me[OPEN_1H] += 1
    while me[OPEN_10M] < end and arena.time_ns[base + me[OPEN_10M]] <= t_ns - TEN_MINUTES_NS:
        _leave(arena, me, base + me[OPEN_10M], COUNTS_10M)
        me[OPEN_10M] += 1


@part
def _forget_before(arena: Arena, me: I64, start: int) -> None:
    """Drop the oldest rows of a full tail from the windows and from the tail."""
    base = me[CHUNK]
    while me[OPEN_1H] < start:
        _leave(arena, me, base + me[OPEN_1H], COUNTS_1H)
        me[OPEN_1H] += 1
    while me[OPEN_10M] < start:
        _leave(arena, me, base + me[OPEN_10M], COUNTS_10M)
        me[OPEN_10M] += 1
    me[TAIL_START] = start


@part
def make_room(arena: Arena, counts: I64, me: I64, keep_ns: int, max_rows: int) -> None:
    """Make room for one more row: forget what is too old, move, or grow to a larger chunk."""
    if me[TAIL_END] >= ROWS_OF_CLASS[me[CHUNK_CLASS]]:
        _move_tail(arena, counts, me, keep_ns, max_rows)


@aside
def _move_tail(arena: Arena, counts: I64, me: I64, keep_ns: int, max_rows: int) -> None:
    base, size_class = me[CHUNK], me[CHUNK_CLASS]
    rows = ROWS_OF_CLASS[size_class]
    start, end = me[TAIL_START], me[TAIL_END]
    while start < end and arena.time_ns[base + start] <= me[NEWEST_NS] - keep_ns:
        start += 1
    start = min(start, me[OPEN_1H])  # a window never loses a row to housekeeping
    if end - start >= max_rows:
        counts[TAIL_LIMIT] += 1
        start = end - (max_rows - max(max_rows // 8, 1))
        _forget_before(arena, me, start)
    live = end - start
    target = base
    if 4 * live > 3 * rows and size_class + 1 < N_CLASSES:
        me[CHUNK_CLASS] = size_class + 1
        target = take_chunk(arena, counts, size_class + 1)
    for i in range(live):
        copy_row(arena, base + start + i, arena, target + i)
    if target != base:
        give_chunk(arena, base, size_class)
    me[CHUNK] = target
    me[TAIL_START] = 0
    me[TAIL_END] = live
    me[TAIL_SHIFT] = (me[TAIL_SHIFT] + start) & TAIL_NUMBER
    me[OPEN_1H] -= start
    me[OPEN_10M] -= start
    _chain_all(arena, me)


@part
def is_duplicate(arena: Arena, me: I64, event: int) -> bool:
    """Tell whether this event id is already in the tail."""
    base = me[CHUNK]
    i = int(arena.event_head[base + head_of(event, me[CHUNK_CLASS])])
    while i > me[TAIL_START]:
        if arena.event[base + i - 1] == event:
            return True
        i = int(arena.event_next[base + i - 1]) & NEXT
    return False


@part
def last_of_customer(arena: Arena, pairs: CustomerPairs, me: I64, cell: int) -> int:
    """Return the last row of a customer in the tail, or -1."""
    i = (np.int64(pairs.tail[cell]) - me[TAIL_SHIFT]) & TAIL_NUMBER
    is_there = me[TAIL_START] <= i < me[TAIL_END]
    return int(i) if is_there and arena.customer[me[CHUNK] + i] == cell + 1 else -1


@part
def note_last(pairs: CustomerPairs, me: I64, cell: int, i: int) -> None:
    """Let a customer's last row in the tail be row ``i``."""
    others = np.int64(pairs.tail[cell]) & ~TAIL_NUMBER
    pairs.tail[cell] = others | ((i + me[TAIL_SHIFT]) & TAIL_NUMBER)


@part
def append_in_order(
    arena: Arena,
    pairs: CustomerPairs,
    me: I64,
    t_ns: int,
    event: int,
    cell: int,
    records: int,
    volume: bool,
) -> None:
    """Add a row not older than any other; counts then describe the windows ending at it.

    ``cell`` is the customer's in ``pairs``, or -1.
    """
    _advance(arena, me, t_ns)
    base, end = me[CHUNK], me[TAIL_END]
    new_1h, new_10m = 1, 1
    if cell < 0:
        new_1h, new_10m = 0, 0
    else:
        last = last_of_customer(arena, pairs, me, cell)
        if last >= 0:
            arena.event_next[base + last] |= SUPERSEDED
            new_1h = 1 if last < me[OPEN_1H] else 0
            new_10m = 1 if last < me[OPEN_10M] else 0
        note_last(pairs, me, cell, end)
    write_row(arena, base + end, t_ns, event, cell, records, volume)
    _chain(arena, base, ROWS_OF_CLASS[me[CHUNK_CLASS]], end)
    me[TAIL_END] = end + 1
    for first, new in ((COUNTS_10M, new_10m), (COUNTS_1H, new_1h)):
        me[first] += 1
        me[first + 1] += records
        me[first + 2] += new
        me[first + 3] += records if volume else 0


@part
def write_row(
    arena: Arena, row: int, t_ns: int, event: int, cell: int, records: int, volume: bool
) -> None:
    """Write a row that is in no chain yet."""
    arena.time_ns[row] = t_ns
    arena.event[row] = event
    arena.customer[row] = cell + 1
    arena.records[row] = records
    arena.event_next[row] = HAS_VOLUME if volume else 0


@kernel
def pack_chunks(old: Arena, new: Arena, ints: I64, n_actors: int) -> int:
    """Copy every actor's chunk into an empty arena, side by side; return how many rows.

    Chunks that are free stay behind: small ones, when everybody has outgrown them.
    """
    top = 0
    for slot in range(n_actors):
        me = ints[slot]
        base, rows = me[CHUNK], ROWS_OF_CLASS[me[CHUNK_CLASS]]
        for i in range(me[TAIL_START], me[TAIL_END]):
            copy_row(old, base + i, new, top + i)
        for i in range(rows):
            new.event_head[top + i] = old.event_head[base + i]
        me[CHUNK] = top
        top += rows
    return int(top)


@kernel
def move_customers(arena: Arena, top: int, target: I64) -> None:
    """Let recent rows follow their customers to other cells; -1 = forgotten."""
    for row in range(top):
        if arena.customer[row] != 0:
            arena.customer[row] = target[arena.customer[row] - 1] + 1
