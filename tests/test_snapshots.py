"""Snapshots: what has been cut, changed or written by others is refused, in one kind of error."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.engine import State, new_state, restore_state, step
from detector.errors import SnapshotError, StoreError
from detector.hosts.replay import ReplayOptions, replay
from detector.plan import build_plan
from detector.policy import load_policy
from detector.reference import Reference
from detector.state.layout import (
    APPROVALS_TOP,
    BEST_BIN,
    BEST_BRANCH,
    BEST_STAT,
    CHUNK,
    CHUNK_CLASS,
    DAY,
    DAYS_TOP,
    FIRST_APPROVAL,
    FREE_APPROVAL,
    FREE_DAY,
    HOME,
    KIND,
    LINE,
    LOUDEST,
    N_APPROVALS,
    N_CHANNELS,
    N_CLOSED,
    N_DRIP_DAYS,
    OPEN_1H,
    REST_LINE,
    REST_TOP,
    ROLE,
    TAIL_END,
    TAIL_SHIFT,
    VERDICT,
    WEIGHTS,
)
from detector.state.snapshot import VERSION, arrays_of, dump, load
from detector.store import Checkpoint, open_store
from tests.streams import MONDAY, approval, batch_of, event, lines_of, plan_of, run

_DIGEST_BYTES = 16


def small_state() -> State:
    """State after a few events that have raised alerts."""
    events = [
        event(i, f"u{i % 3}", MONDAY + timedelta(seconds=i), records=90, branch=f"B{i % 4}")
        for i in range(60)
    ]
    tomorrow = MONDAY + timedelta(days=1)
    events += [approval(i, f"u{i % 2}", MONDAY, tomorrow, ticket_id=f"T{i}") for i in range(6)]
    lines, _, state = run(events, plan_of(min_score=0.2))
    assert lines
    return state


PLAN = plan_of()
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
            restore_state(PLAN, arrays, STATE.meta())


def blob_of(header: bytes) -> bytes:
    """A snapshot with this header, signed as if we had written it."""
    return signed(b"AADSNAP\x01" + len(header).to_bytes(8, "little") + header)


@pytest.mark.parametrize(
    "header",
    [
        b"", b"{", b"\xff\xfe", b"[1]", b"null", b"3", b"[" * 100_000,
        *(
            json.dumps({"version": VERSION, **parts}).encode()
            for parts in (
                {}, {"arrays": {}}, {"meta": {}}, {"arrays": [1], "meta": {}},
                {"arrays": {}, "meta": [1]}, {"arrays": {"a": None}, "meta": {}},
                {"arrays": {"a": ["<i8"]}, "meta": {}},
                {"arrays": {"a": [["<i8"], [0]]}, "meta": {}},
            )
        ),
    ],
)  # fmt: skip
def test_a_foreign_header_is_refused_even_if_signed(header: bytes) -> None:
    """A digest says that nothing has changed since, not that it was ours."""
    with pytest.raises(SnapshotError):
        load(blob_of(header))


def test_a_header_longer_than_the_snapshot_is_refused() -> None:
    """The length is a number like any other."""
    with pytest.raises(SnapshotError):
        load(signed(b"AADSNAP\x01" + (2**63).to_bytes(8, "little") + b"{}"))


@pytest.mark.parametrize(
    "shape",
    [
        [2**62, 4], [2**32, 2**32], [2**64], [-1, -3], [0, -1], [0, 2**63], [3.0], [True, 3],
        ["3"], None, "3", [1] * 70,
    ],
)  # fmt: skip
def test_a_wild_shape_is_refused(shape: Any) -> None:
    """Products that overflow to the right number of bytes are the dangerous ones."""
    with pytest.raises(SnapshotError):
        arrays_of({"a": ["<i8", shape]}, bytes(24))


@pytest.mark.parametrize(
    "change",
    [
        {"episodes": None}, {"episodes": 7}, {"branch_names": None}, {"branch_names": [1]},
        {"branch_names": {"x": "B"}}, {"branch_names": {"1": 7}},
    ],
)  # fmt: skip
def test_foreign_meta_is_refused(change: dict[str, Any]) -> None:
    """The parts that are no arrays come from the same file."""
    with pytest.raises(SnapshotError):
        restore_state(PLAN, STATE.arrays(), {**STATE.meta(), **change})


def test_a_state_is_not_gone_on_with_under_other_detectors() -> None:
    """What was off has learned nothing: its silence would look like a quiet history."""
    policy = load_policy(None)
    quiet = replace(policy.detectors["slow_drip"], enabled=False)
    other = replace(policy, detectors={**policy.detectors, "slow_drip": quiet})
    plan = build_plan(other, None, Reference())
    with pytest.raises(SnapshotError, match="other detectors"):
        restore_state(plan, STATE.arrays(), STATE.meta())
    with pytest.raises(SnapshotError, match="other detectors"):
        step(new_state(PLAN), batch_of([event(1, "u", MONDAY)]), plan)


@pytest.mark.parametrize("name", ["episodes", "branch_names", "detectors"])
def test_missing_meta_is_refused(name: str) -> None:
    """As a missing array is."""
    meta = {key: value for key, value in STATE.meta().items() if key != name}
    with pytest.raises(SnapshotError, match=name):
        restore_state(PLAN, STATE.arrays(), meta)


@pytest.mark.parametrize(
    "name",
    [name for name in STATE.arrays() if name not in {"counts", "arena.free", "actors.table"}],
)
def test_an_array_shorter_than_its_neighbours_is_refused(name: str) -> None:
    """A kernel would read beyond its end: there is no bound check in compiled code."""
    arrays = {**STATE.arrays(), name: STATE.arrays()[name][:-1]}
    with pytest.raises(SnapshotError):
        restore_state(PLAN, arrays, STATE.meta())


@pytest.mark.parametrize(
    ("name", "cell", "value"),
    [
        ("counts", 0, 10**6), ("counts", 0, -1), ("counts", 1, 10**9),
        ("counts", 3, 10**9), ("counts", 3, -5),
        ("actors.table", 0, 10**6), ("customers.slot", 0, 10**6), ("customers.slot", 0, -2),
        ("branches.slot", 0, 10**6), ("values.slot", 0, 10**6), ("arena.free", 0, 10**9),
        ("approvals.following", 0, 10**6), ("approvals.following", 2, 2),
        ("approvals.following", 4, 0), ("approvals.following", 4, -1),
        ("counts", APPROVALS_TOP, 10**9), ("counts", FREE_APPROVAL, 3),
        ("counts", DAYS_TOP, 10**9), ("counts", DAYS_TOP, 0), ("counts", FREE_DAY, 1),
        ("counts", FREE_DAY, 10**9), ("counts", REST_TOP, 0), ("counts", REST_TOP, 2),
    ],
)  # fmt: skip
def test_a_number_that_leads_outside_an_array_is_refused(name: str, cell: int, value: int) -> None:
    """Slots, chunks and counts are used as indices without a bound check."""
    array = STATE.arrays()[name].copy()
    array[cell] = value
    with pytest.raises(SnapshotError):
        restore_state(PLAN, {**STATE.arrays(), name: array}, STATE.meta())


def test_counts_of_another_kind_are_refused() -> None:
    """Floats would be cut to whole numbers without a word."""
    arrays = {**STATE.arrays(), "counts": STATE.arrays()["counts"].astype(np.float64)}
    with pytest.raises(SnapshotError, match="counts"):
        restore_state(PLAN, arrays, STATE.meta())


@pytest.mark.parametrize("name", ["customers.key", "branches.key", "values.key", "actors.table"])
def test_a_hash_table_without_a_free_cell_is_refused(name: str) -> None:
    """The search for a free cell would never end."""
    full = np.ones_like(STATE.arrays()[name])
    with pytest.raises(SnapshotError):
        restore_state(PLAN, {**STATE.arrays(), name: full}, STATE.meta())


def test_an_array_in_another_order_of_memory_is_taken_or_refused() -> None:
    """Kernels are compiled for C order; numba would compile all of it again, or fail."""
    arrays = {**STATE.arrays(), "actors.ints": np.asfortranarray(STATE.arrays()["actors.ints"])}
    state = restore_state(PLAN, arrays, STATE.meta())

    assert state.tables.actors.ints.flags.c_contiguous


@pytest.mark.parametrize(
    ("name", "column", "value"),
    [
        ("actors.ints", CHUNK, 2**40), ("actors.ints", CHUNK, 4), ("actors.ints", CHUNK_CLASS, 1),
        ("actors.ints", CHUNK_CLASS, 16), ("actors.ints", TAIL_END, 5_000),
        ("actors.ints", OPEN_1H, -1), ("actors.ints", ROLE, 10**6), ("actors.ints", HOME, 10**6),
        ("actors.ints", N_DRIP_DAYS, 17), ("actors.ints", N_CLOSED, -1), ("days.ints", KIND, 2),
        ("days.ints", BEST_STAT, 21), ("days.ints", LOUDEST, N_CHANNELS + 1),
        ("days.ints", BEST_BIN, 96),
        ("days.ints", BEST_BRANCH, -1), ("actors.baseline", WEIGHTS, -4),
        ("actors.ints", FIRST_APPROVAL, 10**6), ("actors.ints", FIRST_APPROVAL, 2),
        ("actors.ints", FIRST_APPROVAL, 0), ("actors.ints", N_APPROVALS, -1),
        ("actors.ints", VERDICT, -2), ("actors.ints", TAIL_SHIFT, 4_096),
        ("actors.ints", LINE, 10**6), ("actors.ints", LINE, -1), ("actors.ints", LINE + 1, 1),
        ("actors.ints", LINE, 2), ("actors.ints", REST_LINE, 1), ("days.ints", DAY, -1),
    ],
)  # fmt: skip
def test_a_column_of_an_actor_that_leads_outside_is_refused(
    name: str, column: int, value: int
) -> None:
    """Each of them is an index of some kernel, into the state or into the plan."""
    array = STATE.arrays()[name].copy()
    array[1 if name == "days.ints" else 0, column] = value  # line 0 is for nobody
    with pytest.raises(SnapshotError):
        restore_state(PLAN, {**STATE.arrays(), name: array}, STATE.meta())


@pytest.mark.parametrize(
    "name",
    ["event_head", "event_next"],
)
@pytest.mark.parametrize("value", [-1, 30, 4_096])
def test_a_chain_that_leads_astray_is_refused(name: str, value: int) -> None:
    """It would leave its chunk, or go round for ever."""
    array = STATE.arrays()[f"arena.{name}"].copy()
    base = int(STATE.tables.actors.ints[0, CHUNK])
    array[base : base + 20] = value
    with pytest.raises(SnapshotError, match="chain"):
        restore_state(PLAN, {**STATE.arrays(), f"arena.{name}": array}, STATE.meta())


def test_a_recent_row_of_a_customer_beyond_the_table_is_refused() -> None:
    """Its pair would be looked for outside."""
    array = STATE.arrays()["arena.customer"].copy()
    array[0] = STATE.arrays()["customers.key"].size + 1
    with pytest.raises(SnapshotError, match=r"arena\.customer"):
        restore_state(PLAN, {**STATE.arrays(), "arena.customer": array}, STATE.meta())


def test_what_nobody_has_must_be_empty() -> None:
    """Line 0 stands for "no day" and "no rest day yet" wherever somebody has none."""
    for name in ("days.ints", "rest.share"):
        array = STATE.arrays()[name].copy()
        array[0, 7] = 1
        with pytest.raises(SnapshotError, match=name):
            restore_state(PLAN, {**STATE.arrays(), name: array}, STATE.meta())


@pytest.mark.parametrize(
    "name", ["actors.user", "arena.event", "arena.customer", "customers.key", "branches.closed"]
)
def test_a_negative_key_is_refused(name: str) -> None:
    """Its home would lie before the table."""
    array = STATE.arrays()[name].copy()
    array[np.flatnonzero(STATE.arrays()[name.replace("closed", "key")])[0]] = -5
    with pytest.raises(SnapshotError):
        restore_state(PLAN, {**STATE.arrays(), name: array}, STATE.meta())


@pytest.mark.parametrize("name", ["actors.baseline", "days.surprise", "values.uses"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_none_is_refused(name: str, value: float) -> None:
    """It would spread over everything that is learned from then on."""
    array = STATE.arrays()[name].copy()
    array.reshape(-1)[0] = value
    with pytest.raises(SnapshotError, match=name):
        restore_state(PLAN, {**STATE.arrays(), name: array}, STATE.meta())


def test_a_slot_in_use_beyond_the_last_actor_is_refused() -> None:
    """The next actor would begin with the history of nobody."""
    array = STATE.arrays()["actors.ints"].copy()
    array[-1, TAIL_END] = 3
    with pytest.raises(SnapshotError, match="beyond the last actor"):
        restore_state(PLAN, {**STATE.arrays(), "actors.ints": array}, STATE.meta())


def test_a_table_smaller_than_a_new_one_is_refused() -> None:
    """It would grow by nothing, for ever."""
    blank = {name: array[:1] for name, array in new_state(PLAN).arrays().items()}
    for part in ("customers", "branches", "values", "approvals"):
        small = {name: array for name, array in blank.items() if name.startswith(part)}
        with pytest.raises(SnapshotError, match="too small"):
            restore_state(PLAN, {**new_state(PLAN).arrays(), **small}, STATE.meta())


def test_any_cell_of_any_array_may_be_wild() -> None:
    """Refused in the one kind of error, or taken: never anything else."""
    random = np.random.default_rng(7)
    for name, array in STATE.arrays().items():
        for _ in range(20):
            changed = array.copy()
            raw = changed.reshape(-1).view(np.uint8)
            raw[random.integers(raw.size)] ^= np.uint8(random.integers(1, 256))
            with suppress(SnapshotError):
                state = restore_state(PLAN, {**STATE.arrays(), name: changed}, STATE.meta())

                assert state.arrays()[name].tobytes() == changed.tobytes()


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
    layout = {"a": ["<i8", [2_000]]}
    store.commit(store.claim("replay", "test"), Checkpoint(1, {"layout": layout}), [], pages)
    store.close()
    content = bytearray((folder / "a.db").read_bytes())
    content[position % len(content)] ^= flip
    (folder / "a.db").write_bytes(content)
    with suppress(SnapshotError, StoreError):
        store = open_store(f"sqlite:///{folder}/a.db")
        with closing(store):
            held = store.last_checkpoint("replay")
            claim = store.claim("replay", "test")
            found = b"" if held is None else store.state_content(claim, held.facts["layout"])

            assert set(found) <= {0}
