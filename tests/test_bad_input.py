"""Bad rows become counted rejects with a reason; the good rows beside them survive."""

from __future__ import annotations

import gzip
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.errors import MappingError, PolicyError, SourceError
from detector.hosts.inputs import read_lines
from detector.hosts.replay import ReplayOptions, replay
from detector.mapping import load_mapping
from detector.policy import load_policy
from tests.streams import MONDAY, decode_lines, event, lines_of

GOOD = event(1, "u1", MONDAY)


def changed(**fields: object) -> bytes:
    """A good event with other fields; ... removes one."""
    merged = {key: value for key, value in {**GOOD, **fields}.items() if value is not ...}
    return orjson.dumps(merged)


CASES = {
    "not JSON": (b"hello", "not_json"),
    "truncated": (orjson.dumps(GOOD)[:-20], "not_json"),
    "not UTF-8": (b'{"event_id": "\xff\xfe"}', "not_utf8"),
    "a bare number": (b"42", "not_an_object"),
    "a list": (b"[1]", "not_an_object"),
    "an empty line": (b"", "empty_line"),
    "a line of 1 MB": (changed(note="x" * 1_000_001), "line_too_long"),
    "nesting 10,000 deep": (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "too_deep"),
    "no user": (changed(user_id=...), "missing_field"),
    "user is null": (changed(user_id=None), "missing_field"),
    "user is a list": (changed(user_id=["u1"]), "wrong_type"),
    "user is empty": (changed(user_id=""), "empty_value"),
    "no time": (changed(event_time=...), "missing_field"),
    "time is an object": (changed(event_time={}), "wrong_type"),
    "unknown time format": (changed(event_time="02/03/2026 10:00"), "unknown_time_format"),
    "time without zone": (changed(event_time="2026-03-02T10:00:00"), "unknown_time_format"),
    "30 February": (changed(event_time="2026-02-30T10:00:00Z"), "unknown_time_format"),
    "the year 1970": (changed(event_time="1970-01-01T00:00:00Z"), "time_out_of_bounds"),
    "the year 2099": (changed(event_time="2099-01-01T00:00:00Z"), "time_out_of_bounds"),
    "negative count": (changed(record_count=-1), "negative_count"),
    "count of 1e30": (changed(record_count=1e30), "count_too_large"),
    "count of 1.5": (changed(record_count=1.5), "wrong_type"),
    "count is text": (changed(record_count="7"), "wrong_type"),
    "count is true": (changed(record_count=True), "wrong_type"),
    "lone surrogate": (b'{"event_id":"\\ud800"}', "bad_characters"),
    "control character in an id": (changed(user_id="u\x07"), "bad_characters"),
    "bidi character in an id": (changed(user_id="u\u202e1"), "bad_characters"),
    "id of 300 characters": (changed(customer_id="c" * 300), "text_too_long"),
    "key given twice": (
        orjson.dumps(GOOD)[:-1] + b',"user_id":"someone else"}',
        "duplicate_key",
    ),
    "key given twice, spaced out": (
        orjson.dumps(GOOD)[:-1] + b',"user_id" : "someone else"}',
        "duplicate_key",
    ),
    "key given twice, escaped": (
        orjson.dumps(GOOD)[:-1] + b',"user\\u005fid":"someone else"}',
        "duplicate_key",
    ),
    "unknown outcome": (changed(outcome="perhaps"), "unknown_value"),
    "unknown verdict": (changed(verdict="guilty"), "unknown_value"),
    "end of an approval is a flag": (changed(valid_until=True), "wrong_type"),
    "end of an approval is a date": (changed(valid_until="2026-03-09"), "unknown_time_format"),
    "end of an approval in 2999": (
        changed(valid_until="2999-01-01T00:00:00Z"),
        "unknown_time_format",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_bad_row_is_one_reject_and_its_neighbours_survive(name: str) -> None:
    """Reason, place and original bytes are kept; nothing else is touched."""
    line, reason = CASES[name]
    before, after = lines_of([event(0, "u0", MONDAY)]), lines_of([event(2, "u2", MONDAY)])
    batch, rejects = decode_lines([*before, line, *after])

    assert batch.user_ids == ["u0", "u2"]
    assert [(r.reason, r.where, r.raw) for r in rejects] == [(reason, "test:2", line)]


@given(st.lists(st.one_of(st.binary(max_size=60), st.sampled_from(list(CASES.values())).map(
    lambda case: case[0]
)), max_size=20))  # fmt: skip
def test_every_line_is_a_row_or_a_reject(lines: list[bytes]) -> None:
    """Whatever comes in, nothing is lost and nothing is raised."""
    batch, rejects = decode_lines(lines)

    assert len(batch) + len(rejects) == len(lines)


@given(
    st.dictionaries(
        st.sampled_from([*GOOD, "other"]),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers(-(2**63), 2**63) | st.text(),
            lambda inner: (
                st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2)
            ),
            max_leaves=4,
        ),
    )
)
def test_any_object_is_a_row_or_a_reject(fields: dict[str, object]) -> None:
    """Wrongly typed fields of any kind never raise."""
    try:
        line = orjson.dumps({**GOOD, **fields})
    except TypeError:  # beyond 64 bits or surrogates: not JSON that orjson would write
        return
    batch, rejects = decode_lines([line])

    assert len(batch) + len(rejects) == 1


def test_an_empty_file_gives_no_event_and_no_error(tmp_path: Path) -> None:
    """Nothing happened is an answer."""
    empty = tmp_path / "empty.jsonl"
    empty.write_bytes(b"")

    assert replay(ReplayOptions(str(empty))).events == 0


def test_a_file_cut_in_a_gzip_member_gives_all_whole_lines_first(tmp_path: Path) -> None:
    """What could be read has been scored; then the cut is named."""
    lines = lines_of(event(i, f"u{i % 7}", MONDAY, customer=f"c{i * i}") for i in range(5_000))
    whole = gzip.compress(b"\n".join(lines) + b"\n")
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(whole[: len(whole) // 2])
    seen: list[bytes] = []
    with pytest.raises(SourceError, match="cut or damaged"):
        seen.extend(line for chunk in read_lines(str(cut)) for line in chunk.lines)

    assert len(seen) > 1_000
    assert seen[:-1] == lines[: len(seen) - 1]


@pytest.mark.parametrize("name", ["missing.jsonl", "notes.docx"])
def test_an_unreadable_file_is_named(tmp_path: Path, name: str) -> None:
    """The error says which file, and what could be done."""
    path = tmp_path / name
    if name.endswith("docx"):
        path.write_bytes(b"?")
    with pytest.raises(SourceError, match=name):
        replay(ReplayOptions(str(path)))


def test_a_garbage_parquet_file_is_named(tmp_path: Path) -> None:
    """A file that is not what its name says ends in one sentence."""
    path = tmp_path / "x.parquet"
    path.write_bytes(b"PAR1 nothing")
    with pytest.raises(SourceError, match=r"x\.parquet"):
        replay(ReplayOptions(str(path)))


def test_an_unknown_mapping_key_is_named_with_a_suggestion(tmp_path: Path) -> None:
    """File, key, allowed keys, and what was probably meant."""
    path = tmp_path / "m.toml"
    path.write_text('[fields]\nevent_id="/a"\nevent_time="/b"\nuser_id="/c"\nacton="/d"\n')
    with pytest.raises(MappingError, match=r"m\.toml.*fields\.acton.*'action'"):
        load_mapping(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[alerts]\nbudget_per_dya = 5", "'budget_per_day'"),
        ("[alerts]\nbudget_per_day = -3", "got -3.*Allowed: 0.01 to 10000"),
        ('[alerts]\nlateness = "-5m"', "duration such as"),
        ('[alerts]\nlateness = "13h"', "Allowed: 0h to 12h"),
        ("[detectors.bulk_reed]\nenabled = true", "'bulk_read'"),
        ("[detectors.bulk_read]\nenabled = 1", "Expected a bool"),
        ("[alerts", "is not TOML"),
        ("[alerts]\nknown_share = 1.5", "got 1.5.*Allowed: 0 to 1"),
        ("[limits]\nmax_values_per_actor = 1", "got 1.*Allowed: 8 to"),
        ('[events]\nbusiness_actions = "update"', "Expected a list"),
        ("[events]\nbusiness_actions = [1]", "list of action names"),
        ("[events]\nquery_caps = [100, 5]", "whole numbers from 10 to 10,000,000"),
        ('[events]\nquery_caps = ["100"]', "whole numbers from 10"),
        ("[events]\nquery_caps = [true]", "whole numbers from 10"),
        ("[events]\nquery_cap = [100]", "'query_caps'"),
        ("[detectors.under_cap]\nthreshold = -1", "got -1.*Allowed: 0 to 40"),
        ("[detectors.under_cap]\nnotable = 41", "got 41.*Allowed: 0 to 40"),
    ],
)
def test_a_policy_typo_is_named(tmp_path: Path, text: str, words: str) -> None:
    """Every error names file, key, value and what is allowed."""
    path = tmp_path / "p.toml"
    path.write_text(text)
    with pytest.raises(PolicyError, match=rf"p\.toml.*{words}"):
        load_policy(path)
