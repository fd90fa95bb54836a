"""Figures about the detector itself: is it calibrated, what does a budget buy, has it drifted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from detector.analysis.answers import WhatIf
from detector.analysis.result import Result
from detector.analysis.tables import calibration as calibration_table
from detector.analysis.tables import drift as drift_table
from detector.analysis.tables import recall_curve
from detector.plots.style import BLUE, CYCLE, GREY, ORANGE, RED, SKY, canvas, styled, text

_CALIBRATION = {"en": "Are rare days as rare as they say?", "zh": "罕见程度是否名副其实？"}
_NOMINAL = {"en": "nominal share of days", "zh": "名义比例"}
_OBSERVED = {"en": "observed share of days", "zh": "实际比例"}
_EXACT = {"en": "exact", "zh": "完全一致"}
_INTERVAL = {"en": "observed, 90 % interval", "zh": "实际值（90% 区间）"}
_RECALL = {"en": "What reading more alerts a day finds", "zh": "每日阅读告警数与发现率"}
_BUDGET = {"en": "alerts read a day", "zh": "每日阅读告警数"}
_FOUND = {"en": "share of incidents found", "zh": "发现的事件比例"}
_DRIFT = {"en": "Has the score drifted?", "zh": "分数是否漂移？"}
_TIMES = {"en": "times as often as nominal", "zh": "实际与名义之比"}
_PERIOD = {"en": "period from", "zh": "周期起始"}
_NOTABLE = {"en": "days of score 1 and more", "zh": "分数≥1的日数"}
_RARE = {"en": "days of score 2 and more", "zh": "分数≥2的日数"}


def calibration(result: Result, detector: str | None = None, language: str = "en") -> Any:
    """Draw how often surprises are reached against how often they say, with the interval."""
    table = calibration_table(result, detector)
    with styled(language):
        figure, axes = canvas(text(_CALIBRATION, language), width=5.2, height=4.2)
        axes.set_xscale("log")
        axes.set_yscale("log")
        seen = table[table["observed"] > 0.0]
        floor = table["nominal"].min() / 10.0
        axes.plot(table["nominal"], table["nominal"], color=GREY, label=text(_EXACT, language))
        axes.errorbar(
            seen["nominal"], seen["observed"],
            yerr=[
                seen["observed"] - seen["low"].clip(lower=floor),
                seen["high"] - seen["observed"],
            ],
            fmt="o", color=BLUE, capsize=3, label=text(_INTERVAL, language),
        )  # fmt: skip
        unseen = table[table["observed"] == 0.0]
        axes.scatter(unseen["nominal"], unseen["high"], marker="v", color=SKY)
        axes.set_xlabel(text(_NOMINAL, language))
        axes.set_ylabel(text(_OBSERVED, language))
        axes.legend(loc="upper left")
    return figure


def recall_budget(
    alerts: dict[str, Result | WhatIf] | Result | WhatIf,
    truth: Any,
    budgets: Sequence[int] = (1, 2, 3, 5, 10, 20),
    language: str = "en",
) -> Any:
    """Draw recall against the alert budget, with its 90 % interval.

    Args:
        alerts: a replay or an answer, or several by name to compare.
        truth: truth file.
        budgets: alerts read a day.
        language: en or zh.
    """
    named = alerts if isinstance(alerts, dict) else {"": alerts}
    with styled(language):
        figure, axes = canvas(text(_RECALL, language), width=5.6)
        for (name, one), colour in zip(named.items(), CYCLE, strict=False):
            table = recall_curve(one, truth, budgets)
            axes.fill_between(
                table["budget"], table["recall_low"], table["recall_high"],
                color=colour, alpha=0.18, lw=0,
            )  # fmt: skip
            axes.plot(table["budget"], table["recall"], color=colour, marker="o", label=name)
        axes.set_xscale("log")
        axes.set_xticks(list(budgets), [str(budget) for budget in budgets])
        axes.minorticks_off()
        axes.set_ylim(0.0, 1.02)
        axes.set_xlabel(text(_BUDGET, language))
        axes.set_ylabel(text(_FOUND, language))
        if len(named) > 1:
            axes.legend(loc="lower right")
    return figure


def drift(result: Result, period: str = "W", language: str = "en") -> Any:
    """Draw, period by period, how much more often than they say scores are reached."""
    table = drift_table(result, period)
    starts = [f"{start:%m-%d}" for start in table["period"]]
    with styled(language):
        figure, axes = canvas(text(_DRIFT, language))
        axes.axhline(1.0, color=GREY, ls="--")
        axes.plot(starts, table["notable"], color=BLUE, marker="o", label=text(_NOTABLE, language))
        axes.plot(starts, table["rare"], color=ORANGE, marker="s", label=text(_RARE, language))
        high = table["rare"] > 3.0
        axes.scatter(
            [start for start, is_high in zip(starts, high, strict=True) if is_high],
            table["rare"][high], color=RED, zorder=3,
        )  # fmt: skip
        axes.set_ylim(bottom=0.0)
        axes.set_xlabel(text(_PERIOD, language))
        axes.set_ylabel(text(_TIMES, language))
        axes.legend()
    return figure
