"""unfamiliar: does this look like somebody else at the keyboard?

For system, action, device, address, channel and class of data, the chance of the value
under the actor's own profile is held against the whole bank's. The profile foresees new
values at the rate at which the actor has had new ones (Pitman & Yor), and adapts within
the day, so that one new device counts once. Each field gives the likelihood ratio of "a
tenth of these rows is somebody else" against "all are this actor"; their sum runs through
the day, never below zero (Page's test).

A day that, taken whole, looks more like the bank than like the actor does not teach: whoever
comes back tomorrow must not find the profile bent. After two working weeks of such days the work
itself has changed, and days teach again.
"""

from __future__ import annotations

import math

import numpy as np

from detector.compiled import aside, part
from detector.scoring.model import Limits, Model, Rows
from detector.state.days import has_bit, set_bit, weight_of_day
from detector.state.layout import (
    BALANCE,
    DAY,
    F32,
    F64,
    I64,
    LINE,
    N_CLOSED,
    N_FIELDS,
    N_VALUES,
    NO_DAY,
    OTHERS,
    PROFILE_N,
    PROFILE_NEW,
    RAW,
    TODAY_N,
    TODAY_NEW,
    UNLIKE,
    UNLIKE_RUN,
    VALUE_LIMIT,
    Days,
    Tables,
    ValuePairs,
)
from detector.state.tables import add_value, find_cell

UNFAMILIAR = 3  # position in ``DETECTORS``
_STRENGTH, _DISCOUNT = 1.0, 0.5  # of the Pitman-Yor process
_FOREIGN_SHARE = 0.1
_LN10 = math.log(10.0)
_MAX_TIMES = 1e13  # six of them are far from the end of float64
_LEAST_TIMES, _MOST_TIMES = math.exp(-3.0), math.exp(6.0)  # what a value can weigh on the whole day
_NEW_NORMAL_DAYS = 10  # days in a row unlike the actor, after which they teach


@part
def own_chance(n_value: float, n: float, n_new: float, bank: float) -> float:
    """Return the chance of a value under the actor's own profile, in (0, 1].

    Args:
        n_value: uses of this value by the actor, >= 0.
        n: uses of any value of the field, >= n_value.
        n_new: how many of them were new when they came.
        bank: share of the value in the whole bank, in (0, 1].

    Source:
        Pitman & Yor (1997), predictive rule of the two-parameter process.
    """
    new = min((_STRENGTH + _DISCOUNT * n_new) / (n + _STRENGTH), 1.0)
    known = max(n_value - _DISCOUNT, 0.0) / (n + _STRENGTH)
    return min(known + new * bank, 1.0)


@part
def likelihood_ratio(times: float) -> float:
    """Return the likelihood ratio "a tenth is somebody else" : "all is the actor", >= 0.9.

    Args:
        times: the value's chance in the bank : under the actor's own profile.
    """
    return 1.0 - _FOREIGN_SHARE + _FOREIGN_SHARE * min(times, _MAX_TIMES)


@part
def fold_value(
    pairs: ValuePairs, cell: int, me: I64, days: Days, decay: F64, flagged_weight: float
) -> None:
    """Let the uses of days that have closed meanwhile into the value's history."""
    if me[N_CLOSED] != pairs.closed[cell]:
        _fold_closed(pairs, cell, me, days, decay, flagged_weight)


@aside
def _fold_closed(
    pairs: ValuePairs, cell: int, me: I64, days: Days, decay: F64, flagged_weight: float
) -> None:
    age = min(me[N_CLOSED] - pairs.closed[cell], decay.size - 1)
    count = np.float64(pairs.uses[cell]) * decay[age]
    pairs.closed[cell] = me[N_CLOSED]
    for parity in range(2):
        day = pairs.day[cell, parity]
        if day in (NO_DAY, days.ints[me[LINE + parity], DAY]):
            continue
        if not has_bit(me, UNLIKE, day):
            count += weight_of_day(me, day, flagged_weight) * pairs.today[cell, parity]
        pairs.day[cell, parity] = NO_DAY
        pairs.today[cell, parity] = 0
    pairs.uses[cell] = count


@part
def score_values(
    tables: Tables,
    rows: Rows,
    row: int,
    slot: int,
    day: I64,
    surprise: F64,
    model: Model,
    limits: Limits,
) -> None:
    """Raise the day's raw score by what the row's values say; count the values."""
    if not limits.watched[UNFAMILIAR]:
        return
    pairs, me, baseline = tables.values, tables.actors.ints[slot], tables.actors.baseline[slot]
    parity, ratio, balance = day[DAY] & 1, 1.0, 1.0
    for field in range(N_FIELDS):
        key = rows.value_pair[row, field]
        if key == 0:
            continue
        cell = find_cell(pairs.key, key)
        if pairs.key[cell] == 0:
            if me[N_VALUES] >= limits.max_values:
                tables.counts[VALUE_LIMIT] += 1
                continue
            add_value(pairs, tables.counts, cell, key, slot, me[N_CLOSED])
            me[N_VALUES] += 1
        fold_value(pairs, cell, me, tables.days, model.decay, limits.flagged_weight)
        if pairs.day[cell, parity] != day[DAY]:
            pairs.day[cell, parity], pairs.today[cell, parity] = day[DAY], 0
        n_value = np.float64(pairs.uses[cell]) + pairs.today[cell, parity]
        n = np.float64(baseline[PROFILE_N + field]) + day[TODAY_N + field]
        n_new = np.float64(baseline[PROFILE_NEW + field]) + day[TODAY_NEW + field]
        bank = rows.value_share[row, field]
        times = bank / own_chance(n_value, n, n_new, bank)
        ratio *= likelihood_ratio(times)
        balance *= min(max(times, _LEAST_TIMES), _MOST_TIMES)
        pairs.today[cell, parity] += 1
        day[TODAY_N + field] += 1
        if n_value == 0.0:
            day[TODAY_NEW + field] += 1
    surprise[OTHERS] = max(surprise[OTHERS] + math.log(ratio), 0.0)
    surprise[BALANCE] += math.log(balance)
    surprise[RAW + UNFAMILIAR] = max(surprise[RAW + UNFAMILIAR], surprise[OTHERS] / _LN10)


@part
def mark_unlike(me: I64, day: int, balance: float) -> bool:
    """Judge a day that closes, and remember it; return whether its values do not teach.

    Args:
        me: integers of the actor.
        day: local day.
        balance: ``BALANCE`` of the day.
    """
    me[UNLIKE_RUN] = me[UNLIKE_RUN] + 1 if balance > 0.0 else 0
    if not 0 < me[UNLIKE_RUN] <= _NEW_NORMAL_DAYS:
        return False
    set_bit(me, UNLIKE, day)
    return has_bit(me, UNLIKE, day)


@part
def learn_values(day: I64, baseline: F32, weight: float, keep: float) -> None:
    """Let a closed day into the totals of the profile."""
    for field in range(N_FIELDS):
        n = np.float64(baseline[PROFILE_N + field]) * keep
        baseline[PROFILE_N + field] = n + weight * day[TODAY_N + field]
        n_new = np.float64(baseline[PROFILE_NEW + field]) * keep
        baseline[PROFILE_NEW + field] = n_new + weight * day[TODAY_NEW + field]
