"""A verdict in the terms of whatever source: what is written is what is read."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.console.triage_actions import Change, Seen, apply
from detector.decode import Bounds, decode
from detector.errors import PipelineError
from detector.hosts.live_pipeline import check_pipeline, load_pipeline
from detector.hosts.statements import refuse_mute_mapping, verdict_event
from detector.mapping import Mapping, load_mapping
from detector.store import open_store
from detector.store.alert_queries import alert_by_id
from detector.store.console import ConsoleStore
from detector.store.verdicts import TEACHING, Judgement, judgements, n_judgements
from tests.contracts.alerts import an_alert
from tests.parts.postgresql import Server

GIVEN = Judgement(9, "u7", "benign", 1_772_416_800_123)
OWN_TERMS = """
[fields]
event_id = "/id"
event_time = {pointer = "/at", formats = [FORMAT], zone = "Asia/Shanghai"}
user_id = "/actor/login~1name"
action = {pointer = "/what", enum = {LOOK = "read", PRINT = "print"}}
system = {constant = "core"}
verdict = {pointer = "/说/verdict", enum = {OK = "benign", BAD = "confirmed"}}
"""


def mapping_of(folder: Path, text: str) -> Mapping:
    """Write a mapping and read it."""
    path = folder / "mapping.toml"
    path.write_text(text, "utf-8")
    return load_mapping(path)


@given(
    st.integers(1, 2**53),
    st.text(st.characters(categories=("L", "Nd", "P")), min_size=1, max_size=40).filter(
        str.isprintable
    ),
    st.sampled_from(TEACHING),
    st.integers(1_000_000_000_000, 3_000_000_000_000),
)
def test_a_verdict_says_the_same_after_decoding(
    number: int, user: str, word: str, given_ms: int
) -> None:
    """Whatever a person is called; the same verdict is the same event."""
    said = Judgement(number, user, word, given_ms)
    line, canonical = verdict_event(said, load_mapping(None)), load_mapping(None)
    batch, rejects = decode([line], canonical, Bounds(0, 2**62), source="t", first_line=1)

    assert not rejects
    assert (batch.user_ids[0], batch.verdict.at(0)) == (user, word)
    assert batch.event_time_ns.tolist() == [given_ms * 1_000_000]
    assert batch.event_ids[0] == f"verdict-{number}"
    assert line == verdict_event(said, canonical)


@pytest.mark.parametrize(
    ("form", "at"),
    [
        ("iso8601", "2026-03-02T10:00:00.123+08:00"),
        ("epoch_s", 1_772_416_800),
        ("epoch_ms", 1_772_416_800_123),
        ("epoch_us", 1_772_416_800_123_000),
        ("epoch_ns", 1_772_416_800_123_000_000),
        ("%Y%m%d %H%M%S", "20260302 100000"),
    ],
)
def test_it_is_written_as_the_source_writes(tmp_path: Path, form: str, at: str | int) -> None:
    """Nested fields, words and times of its own."""
    mapping = mapping_of(tmp_path, OWN_TERMS.replace("FORMAT", f'"{form}"'))
    refuse_mute_mapping(mapping, tmp_path)

    assert orjson.loads(verdict_event(GIVEN, mapping)) == {
        "id": "verdict-9",
        "at": at,
        "actor": {"login/name": "u7"},
        "what": "LOOK",
        "说": {"verdict": "OK"},
    }


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('verdict = {pointer = "/说/verdict", enum = {OK = "benign", BAD = "confirmed"}}', ""),
        ('enum = {OK = "benign", BAD = "confirmed"}', 'enum = {OK = "benign"}'),
        ('"/actor/login~1name"', '{join = ["/branch", "/login"]}'),
        ('"/id"', '"/@kafka/key"'),
    ],
)
def test_a_mapping_that_cannot_say_it_is_refused_at_the_start(
    tmp_path: Path, before: str, after: str
) -> None:
    """Else verdicts would end as dead letters; the sentence says what to map."""
    text = OWN_TERMS.replace("FORMAT", '"iso8601"')
    assert before in text
    mapping_of(tmp_path, text.replace(before, after))
    pipeline = tmp_path / "pipeline.toml"
    pipeline.write_text(
        'mapping = "mapping.toml"\n[source]\ntopics = ["t"]\ngroup = "g"\n'
        "[verdicts]\npublish = true\n"
    )

    with pytest.raises(PipelineError, match=r"pipeline\.toml: verdicts\.publish is not possible"):
        check_pipeline(pipeline)


def test_a_sink_of_that_name_is_refused(tmp_path: Path) -> None:
    """Both would count under one label and keep one position."""
    path = tmp_path / "pipeline.toml"
    path.write_text(
        '[source]\ntopics = ["t"]\ngroup = "g"\n[verdicts]\npublish = true\n'
        '[sinks.verdicts]\nkind = "jsonl"\npath = "a"\n'
    )

    with pytest.raises(PipelineError, match=r"sinks\.verdicts is wrong.* another name"):
        load_pipeline(path)


def test_numbers_of_verdicts_become_visible_in_order(postgresql: Server) -> None:
    """The one begun second waits for the first: who follows the numbers would pass it by."""
    url = postgresql.create("in_order")
    with closing(open_store(url)) as store:
        store.write_alerts(store.claim("t/0", "w"), [an_alert("u1"), an_alert("u2")])
    with closing(ConsoleStore(url)) as console:
        begun, go_on = threading.Event(), threading.Event()

        def judge(user: str, until: threading.Event | None = None) -> None:
            with console.writing() as db:
                found = alert_by_id(db, an_alert(user).alert_id)
                assert found is not None
                apply(db, Seen(found, 0, "ana", 1), Change(verdict="confirmed"))
                if until is not None:
                    begun.set()
                    until.wait(30)

        slow = threading.Thread(target=judge, args=("u1", go_on))
        slow.start()
        assert begun.wait(30)
        quick = threading.Thread(target=judge, args=("u2",))
        quick.start()
        time.sleep(0.5)
        with console.reading() as db:
            seen = judgements(db, "t/0", 0, 9)
        go_on.set()
        slow.join()
        quick.join()
        with console.reading() as db:
            found = judgements(db, "t/0", 0, 9)
            rest = (n_judgements(db, "t/0", 1, 9), n_judgements(db, "t/1", 0, 9))

    assert seen == []
    assert [(one.number, one.user_id) for one in found] == [(1, "u1"), (2, "u2")]
    assert rest == (1, 0)
