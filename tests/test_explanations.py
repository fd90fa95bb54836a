"""What an alert says: every number can be read back, in both languages."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import nbinom

from detector.alerts import Episodes
from detector.detections import (
    AccountEvidence,
    CountEvidence,
    Detection,
    DripEvidence,
    RepeatEvidence,
    UnfamiliarEvidence,
)
from detector.evidence import usual_range
from detector.explain import explain
from tests.detections import DETECTION, detections, raised
from tests.streams import event, plan_of, run, usual_work, weekdays

ODDS = r"About once in [\d,]+ ordinary|约[\d,]+人日才有一次"
FIXED = r"\(C3\)|（C3）|for 30 days|近30天"  # numbers that are part of a name


def numbers_said(text: str) -> list[str]:
    """Clock times, percentages and counts in a text, as they are written."""
    text = re.sub(FIXED, "", text)
    return re.findall(r"\d\d:\d\d|\d+(?:\.\d)?%|\d+(?:,\d{3})*", text)


def numbers_shown(alert: dict[str, Any]) -> set[str]:
    """Every number the alert allows a text to say, as a text writes it."""
    evidence = alert["evidence"]
    shown = {f"{alert['n_events']:,}", f"{alert['n_customers']:,}"}
    for part in (evidence, *evidence.get("also", {}).values()):
        for name, value in {**part, **part.get("count", {}), **part.get("new_values", {})}.items():
            if "share_of" in name:
                shown.add("0.1%" if value < 0.001 else f"{value:.{int(value < 0.1)}%}")
            elif isinstance(value, list):
                shown |= {f"{item:,}" for item in value}
            elif isinstance(value, int | float):
                shown.add(f"{value:,.0f}")
            else:
                shown.add(str(value))
        if part["window"] == "14d":
            rates = (part["expected"], part["peer_expected"])
            shown |= {f"{min(round(1.0 / max(rate, 1e-6)), 10_000):,}" for rate in rates}
        shown.add(f"{part['observed']:,}")
    return shown


@given(detections())
def test_every_number_in_a_text_can_be_read_back_from_the_alert(found: Detection) -> None:
    """What a person is told must be what the record proves, in both languages."""
    alert = raised(Episodes(20), found).fields
    for text in alert["explanation"].values():
        said = numbers_said(re.sub(ODDS, "", text))

        assert set(said) <= numbers_shown(alert)


@given(detections())
def test_the_odds_in_a_text_are_those_of_the_score(found: Detection) -> None:
    """One leading digit of 10 to the power of the score; words beyond a billion."""
    alert = raised(Episodes(20), found).fields
    for text in alert["explanation"].values():
        said = re.findall(r"once in ([\d,]+) ordinary|约([\d,]+)人日才有", text)
        power = [math.log10(int("".join(groups).replace(",", ""))) for groups in said]

        assert power == ([pytest.approx(alert["score"], abs=0.18)] if alert["score"] < 9 else [])


@given(detections())
def test_both_languages_say_the_same_numbers(found: Detection) -> None:
    """A translation that rounds differently starts an argument."""
    text = raised(Episodes(20), found).fields["explanation"]

    assert sorted(numbers_said(text["en"])) == sorted(numbers_said(text["zh"]))


@given(detections())
def test_no_text_holds_a_template_or_a_slip_of_grammar(found: Detection) -> None:
    """One customer, two customers; nothing in braces; every sentence is closed."""
    text = raised(Episodes(20), found).fields["explanation"]
    chinese = re.sub(r"North|South-Gate|\d,|C3", "", text["zh"])

    assert not re.search(r"[\[\]{}|]|(?<!,)\b1 \w*[^s]s\b(?! of)|\bNone\b|  ", text["en"])
    assert not re.search(r"[\[\]{}|A-Za-z ,;]", chinese)
    assert text["en"].endswith(".")
    assert text["zh"].endswith("。")


@pytest.mark.parametrize(
    ("name", "change", "english", "chinese"),
    [
        ("sensitive", {"counts": {"sensitive": CountEvidence(
            "sensitive_customers", "1d", 9, 0.6, 0.8, 0.5, 3.0)}},
         ("Looked at 9 VIP or employee customers in one day; usual on such a day is 0-2, for "
         "colleagues 0-3."),
         "一天内查看了9名重要客户或本行员工的记录；本人在同类日子通常为0~2，同组同事为0~3。"),
        ("enumeration", {"counts": {"enumeration": CountEvidence(
            "ordered_records", "1d", 1, 0.6, 0.8, 0.5, 3.0)}},
         "Went through 1 record in the order of their numbers in one day;",
         "一天内按编号顺序查看了1条记录；"),
        ("slow_drip", {"drip": DripEvidence("customers", 8, 1_240, 800.0, 0.01, 770.4)},
         ("Over 8 active days, the daily numbers of different customers add up to 1,240 (rest days "
         "weighed as working days); before that, 665-944 were usual in so many days, for "
         "colleagues about 770."),
         ("最近8个活跃日，每日不同客户数合计1,240（休息日折算为工作日）；此前同样天数通常为665~944，"
         "同组同事约为770。")),
        ("repeat_target", {"repeat": RepeatEvidence(6, 0.05, 2.0)},
         ("Looked at one customer on 6 days within two weeks without ticket, approval "
         "or business; that happens to this person about once in 20 active days, to colleagues "
         "nearly every day."),
         "两周内有6天无业务依据地查看同一客户；这种情况在本人约20个活跃日一次，在同事几乎每天都有。"),
        ("unfamiliar", {"unfamiliar": UnfamiliarEvidence({"device": 1, "address": 2}, 3.0)},
         "Never used before by this person: 1 device, 2 networks.",
         "首次使用：1台设备、2个网络。"),
        ("account", {"account": AccountEvidence("left", 12)},
         "The account is used 12 days after its owner left the bank.",
         "员工离职已12天，其账号仍在使用。"),
        ("account", {"account": AccountEvidence("on_leave", 0), "counts": {"account": CountEvidence(
            "denials", "1d", 40, 0.5, 2.0, 0.5, 8.0)}},
         "The account is used while its owner is on leave. Was refused 40 times in one day;",
         "员工休假期间，其账号仍在使用。一天内被拒绝访问40次；"),
        ("account", {"account": AccountEvidence("dormant", 95)},
         "The account is used again after 95 silent days.", "账号闲置95天后再次被使用。"),
        ("under_cap", {"counts": {}},
         "An odd mixture in one day: 120 events on 118 customers, nothing alone beyond its bounds.",
         "当天操作120次，涉及118名客户；各单项均未越界，但这样的组合少见。"),
    ],
)  # fmt: skip
def test_each_detector_speaks_both_languages(
    name: str, change: dict[str, Any], english: str, chinese: str
) -> None:
    """The words themselves, read by people who speak them."""
    text = explain(replace(DETECTION, fired=(name,), **change))

    assert english in text["en"]
    assert chinese in text["zh"]


def test_the_text_says_how_many_customers_came_without_a_reason() -> None:
    """The first question of every reviewer."""
    text = explain(DETECTION)

    assert "Of the day's 118 customers, 73 were new to this person" in text["en"]
    assert "当天118名客户中，有73名此前未接触过" in text["zh"]


@pytest.mark.parametrize(
    ("n", "new", "english", "chinese"),
    [
        (9, 9, "All of the day's 9 customers were new", "当天9名客户均为此前未接触过的客户"),
        (1, 1, "The day's 1 customer was new", "当天1名客户为此前未接触过的客户"),
        (9, 1, "Of the day's 9 customers, 1 was new", "当天9名客户中，有1名此前未接触过"),
        (9, 0, "", ""),
    ],
)
def test_all_one_and_none_are_said_as_people_would(
    n: int, new: int, english: str, chinese: str
) -> None:
    """No "1 were", and silence where everything had a reason."""
    text = explain(replace(DETECTION, n_customers=n, n_unexplained=new))

    assert english in text["en"]
    assert chinese in text["zh"]
    assert ("without ticket" in text["en"]) is (new > 0)


def test_the_text_says_what_was_observed_and_what_is_usual() -> None:
    """The figures of the leading count are in the first sentence of both languages."""
    text = raised(Episodes(20), DETECTION).fields["explanation"]

    assert text["en"].startswith(
        "Read 2,808 records within ten minutes; usual on such a day is 12-91, for colleagues 6-132."
    )
    assert text["zh"].startswith(
        "十分钟内读取了2,808条记录；本人在同类日子通常为12~91，同组同事为6~132。"
    )


@given(st.floats(1e-3, 1e6), st.floats(1e-3, 4.0))
def test_the_usual_range_is_that_of_the_distribution(mean: float, dispersion: float) -> None:
    """The 5 % and 95 % quantiles, as scipy finds them."""
    r = 1.0 / dispersion
    low, high = nbinom.ppf([0.05, 0.95], r, r / (r + mean))

    assert usual_range(mean, dispersion) == (max(low, 0), high)


def test_no_text_holds_a_customer_id() -> None:
    """Explanations are mailed and printed; customers are not to be."""
    *history, tested = weekdays(16)
    events = usual_work("u1", history) + [
        event(10_000 + i, "u1", tested + timedelta(seconds=60 * i), branch="B5", data_class="C3")
        for i in range(150)
    ]
    for number, item in enumerate(events):
        item["customer_id"] = f"cust{number}"
    lines, _, _ = run(events, plan_of())
    texts = [part for line in lines for part in orjson.loads(line)["explanation"].values()]

    assert texts
    assert not [text for text in texts if "cust" in text.replace("customers", "")]
