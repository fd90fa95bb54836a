"""The whole bank at a glance, from the store's figures of the last 30 days."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Protocol

from sqlalchemy import Connection

from detector.console.fairness import Burden, far_more
from detector.console.recent import Recent
from detector.console.staff import StaffBook
from detector.console.viewing import OPEN, Viewer, newest_day
from detector.store import overview as figures
from detector.store.console import ConsoleStore
from detector.store.people import riskiest
from detector.store.queries import count_alerts

DAYS = 30
_MAX_BRANCHES = 24
_MOST_COUNTED = 100_000
_RISKIEST = 8


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything the overview shows. Shares 0 to 1, times in seconds; None: nothing to tell.

    ``burdens`` are groups that carry far more alerts; None: nobody knows how many they are.
    """

    days: list[tuple[date, list[int]]]
    detectors: list[str]
    precision: dict[str, dict[str, Any]]
    by_branch: list[tuple[str, list[int]]]
    workload: list[dict[str, Any]]
    riskiest: list[dict[str, Any]]
    streams: list[dict[str, Any]]
    burdens: list[Burden] | None
    n_open: int
    n_judged: int
    share_confirmed: float | None
    first_look_s: float | None
    decision_s: float | None


class Watched(Protocol):
    """The parts of a console that its overview needs."""

    @property
    def store(self) -> ConsoleStore: ...  # noqa: D102  told above
    @property
    def staff(self) -> StaffBook: ...  # noqa: D102
    @property
    def overviews(self) -> Recent[frozenset[str] | None, Overview]: ...  # noqa: D102


def overview(console: Watched, viewer: Viewer) -> Overview:
    """Return what this person may see, at most a few seconds old."""

    def gathered() -> Overview:
        with console.store.reading() as db:
            return gather(db, viewer, console.staff)

    return console.overviews.of(viewer.branches, viewer.now_ms, gathered)


def gather(db: Connection, viewer: Viewer, staff: StaffBook) -> Overview:
    """Gather what this person may see."""
    last = newest_day(db, viewer) or date(1970, 1, 31)
    first, scope = last - timedelta(days=DAYS - 1), viewer.branches
    by_day: Counter[tuple[Any, str]] = Counter()
    for row in figures.alerts_per_day(db, first, last, scope):
        by_day[row["day"], row["detector"]] = row["n_alerts"]
    by_branch: Counter[tuple[Any, str]] = Counter()
    for row in figures.branch_heatmap(db, first, last, scope):
        by_branch[row["user_branch"] or "–", row["detector"]] = row["n_alerts"]
    detectors, branches = _ranked(by_day, 1), _ranked(by_branch, 0)[:_MAX_BRANCHES]
    judged = {row["detector"]: row for row in figures.precision(db, first, last, scope)}
    confirmed, benign = (
        sum(row[name] for row in judged.values()) for name in ("n_confirmed", "n_benign")
    )
    times = figures.triage_times(db, first, last, scope)
    all_days = [first + timedelta(days=i) for i in range(DAYS)]
    return Overview(
        days=[(day, [by_day[day, name] for name in detectors]) for day in all_days],
        detectors=detectors,
        precision=judged,
        by_branch=[(where, [by_branch[where, name] for name in detectors]) for where in branches],
        workload=_workload(figures.workload(db, scope)),
        riskiest=riskiest(db, last, _RISKIEST, scope),
        streams=figures.freshness(db),
        burdens=_burdens(figures.alerts_per_person(db, first, last, scope), staff, scope),
        n_open=count_alerts(db, viewer.filter(statuses=OPEN), _MOST_COUNTED),
        n_judged=confirmed + benign,
        share_confirmed=confirmed / (confirmed + benign) if confirmed + benign else None,
        first_look_s=times["first_look_s"],
        decision_s=times["decision_s"],
    )


def _burdens(
    alerts: dict[str, int], staff: StaffBook, scope: frozenset[str] | None
) -> list[Burden] | None:
    """Compare groups among the people this person may see."""
    if not staff.roles:
        return None
    branches = staff.branches.items()
    seen = {user for user, branch in branches if scope is None or branch in scope}
    groups = {
        "role": {user: role for user, role in staff.roles.items() if scope is None or user in seen},
        "branch": {user: staff.branches[user] for user in seen},
    }
    return far_more(alerts, groups, DAYS)


def _ranked(counts: Counter[tuple[Any, str]], axis: int) -> list[str]:
    """Return the names on one axis, those with most alerts first."""
    totals: Counter[str] = Counter()
    for key, n in counts.items():
        totals[str(key[axis])] += n
    return [name for name, _ in totals.most_common()]


def _workload(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return assignee, alerts not closed, oldest arrival; busiest first."""
    found: dict[str | None, dict[str, Any]] = {}
    for row in rows:
        name = row["assignee"]
        held = found.setdefault(
            name, {"assignee": name, "n_alerts": 0, "oldest_ms": row["oldest_ms"]}
        )
        held["n_alerts"] += row["n_alerts"]
        held["oldest_ms"] = min(held["oldest_ms"], row["oldest_ms"])
    return sorted(found.values(), key=lambda row: -row["n_alerts"])
