"""What people read, in Chinese and English: one catalogue, and how each language writes figures."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import cache
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

LANGUAGE_TAGS = {"en": "en", "zh": "zh-CN"}
_COLUMN = {"en": 0, "zh": 1}
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


@cache
def catalogue() -> Mapping[str, tuple[str, str]]:
    """Return every text by name: (English, Chinese)."""
    text = resources.files("detector.console").joinpath("texts.toml").read_text("utf-8")
    return {
        f"{section}.{name}": (both[0], both[1])
        for section, entries in tomllib.loads(text).items()
        for name, both in entries.items()
    }


class Words:
    """The texts and figures of one language; ``zone`` is where times of the console are told."""

    def __init__(self, language: str, zone: ZoneInfo) -> None:
        self.language = language
        self._column = _COLUMN[language]
        self._zone = zone

    def __call__(self, name: str, /, **values: Any) -> str:
        """Return a text with its values.

        >>> Words("zh", ZoneInfo("UTC"))("queue.title")
        '告警'
        """
        text = catalogue()[name][self._column]
        return text.format(**values) if values else text

    def of(self, section: str, name: str | None) -> str:
        """Return the text of a word of the data (status, role, ...); unknown ones as they are."""
        if name is None:
            return "–"
        both = catalogue().get(f"{section}.{name}")
        return name if both is None else both[self._column]

    def number(self, value: float | None) -> str:
        """Return a count as people write it.

        >>> Words("en", ZoneInfo("UTC")).number(12345)
        '12,345'
        >>> Words("en", ZoneInfo("UTC")).number(0.0018)
        '0.002'
        """
        if value is None:
            return "–"
        if 0 < abs(value) < 0.05:
            return f"{value:.1g}"
        return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"

    def score(self, value: float | None) -> str:
        """Return a score, one digit after the point."""
        return "–" if value is None else f"{value:.1f}"

    def percent(self, share: float | None) -> str:
        """Return a share in percent."""
        return "–" if share is None else f"{share * 100:.0f} %"

    def times(self, ratio: float | None) -> str:
        """Return how many times as many; beyond a hundred, or where others have none, just many.

        >>> Words("en", ZoneInfo("UTC")).times(3.14159)
        '3.1'
        """
        return f"{ratio:.1f}" if ratio is not None and ratio < 100 else "100+"

    def day(self, when: date | str | None) -> str:
        """Return a date.

        >>> Words("en", ZoneInfo("UTC")).day("2026-03-02")
        '2 Mar 2026'
        """
        if when is None:
            return "–"
        iso = str(when)
        year, month, day = (int(part) for part in iso[:10].split("-"))
        if self.language == "zh":
            return f"{year}年{month}月{day}日"
        return f"{day} {_MONTHS[month - 1]} {year}"

    def local(self, iso: str) -> str:
        """Return date and wall time of an ISO time, where it happened."""
        return f"{self.day(iso)} {iso[11:16]}"

    def moment(self, at_ms: int | None) -> str:
        """Return date and wall time of milliseconds, UTC."""
        if at_ms is None:
            return "–"
        there = datetime.fromtimestamp(at_ms / 1000, tz=UTC).astimezone(self._zone)
        return self.local(there.isoformat())

    def span(self, seconds: float | None) -> str:
        """Return a length of time in its largest unit.

        >>> Words("en", ZoneInfo("UTC")).span(5_400)
        '1.5 h'
        """
        if seconds is None:
            return "–"
        for name, unit in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
            if seconds >= unit:
                return self(f"span.{name}", n=f"{seconds / unit:.1f}".removesuffix(".0"))
        return self("span.seconds", n=f"{seconds:.0f}")

    def names(self) -> Mapping[str, tuple[str, str]]:
        """Return the whole catalogue, to ask whether a text exists."""
        return catalogue()
