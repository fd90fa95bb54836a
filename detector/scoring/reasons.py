"""Business reasons: which accesses a ticket or an approval explains.

A stated purpose alone explains nothing: whoever looks can also state one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from detector.columns import Coded, EventBatch
from detector.compiled import kernel
from detector.customers import Approval
from detector.hashing import hash_strings, mix
from detector.lookup import is_in
from detector.reference import Reference
from detector.state.layout import I64
from detector.state.tables import find_cell, place_keys

_DAY_NS = 86_400_000_000_000
_ZONES_NS = _DAY_NS // 2  # a local day of any zone lies within half a day of the UTC day
_EPOCH_ORDINAL = 719_163
_EVER_NS = 2**62
Period = tuple[int, int]


def key_set(keys: I64) -> I64:
    """Lay keys > 0 out for ``is_held``: one look instead of a search per row."""
    table = np.zeros(keys.size + keys.size // 2 + 1, dtype=np.int64)
    everyone, target = np.ones(keys.size, dtype=np.uint8), np.empty(keys.size, dtype=np.int64)
    place_keys(keys, everyone, table, target)
    return table


def is_held(keys: I64, held: I64) -> NDArray[np.bool_]:
    """(n,) whether each key, 0 = missing, is in a ``key_set``.

    >>> is_held(np.array([0, 2**60, 4]), key_set(np.array([2**60, 7]))).tolist()
    [False, True, False]
    """
    out = np.zeros(keys.size, dtype=np.bool_)
    _look_up(keys, held, out)
    return out


@kernel
def _look_up(keys: I64, held: I64, out: NDArray[np.bool_]) -> None:
    for row in range(keys.size):
        out[row] = keys[row] != 0 and held[find_cell(held, keys[row])] == keys[row]


@dataclass(frozen=True, slots=True)
class Scope:
    """For whom, what and when an approval holds; 0 and the empty set stand for any."""

    user: int
    customers: frozenset[int]
    branch: int
    period: Period

    def covers(self, user: int, customer: int, branch: int, time_ns: int) -> bool:
        """Tell whether an access lies within."""
        return (
            self.user in (0, user)
            and (not self.customers or customer in self.customers)
            and self.branch in (0, branch)
            and _covers((self.period,), time_ns)
        )


@dataclass(frozen=True, slots=True)
class Reasons:
    """Reference data about customers and approvals, as keys.

    ``sensitive`` are customers, ``own`` user × customer, both as a ``key_set``.
    ``tickets`` maps a ticket id to its approvals; a ticket that nobody listed is taken for
    a business case of another system. ``pairs`` maps the key of
    user × customer or user × branch to the periods in which it is approved.
    """

    sensitive: I64
    own: I64
    tickets: Mapping[str, tuple[Scope, ...]]
    pairs: Mapping[int, tuple[Period, ...]]

    def explained(self, batch: EventBatch, branch_key: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(n,) whether the tables approve each event."""
        found = self._covered_by_tickets(batch, branch_key)
        if self.pairs:
            keys = np.fromiter(self.pairs, dtype=np.int64, count=len(self.pairs))
            table = np.sort(keys)
            for other in (batch.customer_hash, branch_key):
                pair = mix(batch.user_hash, other)
                for row in np.flatnonzero(is_in(pair, table) & (other != 0)).tolist():
                    time_ns = int(batch.event_time_ns[row])
                    found[row] |= _covers(self.pairs[int(pair[row])], time_ns)
        return np.asarray(found)

    def unlisted(self, batch: EventBatch) -> NDArray[np.bool_]:
        """(n,) whether each event names a ticket that the tables do not list."""
        column = batch.ticket_id
        named = column.codes >= 0
        return np.asarray(named & ~self._listed(column)[column.codes] if self.tickets else named)

    def _covered_by_tickets(
        self, batch: EventBatch, branch_key: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """(n,) whether the event names a listed ticket that may be used for it."""
        column = batch.ticket_id
        good = np.zeros(len(batch), dtype=np.bool_)
        if not self.tickets:
            return good
        for row in np.flatnonzero(self._listed(column)[column.codes]).tolist():
            scopes = self.tickets[column.values[int(column.codes[row])]]
            access = (
                int(batch.user_hash[row]), int(batch.customer_hash[row]), int(branch_key[row]),
                int(batch.event_time_ns[row]),
            )  # fmt: skip
            good[row] = any(scope.covers(*access) for scope in scopes)
        return good

    def _listed(self, column: Coded) -> NDArray[np.bool_]:
        """(values + 1,) whether the tables list each ticket; the last is for "none"."""
        return np.array([*(value in self.tickets for value in column.values), False], np.bool_)


def _covers(periods: Iterable[Period], time_ns: int) -> bool:
    return any(first <= time_ns < last for first, last in periods)


def reasons_of(reference: Reference) -> Reasons:
    """Turn reference tables into keys."""
    customers = reference.customers
    own = mix(
        hash_strings([user for user, _ in customers.own]),
        hash_strings([customer for _, customer in customers.own]),
    )
    tickets: dict[str, list[Scope]] = {}
    pairs: dict[int, list[Period]] = {}
    for approval in reference.approvals:
        period = _period(approval.first_day, approval.last_day)
        user, branch = hash_strings([approval.user_id or "", approval.branch or ""]).tolist()
        of_customers = frozenset(hash_strings(approval.customers).tolist())
        scope = Scope(user, of_customers, branch, period)
        tickets.setdefault(approval.ticket_id, []).append(scope)
        for key in _pair_keys(approval):
            pairs.setdefault(key, []).append(period)
    return Reasons(
        sensitive=key_set(hash_strings(customers.sensitive)),
        own=key_set(own),
        tickets={ticket: tuple(found) for ticket, found in tickets.items()},
        pairs={key: tuple(found) for key, found in pairs.items()},
    )


def _pair_keys(approval: Approval) -> list[int]:
    """Return the keys of user × customer, or of user × branch if no customer is named."""
    if approval.user_id is None:
        return []
    places = approval.customers or ((approval.branch,) if approval.branch else ())
    users = hash_strings([approval.user_id] * len(places))
    keys: list[int] = mix(users, hash_strings(places)).tolist()
    return keys


def _period(first: date | None, last: date | None) -> Period:
    """Return [start, end) in UTC nanoseconds, half a day wider on both sides."""
    start = -_EVER_NS if first is None else (first.toordinal() - _EPOCH_ORDINAL) * _DAY_NS
    end = _EVER_NS if last is None else (last.toordinal() - _EPOCH_ORDINAL + 1) * _DAY_NS
    return start - _ZONES_NS, end + _ZONES_NS
