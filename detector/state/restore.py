"""Put a state together again from a snapshot: what a kernel could not use is refused.

Kernels index without a bound check, so nothing reaches one unseen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.errors import SnapshotError
from detector.state.approvals import lists_are_whole
from detector.state.layout import (
    ACCOUNT_RULE,
    ARENA_TOP,
    BEST_BIN,
    BEST_BRANCH,
    BEST_DRIP,
    BEST_SPAN,
    BEST_STAT,
    CHUNK,
    CHUNK_CLASS,
    CHUNK_ROWS,
    CLOSED_UNTIL,
    DAY,
    DAYS_AWAY,
    DAYS_TOP,
    EVENTS,
    FREE_DAY,
    HOME,
    I64,
    KIND,
    LAGGED_DAYS,
    LINE,
    LOUDEST,
    MAX_TAIL,
    N_ACTORS,
    N_APPROVALS,
    N_BINS,
    N_BRANCHES,
    N_CHANNELS,
    N_CLOSED,
    N_DETECTORS,
    N_DRIP,
    N_DRIP_DAYS,
    N_FIELDS,
    N_LEVELS,
    N_PAIRS,
    N_RECENT,
    N_STATS,
    N_VALUE_PAIRS,
    NEXT,
    NO_DAY,
    OPEN_1H,
    OPEN_10M,
    PROFILE_N,
    REACHED,
    REST_LINE,
    REST_TOP,
    RING_DAY,
    ROLE,
    SMALL_BITS,
    SMALL_PER_COLUMN,
    TAIL_END,
    TAIL_SHIFT,
    TAIL_START,
    VERDICT,
    WEIGHTS,
    Actors,
    Approvals,
    Arena,
    BranchPairs,
    CustomerPairs,
    Tables,
    ValuePairs,
    empty_actors,
    empty_approvals,
    empty_arena,
    empty_branches,
    empty_customers,
    empty_days,
    empty_values,
)
from detector.state.memory import widths_of
from detector.state.tables import fill_actor_table
from detector.state.tail import ROWS_OF_CLASS

_REMEDY = "The state is of another version: start with an empty store"
_UNCHANGED = "Start with an empty store, or restore an unchanged copy"
_Pairs = CustomerPairs | BranchPairs | ValuePairs
_MAKERS: dict[type, Callable[[int], _Pairs | Arena | Approvals]] = {
    Arena: empty_arena,
    CustomerPairs: empty_customers,
    BranchPairs: empty_branches,
    ValuePairs: empty_values,
    Approvals: empty_approvals,
}
_N_RULES = 4  # none, and those of scoring.account
_MANY, _DAYS = 2**31, 2**15  # pairs keep counts in 32 bits, days in 16
# column, how many from it on, lowest, end: what kernels index with, or shift by
_INT_BOUNDS = (
    (ROLE, 1, -1, _MANY), (HOME, 1, -1, _MANY), (N_CLOSED, 1, 0, _MANY), (RING_DAY, 1, 0, _DAYS),
    (CLOSED_UNTIL, 1, -1, _DAYS), (N_DRIP_DAYS, 1, 0, N_RECENT + 1),
    (CHUNK_CLASS, 1, 0, len(CHUNK_ROWS)), (CHUNK, 1, 0, 2**62), (TAIL_START, 4, 0, _MANY),
    (N_APPROVALS, 1, 0, _MANY), (VERDICT, 1, -1, _MANY), (TAIL_SHIFT, 1, 0, MAX_TAIL),
)  # fmt: skip
_DAY_BOUNDS = (
    (DAY, 1, -1, _DAYS), (KIND, 1, 0, 2), (BEST_BIN, 1, -1, N_BINS), (BEST_BRANCH, 1, 0, 2**63),
    (BEST_DRIP, 1, 0, N_DRIP), (BEST_SPAN, 1, 0, N_RECENT + 2),
    (ACCOUNT_RULE, 1, 0, _N_RULES),
)  # fmt: skip
_SMALL_BOUNDS = ((BEST_STAT, N_CHANNELS, N_STATS), (LOUDEST, N_DETECTORS, N_CHANNELS))
_WEIGHT_BOUNDS = (  # kernels divide by their sums
    (WEIGHTS, 2, 0, 2**62), (DAYS_AWAY, 2, 0, 2**62), (PROFILE_N, 2 * N_FIELDS, 0, 2**62),
    (LAGGED_DAYS, 1, 0, 2**62), (REACHED, N_LEVELS + 1, 0, 2**62),
)  # fmt: skip


def tables_from(arrays: Mapping[str, NDArray[np.generic]], blank: Tables) -> Tables:
    """Put the tables together again from ``named_arrays``; ``blank`` is an empty state.

    Raises:
        SnapshotError: an array is missing, of another kind, or a kernel could not use it.
    """
    counts = _column(arrays, "counts", blank.counts)
    _check(counts.shape == blank.counts.shape and (counts >= 0).all(), "counts")
    parts: list[Any] = []
    for name in Tables._fields[:-1]:
        ours = getattr(blank, name)
        columns = [
            _column(arrays, f"{name}.{column}", getattr(ours, column)) for column in ours._fields
        ]
        found = type(ours)(*columns)
        _check_lengths(name, found, ours)
        parts.append(_laid_out(found))
    parts.append(counts)
    tables = Tables(*parts)
    _check_actors(tables, int(counts[N_ACTORS]))
    _check_days(tables)
    _check_pairs(tables, "customers", int(counts[N_PAIRS]))
    _check_pairs(tables, "branches", int(counts[N_BRANCHES]))
    _check_pairs(tables, "values", int(counts[N_VALUE_PAIRS]))
    _check(lists_are_whole(tables), "approvals.following", "has a list that leads astray")
    _check_arena(tables)
    return tables


def _laid_out(part: Any) -> Any:
    """Give a table the layout in memory that kernels are compiled for."""
    maker = _MAKERS.get(type(part))
    if maker is None:
        return part
    table = maker(len(part[0]))
    for name in part._fields:
        getattr(table, name)[:] = getattr(part, name)
    return table


def _column(
    arrays: Mapping[str, NDArray[np.generic]], name: str, ours: NDArray[np.generic]
) -> NDArray[Any]:
    """Take one array; its dtype and all but its first dimension must be ours."""
    found = arrays.get(name)
    if found is None or found.dtype != ours.dtype or found.ndim != ours.ndim:
        raise SnapshotError("is missing or foreign", where=name, hint=_REMEDY)
    if found.shape[1:] != ours.shape[1:]:
        raise SnapshotError("is missing or foreign", where=name, hint=_REMEDY)
    _check(found.dtype.kind != "f" or np.isfinite(found).all(), name)
    return np.require(found, requirements=["C", "ALIGNED", "WRITEABLE"])


def _check(holds: bool | np.bool_, where: str, what: str = "holds what cannot be") -> None:
    if not holds:
        raise SnapshotError(what, where=where, hint=_UNCHANGED)


def _check_within(found: NDArray[Any], low: int, end: int, where: str) -> None:
    if found.size:
        _check(low <= found.min().item() and found.max().item() < end, where)


def _check_lengths(name: str, found: Any, ours: Any) -> None:
    """Refuse columns shorter than their neighbours, and tables smaller than new ones."""
    n_rows = len(found[1 if name == "actors" else 0])  # the first of actors is their hash table
    for column, array in zip(found._fields, found, strict=True):
        where, n_ours = f"{name}.{column}", len(getattr(ours, column))
        if column == "table":
            _check(2 * len(array) >= 3 * n_rows, where, "is too small")
        elif column == "free":
            _check(len(array) == n_ours, where, "has another length")
        else:
            _check(len(array) == n_rows, where, "is not as long as its neighbours")
            _check(n_rows >= n_ours, where, "is too small")


def _check_actors(tables: Tables, n_actors: int) -> None:
    """Refuse slots a kernel cannot use, and a hash table that is not that of the users."""
    actors = tables.actors
    _check(n_actors <= actors.user.size, "counts")
    _check_within(actors.user, 0, 2**63, "actors.user")
    table = np.full_like(actors.table, -1)
    fill_actor_table(actors._replace(table=table), n_actors)
    _check(np.array_equal(table, actors.table), "actors.table")
    blanks = empty_actors(1, 1, widths_of(actors, tables.days))
    for name, blank in zip(Actors._fields[1:], blanks[1:], strict=True):
        unused = getattr(actors, name)[n_actors:]
        _check((unused == blank).all(), f"actors.{name}", "is in use beyond the last actor")
    _check_columns(actors.ints[:n_actors], _INT_BOUNDS, "actors.ints")
    _check_columns(actors.baseline[:n_actors], _WEIGHT_BOUNDS, "actors.baseline")


def _check_columns(array: NDArray[Any], bounds: Any, where: str) -> None:
    for first, width, low, end in bounds:
        _check_within(array[:, first : first + width], low, end, where)


def _check_days(tables: Tables) -> None:
    """Refuse lines that two actors share, or nobody has, and numbers that lead outside."""
    counts, ints = tables.counts, tables.actors.ints[: tables.counts[N_ACTORS]]
    top, lines = int(counts[DAYS_TOP]), tables.days.ints
    _check(0 < top <= len(lines), "counts")
    _check_columns(lines[:top], _DAY_BOUNDS, "days.ints")
    _check_small_numbers(lines[:top])
    _check((lines[0] == empty_days(1, lines.shape[1]).ints[0]).all(), "days.ints")
    is_open = lines[:top, DAY] != NO_DAY
    free = np.where(is_open, 0, lines[:top, EVENTS])[1:]
    _check_lines(np.concatenate([ints[:, LINE : LINE + 2].ravel(), free, counts[[FREE_DAY]]]), top)
    _check(is_open[ints[:, LINE : LINE + 2][ints[:, LINE : LINE + 2] > 0]].all(), "actors.ints")
    top = int(counts[REST_TOP])
    _check(0 < top <= len(tables.rest.share) and not tables.rest.share[0].any(), "rest.share")
    _check_lines(ints[:, REST_LINE], top)


def _check_lines(links: I64, top: int) -> None:
    """Refuse links unless each line but 0 is led to just once."""
    is_whole = np.array_equal(np.sort(links[links != 0]), np.arange(1, top, dtype=np.int64))
    _check(is_whole, "actors.ints", "has a line that leads astray")


def _check_small_numbers(days: I64) -> None:
    """Refuse names of counts and channels that do not exist."""
    for first, n, end in _SMALL_BOUNDS:
        for i in range(n):
            shift = SMALL_BITS * (i % SMALL_PER_COLUMN)
            packed = days[..., first + i // SMALL_PER_COLUMN]
            _check_within(packed, 0, 2 ** (SMALL_BITS * SMALL_PER_COLUMN), "days.ints")
            _check_within((packed >> shift) % 2**SMALL_BITS, 0, end + 1, "days.ints")


def _check_pairs(tables: Tables, name: str, n_pairs: int) -> None:
    """Refuse a pair table in which a search would not end, or whose actors are not there.

    One row may have been added since there was room for one more.
    """
    pairs, ints = getattr(tables, name), tables.actors.ints
    _check(n_pairs == np.count_nonzero(pairs.key), f"{name}.key", "is not as full as counted")
    _check((n_pairs - 1) * 5 < pairs.key.size * 4, f"{name}.key", "is too full")
    _check_within(pairs.key, 0, 2**63, f"{name}.key")
    _check_within(pairs.slot, 0, max(int(tables.counts[N_ACTORS]), 1), f"{name}.slot")
    if "visits" in pairs._fields:
        _check_within(pairs.visits, 0, 2**62, f"{name}.visits")
        _check_within(pairs.row, 0, _MANY, f"{name}.row")
    if "closed" in pairs._fields:
        _check_within(pairs.closed, 0, _MANY, f"{name}.closed")
        _check((pairs.closed <= ints[:, N_CLOSED][pairs.slot]).all(), f"{name}.closed")


def _check_arena(tables: Tables) -> None:
    """Refuse chunks that do not lie side by side, and tails and chains that leave theirs."""
    arena, top = tables.arena, int(tables.counts[ARENA_TOP])
    ints = tables.actors.ints[: tables.counts[N_ACTORS]]
    _check(top <= arena.time_ns.size, "counts")
    base, rows, end = ints[:, CHUNK], ROWS_OF_CLASS[ints[:, CHUNK_CLASS]], ints[:, TAIL_END]
    for column in (OPEN_1H, OPEN_10M):
        _check((ints[:, TAIL_START] <= ints[:, column]).all(), "actors.ints")
        _check((ints[:, column] <= end).all(), "actors.ints")
    _check((end <= rows).all(), "actors.ints")
    free_base, free_rows = _free_chunks(arena, top)
    every_base, every_row = np.append(base, free_base), np.append(rows, free_rows)
    order = np.argsort(every_base)
    ends = np.cumsum(every_row[order])
    _check(top == (ends[-1] if ends.size else 0), "counts")
    _check(np.array_equal(every_base[order], ends - every_row[order]), "actors.ints")
    _check_within(arena.event, 0, 2**63, "arena.event")
    _check_within(arena.customer, 0, tables.customers.key.size + 1, "arena.customer")
    _check_chains(arena, base, rows, end)


def _free_chunks(arena: Arena, top: int) -> tuple[I64, I64]:
    """Return first row and size of all free chunks.

    Raises:
        SnapshotError: a list of them leaves the arena, or does not end.
    """
    bases: list[int] = []
    rows: list[int] = []
    left = top
    for n_rows, first in zip(CHUNK_ROWS, arena.free.tolist(), strict=True):
        base = first
        while base >= 0:
            left -= n_rows
            _check(left >= 0 and base < top, "arena.free")
            bases.append(base)
            rows.append(n_rows)
            base = int(arena.time_ns[base])
    return np.array(bases, dtype=np.int64), np.array(rows, dtype=np.int64)


def _check_chains(arena: Arena, base: I64, rows: I64, end: I64) -> None:
    """Refuse chains that leave their tail, or do not go back.

    Args:
        arena: recent rows.
        base: first row of each actor's chunk.
        rows: size of the chunk.
        end: end of the tail in it.
    """
    _, cell = _rows_of(base, rows)
    _check_links(arena.event_head[cell], np.repeat(end, rows))
    position, cell = _rows_of(base, end)
    _check_links(arena.event_next[cell], position)


def _check_links(links: NDArray[np.int16], most: I64) -> None:
    """Refuse links beyond ``most``; above each may be flags."""
    holds = (links >= 0).all() and (links & NEXT <= most).all()
    _check(holds, "arena", "has a chain that leads astray")


def _rows_of(base: I64, n: I64) -> tuple[I64, I64]:
    """Return the first ``n`` rows of each chunk, counted in the chunk and in the arena."""
    position = np.arange(n.sum()) - np.repeat(np.cumsum(n) - n, n)
    return position, np.repeat(base, n) + position
