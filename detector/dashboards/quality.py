"""How good the detectors are, by what people decided, and how quickly they decided."""

from __future__ import annotations

from detector.dashboards.model import Column, Dashboard, Panel, Sql
from detector.dashboards.shared import BRANCH_FILTER, CHOICES, FILTER, NOON, TO_ALERT, chosen

_JUDGED = (
    f"from detector_precision\nwhere $__timeFilter(week)\n  and {chosen('detector', 'detector')}"
)
_TIMES = f"from triage_times\nwhere $__timeFilter(day)\n  and {BRANCH_FILTER}"
_ALERTS = f"from alerts_latest\nwhere $__timeFilter(opened)\n  and {FILTER}"


def _median(seconds: str) -> str:
    return f"percentile_cont(0.5) within group (order by {seconds})"


_PRECISION = Panel(
    "table",
    "Precision by detector · 各检测器准确率",
    (
        Sql(
            "select detector, sum(n_confirmed) as n_confirmed, sum(n_benign) as n_benign,\n"
            "  sum(n_confirmed)::float8 / nullif(sum(n_confirmed + n_benign), 0) as precision\n"
            f"{_JUDGED}\ngroup by 1 order by 1"
        ),
    ),
    columns=(
        Column("detector", "Detector · 检测器"),
        Column("n_confirmed", "Confirmed · 确认"),
        Column("n_benign", "Benign · 无害"),
        Column("precision", "Precision · 准确率", unit="percentunit", as_bar=True, decimals=0),
    ),
    description="Of the alerts judged confirmed or benign; wrong team and test do not count.",
)
_WEEKS = Panel(
    "timeseries",
    "Precision by week · 每周准确率",
    (
        Sql(
            "select week::timestamp + interval '12 hours' as time, detector as metric, "
            f"precision as value\n{_JUDGED}\n  and precision is not null order by 1",
            is_series=True,
        ),
    ),
    unit="percentunit",
)
_DECISIONS = Panel(
    "timeseries",
    "Median time to first look and to decision · 首次查看与结论用时（中位数）",
    (
        Sql(
            f'select {NOON} as time, {_median("first_look_seconds")} as "first look · 首次查看",\n'
            f'  {_median("decision_seconds")} as "decision · 结论"\n{_TIMES}\n'
            "group by 1 order by 1",
            is_series=True,
        ),
    ),
    unit="s",
    as_bars=True,
)
_SLOWEST = Panel(
    "table",
    "Longest without a decision · 最久未下结论",
    (
        Sql(
            "select alert_id, arrived, detector, severity, user_branch, assignee\n"
            f"{_TIMES}\n  and decision_seconds is null order by arrived limit 100"
        ),
    ),
    columns=(
        Column("alert_id", "Alert · 告警", width=130),
        Column("arrived", "Arrived · 到达", unit="dateTimeAsIso"),
        Column("detector", "Detector · 检测器"),
        Column("severity", "Severity · 级别"),
        Column("user_branch", "Branch · 网点"),
        Column("assignee", "Assignee · 处理人"),
    ),
    links=(TO_ALERT,),
)
_WORKLOAD = Panel(
    "table",
    "Workload, whole bank · 工作量（全行）",
    (Sql("select assignee, status, n_alerts, oldest from workload order by n_alerts desc"),),
    columns=(
        Column("assignee", "Assignee · 处理人"),
        Column("status", "Status · 状态"),
        Column("n_alerts", "Alerts · 告警数", as_bar=True),
        Column("oldest", "Oldest · 最早", unit="dateTimeAsIso"),
    ),
)
_VERDICTS = Panel(
    "bargauge",
    "Verdicts · 结论分布",
    (
        Sql(
            "select coalesce(verdict, 'none yet · 未判') as verdict, count(*) as n\n"
            f"{_ALERTS}\ngroup by 1 order by 2 desc"
        ),
    ),
    width=8,
)
_SCORES = Panel(
    "bargauge",
    "Alerts by score · 得分分布",
    (
        Sql(
            "select least(floor(score), 20)::int::text as score, count(*) as n\n"
            f"{_ALERTS}\ngroup by least(floor(score), 20) order by least(floor(score), 20)"
        ),
    ),
    width=8,
    description="20 stands for all above.",
)
_GROWN = Panel(
    "bargauge",
    "Versions of an alert · 告警版本数",
    (
        Sql(
            "select least(version, 10)::text as version, count(*) as n\n"
            f"{_ALERTS}\ngroup by least(version, 10) order by least(version, 10)"
        ),
    ),
    width=8,
    description="How often an alert was stated anew; 10 stands for all above.",
)

QUALITY = Dashboard(
    "detector-quality",
    "Detector quality · 检测质量",
    "Precision from verdicts, time to a decision, workload. Few verdicts make a rough precision.",
    (
        _PRECISION,
        _WEEKS,
        _DECISIONS,
        _WORKLOAD,
        _SLOWEST,
        _VERDICTS,
        _SCORES,
        _GROWN,
    ),
    CHOICES,
    since="now-90d",
    refresh="5m",
)
