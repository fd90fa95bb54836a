"""Verdicts: whether what was flagged about an actor may become usual.

``benign`` lets the flagged days of the next weeks teach like any other, ``confirmed`` lets
none of them teach. Of several verdicts the newest holds, in whatever order they come.
"""

from __future__ import annotations

from detector.compiled import part
from detector.state.layout import I64, VERDICT, VERDICT_NS

CONFIRMED = -1  # in VERDICT; a day > 0 there is the first on which a benign one has run out


@part
def note_verdict(me: I64, t_ns: int, day: int, confirmed: bool, benign_days: int) -> None:
    """Note a verdict of the local ``day``; of two of one instant, ``confirmed`` holds."""
    is_repeated = t_ns == me[VERDICT_NS] and me[VERDICT] == CONFIRMED
    if t_ns >= me[VERDICT_NS] and not is_repeated:
        me[VERDICT_NS] = t_ns
        me[VERDICT] = CONFIRMED if confirmed else day + benign_days


@part
def teaching_weight(me: I64, day: int, flagged: bool, flagged_weight: float) -> float:
    """Return how much a closed day teaches, in [0, 1]."""
    if not flagged or day < me[VERDICT]:
        return 1.0
    return 0.0 if me[VERDICT] == CONFIRMED else flagged_weight
