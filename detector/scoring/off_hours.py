"""off_hours: is this an hour, or a kind of day, on which this person works?

For every quarter of an hour the actor's share of active days with work in it is kept, for
working days and rest days apart, and shrunk to the peer group. The score of a quarter is
the share of usual activity in quarters no busier than it; on rest days times the chance
to be there at all; and on top the volume of what is done out of hours.
"""

from __future__ import annotations

import math

import numpy as np

from detector.compiled import aside, kernel, part
from detector.scoring.model import Model
from detector.scoring.negative_binomial import upper_tail_surprise
from detector.state.layout import (
    BEST_BIN,
    BEST_HOUR,
    BINS_LOW,
    F32,
    F64,
    I64,
    KIND,
    N_BINS,
    OUT_CUSTOMERS,
    OUT_EVENTS,
    OUT_LOW,
    RAW,
    REST_LINE,
    REST_TOP,
    U16,
    WEIGHTS,
)

OFF_HOURS = 1  # position in ``DETECTORS``
_HALF = N_BINS // 2
_PRIOR_DAYS = 4.0  # own days after which own hours weigh as much as the peers'
_PRIOR_REST_DAYS = 2.0  # few: people either work on rest days or they do not
_FULL = 65535.0
_LEAST_SHARE = 1e-5


@part
def has_bin(day: I64, low: int, quarter: int) -> bool:
    """Read one of the 96 bits that start in column ``low``."""
    return bool((day[low + quarter // _HALF] >> (quarter % _HALF)) & 1 == 1)


@part
def set_bin(day: I64, low: int, quarter: int) -> None:
    """Set one of the 96 bits that start in column ``low``."""
    day[low + quarter // _HALF] |= 1 << (quarter % _HALF)


@part
def take_rest_line(me: I64, counts: I64) -> None:
    """Give an actor a line for the hours of rest days: the first that teaches needs one."""
    if me[REST_LINE] == 0:
        me[REST_LINE] = counts[REST_TOP]
        counts[REST_TOP] += 1


@kernel
def quarter_share(
    hours: U16, baseline: F32, model: Model, group: int, kind: int, quarter: int
) -> float:
    """Return the share of usual activity in quarters no busier than this one, in (0, 1].

    ``hours`` (96,) are those of days of this kind.
    """
    days = np.float64(baseline[WEIGHTS + kind])
    return _share_no_busier(hours, model.hours[group, kind], days, quarter)


@aside
def _share_no_busier(own_hours: U16, peer_hours: F64, days: float, quarter: int) -> float:
    """Add up one kind of day: once per actor and quarter of an hour."""
    own = days / (days + _PRIOR_DAYS) / _FULL
    peer = _PRIOR_DAYS / (days + _PRIOR_DAYS)
    here = own * own_hours[quarter] + peer * peer_hours[quarter]
    total, quieter = 0.0, 0.0
    for other in range(N_BINS):
        busy = own * own_hours[other] + peer * peer_hours[other]
        total += busy
        quieter += busy if busy <= here else 0.0
    return max(quieter / max(total, 1e-9), _LEAST_SHARE)


@part
def active_share(n_rest_worked: int, n_rest_days: int, prior: float) -> float:
    """Return the chance that the actor works on a rest day, in (0, 1]."""
    worked = n_rest_worked + _PRIOR_REST_DAYS * prior
    return min(max(worked / (n_rest_days + _PRIOR_REST_DAYS), _LEAST_SHARE), 1.0)


@part
def score_hours(
    day: I64,
    surprise: F64,
    hours: U16,
    baseline: F32,
    model: Model,
    group: int,
    quarter: int,
    active: float,
    new_customer: int,
    out_share: float,
) -> bool:
    """Raise the day's raw off_hours score; tell whether the row is out of hours.

    Args:
        day: integers of the open day.
        surprise: scores of the open day; RAW + 1 is updated.
        hours: (96,) what is learned of the actor's hours on such days.
        baseline: what is usual for the actor.
        model: priors.
        group: peer group.
        quarter: quarter of an hour of the row, branch time, 0..95.
        active: chance to be active on this kind of day at all.
        new_customer: 1 if the row's customer is new today.
        out_share: quarters with a smaller share are out of hours.
    """
    if not has_bin(day, BINS_LOW, quarter):
        set_bin(day, BINS_LOW, quarter)
        share = quarter_share(hours, baseline, model, group, day[KIND], quarter)
        if share < out_share:
            set_bin(day, OUT_LOW, quarter)
        rarity = -math.log10(share * active)
        if rarity > surprise[BEST_HOUR]:
            surprise[BEST_HOUR] = rarity
            day[BEST_BIN] = quarter
    is_out = has_bin(day, OUT_LOW, quarter)
    if is_out:
        day[OUT_EVENTS] += 1
        day[OUT_CUSTOMERS] += new_customer
    volume = 0.0
    if is_out and day[OUT_EVENTS] > 1:
        mean, dispersion = model.out_volume[group, 0], model.out_volume[group, 1]
        volume = upper_tail_surprise(day[OUT_EVENTS] - 1, mean, dispersion)
    surprise[RAW + 1] = max(surprise[RAW + 1], surprise[BEST_HOUR] + volume)
    return is_out


@part
def learn_hours(day: I64, hours: U16, baseline: F32, weight: float) -> None:
    """Let a closed day's quarters into the histogram, each leaking into its neighbours.

    The bulk baseline has been updated before: its weight is the number of days.
    """
    kind = day[KIND]
    rate = min(weight / max(np.float64(baseline[WEIGHTS + kind]), weight), 1.0)
    for quarter in range(N_BINS):
        before = has_bin(day, BINS_LOW, (quarter + N_BINS - 1) % N_BINS)
        after = has_bin(day, BINS_LOW, (quarter + 1) % N_BINS)
        seen = 0.5 * has_bin(day, BINS_LOW, quarter) + 0.25 * before + 0.25 * after
        old = hours[quarter] / _FULL
        hours[quarter] = int((old + rate * (seen - old)) * _FULL + 0.5)
