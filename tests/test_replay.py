"""Replay: resumable to the byte, honest about what it refuses."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from detector.errors import SnapshotError, StoreError
from detector.hosts.replay import ReplayOptions, replay
from detector.store import open_store
from detector.store.base import Checkpoint
from tests.streams import MONDAY, event, lines_of

LONG_AGO = datetime(2024, 3, 4, 2, 0, tzinfo=UTC)
DETECTOR = Path(sys.executable).parent / "detector"


def options(bank: Path, out: Path, **changes: object) -> ReplayOptions:
    """Replay a bank into a folder, with a checkpoint after every chunk."""
    settings = {
        "events": str(bank / "events.jsonl"),
        "reference": bank / "reference",
        "min_score": 2.0,
        "alerts": out / "alerts.jsonl",
        "rejects": out / "rejects.jsonl",
        "store": f"sqlite:///{out}/alerts.db",
        "checkpoint_every_s": 0.0,
    }
    return ReplayOptions(**{**settings, **changes})


@pytest.fixture(scope="session")
def calm(bank: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The outputs of a run that nothing disturbed."""
    out = tmp_path_factory.mktemp("calm")
    replay(options(bank, out))
    return out


def test_killed_at_any_moment_the_same_command_ends_in_the_same_bytes(
    bank: Path, calm: Path, tmp_path: Path
) -> None:
    """Kill -9 after random times, until the command is left to finish."""
    rng = random.Random(3)
    command = [
        str(DETECTOR), "replay", str(bank / "events.jsonl"),
        "--reference", str(bank / "reference"), "--min-score", "2",
        "--alerts", str(tmp_path / "alerts.jsonl"),
        "--rejects", str(tmp_path / "rejects.jsonl"),
        "--store", f"sqlite:///{tmp_path}/alerts.db", "--json",
    ]  # fmt: skip
    environment = {**os.environ, "DETECTOR_CHECKPOINT_EVERY_S": "0"}
    killed = 0
    for _ in range(5):
        run = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 60.0
        start = _line_of(tmp_path)
        while _line_of(tmp_path) == start and run.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(rng.uniform(0.0, 0.15))
        run.send_signal(signal.SIGKILL)
        killed += run.wait() == -signal.SIGKILL
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)

    assert killed >= 2
    assert json.loads(done.stdout)["resumed_at_line"] > 0
    for name in ("alerts.jsonl", "rejects.jsonl"):
        assert (tmp_path / name).read_bytes() == (calm / name).read_bytes()
    assert len((calm / "alerts.jsonl").read_bytes()) > 1_000


def _line_of(folder: Path) -> int:
    """How far the store's last checkpoint is; -1 before the first."""
    try:
        with closing(sqlite3.connect(f"file:{folder}/alerts.db?mode=ro", uri=True)) as db:
            row = db.execute("select number from checkpoint").fetchone()
    except sqlite3.DatabaseError:
        return -1
    return -1 if row is None else int(row[0])


def test_a_finished_run_started_again_changes_nothing(bank: Path, tmp_path: Path) -> None:
    """Nothing new: no alert twice, no file touched."""
    first = replay(options(bank, tmp_path))
    before = (tmp_path / "alerts.jsonl").read_bytes()
    again = replay(options(bank, tmp_path))

    assert (again.events, again.alert_lines) == (first.events, first.alert_lines)
    assert (tmp_path / "alerts.jsonl").read_bytes() == before


def test_a_lost_alerts_file_is_rebuilt_from_the_store(
    bank: Path, calm: Path, tmp_path: Path
) -> None:
    """The store is the truth; the file is a copy."""
    replay(options(bank, tmp_path))
    (tmp_path / "alerts.jsonl").unlink()
    replay(options(bank, tmp_path))

    assert (tmp_path / "alerts.jsonl").read_bytes() == (calm / "alerts.jsonl").read_bytes()


def test_a_store_goes_on_only_with_what_it_was_begun_with(bank: Path, tmp_path: Path) -> None:
    """Another policy, input or bar would mix two runs."""
    replay(options(bank, tmp_path))
    with pytest.raises(StoreError, match="begun with another min_score"):
        replay(options(bank, tmp_path, min_score=1.0))


def test_an_older_checkpoint_is_refused(tmp_path: Path) -> None:
    """A worker that was thought dead must not turn time back."""
    store = open_store(f"sqlite:///{tmp_path}/a.db")
    claim = store.claim("replay", "test")
    store.commit(claim, Checkpoint(2, {}), [], [])
    with pytest.raises(StoreError, match="refused older 1"):
        store.commit(claim, Checkpoint(1, {}), [], [])

    held = store.last_checkpoint("replay")
    store.close()
    assert held is not None
    assert held.number == 2


def test_a_store_in_use_is_refused(tmp_path: Path) -> None:
    """One writer at a time."""
    first = open_store(f"sqlite:///{tmp_path}/a.db")
    with pytest.raises(StoreError, match="in use"):
        open_store(f"sqlite:///{tmp_path}/a.db")
    first.close()
    open_store(f"sqlite:///{tmp_path}/a.db").close()


def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    """And left alone."""
    path = tmp_path / "a.db"
    path.write_bytes(b"these are my holiday pictures" * 100)
    with pytest.raises(StoreError, match="cannot be used"):
        open_store(f"sqlite:///{path}")

    assert path.read_bytes().startswith(b"these are my holiday")


def test_a_store_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    """Down-grading would lose what the newer version wrote."""
    open_store(f"sqlite:///{tmp_path}/a.db").close()
    with closing(sqlite3.connect(tmp_path / "a.db")) as db:
        db.execute("pragma user_version = 99")
    with pytest.raises(StoreError, match="schema 99"):
        open_store(f"sqlite:///{tmp_path}/a.db")


def test_damaged_state_is_refused(bank: Path, tmp_path: Path) -> None:
    """A page that is missing is not guessed."""
    replay(options(bank, tmp_path))
    with closing(sqlite3.connect(tmp_path / "alerts.db")) as db:
        db.execute("delete from state_page where name = 'actors.ints'")
        db.commit()
    with pytest.raises(SnapshotError, match="shorter than its layout"):
        replay(options(bank, tmp_path))


def test_late_rows_beyond_the_allowance_and_leaps_are_rejected(tmp_path: Path) -> None:
    """Both are counted, kept in the rejects file, and move nobody's windows."""
    events = [
        event(0, "u1", LONG_AGO),
        event(1, "u1", LONG_AGO - timedelta(hours=3)),
        event(2, "u1", LONG_AGO + timedelta(days=401)),
        event(3, "u1", LONG_AGO + timedelta(minutes=1)),
        event(3, "u1", LONG_AGO + timedelta(minutes=1)),
    ]
    source = tmp_path / "e.jsonl"
    source.write_bytes(b"\n".join(lines_of(events)))
    summary = replay(ReplayOptions(str(source), rejects=tmp_path / "r.jsonl"))
    kept = [orjson.loads(line) for line in (tmp_path / "r.jsonl").read_bytes().splitlines()]

    assert dict(summary.rejects) == {"too_late": 1, "time_jump": 1}
    assert summary.counts["duplicates"] == 1
    assert [(r["reason"], r["where"]) for r in kept] == [
        ("too_late", "e.jsonl:2"), ("time_jump", "e.jsonl:3"),
    ]  # fmt: skip


def test_two_events_after_a_long_leave_are_believed(tmp_path: Path) -> None:
    """The first alone could be a broken clock; the second shows the person is back."""
    back = LONG_AGO + timedelta(days=402)
    events = [event(0, "u1", LONG_AGO), event(1, "u1", back), event(2, "u1", back)]
    source = tmp_path / "e.jsonl"
    source.write_bytes(b"\n".join(lines_of(events)))

    assert dict(replay(ReplayOptions(str(source))).rejects) == {"time_jump": 1}


@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "jsonl.zst", "csv", "parquet", "folder"])
def test_every_kind_of_input_gives_the_same_alerts(kind: str, tmp_path: Path) -> None:
    """The container has no meaning."""
    events = [
        event(i, f"u{i % 3}", MONDAY + timedelta(seconds=31 * i), records=1 + 9 * (i % 5))
        for i in range(2_200)
    ]
    expected = _alerts(_write(events, "jsonl", tmp_path / "plain"))

    assert len(expected.splitlines()) > 3
    assert _alerts(_write(events, kind, tmp_path / "other")) == expected


def _alerts(source: Path) -> bytes:
    out = source.parent / "alerts.out"
    replay(ReplayOptions(str(source), min_score=0.5, alerts=out))
    return out.read_bytes()


def _write(events: list[dict[str, object]], kind: str, folder: Path) -> Path:
    import csv
    import gzip

    import pyarrow as pa
    import pyarrow.parquet as pq
    import zstandard

    folder.mkdir()
    path = folder / f"events.{kind}"
    lines = b"\n".join(lines_of(events)) + b"\n"
    if kind == "csv":
        with path.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(events[0]))
            writer.writeheader()
            writer.writerows(events)
    elif kind == "parquet":
        pq.write_table(pa.Table.from_pylist(events), path)
    elif kind == "folder":
        path.mkdir()
        half = len(events) // 2
        for name, part in (("a.jsonl", events[:half]), ("b.jsonl", events[half:])):
            (path / name).write_bytes(b"\n".join(lines_of(part)))
    else:
        packed = {"jsonl.gz": gzip.compress, "jsonl.zst": zstandard.compress}
        path.write_bytes(packed.get(kind, bytes)(lines))
    return path
