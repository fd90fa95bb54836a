"""Each actor's list of approvals: look through it, add to it, drop what has run out."""

from __future__ import annotations

import numpy as np

from detector.compiled import part
from detector.state.layout import (
    APPROVALS_TOP,
    FIRST_APPROVAL,
    FREE_APPROVAL,
    I64,
    N_ACTORS,
    N_APPROVALS,
    Approvals,
    Tables,
    empty_approvals,
)


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
def _take_cell(approvals: Approvals, counts: I64) -> int:
    """Return a free cell; the caller of the loop has checked that the top has room."""
    link = counts[FREE_APPROVAL]
    if link > 0:
        counts[FREE_APPROVAL] = approvals.following[link - 1]
        return int(link - 1)
    counts[APPROVALS_TOP] += 1
    return int(counts[APPROVALS_TOP] - 1)


@part
def note_approval(
    approvals: Approvals,
    counts: I64,
    me: I64,
    customer: int,
    branch: int,
    ticket: int,
    since_ns: int,
    until_ns: int,
) -> None:
    """Put an approval in front of the actor's list."""
    cell = _take_cell(approvals, counts)
    approvals.customer[cell], approvals.branch[cell] = customer, branch
    approvals.ticket[cell] = ticket
    approvals.since_ns[cell], approvals.until_ns[cell] = since_ns, until_ns
    approvals.following[cell] = me[FIRST_APPROVAL]
    me[FIRST_APPROVAL] = cell + 1
    me[N_APPROVALS] += 1


def with_room(old: Approvals, counts: I64) -> Approvals:
    """Return a table with a free cell at its top: the same, or one twice as large."""
    if counts[APPROVALS_TOP] < old.customer.size:
        return old
    new = empty_approvals(2 * old.customer.size)
    for name in Approvals._fields:
        getattr(new, name)[: old.customer.size] = getattr(old, name)
    return new


def lists_are_whole(tables: Tables) -> bool:
    """Tell whether every cell in use is led to just once: no list ends astray, or never."""
    approvals, counts = tables.approvals, tables.counts
    n_actors, top = counts[N_ACTORS], counts[APPROVALS_TOP]
    if top > approvals.following.size:
        return False
    links = np.concatenate([
        tables.actors.ints[:n_actors, FIRST_APPROVAL], counts[[FREE_APPROVAL]],
        approvals.following[:top],
    ])  # fmt: skip
    return np.array_equal(np.sort(links[links != 0]), np.arange(1, top + 1, dtype=np.int64))
