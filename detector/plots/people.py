"""Figures about one person or one alert."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from detector.analysis.result import Result
from detector.analysis.tables import earlier_days, events_of_user, peer_group
from detector.errors import OptionError
from detector.extras import needed
from detector.plots.style import BLUE, GREY, ORANGE, RED, SKY, canvas, styled, text

_COLUMNS = {
    "n_events": {"en": "events", "zh": "事件数"},
    "n_records": {"en": "records", "zh": "记录数"},
    "n_customers": {"en": "customers", "zh": "客户数"},
}
_A_DAY = {"en": "{} a day", "zh": "每日{}"}
_DAY = {"en": "day", "zh": "日期"}
_HOUR = {"en": "hour of the day", "zh": "时刻（点）"}
_EVENTS = {"en": "events", "zh": "事件数"}
_SCORE = {"en": "score", "zh": "分数"}
_THRESHOLD = {"en": "threshold", "zh": "告警阈值"}
_ALERT = {"en": "alert", "zh": "告警"}
_TIMELINE = {"en": "What {} did, day by day", "zh": "{} 每日访问情况"}
_HEATMAP = {"en": "When {} worked", "zh": "{} 的工作时段"}
_USUAL = {"en": "{}: observed against earlier days", "zh": "{}：实际与以往对比"}
_OBSERVED = {"en": "observed", "zh": "实际"}
_EXPECTED = {"en": "expected (median of earlier days)", "zh": "预期（以往中位数）"}
_BAND = {"en": "5 % to 95 % of earlier days", "zh": "以往的 5%～95%"}
_PEERS = {"en": "{} among {} peers", "zh": "{} 与 {} 名同组同事"}
_PEER_DAYS = {"en": "days of peers", "zh": "同事的日数"}
_OWN = {"en": "this person's median", "zh": "本人中位数"}
_OWN_MOST = {"en": "this person's largest day", "zh": "本人最高日"}
_ADDS = {"en": "surprise (powers of ten)", "zh": "异常程度（10的幂）"}
_WHY = {"en": "Why {} was raised on {}", "zh": "{} 于 {} 触发告警的原因"}
_DETECTORS = {
    "bulk_read": "异常批量读取", "off_hours": "非工作时间", "cross_branch": "跨网点",
    "unfamiliar": "不像本人", "slow_drip": "持续超量", "enumeration": "按号遍历",
    "repeat_target": "反复查看", "sensitive": "敏感客户", "under_cap": "紧贴上限",
    "account": "账号异常",
}  # fmt: skip
_QUARTILES = (0.25, 0.5, 0.75)


def user_timeline(
    result: Result, user_id: str, column: str = "n_customers", language: str = "en"
) -> Any:
    """Draw a person's days: how much, how unusual, and where alerts were raised."""
    name = text(_column(column), language)
    days = result.actor_days
    mine = days[days["user_id"] == user_id].sort_values("day")
    events_of_user(result, user_id)
    raised = set(_alert_days(result, user_id))
    with styled(language):
        figure, axes = canvas(text(_TIMELINE, language).format(user_id))
        axes.bar(mine["day"], mine[column], width=0.8, color=SKY, label=name)
        axes.set_ylabel(text(_A_DAY, language).format(name))
        axes.set_xlabel(text(_DAY, language))
        right = axes.twinx()
        right.grid(visible=False)
        right.plot(mine["day"], mine["score"], color=BLUE, marker=".", label=text(_SCORE, language))
        hit = mine[[str(day)[:10] in raised for day in mine["day"]]]
        right.scatter(
            hit["day"], hit["score"], color=RED, marker="v", zorder=3, label=text(_ALERT, language)
        )
        right.axhline(
            result.plan.limits.emit_score, color=GREY, ls="--", label=text(_THRESHOLD, language)
        )
        right.set_ylabel(text(_SCORE, language))
        _legend(figure, axes, right)
        _dates(axes)
    return figure


def _column(column: str) -> dict[str, str]:
    if column not in _COLUMNS:
        hint = f"Known: {', '.join(_COLUMNS)}"
        raise OptionError(f"there is no column {column!r}", where="column", hint=hint)
    return _COLUMNS[column]


def _alert_days(result: Result, user_id: str) -> list[str]:
    alerts = result.alerts
    return [time[:10] for time in alerts[alerts["user_id"] == user_id]["time"]]


def _legend(figure: Any, *all_axes: Any) -> None:
    handles, labels = [], []
    for axes in all_axes:
        found = axes.get_legend_handles_labels()
        handles += found[0]
        labels += found[1]
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))


def _dates(axes: Any) -> None:
    dates = needed("matplotlib.dates")
    locator = dates.AutoDateLocator(maxticks=9)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.DateFormatter("%m-%d"))


def hour_day_heatmap(result: Result, user_id: str, language: str = "en") -> Any:
    """Draw how many events a person had in each hour of each day, in the policy's zone."""
    events = events_of_user(result, user_id)
    days = events["local"].dt.date
    first = days.min()
    column = np.array([(day - first).days for day in days], dtype=np.int64)
    grid = np.zeros((24, int(column.max()) + 1), dtype=np.float64)
    np.add.at(grid, (events["local"].dt.hour.to_numpy(), column), 1.0)
    with styled(language):
        figure, axes = canvas(text(_HEATMAP, language).format(user_id))
        shown = np.where(grid > 0.0, grid, np.nan)
        image = axes.imshow(shown, aspect="auto", origin="lower", cmap="cividis_r")
        axes.grid(visible=False)
        axes.set_yticks(range(0, 24, 3))
        axes.set_ylabel(text(_HOUR, language))
        axes.set_xlabel(text(_DAY, language))
        every = max(grid.shape[1] // 8, 1)
        ticks = np.arange(0, grid.shape[1], every)
        axes.set_xticks(ticks, [f"{first + np.timedelta64(int(n), 'D')!s:.10}"[5:] for n in ticks])
        figure.colorbar(image, ax=axes, label=text(_EVENTS, language))
    return figure


def observed_expected(
    result: Result, user_id: str, column: str = "n_customers", language: str = "en"
) -> Any:
    """Draw each day of a person against the band of the days before it."""
    name = text(_column(column), language)
    table = earlier_days(result, user_id, column)
    with styled(language):
        figure, axes = canvas(text(_USUAL, language).format(user_id))
        axes.fill_between(
            table["day"], table["low"], table["high"], color=SKY, alpha=0.35, lw=0,
            label=text(_BAND, language),
        )  # fmt: skip
        axes.plot(table["day"], table["expected"], color=BLUE, label=text(_EXPECTED, language))
        above = table["observed"] > table["high"]
        axes.plot(
            table["day"], table["observed"], color=GREY, marker=".", label=text(_OBSERVED, language)
        )
        axes.scatter(table["day"][above], table["observed"][above], color=RED, zorder=3)
        axes.set_ylabel(text(_A_DAY, language).format(name))
        axes.set_xlabel(text(_DAY, language))
        _legend(figure, axes)
        _dates(axes)
    return figure


def contributions(alert: Mapping[str, Any], language: str = "en") -> Any:
    """Draw what each detector added to an alert.

    Args:
        alert: a line of the alerts file, or a row of ``result.alerts``.
        language: en or zh.
    """
    parts = [(p["detector"], float(p["surprise"])) for p in alert["contributions"]][::-1]
    names = [_DETECTORS[name] if language == "zh" else name for name, _ in parts]
    fired = set(alert["detectors"])
    title = text(_WHY, language).format(alert["user_id"], str(alert["time"])[:10])
    with styled(language):
        figure, axes = canvas(title, height=1.2 + 0.35 * max(len(parts), 1))
        colours = [ORANGE if name in fired else SKY for name, _ in parts]
        bars = axes.barh(names, [value for _, value in parts], color=colours)
        axes.bar_label(bars, fmt="%.1f", padding=3)
        axes.set_xlabel(text(_ADDS, language))
        axes.grid(visible=False, axis="y")
    return figure


def peer_distribution(
    result: Result, user_id: str, column: str = "n_customers", language: str = "en"
) -> Any:
    """Draw where a person's days lie among those of the peer group."""
    name = text(_column(column), language)
    peers = peer_group(result, user_id)
    days = result.actor_days
    others = days[days["user_id"].isin(peers) & (days["user_id"] != user_id)][column]
    own = days[days["user_id"] == user_id][column]
    with styled(language):
        figure, axes = canvas(text(_PEERS, language).format(user_id, len(peers) - 1))
        axes.hist(others, bins=40, color=SKY, label=text(_PEER_DAYS, language))
        for share in _QUARTILES:
            if len(others):
                axes.axvline(float(others.quantile(share)), color=GREY, lw=0.8)
        axes.axvline(float(own.median()), color=BLUE, lw=2, label=text(_OWN, language))
        axes.axvline(float(own.max()), color=RED, lw=2, ls="--", label=text(_OWN_MOST, language))
        axes.set_xlabel(text(_A_DAY, language).format(name))
        axes.set_ylabel(text(_PEER_DAYS, language))
        _legend(figure, axes)
    return figure
