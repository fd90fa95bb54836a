"""The card of a version for people, in both languages, from its record alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_WORDS = {
    "en": {
        "title": "Model {}", "made": "Made by {} at {}", "what": "What it is",
        "kind": "Priors per peer group, branch shares, calibration and the threshold of {} alerts "
                "a day ({}).",
        "data": "Learned from", "events": "{:,} events, {:,} person-days of {:,} people",
        "window": "from {} to {}, digest {}", "unknown": "period not recorded",
        "found": "What it finds", "none": "Not evaluated.",
        "row": "| {} | {:.2f} ({:.2f} to {:.2f}) | {:.2f} |",
        "head": "| alerts a day | recall (90 % interval) | precision |",
        "calibration": "Calibration", "cal_head": "| nominal | observed (90 % interval) |",
        "limits": "Not for",
        "limits_text": "Events of another source or mapping; people of roles that the history does "
                       "not hold are compared with the bank as a whole.",
        "made_with": "Made with", "notes": "Notes",
    },
    "zh": {
        "title": "模型 {}", "made": "由 {} 于 {} 制作", "what": "内容",
        "kind": "各同岗组的先验、网点份额、校准，以及每日 {} 条告警对应的阈值（{}）。",
        "data": "学习数据", "events": "{:,} 条事件，{:,} 个人日，{:,} 人",
        "window": "{} 至 {}，摘要 {}", "unknown": "未记录时间范围",
        "found": "发现能力", "none": "未评估。",
        "row": "| {} | {:.2f}（{:.2f}～{:.2f}） | {:.2f} |",
        "head": "| 每日告警数 | 发现率（90% 区间） | 准确率 |",
        "calibration": "校准", "cal_head": "| 名义 | 实际（90% 区间） |",
        "limits": "不适用于",
        "limits_text": "其他来源或映射的事件；历史中没有的岗位将与全行整体比较。",
        "made_with": "制作环境", "notes": "备注",
    },
}  # fmt: skip
LANGUAGES = tuple(_WORDS)


def card(record: Mapping[str, Any], language: str) -> str:
    """Return the card as Markdown.

    Args:
        record: a version's record.
        language: en or zh.
    """
    words = _WORDS[language]
    parts = [
        f"# {words['title'].format(record['artifact'])}",
        words["made"].format(record["made_by"], record["made_at"]),
        f"## {words['what']}",
        words["kind"].format(f"{record['budget_per_day']:g}", f"{record['threshold']:.2f}"),
        f"## {words['data']}",
        _data(record, words),
        f"## {words['found']}",
        _found(record, words),
        *_calibration(record, words),
        f"## {words['limits']}",
        words["limits_text"],
        f"## {words['made_with']}",
        ", ".join(f"{name} {number}" for name, number in sorted(record["libraries"].items())),
    ]
    if record["notes"]:
        parts += [f"## {words['notes']}", str(record["notes"])]
    return "\n\n".join(parts) + "\n"


def _data(record: Mapping[str, Any], words: Mapping[str, str]) -> str:
    learned, data = record["learned_from"], record["data"]
    counts = words["events"].format(learned["events"], learned["actor_days"], learned["actors"])
    if not data:
        return f"{counts}; {words['unknown']}"
    window = words["window"].format(data["first_event"], data["last_event"], data["digest"])
    return f"{counts}; {window}"


def _found(record: Mapping[str, Any], words: Mapping[str, str]) -> str:
    budgets = record["evaluation"].get("budgets", [])
    if not budgets:
        return words["none"]
    rows = [
        words["row"].format(
            row["budget"], row["recall"], row["recall_low"], row["recall_high"], row["precision"]
        )
        for row in budgets
    ]
    return "\n".join([words["head"], "| --- | --- | --- |", *rows])


def _calibration(record: Mapping[str, Any], words: Mapping[str, str]) -> list[str]:
    if not record["calibration"]:
        return []
    rows = [
        f"| {row['nominal']:.4f} | {row['observed']:.4f} ({row['low']:.4f} – {row['high']:.4f}) |"
        for row in record["calibration"]
    ]
    table = "\n".join([words["cal_head"], "| --- | --- |", *rows])
    return [f"## {words['calibration']}", table]
