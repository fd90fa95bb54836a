"""Approvals that came as events: each actor's own list of those that have not run out.

An approval covers the accesses of its actor that happen within [since, until) and carry the
customer, branch and ticket it names. Whatever can be delivered twice or out of order means
the same: an actor's approvals are a set.
"""

from __future__ import annotations

from detector.compiled import part
from detector.scoring.model import APPROVES_NOTHING, STATED, Limits, Rows
from detector.state.approvals import forget_lapsed, is_noted, note_approval
from detector.state.layout import (
    APPROVAL_LIMIT,
    FIRST_APPROVAL,
    I64,
    N_APPROVALS,
    NEWEST_NS,
    TICKETS_APPROVED,
    Approvals,
    Tables,
)


@part
def is_approved(approvals: Approvals, me: I64, rows: Rows, row: int) -> bool:
    """Tell whether one of the actor's approvals covers a row."""
    t_ns, link = rows.time_ns[row], me[FIRST_APPROVAL]
    while link > 0:
        cell = link - 1
        if (
            approvals.since_ns[cell] <= t_ns < approvals.until_ns[cell]
            and approvals.customer[cell] in (0, rows.customer[row])
            and approvals.branch[cell] in (0, rows.branch_key[row])
            and approvals.ticket[cell] in (0, rows.ticket[row])
        ):
            return True
        link = approvals.following[cell]
    return False


@part
def approve(tables: Tables, rows: Rows, row: int, slot: int, limits: Limits) -> int:
    """Note an approval of the actor, from the row's time on; STATED, or APPROVES_NOTHING."""
    me, approvals, counts = tables.actors.ints[slot], tables.approvals, tables.counts
    customer, branch, ticket = rows.customer[row], rows.branch_key[row], rows.ticket[row]
    since_ns, until_ns = rows.time_ns[row], rows.until_ns[row]
    if until_ns <= since_ns or (customer == 0 and branch == 0 and ticket == 0):
        return APPROVES_NOTHING
    if ticket != 0:
        me[TICKETS_APPROVED] = 1
    forget_lapsed(approvals, counts, me, me[NEWEST_NS] - limits.lateness_ns)
    if is_noted(approvals, me, customer, branch, ticket, since_ns, until_ns):
        return STATED
    if me[N_APPROVALS] >= limits.max_approvals:
        counts[APPROVAL_LIMIT] += 1
        return STATED
    note_approval(approvals, counts, me, customer, branch, ticket, since_ns, until_ns)
    return STATED
