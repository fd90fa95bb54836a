"""One line that the fast path would not take: say why, or show that it is fine."""

from __future__ import annotations

import json
from typing import Any

import orjson


class _DuplicateKeyError(ValueError):
    pass


def load_line(line: bytes, max_line_bytes: int) -> tuple[dict[str, Any] | None, str]:
    """Parse one line carefully.

    Returns:
        The object and an empty text, or None and the reason code.

    >>> load_line(b'{"a":1,"a":2}', 100)
    (None, 'duplicate_key')
    """
    if len(line) > max_line_bytes:
        return None, "line_too_long"
    if not line.strip():
        return None, "empty_line"
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return None, _reason(line, str(error))
    if not isinstance(document, dict):
        return None, "not_an_object"
    if line.count(b'"') > 2 * _least_quotes(document) and _has_duplicate_key(line):
        return None, "duplicate_key"
    return document, ""


def _reason(line: bytes, message: str) -> str:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return "not_utf8"
    if "ecursion" in message or "depth" in message:
        return "too_deep"
    return "bad_characters" if "surrogate" in message else "not_json"


def _least_quotes(document: object) -> int:
    """Count the quoted texts of a parsed document; a key given twice shows as one more."""
    total, stack = 0, [document]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            total += 1
        elif isinstance(item, dict):
            total += len(item)
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
    return total


def _has_duplicate_key(line: bytes) -> bool:
    try:
        json.loads(line, object_pairs_hook=_distinct)
    except _DuplicateKeyError:
        return True
    except (ValueError, RecursionError):  # orjson has read it; json is stricter with depth
        return False
    return False


def _distinct(pairs: list[tuple[str, Any]]) -> None:
    if len({key for key, _ in pairs}) != len(pairs):
        raise _DuplicateKeyError
