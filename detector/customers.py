"""Customers who need more care than others, and approvals that explain an access."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import date

from detector.table_rows import MAX_LIST, Row

_SEPARATORS = re.compile(r"[\s,;|]+")
_FLAGS = ("vip", "employee", "honeytoken", "pep")  # a column each, or words of one column
_SENSITIVE = frozenset({*_FLAGS, "staff"})


@dataclass(frozen=True, slots=True)
class Customers:
    """What the customer table says.

    ``sensitive`` are ids of VIPs, employees and bait records; ``own`` pairs of user id and
    the customer id of that person or of somebody of the same household.
    """

    sensitive: tuple[str, ...] = ()
    own: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Approval:
    """A ticket explains accesses of a user (None: anybody) in a period (None: without end).

    ``customers`` and ``branch`` narrow it down; empty and None mean any.
    """

    ticket_id: str
    user_id: str | None
    customers: tuple[str, ...]
    branch: str | None
    first_day: date | None
    last_day: date | None


def customers_of(rows: list[Row]) -> Customers:
    """Read the customer table: a column ``flags`` of words, or one column per flag."""
    sensitive, own, household = [], [], defaultdict(list)
    owners: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        customer = row.required("customer_id")
        words = set(_words(row.text("flags", MAX_LIST)))
        flags = [row.flag(name) for name in _FLAGS]
        if any(flags) or {word.lower() for word in words} & _SENSITIVE:
            sensitive.append(customer)
        home, user = row.text("household"), row.text("user_id") or row.text("employee_user_id")
        if home is not None:
            household[home].append(customer)
        if user is not None:
            own.append((user, customer))
            if home is not None:
                owners[home].append(user)
    for home, users in owners.items():
        own += [(user, customer) for user in users for customer in household[home]]
    return Customers(tuple(sensitive), tuple(dict.fromkeys(own)))


def approvals_of(rows: list[Row]) -> tuple[Approval, ...]:
    """Read the table of approvals."""
    return tuple(map(_approval, rows))


def _approval(row: Row) -> Approval:
    first, last = row.optional_day("valid_from"), row.optional_day("valid_to")
    if first is not None and last is not None and first > last:
        what = f"is after valid_to: {first} > {last}"
        raise row.error("valid_from", what, "Swap the two dates")
    one = row.text("customer_id")  # an id as it stands, blanks and commas included
    listed = _words(row.text("customers", MAX_LIST))
    return Approval(
        ticket_id=row.required("ticket_id"),
        user_id=row.text("user_id"),
        customers=tuple(dict.fromkeys([*listed, *([] if one is None else [one])])),
        branch=row.text("branch"),
        first_day=first,
        last_day=last,
    )


def _words(text: str | None) -> list[str]:
    """Split a cell at commas, semicolons, bars and blanks.

    >>> _words("c1; c2|c3,")
    ['c1', 'c2', 'c3']
    """
    return [word for word in _SEPARATORS.split(text or "") if word]
