"""account: is the account itself used in a way it should not be?

Rules on state and reference data (somebody who has left, is on leave, or was silent for
months) and two counts against what is usual: denied accesses, and changes to and fro
between two devices within half an hour, which is how a shared password looks.
"""

from __future__ import annotations

import math

from detector.compiled import aside, part
from detector.scoring.model import Model
from detector.scoring.periods import has_period
from detector.state.days import add_count
from detector.state.layout import (
    ACCOUNT_FACT,
    ACCOUNT_RULE,
    DAY,
    DENIED,
    DENIED_CHANNEL,
    DEVICE,
    F64,
    I64,
    LAST_ACTIVE_DAY,
    LEFT_DAY,
    OTHER_DEVICE,
    OTHER_DEVICE_NS,
    RAW,
    RULE_CHANNEL,
    SWITCHES,
)

ACCOUNT = 9  # position in ``DETECTORS``
COUNTED = {ACCOUNT: (SWITCHES,), DENIED_CHANNEL: (DENIED,)}
NO_RULE, HAS_LEFT, ON_LEAVE, DORMANT = range(4)
RULES = (None, "left", "on_leave", "dormant")
_TO_AND_FRO_NS = 1_800_000_000_000
_DORMANT_DAYS = 60
_LEFT_SURPRISE, _LEAVE_SURPRISE, _DORMANT_SURPRISE = 8.0, 5.0, 2.5


@part
def count_switch(me: I64, day: I64, t_ns: int, device: int) -> int:
    """Follow the device of an actor; return the bit of SWITCHES if it went to and fro."""
    if device == 0 or device == me[DEVICE]:
        return 0
    is_back = device == me[OTHER_DEVICE] and t_ns - me[OTHER_DEVICE_NS] < _TO_AND_FRO_NS
    me[OTHER_DEVICE], me[OTHER_DEVICE_NS], me[DEVICE] = me[DEVICE], t_ns, device
    return add_count(day, SWITCHES, 1) if is_back else 0


@part
def is_on_leave(model: Model, user: int, day: int) -> bool:
    """Tell whether the staff directory says that the actor is on leave on a local day."""
    return has_period(model.leave_key, model.leave_first, model.leave_last, user, day)


@aside
def score_account(me: I64, user: int, day: I64, surprise: F64, model: Model) -> None:
    """Judge the account on the first row of a local day."""
    rule, raw, fact = NO_RULE, 0.0, 0
    silent = day[DAY] - me[LAST_ACTIVE_DAY]
    if me[LAST_ACTIVE_DAY] > 0 and silent >= _DORMANT_DAYS:
        rule, fact = DORMANT, silent
        raw = _DORMANT_SURPRISE + math.log(silent / _DORMANT_DAYS) / math.log(2.0)
    if model.leave_key.size and raw < _LEAVE_SURPRISE and is_on_leave(model, user, day[DAY]):
        rule, raw, fact = ON_LEAVE, _LEAVE_SURPRISE, 0
    if 0 < me[LEFT_DAY] < day[DAY]:
        rule, raw, fact = HAS_LEFT, _LEFT_SURPRISE, day[DAY] - me[LEFT_DAY]
    me[LAST_ACTIVE_DAY] = max(me[LAST_ACTIVE_DAY], day[DAY])
    if raw > surprise[RAW + RULE_CHANNEL]:
        surprise[RAW + RULE_CHANNEL] = raw
        day[ACCOUNT_RULE], day[ACCOUNT_FACT] = rule, fact
