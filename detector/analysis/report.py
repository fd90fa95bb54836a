"""One page about a period: what was found, is it calibrated, has it drifted, who carries it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from detector.analysis.fairness import Fairness
from detector.errors import OptionError

_WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "title": "Report", "summary": "{:,} events, {:,} people, {:,} alerts",
        "evaluation": "What was found", "calibration": "Calibration", "drift": "Drift",
        "fairness": "Who carries the alerts", "none": "Nothing is labelled.",
        "even": "No group carries far more than the others.", "warning": "Warning",
    },
    "zh": {
        "title": "报告", "summary": "{:,} 条事件，{:,} 人，{:,} 条告警",
        "evaluation": "发现能力", "calibration": "校准", "drift": "漂移",
        "fairness": "告警的分布", "none": "没有标注。",
        "even": "没有群体明显承担更多告警。", "warning": "警示",
    },
}  # fmt: skip


def report_text(
    summary: tuple[int, int, int],
    tables: Mapping[str, Any],
    fairness: Fairness,
    language: str = "en",
) -> str:
    """Return the page as Markdown.

    Args:
        summary: events, people, alerts.
        tables: data frames ``calibration``, ``drift`` and, where incidents are known,
            ``evaluation``.
        fairness: rates by group.
        language: en or zh.

    Raises:
        OptionError: there is no such language.
    """
    if language not in _WORDS:
        hint = f"Known: {', '.join(_WORDS)}"
        raise OptionError(f"there is no language {language!r}", where="language", hint=hint)
    words = _WORDS[language]
    parts = [f"# {words['title']}", words["summary"].format(*summary)]
    for name in ("evaluation", "calibration", "drift"):
        body = markdown(tables[name]) if name in tables else words["none"]
        parts += [f"## {words[name]}", body]
    said = [f"**{words['warning']}:** {text}" for text in fairness.warnings] or [words["even"]]
    parts += [f"## {words['fairness']}", *said, markdown(fairness.table)]
    return "\n\n".join(parts) + "\n"


def markdown(frame: Any) -> str:
    """Return a data frame as a Markdown table."""
    head = [f"| {' | '.join(map(str, frame.columns))} |", f"|{' --- |' * len(frame.columns)}"]
    rows = (f"| {' | '.join(map(_cell, row))} |" for row in frame.itertuples(index=False))
    return "\n".join([*head, *rows])


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:%Y-%m-%d}" if hasattr(value, "strftime") else str(value)
