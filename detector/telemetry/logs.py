"""Log lines: one JSON object each, without secrets, harmless on any terminal.

Everything beyond ASCII is escaped, so that no text can move a cursor, turn the direction
of a line or begin a line of its own; long texts are cut.
"""

from __future__ import annotations

import json
import logging
import math
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

_HIDDEN = "***"
_MAX_TEXT = 2_000
_MAX_ITEMS = 100
_MAX_DEPTH = 6
_SENSITIVE = (
    r"pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|authorization|credential|cookie|"
    r"private[_-]?key|signature"
)
_SENSITIVE_KEY = re.compile(rf"(?:^|[_\W])(?:{_SENSITIVE})s?(?:$|[_\W])", re.IGNORECASE)
_SENSITIVE_TEXT = (
    (re.compile(r"(://)[^@\s]*@"), rf"\1{_HIDDEN}@"),
    (re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]{6,}", re.IGNORECASE), rf"\1 {_HIDDEN}"),
    (
        re.compile(rf"\b(\w*(?:{_SENSITIVE})\w*['\"]?\s*[=:]\s*)['\"]?[^\s'\",;]+", re.IGNORECASE),
        rf"\1{_HIDDEN}",
    ),
)


class Redactor:
    """Takes secrets out of what is about to be written.

    Args:
        secrets: values that must not appear anywhere, whatever they stand beside.

    >>> Redactor(["hunter2"]).text("postgresql://me:pw@db/x said hunter2")
    'postgresql://***@db/x said ***'
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: list[str] = []
        for secret in secrets:
            self.hide(secret)

    def hide(self, secret: str) -> None:
        """Remember a value that must not appear; the longest is replaced first."""
        if secret:
            self._secrets = sorted({*self._secrets, secret}, key=len, reverse=True)

    def text(self, text: str) -> str:
        """Return a text without secrets, cut to a readable length."""
        for secret in self._secrets:
            text = text.replace(secret, _HIDDEN)
        if len(text) > _MAX_TEXT:
            text = f"{text[:_MAX_TEXT]}... ({len(text)} characters)"
        for pattern, shown in _SENSITIVE_TEXT:
            text = pattern.sub(shown, text)
        return text

    def value(self, value: object, depth: int = 0) -> object:
        """Return a JSON value without secrets: hidden by key, taken out of texts."""
        if isinstance(value, float):
            return value if math.isfinite(value) else None  # JSON has no NaN
        if value is None or isinstance(value, bool | int):
            return value
        if isinstance(value, Mapping) and depth < _MAX_DEPTH:
            return self._mapping(value, depth)
        if isinstance(value, list | tuple | set | frozenset) and depth < _MAX_DEPTH:
            return [self.value(item, depth + 1) for item in list(value)[:_MAX_ITEMS]]
        return self.text(value if isinstance(value, str) else repr(value))

    def _mapping(self, mapping: Mapping[Any, Any], depth: int) -> dict[str, object]:
        return {
            self.text(str(key)): (
                _HIDDEN if _SENSITIVE_KEY.search(str(key)) else self.value(value, depth + 1)
            )
            for key, value in list(mapping.items())[:_MAX_ITEMS]
        }

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        """Serve as a structlog processor."""
        return self._mapping(event, 0)


def json_logger(
    redact: Redactor, stream: TextIO | None = None, level: int = logging.INFO
) -> FilteringBoundLogger:
    """Return a logger that writes one JSON object a line, to stderr by default."""
    logger: FilteringBoundLogger = structlog.wrap_logger(
        structlog.WriteLogger(stream or sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.format_exc_info,
            redact,
            structlog.processors.JSONRenderer(_dump),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )
    return logger


def _dump(event: Mapping[str, object], **_options: object) -> str:
    """Put time, level and event first."""
    first = {key: event[key] for key in ("time", "level", "event") if key in event}
    text = json.dumps({**first, **event}, ensure_ascii=True, allow_nan=False)
    return text.replace("\x7f", "\\u007f")


class LibraryLogs(logging.Handler):
    """Brings warnings of libraries (Kafka client, HTTP client, database) into our log."""

    def __init__(self, log: FilteringBoundLogger, level: int = logging.WARNING) -> None:
        super().__init__(level)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; what cannot be formatted is said by its template."""
        try:
            text = record.getMessage()
        except (TypeError, ValueError):
            text = str(record.msg)
        self._log.log(min(record.levelno, logging.CRITICAL), text, logger=record.name)
