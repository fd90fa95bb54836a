"""Who carries the alerts: groups of staff that have far more of them than all others.

Alerts that were confirmed do not count: they are what the detector is for. The people of a group
are those of the reference tables, so that a group is not judged by those who were flagged alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf

from detector.shares import FAR_MORE, LEAST_DAYS, wilson


@dataclass(frozen=True, slots=True)
class Burden:
    """A group, its alerts on how many days of its people, and times the rate of all others.

    ``times`` None: all others have none.
    """

    kind: str
    group: str
    n_people: int
    n_alerts: int
    n_days: int
    times: float | None


def far_more(
    alerts: Mapping[str, int], groups: Mapping[str, Mapping[str, str]], days: int
) -> list[Burden]:
    """Return the groups that carry far more than all others, the heaviest first.

    Args:
        alerts: days with an alert, by person, without confirmed ones.
        groups: kind of group → person → group.
        days: how many days were looked at.
    """
    found = [
        burden
        for kind, of_person in groups.items()
        for burden in _of_kind(kind, alerts, of_person, days)
    ]
    return sorted(found, key=lambda burden: -(burden.times or inf))


def _of_kind(
    kind: str, alerts: Mapping[str, int], of_person: Mapping[str, str], days: int
) -> Iterable[Burden]:
    people = Counter(of_person.values())
    counts: Counter[str] = Counter()
    for user_id, n in alerts.items():
        if user_id in of_person:
            counts[of_person[user_id]] += min(n, days)
    n_people, n_alerts = people.total(), counts.total()
    for group, n in counts.items():
        n_days, n_others = people[group] * days, (n_people - people[group]) * days
        if n_days < LEAST_DAYS or n_others < LEAST_DAYS:
            continue
        others = (n_alerts - n) / n_others
        if wilson(n, n_days)[0] > FAR_MORE * others:
            times = n / n_days / others if others else None
            yield Burden(kind, group, people[group], n, n_days, times)
