"""Let closed days into what is usual: capped, and hardly at all if the day was flagged."""

from __future__ import annotations

import numpy as np

from detector.compiled import aside, part
from detector.scoring.combine import remember_flagged
from detector.scoring.counts import learn_counts
from detector.scoring.model import Limits, Model, Out
from detector.scoring.off_hours import OFF_HOURS, learn_hours, take_rest_line
from detector.scoring.repeat_target import REPEAT_TARGET, learn_repeat
from detector.scoring.slow_drip import SLOW_DRIP, learn_drip
from detector.scoring.unfamiliar import UNFAMILIAR, learn_values, mark_unlike
from detector.scoring.verdicts import teaching_weight
from detector.state.days import close_day, mark_day
from detector.state.layout import (
    AWAY_SIZE,
    BALANCE,
    CLOSED_UNTIL,
    COUNTS,
    DAY,
    DAYS_AWAY,
    DAYS_SEEN,
    F32,
    FIRST_DAY,
    FOREIGN,
    HOME,
    KIND,
    LINE,
    N_CLOSED,
    N_CLOSED_REST,
    N_SURPRISE,
    NO_DAY,
    REST_LINE,
    ROLE,
    SETTLED_DAYS,
    WHOLE,
    Tables,
)


@part
def learn_closed_days(tables: Tables, slot: int, model: Model, limits: Limits, out: Out) -> None:
    """Close the actor's days that are over, the older first, and learn from them.

    Runs before the row that makes them close is looked at: a row is never part of its own
    baseline, and a closed day never changes again.
    """
    me, days = tables.actors.ints[slot], tables.days
    first = 0 if days.ints[me[LINE], DAY] <= days.ints[me[LINE + 1], DAY] else 1
    for parity in (first, 1 - first):
        day = days.ints[me[LINE + parity], DAY]
        if day != NO_DAY and day <= me[CLOSED_UNTIL]:
            learn_day(tables, slot, me[LINE + parity], model, limits, out)
            close_day(days, tables.counts, me, parity)


@aside
def learn_day(tables: Tables, slot: int, line: int, model: Model, limits: Limits, out: Out) -> None:
    """Learn from one closed day; one of weight 0 leaves what is usual as if it had not been."""
    actors = tables.actors
    me, baseline = actors.ints[slot], actors.baseline[slot]
    day, surprise = tables.days.ints[line], tables.days.surprise[line]
    group = model.group_of[me[ROLE] + 1, max(me[HOME], 0)]
    report_day(tables, slot, line, group, out)
    flagged = surprise[WHOLE] >= limits.flag_score
    remember_flagged(surprise, baseline, flagged)
    weight = teaching_weight(me, day[DAY], flagged, limits.flagged_weight)
    keep = model.decay[1]
    settled = day[DAY] - me[FIRST_DAY] >= SETTLED_DAYS
    watched = limits.watched
    if watched[SLOW_DRIP]:
        learn_drip(day, me, actors.recent[slot], baseline, model, group, flagged)
    if weight > 0.0:
        learn_counts(day, baseline, model, group, weight, keep, limits, settled)
        if watched[OFF_HOURS]:
            if day[KIND] == 1:
                take_rest_line(me, tables.counts)
            hours = actors.hours[slot] if day[KIND] == 0 else tables.rest.share[me[REST_LINE]]
            learn_hours(day, hours, baseline, weight)
        learn_away(baseline, day[COUNTS + FOREIGN], weight, keep)
        if watched[UNFAMILIAR]:
            unlike = mark_unlike(me, day[DAY], surprise[BALANCE])
            learn_values(day, baseline, 0.0 if unlike else weight, keep)
        if settled and watched[REPEAT_TARGET]:
            learn_repeat(day, baseline, weight, keep)
        me[N_CLOSED] += 1
        me[N_CLOSED_REST] += day[KIND]
    mark_day(me, day[DAY], weight)


@part
def learn_away(baseline: F32, n_foreign: int, weight: float, keep: float) -> None:
    """Count one active day, and how much of it was at foreign branches."""
    baseline[DAYS_SEEN] = np.float64(baseline[DAYS_SEEN]) * keep + weight
    away = np.float64(baseline[DAYS_AWAY]) * keep
    if n_foreign > 0:
        away += weight
        size = np.float64(baseline[AWAY_SIZE])
        baseline[AWAY_SIZE] = size + weight / away * (n_foreign - 1 - size)
    baseline[DAYS_AWAY] = away


@part
def report_day(tables: Tables, slot: int, line: int, group: int, out: Out) -> None:
    """Write a closed day into the ledger that fitting reads, if one is kept."""
    at = out.n_closed[0]
    if at >= out.closed_day.shape[0]:
        return
    actors, days = tables.actors, tables.days
    out.n_closed[0] = at + 1
    out.closed_actor[at, 0] = actors.user[slot]
    out.closed_actor[at, 1] = slot
    out.closed_actor[at, 2] = group
    out.closed_actor[at, 3] = actors.ints[slot, N_CLOSED]
    for column in range(days.ints.shape[1]):
        out.closed_day[at, column] = days.ints[line, column]
    for column in range(N_SURPRISE):
        out.closed_surprise[at, column] = days.surprise[line, column]
