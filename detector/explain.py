"""Why an alert was raised, in plain words and numbers, in English and Chinese."""

from __future__ import annotations

from collections.abc import Callable

from detector.detections import (
    AccountEvidence,
    BranchEvidence,
    CountEvidence,
    Detection,
    DripEvidence,
    HoursEvidence,
    RepeatEvidence,
    UnfamiliarEvidence,
)
from detector.evidence import clock_of, ranges_of, usual_range

Both = tuple[str, str]

_QUANTITY: dict[str, Both] = {
    "records": ("read {n} records", "读取了{n}条记录"),
    "customers": ("read {n} different customers", "读取了{n}名不同客户"),
    "volume": (
        "listed, searched or exported {n} records", "通过列表、查询或导出取得了{n}条记录",
    ),
    "new_customers": (
        "read {n} customers not seen for 30 days", "读取了{n}名30天内未接触过的客户",
    ),
    "unexplained_customers": (
        "read {n} new customers without ticket, purpose or cover duty",
        "在无工单、无用途说明、无代班的情况下读取了{n}名新客户",
    ),
    "exported_records": ("exported, printed or copied {n} records", "导出、打印或复制了{n}条记录"),
    "sensitive_customers": (
        "looked at {n} VIP or employee customers", "查看了{n}名重要客户或员工客户",
    ),
    "secret_customers": (
        "looked at secret records (C3) of {n} customers", "查看了{n}名客户的机密记录（C3）",
    ),
    "own_records": (
        "made {n} accesses to records of the own person or household",
        "访问本人或同户家庭成员记录{n}次",
    ),
    "capped_queries": (
        "made {n} queries just below a result limit", "发起了{n}次结果数略低于上限的查询",
    ),
    "ordered_records": (
        "went through {n} records in the order of their numbers", "按编号顺序查看了{n}条记录",
    ),
    "denials": ("was refused {n} times", "被拒绝访问{n}次"),
    "device_switches": (
        "changed to and fro between two devices {n} times", "在两台设备之间来回切换{n}次",
    ),
    "foreign_customers": (
        "read {n} customers of other branches", "读取了{n}名其他网点的客户",
    ),
}  # fmt: skip
_WINDOW: dict[str, Both] = {
    "10m": ("within ten minutes", "十分钟内"),
    "1h": ("within an hour", "一小时内"),
    "1d": ("in one day", "一天内"),
}
_FIELD: dict[str, Both] = {
    "system": ("system", "系统"),
    "action": ("action", "操作"),
    "device": ("device", "设备"),
    "address": ("network", "网络"),
    "channel": ("channel", "渠道"),
    "data_class": ("class of data", "数据级别"),
}
_MAX_ODDS_POWER = 9.0
_LEAST_SHOWN = 0.001


def explain(found: Detection) -> dict[str, str]:
    """Explain a detection: what was seen, what is usual, what colleagues do, how rare it is.

    Returns:
        ``{"en": ..., "zh": ...}``; never a customer id.
    """
    parts = [_detector_text(name, found) for name in found.fired]
    parts += [_unexplained(found), _odds(found.score)]
    if found.learning:
        parts.append(
            (
                "History is short, so colleagues' figures weigh most (learning).",
                "历史数据较短，主要参照同岗位同事（学习中）。",
            )
        )
    return {
        "en": " ".join(en for en, _ in parts if en),
        "zh": "".join(zh for _, zh in parts),
    }


def _detector_text(name: str, found: Detection) -> Both:
    texts: dict[str, Callable[[], Both]] = {
        "off_hours": lambda: _hours(found.hours),
        "cross_branch": lambda: _branch(found.branch),
        "unfamiliar": lambda: _unfamiliar(found.unfamiliar),
        "slow_drip": lambda: _drip(found.drip),
        "repeat_target": lambda: _repeat(found.repeat),
    }
    if name in texts:
        return texts[name]()
    if name == "account" and found.account.rule is not None:
        return _account(found.account)
    if name in found.counts:
        return _count(found.counts[name])
    return _combination(found)


def _count(count: CountEvidence) -> Both:
    usual, peers = ranges_of(count)
    what_en, what_zh = (text.format(n=f"{count.observed:,}") for text in _QUANTITY[count.quantity])
    when_en, when_zh = _WINDOW[count.window]
    return (
        (
            f"{what_en[0].upper()}{what_en[1:]} {when_en}; usual on such a day is "
            f"{usual[0]:,}-{usual[1]:,}, for colleagues {peers[0]:,}-{peers[1]:,}."
        ),
        (
            f"{when_zh}{what_zh}；本人此类日子通常为{usual[0]:,}~{usual[1]:,}，"
            f"同组同事为{peers[0]:,}~{peers[1]:,}。"
        ),
    )


def _hours(hours: HoursEvidence) -> Both:
    clock, share = clock_of(hours.bin_index), _percent(hours.share)
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


def _unfamiliar(unfamiliar: UnfamiliarEvidence) -> Both:
    news = unfamiliar.new_values.items()
    listed_en = ", ".join(f"{n} new {_FIELD[name][0]}" for name, n in news)
    listed_zh = "、".join(f"{n}个新{_FIELD[name][1]}" for name, n in news)
    seen_en = f" Never used before by this person: {listed_en}." if listed_en else ""
    seen_zh = f"本人从未用过：{listed_zh}。" if listed_zh else ""
    return (
        f"Does not look like this person's usual way of working.{seen_en}",
        f"操作方式与本人平时明显不同。{seen_zh}",
    )


def _drip(drip: DripEvidence) -> Both:
    low, high = usual_range(drip.expected, drip.dispersion)
    what_en, what_zh = (text.format(n=f"{drip.observed:,}") for text in _QUANTITY[drip.quantity])
    return (
        (
            f"{what_en[0].upper()}{what_en[1:]} over {drip.n_days} active days; before that, "
            f"{low:,}-{high:,} were usual in so many days, for colleagues about "
            f"{drip.peer_expected:,.0f}."
        ),
        (
            f"最近{drip.n_days}个工作日合计{what_zh}；此前同样天数通常为{low:,}~{high:,}，"
            f"同组同事约为{drip.peer_expected:,.0f}。"
        ),
    )


def _repeat(repeat: RepeatEvidence) -> Both:
    every_en, every_zh = _every(repeat.own_rate)
    peers_en, peers_zh = _every(repeat.peer_rate)
    return (
        (
            f"Looked at one customer on {repeat.n_days} days within two weeks without a stated "
            f"reason; that happens to this person {every_en}, to colleagues {peers_en}."
        ),
        (
            f"两周内有{repeat.n_days}天在无业务说明的情况下查看同一客户；"
            f"本人{every_zh}才有一次，同事{peers_zh}一次。"
        ),
    )


def _every(rate: float) -> Both:
    """Say how often something happens from its rate per active day."""
    if rate >= 0.95:
        return "every day", "几乎每天"
    days = min(max(round(1.0 / max(rate, 1e-6)), 1), 10_000)
    return f"about once in {days:,} active days", f"约{days:,}个工作日"


def _account(account: AccountEvidence) -> Both:
    n = account.n_days
    if account.rule == "left":
        return (
            f"The account is used {n:,} days after its owner left the bank.",
            f"员工已离职{n:,}天，账号仍在使用。",
        )
    if account.rule == "dormant":
        return (
            f"The account is used again after {n:,} silent days.",
            f"账号沉寂{n:,}天后再次使用。",
        )
    return (
        "The account is used while its owner is on leave.",
        "员工休假期间账号仍在使用。",
    )


def _combination(found: Detection) -> Both:
    n, customers = found.n_events, found.n_customers
    return (
        (
            f"An odd mixture in one day: {n:,} events on {customers:,} customers, nothing "
            "alone beyond its bounds."
        ),
        f"当天{n:,}次操作、涉及{customers:,}名客户，单项均未越界，但组合少见。",
    )


def _unexplained(found: Detection) -> Both:
    """Answer the first question of every reviewer: was there a reason?"""
    if found.n_customers == 0 or found.n_unexplained == 0:
        return "", ""
    return (
        (
            f"Of the day's {found.n_customers:,} customers, {found.n_unexplained:,} were new to "
            "this person and came without ticket, purpose, approval or cover duty."
        ),
        (
            f"当天{found.n_customers:,}名客户中，{found.n_unexplained:,}名此前未接触过，"
            "且无工单、用途、审批或代班记录。"
        ),
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
