"""Who carries the alerts: rates by group, and a warning where one carries far more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from detector.analysis.result import Result
from detector.analysis.tables import newcomers, shifts
from detector.errors import OptionError
from detector.evaluation import Truth
from detector.extras import needed
from detector.shares import FAR_MORE, LEAST_DAYS, wilson

GROUPS = ("role", "branch", "part_time", "night_shift", "newcomer")


@dataclass(frozen=True, slots=True)
class Fairness:
    """``table`` has a row a group; ``warnings`` name groups that carry far more."""

    table: Any
    warnings: tuple[str, ...]


def fairness(result: Result, truth: Truth | None = None) -> Fairness:
    """Compare how often days of each group are alerts, and false ones.

    Part-time is who works on less than two thirds of the days that the median colleague does;
    night shift who has half the events between 20 and 6 o'clock; a newcomer's day is one of the
    first ten active days. Service accounts are left out. Roles and branches are those of the
    reference tables, else those of the alerts.

    Args:
        result: a replay.
        truth: labelled incidents: alerts of their people while they last are no false alarms;
            None: nothing is known to be true.

    Returns:
        A row a group: ``kind``, ``group``, ``n_days``, ``n_alerts``, ``alert_rate``,
        ``n_false``, ``false_rate`` with ``low`` and ``high`` (90 % Wilson), ``times`` the false
        rate of all others.
    """
    pd = needed("pandas")
    days = _days(result, truth)
    rows = [
        (kind, str(group), *_rates(days, days[kind] == group))
        for kind in GROUPS
        for group in sorted(days[kind].dropna().unique(), key=str)
    ]
    columns = (
        "kind", "group", "n_days", "n_alerts", "alert_rate", "n_false", "false_rate", "low", "high",
        "times", "others",
    )  # fmt: skip
    table = pd.DataFrame(rows, columns=list(columns))
    return Fairness(table.drop(columns="others"), _warnings(table))


def _warnings(table: Any) -> tuple[str, ...]:
    far = table[(table["n_days"] >= LEAST_DAYS) & (table["low"] > FAR_MORE * table["others"])]
    return tuple(
        f"{row.kind} {row.group}: {row.false_rate:.1%} of {row.n_days} days are false alarms, "
        f"{row.times:.1f} times as many as of all others"
        for row in far.itertuples()
    )


def _rates(days: Any, mine: Any) -> tuple[Any, ...]:
    """Return figures of one group against all others."""
    inside, outside = days[mine], days[~mine]
    n, n_false = len(inside), int(inside["is_false"].sum())
    others = float(outside["is_false"].mean()) if len(outside) else 0.0
    low, high = wilson(n_false, n)
    rate = n_false / n
    times = rate / others if others else float("nan")
    n_alerts = int(inside["is_alert"].sum())
    return n, n_alerts, n_alerts / n, n_false, rate, low, high, times, others


def _days(result: Result, truth: Truth | None) -> Any:
    """Return scored days of people with their groups, and whether they are alerts."""
    days = result.actor_days.sort_values("day", kind="stable")
    since = result.plan.limits.emit_from_ns
    staff = result.plan.staff
    days["role"] = [staff.get(user, (None, None))[0] for user in days["user_id"]]
    days["branch"] = [staff.get(user, (None, None))[1] for user in days["user_id"]]
    days["newcomer"] = newcomers(days)
    part_time, night = shifts(result)
    days["part_time"] = days["user_id"].map(part_time)
    days["night_shift"] = days["user_id"].map(night)
    services = {
        user
        for user, kind in zip(
            result.reference.staff.user_ids, result.reference.staff.account_types, strict=True
        )
        if kind == "service"
    }
    people = ~days["user_id"].isin(services)
    first = needed("pandas").Timestamp(max(since, 0), unit="ns").normalize()
    days = days[people & (days["day"] >= first)]
    if days.empty:
        hint = "Replay more days, or from an earlier `since` on"
        raise OptionError("holds no day of a person", where="result", hint=hint)
    raised = {(a, t[:10]) for a, t in zip(*_alerts(result), strict=True)}
    keys = list(zip(days["user_id"], days["day"].dt.strftime("%Y-%m-%d"), strict=True))
    bad = _bad(truth)
    return days.assign(
        is_alert=[key in raised for key in keys],
        is_false=[key in raised and key not in bad for key in keys],
    )


def _alerts(result: Result) -> tuple[Any, Any]:
    return result.alerts["user_id"], result.alerts["time"]


def _bad(truth: Truth | None) -> set[tuple[str, str]]:
    """Return people and days of incidents."""
    if truth is None:
        return set()
    pd = needed("pandas")
    return {
        (user, f"{day:%Y-%m-%d}")
        for case in truth.incidents
        for user in case.users
        for day in pd.date_range(case.first_day, case.last_day)
    }
