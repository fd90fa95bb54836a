"""A person over time: how the risk that the store counts has grown and faded."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from detector.store.people import Ledger

TREND_DAYS = 60
_SAYS_NOTHING = frozenset({"benign", "test"})


def trend(ledger: Ledger, today: date) -> list[float]:
    """Return the risk on each of the last 60 days, oldest first, by the store's own rule.

    A score is halved every two weeks in steps of one week; benign ones and tests do not count.
    """
    counted = [row for row in ledger.rows if row["verdict"] not in _SAYS_NOTHING]
    days = (today - timedelta(days=i) for i in reversed(range(TREND_DAYS)))
    return [sum(_points(row, day) for row in counted) for day in days]


def points(row: dict[str, Any], today: date) -> float:
    """Return what one alert adds to the risk today."""
    return 0.0 if row["verdict"] in _SAYS_NOTHING else _points(row, today)


def _points(row: dict[str, Any], day: date) -> float:
    age = (day - row["day"]).days
    return float(row["score"] * 0.5 ** (age // 7 / 2)) if age >= 0 else 0.0
