"""Lines of JSON → where each wanted value lies in the bytes; nothing is built per value.

Takes what almost every line is: one object without escapes, odd numbers or keys given
twice. Any other line is left to the careful path, which alone may refuse a line.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from detector.columns import Lines
from detector.compiled import kernel
from detector.decode_tokens import (
    ABSENT,
    ODD_TEXT,
    OTHER,
    TEXT,
    end_of_text,
    end_of_value,
    same_bytes,
    skip_space,
)
from detector.state.layout import I64, U8

_MAX_KEYS, _MAX_DEPTH = 256, 32
_ROOT, _NOWHERE, _TWICE = 0, -1, -2
_COMMA, _COLON = b",:"
_BRACE, _END_BRACE, _BRACKET, _END_BRACKET = b"{}[]"

Pointer = tuple[str, ...]


class Keys(NamedTuple):
    """The wanted keys of all levels as a tree: key *k* leads from ``parent`` to node k + 1."""

    text: U8
    stop: I64
    parent: I64
    field: I64  # column of the node in the spans, -1 = only on the way
    inner: U8  # 1 = has keys below


class Spans(NamedTuple):
    """(fields, n) first byte, end and kind of each value; ``plain`` (n,) is 0 where left over."""

    start: I64
    stop: I64
    kind: U8
    plain: U8


class _Memory(NamedTuple):
    """Keys of this line and of the last one (the template), and what is open now."""

    start: I64  # (2, keys)
    size: I64
    owner: I64  # number of the container in its line
    parent: I64  # node of the container
    node: I64
    n_keys: I64  # (2,)
    open_owner: I64  # (depth,)
    open_node: I64
    open_list: U8
    now: I64  # (3,): depth, containers so far, 1 = all keys are those of the template


_DEPTH, _CONTAINERS, _IN_STEP = range(3)


@dataclass(frozen=True, slots=True)
class Scan:
    """The bytes of n lines and where their values lie; ``column`` finds a pointer's."""

    content: bytes
    text: U8  # the same bytes
    spans: Spans
    column: MappingType[Pointer, int]


def scan(lines: Lines, pointers: Sequence[Pointer], max_line_bytes: int) -> Scan:
    """Find the values that pointers lead to.

    Args:
        lines: n lines without line feed; what lies between them is not looked at.
        pointers: distinct, none of them empty.
        max_line_bytes: longer lines are left over.

    >>> lines = Lines.of([b'{"a":{"b":"x"},"c":7}', b"?"])
    >>> found = scan(lines, [("a", "b"), ("c",)], 100)
    >>> spans = found.spans
    >>> spans.start[:, 0].tolist(), spans.kind[:, 0].tolist(), spans.plain.tolist()
    ([11, 19], [2, 4], [1, 0])
    """
    n, n_fields = len(lines), len(pointers)
    spans = Spans(
        start=np.zeros((n_fields, n), dtype=np.int64),
        stop=np.zeros((n_fields, n), dtype=np.int64),
        kind=np.zeros((n_fields, n), dtype=np.uint8),
        plain=np.zeros(n, dtype=np.uint8),
    )
    keys = keys_of(tuple(pointers))
    scan_lines(lines.text, lines.start, lines.stop, keys, _memory(), spans, max_line_bytes)
    column = {pointer: column for column, pointer in enumerate(pointers)}
    return Scan(lines.content, lines.text, spans, column)


@lru_cache(maxsize=64)  # as many as there are mappings; built anew it costs a small batch dear
def keys_of(pointers: tuple[Pointer, ...]) -> Keys:
    """Arrange pointers as a tree."""
    nodes: dict[Pointer, int] = {(): _ROOT}
    for pointer in pointers:
        for depth in range(1, len(pointer) + 1):
            nodes.setdefault(pointer[:depth], len(nodes))
    names = [path[-1].encode() for path in nodes if path]
    field = np.full(len(nodes), -1, dtype=np.int64)
    inner = np.zeros(len(nodes), dtype=np.uint8)
    for column, pointer in enumerate(pointers):
        field[nodes[pointer]] = column
    parent = np.array([nodes[path[:-1]] for path in nodes if path], dtype=np.int64)
    inner[parent] = 1
    return Keys(
        text=np.frombuffer(b"".join(names), dtype=np.uint8),
        stop=np.cumsum(np.array([len(name) for name in names], dtype=np.int64)),
        parent=parent,
        field=field,
        inner=inner,
    )


def _memory() -> _Memory:
    two = (2, _MAX_KEYS)
    return _Memory(
        start=np.zeros(two, dtype=np.int64),
        size=np.zeros(two, dtype=np.int64),
        owner=np.zeros(two, dtype=np.int64),
        parent=np.zeros(two, dtype=np.int64),
        node=np.zeros(two, dtype=np.int64),
        n_keys=np.zeros(2, dtype=np.int64),
        open_owner=np.zeros(_MAX_DEPTH, dtype=np.int64),
        open_node=np.zeros(_MAX_DEPTH, dtype=np.int64),
        open_list=np.zeros(_MAX_DEPTH, dtype=np.uint8),
        now=np.zeros(3, dtype=np.int64),
    )


@kernel
def child_of(text: U8, start: int, size: int, keys: Keys, parent: int) -> int:
    """Return the node of a key below a node, or nowhere."""
    if parent < 0:
        return _NOWHERE
    first = 0
    for k in range(keys.stop.size):
        stop = keys.stop[k]
        if (
            keys.parent[k] == parent
            and stop - first == size
            and same_bytes(text, start, keys.text, first, size)
        ):
            return k + 1
        first = stop
    return _NOWHERE


@kernel
def node_of_key(text: U8, start: int, size: int, keys: Keys, memory: _Memory, this: int) -> int:
    """Note a key and return its node, nowhere, or that it is given twice.

    Lines of one source have the same keys in the same order: as long as they do, the
    template knows the node, and that no key comes twice.
    """
    depth, number = memory.now[_DEPTH], memory.n_keys[this]
    if number >= _MAX_KEYS:
        return _TWICE
    owner, parent = memory.open_owner[depth], memory.open_node[depth]
    last = 1 - this
    node = _TWICE
    if (
        memory.now[_IN_STEP] == 1
        and number < memory.n_keys[last]
        and memory.size[last, number] == size
        and memory.owner[last, number] == owner
        and memory.parent[last, number] == parent
        and same_bytes(text, start, text, memory.start[last, number], size)
    ):
        node = memory.node[last, number]
    else:
        memory.now[_IN_STEP] = 0
        for i in range(number):
            if (
                memory.owner[this, i] == owner
                and memory.size[this, i] == size
                and same_bytes(text, start, text, memory.start[this, i], size)
            ):
                return _TWICE
        node = child_of(text, start, size, keys, parent)
    memory.start[this, number], memory.size[this, number] = start, size
    memory.owner[this, number], memory.parent[this, number] = owner, parent
    memory.node[this, number] = node
    memory.n_keys[this] = number + 1
    return node


@kernel
def open_container(memory: _Memory, node: int, is_list: bool) -> bool:
    """Go one level down, if there is room."""
    depth = memory.now[_DEPTH] + 1
    if depth >= _MAX_DEPTH:
        return False
    memory.now[_DEPTH] = depth
    memory.open_owner[depth] = memory.now[_CONTAINERS]
    memory.open_node[depth] = node
    memory.open_list[depth] = 1 if is_list else 0
    memory.now[_CONTAINERS] += 1
    return True


@kernel
def after_key(
    text: U8, at: int, stop: int, keys: Keys, memory: _Memory, this: int
) -> tuple[int, int]:
    """Read a key and its colon; return the first byte of the value, -1 if unfit, and the node."""
    key_stop, kind = end_of_text(text, at, stop)
    if kind == OTHER:
        return -1, _NOWHERE
    node = node_of_key(text, at + 1, key_stop - at - 2, keys, memory, this)
    at = skip_space(text, key_stop, stop)
    if node == _TWICE or at >= stop or text[at] != _COLON:
        return -1, _NOWHERE
    return skip_space(text, at + 1, stop), node


@kernel
def after_value(
    text: U8, at: int, stop: int, node: int, keys: Keys, memory: _Memory, spans: Spans, row: int
) -> int:
    """Read a value, or the opening of one; return the byte after it, -1 if unfit."""
    if at >= stop:
        return -1
    byte = int(text[at])
    field = keys.field[node] if node >= 0 else -1
    if byte in (_BRACE, _BRACKET):
        is_list = byte == _BRACKET
        wanted_inside = node >= 0 and keys.inner[node] == 1
        if field >= 0 or (is_list and wanted_inside):
            return -1
        return at + 1 if open_container(memory, node, is_list) else -1
    end, kind = end_of_value(text, at, stop)
    if kind == ABSENT or (field >= 0 and kind == OTHER):
        return -1
    if field >= 0:
        inset = 1 if kind in (TEXT, ODD_TEXT) else 0
        spans.start[field, row] = at + inset
        spans.stop[field, row] = end - inset
        spans.kind[field, row] = kind
    return end


@kernel
def scan_line(
    text: U8, at: int, stop: int, keys: Keys, memory: _Memory, this: int, spans: Spans, row: int
) -> bool:
    """Walk through one line; tell whether it is one plain object and nothing else."""
    memory.n_keys[this] = 0
    memory.now[_DEPTH], memory.now[_CONTAINERS], memory.now[_IN_STEP] = -1, 0, 1
    at = skip_space(text, at, stop)
    if at >= stop or text[at] != _BRACE or not open_container(memory, _ROOT, False):
        return False
    at = skip_space(text, at + 1, stop)
    is_first = True
    while memory.now[_DEPTH] >= 0:
        depth = memory.now[_DEPTH]
        if at >= stop:
            return False
        is_list = memory.open_list[depth] == 1
        if text[at] == (_END_BRACKET if is_list else _END_BRACE):
            memory.now[_DEPTH] = depth - 1
            is_first = False
            at = skip_space(text, at + 1, stop)
            continue
        if not is_first:
            if text[at] != _COMMA:
                return False
            at = skip_space(text, at + 1, stop)
        node = _NOWHERE
        if not is_list:
            at, node = after_key(text, at, stop, keys, memory, this)
        if at >= 0:
            at = after_value(text, at, stop, node, keys, memory, spans, row)
        if at < 0:
            return False
        is_first = memory.now[_DEPTH] > depth
        at = skip_space(text, at, stop)
    return bool(at == stop)


@kernel
def scan_lines(
    text: U8,
    starts: I64,
    stops: I64,
    keys: Keys,
    memory: _Memory,
    spans: Spans,
    max_line_bytes: int,
) -> None:
    """Scan line after line; a plain line is the template of the next."""
    this = 0
    for row in range(starts.size):
        start, stop = starts[row], stops[row]
        if stop - start <= max_line_bytes and scan_line(
            text, start, stop, keys, memory, this, spans, row
        ):
            spans.plain[row] = 1
            this = 1 - this
