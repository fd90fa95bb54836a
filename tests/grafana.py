"""Grafana's part in a question: what it puts in for macros and variables before it asks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

ALL = "'*'"
_SPAN = ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z")


def sql(text: str, values: Mapping[str, str], span: tuple[str, str] = _SPAN) -> str:
    """Return the SQL that reaches PostgreSQL; a variable that is not given is "All"."""

    def quoted(found: re.Match[str]) -> str:
        value = values.get(found[1])
        return ALL if value is None else "'" + value.replace("'", "''") + "'"

    text = re.sub(r"\$\{(\w+):sqlstring\}", quoted, text)
    text = re.sub(r"\$__timeFilter\((\w+)\)", rf"\1 BETWEEN '{span[0]}' AND '{span[1]}'", text)
    assert "$" not in text, text
    return text


def promql(text: str) -> str:
    """Return the PromQL that reaches Prometheus, with "All" chosen."""
    text = text.replace("$source", ".*").replace("$__rate_interval", "1m")
    assert "$" not in text, text
    return text


def targets(content: Any) -> Iterator[dict[str, Any]]:
    """Every question of a dashboard or of alert rules, wherever it stands."""
    if isinstance(content, dict):
        if "rawSql" in content or "expr" in content:
            yield content
        for value in content.values():
            yield from targets(value)
    if isinstance(content, list):
        for value in content:
            yield from targets(value)
