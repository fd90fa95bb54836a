"""Local days of an actor: at most two are open, one per parity of the day number.

A day closes when the actor's own clock is past its end by more than the lateness allowed.
"""

from __future__ import annotations

from detector.compiled import kernel
from detector.state.layout import (
    BEST_BIN,
    BEST_STAT,
    CLOSED_UNTIL,
    CUSTOMERS,
    DAY,
    EVENTS,
    F64,
    FIRST_NS,
    FLAGGED,
    I32,
    I64,
    KIND,
    LAST_NS,
    N_DAY,
    N_RING,
    NO_DAY,
    PEAKS,
    RECORDS,
    RING_CUSTOMERS,
    RING_DAY,
    RING_EVENTS,
    RING_RECORDS,
    SAID_SCORE,
    VOLUME,
    CustomerPairs,
)

WINDOW_DAYS = 30


@kernel
def pass_time(me: I64, day: int, second: int, lateness_s: int) -> None:
    """Let the actor's clock pass ``second`` of local ``day``: older days can then close."""
    over = day - 1 if second >= lateness_s else day - 2
    me[CLOSED_UNTIL] = max(me[CLOSED_UNTIL], over)


@kernel
def day_of_row(me: I64, day: int) -> int:
    """Return the open day on which a row of local ``day`` counts.

    Only two days can be open. A row outside them (its branch moved to another zone) counts
    on the nearer one: it is never lost, and never reopens what has been learned.
    """
    return int(min(max(day, me[CLOSED_UNTIL] + 1), me[CLOSED_UNTIL] + 2))


@kernel
def start_day(days: I64, surprises: F64, day: int, kind: int) -> None:
    """Clear the line of a day's parity for a new day."""
    parity = day & 1
    for column in range(N_DAY):
        days[parity, column] = 0
    days[parity, DAY] = day
    days[parity, KIND] = kind
    days[parity, BEST_STAT] = -1
    days[parity, BEST_BIN] = -1
    surprises[parity, :] = 0.0
    surprises[parity, SAID_SCORE] = -1.0


@kernel
def advance_ring(me: I64, ring: I32, day: int) -> None:
    """Move the 30-day window of an actor so that it ends at ``day``."""
    steps = min(day - me[RING_DAY], N_RING)
    for i in range(steps):
        cell = (day - i) & (N_RING - 1)
        ring[RING_EVENTS, cell] = 0
        ring[RING_RECORDS, cell] = 0
        ring[RING_CUSTOMERS, cell] = 0
    if steps > 0:
        me[FLAGGED] = (me[FLAGGED] << steps) & 0xFFFFFFFF if steps < N_RING else 0
        me[RING_DAY] = day


@kernel
def customers_30d(me: I64, ring: I32) -> int:
    """Count distinct customers of the 30 local days that end at the actor's newest."""
    total = 0
    for back in range(WINDOW_DAYS):
        total += ring[RING_CUSTOMERS, (me[RING_DAY] - back) & (N_RING - 1)]
    return total


@kernel
def count_customer(pairs: CustomerPairs, cell: int, me: I64, ring: I32, day: int) -> int:
    """Note a customer on a local day; return 1 if it is new on that day."""
    last = pairs.last_day[cell]
    if day == last or day == pairs.previous_day[cell]:
        return 0
    if day < last:
        pairs.previous_day[cell] = max(pairs.previous_day[cell], day)
        return 1
    if last != NO_DAY and me[RING_DAY] - last < N_RING:
        ring[RING_CUSTOMERS, last & (N_RING - 1)] -= 1
    if me[RING_DAY] - day < N_RING:
        ring[RING_CUSTOMERS, day & (N_RING - 1)] += 1
    pairs.previous_day[cell] = last
    pairs.last_day[cell] = day
    return 1


@kernel
def count_row(
    day: I64, me: I64, ring: I32, t_ns: int, records: int, volume: bool, new_customer: int
) -> int:
    """Count a row on its open day; return the bits of the day counts that have grown."""
    if day[EVENTS] == 0 or t_ns < day[FIRST_NS]:
        day[FIRST_NS] = t_ns
    if day[EVENTS] == 0 or t_ns > day[LAST_NS]:
        day[LAST_NS] = t_ns
    day[EVENTS] += 1
    day[RECORDS] += records
    day[CUSTOMERS] += new_customer
    if me[RING_DAY] - day[DAY] < N_RING:
        cell = day[DAY] & (N_RING - 1)
        ring[RING_EVENTS, cell] += 1
        ring[RING_RECORDS, cell] = min(ring[RING_RECORDS, cell] + records, 2_000_000_000)
    grown = 1 << 2 if records > 0 else 0
    grown |= 1 << 5 if new_customer else 0
    if volume and records > 0:
        day[VOLUME] += records
        grown |= 1 << 8
    return grown


@kernel
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
        count = counts[first + 1 + quantity]
        if count > day[PEAKS + quantity * 2 + window]:
            day[PEAKS + quantity * 2 + window] = count
            grown |= 1 << (quantity * 3 + window)
    return grown
