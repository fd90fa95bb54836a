"""The compiled scanner says what orjson says, on documents made and broken by a grammar.

`make test` tries some ten thousand, `make test-long` a million; `FUZZ_SEED=n` repeats one round.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest

from detector.columns import Lines
from detector.decode import decode_spans
from detector.mapping import Mapping, Rule, load_mapping
from tests.streams import BOUNDS
from tests.test_decode import GOOD, NESTED, NESTED_GOOD, facts

IS_LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
N_DOCUMENTS = 1_000_000 if IS_LONG else 12_000
ROUND = 250
ONLY_SEED = os.environ.get("FUZZ_SEED")
CANONICAL = load_mapping(None)
DEEP = Mapping(
    {
        "event_id": Rule(pointers=(("a", "b", "event_id"),)),
        "event_time": Rule(pointers=(("a", "event_time"),), formats=("epoch_s", "iso8601")),
        "user_id": Rule(pointers=(("user_id",),)),
        "action": Rule(pointers=(("a", "b", "action"), ("outcome",))),
        "customer_id": Rule(pointers=(("",),)),
        "outcome": Rule(pointers=(("outcome",),), default="success"),
    },
    "deep",
)
DEEP_GOOD = {
    "a": {"b": {"event_id": "7", "action": "read"}, "event_time": 1_772_424_000},
    "user_id": "u1",
    "": "C1",
    "outcome": "denied",
}
_KEYS = (
    "event_id", "event_time", "user_id", "action", "customer_id", "record_count", "outcome",
    "data_class", "account_type", "system", "device_id", "at", "who", "id", "how", "what", "n",
    "where", "a/b", "a", "b", "", "x", "日本", "event_id ", "k\\u0061", '\\"', "é",
)  # fmt: skip
_TIMES = (
    "2026-03-02T10:00:00Z", "2026-03-02T10:00:00.123456789+08:00", "2026-02-30T10:00:00Z",
    "1772424000", "1772424000000", "99999999999999999999", "2026-03-02 10:00:00+00:00", "-5",
)  # fmt: skip
_TEXTS = (
    "u1", "read", "", "success", "perhaps", "secret", "C1", "慢", "a\\u0062", "\\ud800",
    "\\ud83d\\ude00", "\\n", "\x7f", "x" * 300, "null", "0", "\u202e", "\\/", "ü" * 200,
)  # fmt: skip
_NUMBERS = (
    "0", "1", "-1", "-0", "01", "1.0", "1e3", "1E+2", "123456789012345678", "1234567890123456789",
    "18446744073709551616", "1.", ".5", "2147483647", "2147483648", "0.1", "1e400", "--1", "+1",
)  # fmt: skip
_LITERALS = ("null", "true", "false", "nul", "True", "NaN", "Infinity")
_SPACES = ("", "", "", "", " ", "\t", "\r", "\n", "  ", "\x0b")
_JUNK = (
    *(bytes([b]) for b in b'{}[]",:\\ \t\r\n0123456789-+.eEtrufalsn\x00\x1f\x7f\x80\xc0\xe2\xff'),
)


class Grammar:
    """Writes JSON, half of it like a template that the scanner takes, from one seed."""

    def __init__(self, seed: int, template: dict[str, Any]) -> None:
        self._dice, self._template = random.Random(seed), template

    def document(self) -> bytes:
        """Return a document, perhaps with a few bytes changed."""
        if self._dice.random() < 0.5:
            text = self._like(self._template)
        else:
            text = self._object(0, self._dice.random() < 0.6)
        content = (self._space() + text + self._space()).encode("utf-8", "surrogatepass")
        return self._broken(content) if self._dice.random() < 0.35 else content

    def _like(self, template: dict[str, Any]) -> str:
        """Write the template, now and then with another value, key or order."""
        dice, pairs = self._dice, []
        for key, value in template.items():
            text = orjson.dumps(value).decode()
            if isinstance(value, dict):
                text = self._like(value)
            elif dice.random() < 0.04:
                text = self._value(1, key)
            pairs.append(f'{self._space()}"{key}"{self._space()}:{self._space()}{text}')
        if dice.random() < 0.1:
            dice.shuffle(pairs)
        if dice.random() < 0.1:
            pairs.append(f'"{dice.choice(_KEYS)}":{self._value(1, "x")}')
        return "{" + ",".join(pairs) + "}"

    def _space(self) -> str:
        return self._dice.choice(_SPACES) if self._dice.random() < 0.1 else ""

    def _object(self, depth: int, usual: bool) -> str:
        pairs: list[tuple[str, str]] = []
        if depth == 0 and usual:
            pairs = [(key, self._value(depth, key)) for key in _KEYS[: self._dice.randrange(4, 11)]]
        for _ in range(self._dice.choice((0, 1, 1, 2, 5))):
            key = self._dice.choice(_KEYS)
            pairs.append((key, self._value(depth, key)))
        if self._dice.random() < 0.2:
            self._dice.shuffle(pairs)
        space = self._space
        body = ",".join(f'{space()}"{k}"{space()}:{space()}{v}{space()}' for k, v in pairs)
        return "{" + body + "}"

    def _value(self, depth: int, key: str) -> str:
        dice, kind = self._dice, self._dice.random()
        if key in {"event_time", "at"} and kind < 0.8:
            text = dice.choice(_TIMES)
            value = text if text.lstrip("-").isdigit() and dice.random() < 0.5 else f'"{text}"'
        elif (key in {"record_count", "n"} and kind < 0.7) or 0.75 < kind < 0.85:
            value = dice.choice(_NUMBERS)
        elif kind < 0.75:
            value = f'"{dice.choice(_TEXTS)}"'
        elif kind < 0.92 or depth > 6:
            value = dice.choice(_LITERALS)
        elif kind < 0.96:
            inner = ",".join(self._value(depth + 1, "x") for _ in range(dice.randrange(3)))
            value = f"[{inner}]"
        else:
            value = self._object(depth + 1, usual=False)
        return value

    def _broken(self, content: bytes) -> bytes:
        for _ in range(self._dice.randrange(1, 4)):
            at = self._dice.randrange(len(content) + 1)
            length = self._dice.choice((0, 0, 1, 1, 5))
            junk = self._dice.choice(_JUNK) if self._dice.random() < 0.8 else b""
            content = content[:at] + junk + content[at + length :]
        return content


def round_of(seed: int, mapping: Mapping, template: dict[str, Any]) -> tuple[Any, Any, int]:
    """Decode the documents of a seed in both ways; also return how many the scanner refused."""
    grammar = Grammar(seed, template)
    documents = [grammar.document() for _ in range(ROUND)]
    lines, numbers = Lines.of(documents), np.arange(ROUND, dtype=np.int64) * 3
    fast = decode_spans(lines, numbers, mapping, BOUNDS, "s")
    slow = decode_spans(lines, numbers, mapping, BOUNDS, "s", scanner=False)
    return facts((fast.batch, fast.rejects)), facts((slow.batch, slow.rejects)), fast.n_refused


@pytest.mark.parametrize(
    ("mapping", "template"),
    [(CANONICAL, GOOD), (NESTED, NESTED_GOOD), (DEEP, DEEP_GOOD)],
    ids=["canonical", "nested", "deep"],
)
def test_the_scanner_equals_orjson(mapping: Mapping, template: dict[str, Any]) -> None:
    """Whatever the document: the same columns, the same rejects for the same reasons."""
    n_rounds = -(-N_DOCUMENTS // (3 * ROUND))
    seeds = range(n_rounds) if ONLY_SEED is None else [int(ONLY_SEED)]
    n_taken = 0
    for seed in seeds:
        fast, slow, n_refused = round_of(seed, mapping, template)
        n_taken += ROUND - n_refused

        assert fast == slow, f"FUZZ_SEED={seed}"

    assert ONLY_SEED is not None or n_taken > 0.1 * ROUND * n_rounds


def test_gaps_between_lines_are_not_looked_at() -> None:
    """Values of records lie among keys, headers and lengths."""
    line = b'{"event_id":"1","event_time":"2026-03-02T10:00:00Z","user_id":"u","action":"read"}'
    content = b'"\\{' + line + b'\xff"}' + line + b"{"
    start = np.array([3, 3 + len(line) + 3], dtype=np.int64)
    lines = Lines(content, start, start + len(line))
    decode: Callable[..., Any] = decode_spans
    found = decode(lines, np.array([5, 9]), CANONICAL, BOUNDS, "s")

    assert found.n_refused == 0
    assert [found.batch.raw[row] for row in range(2)] == [line, line]
    assert found.batch.line_numbers.tolist() == [5, 9]
