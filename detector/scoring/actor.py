"""Who acts: find or start the actor of a row, judge the row's time, take its home branch."""

from __future__ import annotations

from detector.compiled import aside, part
from detector.scoring.account import ACCOUNT
from detector.scoring.model import JUMP, SCORED, TOO_LATE, Limits, Model, Rows
from detector.state.layout import (
    CHUNK,
    CLOSED_UNTIL,
    FIRST_DAY,
    HOME,
    HOME_GUESSED,
    HOME_KEY,
    I64,
    LEFT_DAY,
    N_ACTORS,
    NEWEST_NS,
    PENDING_NS,
    ROLE,
    Tables,
)
from detector.state.tables import NOT_FOUND, add_actor, find_actor, find_cell
from detector.state.tail import take_chunk

_DAY_NS = 86_400_000_000_000


@aside
def start_actor(tables: Tables, model: Model, limits: Limits, user: int) -> int:
    """Take a slot for a new actor and fill in what the staff directory says."""
    slot = add_actor(tables.actors, tables.counts, user)
    me = tables.actors.ints[slot]
    me[CLOSED_UNTIL] = -1
    me[CHUNK] = take_chunk(tables.arena, tables.counts, 0)
    if model.staff_key.size:
        cell = find_cell(model.staff_key, user)
        if model.staff_key[cell] == user:
            me[ROLE] = model.staff_role[cell]
            me[HOME] = model.staff_home[cell]
            me[HOME_KEY] = model.staff_home_key[cell]
            if limits.watched[ACCOUNT]:
                me[LEFT_DAY] = model.staff_left[cell]
    return slot


@part
def slot_of(tables: Tables, model: Model, limits: Limits, user: int) -> int:
    """Return the actor's slot, a new one if there is room, or NOT_FOUND."""
    slot = find_actor(tables.actors, user)
    if slot == NOT_FOUND and tables.counts[N_ACTORS] < limits.max_actors:
        slot = start_actor(tables, model, limits, user)
    return slot


@part
def judge_time(me: I64, t_ns: int, limits: Limits) -> int:
    """Tell whether a row's time is usable: SCORED, TOO_LATE or JUMP.

    A single row far ahead of its actor must not close its windows and days; a second one
    near the first shows that the actor is really there (back from a long leave). The first
    access sets the clock.
    """
    if me[FIRST_DAY] == 0:
        me[NEWEST_NS] = t_ns
    if t_ns < me[NEWEST_NS] - limits.lateness_ns:
        return TOO_LATE
    if t_ns > me[NEWEST_NS] + limits.max_jump_ns:
        apart = abs(t_ns - me[PENDING_NS])
        me[PENDING_NS] = t_ns
        if apart > _DAY_NS:
            return JUMP
    return SCORED


@part
def take_home(me: I64, rows: Rows, row: int) -> None:
    """Take role and home branch from the row where it names them; the row is newer."""
    if rows.role[row] >= 0:
        me[ROLE] = rows.role[row]
    if rows.home_key[row] != 0:
        me[HOME] = rows.home[row]
        me[HOME_KEY] = rows.home_key[row]
        me[HOME_GUESSED] = 0
