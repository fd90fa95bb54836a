"""Slow, obvious twins of the compiled kernels: what they claim, per event, from scratch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

from scipy import stats

EPOCH = date(1970, 1, 1)


def network_of(address: str) -> str:
    """The /24 of an IPv4 address, the /64 of an IPv6 address, else the text itself."""
    if ":" in address:
        return ":".join(address.split(":")[:4])
    head, _, last = address.rpartition(".")
    is_number = last.isascii() and last.isdigit()
    return head if is_number and head.count(".") == 2 else address


@dataclass
class Actor:
    """Everything one actor has done, in arrival order."""

    rows: list[tuple[int, str | None, int, bool]] = field(default_factory=list)

    def window(self, t_ns: int, width_ns: int) -> tuple[int, int, int, int]:
        """Events, records, distinct customers, volume in (t - width, t]."""
        inside = [row for row in self.rows if t_ns - width_ns < row[0] <= t_ns]
        customers = {customer for _, customer, _, _ in inside if customer is not None}
        volume = sum(records for _, _, records, is_volume in inside if is_volume)
        return len(inside), sum(row[2] for row in inside), len(customers), volume

    def customers_30d(self, zone: str) -> int:
        """Distinct customers of the 30 local days that end at the newest."""
        days = [local_day(t_ns, zone) for t_ns, _, _, _ in self.rows]
        newest = max(days)
        return len(
            {
                customer
                for day, (_, customer, _, _) in zip(days, self.rows, strict=True)
                if customer is not None and newest - 30 < day <= newest
            }
        )


def local_day(t_ns: int, zone: str) -> int:
    """Days since 1970-01-01 on the wall of a zone."""
    moment = datetime.fromtimestamp(t_ns // 10**9, tz=UTC).astimezone(ZoneInfo(zone))
    return (moment.date() - EPOCH).days


def upper_tail(count: int, mean: float, dispersion: float) -> float:
    """-log10 of the mid-p upper tail of a negative binomial; 0 at or below the mean."""
    if count <= mean:
        return 0.0
    r = 1.0 / max(dispersion, 1e-3)
    law = stats.nbinom(r, r / (r + mean))
    tail = law.logsf(count)
    at = law.logpmf(count) + math.log(0.5)
    top = max(tail, at)
    return max(-(top + math.log(math.exp(tail - top) + math.exp(at - top))) / math.log(10.0), 0.0)


def quarter_share(busy: list[float], quarter: int) -> float:
    """Share of activity in quarters no busier than this one."""
    return sum(b for b in busy if b <= busy[quarter]) / sum(busy)


def calibrated(raw: float, knots_raw: list[float], knots_surprise: list[float]) -> float:
    """Broken line; beyond the last knot with the last slope; within [0, 40]."""
    if raw <= knots_raw[0]:
        return max(knots_surprise[0], 0.0)
    i = max(j for j in range(len(knots_raw) - 1) if knots_raw[j] <= raw)
    slope = (knots_surprise[i + 1] - knots_surprise[i]) / (knots_raw[i + 1] - knots_raw[i])
    return min(max(knots_surprise[i] + slope * (raw - knots_raw[i]), 0.0), 40.0)


@dataclass
class Looks:
    """One actor's looks at one customer: local days, and those with a business reason."""

    seen: set[int] = field(default_factory=set)
    served: set[int] = field(default_factory=set)

    def newness(self, day: int) -> int:
        """0 if already seen today, 1 if within 30 days before, else 2."""
        if day in self.seen:
            return 0
        return 1 if any(day - 30 <= other < day for other in self.seen) else 2

    def seen_before(self, day: int) -> bool:
        """Whether an earlier one of the last 30 days is held in the memory of 32."""
        held = {other for other in self.seen if max(self.seen) - 31 <= other}
        return any(day - 30 <= other < day for other in held)

    def level(self, day: int) -> int:
        """Distinct days of the last 14 without a reason; 0 if also seen before them."""
        held = {other for other in self.seen if max(self.seen) - 31 <= other <= day}
        if any(other <= day - 14 for other in held):
            return 0
        return len(held - self.served)


@dataclass(frozen=True)
class Approval:
    """What one approval covers: a time, and what it names; None stands for any."""

    since: int
    until: int
    customer: str | None
    branch: str | None
    ticket: str | None

    def covers(self, time: int, customer: str | None, branch: str | None, ticket: str) -> bool:
        """Whether an access lies within."""
        return (
            self.since <= time < self.until
            and self.customer in (None, customer)
            and self.branch in (None, branch)
            and self.ticket in (None, ticket)
        )


def day_teaches(
    verdicts: list[tuple[int, int, str]], day: int, flagged: bool, benign_days: int, least: float
) -> float:
    """Weight of a closed day.

    Args:
        verdicts: time, local day and word of each, in any order.
        day: the local day that has closed.
        flagged: whether it was flagged.
        benign_days: how long a benign verdict holds.
        least: weight of a flagged day without a verdict.
    """
    if not flagged:
        return 1.0
    if not verdicts:
        return least
    _, since, word = max(verdicts, key=lambda v: (v[0], v[2]))
    if word == "confirmed":
        return 0.0
    return 1.0 if day < since + benign_days else least


def ordered_rows(numbers: list[int]) -> int:
    """Rows at which at least three small steps in a row have gone the same way."""
    path = [n for i, n in enumerate(numbers) if i == 0 or n != numbers[i - 1]]
    steps = [b - a for a, b in pairwise(path)]
    n_rows = 0
    for i in range(len(steps)):
        last = steps[max(i - 2, 0) : i + 1]
        same_way = all(0 < step <= 12 for step in last) or all(-12 <= step < 0 for step in last)
        n_rows += len(last) == 3 and same_way
    return n_rows


def switches(rows: list[tuple[int, int]]) -> int:
    """Returns to the device before this one, within half an hour of having left it.

    Args:
        rows: time in seconds and device of each row, 0 = none.
    """
    stays: list[tuple[int, int]] = []  # device, and since when
    n_back = 0
    for t_s, device in rows:
        if device == 0 or (stays and stays[-1][0] == device):
            continue
        if len(stays) >= 2 and stays[-2][0] == device and t_s - stays[-1][1] < 1_800:
            n_back += 1
        stays.append((device, t_s))
    return n_back


def own_chance(past: list[str], value: str, bank: float) -> float:
    """Chance of the next value after these under Pitman & Yor's rule (strength 1, discount ½)."""
    n, n_kinds, n_value = len(past), len(set(past)), past.count(value)
    new = min((1.0 + 0.5 * n_kinds) / (n + 1.0), 1.0)
    return min(max(n_value - 0.5, 0.0) / (n + 1.0) + new * bank, 1.0)


def page_sum(fields: list[list[str | None]], bank: float) -> float:
    """Largest sum of ln likelihood ratios over one day, in powers of ten; never below zero.

    Args:
        fields: the row's values, by field; None = missing.
        bank: share of every value in the bank.
    """
    total, largest = 0.0, 0.0
    for row in range(len(fields[0]) if fields else 0):
        gain = 0.0
        for column in fields:
            value = column[row]
            if value is not None:
                past = [other for other in column[:row] if other is not None]
                gain += math.log(0.9 + 0.1 * bank / own_chance(past, value, bank))
        total = max(total + gain, 0.0)
        largest = max(largest, total)
    return largest / math.log(10.0)


@dataclass
class Law:
    """What is usual of one count: an actor's own figures, and the peers'."""

    own: float
    days: float
    prior: float
    peer_dispersion: float
    spread: float
    excess: float = 0.0
    squares: float = 0.0

    @property
    def trust(self) -> float:
        """Credibility of the own mean."""
        ratio = (self.peer_dispersion + 1.0 / max(self.prior, 0.05)) / max(self.spread, 1e-3)
        return self.days / (self.days + min(max(ratio, 1.0), 30.0))

    def dispersion(self, mean: float) -> float:
        """The peers' dispersion, times how much more the own days differ; fifteen of theirs."""
        weight = 15.0 * mean * mean * self.peer_dispersion
        return self.peer_dispersion * (max(self.excess, 0.0) + weight) / (self.squares + weight)

    def expected(self, least: float | None = None) -> tuple[float, float]:
        """Mean, at least a tenth of the peers', and dispersion with what is not known yet."""
        floor = max(1e-3, 0.1 * self.prior) if least is None else least
        mean = max(self.prior + self.trust * (self.own - self.prior), floor)
        return mean, self.dispersion(mean) + (1.0 - self.trust) * self.spread

    def learn(self, count: float, weight: float, keep: float, winsor_sd: float) -> None:
        """Take a closed day, cut where it is far above usual."""
        mean, dispersion = self.expected()
        usual = mean + winsor_sd * math.sqrt(mean + dispersion * mean**2) + 1.0
        count = min(count, usual)
        self.days = self.days * keep + weight
        self.own += weight / self.days * (count - self.own)
        self.excess = self.excess * keep + weight * ((count - mean) ** 2 - mean)
        self.squares = self.squares * keep + weight * self.peer_dispersion * mean**2


def hours_worked(days: list[set[int]]) -> list[float]:
    """Share of days with work in each quarter of an hour, half of it leaking to both sides."""
    shares = []
    for quarter in range(96):
        around = [(quarter, 0.5), ((quarter - 1) % 96, 0.25), ((quarter + 1) % 96, 0.25)]
        worked = sum(weight for day in days for other, weight in around if other in day)
        shares.append(worked / len(days))
    return shares


@dataclass
class Drip:
    """One count of slow_drip: days since the last flagged one, and what was usual before."""

    recent: list[float] = field(default_factory=list)  # newest first
    lagged: float = 0.0
    days: float = 0.0

    def close(self, count: float, flagged: bool) -> None:
        """Take a closed day; old ones move into the lagged mean, half-life 60 days."""
        if flagged:
            self.recent = []
            return
        lag = min(max(int((self.days + len(self.recent) + 1) / 2), 3), 15)
        self.recent.insert(0, count)
        while len(self.recent) > lag:
            self.days = self.days * 0.5 ** (1 / 60) + 1.0
            self.lagged += (self.recent.pop() - self.lagged) / self.days

    def surprise(self, today: float, law: Law) -> tuple[float, int]:
        """Largest tail of a sum over 2 to 16 days, today included, and its length."""
        if self.days < 3.0:
            return 0.0, 0
        law = replace(law, own=self.lagged, days=self.days)
        mean, _ = law.expected(0.02)
        if today <= mean:
            return 0.0, 0
        dispersion = law.dispersion(mean)
        cap = mean + 4.0 * math.sqrt(mean + dispersion * mean * mean) + 1.0
        best = (0.0, 0)
        for span in range(2, len(self.recent) + 2):
            days = [min(count, cap) for count in [today, *self.recent[: span - 1]]]
            expected = span * mean
            level = (dispersion + 1.0 / mean) / max(self.days, 1.0)
            wide = dispersion / span + law.trust * level + (1.0 - law.trust) * law.spread + 0.015
            excess = sum(days) - max(max(days) - mean, 0.0) - expected
            if excess > 0.0 and excess**2 >= 1.5**2 * (expected + wide * expected**2):
                best = max(best, (upper_tail(int(expected + excess), expected, wide), span))
        return best


def combined(
    raw: list[float],
    detector_of: list[int],
    known: list[float],
    notable: list[float],
    lines: list[tuple[list[float], list[float]]],
) -> tuple[float, float]:
    """One score from a day's raw scores: with and without what flagged days have said.

    Args:
        raw: per channel.
        detector_of: detector of each channel.
        known: what counts as said, per detector.
        notable: what lies below it says nothing, per detector.
        lines: knots per channel, then of the score.
    """
    loudest = dict.fromkeys(range(len(known)), (0.0, 0.0))  # calibrated, raw
    for channel, detector in enumerate(detector_of):
        if raw[channel] > 0.0:
            value = calibrated(raw[channel], *lines[channel])
            if value > loudest[detector][0]:
                loudest[detector] = (value, raw[channel])
    said = {detector: min(pair) for detector, pair in loudest.items()}
    whole = [max(value - notable[detector], 0.0) for detector, value in said.items()]
    fresh = [max(v - known[detector] - notable[detector], 0.0) for detector, v in said.items()]
    return calibrated(math.hypot(*whole), *lines[-1]), calibrated(math.hypot(*fresh), *lines[-1])
