"""The usual loop: what one writes first. JSON per line, dicts and deques per user.

It keeps the same statistics as the three detectors: windows of ten minutes, one hour and
the day (events, records, distinct customers, listed volume), a baseline per day kind with
dispersion, hours of work, branches visited; and scores each event by closed-form tails.
Late events are not moved to their window, nothing is limited, restarted or explained.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import orjson

_VOLUME = {"search", "list", "export", "print"}
_WIDTHS_S = (600.0, 3600.0)
_PRIOR_MEAN, _PRIOR_DAYS, _DISPERSION = (30.0, 20.0, 10.0), 5.0, 0.5
_BINS = 96
_THRESHOLD = 6.0


@dataclass(slots=True)
class Window:
    """Events of the last minutes."""

    width_s: float
    rows: deque[tuple[float, str | None, int, int]] = field(default_factory=deque)
    customers: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    records: int = 0
    volume: int = 0

    def add(self, time_s: float, customer: str | None, records: int, volume: int) -> None:
        """Let one event in and the old ones out."""
        rows, customers = self.rows, self.customers
        rows.append((time_s, customer, records, volume))
        self.records += records
        self.volume += volume
        if customer is not None:
            customers[customer] += 1
        while rows[0][0] <= time_s - self.width_s:
            _, old, old_records, old_volume = rows.popleft()
            self.records -= old_records
            self.volume -= old_volume
            if old is not None:
                customers[old] -= 1
                if customers[old] == 0:
                    del customers[old]


@dataclass(slots=True)
class Day:
    """The open day of one user."""

    date: int = -1
    peaks: list[int] = field(default_factory=lambda: [0] * 9)
    records: int = 0
    volume: int = 0
    customers: set[str] = field(default_factory=set)
    bins: set[int] = field(default_factory=set)
    out_of_hours: int = 0
    branches: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))


@dataclass(slots=True)
class User:
    """Everything kept of one user."""

    windows: tuple[Window, Window] = field(
        default_factory=lambda: (Window(_WIDTHS_S[0]), Window(_WIDTHS_S[1]))
    )
    day: Day = field(default_factory=Day)
    days: int = 0
    means: list[float] = field(default_factory=lambda: [0.0] * 9)
    squares: list[float] = field(default_factory=lambda: [0.0] * 9)
    hours: list[float] = field(default_factory=lambda: [0.0] * _BINS)
    branches: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    seen: set[str] = field(default_factory=set)


def usual_loop(path: Path) -> int:
    """Score a file of JSON lines; return how many events pass the threshold."""
    users: defaultdict[str, User] = defaultdict(User)
    n_alerts = 0
    with path.open("rb") as stream:
        for line in stream:
            event = orjson.loads(line)
            user = users[event["user_id"]]
            if event["event_id"] in user.seen:
                continue
            user.seen.add(event["event_id"])
            n_alerts += score(user, event) >= _THRESHOLD
    return n_alerts


def score(user: User, event: dict[str, object]) -> float:
    """Count one event and return the sum of the three surprises."""
    moment = datetime.fromisoformat(str(event["event_time"]))
    date, quarter = moment.toordinal(), moment.hour * 4 + moment.minute // 15
    if date > user.day.date:
        learn(user)
        user.day = Day(date)
    records, customer = int(str(event["record_count"])), event["customer_id"]
    name = None if customer is None else str(customer)
    volume = records if event["action"] in _VOLUME else 0
    day = user.day
    day.records += records
    day.volume += volume
    if name is not None:
        day.customers.add(name)
    counts = [day.records, len(day.customers), day.volume]
    for window in user.windows:
        window.add(moment.timestamp(), name, records, volume)
        counts += [window.records, len(window.customers), window.volume]
    home, branch = event["user_branch"], str(event["record_branch"])
    return (
        bulk(user, counts) + off_hours(user, quarter) + cross_branch(user, branch, branch == home)
    )


def bulk(user: User, counts: list[int]) -> float:
    """Return the largest tail of the nine counts."""
    peaks, best = user.day.peaks, 0.0
    for i, count in enumerate(counts):
        if count > peaks[i]:
            peaks[i] = count
            trust = user.days / (user.days + _PRIOR_DAYS)
            mean = trust * user.means[i] + (1.0 - trust) * _PRIOR_MEAN[i % 3]
            best = max(best, tail(count, mean, dispersion(user, i, mean)))
    return best


def dispersion(user: User, i: int, mean: float) -> float:
    """Shrink the user's own overdispersion to a common one."""
    own = max(user.squares[i] - mean * mean - mean, 0.0) / max(mean * mean, 1e-6)
    return (user.days * own + 15.0 * _DISPERSION) / (user.days + 15.0)


def off_hours(user: User, quarter: int) -> float:
    """Return how rare this quarter is, and how much is done in it."""
    day, hours = user.day, user.hours
    if quarter not in day.bins:
        day.bins.add(quarter)
        here = hours[quarter]
        total = sum(hours) + 1.0
        quieter = sum(busy for busy in hours if busy <= here) + 0.5
        day.out_of_hours += quieter / total < 0.02
        return -math.log10(quieter / total)
    return tail(day.out_of_hours, 3.0, 1.0)


def cross_branch(user: User, branch: str, is_home: bool) -> float:
    """Return the log ratio of a foreign branch, and the tail of the visit's size."""
    day = user.day
    day.branches[branch] += 1
    if is_home:
        return 0.0
    share = (user.branches[branch] + 8.0 * 0.02) / (user.days + 8.0)
    return max(math.log10(0.05 / share), 0.0) + tail(day.branches[branch], 2.5, 1.5)


def tail(count: int, mean: float, spread: float) -> float:
    """Return -log10 of a negative binomial's upper tail, leading term of its sum."""
    if count <= mean:
        return 0.0
    r = 1.0 / max(spread, 1e-3)
    p = mean / (mean + r)
    log = math.lgamma(count + r) - math.lgamma(r) - math.lgamma(count + 1.0)
    log += count * math.log(p) + r * math.log1p(-p)
    return -(log - math.log1p(-p)) / math.log(10.0)


def learn(user: User) -> None:
    """Let the closed day into the baseline."""
    day = user.day
    if day.date < 0:
        return
    user.days += 1
    for i, peak in enumerate(day.peaks):
        user.means[i] += (peak - user.means[i]) / user.days
        user.squares[i] += (peak * peak - user.squares[i]) / user.days
    for quarter in day.bins:
        user.hours[quarter] += 1.0
    for branch in day.branches:
        user.branches[branch] += 1
