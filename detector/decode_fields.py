"""One canonical field of many rows: take it by its rule, check it, fill what is missing.

The usual case is decided for the whole column at once; only a column with an oddity is
looked at value by value.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from detector.events import (
    CHOICES,
    COUNT,
    FIELDS,
    ID,
    MAX_COUNT,
    MAX_TEXT,
    NOTE,
    REQUIRED,
    TIME,
    is_clean,
)
from detector.mapping import Rule
from detector.timestamps import NOT_A_TIME, parse_iso, parse_one

if TYPE_CHECKING:
    from detector.decode import Bounds, Rows

_OPTIONAL_TEXT = {str, type(None)}
_UNSHOWABLE = frozenset({"text_too_long", "bad_characters"})
_MISSING = {COUNT: 1, TIME: NOT_A_TIME}


def column_of(
    name: str, rule: Rule | None, rows: Rows, bounds: Bounds, *, loose: bool
) -> list[Any]:
    """Take one field out of all documents; wrong values are noted in ``rows.bad``."""
    kind = FIELDS[name]
    if rule is None:
        return [_MISSING.get(kind)] * len(rows.documents)
    values = _raw_values(rule, rows)
    if loose:
        values = [None if value == "" else value for value in values]
    if rule.enum is not None or rule.default is not None:
        values = [translated(value, rule) for value in values]
    if kind == TIME:
        return _times(name, values, rule, rows, bounds)
    if kind == COUNT:
        return _counts(name, values, rule, rows, loose=loose)
    return _texts(name, values, rule, rows)


def _raw_values(rule: Rule, rows: Rows) -> list[Any]:
    if rule.line_number:
        return [str(number) for number in rows.numbers]
    if rule.constant is not None:
        return [rule.constant] * len(rows.documents)
    if len(rule.pointers) > 1:
        return [_joined(document, rule) for document in rows.documents]
    tokens = rule.pointers[0]
    if len(tokens) == 1:
        key = tokens[0]
        return [document.get(key) for document in rows.documents]
    return [_at(document, tokens) for document in rows.documents]


def _at(document: Any, tokens: tuple[str, ...]) -> Any:
    """Follow a JSON pointer; None where it leads nowhere."""
    for token in tokens:
        if isinstance(document, dict):
            document = document.get(token)
        elif isinstance(document, list) and token.isdecimal() and int(token) < len(document):
            document = document[int(token)]
        else:
            return None
    return document


def _joined(document: dict[str, Any], rule: Rule) -> str | None:
    parts = [_at(document, tokens) for tokens in rule.pointers]
    texts = [str(part) for part in parts if isinstance(part, str | int)]
    return rule.separator.join(texts) or None


def translated(value: Any, rule: Rule) -> Any:
    """Apply a rule's ``enum`` and ``default``."""
    if rule.enum is not None and isinstance(value, str):
        value = rule.enum.get(value, value if rule.default is None else None)
    return rule.default if value is None else value


def _refuse(rows: Rows, row: int, reason: str, name: str, rule: Rule) -> None:
    """Reject the row, unless the mapping says that a wrong value is as good as none."""
    if not rule.null_on_error:
        rows.refuse(row, reason, name)


def _texts(name: str, values: list[Any], rule: Rule, rows: Rows) -> list[Any]:
    kinds = set(map(type, values))
    if kinds <= _OPTIONAL_TEXT:
        distinct = values if FIELDS[name] == ID else list(dict.fromkeys(values))
        if all_fine(name, distinct, missing_ok=name not in REQUIRED):
            return values
    return [_text(name, value, row, rule, rows) for row, value in enumerate(values)]


def all_fine(name: str, values: list[Any], *, missing_ok: bool) -> bool:
    """Check a whole column of texts at once."""
    texts = values
    if None in values:
        if not missing_ok:
            return False
        texts = [value for value in values if value is not None]
    if name in CHOICES:
        return all(CHOICES[name].get(text) == text for text in texts)
    joined = "".join(texts)
    return (
        "" not in texts
        and joined.isascii()
        and joined.isprintable()
        and (not texts or max(map(len, texts)) <= MAX_TEXT)
    )


def _text(name: str, value: Any, row: int, rule: Rule, rows: Rows) -> str | None:
    """Check one text; None where it is missing or refused."""
    if isinstance(value, int) and not isinstance(value, bool) and FIELDS[name] in {ID, NOTE}:
        value = str(value)
    text, reason = checked_text(name, value)
    if reason:
        _refuse(rows, row, reason, name, rule)
    return text


def checked_text(name: str, value: Any) -> tuple[str | None, str]:
    """Return the text of a field, None if missing or refused, and the reason to refuse it.

    >>> checked_text("data_class", "secret"), checked_text("outcome", "perhaps")
    (('C3', ''), (None, 'unknown_value'))
    """
    reason = _fault(name, value)
    if reason in _UNSHOWABLE and FIELDS[name] == NOTE:
        return _stand_in(value), ""
    if reason or not value:
        return None, reason
    return str(CHOICES[name][value] if name in CHOICES else value), ""


def _stand_in(text: str) -> str:
    """Return a short name for a text that cannot be shown: equal texts, equal names."""
    content = text.encode("utf-8", "surrogatepass")
    return f"#{hashlib.blake2b(content, digest_size=8).hexdigest()}"


def _fault(name: str, value: Any) -> str:
    """Return the reason to refuse a text, or an empty one."""
    reason = ""
    if value is None or value == "":
        if name in REQUIRED:
            reason = "missing_field" if value is None else "empty_value"
    elif not isinstance(value, str):
        reason = "wrong_type"
    elif len(value) > MAX_TEXT:
        reason = "text_too_long"
    elif not is_clean(value):
        reason = "bad_characters"
    elif name in CHOICES and value not in CHOICES[name]:
        reason = "unknown_value"
    return reason


def _counts(name: str, values: list[Any], rule: Rule, rows: Rows, *, loose: bool) -> list[int]:
    kinds = set(map(type, values))
    if kinds == {int} and min(values) >= 0 and max(values) <= MAX_COUNT:
        return values
    if not values or kinds == {type(None)}:
        return [1] * len(values)
    return [_count(name, value, row, rule, rows, loose=loose) for row, value in enumerate(values)]


def _count(name: str, value: Any, row: int, rule: Rule, rows: Rows, *, loose: bool) -> int:
    if loose and isinstance(value, str):
        value = _as_number(value)
    reason = ""
    if value is None:
        return 1
    if isinstance(value, bool) or not isinstance(value, int | float):
        reason = "wrong_type"
    elif value < 0:
        reason = "negative_count"
    elif value > MAX_COUNT:
        reason = "count_too_large"
    elif value != int(value):
        reason = "wrong_type"
    if reason:
        _refuse(rows, row, reason, name, rule)
        return 1
    return int(value)


def _as_number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _times(name: str, values: list[Any], rule: Rule, rows: Rows, bounds: Bounds) -> list[int]:
    if name not in REQUIRED and set(map(type, values)) <= {type(None)}:
        return [NOT_A_TIME] * len(values)
    times = _fast_times(values, rule)
    for row, value in enumerate(values):
        if times[row] == NOT_A_TIME:
            times[row] = _time(name, value, row, rule, rows)
        in_bounds = bounds.not_before_ns <= times[row] <= bounds.not_after_ns
        if name in REQUIRED and not in_bounds:
            rows.refuse(row, "time_out_of_bounds", name)
            times[row] = 0
    return times


def _fast_times(values: list[Any], rule: Rule) -> list[int]:
    """Parse the common form; each value for itself, whatever its neighbours look like."""
    times = [NOT_A_TIME] * len(values)
    if "iso8601" in rule.formats:
        fit = [row for row, value in enumerate(values) if type(value) is str and value.isascii()]
        for row, time_ns in zip(fit, parse_iso([values[i] for i in fit]).tolist(), strict=True):
            times[row] = time_ns
    return times


def _time(name: str, value: Any, row: int, rule: Rule, rows: Rows) -> int:
    """Parse one time the slow way; NOT_A_TIME where it is missing or refused."""
    if value is None or value == "":
        if name in REQUIRED:
            rows.refuse(row, "missing_field" if value is None else "empty_value", name)
        return NOT_A_TIME
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        _refuse(rows, row, "wrong_type", name, rule)
        return NOT_A_TIME
    parsed = parse_one(value, rule.formats, rule.zone)
    if parsed is None:
        _refuse(rows, row, "unknown_time_format", name, rule)
        return NOT_A_TIME
    return parsed
