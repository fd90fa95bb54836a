"""Text from outside that can do nothing: not to a terminal, a page, a log or a parser."""

from __future__ import annotations

from typing import Any

import orjson

from detector.events import is_clean

MAX_TEXT = 2_000
_MAX_ITEMS = 100
_MAX_DEPTH = 8
_MAX_INTEGER = 2**63 - 1  # beyond it JSON readers disagree
_FOR_PAGES = ((b"<", b"\\u003c"), (b">", b"\\u003e"), (b"&", b"\\u0026"))


def inert(text: str, limit: int = MAX_TEXT) -> str:
    r"""Return a text with nothing that acts; what was there stays visible.

    Control, direction and other invisible characters become ``<U+...>``; a text beyond
    ``limit`` characters is cut and says so.

    >>> inert("a\x1b[2Jb\u202e\n")
    'a<U+001B>[2Jb<U+202E><U+000A>'
    >>> inert("n" * 1_000_000, 4)
    'nnnn<cut>'
    """
    cut = "<cut>" if len(text) > limit else ""
    text = text[:limit]
    if not is_clean(text):
        text = "".join(c if is_clean(c) else f"<U+{ord(c):04X}>" for c in text)
    return text + cut


def inert_json(value: Any, depth: int = 0) -> Any:
    """Return a JSON value whose texts are inert and whose size is bounded."""
    if isinstance(value, str):
        return inert(value)
    if isinstance(value, dict) and depth < _MAX_DEPTH:
        items = list(value.items())[:_MAX_ITEMS]
        return {inert(str(key), 100): inert_json(item, depth + 1) for key, item in items}
    if isinstance(value, list | tuple) and depth < _MAX_DEPTH:
        return [inert_json(item, depth + 1) for item in value[:_MAX_ITEMS]]
    if isinstance(value, int) and not -_MAX_INTEGER <= value <= _MAX_INTEGER:
        return inert(str(value))
    if value is None or isinstance(value, bool | int | float):
        return value
    return inert(str(value))


def json_for_pages(content: dict[str, Any]) -> bytes:
    r"""Return JSON that stays text even where somebody puts it into a page.

    >>> json_for_pages({"name": "<script>"})
    b'{"name":"\\u003cscript\\u003e"}'
    """
    text = orjson.dumps(content)
    for sign, escaped in _FOR_PAGES:  # outside of texts JSON has none of them
        text = text.replace(sign, escaped)
    return text
