"""The catalogue: every text in both languages, every name used, nothing left over."""

from __future__ import annotations

import re
import string
from zoneinfo import ZoneInfo

import pytest

from detector.console.roles import Role
from detector.console.texts import Words, catalogue
from detector.console.viewing import SORTS, STATUSES, VERDICTS, VIEWS
from detector.detections import DETECTORS
from detector.policy import SEVERITIES
from detector.scoring.counts import STATS
from tests.conftest import ROOT

CONSOLE = ROOT / "detector" / "console"
SOURCES = "\n".join(
    path.read_text("utf-8") for path in [*CONSOLE.glob("*.py"), *CONSOLE.glob("templates/*")]
)
# Sections whose names are words of the data, looked up one by one.
OF_DATA = {
    "severity": SEVERITIES,
    "status": STATUSES,
    "verdict": (*VERDICTS, "none"),
    "verdict_hint": VERDICTS,
    "view": VIEWS,
    "view_title": VIEWS,
    "view_empty": VIEWS,
    "sort": SORTS,
    "role": tuple(Role),
    "quantity": (*(quantity for quantity, _ in STATS), *(f"of_{name}" for name in DETECTORS)),
}
LOOKED_UP = {
    *OF_DATA, "view_lead", "job", "fact", "field", "rule", "window", "event", "figure", "theme",
    "scope", "keys", "keycap", "quiet", "problem", "span", "column", "duty", "group",
}  # fmt: skip


def test_every_text_is_there_in_both_languages() -> None:
    """And the Chinese one is Chinese, where it is a sentence."""
    for name, (english, chinese) in catalogue().items():
        assert english.strip(), name
        assert chinese.strip(), name
        if len(english) > 30:
            assert re.search(r"[\u4e00-\u9fff]", chinese), name


def test_both_languages_have_the_same_gaps() -> None:
    """A figure told in one language is told in the other."""
    for name, both in catalogue().items():
        gaps = [{gap for _, gap, _, _ in string.Formatter().parse(text) if gap} for text in both]
        assert gaps[0] == gaps[1], name


def test_every_name_in_pages_and_code_exists() -> None:
    """A missing text would be an error in front of somebody."""
    used = set(re.findall(r"\bt\(\s*[\"']([a-z_]+\.[a-z_0-9]+)[\"']", SOURCES))

    assert len(used) > 150
    assert not used - set(catalogue())


def test_no_text_is_left_over() -> None:
    """What nobody reads nobody keeps right."""
    left = [
        name
        for name in catalogue()
        if name.split(".")[0] not in LOOKED_UP
        and not re.search(rf"[\"']{re.escape(name)}[\"']", SOURCES)
    ]

    assert not left


@pytest.mark.parametrize("section", OF_DATA)
def test_words_of_the_data_are_all_in_the_catalogue(section: str) -> None:
    """A new detector or status brings its words."""
    assert not {f"{section}.{word}" for word in OF_DATA[section]} - set(catalogue())


def test_every_refusal_has_its_sentence() -> None:
    """A code is for programs; people read words."""
    codes = set(re.findall(r"RefusedError\(\s*\"(\w+)\"\)", SOURCES))
    codes |= set(re.findall(r"words_of\([^)]*\"(\w+)\"\)", SOURCES))

    assert len(codes) > 10
    assert not {f"problem.{code}" for code in codes} - set(catalogue())


@pytest.mark.parametrize(
    ("language", "told"), [("en", "2 Mar 2026 09:05"), ("zh", "2026年3月2日 09:05")]
)
def test_dates_follow_the_language(language: str, told: str) -> None:
    """The wall time of where it happened."""
    words = Words(language, ZoneInfo("Asia/Shanghai"))

    assert words.local("2026-03-02T09:05:07.120+08:00") == told
    assert words.moment(1_772_413_507_120) == told
