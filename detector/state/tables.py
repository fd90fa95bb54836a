"""Find and insert: actors by user, pairs by mixed key. Open addressing, linear probing."""

from __future__ import annotations

from detector.compiled import kernel, part
from detector.state.layout import (
    HOME,
    I64,
    N_ACTORS,
    N_BRANCHES,
    N_PAIRS,
    N_VALUE_PAIRS,
    NO_DAY,
    ROLE,
    U8,
    U32,
    Actors,
    BranchPairs,
    CustomerPairs,
    ValuePairs,
)

NOT_FOUND = -1


@part
def home_cell(key: int, size: int) -> int:
    """Map a 63-bit key to [0, size): the high bits, scaled; any size will do."""
    return ((key >> 31) * size) >> 32


@kernel
def find_actor(actors: Actors, user: int) -> int:
    """Return the slot of a user, or NOT_FOUND."""
    size = actors.table.size
    cell = home_cell(user, size)
    while actors.table[cell] >= 0:
        slot = actors.table[cell]
        if actors.user[slot] == user:
            return int(slot)
        cell = cell + 1 if cell + 1 < size else 0
    return NOT_FOUND


@part
def add_actor(actors: Actors, counts: I64, user: int) -> int:
    """Take the next slot for a user who is not there yet; room is the caller's care."""
    size = actors.table.size
    cell = home_cell(user, size)
    while actors.table[cell] >= 0:
        cell = cell + 1 if cell + 1 < size else 0
    slot = counts[N_ACTORS]
    counts[N_ACTORS] = slot + 1
    actors.table[cell] = slot
    actors.user[slot] = user
    actors.ints[slot, ROLE] = -1
    actors.ints[slot, HOME] = -1
    return int(slot)


@kernel
def fill_actor_table(actors: Actors, n_actors: int) -> None:
    """Enter all slots into an empty table after it has grown."""
    size = actors.table.size
    for slot in range(n_actors):
        cell = home_cell(actors.user[slot], size)
        while actors.table[cell] >= 0:
            cell = cell + 1 if cell + 1 < size else 0
        actors.table[cell] = slot


@part
def find_cell(keys: I64, key: int) -> int:
    """Return the cell that holds ``key``, or the free cell where it belongs."""
    size = keys.size
    cell = home_cell(key, size)
    while keys[cell] != 0 and keys[cell] != key:
        cell = cell + 1 if cell + 1 < size else 0
    return int(cell)


@part
def add_customer(pairs: CustomerPairs, counts: I64, cell: int, key: int, slot: int) -> None:
    """Claim a free cell for an actor × customer pair."""
    pairs.key[cell] = key
    pairs.slot[cell] = slot
    pairs.last_day[cell] = NO_DAY
    pairs.seen[cell] = 0
    pairs.served[cell] = 0
    pairs.tail[cell] = 0
    counts[N_PAIRS] += 1


@part
def add_branch(
    pairs: BranchPairs, counts: I64, cell: int, key: int, branch: int, slot: int, closed: int
) -> None:
    """Claim a free cell for an actor × branch pair."""
    pairs.key[cell] = key
    pairs.branch[cell] = branch
    pairs.slot[cell] = slot
    pairs.closed[cell] = closed
    pairs.day[cell, 0], pairs.day[cell, 1] = NO_DAY, NO_DAY
    counts[N_BRANCHES] += 1


@part
def add_value(pairs: ValuePairs, counts: I64, cell: int, key: int, slot: int, closed: int) -> None:
    """Claim a free cell for an actor × value pair."""
    pairs.key[cell] = key
    pairs.slot[cell] = slot
    pairs.closed[cell] = closed
    pairs.day[cell, 0], pairs.day[cell, 1] = NO_DAY, NO_DAY
    counts[N_VALUE_PAIRS] += 1


@kernel
def place_keys(old: I64, kept: U8, new: I64, target: I64) -> int:
    """Enter the keys of a table into a larger, empty one, in the order of their cells.

    Args:
        old: (n,) keys, 0 = free.
        kept: (n,) 1 for those to keep.
        new: (m,) receives the keys.
        target: (n,) receives the new cell of each key, -1 where there is none.

    Returns:
        How many keys were kept.
    """
    n_kept = 0
    for cell in range(old.size):
        target[cell] = -1
        if old[cell] != 0 and kept[cell] == 1:
            target[cell] = find_cell(new, old[cell])
            new[target[cell]] = old[cell]
            n_kept += 1
    return n_kept


@kernel
def move_cells(old: U32, new: U32, target: I64) -> None:
    """Copy whole cells of a table, as (n, words), to where their keys have been entered."""
    for cell in range(target.size):
        if target[cell] >= 0:
            for word in range(old.shape[1]):
                new[target[cell], word] = old[cell, word]
