"""The few numbers that explain a raised row, written while the state still holds them."""

from __future__ import annotations

import numpy as np

from detector.compiled import aside, part
from detector.scoring import model as m
from detector.scoring.counts import expected_count
from detector.scoring.cross_branch import bank_share, own_share, peer_share
from detector.scoring.model import Limits, Model, Out, Rows
from detector.scoring.off_hours import active_share, quarter_share
from detector.scoring.repeat_target import reach_rate
from detector.scoring.slow_drip import day_factor, lagged_mean, sum_dispersion
from detector.scoring.unfamiliar import UNFAMILIAR
from detector.state import layout as s
from detector.state.days import customers_30d, small_number, sum_30d
from detector.state.layout import F64, I64, Tables
from detector.state.tables import find_cell
from detector.workhours import ClockTables, rest_days_until, utc_offset_s

_DRIP_STATS = np.array(s.DRIP_STATS, dtype=np.int64)


@aside
def describe(
    tables: Tables,
    rows: Rows,
    row: int,
    slot: int,
    line: int,
    model: Model,
    clock: ClockTables,
    limits: Limits,
    out: Out,
) -> None:
    """Fill ``out.facts[row]`` and ``out.figures[row]``; the names are in ``model.py``."""
    actors = tables.actors
    me, day, facts = actors.ints[slot], tables.days.ints[line], out.facts[row]
    surprise, figures = tables.days.surprise[line], out.figures[row]
    facts[:], figures[:] = 0, 0.0
    describe_day(tables, rows, row, slot, day, model, clock, limits, facts)
    figures[m.G_SCORE] = surprise[s.SCORE]
    fired = 0
    for detector in range(s.N_DETECTORS):
        value = surprise[s.CALIBRATED + detector]
        figures[m.G_SURPRISE + detector] = value
        if value >= limits.threshold[detector]:
            fired |= 1 << detector
    facts[m.F_FIRED] = fired
    group = int(model.group_of[me[s.ROLE] + 1, max(me[s.HOME], 0)])
    describe_counts(tables, slot, day, model, group, facts, figures)
    describe_hours(tables, slot, day, model, clock, group, facts, figures)
    describe_branch(tables, slot, day, model, group, facts, figures)
    describe_drip(tables, slot, day, model, group, facts, figures)
    facts[m.F_LEVEL] = day[s.BEST_LEVEL]
    if day[s.BEST_LEVEL] >= 2:
        baseline = actors.baseline[slot]
        figures[m.G_REACH] = reach_rate(baseline, model, group, day[s.BEST_LEVEL])
        peers = 0.0
        for i in range(min(day[s.BEST_LEVEL], s.N_LEVELS + 1) - 2, s.N_LEVELS):
            peers += model.reach[group, i]
        figures[m.G_PEER_REACH] = peers
    if limits.watched[UNFAMILIAR]:
        for field in range(s.N_FIELDS):
            facts[m.F_NEW_VALUES + field] = day[s.TODAY_NEW + field]
    figures[m.G_OTHERS] = surprise[s.RAW + UNFAMILIAR]
    facts[m.F_RULE], facts[m.F_RULE_FACT] = day[s.ACCOUNT_RULE], day[s.ACCOUNT_FACT]


@part
def describe_day(
    tables: Tables,
    rows: Rows,
    row: int,
    slot: int,
    day: I64,
    model: Model,
    clock: ClockTables,
    limits: Limits,
    facts: I64,
) -> None:
    """Say who, when and how much."""
    actors = tables.actors
    me = actors.ints[slot]
    place = model.branch_clock[max(me[s.HOME], 0)]
    facts[m.F_USER] = actors.user[slot]
    facts[m.F_DAY] = day[s.DAY]
    facts[m.F_OFFSET] = utc_offset_s(clock, place, rows.time_ns[row])
    facts[m.F_FIRST], facts[m.F_LAST] = day[s.FIRST_NS], day[s.LAST_NS]
    facts[m.F_EVENTS], facts[m.F_RECORDS] = day[s.EVENTS], day[s.COUNTS + s.RECORDS_1D]
    facts[m.F_CUSTOMERS] = day[s.COUNTS + s.CUSTOMERS_1D]
    facts[m.F_UNEXPLAINED] = day[s.COUNTS + s.UNEXPLAINED]
    facts[m.F_CUSTOMERS_30D] = customers_30d(me, actors.ring[slot])
    facts[m.F_EVENTS_30D] = sum_30d(me, actors.ring[slot], s.RING_EVENTS)
    facts[m.F_RECORDS_30D] = sum_30d(me, actors.ring[slot], s.RING_RECORDS)
    facts[m.F_LEARNING] = 1 if me[s.N_CLOSED] < limits.mature_days else 0


@part
def describe_counts(
    tables: Tables, slot: int, day: I64, model: Model, group: int, facts: I64, figures: F64
) -> None:
    """Say, for each detector that counts, which count stands out and what was expected."""
    baseline = tables.actors.baseline[slot]
    for detector in range(s.N_DETECTORS):
        loudest = small_number(day, s.LOUDEST, detector)
        stat = small_number(day, s.BEST_STAT, loudest if loudest >= 0 else detector)
        facts[m.F_STAT + detector] = stat
        if stat < 0:
            continue
        mean, dispersion = expected_count(baseline, model, group, day[s.KIND], stat)
        facts[m.F_OBSERVED + detector] = day[s.COUNTS + stat]
        at = m.G_MEAN + 4 * detector
        figures[at], figures[at + 1] = mean, dispersion
        figures[at + 2] = model.mean[group, day[s.KIND], stat]
        figures[at + 3] = model.dispersion[group, day[s.KIND], stat] + model.spread[group, stat]


@part
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
    quarter = max(day[s.BEST_BIN], 0)
    facts[m.F_BIN], facts[m.F_REST] = quarter, day[s.KIND]
    facts[m.F_OUT_EVENTS], facts[m.F_OUT_CUSTOMERS] = day[s.OUT_EVENTS], day[s.OUT_CUSTOMERS]
    hours = actors.hours[slot] if day[s.KIND] == 0 else tables.rest.share[me[s.REST_LINE]]
    figures[m.G_HOUR_SHARE] = quarter_share(hours, baseline, model, group, day[s.KIND], quarter)
    figures[m.G_ACTIVE_SHARE] = 1.0
    if day[s.KIND] == 1:
        place = model.branch_clock[max(me[s.HOME], 0)]
        n_rest_days = rest_days_until(clock, place, day[s.DAY] - 1) - me[s.REST_BASE]
        share = active_share(me[s.N_CLOSED_REST], n_rest_days, model.rest_share[group])
        figures[m.G_ACTIVE_SHARE] = share


@part
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
    seen = np.float64(baseline[s.DAYS_SEEN])
    facts[m.F_BRANCH] = day[s.BEST_BRANCH]
    facts[m.F_VISITED] = day[s.COUNTS + s.FOREIGN]
    visits, peers, bank = np.float64(baseline[s.DAYS_AWAY]), model.away_share[group], 1.0
    if day[s.BEST_BRANCH] != 0:
        cell = find_cell(pairs.key, day[s.BEST_BRANCH])
        branch = pairs.row[cell]
        facts[m.F_BRANCH] = pairs.branch[cell]
        facts[m.F_VISITED] = pairs.today[cell, day[s.DAY] & 1]
        visits = np.float64(pairs.visits[cell])
        peers = peer_share(model, me[s.ROLE], me[s.HOME], False, branch)
        bank = bank_share(model, branch)
    figures[m.G_OWN_SHARE] = own_share(visits, seen, peers)
    figures[m.G_PEER_SHARE], figures[m.G_BANK_SHARE] = peers, bank
    figures[m.G_EXPECTED] = figures[m.G_OWN_SHARE] * model.visit_size[group, 0]


@part
def describe_drip(
    tables: Tables, slot: int, day: I64, model: Model, group: int, facts: I64, figures: F64
) -> None:
    """Say which sum over active days stands out, and what was expected of it."""
    k, span = day[s.BEST_DRIP], day[s.BEST_SPAN]
    facts[m.F_DRIP], facts[m.F_SPAN] = k, span
    if span == 0:
        return
    stat = _DRIP_STATS[k]
    baseline, recent = tables.actors.baseline[slot], tables.actors.recent[slot]
    mean, dispersion, trust = lagged_mean(baseline, model, group, k)
    total = day[s.COUNTS + stat] / day_factor(model, group, day[s.KIND], stat)
    for back in range(span - 1):
        total += np.float64(recent[k, back])
    facts[m.F_DRIP_SUM] = int(total + 0.5)
    spread, days = model.spread[group, stat], np.float64(baseline[s.LAGGED_DAYS])
    figures[m.G_DRIP_MEAN] = span * mean
    figures[m.G_DRIP_DISPERSION] = sum_dispersion(mean, dispersion, trust, spread, days, span)
    figures[m.G_DRIP_PEER] = span * model.mean[group, 0, stat]
