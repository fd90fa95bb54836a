"""Figures behind the plots and the reports, as data frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from detector.analysis.answers import WhatIf
from detector.analysis.judge import evaluate
from detector.analysis.result import Result
from detector.detections import DETECTORS
from detector.errors import OptionError
from detector.evaluation import Evaluation
from detector.extras import needed
from detector.shares import wilson

_NOMINAL = (1.0, 1.5, 2.0, 2.5, 3.0)
_NEW_DAYS, _PART_TIME = 10, 2 / 3
_NIGHT_FROM, _NIGHT_TO = 20, 6
_QUIETEST, _LOUDEST = 0.05, 0.95


def calibration(result: Result, detector: str | None = None) -> Any:
    """Compare how often surprises are reached with how often they say they are.

    Args:
        result: a replay of days that taught nothing to the artifact, without incidents.
        detector: one of ``DETECTORS``; None: the score.

    Returns:
        A row a surprise: ``surprise``, ``nominal`` (10**-surprise), ``observed`` share of
        mature actor-days, ``low`` and ``high`` (90 % Wilson), ``n``. Days are counted once
        a person; they are not quite independent, so the true interval is somewhat wider.

    Raises:
        OptionError: there is no such detector.
    """
    if detector is not None and detector not in DETECTORS:
        hint = f"Known: {', '.join(DETECTORS)}"
        raise OptionError(f"there is no detector {detector!r}", where="detector", hint=hint)
    days = result.actor_days
    mature = days[~days["learning"]]
    values = mature["score" if detector is None else f"surprise_{detector}"].to_numpy()
    rows = []
    for surprise in _NOMINAL:
        n_hits = int((values >= surprise).sum())
        low, high = wilson(n_hits, values.size)
        share = n_hits / values.size if values.size else float("nan")
        rows.append((surprise, 10.0**-surprise, share, low, high, values.size))
    columns = ["surprise", "nominal", "observed", "low", "high", "n"]
    return needed("pandas").DataFrame(rows, columns=columns)


def recall_curve(
    alerts: Result | WhatIf, truth: Any, budgets: Sequence[int] = (1, 2, 3, 5, 10, 20)
) -> Any:
    """Return recall with its interval, precision and alerts read, a row a budget."""
    found = evaluate(alerts, truth, budgets)
    if not isinstance(found, Evaluation):
        hint = "Give a truth file; verdicts do not tell what was missed"
        raise OptionError("holds no incidents", where="truth", hint=hint)
    names = ("budget", "recall", "recall_low", "recall_high", "precision", "alerts_per_day")
    rows = [[getattr(row, name) for name in names] for row in found.budgets]
    return needed("pandas").DataFrame(rows, columns=list(names))


def drift(result: Result, period: str = "W") -> Any:
    """Compare each period's days with each other.

    Args:
        result: a replay.
        period: pandas period, such as ``W`` or ``M``.

    Returns:
        A row a period: ``period`` (its start), ``n_days`` mature actor-days, ``notable`` and
        ``rare`` how many times more often than they say scores of 1 and 2 are reached,
        ``records`` and ``customers`` medians a day, ``n_people``.
    """
    days = result.actor_days
    mature = days[~days["learning"]]
    groups = mature.groupby(mature["day"].dt.to_period(period).dt.start_time)
    table = needed("pandas").DataFrame(
        {
            "n_days": groups.size(),
            "notable": groups["score"].agg(lambda score: (score >= 1.0).mean() * 10.0),
            "rare": groups["score"].agg(lambda score: (score >= 2.0).mean() * 100.0),
            "records": groups["n_records"].median(),
            "customers": groups["n_customers"].median(),
            "n_people": groups["user_id"].nunique(),
        }
    )
    return table.rename_axis("period").reset_index()


def peer_group(result: Result, user_id: str) -> list[str]:
    """Return the people with whom the engine compares somebody, that person included.

    Raises:
        OptionError: nobody of that name has a score.
    """
    trace = result.trace
    code = _code_of(result, user_id)
    group = np.full(len(trace.user_ids), -1, dtype=np.int64)
    group[trace.user[trace.rises.row]] = trace.rises.group
    same = np.flatnonzero(group == group[code]).tolist()
    return [trace.user_ids[other] for other in same]


def earlier_days(result: Result, user_id: str, column: str = "n_customers") -> Any:
    """Compare each day of a person with the days before it.

    Returns:
        A row a day: ``day``, ``observed``, ``expected`` (median of all earlier days) and the
        band ``low`` to ``high`` (5 % to 95 % of them); NaN on the first three days.

    Raises:
        OptionError: nobody of that name has a score.
    """
    _code_of(result, user_id)
    days = result.actor_days
    mine = days[days["user_id"] == user_id].sort_values("day").reset_index(drop=True)
    before = mine[column].shift(1).expanding(3)
    return needed("pandas").DataFrame(
        {
            "day": mine["day"],
            "observed": mine[column],
            "expected": before.median(),
            "low": before.quantile(_QUIETEST),
            "high": before.quantile(_LOUDEST),
        }
    )


def events_of_user(result: Result, user_id: str) -> Any:
    """Return one person's scored events with their local time in the policy's zone.

    Raises:
        OptionError: nobody of that name has a score.
    """
    _code_of(result, user_id)
    scores = result.scores
    mine = scores[(scores["user_id"] == user_id) & scores["score"].notna()]
    zone = result.plan.policy.clock.default_time_zone
    return mine.assign(local=mine["event_time"].dt.tz_convert(zone))


def _code_of(result: Result, user_id: str) -> int:
    if user_id not in result.trace.user_ids:
        hint = "See result.actor_days['user_id']"
        raise OptionError(f"{user_id!r} has no event here", where="user_id", hint=hint)
    return result.trace.user_ids.index(user_id)


def newcomers(days: Any) -> Any:
    """(n,) whether each actor-day is among the person's first ten in the data.

    Args:
        days: ``actor_days``, in order of day.
    """
    return days.groupby("user_id").cumcount() < _NEW_DAYS


def shifts(result: Result) -> tuple[Any, Any]:
    """Return, by person, whether they work part-time and whether they work nights."""
    pd = needed("pandas")
    scores = result.scores[result.scores["score"].notna()]
    hour = scores["event_time"].dt.tz_convert(result.plan.policy.clock.default_time_zone).dt.hour
    at_night = (hour >= _NIGHT_FROM) | (hour < _NIGHT_TO)
    users = scores["user_id"].astype("str")
    night = at_night.groupby(users).mean() >= 0.5
    n_days = result.actor_days.groupby("user_id").size()
    part_time = n_days < _PART_TIME * float(n_days.median())
    return pd.Series(part_time), pd.Series(night)
