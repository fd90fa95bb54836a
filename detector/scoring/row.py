"""One row after the other: learn what is over, extract, score, decide. The compiled loop."""

from __future__ import annotations

import numpy as np

from detector.compiled import kernel
from detector.scoring.actor import judge_time, slot_of, take_home
from detector.scoring.bulk_read import score_bulk
from detector.scoring.calibration import NOTABLE, calibrate
from detector.scoring.describe import describe
from detector.scoring.learn import learn_closed_days
from detector.scoring.model import (
    DUPLICATE,
    F_DAY,
    F_USER,
    JUMP,
    NO_ROOM,
    RAISED,
    SAMPLE,
    SCORED,
    Limits,
    Model,
    Out,
    Rows,
)
from detector.scoring.off_hours import active_share, score_hours
from detector.scoring.visits import count_visit, score_visit
from detector.state.days import (
    advance_ring,
    count_customer,
    count_row,
    day_of_row,
    pass_time,
    raise_peaks,
    start_day,
)
from detector.state.layout import (
    ARENA_TOP,
    CALIBRATED,
    CHUNK_ROWS,
    COUNTS_1H,
    COUNTS_10M,
    CUSTOMER_LIMIT,
    DAY,
    DUPLICATES,
    EVENTS,
    F32,
    F64,
    FIRED,
    FIRST_DAY,
    HOME,
    I64,
    JUMPS,
    KIND,
    LATE,
    N_ACTORS,
    N_BRANCHES,
    N_CLOSED_REST,
    N_CUSTOMER_PAIRS,
    N_PAIRS,
    NEWEST_NS,
    RAW,
    RECORDS,
    REST_BASE,
    ROLE,
    SAID_EVENTS,
    SAID_RECORDS,
    SAID_SCORE,
    SAMPLED,
    SCORE,
    UNSCORED,
    WEIGHTS,
    Tables,
)
from detector.state.tables import NOT_FOUND, add_customer, find_cell
from detector.state.tail import (
    HOUR_NS,
    TEN_MINUTES_NS,
    append_in_order,
    insert_late,
    is_duplicate,
    make_room,
    window_ending_at,
)
from detector.workhours import ClockTables, day_kind, local_time, rest_days_until

_QUARTER_S = 900
_SECOND_NS = 1_000_000_000
_LARGEST_CHUNK = CHUNK_ROWS[-1]
_FIRST_SAMPLES = 10
_N_DETECTORS = 3


@kernel
def has_room(tables: Tables) -> bool:
    """Tell whether one more row surely fits; if not, the caller grows the tables."""
    actors, counts = tables.actors, tables.counts
    return bool(
        counts[N_ACTORS] < actors.user.size
        and counts[N_ACTORS] * 10 < actors.table.size * 7
        and counts[N_PAIRS] * 20 < tables.customers.key.size * 17
        and counts[N_BRANCHES] * 20 < tables.branches.key.size * 17
        and counts[ARENA_TOP] + 2 * _LARGEST_CHUNK <= tables.arena.time_ns.size
    )


@kernel
def score_rows(
    tables: Tables,
    rows: Rows,
    first: int,
    model: Model,
    clock: ClockTables,
    limits: Limits,
    out: Out,
) -> int:
    """Score rows from ``first`` on; return the row at which the tables must grow, or n."""
    for row in range(first, rows.time_ns.size):
        if not has_room(tables):
            return row
        out.mark[row] = 0
        out.score[row] = np.nan
        slot = slot_of(tables, model, limits, rows.user[row], rows.time_ns[row])
        out.code[row] = admit(tables, rows, row, slot, limits)
        if out.code[row] == SCORED:
            parity, quarter, grown, new_customer = extract(
                tables, rows, row, slot, model, clock, limits, out
            )
            changed = score(
                tables, rows, row, slot, parity, quarter, grown, new_customer, model, clock, limits
            )
            decide(tables, rows, row, slot, parity, changed, model, clock, limits, out)
    return int(rows.time_ns.size)


@kernel
def admit(tables: Tables, rows: Rows, row: int, slot: int, limits: Limits) -> int:
    """Tell whether a row counts: it has an actor, a usable time, and is not a duplicate."""
    counts = tables.counts
    if slot == NOT_FOUND:
        counts[UNSCORED] += 1
        return NO_ROOM
    me = tables.actors.ints[slot]
    code = judge_time(me, rows.time_ns[row], limits)
    if code != SCORED:
        counts[JUMPS if code == JUMP else LATE] += 1
        return code
    if is_duplicate(tables.arena, me, rows.event[row]):
        counts[DUPLICATES] += 1
        return DUPLICATE
    return SCORED


@kernel
def extract(
    tables: Tables,
    rows: Rows,
    row: int,
    slot: int,
    model: Model,
    clock: ClockTables,
    limits: Limits,
    out: Out,
) -> tuple[int, int, int, int]:
    """Let time pass, count the row in its windows and its day.

    Returns:
        Parity of the row's day, its quarter of an hour, bits of the counts that have
        grown, 1 if its customer is new on that day.
    """
    actors = tables.actors
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
    if actors.day[slot, parity, DAY] != day:
        kind = 1 if day_kind(clock, place, day) == 1 else 0
        start_day(actors.day[slot], actors.surprise[slot], day, kind)
    window = out.window
    count_windows(tables, rows, row, me, in_order, limits, window, out.scratch)
    new_customer = note_customer(tables, rows, row, slot, day, limits)
    today = actors.day[slot, parity]
    volume = rows.volume[row] != 0
    grown = count_row(today, me, actors.ring[slot], t_ns, rows.records[row], volume, new_customer)
    grown |= raise_peaks(today, window, 0, 0) | raise_peaks(today, window, 1, 4)
    return parity, second // _QUARTER_S, grown, new_customer


@kernel
def count_windows(
    tables: Tables,
    rows: Rows,
    row: int,
    me: I64,
    in_order: bool,
    limits: Limits,
    window: I64,
    scratch: I64,
) -> None:
    """Enter a row into its actor's tail; ``window`` receives its 10 min and 1 h counts."""
    arena = tables.arena
    make_room(arena, tables.counts, me, limits.keep_ns, limits.max_tail_rows)
    t_ns, event, customer = rows.time_ns[row], rows.event[row], rows.customer[row]
    records, volume = rows.records[row], rows.volume[row] != 0
    if in_order:
        append_in_order(arena, me, t_ns, event, customer, records, volume)
        for i in range(4):
            window[i] = me[COUNTS_10M + i]
            window[4 + i] = me[COUNTS_1H + i]
    else:
        position = insert_late(arena, me, t_ns, event, customer, records, volume)
        window_ending_at(arena, me, position, TEN_MINUTES_NS, window[:4], scratch)
        window_ending_at(arena, me, position, HOUR_NS, window[4:], scratch)


@kernel
def note_customer(tables: Tables, rows: Rows, row: int, slot: int, day: int, limits: Limits) -> int:
    """Note the row's customer on its day; return 1 if it is new on that day."""
    key = rows.customer_pair[row]
    if rows.customer[row] == 0:
        return 0
    pairs, me = tables.customers, tables.actors.ints[slot]
    cell = find_cell(pairs.key, key)
    if pairs.key[cell] == 0:
        if me[N_CUSTOMER_PAIRS] >= limits.max_customers:
            tables.counts[CUSTOMER_LIMIT] += 1
            return 0
        add_customer(pairs, tables.counts, cell, key, slot)
        me[N_CUSTOMER_PAIRS] += 1
    return count_customer(pairs, cell, me, tables.actors.ring[slot], day)


@kernel
def group_of(tables: Tables, slot: int, model: Model) -> int:
    """Return the actor's peer group."""
    me = tables.actors.ints[slot]
    return int(model.group_of[me[ROLE] + 1, max(me[HOME], 0)])


@kernel
def score(
    tables: Tables,
    rows: Rows,
    row: int,
    slot: int,
    parity: int,
    quarter: int,
    grown: int,
    new_customer: int,
    model: Model,
    clock: ClockTables,
    limits: Limits,
) -> bool:
    """Raise the day's scores by what this row adds; tell whether any has risen."""
    actors = tables.actors
    me, baseline = actors.ints[slot], actors.baseline[slot]
    day, surprise = actors.day[slot, parity], actors.surprise[slot, parity]
    group = group_of(tables, slot, model)
    before_0, before_1, before_2 = surprise[RAW], surprise[RAW + 1], surprise[RAW + 2]
    score_bulk(day, surprise, baseline, model, group, grown)
    active = 1.0
    if day[KIND] == 1:
        place = model.branch_clock[max(me[HOME], 0)]
        n_rest_days = rest_days_until(clock, place, day[DAY] - 1) - me[REST_BASE]
        active = active_share(me[N_CLOSED_REST], n_rest_days, model.rest_share[group])
    hours = actors.hours[slot]
    score_hours(
        day, surprise, hours, baseline, model, group, quarter, active, new_customer,
        limits.out_share,
    )  # fmt: skip
    cell = count_visit(tables, rows, row, slot, day, new_customer, model, limits)
    if cell >= 0:
        score_visit(tables, cell, slot, day, surprise, model, group)
    changed = bool(
        surprise[RAW] > before_0 or surprise[RAW + 1] > before_1 or surprise[RAW + 2] > before_2
    )
    if changed:
        combine(surprise, baseline, model, group, limits)
    return changed


@kernel
def combine(surprise: F64, baseline: F32, model: Model, group: int, limits: Limits) -> None:
    """Calibrate each detector's day maximum, add up what is notable, calibrate the sum.

    Only what a surprise has above ``NOTABLE`` counts: one detector that is sure is not
    diluted by others that have nothing to say, and several that are half sure add up.

    Source:
        Soft-thresholding Fisher combination, Zhang, Tong, Landers & Wu (2020).
    """
    days = np.float64(baseline[WEIGHTS]) + np.float64(baseline[WEIGHTS + 1])
    stratum = 2 * model.stratum[group] + (1 if days >= limits.mature_days else 0)
    total = 0.0
    for detector in range(_N_DETECTORS):
        if limits.enabled[detector]:
            raw = surprise[RAW + detector]
            knots = model.knots_raw[stratum, detector]
            value = calibrate(raw, knots, model.knots_surprise[stratum, detector])
            surprise[CALIBRATED + detector] = max(surprise[CALIBRATED + detector], value)
            total += max(surprise[CALIBRATED + detector] - NOTABLE, 0.0)
    value = calibrate(total, model.knots_raw[stratum, 3], model.knots_surprise[stratum, 3])
    surprise[SCORE] = max(surprise[SCORE], value)


@kernel
def fired_bits(surprise: F64, limits: Limits) -> int:
    """Return the detectors at or above their own threshold, else the strongest one."""
    bits, best = 0, 0
    for detector in range(_N_DETECTORS):
        if surprise[CALIBRATED + detector] >= limits.threshold[detector]:
            bits |= 1 << detector
        if surprise[CALIBRATED + detector] > surprise[CALIBRATED + best]:
            best = detector
    return bits or 1 << best


@kernel
def has_grown(day: I64, surprise: F64, fired: int, limits: Limits) -> bool:
    """Tell whether an episode deserves a new version."""
    said = surprise[SAID_SCORE]
    return bool(
        said < 0.0
        or surprise[SCORE] >= said + max(limits.growth_score, limits.growth_share * said)
        or day[RECORDS] >= 2 * max(day[SAID_RECORDS], 1)
        or day[EVENTS] >= 2 * day[SAID_EVENTS]
        or fired & ~day[FIRED] != 0
    )


@kernel
def decide(
    tables: Tables,
    rows: Rows,
    row: int,
    slot: int,
    parity: int,
    changed: bool,
    model: Model,
    clock: ClockTables,
    limits: Limits,
    out: Out,
) -> None:
    """Mark the row if it opens or grows an episode, or is a sample of one."""
    day, surprise = tables.actors.day[slot, parity], tables.actors.surprise[slot, parity]
    out.score[row] = surprise[SCORE]
    if surprise[SCORE] < limits.emit_score - 1.0:
        return
    if changed or day[SAMPLED] < _FIRST_SAMPLES:
        day[SAMPLED] += 1
        out.mark[row] |= SAMPLE
        out.facts[row, F_USER], out.facts[row, F_DAY] = tables.actors.user[slot], day[DAY]
    if surprise[SCORE] < limits.emit_score or rows.time_ns[row] < limits.emit_from_ns:
        return
    fired = fired_bits(surprise, limits)
    if has_grown(day, surprise, fired, limits):
        surprise[SAID_SCORE] = surprise[SCORE]
        day[SAID_RECORDS], day[SAID_EVENTS] = day[RECORDS], day[EVENTS]
        day[FIRED] |= fired
        out.mark[row] |= RAISED
        describe(tables, rows, row, slot, parity, model, clock, limits, out)
