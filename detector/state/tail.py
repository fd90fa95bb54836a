"""Each actor's recent rows, sorted by event time, and their exact 10 min and 1 h counts.

Windows are event-time intervals (t - w, t]. A row in order moves two pointers; a late row
takes the slow exact path through its actor's own tail. A customer is counted at its last
row in the tail: earlier ones are flagged SUPERSEDED.
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
    OPEN_1H,
    OPEN_10M,
    SUPERSEDED,
    TAIL_END,
    TAIL_LIMIT,
    TAIL_START,
    Arena,
)
from detector.state.tables import home_cell

TEN_MINUTES_NS = 600_000_000_000
HOUR_NS = 3_600_000_000_000
N_CLASSES = len(CHUNK_ROWS)
_ROWS = np.array(CHUNK_ROWS, dtype=np.int64)


@part
def head_of(key: int, size_class: int) -> int:
    """Return the bucket of an event or customer in a chunk of this size."""
    return home_cell(key, _ROWS[size_class])


@part
def take_chunk(arena: Arena, counts: I64, size_class: int) -> int:
    """Return the first row of a free chunk; the caller has checked that the top has room."""
    base = arena.free[size_class]
    if base >= 0:
        arena.free[size_class] = arena.time_ns[base]
    else:
        base = counts[ARENA_TOP]
        counts[ARENA_TOP] = base + _ROWS[size_class]
    _cut_chains(arena, base, _ROWS[size_class])
    return int(base)


@part
def give_chunk(arena: Arena, base: int, size_class: int) -> None:
    """Put a chunk on its free list."""
    arena.time_ns[base] = arena.free[size_class]
    arena.free[size_class] = base


@part
def _copy_row(arena: Arena, source: int, target: int) -> None:
    arena.time_ns[target] = arena.time_ns[source]
    arena.event[target] = arena.event[source]
    arena.customer[target] = arena.customer[source]
    arena.records[target] = arena.records[source]
    arena.flags[target] = arena.flags[source]


@part
def _cut_chains(arena: Arena, base: int, rows: int) -> None:
    for bucket in range(base, base + rows):
        arena.event_head[bucket] = 0
        arena.customer_head[bucket] = 0


@part
def _chain(arena: Arena, base: int, rows: int, i: int) -> None:
    """Put row ``i`` of a chunk before the others of its event's and customer's buckets."""
    bucket = base + home_cell(arena.event[base + i], rows)
    arena.event_next[base + i] = arena.event_head[bucket]
    arena.event_head[bucket] = i + 1
    if arena.customer[base + i] != 0:
        bucket = base + home_cell(arena.customer[base + i], rows)
        arena.customer_next[base + i] = arena.customer_head[bucket]
        arena.customer_head[bucket] = i + 1


@part
def _chain_all(arena: Arena, me: I64) -> None:
    """Chain the rows of a tail anew after they have moved."""
    base, rows = me[CHUNK], _ROWS[me[CHUNK_CLASS]]
    _cut_chains(arena, base, rows)
    for i in range(me[TAIL_START], me[TAIL_END]):
        _chain(arena, base, rows, i)


@part
def _leave(arena: Arena, me: I64, row: int, first: int) -> None:
    """Take one row out of the counts that start at column ``first``."""
    me[first] -= 1
    me[first + 1] -= arena.records[row]
    if arena.customer[row] != 0 and arena.flags[row] & SUPERSEDED == 0:
        me[first + 2] -= 1
    if arena.flags[row] & HAS_VOLUME:
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
    if me[TAIL_END] >= _ROWS[me[CHUNK_CLASS]]:
        _move_tail(arena, counts, me, keep_ns, max_rows)


@aside
def _move_tail(arena: Arena, counts: I64, me: I64, keep_ns: int, max_rows: int) -> None:
    base, size_class = me[CHUNK], me[CHUNK_CLASS]
    rows = _ROWS[size_class]
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
        _copy_row(arena, base + start + i, target + i)
    if target != base:
        give_chunk(arena, base, size_class)
    me[CHUNK] = target
    me[TAIL_START] = 0
    me[TAIL_END] = live
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
        i = int(arena.event_next[base + i - 1])
    return False


@part
def last_of_customer(arena: Arena, me: I64, customer: int) -> int:
    """Return the last row of a customer in the tail, or -1."""
    base = me[CHUNK]
    i = int(arena.customer_head[base + head_of(customer, me[CHUNK_CLASS])])
    while i > me[TAIL_START]:
        if arena.customer[base + i - 1] == customer:
            return i - 1
        i = int(arena.customer_next[base + i - 1])
    return -1


@part
def append_in_order(
    arena: Arena, me: I64, t_ns: int, event: int, customer: int, records: int, volume: bool
) -> None:
    """Add a row not older than any other; counts then describe the windows ending at it."""
    _advance(arena, me, t_ns)
    base, end = me[CHUNK], me[TAIL_END]
    new_1h, new_10m = 1, 1
    if customer == 0:
        new_1h, new_10m = 0, 0
    else:
        last = last_of_customer(arena, me, customer)
        if last >= 0:
            arena.flags[base + last] |= SUPERSEDED
            new_1h = 1 if last < me[OPEN_1H] else 0
            new_10m = 1 if last < me[OPEN_10M] else 0
    _write_row(arena, base + end, t_ns, event, customer, records, volume)
    _chain(arena, base, _ROWS[me[CHUNK_CLASS]], end)
    me[TAIL_END] = end + 1
    for first, new in ((COUNTS_10M, new_10m), (COUNTS_1H, new_1h)):
        me[first] += 1
        me[first + 1] += records
        me[first + 2] += new
        me[first + 3] += records if volume else 0


@part
def _write_row(
    arena: Arena, row: int, t_ns: int, event: int, customer: int, records: int, volume: bool
) -> None:
    arena.time_ns[row] = t_ns
    arena.event[row] = event
    arena.customer[row] = customer
    arena.records[row] = records
    arena.flags[row] = HAS_VOLUME if volume else 0


@aside
def insert_late(
    arena: Arena, me: I64, t_ns: int, event: int, customer: int, records: int, volume: bool
) -> int:
    """Add a row older than the newest one; return its index in the tail."""
    base = me[CHUNK]
    position = me[TAIL_END]
    while position > me[TAIL_START] and arena.time_ns[base + position - 1] > t_ns:
        _copy_row(arena, base + position - 1, base + position)
        position -= 1
    me[TAIL_END] += 1
    _write_row(arena, base + position, t_ns, event, customer, records, volume)
    if customer != 0:
        _mark_last(arena, base + me[TAIL_START], base + me[TAIL_END], customer)
    _chain_all(arena, me)
    _recount(arena, me)
    return int(position)


@part
def _mark_last(arena: Arena, first: int, stop: int, customer: int) -> None:
    """Flag every row of a customer but the last."""
    seen = False
    for row in range(stop - 1, first - 1, -1):
        if arena.customer[row] == customer:
            flags = arena.flags[row] & HAS_VOLUME
            arena.flags[row] = flags | SUPERSEDED if seen else flags
            seen = True


@part
def _recount(arena: Arena, me: I64) -> None:
    """Compute both windows, which end at the newest row, from scratch."""
    base = me[CHUNK]
    for i in range(COUNTS_10M, COUNTS_1H + 4):
        me[i] = 0
    me[OPEN_10M], me[OPEN_1H] = me[TAIL_START], me[TAIL_START]
    for row in range(base + me[TAIL_START], base + me[TAIL_END]):
        for first in (COUNTS_10M, COUNTS_1H):
            me[first] += 1
            me[first + 1] += arena.records[row]
            if arena.customer[row] != 0 and arena.flags[row] & SUPERSEDED == 0:
                me[first + 2] += 1
            if arena.flags[row] & HAS_VOLUME:
                me[first + 3] += arena.records[row]
    _advance(arena, me, me[NEWEST_NS])


@kernel
def sort_in_place(values: I64, n: int) -> None:
    """Sort the first ``n`` values (Shell's method, Ciura's gaps): allocates nothing."""
    for gap in (1750, 701, 301, 132, 57, 23, 10, 4, 1):
        for i in range(gap, n):
            value, j = values[i], i
            while j >= gap and values[j - gap] > value:
                values[j] = values[j - gap]
                j -= gap
            values[j] = value


@aside
def window_ending_at(
    arena: Arena, me: I64, position: int, width_ns: int, out: I64, scratch: I64
) -> None:
    """Count events, records, customers, volume in the window that ends at one tail row.

    Args:
        arena: recent rows.
        me: the actor's integers.
        position: index of the row in its tail.
        width_ns: window length.
        out: (4,) receives the counts.
        scratch: room for the customers of the largest tail.
    """
    last = me[CHUNK] + position
    t_ns = arena.time_ns[last]
    row, n_rows = last, 0
    out[:] = 0
    while row >= me[CHUNK] + me[TAIL_START] and arena.time_ns[row] > t_ns - width_ns:
        scratch[n_rows] = arena.customer[row]
        n_rows += 1
        out[0] += 1
        out[1] += arena.records[row]
        if arena.flags[row] & HAS_VOLUME:
            out[3] += arena.records[row]
        row -= 1
    sort_in_place(scratch, n_rows)
    for i in range(n_rows):
        if scratch[i] != 0 and (i == 0 or scratch[i] != scratch[i - 1]):
            out[2] += 1
