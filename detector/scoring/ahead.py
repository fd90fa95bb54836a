"""Ask for what the next rows will need, so that memory brings it while others are scored.

With many actors every line of the state is far away. Waiting for one line after the other
took most of the time; a processor fetches dozens at once if nothing depends on them.
Nothing here changes anything.
"""

from __future__ import annotations

from detector.compiled import part, prefetch
from detector.scoring.model import Rows
from detector.state.layout import (
    CHUNK,
    CHUNK_CLASS,
    I64,
    LINE,
    N_RING,
    OPEN_1H,
    OPEN_10M,
    RING_DAY,
    TAIL_END,
    Actors,
    Arena,
    Days,
    Tables,
)
from detector.state.tables import NOT_FOUND, find_actor, home_cell
from detector.state.tail import head_of

ROWS_AHEAD = 32  # their state fits into the second-level cache
_LINE = 64  # bytes
_PROBED = 128  # a customer who is new is looked for in several cells: most of them are here


@part
def look_ahead(tables: Tables, rows: Rows, row: int) -> None:
    """Every so many rows, ask for what they will read, step by step."""
    if row % ROWS_AHEAD != 0:
        return
    actors = tables.actors
    stop = min(row + ROWS_AHEAD, rows.time_ns.size)
    for other in range(row, stop):
        prefetch(actors.table, home_cell(rows.user[other], actors.table.size), 0)
        _ask_pairs(tables, rows, other)
    for other in range(row, stop):
        slot = actors.table[home_cell(rows.user[other], actors.table.size)]
        prefetch(actors.user, max(slot, 0), 0)
    for other in range(row, stop):
        slot = find_actor(actors, rows.user[other])
        if slot != NOT_FOUND:
            _ask_actor(actors, slot)
    for other in range(row, stop):
        slot = find_actor(actors, rows.user[other])
        if slot != NOT_FOUND:
            _ask_day(actors, tables.days, slot)
            _ask_tail(tables.arena, actors.ints[slot], rows.event[other])
    for other in range(row, stop):
        slot = find_actor(actors, rows.user[other])
        if slot != NOT_FOUND:
            _ask_row(tables.arena, actors.ints[slot], rows.event[other])


@part
def _ask_pairs(tables: Tables, rows: Rows, row: int) -> None:
    keys = tables.customers.key
    _ask_cell(keys, home_cell(rows.customer_pair[row], keys.size))
    prefetch(keys, home_cell(rows.customer_pair[row], keys.size), _PROBED)
    keys = tables.branches.key
    _ask_cell(keys, home_cell(rows.branch_pair[row], keys.size))
    keys = tables.values.key
    for field in range(rows.value_pair.shape[1]):
        _ask_cell(keys, home_cell(rows.value_pair[row, field], keys.size))


@part
def _ask_cell(keys: I64, cell: int) -> None:
    """Ask for a cell of a table; it may begin at the end of a line."""
    prefetch(keys, cell, 0)
    prefetch(keys, cell, keys.strides[0] - 1)


@part
def _ask_actor(actors: Actors, slot: int) -> None:
    for byte in range(0, actors.ints.strides[0], _LINE):
        prefetch(actors.ints, slot, byte)
    for byte in range(0, actors.baseline.strides[0], _LINE):
        prefetch(actors.baseline, slot, byte)


@part
def _ask_day(actors: Actors, days: Days, slot: int) -> None:
    """Ask for the newest day of an actor, its place in the 30-day window, usual hours."""
    day = actors.ints[slot, RING_DAY]
    line = actors.ints[slot, LINE + (day & 1)]
    for byte in range(0, days.ints.strides[0], _LINE):
        prefetch(days.ints, line, byte)
    for byte in range(0, days.surprise.strides[0], _LINE):
        prefetch(days.surprise, line, byte)
    for byte in range(0, actors.hours.strides[0], _LINE):
        prefetch(actors.hours, slot, byte)
    for which in range(3):
        place = which * N_RING + (day & (N_RING - 1))
        prefetch(actors.ring, slot, place * actors.ring.itemsize)


@part
def _ask_tail(arena: Arena, me: I64, event: int) -> None:
    base = me[CHUNK]
    for column in (TAIL_END, OPEN_1H, OPEN_10M):
        _ask_cell(arena.time_ns, base + me[column])
        prefetch(arena.event_next, base + me[column], 0)
    prefetch(arena.event_head, base + head_of(event, me[CHUNK_CLASS]), 0)


@part
def _ask_row(arena: Arena, me: I64, event: int) -> None:
    """Ask for the row that will be compared with an event first."""
    base = me[CHUNK]
    newest = arena.event_head[base + head_of(event, me[CHUNK_CLASS])]
    prefetch(arena.event, base + newest - 1, 0)
