"""Customers who need more care than others, and approvals that explain an access."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import date

from detector.table_rows import Row

_SEPARATORS = re.compile(r"[\s,;|]+")
_SENSITIVE = frozenset({"vip", "employee", "staff", "honeytoken", "pep"})


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
        words = set(_SEPARATORS.split((row.text("flags") or "").lower()))
        if words & _SENSITIVE or any(map(row.flag, ("vip", "employee", "honeytoken"))):
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
    return tuple(
        Approval(
            row.required("ticket_id"),
            row.text("user_id"),
            tuple(_SEPARATORS.split(row.text("customers") or row.text("customer_id") or ""))
            if row.text("customers") or row.text("customer_id")
            else (),
            row.text("branch"),
            row.optional_day("valid_from"),
            row.optional_day("valid_to"),
        )
        for row in rows
    )
