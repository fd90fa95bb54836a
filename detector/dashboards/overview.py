"""The day's alerts: how many, how bad, whose, and what became of them."""

from __future__ import annotations

from detector.dashboards.model import Column, Dashboard, Panel, Sql
from detector.dashboards.shared import ALERT_COLUMNS, CHOICES, FILTER, NOON, TO_ALERT

_ALERTS = f"from alerts_latest\nwhere $__timeFilter(opened)\n  and {FILTER}"
_DAYS = f"from alerts_per_day\nwhere $__timeFilter(day)\n  and {FILTER}"


def _number(title: str, what: str, color: str = "blue") -> Panel:
    query = Sql(f"select {what} as n\n{_ALERTS}")
    return Panel("stat", title, (query,), width=4, height=4, steps=((None, color),))


def _per_day(title: str, by: str) -> Panel:
    query = (
        f"select {NOON} as time, {by} as metric, sum(n_alerts) as value\n"
        f"{_DAYS}\ngroup by 1, 2 order by 1"
    )
    return Panel(
        "timeseries", title, (Sql(query, is_series=True),), as_bars=True, stacked=True, decimals=0
    )


_BEST = Panel(
    "table",
    "Highest scores · 得分最高的告警",
    (
        Sql(
            "select alert_id, time, score, severity, detector, user_id, user_role, user_branch, "
            f"status, assignee, verdict, explanation_en, explanation_zh\n{_ALERTS}\n"
            "order by score desc, alert_id limit 200"
        ),
    ),
    width=24,
    height=14,
    columns=ALERT_COLUMNS,
    links=(TO_ALERT,),
)
_HELD_BACK = Panel(
    "timeseries",
    "Shown and held back by the daily budget, whole bank · 每日预算内与预算外（全行）",
    (
        Sql(
            f'select {NOON} as time, n_shown as "shown · 预算内",\n'
            '  n_held_back as "held back · 预算外"\n'
            "from held_back where $__timeFilter(day) order by 1",
            is_series=True,
        ),
    ),
    as_bars=True,
    stacked=True,
    decimals=0,
)
_PLACES = Panel(
    "table",
    "Branch and detector · 网点与检测器",
    (
        Sql(
            "select coalesce(user_branch, '-') as user_branch, detector, "
            "sum(n_alerts) as n_alerts, "
            f"max(max_score) as max_score\n{_DAYS}\ngroup by 1, 2 order by 3 desc, 4 desc limit 200"
        ),
    ),
    columns=(
        Column("user_branch", "Branch · 网点"),
        Column("detector", "Detector · 检测器"),
        Column("n_alerts", "Alerts · 告警数", as_bar=True),
        Column("max_score", "Highest score · 最高得分", decimals=1),
    ),
)

OVERVIEW = Dashboard(
    "detector-overview",
    "Alerts: overview · 告警总览",
    "What was found, day by day, and what became of it. A click on a row opens the console.",
    (
        _number("Alerts · 告警", "count(*)"),
        _number("New · 未处理", "count(*) filter (where status = 'new')", "orange"),
        _number("Critical · 严重", "count(*) filter (where severity = 'critical')", "dark-red"),
        _number("Employees · 涉及员工", "count(distinct user_id)"),
        _number("Confirmed · 已确认", "count(*) filter (where verdict = 'confirmed')", "purple"),
        _number("Still learning · 学习期", "count(*) filter (where learning)"),
        _per_day("Alerts a day by severity · 每日告警（按级别）", "severity"),
        _per_day("Alerts a day by detector · 每日告警（按检测器）", "detector"),
        _BEST,
        _HELD_BACK,
        _PLACES,
    ),
    CHOICES,
    marks_alerts=True,
)
