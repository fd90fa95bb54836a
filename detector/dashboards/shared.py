"""What several dashboards ask in the same words: filters, variables, links, columns of an alert."""

from __future__ import annotations

from detector.dashboards.model import Column, Link, Sql, Variable

TO_ALERT = Link(
    "Open in the console · 在控制台打开", "${console_url:raw}/alerts/${__data.fields.alert_id}"
)
TO_EMPLOYEE = Link(
    "This employee · 该员工", "/d/detector-employee?var-user=${__data.fields.user_id:percentencode}"
)


def chosen(column: str, variable: str) -> str:
    """Return the condition that a column is among the chosen values; with "All" it is true.

    >>> chosen("severity", "severity")
    "('*' in (${severity:sqlstring}) or severity in (${severity:sqlstring}))"
    """
    values = f"(${{{variable}:sqlstring}})"
    return f"('*' in {values} or {column} in {values})"


_BY = {
    "branch": "coalesce(user_branch, '-')",
    "role": "coalesce(user_role, '-')",
    "detector": "detector",
    "severity": "severity",
}
FILTER = "\n  and ".join(chosen(column, name) for name, column in _BY.items())
"""All four choices; for views with the columns of an alert."""

BRANCH_FILTER = "\n  and ".join(
    chosen(_BY[name], name) for name in ("branch", "detector", "severity")
)
"""For views without a role."""

_TITLES = {
    "branch": "Branch · 网点",
    "role": "Role · 岗位",
    "detector": "Detector · 检测器",
    "severity": "Severity · 级别",
}


def _choice(name: str) -> Variable:
    query = (
        f"select distinct {_BY[name]} from alerts_per_day\n"  # noqa: S608  our own columns
        "where $__timeFilter(day) order by 1"
    )
    return Variable(name, _TITLES[name], Sql(query))


CHOICES = tuple(_choice(name) for name in _BY)

# A date as the noon of that day in UTC: the same date in almost every reader's zone.
NOON = "day::timestamp + interval '12 hours'"

ALERT_COLUMNS = (
    Column("alert_id", "Alert · 告警", width=130),
    Column("time", "Time · 时间", unit="dateTimeAsIso", width=170),
    Column("score", "Score · 得分", width=90, decimals=1),
    Column("severity", "Severity · 级别", width=110),
    Column("detector", "Detector · 检测器", width=130),
    Column("user_id", "Employee · 员工", width=120, link=TO_EMPLOYEE),
    Column("user_role", "Role · 岗位", width=120),
    Column("user_branch", "Branch · 网点", width=100),
    Column("status", "Status · 状态", width=110),
    Column("assignee", "Assignee · 处理人", width=110),
    Column("verdict", "Verdict · 结论", width=110),
    Column("explanation_en", "Why"),
    Column("explanation_zh", "原因"),
)
