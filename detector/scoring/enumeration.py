"""enumeration: does somebody walk through record numbers in order?

A step is the difference of two record numbers looked at one after the other. Small steps
in one direction, at least three in a row, are counted; portfolios with neighbouring
numbers give some by chance, which is what the actor's and the peers' means hold.
"""

from __future__ import annotations

from detector.compiled import part
from detector.state.days import add_count
from detector.state.layout import I64, LAST_NUMBER, ORDERED, ORDERED_RUN

ENUMERATION = 5  # position in ``DETECTORS``
COUNTED = {ENUMERATION: (ORDERED,)}
_MAX_STEP = 12  # record numbers with a check digit go up by about ten
_LEAST_RUN = 3


@part
def count_order(me: I64, day: I64, number: int) -> int:
    """Follow the steps of record numbers; return the bit of ORDERED if it has grown.

    Args:
        me: the actor's integers; LAST_NUMBER is kept plus one, 0 = none.
        day: integers of the open day.
        number: record number of the row, >= 0.
    """
    last = me[LAST_NUMBER] - 1
    step = number - last
    if step == 0:
        return 0
    me[LAST_NUMBER] = number + 1
    run = me[ORDERED_RUN]
    if last < 0 or step > _MAX_STEP or step < -_MAX_STEP:
        me[ORDERED_RUN] = 0
        return 0
    if step > 0:
        me[ORDERED_RUN] = run + 1 if run > 0 else 1
    else:
        me[ORDERED_RUN] = run - 1 if run < 0 else -1
    return add_count(day, ORDERED, 1) if abs(me[ORDERED_RUN]) >= _LEAST_RUN else 0
