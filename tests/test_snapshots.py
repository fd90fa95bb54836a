"""Snapshots: what has been cut, changed or written by others is refused, in one kind of error."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.engine import State, restore_state
from detector.errors import SnapshotError, StoreError
from detector.hosts.replay import ReplayOptions, replay
from detector.state.snapshot import VERSION, arrays_of, dump, load
from detector.store import Checkpoint, open_store
from tests.streams import MONDAY, event, lines_of, plan_of, run

_DIGEST_BYTES = 16


def small_state() -> State:
    """State after a few events that have raised alerts."""
    events = [
        event(i, f"u{i % 3}", MONDAY + timedelta(seconds=i), records=90, branch=f"B{i % 4}")
        for i in range(60)
    ]
    lines, _, state = run(events, plan_of(min_score=0.2))
    assert lines
    return state


STATE = small_state()
ARRAYS = {"a": np.arange(7, dtype=np.int64), "b": np.ones((2, 3), dtype=np.float32)}
BLOB = dump(ARRAYS, {"episodes": "{}", "branch_names": {"1": "网点"}})


def signed(content: bytes) -> bytes:
    """Content with the digest that belongs to it, as somebody else's writer would leave it."""
    return content + hashlib.blake2b(content, digest_size=_DIGEST_BYTES).digest()


def test_what_is_written_is_read_back() -> None:
    """The arrays to the bit, the rest as it was."""
    arrays, meta = load(dump(STATE.arrays(), STATE.meta()))

    assert meta == STATE.meta()
    assert {name: array.tobytes() for name, array in arrays.items()} == {
        name: array.tobytes() for name, array in STATE.arrays().items()
    }


@given(st.integers(0, len(BLOB) - 1), st.integers(1, 255))
def test_a_flipped_byte_is_refused_wherever_it_is(position: int, flip: int) -> None:
    """A disk that lies must not decide who is suspicious."""
    changed = bytearray(BLOB)
    changed[position] ^= flip
    with pytest.raises(SnapshotError):
        load(bytes(changed))


def test_a_cut_is_refused_wherever_it_is() -> None:
    """A full disk ends a file anywhere."""
    for length in range(len(BLOB)):
        with pytest.raises(SnapshotError):
            load(BLOB[:length])


@given(st.binary(max_size=200))
def test_anything_appended_is_refused(tail: bytes) -> None:
    """Two files run together are none."""
    if tail:
        with pytest.raises(SnapshotError):
            load(BLOB + tail)


@given(st.binary(max_size=400))
def test_foreign_bytes_are_refused(content: bytes) -> None:
    """Whatever file somebody names."""
    with pytest.raises(SnapshotError):
        load(content)


@pytest.mark.parametrize("magic", [b"AADSNAP\x00", b"AADSNAP\x02", b"PK\x03\x04\x00\x00\x00\x00"])
def test_a_foreign_magic_is_refused_before_anything_is_believed(magic: bytes) -> None:
    """Even with a digest that is right."""
    with pytest.raises(SnapshotError, match="is no snapshot"):
        load(signed(magic + BLOB[len(magic) : -_DIGEST_BYTES]))


@pytest.mark.parametrize("version", [0, VERSION - 1, VERSION + 1, 99, str(VERSION), None])
def test_another_version_is_refused_by_name(version: object) -> None:
    """Its layout may mean something else."""
    start = len(b"AADSNAP\x01") + 8
    stop = start + int.from_bytes(BLOB[start - 8 : start], "little")
    header = json.dumps({**json.loads(BLOB[start:stop]), "version": version}).encode()
    content = BLOB[: start - 8] + len(header).to_bytes(8, "little") + header
    with pytest.raises(SnapshotError, match="has version"):
        load(signed(content + BLOB[stop:-_DIGEST_BYTES]))


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        ({"a": ["|O", [3]]}, "has dtype"),
        ({"a": ["<i8", [8]]}, "shorter than its layout"),
        ({"a": ["<i8", [-1]]}, "shorter than its layout"),
        ({"a": ["<i8", [1]]}, "longer than its layout"),
    ],
)
def test_a_layout_that_does_not_fit_its_bytes_is_refused(
    layout: dict[str, Any], words: str
) -> None:
    """No object arrays, no wild sizes."""
    with pytest.raises(SnapshotError, match=words):
        arrays_of(layout, bytes(24))


@pytest.mark.parametrize("change", ["missing", "dtype", "rank"])
def test_a_state_with_a_foreign_array_is_refused(change: str) -> None:
    """The kernels trust dtypes and columns: every one is checked before they run."""
    for name, array in STATE.arrays().items():
        arrays = {key: value for key, value in STATE.arrays().items() if key != name}
        if change == "dtype" and name != "counts":
            arrays[name] = array.astype(np.complex64)
        elif change == "rank":
            arrays[name] = array[np.newaxis]
        with pytest.raises(SnapshotError, match=name):
            restore_state(plan_of(), arrays, STATE.meta())


# -- the same in a store


@pytest.fixture
def saved(tmp_path: Path) -> ReplayOptions:
    """A run that has saved its state, ready to be started again."""
    source = tmp_path / "events.jsonl"
    source.write_bytes(
        b"\n".join(
            lines_of(event(i, f"u{i % 5}", MONDAY + timedelta(seconds=i)) for i in range(200))
        )
    )
    options = ReplayOptions(str(source), store=f"sqlite:///{tmp_path}/a.db")
    replay(options)
    return options


@pytest.mark.parametrize("position", [0, 1, 40, -1])
def test_a_flipped_byte_in_a_saved_page_is_refused(position: int, saved: ReplayOptions) -> None:
    """SQLite itself does not notice; a wrong baseline would score for weeks."""
    database = Path(saved.events).with_name("a.db")
    with closing(sqlite3.connect(database)) as db:
        name, page, content = db.execute(
            "select name, page, content from state_page where name = 'actors.ints'"
        ).fetchone()
        changed = bytearray(content)
        changed[position] ^= 1
        db.execute(
            "update state_page set content = ? where name = ? and page = ?",
            (bytes(changed), name, page),
        )
        db.commit()
    with pytest.raises(SnapshotError, match=r"actors\.ints, page 0.*has changed"):
        replay(saved)


@pytest.mark.parametrize(
    "change",
    [
        "update checkpoint set facts = replace(facts, '\"events\": 200', '\"events\": 201')",
        "update checkpoint set facts = substr(facts, 1, 100)",
        "update checkpoint set facts = ''",
        "update checkpoint set number = number + 1",
    ],
)
def test_a_changed_checkpoint_is_refused(change: str, saved: ReplayOptions) -> None:
    """Position, counts and layout are as much part of the state as its arrays."""
    with closing(sqlite3.connect(Path(saved.events).with_name("a.db"))) as db:
        db.execute(change)
        db.commit()
    with pytest.raises(SnapshotError, match=r"checkpoint\): has changed"):
        replay(saved)


@given(st.integers(0, 2**31), st.integers(1, 255))
def test_a_flipped_byte_in_the_database_file_never_raises_anything_else(
    tmp_path_factory: pytest.TempPathFactory, position: int, flip: int
) -> None:
    """Wherever it is: refused as a store or a snapshot, or in a part that does not matter."""
    folder = tmp_path_factory.getbasetemp() / "flipped"
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    store = open_store(f"sqlite:///{folder}/a.db")
    pages = [("a", page, bytes(2_000)) for page in range(8)]
    store.commit(Checkpoint(1, {"layout": {"a": ["<i8", [2_000]]}}), [], pages)
    store.close()
    content = bytearray((folder / "a.db").read_bytes())
    content[position % len(content)] ^= flip
    (folder / "a.db").write_bytes(content)
    with suppress(SnapshotError, StoreError):
        store = open_store(f"sqlite:///{folder}/a.db")
        with closing(store):
            held = store.last_checkpoint()
            found = b"" if held is None else store.state_content(held.facts["layout"])

            assert set(found) <= {0}
