"""The two ways to decode a line, by spans and value by value, give the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.columns import Coded, EventBatch, Lines, Reject, Texts
from detector.decode import decode, decode_carefully
from detector.decode_plain import decode_plain
from detector.mapping import Mapping, Rule, load_mapping
from tests.conftest import ROOT
from tests.streams import BOUNDS, MONDAY, event
from tests.test_bad_input import CASES

CANONICAL = load_mapping(None)
GOOD = {
    **event(1, "u1", MONDAY, records=3),
    "system": "core",
    "data_class": "secret",
    "outcome": "denied",
    "account_type": "person",
    "verdict": "benign",
    "valid_until": "2026-04-01T00:00:00+08:00",
    "note": {"a": [1, -2.5, {"b": None}], "c": True},
}
# Nested pointers, a join, an enum with a default, a constant and line numbers.
NESTED = Mapping(
    {
        "event_id": Rule(line_number=True),
        "event_time": Rule(pointers=(("at",),), formats=("iso8601", "epoch_ms")),
        "valid_until": Rule(pointers=(("who", "x"),), formats=("epoch_ms",), null_on_error=True),
        "user_id": Rule(pointers=(("who", "id"),)),
        "action": Rule(pointers=(("what",), ("who", "how")), separator="+"),
        "account_type": Rule(pointers=(("who", "id"),), enum={"u1": "service"}, default="person"),
        "record_count": Rule(pointers=(("n",),), null_on_error=True),
        "system": Rule(constant="loans"),
        "record_branch": Rule(pointers=(("where", "a/b"),), default="B9"),
    },
    "test",
)
NESTED_GOOD = {
    "at": 1_772_424_000_000,
    "who": {"id": "u1", "how": "慢", "x": 1_782_424_000_000},
    "what": "read",
    "n": 4,
    "where": {"a/b": "B2"},
}


def facts(found: tuple[EventBatch, list[Reject]]) -> tuple[Any, ...]:
    """Everything in a batch, with texts in the place of codes."""
    batch, rejects = found
    columns: list[Any] = []
    for name in EventBatch.__slots__:
        column = getattr(batch, name)
        if isinstance(column, Coded):
            columns.append([column.at(row) for row in range(len(batch))])
        elif isinstance(column, np.ndarray):
            columns.append((str(column.dtype), column.tolist()))
        else:
            columns.append(column if isinstance(column, str) else list(column))
    return columns, rejects


def both(lines: Sequence[bytes], mapping: Mapping) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Decode in the usual way, and every line carefully."""
    usual = decode(lines, mapping, BOUNDS, source="s", first_line=5)
    careful = decode_carefully(list(enumerate(lines, 5)), mapping, BOUNDS, "s", loose=False)
    return facts(usual), facts(careful)


def n_plain(lines: Sequence[bytes], mapping: Mapping) -> int:
    """How many lines need no care."""
    bounds_ns = (BOUNDS.not_before_ns, BOUNDS.not_after_ns)
    return decode_plain(
        Lines.of(lines),
        mapping,
        time_bounds_ns=bounds_ns,
        max_line_bytes=10**6,
        numbers=np.arange(len(lines)),
    ).rows.size


@pytest.mark.parametrize(
    ("content", "mapping"), [(GOOD, CANONICAL), (NESTED_GOOD, NESTED)], ids=["flat", "nested"]
)
def test_usual_lines_need_no_care(content: dict[str, Any], mapping: Mapping) -> None:
    """Otherwise the quick way would be tested by nothing here, and serve nobody."""
    spaced = orjson.dumps(content, option=orjson.OPT_INDENT_2).replace(b"\n", b" ")
    lines = [orjson.dumps(content), spaced, orjson.dumps(content) + b"\r"]

    assert n_plain(lines, mapping) == 3


_BYTES = st.sampled_from([bytes([b]) for b in b'{}[]",:\\ \t\n\r0123456789-+.eEtrufalsn\x00\x7f'])
_EDITS = st.lists(
    st.tuples(st.integers(0, 500), st.integers(0, 2), st.one_of(_BYTES, st.binary(max_size=4))),
    max_size=3,
)


def edited(line: bytes, edits: Sequence[tuple[int, int, bytes]]) -> bytes:
    """Overwrite, insert or delete a few bytes."""
    for where, length, new in edits:
        at = where % (len(line) + 1)
        line = line[:at] + new + line[at + length :]
    return line


@given(st.lists(_EDITS, max_size=6), st.booleans())
def test_damaged_lines_are_judged_alike(many: list[Any], is_nested: bool) -> None:
    """A byte too many anywhere: the same rows, the same rejects, byte for byte."""
    content, mapping = (NESTED_GOOD, NESTED) if is_nested else (GOOD, CANONICAL)
    lines = [edited(orjson.dumps(content), edits) for edits in many]
    usual, careful = both(lines, mapping)

    assert usual == careful


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False)
    | st.integers(-(2**63), 2**64 - 1)
    | st.sampled_from(["", "u1", "C3", "secret", "service", "2026-03-02T10:00:00Z", "7", "a\u202e"])
    | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "how", "a/b", "x"]), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(st.lists(st.dictionaries(st.sampled_from([*GOOD, *NESTED_GOOD]), _VALUES), max_size=4))
def test_any_values_are_judged_alike(changes: list[dict[str, Any]]) -> None:
    """Whatever stands in a field, and whatever stands in the lines beside it."""
    for content, mapping in ((GOOD, CANONICAL), (NESTED_GOOD, NESTED)):
        lines = [orjson.dumps({**content, **change}) for change in changes]
        usual, careful = both(lines, mapping)

        assert usual == careful


def test_bad_rows_are_judged_alike() -> None:
    """Every case of the bad-input table, between good rows."""
    good = orjson.dumps(GOOD)
    lines = [line for case, _ in CASES.values() for line in (good, case)]
    usual, careful = both(lines, CANONICAL)

    assert usual == careful


def test_a_key_of_another_line_is_not_believed() -> None:
    """Lines that look like the one before them but nest otherwise."""
    lines = [
        b'{"k":[],"who":[{"id":"x"}],"at":1772424000000,"what":"r"}',
        b'{"k":[[]],"who":{"id":"u1"},"at":1772424000000,"what":"r"}',
        b'{"who":{"id":"u1"},"at":1772424000000,"what":"r","n":1}',
        b'{"who":{"id":"u1","id":"u2"},"at":1772424000000,"what":"r"}',
        b'{"who":{"id":"u1"},"at":1772424000000,"what":"r","at":1772424000001}',
        b'{"who":{"id":"u1"},"at":1772424000000,"what":"r","x":{"at":1,"at":2}}',
    ]
    usual, careful = both(lines, NESTED)

    assert usual == careful
    assert usual[0][list(EventBatch.__slots__).index("user_ids")] == ["u1", "u1"]


@pytest.mark.parametrize("name", ["bpic12", "bpic15"])
def test_shipped_mappings_take_the_quick_way(name: str) -> None:
    """Constants, joins, enums and line numbers do not make a source slow."""
    mapping = load_mapping(Path(ROOT / "pipelines" / "mappings" / f"{name}.toml"))
    content = {
        "case": "173688", "org:resource": "112", "concept:name": "A_SUBMITTED",
        "lifecycle:transition": "COMPLETE", "municipality": "1",
        "time:timestamp": "2011-10-01T00:38:44.546+02:00",
    }  # fmt: skip

    assert n_plain([orjson.dumps(content)], mapping) == 1


def test_texts_behave_like_a_list() -> None:
    """They are cut from the bytes only when asked for."""
    texts = Texts(b"abcd", np.array([0, 1, 4]), np.array([1, 3, 4]))

    assert [texts[1], list(texts), texts == ["a", "bc", ""]] == ["bc", ["a", "bc", ""], True]
    assert texts.take(np.array([2, 0])) == texts[::-2]


def test_a_batch_keeps_what_is_taken() -> None:
    """All columns move together."""
    batch, _ = decode([orjson.dumps(GOOD)] * 3, CANONICAL, BOUNDS, source="s", first_line=1)
    kept = batch.take(np.array([2]))

    assert facts((kept, [])) == facts(
        (decode([orjson.dumps(GOOD)], CANONICAL, BOUNDS, source="s", first_line=3)[0], [])
    )
    assert replace(kept, source="t").line_numbers.tolist() == [3]
