"""One row after the other: learn what is over, extract, score, decide. The compiled loop."""

from __future__ import annotations

import numpy as np

from detector.compiled import aside, kernel, part
from detector.scoring.account import ACCOUNT, score_account
from detector.scoring.actor import judge_time, slot_of
from detector.scoring.ahead import look_ahead
from detector.scoring.approvals import approve
from detector.scoring.combine import combine
from detector.scoring.counts import busy_factor, score_counts
from detector.scoring.describe import describe
from detector.scoring.extract import extract
from detector.scoring.kept import keep_row
from detector.scoring.model import (
    DUPLICATE,
    F_DAY,
    F_USER,
    IS_APPROVAL,
    IS_CONFIRMED,
    IS_STATEMENT,
    JUMP,
    NO_ROOM,
    RAISED,
    SAMPLE,
    SCORED,
    STATED,
    Limits,
    Model,
    Out,
    Rows,
)
from detector.scoring.off_hours import OFF_HOURS, active_share, score_hours
from detector.scoring.repeat_target import REPEAT_TARGET, level_of, score_repeat
from detector.scoring.slow_drip import SLOW_DRIP, score_drip
from detector.scoring.unfamiliar import score_values
from detector.scoring.verdicts import note_verdict
from detector.scoring.visits import count_visit, score_visit
from detector.state.days import KNOWN_TODAY
from detector.state.layout import (
    APPROVALS,
    APPROVALS_TOP,
    ARENA_TOP,
    CALIBRATED,
    COUNTS,
    DAY,
    DAYS_TOP,
    DUPLICATES,
    EVENTS,
    F64,
    FIRED,
    FIRST_DAY,
    FOREIGN,
    FREE_DAY,
    HOME,
    I64,
    JUMPS,
    KIND,
    LATE,
    LINE,
    MAX_TAIL,
    N_ACTORS,
    N_BRANCHES,
    N_CHANNELS,
    N_CLOSED,
    N_CLOSED_REST,
    N_DETECTORS,
    N_FIELDS,
    N_PAIRS,
    N_VALUE_PAIRS,
    RAW,
    RECORDS_1D,
    REST_BASE,
    REST_LINE,
    REST_TOP,
    ROLE,
    SAID_EVENTS,
    SAID_RECORDS,
    SAID_SCORE,
    SAMPLED,
    SCORE,
    SETTLED_DAYS,
    UNSCORED,
    VERDICTS,
    Tables,
)
from detector.state.tables import NOT_FOUND
from detector.state.tail import is_duplicate
from detector.workhours import ClockTables, local_time, rest_days_until

CROSS_BRANCH = 2  # position in ``DETECTORS``
_FIRST_SAMPLES = 10


@part
def has_room(tables: Tables) -> bool:
    """Tell whether one more row surely fits; if not, the caller grows the tables."""
    actors, counts = tables.actors, tables.counts
    return bool(
        counts[N_ACTORS] < actors.user.size
        and counts[N_ACTORS] * 10 < actors.table.size * 7
        and (counts[FREE_DAY] > 0 or counts[DAYS_TOP] < tables.days.ints.shape[0])
        and counts[REST_TOP] + 2 <= tables.rest.share.shape[0]
        and counts[N_PAIRS] * 5 < tables.customers.key.size * 4
        and counts[N_BRANCHES] * 5 < tables.branches.key.size * 4
        and (counts[N_VALUE_PAIRS] + N_FIELDS) * 5 < tables.values.key.size * 4
        and counts[ARENA_TOP] + 2 * MAX_TAIL <= tables.arena.time_ns.size
        and counts[APPROVALS_TOP] < tables.approvals.customer.size
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
        look_ahead(tables, rows, row)
        out.mark[row] = 0
        out.score[row] = np.nan
        slot = slot_of(tables, model, limits, rows.user[row])
        out.code[row] = admit(tables, rows, row, slot, model, clock, limits)
        if out.code[row] == SCORED:
            parity, quarter, grown, newness, cell, change = extract(
                tables, rows, row, slot, model, clock, limits, out
            )
            changed = score(
                tables, rows, row, slot, parity, quarter, grown, newness, cell, change, model,
                clock, limits,
            )  # fmt: skip
            decide(tables, rows, row, slot, parity, changed, model, clock, limits, out)
    return int(rows.time_ns.size)


@part
def admit(
    tables: Tables,
    rows: Rows,
    row: int,
    slot: int,
    model: Model,
    clock: ClockTables,
    limits: Limits,
) -> int:
    """Tell whether a row counts: an access of an actor, at a usable time, and no duplicate."""
    counts = tables.counts
    if slot == NOT_FOUND:
        counts[UNSCORED] += 1
        return NO_ROOM
    if rows.flags[row] & IS_STATEMENT:
        return note_statement(tables, rows, row, slot, model, clock, limits)
    me = tables.actors.ints[slot]
    code = judge_time(me, rows.time_ns[row], limits)
    if code != SCORED:
        counts[JUMPS if code == JUMP else LATE] += 1
        return code
    if is_duplicate(tables.arena, me, rows.event[row]):
        counts[DUPLICATES] += 1
        return DUPLICATE
    return SCORED


@aside
def note_statement(
    tables: Tables,
    rows: Rows,
    row: int,
    slot: int,
    model: Model,
    clock: ClockTables,
    limits: Limits,
) -> int:
    """Note what a row says about its actor; it counts nowhere and moves no clock.

    It is never late: what it says holds for the rows that arrive after it.
    """
    flags, me = rows.flags[row], tables.actors.ints[slot]
    if flags & IS_APPROVAL:
        tables.counts[APPROVALS] += 1
        return int(approve(tables, rows, row, slot, limits))
    tables.counts[VERDICTS] += 1
    place, t_ns = model.branch_clock[max(me[HOME], 0)], rows.time_ns[row]
    day, _ = local_time(clock, place, t_ns)
    note_verdict(me, t_ns, day, flags & IS_CONFIRMED != 0, limits.benign_days)
    return STATED


@part
def group_of(me: I64, model: Model) -> int:
    """Return the actor's peer group."""
    return int(model.group_of[me[ROLE] + 1, max(me[HOME], 0)])


@part
def score(
    tables: Tables,
    rows: Rows,
    row: int,
    slot: int,
    parity: int,
    quarter: int,
    grown: int,
    newness: int,
    cell: int,
    change: int,
    model: Model,
    clock: ClockTables,
    limits: Limits,
) -> bool:
    """Raise the day's scores by what this row adds; tell whether any has risen."""
    actors = tables.actors
    me, baseline = actors.ints[slot], actors.baseline[slot]
    line = me[LINE + parity]
    day, surprise = tables.days.ints[line], tables.days.surprise[line]
    group = group_of(me, model)
    before = 0.0
    for channel in range(N_CHANNELS):
        before += surprise[RAW + channel]
    watched = limits.watched
    if day[EVENTS] == 1 and watched[ACCOUNT]:
        score_account(me, rows.user[row], day, surprise, model)
    new_today = 1 if newness != KNOWN_TODAY else 0
    if watched[OFF_HOURS]:
        active = active_today(me, day, model, clock, group)
        hours = actors.hours[slot] if day[KIND] == 0 else tables.rest.share[me[REST_LINE]]
        score_hours(
            day, surprise, hours, baseline, model, group, quarter, active, new_today,
            limits.out_share,
        )  # fmt: skip
    foreign = day[COUNTS + FOREIGN]
    branch = count_visit(tables, rows, row, slot, day, change, model, limits)
    if branch >= 0 and watched[CROSS_BRANCH]:
        busy = busy_factor(day, baseline, model, group, FOREIGN)
        score_visit(tables, branch, slot, day, surprise, model, group, busy)
    if day[COUNTS + FOREIGN] > foreign:
        grown |= 1 << FOREIGN
    score_counts(day, surprise, baseline, model, group, grown, limits)
    if watched[SLOW_DRIP]:
        score_drip(day, surprise, me, actors.recent[slot], baseline, model, group, grown)
    score_values(tables, rows, row, slot, day, surprise, model, limits)
    if watched[REPEAT_TARGET] and change > 0 and day[DAY] - me[FIRST_DAY] >= SETTLED_DAYS:
        level = level_of(tables.customers, cell, day[DAY])
        score_repeat(day, surprise, baseline, model, group, level)
    after = 0.0
    for channel in range(N_CHANNELS):
        after += surprise[RAW + channel]
    if after > before:
        combine(day, surprise, baseline, model, group, limits, me[N_CLOSED])
    return after > before


@part
def active_today(me: I64, day: I64, model: Model, clock: ClockTables, group: int) -> float:
    """Return the chance that the actor works at all on such a day."""
    if day[KIND] == 0:
        return 1.0
    place = model.branch_clock[max(me[HOME], 0)]
    n_rest_days = rest_days_until(clock, place, day[DAY] - 1) - me[REST_BASE]
    return active_share(me[N_CLOSED_REST], n_rest_days, model.rest_share[group])


@part
def fired_bits(surprise: F64, limits: Limits) -> int:
    """Return the detectors at or above their own threshold, else the strongest one."""
    bits, best = 0, 0
    for detector in range(N_DETECTORS):
        if surprise[CALIBRATED + detector] >= limits.threshold[detector]:
            bits |= 1 << detector
        if surprise[CALIBRATED + detector] > surprise[CALIBRATED + best]:
            best = detector
    return bits or 1 << best


@part
def has_grown(day: I64, surprise: F64, fired: int, limits: Limits) -> bool:
    """Tell whether an episode deserves a new version."""
    said = surprise[SAID_SCORE]
    return bool(
        said < 0.0
        or surprise[SCORE] >= said + max(limits.growth_score, limits.growth_share * said)
        or day[COUNTS + RECORDS_1D] >= 2 * max(day[SAID_RECORDS], 1)
        or day[EVENTS] >= 2 * day[SAID_EVENTS]
        or fired & ~day[FIRED] != 0
    )


@part
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
    line = tables.actors.ints[slot, LINE + parity]
    day, surprise = tables.days.ints[line], tables.days.surprise[line]
    out.score[row] = surprise[SCORE]
    if out.kept_actor.shape[0] > 0:
        group = group_of(tables.actors.ints[slot], model)
        keep_row(tables, row, slot, line, group, changed, out)
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
        day[SAID_RECORDS], day[SAID_EVENTS] = day[COUNTS + RECORDS_1D], day[EVENTS]
        day[FIRED] |= fired
        out.mark[row] |= RAISED
        describe(tables, rows, row, slot, line, model, clock, limits, out)
