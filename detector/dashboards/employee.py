"""One employee: decaying risk, alerts over time, and the riskiest others."""

from __future__ import annotations

from detector.dashboards.model import Column, Dashboard, Panel, Sql, Variable
from detector.dashboards.shared import ALERT_COLUMNS, TO_ALERT, TO_EMPLOYEE

_USER = "user_id = ${user:sqlstring}"


def _number(title: str, what: str, decimals: int | None = None) -> Panel:
    query = Sql(f"select {what} from employee_risk where {_USER}")  # noqa: S608  our own words
    return Panel("stat", title, (query,), width=6, height=4, decimals=decimals)


_SCORES = Panel(
    "timeseries",
    "Score of each day's alert · 每日告警得分",
    (
        Sql(
            "select opened as time, score as value, detector as metric\nfrom alerts_latest\n"
            f"where $__timeFilter(opened) and {_USER} order by 1",
            is_series=True,
        ),
    ),
    as_bars=True,
    decimals=1,
)
_VOLUME = Panel(
    "timeseries",
    "Customers and records of days with an alert · 告警日涉及的客户与记录数",
    (
        Sql(
            'select opened as time, n_customers as "customers · 客户",\n'
            '  n_records as "records · 记录"\n'
            f"from alerts_latest\nwhere $__timeFilter(opened) and {_USER} order by 1",
            is_series=True,
        ),
    ),
    as_bars=True,
)
_ALERTS = Panel(
    "table",
    "Alerts of this employee · 该员工的告警",
    (
        Sql(
            "select alert_id, time, score, severity, detector, status, verdict, explanation_en, "
            f"explanation_zh\nfrom alerts_latest\nwhere $__timeFilter(opened) and {_USER}\n"
            "order by time desc limit 200"
        ),
    ),
    width=24,
    height=10,
    columns=ALERT_COLUMNS,
    links=(TO_ALERT,),
)
_RISKIEST = Panel(
    "table",
    "Highest risk · 风险最高的员工",
    (
        Sql(
            "select user_id, user_role, user_branch, risk, n_alerts, last_day::text as last_day\n"
            "from employee_risk order by risk desc, user_id limit 100"
        ),
    ),
    width=24,
    height=10,
    columns=(
        Column("user_id", "Employee · 员工"),
        Column("user_role", "Role · 岗位"),
        Column("user_branch", "Branch · 网点"),
        Column("risk", "Risk · 风险", as_bar=True, decimals=1),
        Column("n_alerts", "Alerts · 告警数"),
        Column("last_day", "Last alert · 最近告警日"),
    ),
    links=(TO_EMPLOYEE,),
)

EMPLOYEE = Dashboard(
    "detector-employee",
    "Employee · 员工",
    "Risk is the sum of the last 91 days' scores, halved every two weeks, without what was judged "
    "benign. Staff are named by id only.",
    (
        _number("Risk · 风险", "risk", 1),
        _number("Alerts in 91 days · 91天内告警", "n_alerts"),
        _number(
            "Rank in the bank · 全行排名",
            "(select count(*) + 1 from employee_risk as o where o.risk > employee_risk.risk)",
        ),
        _number("Days since the last alert · 距最近告警天数", "current_date - last_day as days"),
        _SCORES,
        _VOLUME,
        _ALERTS,
        _RISKIEST,
    ),
    (
        Variable(
            "user",
            "Employee · 员工",
            Sql("select user_id from employee_risk order by risk desc, user_id limit 1000"),
            many=False,
        ),
    ),
    since="now-90d",
    refresh="5m",
)
