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
CLOSED_UNTIL = 29
FIRST_APPROVAL, N_APPROVALS, TICKETS_APPROVED = 30, 31, 32  # the first counts from 1, 0 = none
VERDICT_NS, VERDICT, REFUSED = 33, 34, 35  # REFUSED: bits like FLAGGED, days that taught nothing
LINE = 36  # lines of the open days, by parity; 0 = none
REST_LINE = 38  # of the hours on rest days; 0 = none has taught yet
TAIL_SHIFT = 39  # rows that have gone from the front of the tail, modulo MAX_TAIL
UNLIKE = 40  # bits of days that did not look like the actor
N_FIRST_INTS = 41
# Only there if one of the detectors that read them is watched
LAST_NUMBER, ORDERED_RUN, DEVICE, OTHER_DEVICE, OTHER_DEVICE_NS = range(41, 46)
N_DRIP_DAYS, LAST_ACTIVE_DAY, LEFT_DAY, N_VALUES = range(46, 50)
UNLIKE_RUN = 50  # days in a row that did not look like the actor
N_INTS = 51

# Actors.baseline: means and weights per day kind, then dispersion sums, then rates
MEANS, WEIGHTS = 0, 2 * N_STATS
EXCESS = WEIGHTS + 2
SQUARES = EXCESS + N_STATS
DAYS_AWAY, DAYS_SEEN, AWAY_SIZE = range(SQUARES + N_STATS, SQUARES + N_STATS + 3)
KNOWN = AWAY_SIZE + 1  # what flagged days have already said, per detector
N_FIRST_BASELINE = KNOWN + N_DETECTORS
# Only there if one of the detectors that read them is watched
LAGGED = N_FIRST_BASELINE  # what was usual before the recent days
LAGGED_DAYS = LAGGED + N_DRIP
REACHED = LAGGED_DAYS + 1  # customers a day that reach a level of distinct days
REACHED_DAYS = REACHED + N_LEVELS
PROFILE_N = REACHED_DAYS + 1  # events behind the profile, per field
PROFILE_NEW = PROFILE_N + N_FIELDS  # values that were new, per field
N_BASELINE = PROFILE_NEW + N_FIELDS

# Small numbers from -1, "none", to 30 share columns of a day: days.small_number
SMALL_BITS, SMALL_PER_COLUMN = 5, 12

# Days.ints
DAY, KIND, EVENTS, FIRST_NS, LAST_NS = range(5)
BINS_LOW, BINS_HIGH, OUT_LOW, OUT_HIGH = range(5, 9)  # 48 quarter hours each
OUT_EVENTS, OUT_CUSTOMERS = 9, 10
BEST_BIN, BEST_BRANCH, FIRED, SAID_EVENTS, SAID_RECORDS, SAMPLED = range(11, 17)
BEST_DRIP, BEST_SPAN, BEST_LEVEL, LEVELS, ACCOUNT_RULE, ACCOUNT_FACT = range(17, 23)
BEST_STAT = 23  # one small number per channel; only those that count use it
LOUDEST = BEST_STAT + 2  # channel behind each detector's surprise, small numbers
COUNTS = LOUDEST + 1
N_FIRST_DAY = COUNTS + N_STATS
# Only there if unfamiliar is watched
TODAY_N = N_FIRST_DAY  # events with a value, per field
TODAY_NEW = TODAY_N + N_FIELDS  # values never seen before, per field
N_DAY = TODAY_NEW + N_FIELDS

# Days.surprise: raw per channel, calibrated per detector
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
DAYS_TOP, FREE_DAY, REST_TOP = 18, 19, 20  # line 0 of both is for nobody
N_COUNTS = 21

# Arena.event_next: the link, and above it what is so of the row
NEXT, SUPERSEDED, HAS_VOLUME = 0x1FFF, 0x2000, 0x4000

CHUNK_ROWS = (
    8, 10, 13, 16, 20, 25, 32, 40, 50, 64, 80, 100, 125, 160, 200, 250, 320, 400, 500, 640, 800,
    1000, 1250, 1600, 2000, 2560, 3200, 4096,
)  # fmt: skip
MAX_TAIL = CHUNK_ROWS[-1]
# CustomerPairs.tail: number of the last row, modulo MAX_TAIL; above it days with a secret
TAIL_NUMBER, SECRET_SHIFT, SECRET_DAYS = MAX_TAIL - 1, 12, 0xF


class Actors(NamedTuple):
    """One slot per actor; ``table`` finds the slot by open addressing (-1 = free)."""

    table: I32
    user: I64
    ints: I64
    baseline: F32
    hours: U16  # (slots, 96): share of working days with work in this quarter / 65535
    ring: I32
    recent: F32  # (slots, N_DRIP or 0, N_RECENT) counts of recent active days, newest first


class Days(NamedTuple):
    """Open local days: a line each, and most actors have one. ``LINE`` leads to it.

    Line 0 is "no day". Free lines form a list, through EVENTS.
    """

    ints: I64
    surprise: F64


class RestHours(NamedTuple):
    """As ``Actors.hours``, of rest days: a line for whoever has worked on one; 0 is empty."""

    share: U16


class Arena(NamedTuple):
    """Recent rows of all actors; each actor owns one chunk, sorted by event time.

    Rows of a chunk with the same event are found by chains, newest first: ``event_head`` is
    the last row of each bucket, ``event_next`` the one before each row; both count from 1 in
    their chunk, 0 = none. Service accounts have thousands of recent rows.
    """

    time_ns: I64
    event: I64
    customer: I32  # cell of the actor × customer table, from 1 on; 0 = none
    records: I32
    event_next: I16  # with two flags
    event_head: I16
    free: I64  # first free chunk per size class, -1 = none; the next is in ``time_ns``


class CustomerPairs(NamedTuple):
    """Actor × customer, by open addressing (key 0 = free): the days of the last 32.

    Bit *i* of ``seen`` is set if the customer was looked at *i* days before ``last_day``,
    bit *i* of ``served`` if there was a business reason on that day, bit *i* of the highest of
    ``tail`` if a record classed C3 was opened.
    """

    key: I64
    slot: I32
    last_day: I16
    seen: U32
    served: U32
    tail: U16  # number of the last row in the actor's tail, and days with a secret


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
    days: Days
    rest: RestHours
    arena: Arena
    customers: CustomerPairs
    branches: BranchPairs
    values: ValuePairs
    approvals: Approvals
    counts: I64


class Widths(NamedTuple):
    """How many columns are kept: what only detectors read that are off is left out."""

    ints: int
    baseline: int
    day: int
    drip: int


def empty_actors(n_slots: int, n_table: int, widths: Widths) -> Actors:
    """Allocate slots and their hash table, all unused."""
    return Actors(
        table=np.full(n_table, -1, dtype=np.int32),
        user=np.zeros(n_slots, dtype=np.int64),
        ints=np.zeros((n_slots, widths.ints), dtype=np.int64),
        baseline=np.zeros((n_slots, widths.baseline), dtype=np.float32),
        hours=np.zeros((n_slots, N_BINS), dtype=np.uint16),
        ring=np.zeros((n_slots, 3, N_RING), dtype=np.int32),
        recent=np.zeros((n_slots, widths.drip, N_RECENT), dtype=np.float32),
    )


def empty_days(n_lines: int, n_columns: int) -> Days:
    """Allocate lines for open days."""
    days = Days(
        ints=np.zeros((n_lines, n_columns), dtype=np.int64),
        surprise=np.zeros((n_lines, N_SURPRISE), dtype=np.float64),
    )
    days.ints[:, DAY] = NO_DAY
    return days


def empty_rest(n_lines: int) -> RestHours:
    """Allocate lines for the hours of rest days."""
    return RestHours(share=np.zeros((n_lines, N_BINS), dtype=np.uint16))


# Largest columns first: a cell is then as small as it can be
_ROW_CELL = [
    ("time_ns", np.int64), ("event", np.int64), ("customer", np.int32), ("records", np.int32),
]  # fmt: skip
_LINK_CELL = [("event_next", np.int16), ("event_head", np.int16)]
_CUSTOMER_CELL = [
    ("key", np.int64), ("seen", np.uint32), ("served", np.uint32), ("slot", np.int32),
    ("last_day", np.int16), ("tail", np.uint16),
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
        **_columns(_LINK_CELL, n_rows),
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
    return BranchPairs(**_columns(_BRANCH_CELL, n_table))


def empty_values(n_table: int) -> ValuePairs:
    """Allocate an actor × value table of this size."""
    return ValuePairs(**_columns(_VALUE_CELL, n_table))


def empty_approvals(n_cells: int) -> Approvals:
    """Allocate room for so many approvals."""
    return Approvals(**_columns(_APPROVAL_CELL, n_cells))


def empty_tables(widths: Widths) -> Tables:
    """Start with nothing remembered and little memory taken."""
    counts = np.zeros(N_COUNTS, dtype=np.int64)
    counts[[DAYS_TOP, REST_TOP]] = 1
    return Tables(
        actors=empty_actors(64, 192, widths),
        days=empty_days(64, widths.day),
        rest=empty_rest(64),
        arena=empty_arena(4 * MAX_TAIL),
        customers=empty_customers(1024),
        branches=empty_branches(256),
        values=empty_values(512),
        approvals=empty_approvals(64),
        counts=counts,
    )
