"""Local days of an actor: at most two are open, one per parity of the day number.

Days lie apart from actors: most of the time only one is open.

A day closes when the actor's own clock is past its end by more than the lateness allowed.
"""

from __future__ import annotations

import numpy as np

from detector.compiled import aside, kernel, part
from detector.state.layout import (
    BEST_BIN,
    CLOSED_UNTIL,
    COUNTS,
    DAY,
    DAYS_TOP,
    EVENTS,
    FIRST_NS,
    FLAGGED,
    FREE_DAY,
    I32,
    I64,
    KIND,
    LAST_NS,
    LINE,
    N_RING,
    NO_DAY,
    RECORDS_1D,
    REFUSED,
    RING_CUSTOMERS,
    RING_DAY,
    RING_EVENTS,
    RING_RECORDS,
    SAID_SCORE,
    SECRET_DAYS,
    SECRET_SHIFT,
    SMALL_BITS,
    SMALL_PER_COLUMN,
    TAIL_NUMBER,
    UNLIKE,
    VOLUME_1D,
    CustomerPairs,
    Days,
)

WINDOW_DAYS = 30
KNOWN_TODAY, NEW_TODAY, NEVER_SEEN = range(3)
_ALL_DAYS = 0xFFFFFFFF
_SMALLEST_BITS = np.int64((1 << SMALL_BITS) - 1)


@part
def pass_time(me: I64, day: int, second: int, lateness_s: int) -> None:
    """Let the actor's clock pass ``second`` of local ``day``: older days can then close."""
    over = day - 1 if second >= lateness_s else day - 2
    me[CLOSED_UNTIL] = max(me[CLOSED_UNTIL], over)


@part
def day_of_row(me: I64, day: int) -> int:
    """Return the open day on which a row of local ``day`` counts.

    Only two days can be open. A row outside them (its branch moved to another zone) counts
    on the nearer one: it is never lost, and never reopens what has been learned.
    """
    return int(min(max(day, me[CLOSED_UNTIL] + 1), me[CLOSED_UNTIL] + 2))


@part
def open_day(days: Days, counts: I64, me: I64, day: int, kind: int) -> None:
    """Give an actor a line for a day; the caller of the loop has checked that there is room."""
    at = LINE + (day & 1)
    if me[at] == 0:
        me[at] = counts[FREE_DAY]
        if me[at] == 0:
            me[at] = counts[DAYS_TOP]
            counts[DAYS_TOP] += 1
        else:
            counts[FREE_DAY] = days.ints[me[at], EVENTS]
    start_day(days, me[at], day, kind)


@aside
def start_day(days: Days, line: int, day: int, kind: int) -> None:
    """Clear a line for a new day."""
    for column in range(days.ints.shape[1]):
        days.ints[line, column] = 0
    days.ints[line, DAY] = day
    days.ints[line, KIND] = kind
    days.ints[line, BEST_BIN] = -1
    days.surprise[line, :] = 0.0
    days.surprise[line, SAID_SCORE] = -1.0


@part
def close_day(days: Days, counts: I64, me: I64, parity: int) -> None:
    """Give the line of a day back."""
    line = me[LINE + parity]
    days.ints[line, DAY] = NO_DAY
    days.ints[line, EVENTS] = counts[FREE_DAY]
    counts[FREE_DAY] = line
    me[LINE + parity] = 0


@part
def small_number(day: I64, first: int, i: int) -> int:
    """Return the ``i``-th small number of a day that start in column ``first``; -1 = none."""
    shift = SMALL_BITS * (i % SMALL_PER_COLUMN)
    return int((day[first + i // SMALL_PER_COLUMN] >> shift) & _SMALLEST_BITS) - 1


@part
def set_small_number(day: I64, first: int, i: int, number: int) -> None:
    """Write the ``i``-th small number of a day that start in column ``first``."""
    shift = SMALL_BITS * (i % SMALL_PER_COLUMN)
    column = first + i // SMALL_PER_COLUMN
    day[column] = (day[column] & ~(_SMALLEST_BITS << shift)) | (np.int64(number + 1) << shift)


@part
def advance_ring(me: I64, ring: I32, day: int) -> None:
    """Move the 30-day window of an actor so that it ends at ``day``."""
    if day > me[RING_DAY]:
        _move_ring(me, ring, day)


@aside
def _move_ring(me: I64, ring: I32, day: int) -> None:
    steps = min(day - me[RING_DAY], N_RING)
    for i in range(steps):
        cell = (day - i) & (N_RING - 1)
        ring[RING_EVENTS, cell] = 0
        ring[RING_RECORDS, cell] = 0
        ring[RING_CUSTOMERS, cell] = 0
    for bits in (FLAGGED, REFUSED, UNLIKE):
        me[bits] = (me[bits] << steps) & _ALL_DAYS if steps < N_RING else 0
    me[RING_DAY] = day


@part
def set_bit(me: I64, bits: int, day: int) -> None:
    """Set the bit of a closed day in FLAGGED, REFUSED or UNLIKE, if it lies in the window."""
    back = me[RING_DAY] - day
    if 0 <= back < N_RING:
        me[bits] |= 1 << back


@part
def has_bit(me: I64, bits: int, day: int) -> bool:
    """Tell whether the bit of a closed day is set; of days before the window none is."""
    back = me[RING_DAY] - day
    return bool(0 <= back < N_RING and (me[bits] >> back) & 1 == 1)


@part
def mark_day(me: I64, day: int, weight: float) -> None:
    """Remember of a closed day that it teaches less than others, or nothing."""
    if weight < 1.0:
        set_bit(me, FLAGGED, day)
    if weight == 0.0:
        set_bit(me, REFUSED, day)


@part
def weight_of_day(me: I64, day: int, flagged_weight: float) -> float:
    """Return how much a closed day teaches; of days before the window nothing is known."""
    if not has_bit(me, FLAGGED, day):
        return 1.0
    return 0.0 if has_bit(me, REFUSED, day) else flagged_weight


@kernel
def customers_30d(me: I64, ring: I32) -> int:
    """Count distinct customers of the 30 local days that end at the actor's newest."""
    return sum_30d(me, ring, RING_CUSTOMERS)


@part
def sum_30d(me: I64, ring: I32, which: int) -> int:
    """Add up events or records of the 30 local days that end at the actor's newest."""
    total = 0
    for back in range(WINDOW_DAYS):
        total += ring[which, (me[RING_DAY] - back) & (N_RING - 1)]
    return total


@part
def count_customer(pairs: CustomerPairs, cell: int, me: I64, ring: I32, day: int) -> int:
    """Note a customer on a local day.

    Returns:
        KNOWN_TODAY, NEW_TODAY, or NEVER_SEEN if also new within 30 days.
    """
    last, seen = np.int64(pairs.last_day[cell]), np.int64(pairs.seen[cell])
    if last != NO_DAY and day <= last:
        back = int(min(int(last) - day, N_RING - 1))
        if (seen >> back) & 1 == 1:
            return KNOWN_TODAY
        pairs.seen[cell] = seen | (np.int64(1) << back)
        return NEW_TODAY if seen >> back != 0 else NEVER_SEEN
    apart = int(day - last) if last != NO_DAY else N_RING
    served = np.int64(pairs.served[cell])
    pairs.seen[cell] = ((seen << apart) | 1) & _ALL_DAYS if apart < N_RING else 1
    pairs.served[cell] = (served << apart) & _ALL_DAYS if apart < N_RING else 0
    _age_secrets(pairs, cell, apart)
    if last != NO_DAY and me[RING_DAY] - last < N_RING:
        ring[RING_CUSTOMERS, last & (N_RING - 1)] -= 1
    if me[RING_DAY] - day < N_RING:
        ring[RING_CUSTOMERS, day & (N_RING - 1)] += 1
    pairs.last_day[cell] = day
    return NEVER_SEEN if apart > WINDOW_DAYS else NEW_TODAY


@part
def _age_secrets(pairs: CustomerPairs, cell: int, apart: int) -> None:
    """Let days with a secret lie so many days further back; two days can be open."""
    tail = np.int64(pairs.tail[cell])
    if tail >> SECRET_SHIFT != 0:
        secret = (tail >> SECRET_SHIFT << min(apart, SECRET_SHIFT)) & SECRET_DAYS
        pairs.tail[cell] = (tail & TAIL_NUMBER) | (secret << SECRET_SHIFT)


@part
def note_secret(pairs: CustomerPairs, cell: int, day: int) -> bool:
    """Note that a secret of a customer was seen on an open day; tell whether it is the first."""
    tail, back = np.int64(pairs.tail[cell]), int(pairs.last_day[cell]) - day
    bit = (np.int64(1) << min(back, SECRET_SHIFT) & SECRET_DAYS) << SECRET_SHIFT
    pairs.tail[cell] = tail | bit
    return bool(tail & bit == 0)


@part
def note_reason(pairs: CustomerPairs, cell: int, day: int) -> bool:
    """Note a business reason for a customer on a day; tell whether it is the day's first."""
    back = int(min(int(pairs.last_day[cell]) - day, N_RING - 1))
    served = np.int64(pairs.served[cell])
    pairs.served[cell] = served | (np.int64(1) << back)
    return bool((served >> back) & 1 == 0)


@part
def was_seen_before(pairs: CustomerPairs, cell: int, day: int) -> bool:
    """Tell whether a customer was looked at on an earlier day of the last 30."""
    back = int(min(int(pairs.last_day[cell]) - day, N_RING - 1))
    earlier = np.int64(pairs.seen[cell]) >> (back + 1)
    return bool(earlier & ((np.int64(1) << WINDOW_DAYS) - 1) != 0)


@part
def count_row(day: I64, me: I64, ring: I32, t_ns: int, records: int, volume: bool) -> int:
    """Count a row on its open day; return the bits of the day counts that have grown."""
    if day[EVENTS] == 0 or t_ns < day[FIRST_NS]:
        day[FIRST_NS] = t_ns
    if day[EVENTS] == 0 or t_ns > day[LAST_NS]:
        day[LAST_NS] = t_ns
    day[EVENTS] += 1
    if me[RING_DAY] - day[DAY] < N_RING:
        cell = day[DAY] & (N_RING - 1)
        ring[RING_EVENTS, cell] += 1
        ring[RING_RECORDS, cell] = min(ring[RING_RECORDS, cell] + records, 2_000_000_000)
    grown = add_count(day, RECORDS_1D, records)
    return grown | add_count(day, VOLUME_1D, records) if volume else grown


@part
def add_count(day: I64, stat: int, n: int) -> int:
    """Add to one of the day's counts; return its bit if it has grown."""
    day[COUNTS + stat] += n
    return 1 << stat if n > 0 else 0


@part
def raise_peaks(day: I64, counts: I64, window: int, first: int) -> int:
    """Lift the day's largest windows to the counts that start at ``first``; return the bits.

    Args:
        day: integers of the open day.
        counts: events, records, customers, volume from column ``first`` on.
        window: 0 for 10 min, 1 for 1 h.
        first: column of the events.
    """
    grown = 0
    for quantity in range(3):
        stat = quantity * 3 + window
        if counts[first + 1 + quantity] > day[COUNTS + stat]:
            day[COUNTS + stat] = counts[first + 1 + quantity]
            grown |= 1 << stat
    return grown
