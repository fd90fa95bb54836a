"""What the bank's reference tables say about people: leave, cover, approvals; how many they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

from detector.customers import Approval
from detector.reference import Reference

SHOWN_DAYS = 90
_MOST = 50
_OPEN_BEGIN, _OPEN_END = date.min, date.max


@dataclass(frozen=True, slots=True)
class Duty:
    """Why somebody was away or elsewhere, or may look; both days included, None is open.

    ``kind`` is leave, cover or approval; without customers for any of ``branch``, or any at all.
    """

    kind: str
    first: date | None
    last: date | None
    ticket: str | None = None
    branch: str | None = None
    n_customers: int = 0


@dataclass(frozen=True, slots=True)
class StaffBook:
    """The tables by person. ``roles`` and ``branches`` leave out services and who has left."""

    duties: dict[str, list[Duty]] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)

    @property
    def is_known(self) -> bool:
        """Tell whether there are such tables."""
        return bool(self.roles or self.duties)

    def of(self, user_id: str, today: date) -> list[Duty]:
        """Return a person's duties of the last 90 days and of what is to come, newest first."""
        since = today - timedelta(days=SHOWN_DAYS)
        held = [d for d in self.duties.get(user_id, []) if (d.last or _OPEN_END) >= since]
        held.sort(key=lambda d: (d.first or _OPEN_BEGIN, d.kind, d.ticket or ""), reverse=True)
        return held[:_MOST]


def staff_book(reference: Reference) -> StaffBook:
    """Sort the tables by person; approvals that anybody may use are nobody's."""
    duties: dict[str, list[Duty]] = defaultdict(list)
    for user_id, duty in _duties(reference):
        duties[user_id].append(duty)
    staff = reference.staff
    columns = (staff.user_ids, staff.roles, staff.branches, staff.account_types, staff.left)
    here = [
        (user_id, role, branch)
        for user_id, role, branch, kind, left in zip(*columns, strict=True)
        if kind != "service" and left is None
    ]
    return StaffBook(
        dict(duties),
        {user_id: role for user_id, role, _ in here if role is not None},
        {user_id: branch for user_id, _, branch in here if branch is not None},
    )


def _duties(reference: Reference) -> Iterator[tuple[str, Duty]]:
    staff = reference.staff
    for user_id, periods in zip(staff.user_ids, staff.leave, strict=True):
        for first, last in periods:
            yield user_id, Duty("leave", first, last)
    for cover in reference.cover:
        yield cover.user_id, Duty("cover", cover.first_day, cover.last_day, branch=cover.branch)
    for approval in reference.approvals:
        if approval.user_id is not None:
            yield approval.user_id, _approved(approval)


def _approved(a: Approval) -> Duty:
    return Duty("approval", a.first_day, a.last_day, a.ticket_id, a.branch, len(a.customers))
