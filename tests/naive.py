"""Slow, obvious twins of the compiled kernels: what they claim, per event, from scratch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from scipy import stats

EPOCH = date(1970, 1, 1)


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
