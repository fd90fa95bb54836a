"""Give the state more room, and take it apart for a snapshot.

Copies; never changes what is remembered.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.state.approvals import with_room
from detector.state.layout import (
    ARENA_TOP,
    CHUNK_CLASS,
    DAYS_TOP,
    FREE_DAY,
    I64,
    MAX_TAIL,
    N_ACTORS,
    N_BRANCHES,
    N_CUSTOMER_PAIRS,
    N_FIELDS,
    N_PAIRS,
    N_VALUE_PAIRS,
    REST_TOP,
    RING_DAY,
    Actors,
    Arena,
    BranchPairs,
    CustomerPairs,
    Days,
    RestHours,
    Tables,
    ValuePairs,
    Widths,
    empty_actors,
    empty_arena,
    empty_branches,
    empty_customers,
    empty_days,
    empty_rest,
    empty_values,
)
from detector.state.tables import fill_actor_table, move_cells, place_keys
from detector.state.tail import ROWS_OF_CLASS, move_customers, pack_chunks

_GROWTH = 1.3  # little slack: state is counted per active user
_SMALL_GROWTH, _SMALL_BYTES = 2.0, 2**26  # below it slack is cheap, and moving is not
_Pairs = CustomerPairs | BranchPairs | ValuePairs
_KEPT_DAYS = 33  # a pair not seen for so long is outside every window of its two open days


def make_room(tables: Tables) -> Tables:
    """Enlarge whichever table is close to full; the others stay the same objects."""
    counts = tables.counts
    actors, days, rest, arena, customers, branches, values, approvals = tables[:8]
    n_actors = int(counts[N_ACTORS])
    if n_actors >= actors.user.size or n_actors * 10 >= actors.table.size * 7:
        actors = _grow_actors(actors, days, n_actors)
    if counts[FREE_DAY] == 0 and counts[DAYS_TOP] == days.ints.shape[0]:
        days = _grow_days(days)
    if counts[REST_TOP] + 2 > rest.share.shape[0]:
        rest = _grow_rest(rest)
    if counts[ARENA_TOP] + 2 * MAX_TAIL > arena.time_ns.size:
        arena = _grow_arena(arena, actors, counts)
    if counts[N_PAIRS] * 5 >= customers.key.size * 4:
        oldest_day = actors.ints[:, RING_DAY] - _KEPT_DAYS
        bigger = empty_customers(_more(customers.key.size, _words(customers).nbytes))
        kept = customers.last_day >= oldest_day[customers.slot]
        counts[N_PAIRS], target = _move(customers, bigger, kept)
        move_customers(arena, int(counts[ARENA_TOP]), target)
        used = bigger.slot[bigger.key != 0]
        actors.ints[:, N_CUSTOMER_PAIRS] = np.bincount(used, minlength=actors.user.size)
        customers = bigger
    if counts[N_BRANCHES] * 5 >= branches.key.size * 4:
        more = empty_branches(_more(branches.key.size, _words(branches).nbytes))
        _move(branches, more)
        branches = more
    if (counts[N_VALUE_PAIRS] + N_FIELDS) * 5 >= values.key.size * 4:
        wider = empty_values(_more(values.key.size, _words(values).nbytes))
        _move(values, wider)
        values = wider
    approvals = with_room(approvals, counts)
    return Tables(actors, days, rest, arena, customers, branches, values, approvals, counts)


def _move(old: _Pairs, new: _Pairs, kept: NDArray[np.bool_] | None = None) -> tuple[int, I64]:
    """Copy pairs into a new table of their kind; return how many, and where each is now.

    A customer last seen before its actor's 30-day window can no longer change any count of
    that actor, so forgetting the pair is not visible.
    """
    wanted = np.ones(old.key.size, dtype=np.uint8) if kept is None else kept.view(np.uint8)
    target = np.empty(old.key.size, dtype=np.int64)
    n_kept = place_keys(old.key, wanted, new.key, target)
    move_cells(_words(old), _words(new), target)
    return n_kept, target


def _words(pairs: _Pairs) -> NDArray[np.uint32]:
    """(cells, words) the table whose columns these are."""
    cells: NDArray[Any] = pairs.key.base  # type: ignore[assignment]
    return cells.view(np.uint32).reshape(cells.size, -1)


def _more(n_rows: int, n_bytes: int) -> int:
    """Return how many rows a table of this size should grow to."""
    return int(n_rows * (_GROWTH if n_bytes > _SMALL_BYTES else _SMALL_GROWTH))


def widths_of(actors: Actors, days: Days) -> Widths:
    """Return how many columns a state keeps."""
    return Widths(
        actors.ints.shape[1], actors.baseline.shape[1], days.ints.shape[1], actors.recent.shape[1]
    )


def _grow_actors(old: Actors, days: Days, n_actors: int) -> Actors:
    n_slots = _more(old.user.size, sum(column.nbytes for column in old))
    new = empty_actors(n_slots, 3 * n_slots, widths_of(old, days))
    for name in Actors._fields:
        if name != "table":
            getattr(new, name)[: old.user.size] = getattr(old, name)
    fill_actor_table(new, n_actors)
    return new


def _grow_days(old: Days) -> Days:
    n_lines, n_columns = old.ints.shape
    new = empty_days(_more(n_lines, old.ints.nbytes), n_columns)
    new.ints[:n_lines], new.surprise[:n_lines] = old.ints, old.surprise
    return new


def _grow_rest(old: RestHours) -> RestHours:
    new = empty_rest(_more(len(old.share), old.share.nbytes))
    new.share[: len(old.share)] = old.share
    return new


def _grow_arena(old: Arena, actors: Actors, counts: I64) -> Arena:
    """Move all chunks side by side, leaving out the free ones, with room behind them."""
    n_actors = int(counts[N_ACTORS])
    n_rows = int(ROWS_OF_CLASS[actors.ints[:n_actors, CHUNK_CLASS]].sum())
    n_bytes = sum(column.nbytes for column in old)
    new = empty_arena(max(_more(n_rows, n_bytes) + 2 * MAX_TAIL, 4 * MAX_TAIL))
    counts[ARENA_TOP] = pack_chunks(old, new, actors.ints, n_actors)
    return new


def named_arrays(tables: Tables) -> dict[str, NDArray[np.generic]]:
    """Return every array under ``table.column``, for a snapshot."""
    named: dict[str, NDArray[np.generic]] = {"counts": tables.counts}
    for part in Tables._fields[:-1]:
        columns = getattr(tables, part)
        named |= {f"{part}.{column}": getattr(columns, column) for column in columns._fields}
    return named


def n_bytes(tables: Tables) -> int:
    """Memory taken by the state."""
    return sum(array.nbytes for array in named_arrays(tables).values())
