"""Give the state more room. Copies; never changes what is remembered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.errors import SnapshotError
from detector.state.layout import (
    ARENA_TOP,
    CHUNK_ROWS,
    N_ACTORS,
    N_BRANCHES,
    N_CUSTOMER_PAIRS,
    N_FIELDS,
    N_PAIRS,
    N_VALUE_PAIRS,
    RING_DAY,
    Actors,
    Arena,
    BranchPairs,
    CustomerPairs,
    Tables,
    ValuePairs,
    empty_actors,
    empty_arena,
    empty_branches,
    empty_customers,
    empty_tables,
    empty_values,
)
from detector.state.tables import fill_actor_table, place_keys

_GROWTH = 1.3  # little slack: state is counted per active user
_REMEDY = "The state is of another version: start with an empty store"
_Pairs = CustomerPairs | BranchPairs | ValuePairs
_MAKERS: dict[type, Callable[[int], _Pairs]] = {
    CustomerPairs: empty_customers,
    BranchPairs: empty_branches,
    ValuePairs: empty_values,
}
_KEPT_DAYS = 33  # a pair not seen for so long is outside every window of its two open days


def make_room(tables: Tables) -> Tables:
    """Enlarge whichever table is close to full; the others stay the same objects."""
    counts = tables.counts
    actors, arena, customers, branches, values = tables[:5]
    n_actors = int(counts[N_ACTORS])
    if n_actors >= actors.user.size or n_actors * 10 >= actors.table.size * 7:
        actors = _grow_actors(actors, n_actors)
    if counts[ARENA_TOP] + 2 * CHUNK_ROWS[-1] > arena.time_ns.size:
        arena = _grow_arena(arena)
    if counts[N_PAIRS] * 20 >= customers.key.size * 17:
        oldest_day = actors.ints[:, RING_DAY] - _KEPT_DAYS
        bigger = empty_customers(int(customers.key.size * _GROWTH))
        kept = customers.last_day >= oldest_day[customers.slot]
        counts[N_PAIRS] = _move(customers, bigger, kept)
        used = bigger.slot[bigger.key != 0]
        actors.ints[:, N_CUSTOMER_PAIRS] = np.bincount(used, minlength=actors.user.size)
        customers = bigger
    if counts[N_BRANCHES] * 20 >= branches.key.size * 17:
        more = empty_branches(int(branches.key.size * _GROWTH))
        _move(branches, more)
        branches = more
    if (counts[N_VALUE_PAIRS] + N_FIELDS) * 20 >= values.key.size * 17:
        wider = empty_values(int(values.key.size * _GROWTH))
        _move(values, wider)
        values = wider
    return Tables(actors, arena, customers, branches, values, counts)


def _move(old: _Pairs, new: _Pairs, kept: NDArray[np.bool_] | None = None) -> int:
    """Copy pairs into a new table of their kind; return how many.

    A customer last seen before its actor's 30-day window can no longer change any count of
    that actor, so forgetting the pair is not visible.
    """
    wanted = np.ones(old.key.size, dtype=np.uint8) if kept is None else kept.view(np.uint8)
    target = np.empty(old.key.size, dtype=np.int64)
    n_kept = place_keys(old.key, wanted, new.key, target)
    cells = np.flatnonzero(target >= 0)
    for column in old._fields[1:]:
        getattr(new, column)[target[cells]] = getattr(old, column)[cells]
    return n_kept


def _grow_actors(old: Actors, n_actors: int) -> Actors:
    n_slots = int(old.user.size * _GROWTH)
    new = empty_actors(n_slots, int(n_slots * 1.5) + 1)
    for name in Actors._fields:
        if name != "table":
            getattr(new, name)[: old.user.size] = getattr(old, name)
    fill_actor_table(new, n_actors)
    return new


def _grow_arena(old: Arena) -> Arena:
    n_rows = old.time_ns.size
    new = empty_arena(int(n_rows * _GROWTH) + 2 * CHUNK_ROWS[-1])
    for name in Arena._fields:
        if name != "free":
            getattr(new, name)[:n_rows] = getattr(old, name)
    new.free[:] = old.free
    return new


def named_arrays(tables: Tables) -> dict[str, NDArray[np.generic]]:
    """Return every array under ``table.column``, for a snapshot."""
    named: dict[str, NDArray[np.generic]] = {"counts": tables.counts}
    for part in Tables._fields[:-1]:
        columns = getattr(tables, part)
        named |= {f"{part}.{column}": getattr(columns, column) for column in columns._fields}
    return named


def tables_from(arrays: Mapping[str, NDArray[np.generic]]) -> Tables:
    """Put the tables together again from ``named_arrays``.

    Raises:
        SnapshotError: an array is missing or of another kind.
    """
    blank = empty_tables()
    parts: list[Any] = []
    for part in Tables._fields[:-1]:
        kind = type(getattr(blank, part))
        columns = [
            _column(arrays, f"{part}.{name}", getattr(blank, part), name) for name in kind._fields
        ]
        parts.append(_laid_out(kind(*columns)))
    if "counts" not in arrays or arrays["counts"].shape != blank.counts.shape:
        raise SnapshotError("is missing or foreign", where="counts", hint=_REMEDY)
    parts.append(np.asarray(arrays["counts"], dtype=np.int64))
    return Tables(*parts)


def _laid_out(part: Any) -> Any:
    """Give a pair table the layout in memory that kernels are compiled for."""
    maker = _MAKERS.get(type(part))
    if maker is None:
        return part
    table = maker(part.key.size)
    for name in part._fields:
        getattr(table, name)[:] = getattr(part, name)
    return table


def _column(
    arrays: Mapping[str, NDArray[np.generic]], name: str, part: Any, column: str
) -> NDArray[np.generic]:
    """Take one array; its dtype and all but its first dimension must be ours."""
    expected = getattr(part, column)
    found = arrays.get(name)
    if found is None or found.dtype != expected.dtype or found.shape[1:] != expected.shape[1:]:
        raise SnapshotError("is missing or foreign", where=name, hint=_REMEDY)
    return found


def n_bytes(tables: Tables) -> int:
    """Memory taken by the state."""
    return sum(array.nbytes for array in named_arrays(tables).values())
