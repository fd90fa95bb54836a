"""The few numbers that explain a raised row, written while the state still holds them."""

from __future__ import annotations

import numpy as np

from detector.compiled import kernel
from detector.scoring.bulk_read import expected_count, observed_count
from detector.scoring.cross_branch import bank_share, own_share, peer_share
from detector.scoring.model import (
    F_BIN,
    F_BRANCH,
    F_CUSTOMERS,
    F_CUSTOMERS_30D,
    F_DAY,
    F_EVENTS,
    F_FIRED,
    F_FIRST,
    F_LAST,
    F_LEARNING,
    F_OBSERVED,
    F_OFFSET,
    F_OUT_CUSTOMERS,
    F_OUT_EVENTS,
    F_RECORDS,
    F_REST,
    F_STAT,
    F_USER,
    F_VISITED,
    G_ACTIVE_SHARE,
    G_BANK_SHARE,
    G_BULK,
    G_DISPERSION,
    G_EXPECTED,
    G_HOUR_SHARE,
    G_MEAN,
    G_OWN_SHARE,
    G_PEER_DISPERSION,
    G_PEER_MEAN,
    G_PEER_SHARE,
    G_SCORE,
    Limits,
    Model,
    Out,
    Rows,
)
from detector.scoring.off_hours import active_share, quarter_share
from detector.state.days import customers_30d
from detector.state.layout import (
    BEST_BIN,
    BEST_BRANCH,
    BEST_STAT,
    CALIBRATED,
    CUSTOMERS,
    DAY,
    DAYS_AWAY,
    DAYS_SEEN,
    EVENTS,
    F64,
    FIRST_NS,
    FOREIGN,
    HOME,
    I64,
    KIND,
    LAST_NS,
    N_CLOSED_REST,
    OUT_CUSTOMERS,
    OUT_EVENTS,
    RECORDS,
    REST_BASE,
    ROLE,
    SCORE,
    WEIGHTS,
    Tables,
)
from detector.state.tables import find_cell
from detector.workhours import ClockTables, rest_days_until, utc_offset_s

_CUSTOMERS_PER_DAY = 5  # index of the count shown when nothing stands out


@kernel
def describe(
    tables: Tables,
    rows: Rows,
    row: int,
    slot: int,
    parity: int,
    model: Model,
    clock: ClockTables,
    limits: Limits,
    out: Out,
) -> None:
    """Fill ``out.facts[row]`` and ``out.figures[row]``; the names are in ``model.py``."""
    actors = tables.actors
    me, day, facts = actors.ints[slot], actors.day[slot, parity], out.facts[row]
    place = model.branch_clock[max(me[HOME], 0)]
    days = actors.baseline[slot, WEIGHTS] + actors.baseline[slot, WEIGHTS + 1]
    facts[F_USER] = actors.user[slot]
    facts[F_DAY] = day[DAY]
    facts[F_OFFSET] = utc_offset_s(clock, place, rows.time_ns[row])
    facts[F_FIRST], facts[F_LAST] = day[FIRST_NS], day[LAST_NS]
    facts[F_EVENTS], facts[F_RECORDS] = day[EVENTS], day[RECORDS]
    facts[F_CUSTOMERS] = day[CUSTOMERS]
    facts[F_CUSTOMERS_30D] = customers_30d(me, actors.ring[slot])
    facts[F_LEARNING] = 1 if days < limits.mature_days else 0
    surprise, figures = actors.surprise[slot, parity], out.figures[row]
    figures[G_SCORE] = surprise[SCORE]
    fired = 0
    for detector in range(3):
        figures[G_BULK + detector] = surprise[CALIBRATED + detector]
        if surprise[CALIBRATED + detector] >= limits.threshold[detector]:
            fired |= 1 << detector
    facts[F_FIRED] = fired
    group = model.group_of[me[ROLE] + 1, max(me[HOME], 0)]
    describe_bulk(tables, slot, day, model, group, facts, figures)
    describe_hours(tables, slot, day, model, clock, group, facts, figures)
    describe_branch(tables, slot, day, model, group, facts, figures)


@kernel
def describe_bulk(
    tables: Tables, slot: int, day: I64, model: Model, group: int, facts: I64, figures: F64
) -> None:
    """Say which of the nine counts stands out, and what was expected of it."""
    stat = day[BEST_STAT] if day[BEST_STAT] >= 0 else _CUSTOMERS_PER_DAY
    baseline = tables.actors.baseline[slot]
    mean, dispersion = expected_count(baseline, model, group, day[KIND], stat)
    facts[F_STAT] = stat
    facts[F_OBSERVED] = observed_count(day, stat)
    figures[G_MEAN], figures[G_DISPERSION] = mean, dispersion
    figures[G_PEER_MEAN] = model.mean[group, day[KIND], stat]
    figures[G_PEER_DISPERSION] = model.dispersion[group, stat] + model.spread[group, stat]


@kernel
def describe_hours(
    tables: Tables,
    slot: int,
    day: I64,
    model: Model,
    clock: ClockTables,
    group: int,
    facts: I64,
    figures: F64,
) -> None:
    """Say which quarter of an hour stands out."""
    actors = tables.actors
    me, baseline = actors.ints[slot], actors.baseline[slot]
    quarter = max(day[BEST_BIN], 0)
    facts[F_BIN], facts[F_REST] = quarter, day[KIND]
    facts[F_OUT_EVENTS], facts[F_OUT_CUSTOMERS] = day[OUT_EVENTS], day[OUT_CUSTOMERS]
    hours = actors.hours[slot]
    figures[G_HOUR_SHARE] = quarter_share(hours, baseline, model, group, day[KIND], quarter)
    figures[G_ACTIVE_SHARE] = 1.0
    if day[KIND] == 1:
        place = model.branch_clock[max(me[HOME], 0)]
        n_rest_days = rest_days_until(clock, place, day[DAY] - 1) - me[REST_BASE]
        share = active_share(me[N_CLOSED_REST], n_rest_days, model.rest_share[group])
        figures[G_ACTIVE_SHARE] = share


@kernel
def describe_branch(
    tables: Tables,
    slot: int,
    day: I64,
    model: Model,
    group: int,
    facts: I64,
    figures: F64,
) -> None:
    """Say which foreign branch stands out, or all of them together (branch 0)."""
    me, baseline, pairs = tables.actors.ints[slot], tables.actors.baseline[slot], tables.branches
    seen = np.float64(baseline[DAYS_SEEN])
    facts[F_BRANCH], facts[F_VISITED] = day[BEST_BRANCH], day[FOREIGN]
    visits, peers, bank = np.float64(baseline[DAYS_AWAY]), model.away_share[group], 1.0
    if day[BEST_BRANCH] != 0:
        cell = find_cell(pairs.key, day[BEST_BRANCH])
        branch = pairs.row[cell]
        facts[F_BRANCH] = pairs.branch[cell]
        facts[F_VISITED] = pairs.today[cell, day[DAY] & 1]
        visits = np.float64(pairs.visits[cell])
        peers = peer_share(model, me[ROLE], me[HOME], False, branch)
        bank = bank_share(model, branch)
    figures[G_OWN_SHARE] = own_share(visits, seen, peers)
    figures[G_PEER_SHARE], figures[G_BANK_SHARE] = peers, bank
    figures[G_EXPECTED] = figures[G_OWN_SHARE] * model.visit_size[group, 0]
