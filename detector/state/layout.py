"""What is remembered: the arrays of the state and the names of their columns.

Everything is plain arrays so that kernels can read it, snapshots can save it and its size
is known. Columns of one actor lie side by side: one event touches few cache lines.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

I64 = NDArray[np.int64]
I32 = NDArray[np.int32]
I16 = NDArray[np.int16]
U16 = NDArray[np.uint16]
U8 = NDArray[np.uint8]
F64 = NDArray[np.float64]
F32 = NDArray[np.float32]

NO_DAY = -1
N_BINS = 96
N_STATS = 9  # (records, customers, volume) × (10 min, 1 h, day)
N_RING = 32  # local days of the 30-day window, rounded up to a power of two

# Actors.ints
NEWEST_NS, PENDING_NS, ROLE, HOME, HOME_KEY, FIRST_DAY, REST_BASE, RING_DAY, FLAGGED = range(9)
CHUNK, CHUNK_CLASS, TAIL_START, TAIL_END = range(9, 13)
OPEN_10M, OPEN_1H = 13, 14  # first tail row inside the window
COUNTS_10M, COUNTS_1H = 15, 19  # events, records, customers, volume each
N_CLOSED, N_CLOSED_REST, N_CUSTOMER_PAIRS, N_BRANCH_PAIRS = 23, 24, 25, 26
HOME_GUESSED, HOME_VISITS = 27, 28  # nobody told us the home branch: the most visited one
CLOSED_UNTIL = 29
N_INTS = 30

# Actors.baseline: means and weights per day kind, then dispersion sums, then rates
MEANS, WEIGHTS, EXCESS, SQUARES = 0, 18, 20, 29
DAYS_AWAY, DAYS_SEEN, AWAY_SIZE = 38, 39, 40
N_BASELINE = 41

# Actors.day, one row per parity of the local day
DAY, KIND, EVENTS, RECORDS, CUSTOMERS, VOLUME, FIRST_NS, LAST_NS = range(8)
PEAKS = 8  # six: quantity × (10 min, 1 h); those of the day are its counts
BINS_LOW, BINS_HIGH, OUT_LOW, OUT_HIGH = range(14, 18)  # 48 quarter hours each
OUT_EVENTS, OUT_CUSTOMERS, FOREIGN = 18, 19, 20
BEST_STAT, BEST_BIN, BEST_BRANCH, FIRED, SAID_EVENTS, SAID_RECORDS, SAMPLED = range(21, 28)
N_DAY = 28

# Actors.surprise, one row per parity: raw and calibrated per detector
RAW, CALIBRATED, BEST_HOUR, SCORE, SAID_SCORE = 0, 3, 6, 7, 8
N_SURPRISE = 9

# Actors.ring: one row each
RING_EVENTS, RING_RECORDS, RING_CUSTOMERS = range(3)

# Totals.counts
N_ACTORS, N_PAIRS, N_BRANCHES, ARENA_TOP = range(4)
DUPLICATES, LATE, JUMPS, UNSCORED, TAIL_LIMIT, CUSTOMER_LIMIT, BRANCH_LIMIT = range(4, 11)
N_COUNTS = 11

SUPERSEDED, HAS_VOLUME = 1, 2  # Arena.flags

CHUNK_ROWS = (8, 12, 18, 28, 42, 64, 96, 144, 216, 324, 486, 730, 1096, 1644, 2466, 4096)


class Actors(NamedTuple):
    """One slot per actor; ``table`` finds the slot by open addressing (-1 = free)."""

    table: I32
    user: I64
    ints: I64
    baseline: F32
    hours: U16  # (slots, 2, 96): share of active days with work in this quarter / 65535
    ring: I32
    day: I64
    surprise: F64


class Arena(NamedTuple):
    """Recent rows of all actors; each actor owns one chunk, sorted by event time."""

    time_ns: I64
    event: I64
    customer: I64
    records: I32
    flags: U8
    free: I64  # first free chunk per size class, -1 = none; the next is in ``time_ns``


class CustomerPairs(NamedTuple):
    """Actor × customer: the two most recent local days, by open addressing (key 0 = free)."""

    key: I64
    slot: I32
    last_day: I16
    previous_day: I16


class BranchPairs(NamedTuple):
    """Actor × branch: days visited (decayed), customers per visit, today's customers."""

    key: I64
    branch: I64
    row: I32  # of the branch in the model, 0 = unknown
    slot: I32
    closed: I32  # actor's N_CLOSED when last folded
    visits: F32
    size: F32  # mean customers per visit, beyond the first
    day: I32  # (n, 2) by parity, -1 = none
    today: I32  # (n, 2)


class Tables(NamedTuple):
    """The whole learned and live state."""

    actors: Actors
    arena: Arena
    customers: CustomerPairs
    branches: BranchPairs
    counts: I64


def empty_actors(n_slots: int, n_table: int) -> Actors:
    """Allocate slots and their hash table, all unused."""
    day = np.zeros((n_slots, 2, N_DAY), dtype=np.int64)
    day[:, :, DAY] = NO_DAY
    return Actors(
        table=np.full(n_table, -1, dtype=np.int32),
        user=np.zeros(n_slots, dtype=np.int64),
        ints=np.zeros((n_slots, N_INTS), dtype=np.int64),
        baseline=np.zeros((n_slots, N_BASELINE), dtype=np.float32),
        hours=np.zeros((n_slots, 2, N_BINS), dtype=np.uint16),
        ring=np.zeros((n_slots, 3, N_RING), dtype=np.int32),
        day=day,
        surprise=np.zeros((n_slots, 2, N_SURPRISE), dtype=np.float64),
    )


def empty_arena(n_rows: int) -> Arena:
    """Allocate room for ``n_rows`` recent rows."""
    return Arena(
        time_ns=np.zeros(n_rows, dtype=np.int64),
        event=np.zeros(n_rows, dtype=np.int64),
        customer=np.zeros(n_rows, dtype=np.int64),
        records=np.zeros(n_rows, dtype=np.int32),
        flags=np.zeros(n_rows, dtype=np.uint8),
        free=np.full(len(CHUNK_ROWS), -1, dtype=np.int64),
    )


def empty_customers(n_table: int) -> CustomerPairs:
    """Allocate an actor × customer table of this size."""
    return CustomerPairs(
        key=np.zeros(n_table, dtype=np.int64),
        slot=np.zeros(n_table, dtype=np.int32),
        last_day=np.full(n_table, NO_DAY, dtype=np.int16),
        previous_day=np.full(n_table, NO_DAY, dtype=np.int16),
    )


def empty_branches(n_table: int) -> BranchPairs:
    """Allocate an actor × branch table of this size."""
    return BranchPairs(
        key=np.zeros(n_table, dtype=np.int64),
        branch=np.zeros(n_table, dtype=np.int64),
        row=np.zeros(n_table, dtype=np.int32),
        slot=np.zeros(n_table, dtype=np.int32),
        closed=np.zeros(n_table, dtype=np.int32),
        visits=np.zeros(n_table, dtype=np.float32),
        size=np.zeros(n_table, dtype=np.float32),
        day=np.full((n_table, 2), NO_DAY, dtype=np.int32),
        today=np.zeros((n_table, 2), dtype=np.int32),
    )


def empty_tables() -> Tables:
    """Start with nothing remembered and little memory taken."""
    return Tables(
        actors=empty_actors(64, 128),
        arena=empty_arena(4 * CHUNK_ROWS[-1]),
        customers=empty_customers(1024),
        branches=empty_branches(256),
        counts=np.zeros(N_COUNTS, dtype=np.int64),
    )
