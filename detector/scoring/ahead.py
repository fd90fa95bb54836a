"""Look at what the next rows will need, so that memory brings it while others wait.

With many actors every line of the state is far away. Waiting for one line after the other
took most of the time; a processor waits for a dozen at once if nothing depends on them.
Nothing here changes anything.
"""

from __future__ import annotations

from detector.compiled import aside, part
from detector.scoring.model import Rows
from detector.state.layout import (
    CHUNK,
    DAY,
    I64,
    N_ACTORS,
    N_BASELINE,
    N_DAY,
    N_FIELDS,
    N_INTS,
    N_SURPRISE,
    TAIL_END,
    Actors,
    Arena,
    Tables,
)
from detector.state.tables import NOT_FOUND, find_actor, home_cell

ROWS_AHEAD = 32  # their state fits into the second-level cache
_MANY_ACTORS = 2_000  # the state of fewer is near anyway
_LINE = 8  # columns of 8 bytes in a cache line


@part
def look_ahead(tables: Tables, rows: Rows, row: int, window: I64) -> None:
    """Every so many rows of a large state, touch what they will read."""
    if row % ROWS_AHEAD == 0 and tables.counts[N_ACTORS] > _MANY_ACTORS:
        stop = min(row + ROWS_AHEAD, rows.time_ns.size)
        window[0] = _touch(tables, rows, row, stop)  # or the compiler leaves it all out


@aside
def _touch(tables: Tables, rows: Rows, first: int, stop: int) -> int:
    seen = 0
    for row in range(first, stop):
        slot = find_actor(tables.actors, rows.user[row])
        if slot != NOT_FOUND:
            seen ^= _touch_actor(tables.actors, slot)
        seen ^= _touch_pairs(tables, rows, row)
    for row in range(first, stop):
        slot = find_actor(tables.actors, rows.user[row])
        if slot != NOT_FOUND:
            seen ^= _touch_tail(tables.arena, tables.actors.ints[slot])
    return seen


@part
def _touch_actor(actors: Actors, slot: int) -> int:
    seen = 0
    for column in range(0, N_INTS, _LINE):
        seen ^= actors.ints[slot, column]
    parity = 0 if actors.day[slot, 0, DAY] > actors.day[slot, 1, DAY] else 1
    for column in range(0, N_DAY, _LINE):
        seen ^= actors.day[slot, parity, column]
    total = 0.0
    for column in range(0, N_SURPRISE, _LINE):
        total += actors.surprise[slot, parity, column]
    for column in range(0, N_BASELINE, 2 * _LINE):
        total += actors.baseline[slot, column]
    return seen if total > 0.0 else 0


@part
def _touch_pairs(tables: Tables, rows: Rows, row: int) -> int:
    seen = 0
    if rows.customer[row] != 0:
        keys = tables.customers.key
        seen ^= keys[home_cell(rows.customer_pair[row], keys.size)]
    if rows.branch_key[row] != 0:
        keys = tables.branches.key
        seen ^= keys[home_cell(rows.branch_pair[row], keys.size)]
    keys = tables.values.key
    for field in range(N_FIELDS):
        seen ^= keys[home_cell(rows.value_pair[row, field], keys.size)]
    return seen


@part
def _touch_tail(arena: Arena, me: I64) -> int:
    end = min(me[CHUNK] + me[TAIL_END], arena.time_ns.size - 1)
    seen = arena.time_ns[end] ^ arena.event[end] ^ arena.customer[end] ^ arena.records[end]
    return int(seen ^ arena.event_next[end] ^ arena.customer_next[end])
