"""Extract: let time pass for the row's actor, then count the row in its windows and day."""

from __future__ import annotations

from detector.compiled import part
from detector.scoring.account import count_switch
from detector.scoring.actor import take_home
from detector.scoring.approvals import is_approved
from detector.scoring.enumeration import count_order
from detector.scoring.learn import learn_closed_days
from detector.scoring.model import (
    IS_DENIED,
    IS_EXPLAINED,
    IS_EXPORT,
    IS_NEAR_CAP,
    IS_OWN,
    IS_SECRET,
    IS_SENSITIVE,
    IS_TICKETED,
    IS_VOLUME,
    Limits,
    Model,
    Out,
    Rows,
)
from detector.scoring.visits import is_covered
from detector.state.days import (
    KNOWN_TODAY,
    NEVER_SEEN,
    add_count,
    advance_ring,
    count_customer,
    count_row,
    day_of_row,
    note_reason,
    note_secret,
    open_day,
    pass_time,
    raise_peaks,
    was_seen_before,
)
from detector.state.late import insert_late, window_ending_at
from detector.state.layout import (
    COUNTS_1H,
    COUNTS_10M,
    CUSTOMER_LIMIT,
    CUSTOMERS_1D,
    DAY,
    DENIED,
    EXPORTED,
    FIRST_DAY,
    HOME,
    I64,
    LINE,
    N_CUSTOMER_PAIRS,
    NEAR_CAP,
    NEW,
    NEWEST_NS,
    OWN,
    REST_BASE,
    SECRET,
    SENSITIVE,
    SETTLED_DAYS,
    TICKETS_APPROVED,
    UNEXPLAINED,
    Tables,
)
from detector.state.tables import add_customer, find_cell
from detector.state.tail import (
    HOUR_NS,
    TEN_MINUTES_NS,
    append_in_order,
    make_room,
)
from detector.workhours import ClockTables, day_kind, local_time, rest_days_until

_QUARTER_S = 900
_SECOND_NS = 1_000_000_000
NO_CELL = -1


@part
def extract(
    tables: Tables,
    rows: Rows,
    row: int,
    slot: int,
    model: Model,
    clock: ClockTables,
    limits: Limits,
    out: Out,
) -> tuple[int, int, int, int, int, int]:
    """Let time pass, count the row in its windows and its day.

    Returns:
        Parity of the row's day, its quarter of an hour, bits of the counts that have
        grown, how new its customer is, the customer's cell (NO_CELL if there is none), and
        by how much the day's customers without a business reason have changed.
    """
    actors, days = tables.actors, tables.days
    me = actors.ints[slot]
    t_ns = rows.time_ns[row]
    in_order = t_ns >= me[NEWEST_NS]
    if in_order:
        take_home(me, rows, row)
    place = model.branch_clock[max(me[HOME], 0)]
    day, second = local_time(clock, place, t_ns)
    if in_order:
        me[NEWEST_NS] = t_ns
        pass_time(me, day, second, limits.lateness_ns // _SECOND_NS)
        learn_closed_days(tables, slot, model, limits, out)
    day = day_of_row(me, day)
    parity = day & 1
    if me[FIRST_DAY] == 0:
        me[FIRST_DAY] = day
        me[REST_BASE] = rest_days_until(clock, place, day - 1)
    advance_ring(me, actors.ring[slot], day)
    if days.ints[me[LINE + parity], DAY] != day:
        kind = 1 if day_kind(clock, place, day) == 1 else 0
        open_day(days, tables.counts, me, day, kind)
    newness, cell = note_customer(tables, rows, row, slot, day, limits)
    window = out.window
    count_windows(tables, rows, row, me, cell, in_order, limits, window)
    today = days.ints[me[LINE + parity]]
    is_volume = rows.flags[row] & IS_VOLUME != 0
    grown = count_row(today, me, actors.ring[slot], t_ns, rows.records[row], is_volume)
    grown |= raise_peaks(today, window, 0, 0) | raise_peaks(today, window, 1, 4)
    explained = is_explained(tables, rows, row, me, model, today)
    change = explain_customer(tables, cell, day, newness, explained)
    settled = day - me[FIRST_DAY] >= SETTLED_DAYS
    grown |= count_kinds(rows, row, me, today, newness)
    if rows.flags[row] & IS_SECRET and is_first_secret(tables, cell, day):
        grown |= add_count(today, SECRET, 1)
    if change != 0 and settled and not was_seen_before(tables.customers, cell, day):
        grown |= add_count(today, UNEXPLAINED, change)
    if newness == NEVER_SEEN and settled:
        grown |= add_count(today, NEW, 1)
    return parity, second // _QUARTER_S, grown, newness, cell, change


@part
def count_windows(
    tables: Tables,
    rows: Rows,
    row: int,
    me: I64,
    cell: int,
    in_order: bool,
    limits: Limits,
    window: I64,
) -> None:
    """Enter a row into its actor's tail; ``window`` receives its 10 min and 1 h counts."""
    arena, pairs = tables.arena, tables.customers
    make_room(arena, tables.counts, me, limits.keep_ns, limits.max_tail_rows)
    t_ns, event = rows.time_ns[row], rows.event[row]
    records, volume = rows.records[row], rows.flags[row] & IS_VOLUME != 0
    if in_order:
        append_in_order(arena, pairs, me, t_ns, event, cell, records, volume)
        for i in range(4):
            window[i] = me[COUNTS_10M + i]
            window[4 + i] = me[COUNTS_1H + i]
    else:
        position = insert_late(arena, pairs, me, t_ns, event, cell, records, volume)
        window_ending_at(arena, pairs, me, position, TEN_MINUTES_NS, window[:4])
        window_ending_at(arena, pairs, me, position, HOUR_NS, window[4:])


@part
def note_customer(
    tables: Tables, rows: Rows, row: int, slot: int, day: int, limits: Limits
) -> tuple[int, int]:
    """Note the row's customer on its day; return how new it is, and its cell."""
    if rows.customer[row] == 0:
        return KNOWN_TODAY, NO_CELL
    key = rows.customer_pair[row]
    pairs, me = tables.customers, tables.actors.ints[slot]
    cell = find_cell(pairs.key, key)
    if pairs.key[cell] == 0:
        if me[N_CUSTOMER_PAIRS] >= limits.max_customers:
            tables.counts[CUSTOMER_LIMIT] += 1
            return KNOWN_TODAY, NO_CELL
        add_customer(pairs, tables.counts, cell, key, slot)
        me[N_CUSTOMER_PAIRS] += 1
    return count_customer(pairs, cell, me, tables.actors.ring[slot], day), cell


@part
def explain_customer(tables: Tables, cell: int, day: int, newness: int, explained: bool) -> int:
    """Note a reason if the row brings one; return the change in unexplained customers.

    A customer is looked at first and served later: the reason takes back what was counted.
    """
    if cell == NO_CELL:
        return 0
    if not explained:
        return 1 if newness != KNOWN_TODAY else 0
    is_first = note_reason(tables.customers, cell, day)
    return -1 if is_first and newness == KNOWN_TODAY else 0


@part
def is_first_secret(tables: Tables, cell: int, day: int) -> bool:
    """Tell whether a customer's secret record is the day's first; a list always is."""
    if cell == NO_CELL:
        return True
    return note_secret(tables.customers, cell, day)


@part
def count_kinds(rows: Rows, row: int, me: I64, day: I64, newness: int) -> int:
    """Add the row to the day's special counts; return the bits of those that have grown."""
    flags = rows.flags[row]
    grown = 0
    if newness != KNOWN_TODAY:
        grown |= add_count(day, CUSTOMERS_1D, 1)
        if flags & IS_SENSITIVE:
            grown |= add_count(day, SENSITIVE, 1)
    if flags & IS_EXPORT:
        grown |= add_count(day, EXPORTED, rows.records[row])
    if flags & IS_OWN:
        grown |= add_count(day, OWN, 1)
    if flags & IS_DENIED:
        grown |= add_count(day, DENIED, 1)
    if flags & IS_NEAR_CAP:
        grown |= add_count(day, NEAR_CAP, 1)
    if rows.number[row] >= 0:
        grown |= count_order(me, day, rows.number[row])
    return grown | count_switch(me, day, rows.time_ns[row], rows.device[row])


@part
def is_explained(tables: Tables, rows: Rows, row: int, me: I64, model: Model, day: I64) -> bool:
    """Tell whether business, a ticket, an approval or cover duty explains a row.

    A ticket that nobody listed is taken for a case of another system, until an approval of
    the actor has named one: from then on tickets have to be approved.
    """
    flags = rows.flags[row]
    return bool(
        flags & IS_EXPLAINED != 0
        or (flags & IS_TICKETED != 0 and me[TICKETS_APPROVED] == 0)
        or is_approved(tables.approvals, me, rows, row)
        or on_cover(model, rows, row, day)
    )


@part
def on_cover(model: Model, rows: Rows, row: int, day: I64) -> bool:
    """Tell whether the row's branch is one at which its actor stands in on this day."""
    if model.cover_key.size == 0 or rows.branch_key[row] == 0:
        return False
    return is_covered(model, rows.branch_pair[row], day[DAY])
