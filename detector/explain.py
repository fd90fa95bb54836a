"""Why an alert was raised, in plain words and numbers, in English and Chinese."""

from __future__ import annotations

from detector.detections import BranchEvidence, BulkEvidence, Detection, HoursEvidence

_QUANTITY = {
    "records": ("records", "条记录"),
    "customers": ("different customers", "名不同客户"),
    "volume": ("records by lists, searches or exports", "条记录（列表、搜索或导出）"),
}
_WINDOW = {
    "10m": ("within ten minutes", "十分钟内"),
    "1h": ("within an hour", "一小时内"),
    "1d": ("in one day", "一天内"),
}
_MAX_ODDS_POWER = 9.0
_LEAST_SHOWN = 0.001

Range = tuple[int, int]
Both = tuple[str, str]


def explain(found: Detection, usual: Range, peers: Range) -> dict[str, str]:
    """Explain a detection in one to four sentences per language.

    Args:
        found: the detection.
        usual: 5 % to 95 % range of the leading count for this actor.
        peers: the same for the peer group.

    Returns:
        ``{"en": ..., "zh": ...}``; never a customer id.
    """
    parts = [_detector_text(name, found, usual, peers) for name in found.fired]
    parts.append(_odds(found.score))
    if found.learning:
        parts.append(
            (
                "History is short, so colleagues' figures weigh most (learning).",
                "历史数据较短，主要参照同岗位同事（学习中）。",
            )
        )
    return {"en": " ".join(en for en, _ in parts), "zh": "".join(zh for _, zh in parts)}


def _detector_text(name: str, found: Detection, usual: Range, peers: Range) -> Both:
    if name == "bulk_read":
        return _bulk(found.bulk, usual, peers)
    if name == "off_hours":
        return _hours(found.hours)
    return _branch(found.branch)


def _bulk(bulk: BulkEvidence, usual: Range, peers: Range) -> Both:
    what_en, what_zh = _QUANTITY[bulk.quantity]
    when_en, when_zh = _WINDOW[bulk.window]
    return (
        (
            f"Read {bulk.observed:,} {what_en} {when_en}; usual on such a day is "
            f"{usual[0]:,}-{usual[1]:,}, for colleagues {peers[0]:,}-{peers[1]:,}."
        ),
        (
            f"{when_zh}读取了{bulk.observed:,}{what_zh}；"
            f"本人此类日子通常为{usual[0]:,}~{usual[1]:,}，"
            f"同组同事为{peers[0]:,}~{peers[1]:,}。"
        ),
    )


def _hours(hours: HoursEvidence) -> Both:
    clock = f"{hours.bin_index // 4:02d}:{hours.bin_index % 4 * 15:02d}"
    share = _percent(hours.share)
    english = f"Active around {clock}, where at most {share} of usual activity falls."
    chinese = f"{clock}前后仍有操作，该时段至多占其平时活动的{share}。"
    if hours.rest_day:
        worked_en, worked_zh = _about(hours.active_share)
        english = f"Worked on a rest day (does so on {worked_en} of them). {english}"
        chinese = f"在休息日操作（{worked_zh}的休息日会上班）。{chinese}"
    if hours.n_events > 1:
        english += (
            f" {hours.n_events:,} events on {hours.n_customers:,} customers were out of hours."
        )
        chinese += f"非工作时段共{hours.n_events:,}次操作，涉及{hours.n_customers:,}名客户。"
    return english, chinese


def _branch(branch: BranchEvidence) -> Both:
    where_en = "other branches" if branch.branch is None else f"branch {branch.branch}"
    where_zh = "其他网点" if branch.branch is None else f"网点{branch.branch}"
    (own_en, own_zh), (peers_en, peers_zh) = _about(branch.share), _about(branch.peer_share)
    n = branch.n_customers
    return (
        (
            f"Looked at {n:,} {'customer' if n == 1 else 'customers'} of {where_en}; "
            f"works there on {own_en} of days, colleagues on {peers_en}."
        ),
        f"查看了{where_zh}的{n:,}名客户；本人{own_zh}的工作日涉及该处，同事{peers_zh}。",
    )


def _odds(score: float) -> Both:
    """Say how rare such a day is, without false precision."""
    if score >= _MAX_ODDS_POWER:
        return (
            "Rarer than once in a billion ordinary person-days.",
            "在正常情况下，出现概率低于十亿人日一次。",
        )
    power = 10.0**score
    digits = max(len(str(int(power))) - 1, 0)
    rounded = max(round(power / 10**digits) * 10**digits, 1)
    return (
        f"About once in {rounded:,} ordinary person-days.",
        f"在正常情况下，约{rounded:,}人日一次。",
    )


def _about(share: float) -> Both:
    """Say a share in words that also hold for one too small to show."""
    if share < _LEAST_SHOWN:
        return "under 0.1%", "不足0.1%"
    return f"about {_percent(share)}", f"约{_percent(share)}"


def _percent(share: float) -> str:
    if share >= 0.1:
        return f"{share:.0%}"
    return f"{share:.1%}" if share >= _LEAST_SHOWN else "0.1%"
