"""Approvals that came as events: each actor's own list of those that have not run out.

An approval covers the accesses of its actor that happen within [since, until) and carry the
customer, branch and ticket it names. Whatever can be delivered twice or out of order means
the same: an actor's approvals are a set.
"""

from __future__ import annotations

from detector.compiled import part
from detector.scoring.model import APPROVES_NOTHING, STATED, Limits, Rows
from detector.state.layout import (
    APPROVAL_LIMIT,
    APPROVALS_TOP,
    FIRST_APPROVAL,
    FREE_APPROVAL,
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
    cell = take_cell(approvals, counts)
    approvals.customer[cell], approvals.branch[cell] = customer, branch
    approvals.ticket[cell] = ticket
    approvals.since_ns[cell], approvals.until_ns[cell] = since_ns, until_ns
    approvals.following[cell] = me[FIRST_APPROVAL]
    me[FIRST_APPROVAL] = cell + 1
    me[N_APPROVALS] += 1
    return STATED


@part
def is_noted(
    approvals: Approvals,
    me: I64,
    customer: int,
    branch: int,
    ticket: int,
    since_ns: int,
    until_ns: int,
) -> bool:
    """Tell whether the actor's list holds this very approval."""
    link = me[FIRST_APPROVAL]
    while link > 0:
        cell = link - 1
        if (
            approvals.since_ns[cell] == since_ns
            and approvals.until_ns[cell] == until_ns
            and approvals.customer[cell] == customer
            and approvals.branch[cell] == branch
            and approvals.ticket[cell] == ticket
        ):
            return True
        link = approvals.following[cell]
    return False


@part
def forget_lapsed(approvals: Approvals, counts: I64, me: I64, over_ns: int) -> None:
    """Give back what has run out before the oldest time that a row can still have."""
    link, last = me[FIRST_APPROVAL], 0
    while link > 0:
        cell, following = link - 1, approvals.following[link - 1]
        if approvals.until_ns[cell] > over_ns:
            last = link
        else:
            if last == 0:
                me[FIRST_APPROVAL] = following
            else:
                approvals.following[last - 1] = following
            approvals.following[cell] = counts[FREE_APPROVAL]
            counts[FREE_APPROVAL] = link
            me[N_APPROVALS] -= 1
        link = following


@part
def take_cell(approvals: Approvals, counts: I64) -> int:
    """Return a free cell; the caller of the loop has checked that the top has room."""
    link = counts[FREE_APPROVAL]
    if link > 0:
        counts[FREE_APPROVAL] = approvals.following[link - 1]
        return int(link - 1)
    counts[APPROVALS_TOP] += 1
    return int(counts[APPROVALS_TOP] - 1)
