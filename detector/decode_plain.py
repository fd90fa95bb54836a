"""The usual lines, without one Python object per value: spans of the bytes → columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.columns import Coded, Lines, Texts
from detector.compiled import wrapping
from detector.decode_columns import CODED, Ids, IdSpans, IdTexts, Table
from detector.decode_fields import all_fine, checked_text, translated
from detector.decode_scan import Scan, scan
from detector.decode_tokens import ABSENT, INTEGER, NULL, TEXT
from detector.decode_values import check_ids, code_spans, read_counts, read_times
from detector.events import CHOICES, COUNT, FIELDS, ID, MAX_TEXT, REQUIRED, TIME
from detector.mapping import Mapping, Rule
from detector.state.layout import I64, U8
from detector.timestamps import EPOCH_NS, NOT_A_TIME

_ABSENT_RULE = Rule()


@dataclass(frozen=True, slots=True)
class Plain:
    """What could be decoded: the rows that are not in ``left_over``."""

    table: Table
    rows: NDArray[np.int64]
    left_over: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Field:
    """One field's spans; ``plain`` is shared by all fields and loses rows."""

    name: str
    rule: Rule
    content: bytes
    text: U8  # the same bytes
    start: I64
    stop: I64
    kind: U8
    plain: U8


def is_plain_mapping(mapping: Mapping) -> bool:
    """Tell whether all rules are of the usual kind, so that most lines can be plain."""
    return all(_is_plain(name, rule) for name, rule in mapping.rules.items())


def _is_plain(name: str, rule: Rule) -> bool:
    if any(pointer == () for pointer in rule.pointers):
        return False
    if name in CODED:
        return not rule.line_number
    if rule.enum is not None or rule.default is not None or rule.constant is not None:
        return False
    if rule.line_number:
        return FIELDS[name] == ID
    if FIELDS[name] == TIME:
        return len(rule.pointers) == 1 and not {"iso8601", *EPOCH_NS}.isdisjoint(rule.formats)
    return len(rule.pointers) == 1


def decode_plain(
    lines: Lines,
    mapping: Mapping,
    *,
    time_bounds_ns: tuple[int, int],
    max_line_bytes: int,
    numbers: I64,
) -> Plain:
    """Decode the lines whose every value is as it usually is.

    A line with anything odd is left over whole: this never decides that a row is bad.
    """
    pointers = dict.fromkeys(p for rule in mapping.rules.values() for p in rule.pointers)
    found = scan(lines, list(pointers), max_line_bytes)
    plain = found.spans.plain
    if not plain.all():
        found.spans.kind[:, plain == 0] = ABSENT
    given: NDArray[np.bool_] = np.asarray(found.spans.kind.any(axis=1))
    table = Table({}, {}, {})
    for name, kind in FIELDS.items():
        rule = mapping.rules.get(name, _ABSENT_RULE)
        fields = _fields(name, rule, found, given)
        if kind == COUNT:
            table.numbers[name] = _counts(fields, plain)
        elif kind == TIME:
            bounds_ns = time_bounds_ns if name in REQUIRED else None
            table.numbers[name] = _times(fields, plain, bounds_ns)
        elif kind == ID:
            table.ids[name] = _ids(name, rule, fields, plain, numbers)
        else:
            table.coded[name] = _coded(name, rule, fields, plain)
    rows, left_over = np.flatnonzero(plain), np.flatnonzero(plain == 0)
    return Plain(table if not left_over.size else table.take(rows), rows, left_over)


def _fields(name: str, rule: Rule, found: Scan, given: NDArray[np.bool_]) -> list[_Field]:
    """Return where a rule's values lie; nothing where no line has any, which is usual."""
    columns = [found.column[pointer] for pointer in rule.pointers]
    if FIELDS[name] != ID and not given[columns].any():
        return []
    return [_field(name, rule, found, pointer) for pointer in rule.pointers]


def _field(name: str, rule: Rule, found: Scan, pointer: tuple[str, ...]) -> _Field:
    column = found.column[pointer]
    spans = found.spans
    start, stop, kind = spans.start[column], spans.stop[column], spans.kind[column]
    return _Field(name, rule, found.content, found.text, start, stop, kind, spans.plain)


def _counts(fields: list[_Field], plain: U8) -> I64:
    out = np.ones(plain.size, dtype=np.int64)
    for field in fields:
        read_counts(field.text, field.start, field.stop, field.kind, plain, out)
    return out


def _times(fields: list[_Field], plain: U8, bounds_ns: tuple[int, int] | None) -> I64:
    """Read times; without bounds the field may be missing, and is then NOT_A_TIME."""
    out = np.full(plain.size, NOT_A_TIME, dtype=np.int64)
    is_given = np.zeros(plain.size, dtype=np.bool_)
    for field in fields:
        formats = field.rule.formats
        units = [EPOCH_NS[name] for name in formats if name in EPOCH_NS]
        is_iso = "iso8601" in formats
        unit_ns = units[0] if units else 0
        read_times(field.text, field.start, field.stop, field.kind, is_iso, unit_ns, out)
        is_given = (field.kind != ABSENT) & (field.kind != NULL)
    if bounds_ns is None:
        plain[is_given & (out == NOT_A_TIME)] = 0
    else:
        plain[(out < bounds_ns[0]) | (out > bounds_ns[1])] = 0
    return out


def _ids(name: str, rule: Rule, fields: list[_Field], plain: U8, numbers: I64) -> Ids:
    if rule.line_number:
        return IdTexts([str(number) for number in numbers.tolist()])
    if not fields:
        return IdTexts([""] * plain.size)
    field = fields[0]
    check_ids(field.start, field.stop, field.kind, name in REQUIRED, plain)
    return IdSpans(field.content, field.text, field.start, field.stop)


def _coded(name: str, rule: Rule, fields: list[_Field], plain: U8) -> Coded:
    """Code the texts, then translate and check each distinct one."""
    as_given = rule.enum is None and rule.default is None and rule.constant is None
    if not fields:
        codes: NDArray[np.int32] = np.zeros(plain.size, dtype=np.int32)
        raw: list[Any] = [rule.constant]
    elif len(fields) == 1:
        plain[fields[0].kind == INTEGER] = 0
        codes, rows = _distinct(fields[0])
        if as_given and name not in CHOICES and _all_plain(fields[0], rows):
            return _known(name, Coded(codes, _texts(fields[0], rows)), plain)
        raw = [*_values(fields[0], rows)]
    else:
        codes, raw = _pairs(fields, rule.separator)
    if as_given and all_fine(name, raw, missing_ok=False):
        return _known(name, Coded(codes, tuple(raw)), plain)
    raw.append(None)
    checked = [checked_text(name, translated(value, rule)) for value in raw]
    if any(reason for _, reason in checked):
        bad = np.array([reason != "" for _, reason in checked])
        plain[bad[codes]] = 0
    values = dict.fromkeys(text for text, _ in checked if text is not None)
    position = {text: code for code, text in enumerate(values)}
    moved = [-1 if text is None else position[text] for text, _ in checked]
    return Coded(np.array(moved, dtype=np.int32)[codes], tuple(values))


def _known(name: str, column: Coded, plain: U8) -> Coded:
    """Leave rows over that lack a field they must have."""
    if name in REQUIRED:
        plain[column.codes < 0] = 0
    return column


def _distinct(field: _Field) -> tuple[NDArray[np.int32], I64]:
    """Return (n,) codes, -1 where missing, and the first row of each value."""
    n = field.start.size
    table = np.full(2 << n.bit_length(), -1, dtype=np.int32)
    first_row, codes = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int32)
    with wrapping():
        n_values = code_spans(
            field.text, field.start, field.stop, field.kind, table, first_row, codes
        )
    return codes, first_row[:n_values]


def _all_plain(field: _Field, rows: I64) -> bool:
    """Tell whether all values are short texts of printable ASCII, so that none need be built."""
    size = field.stop[rows] - field.start[rows]
    is_fine = (field.kind[rows] == TEXT) & (size > 0) & (size <= MAX_TEXT)
    return bool(is_fine.all())


def _texts(field: _Field, rows: I64) -> Texts:
    return Texts(field.content, field.start[rows], field.stop[rows])


def _values(field: _Field, rows: I64) -> list[str]:
    spans = zip(field.start[rows].tolist(), field.stop[rows].tolist(), strict=True)
    return [field.content[start:stop].decode() for start, stop in spans]


def _pairs(fields: list[_Field], separator: str) -> tuple[NDArray[np.int32], list[Any]]:
    """Join several values, each distinct combination once."""
    found = [(field, *_distinct(field)) for field in fields]
    rows = np.stack([codes for _, codes, _ in found], axis=1)
    parts = [_values(field, first_rows) for field, _, first_rows in found]
    distinct, codes = np.unique(rows, axis=0, return_inverse=True)
    texts: list[Any] = []
    for combination in distinct.tolist():
        pairs = zip(combination, parts, strict=True)
        given = [values[code] for code, values in pairs if code >= 0]
        texts.append(separator.join(given) or None)
    return codes.reshape(-1).astype(np.int32), texts
