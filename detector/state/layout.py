"""What is remembered: the arrays of the state and the names of their columns.

Everything is plain arrays so that kernels can read it, snapshots can save it and its size
is known. Columns of one actor lie side by side: one event touches few cache lines.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

I64 = NDArray[np.int64]
I32 = NDArray[np.int32]
I16 = NDArray[np.int16]
U16 = NDArray[np.uint16]
U32 = NDArray[np.uint32]
U8 = NDArray[np.uint8]
F64 = NDArray[np.float64]
F32 = NDArray[np.float32]

NO_DAY = -1
N_BINS = 96
N_RING = 32  # local days of the 30-day window, rounded up to a power of two

# The counts of an actor's day, each held against a negative binomial.
# 0-8: (records, customers, volume) × (largest 10 min, largest 1 h, day)
RECORDS_1D, CUSTOMERS_1D, VOLUME_1D = 2, 5, 8
NEW, UNEXPLAINED, EXPORTED, SENSITIVE, SECRET, OWN, NEAR_CAP, ORDERED, DENIED, SWITCHES = range(
    9, 19
)
FOREIGN = 19  # customers of foreign branches; scored by cross_branch in its own way
N_STATS = 20

# The fields of unfamiliar, in the order of Rows.value
FIELDS = ("system", "action", "device", "address", "channel", "data_class")
N_FIELDS = len(FIELDS)

# The counts slow_drip adds up over active days, and over how many
DRIP_STATS = (CUSTOMERS_1D, NEW, UNEXPLAINED, VOLUME_1D, SENSITIVE, FOREIGN)
N_DRIP = len(DRIP_STATS)
N_RECENT = 16  # active days remembered one by one

SETTLED_DAYS = 14  # before, every customer is new to an actor
N_DETECTORS = 10
# Raw scores are calibrated channel by channel: first one channel per detector, then those of
# counts whose tails are too different to share one.
VOLUME_CHANNEL, EXPORT_CHANNEL, SECRET_CHANNEL, DENIED_CHANNEL = range(10, 14)
BURST_CHANNEL, NOVELTY_CHANNEL, RULE_CHANNEL = 14, 15, 16
CHANNEL_DETECTOR = (*range(N_DETECTORS), 0, 0, 7, 9, 0, 0, 9)
N_CHANNELS = len(CHANNEL_DETECTOR)
N_LEVELS = 10  # distinct days of one customer within two weeks: 2 to 11

# Actors.ints
NEWEST_NS, PENDING_NS, ROLE, HOME, HOME_KEY, FIRST_DAY, REST_BASE, RING_DAY, FLAGGED = range(9)
CHUNK, CHUNK_CLASS, TAIL_START, TAIL_END = range(9, 13)
OPEN_10M, OPEN_1H = 13, 14  # first tail row inside the window
COUNTS_10M, COUNTS_1H = 15, 19  # events, records, customers, volume each
N_CLOSED, N_CLOSED_REST, N_CUSTOMER_PAIRS, N_BRANCH_PAIRS = 23, 24, 25, 26
HOME_GUESSED, HOME_VISITS = 27, 28  # nobody told us the home branch: the most visited one
CLOSED_UNTIL, N_VALUES, LAST_NUMBER, ORDERED_RUN = 29, 30, 31, 32
DEVICE, OTHER_DEVICE, OTHER_DEVICE_NS = 33, 34, 35
N_DRIP_DAYS, LAST_ACTIVE_DAY, LEFT_DAY = 36, 37, 38
FIRST_APPROVAL, N_APPROVALS, TICKETS_APPROVED = 39, 40, 41  # the first counts from 1, 0 = none
VERDICT_NS, VERDICT, REFUSED = 42, 43, 44  # REFUSED: bits like FLAGGED, days that taught nothing
UNLIKE, UNLIKE_RUN = 45, 46  # bits of days that did not look like the actor; how many in a row
N_INTS = 47

# Actors.baseline: means and weights per day kind, then dispersion sums, then rates
MEANS, WEIGHTS = 0, 2 * N_STATS
EXCESS = WEIGHTS + 2
SQUARES = EXCESS + N_STATS
DAYS_AWAY, DAYS_SEEN, AWAY_SIZE = range(SQUARES + N_STATS, SQUARES + N_STATS + 3)
PROFILE_N = AWAY_SIZE + 1  # events behind the profile, per field
PROFILE_NEW = PROFILE_N + N_FIELDS  # values that were new, per field
LAGGED = PROFILE_NEW + N_FIELDS  # what was usual before the recent days
LAGGED_DAYS = LAGGED + N_DRIP
REACHED = LAGGED_DAYS + 1  # customers a day that reach a level of distinct days
REACHED_DAYS = REACHED + N_LEVELS
KNOWN = REACHED_DAYS + 1  # what flagged days have already said, per detector
N_BASELINE = KNOWN + N_DETECTORS

# Small numbers from -1, "none", to 30 share columns of a day: days.small_number
SMALL_BITS, SMALL_PER_COLUMN = 5, 12

# Actors.day, one row per parity of the local day
DAY, KIND, EVENTS, FIRST_NS, LAST_NS = range(5)
BINS_LOW, BINS_HIGH, OUT_LOW, OUT_HIGH = range(5, 9)  # 48 quarter hours each
OUT_EVENTS, OUT_CUSTOMERS = 9, 10
BEST_BIN, BEST_BRANCH, FIRED, SAID_EVENTS, SAID_RECORDS, SAMPLED = range(11, 17)
BEST_DRIP, BEST_SPAN, BEST_LEVEL, LEVELS, ACCOUNT_RULE, ACCOUNT_FACT = range(17, 23)
BEST_STAT = 23  # one small number per channel; only those that count use it
LOUDEST = BEST_STAT + 2  # channel behind each detector's surprise, small numbers
TODAY_N = LOUDEST + 1  # events with a value, per field
TODAY_NEW = TODAY_N + N_FIELDS  # values never seen before, per field
COUNTS = TODAY_NEW + N_FIELDS
N_DAY = COUNTS + N_STATS

# Actors.surprise, one row per parity: raw per channel, calibrated per detector
RAW, CALIBRATED = 0, N_CHANNELS
BEST_HOUR = CALIBRATED + N_DETECTORS
SCORE, SAID_SCORE, OTHERS, WHOLE = range(BEST_HOUR + 1, BEST_HOUR + 5)
BALANCE = WHOLE + 1  # others against self over the whole day, in nats: above 0 others are likelier
N_SURPRISE = BALANCE + 1

# Actors.ring: one row each
RING_EVENTS, RING_RECORDS, RING_CUSTOMERS = range(3)

# Totals.counts
N_ACTORS, N_PAIRS, N_BRANCHES, ARENA_TOP = range(4)
DUPLICATES, LATE, JUMPS, UNSCORED, TAIL_LIMIT, CUSTOMER_LIMIT, BRANCH_LIMIT = range(4, 11)
N_VALUE_PAIRS, VALUE_LIMIT = 11, 12
VERDICTS, APPROVALS, APPROVAL_LIMIT, APPROVALS_TOP, FREE_APPROVAL = range(13, 18)
N_COUNTS = 18

SUPERSEDED, HAS_VOLUME = 1, 2  # Arena.flags

CHUNK_ROWS = (
    8, 10, 13, 16, 20, 25, 32, 40, 50, 64, 80, 100, 125, 160, 200, 250, 320, 400, 500, 640, 800,
    1000, 1250, 1600, 2000, 2560, 3200, 4096,
)  # fmt: skip


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
    recent: F32  # (slots, N_DRIP or 0, N_RECENT) counts of recent active days, newest first


class Arena(NamedTuple):
    """Recent rows of all actors; each actor owns one chunk, sorted by event time.

    Rows of a chunk with the same event, or customer, are found by chains, newest first:
    ``…_head`` is the last row of each bucket, ``…_next`` the one before each row; both count
    from 1 in their chunk, 0 = none. Service accounts have thousands of recent rows.
    """

    time_ns: I64
    event: I64
    customer: I64
    records: I32
    event_next: I16
    customer_next: I16
    event_head: I16
    customer_head: I16
    flags: U8
    free: I64  # first free chunk per size class, -1 = none; the next is in ``time_ns``


class CustomerPairs(NamedTuple):
    """Actor × customer, by open addressing (key 0 = free): the days of the last 32.

    Bit *i* of ``seen`` is set if the customer was looked at *i* days before ``last_day``,
    bit *i* of ``served`` if there was a business reason on that day.
    """

    key: I64
    slot: I32
    last_day: I16
    seen: U32
    served: U32
    secret_day: I16  # last day on which a record classed C3 was opened


class BranchPairs(NamedTuple):
    """Actor × branch: days visited (decayed), customers per visit, today's customers."""

    key: I64
    branch: I64
    row: I32  # of the branch in the model, 0 = unknown
    slot: I32
    closed: I32  # actor's N_CLOSED when last folded
    visits: F32
    size: F32  # mean customers per visit, beyond the first
    day: I16  # (n, 2) by parity, -1 = none
    today: I32  # (n, 2)


class ValuePairs(NamedTuple):
    """Actor × value of a field: how often it was used (decayed), and today's uses."""

    key: I64
    slot: I32
    closed: I32  # actor's N_CLOSED when last folded
    uses: F32
    day: I16  # (n, 2) by parity, -1 = none
    today: I32  # (n, 2)


class Approvals(NamedTuple):
    """Approvals that came as events, one list per actor; a key of 0 stands for any.

    ``following`` is the next of the list, from 1 on, 0 = none; free cells form one more list.
    """

    customer: I64
    branch: I64
    ticket: I64
    since_ns: I64
    until_ns: I64
    following: I32


class Tables(NamedTuple):
    """The whole learned and live state."""

    actors: Actors
    arena: Arena
    customers: CustomerPairs
    branches: BranchPairs
    values: ValuePairs
    approvals: Approvals
    counts: I64


def empty_actors(n_slots: int, n_table: int, n_drip: int) -> Actors:
    """Allocate slots and their hash table, all unused; ``n_drip`` is 0 without slow_drip."""
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
        recent=np.zeros((n_slots, n_drip, N_RECENT), dtype=np.float32),
    )


# Largest columns first: a cell is then as small as it can be
_ROW_CELL = [
    ("time_ns", np.int64), ("event", np.int64), ("customer", np.int64), ("records", np.int32),
    ("event_next", np.int16), ("customer_next", np.int16),
]  # fmt: skip
_BUCKET_CELL = [("event_head", np.int16), ("customer_head", np.int16)]
_CUSTOMER_CELL = [
    ("key", np.int64), ("seen", np.uint32), ("served", np.uint32), ("slot", np.int32),
    ("last_day", np.int16), ("secret_day", np.int16),
]  # fmt: skip
_BRANCH_CELL = [
    ("key", np.int64), ("branch", np.int64), ("today", np.int32, 2), ("row", np.int32),
    ("slot", np.int32), ("closed", np.int32), ("visits", np.float32), ("size", np.float32),
    ("day", np.int16, 2),
]  # fmt: skip
_VALUE_CELL = [
    ("key", np.int64), ("today", np.int32, 2), ("slot", np.int32), ("closed", np.int32),
    ("uses", np.float32), ("day", np.int16, 2),
]  # fmt: skip

_APPROVAL_CELL = [
    ("customer", np.int64), ("branch", np.int64), ("ticket", np.int64), ("since_ns", np.int64),
    ("until_ns", np.int64), ("following", np.int32),
]  # fmt: skip


def empty_arena(n_rows: int) -> Arena:
    """Allocate room for ``n_rows`` recent rows."""
    return Arena(
        **_columns(_ROW_CELL, n_rows),
        **_columns(_BUCKET_CELL, n_rows),
        flags=np.zeros(n_rows, dtype=np.uint8),
        free=np.full(len(CHUNK_ROWS), -1, dtype=np.int64),
    )


def _columns(cell: list[Any], n_table: int) -> dict[str, Any]:
    """Allocate columns cell by cell: what is looked at together shares a cache line."""
    table = np.zeros(n_table, dtype=np.dtype(cell, align=True))
    return {name: table[name] for name, *_ in cell}


def empty_customers(n_table: int) -> CustomerPairs:
    """Allocate an actor × customer table of this size."""
    return CustomerPairs(**_columns(_CUSTOMER_CELL, n_table))


def empty_branches(n_table: int) -> BranchPairs:
    """Allocate an actor × branch table of this size."""
    columns = _columns(_BRANCH_CELL, n_table)
    columns["day"][:] = NO_DAY
    return BranchPairs(**columns)


def empty_values(n_table: int) -> ValuePairs:
    """Allocate an actor × value table of this size."""
    columns = _columns(_VALUE_CELL, n_table)
    columns["day"][:] = NO_DAY
    return ValuePairs(**columns)


def empty_approvals(n_cells: int) -> Approvals:
    """Allocate room for so many approvals."""
    return Approvals(**_columns(_APPROVAL_CELL, n_cells))


def empty_tables(*, has_drip: bool) -> Tables:
    """Start with nothing remembered and little memory taken."""
    return Tables(
        actors=empty_actors(64, 192, N_DRIP if has_drip else 0),
        arena=empty_arena(4 * CHUNK_ROWS[-1]),
        customers=empty_customers(1024),
        branches=empty_branches(256),
        values=empty_values(512),
        approvals=empty_approvals(64),
        counts=np.zeros(N_COUNTS, dtype=np.int64),
    )
