"""Why an alert was raised, in plain words and numbers, in English and Chinese."""

from __future__ import annotations

import re
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

_CHOICE = re.compile(r"\[(\w+)\|(\w+)\]")  # [one|many]
_QUANTITY: dict[str, Both] = {
    "records": ("read {n} [record|records]", "读取了{n}条记录"),
    "customers": ("read {n} different [customer|customers]", "查询了{n}名不同客户"),
    "volume": (
        "listed, searched or exported {n} [record|records]", "通过列表、查询或导出取得了{n}条记录",
    ),
    "new_customers": (
        "read {n} [customer|customers] not seen for 30 days", "查询了{n}名近30天内未查过的客户",
    ),
    "unexplained_customers": (
        "read {n} new [customer|customers] without ticket, approval, business or cover duty",
        "查询了{n}名无业务依据（工单、审批、业务办理或代班）的新客户",
    ),
    "exported_records": (
        "exported, printed or copied {n} [record|records]", "导出、打印或复制了{n}条记录",
    ),
    "sensitive_customers": (
        "looked at {n} VIP or employee [customer|customers]", "查看了{n}名重要客户或本行员工的记录",
    ),
    "secret_customers": (
        "opened secret records (C3) of {n} [customer|customers] or lists",
        "打开了{n}名客户（或列表）的机密记录（C3）",
    ),
    "own_records": (
        "made {n} [access|accesses] to records of the own person or household",
        "查看本人或家庭成员的记录{n}次",
    ),
    "capped_queries": (
        "made {n} [query|queries] just below a result limit", "发起了{n}次结果条数紧贴上限的查询",
    ),
    "ordered_records": (
        "went through {n} [record|records] in the order of their numbers",
        "按编号顺序查看了{n}条记录",
    ),
    "denials": ("was refused {n} [time|times]", "被拒绝访问{n}次"),
    "device_switches": (
        "changed to and fro between two devices {n} [time|times]", "在两台设备之间来回切换{n}次",
    ),
    "foreign_customers": (
        "read {n} [customer|customers] of other branches", "查询了{n}名其他网点的客户",
    ),
}  # fmt: skip
_SUMMED: dict[str, Both] = {
    "customers": ("different customers", "不同客户数"),
    "new_customers": ("customers new to this person", "此前未接触过的客户数"),
    "unexplained_customers": (
        "new customers without ticket, approval, cover duty or business", "无业务依据的新客户数",
    ),
    "volume": ("records listed, searched or exported", "列表、查询或导出的记录数"),
    "sensitive_customers": ("VIP or employee customers", "重要客户或本行员工客户数"),
    "foreign_customers": ("customers of other branches", "其他网点客户数"),
}  # fmt: skip
_WINDOW: dict[str, Both] = {
    "10m": ("within ten minutes", "十分钟内"),
    "1h": ("within an hour", "一小时内"),
    "1d": ("in one day", "一天内"),
}
_FIELD: dict[str, Both] = {
    "system": ("{n} [system|systems]", "{n}个系统"),
    "action": ("{n} [action|actions]", "{n}种操作"),
    "device": ("{n} [device|devices]", "{n}台设备"),
    "address": ("{n} [network|networks]", "{n}个网络"),
    "channel": ("{n} [channel|channels]", "{n}个渠道"),
    "data_class": ("{n} [class|classes] of data", "{n}个数据级别"),
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
                "历史数据尚短，主要参照同组同事（学习中）。",
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
    said = [_count(found.counts[name])] if name in found.counts else []
    if name == "account" and found.account.rule is not None:
        said.insert(0, _account(found.account))
    if not said:
        return _combination(found)
    return " ".join(en for en, _ in said), "".join(zh for _, zh in said)


def _with_number(text: Both, n: int) -> Both:
    """Put a number into both texts; the English one is told for one or for many.

    >>> _with_number(("read {n} [record|records]", "读取了{n}条记录"), 1)
    ('read 1 record', '读取了1条记录')
    """
    english, chinese = (part.format(n=f"{n:,}") for part in text)
    return _CHOICE.sub(lambda match: match[1 if n == 1 else 2], english), chinese


def _count(count: CountEvidence) -> Both:
    usual, peers = ranges_of(count)
    what_en, what_zh = _with_number(_QUANTITY[count.quantity], count.observed)
    when_en, when_zh = _WINDOW[count.window]
    return (
        (
            f"{what_en[0].upper()}{what_en[1:]} {when_en}; usual on such a day is "
            f"{_range(usual, '-')}, for colleagues {_range(peers, '-')}."
        ),
        (
            f"{when_zh}{what_zh}；本人在同类日子通常为{_range(usual, '~')}，"
            f"同组同事为{_range(peers, '~')}。"
        ),
    )


def _range(bounds: tuple[int, int], to: str) -> str:
    """Say a range, or its one value.

    >>> _range((3, 1_200), "-"), _range((0, 0), "-")
    ('3-1,200', '0')
    """
    low, high = bounds
    return f"{low:,}" if low == high else f"{low:,}{to}{high:,}"


def _hours(hours: HoursEvidence) -> Both:
    clock, share = clock_of(hours.bin_index), _percent(hours.share)
    english = f"Active around {clock}, where at most {share} of usual activity falls."
    chinese = f"{clock}前后有操作，该时段至多占其平时操作的{share}。"
    if hours.rest_day:
        worked_en, worked_zh = _about(hours.active_share)
        english = f"Worked on a rest day (does so on {worked_en} of them). {english}"
        chinese = f"在休息日有操作（其{worked_zh}的休息日会上班）。{chinese}"
    if hours.n_events > 1 and hours.n_customers > 0:
        english += (
            f" {hours.n_events:,} events on {hours.n_customers:,} customers were out of hours."
        )
        chinese += f"非工作时段共操作{hours.n_events:,}次，涉及{hours.n_customers:,}名客户。"
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
        f"查看了{where_zh}的{n:,}名客户；本人{own_zh}的工作日会涉及，同事则{peers_zh}。",
    )


def _unfamiliar(unfamiliar: UnfamiliarEvidence) -> Both:
    news = [_with_number(_FIELD[name], n) for name, n in unfamiliar.new_values.items()]
    seen_en = f" Never used before by this person: {', '.join(en for en, _ in news)}."
    seen_zh = f"首次使用：{'、'.join(zh for _, zh in news)}。"
    return (
        f"Does not look like this person's usual way of working.{seen_en if news else ''}",
        f"操作方式与本人平时明显不同。{seen_zh if news else ''}",
    )


def _drip(drip: DripEvidence) -> Both:
    usual = usual_range(drip.expected, drip.dispersion)
    what_en, what_zh = _SUMMED[drip.quantity]
    return (
        (
            f"Over {drip.n_days} active days, the daily numbers of {what_en} add up to "
            f"{drip.observed:,} (rest days weighed as working days); before that, "
            f"{_range(usual, '-')} were usual in so many days, for colleagues about "
            f"{drip.peer_expected:,.0f}."
        ),
        (
            f"最近{drip.n_days}个活跃日，每日{what_zh}合计{drip.observed:,}（休息日折算为工作日）；"
            f"此前同样天数通常为{_range(usual, '~')}，同组同事约为{drip.peer_expected:,.0f}。"
        ),
    )


def _repeat(repeat: RepeatEvidence) -> Both:
    every_en, every_zh = _every(repeat.own_rate)
    peers_en, peers_zh = _every(repeat.peer_rate)
    return (
        (
            f"Looked at one customer on {repeat.n_days} days within two weeks without ticket, "
            f"approval or business; that happens to this person {every_en}, to colleagues "
            f"{peers_en}."
        ),
        (
            f"两周内有{repeat.n_days}天无业务依据地查看同一客户；"
            f"这种情况在本人{every_zh}，在同事{peers_zh}。"
        ),
    )


def _every(rate: float) -> Both:
    """Say how often something happens from its rate per active day."""
    days = min(round(1.0 / max(rate, 1e-6)), 10_000)
    if days <= 1:
        return "nearly every day", "几乎每天都有"
    return f"about once in {days:,} active days", f"约{days:,}个活跃日一次"


def _account(account: AccountEvidence) -> Both:
    n = account.n_days
    if account.rule == "left":
        return (
            (
                f"The account is used {n:,} {'day' if n == 1 else 'days'} after its owner left "
                "the bank."
            ),
            f"员工离职已{n:,}天，其账号仍在使用。",
        )
    if account.rule == "dormant":
        return (
            f"The account is used again after {n:,} silent days.",
            f"账号闲置{n:,}天后再次被使用。",
        )
    return (
        "The account is used while its owner is on leave.",
        "员工休假期间，其账号仍在使用。",
    )


def _combination(found: Detection) -> Both:
    n, customers = found.n_events, found.n_customers
    events_en, _ = _with_number(("{n} [event|events]", ""), n)
    customers_en, _ = _with_number(("{n} [customer|customers]", ""), customers)
    return (
        (
            f"An odd mixture in one day: {events_en} on {customers_en}, nothing alone beyond "
            "its bounds."
        ),
        f"当天操作{n:,}次，涉及{customers:,}名客户；各单项均未越界，但这样的组合少见。",
    )


def _unexplained(found: Detection) -> Both:
    """Answer the first question of every reviewer: was there a reason?"""
    n, new = found.n_customers, min(found.n_unexplained, found.n_customers)
    if new == 0:
        return "", ""
    were = f"{'was' if new == 1 else 'were'} new to this person and came without ticket"
    if new < n:
        return (
            f"Of the day's {n:,} customers, {new:,} {were}, approval, business or cover duty.",
            f"当天{n:,}名客户中，有{new:,}名此前未接触过，且无工单、审批、业务办理或代班依据。",
        )
    every_en = "The day's 1 customer" if n == 1 else f"All of the day's {n:,} customers"
    every_zh = "当天1名客户" if n == 1 else f"当天{n:,}名客户均"
    return (
        f"{every_en} {were}, approval, business or cover duty.",
        f"{every_zh}为此前未接触过的客户，且无工单、审批、业务办理或代班依据。",
    )


def _odds(score: float) -> Both:
    """Say how rare such a day is, without false precision."""
    if score >= _MAX_ODDS_POWER:
        return (
            "Rarer than once in a billion ordinary person-days.",
            "正常情况下，这样的一天十亿人日也难遇一次。",
        )
    power = 10.0**score
    digits = max(len(str(int(power))) - 1, 0)
    rounded = max(round(power / 10**digits) * 10**digits, 1)
    return (
        f"About once in {rounded:,} ordinary person-days.",
        f"正常情况下，这样的一天约{rounded:,}人日才有一次。",
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
