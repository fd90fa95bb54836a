"""What an analyst asks of every row: the day so far, every channel's score, what was known."""

from __future__ import annotations

from detector.compiled import aside
from detector.scoring.model import Out
from detector.state.layout import KNOWN, N_CLOSED, N_DETECTORS, N_SURPRISE, Tables


@aside
def keep_row(
    tables: Tables, row: int, slot: int, line: int, group: int, changed: bool, out: Out
) -> None:
    """Copy the actor's day as it stands after a row; changes nothing that is remembered."""
    actors, days = tables.actors, tables.days
    out.kept_actor[row, 0] = actors.user[slot]
    out.kept_actor[row, 1] = group
    out.kept_actor[row, 2] = actors.ints[slot, N_CLOSED]
    out.kept_actor[row, 3] = 1 if changed else 0
    for column in range(days.ints.shape[1]):
        out.kept_day[row, column] = days.ints[line, column]
    for column in range(N_SURPRISE):
        out.kept_surprise[row, column] = days.surprise[line, column]
    for detector in range(N_DETECTORS):
        out.kept_known[row, detector] = actors.baseline[slot, KNOWN + detector]
