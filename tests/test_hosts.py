"""The hosts: what they refuse before any work is done, and what they tell afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from detector.errors import OptionError, StoreError
from detector.hosts import events as clock
from detector.hosts.local_time import since_ns
from detector.hosts.replay import InterruptedRunError, Progress, ReplayOptions, replay
from detector.store import open_store
from detector.store.base import Checkpoint
from tests.conftest import Run
from tests.streams import event, lines_of

DETECTOR = Path(sys.executable).parent / "detector"
NOON = datetime(2024, 3, 4, 4, 0, tzinfo=UTC)  # a Monday in a year whose holidays are known


def write_events(path: Path, n: int = 20) -> Path:
    """Lines of one person, a second apart."""
    events = (event(i, "u1", NOON + timedelta(seconds=i)) for i in range(n))
    path.write_bytes(b"\n".join(lines_of(events)) + b"\n")
    return path


# -- outputs that would destroy something

COLLISIONS: dict[str, tuple[list[str], str]] = {
    "alerts over events": (["e.jsonl", "--alerts", "e.jsonl"], "--alerts: e.jsonl is EVENTS"),
    "rejects over events": (["e.jsonl", "--rejects", "./e.jsonl"], "--rejects"),
    "alerts over a link to events": (["e.jsonl", "--alerts", "link.jsonl"], "--alerts"),
    "alerts over events behind a link": (["link.jsonl", "--alerts", "e.jsonl"], "--alerts"),
    "alerts over a hard link": (["e.jsonl", "--alerts", "hard.jsonl"], "--alerts"),
    "a store over events": (["e.jsonl", "--store", "sqlite:///e.jsonl"], "--store"),
    "alerts over a policy": (["e.jsonl", "--policy", "p.toml", "--alerts", "p.toml"], "--policy"),
    "rejects over a mapping": (
        ["e.jsonl", "--mapping", "m.toml", "--rejects", "m.toml"], "--mapping",
    ),
    "alerts over an artifact": (
        ["e.jsonl", "--artifact", "a", "--alerts", "a/arrays.npz"], "--artifact",
    ),
    "rejects over a table": (["e.jsonl", "--reference", "r", "--rejects", "r/staff.csv"], "--ref"),
    "alerts over rejects": (["e.jsonl", "--alerts", "x", "--rejects", "new/../x"], "--alerts"),
    "a store over alerts": (["e.jsonl", "--alerts", "x", "--store", "sqlite:///x"], "--alerts"),
    "rejects over a log": (
        ["e.jsonl", "--rejects", "x-wal", "--store", "sqlite:///x"], "--rejects",
    ),
    "alerts among the events": (["f", "--alerts", "f/a.jsonl"], "inside the folder of events"),
    "rejects below the events": (["f", "--rejects", "f/new/r.jsonl"], "inside the folder"),
    "alerts among them by a link": (["f", "--alerts", "g/a.jsonl"], "inside the folder"),
}  # fmt: skip


@pytest.mark.parametrize("name", COLLISIONS)
def test_an_output_that_is_an_input_is_refused_and_nothing_is_touched(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, detector: Run
) -> None:
    """By whatever name or link; every file still holds what it held, none is new."""
    monkeypatch.chdir(tmp_path)
    write_events(tmp_path / "e.jsonl")
    (tmp_path / "link.jsonl").symlink_to("e.jsonl")
    (tmp_path / "hard.jsonl").hardlink_to("e.jsonl")
    for folder, file in (("f", "e.jsonl"), ("a", "arrays.npz"), ("r", "staff.csv")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / file).write_bytes(b"user_id\n")
    (tmp_path / "g").symlink_to("f")
    for file in ("p.toml", "m.toml"):
        (tmp_path / file).write_bytes(b"")
    before = contents(tmp_path)
    arguments, words = COLLISIONS[name]
    done = detector("replay", *arguments)

    assert (done.code, done.err.count("\n")) == (2, 1)
    assert words in done.err
    assert contents(tmp_path) == before


def contents(folder: Path) -> dict[str, bytes]:
    """Bytes of every file of a tree."""
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_the_file_behind_stdin_is_no_output(tmp_path: Path) -> None:
    """`detector replay - --alerts e.jsonl < e.jsonl` would erase what it reads."""
    source = write_events(tmp_path / "e.jsonl")
    before = source.read_bytes()
    with source.open("rb") as stdin:
        command = [DETECTOR, "replay", "-", "--alerts", source]
        done = subprocess.run(command, stdin=stdin, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "--alerts" in done.stderr
    assert source.read_bytes() == before


def test_outputs_beside_the_events_are_fine(tmp_path: Path) -> None:
    """Only the very same file is refused."""
    source = write_events(tmp_path / "e.jsonl")
    out = tmp_path / "e.jsonl.alerts"
    options = ReplayOptions(str(source), alerts=out, store=f"sqlite:///{tmp_path}/e.db")

    assert replay(options).events == 20
    with pytest.raises(OptionError, match="--alerts"):
        replay(ReplayOptions(str(source), alerts=Path(os.path.relpath(source))))


# -- going on


def test_a_second_stream_is_not_skipped_but_refused(tmp_path: Path, detector: Run) -> None:
    """Stdin has no name: the store cannot know whether the lines are those it has seen."""
    lines = write_events(tmp_path / "e.jsonl").read_bytes()
    out = ["--store", f"sqlite:///{tmp_path}/a.db", "--rejects", tmp_path / "r.jsonl"]
    first = detector("replay", "-", *out, stdin=lines + b"?\n")
    kept = (tmp_path / "r.jsonl").read_bytes()
    second = detector("replay", "-", *out, stdin=lines.replace(b"u1", b"u2"))

    assert (first.code, second.code, second.out) == (0, 1, "")
    assert "Write the stream to a file" in second.err
    assert (tmp_path / "r.jsonl").read_bytes() == kept != b""


def test_a_resumed_run_rejects_what_the_undisturbed_one_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event from the future stays rejected, though the clock has reached it meanwhile."""
    source = write_events(tmp_path / "e.jsonl", 8_100)
    far = event(9_000, "u1", NOON + timedelta(days=2))
    source.write_bytes(source.read_bytes() + lines_of([far])[0])

    def run(name: str, days: int, progress: Progress | None = None) -> bytes:
        now_ns = int((NOON + timedelta(days=days)).timestamp()) * 10**9
        monkeypatch.setattr(clock.time, "time_ns", lambda: now_ns)
        rejects, store = tmp_path / f"{name}.jsonl", f"sqlite:///{tmp_path}/{name}.db"
        settings = {"rejects": rejects, "store": store, "checkpoint_every_s": 0.0}
        replay(ReplayOptions(str(source), **settings), progress)
        return rejects.read_bytes()

    def crash(n_lines: int, _n_bytes: int) -> None:
        if n_lines > 4_000:
            raise RuntimeError("power cut")

    calm = run("calm", 0)
    with pytest.raises(RuntimeError, match="power cut"):
        run("resumed", 0, crash)

    assert run("resumed", 3) == calm != b""
    assert run("later", 3) == b""


@pytest.mark.parametrize("name", ["identity", "position", "meta", "not_after_ns", "summary"])
@pytest.mark.parametrize("value", [None, "x", [1]])
def test_a_checkpoint_of_another_program_is_refused(
    name: str, value: object, tmp_path: Path
) -> None:
    """Its digest is right, its facts are not ours: an error in words, no KeyError."""
    source, url = write_events(tmp_path / "e.jsonl"), f"sqlite:///{tmp_path}/a.db"
    replay(ReplayOptions(str(source), store=url))
    store = open_store(url)
    held = store.last_checkpoint("replay")
    assert held is not None
    facts = {**held.facts, name: value}
    if value is None:
        del facts[name]
    store.commit(store.claim("replay", "a test"), Checkpoint(held.number + 1, facts), [], [])
    store.close()
    with pytest.raises(StoreError, match="none of this version's"):
        replay(ReplayOptions(str(source), store=url))


# -- signals


@pytest.mark.parametrize(("with_store", "goes_on"), [(True, True), (False, False)])
def test_the_way_to_go_on_is_told_only_where_there_is_one(
    with_store: bool, goes_on: bool, tmp_path: Path
) -> None:
    """Without a store nothing is kept that the same command could use."""
    source = write_events(tmp_path / "e.jsonl")
    store = f"sqlite:///{tmp_path}/a.db" if with_store else None
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(InterruptedRunError, match="after 20 events") as caught:
        replay(
            ReplayOptions(str(source), store=store),
            lambda _lines, _bytes: signal.raise_signal(signal.SIGTERM),
        )

    assert ("--store" in str(caught.value)) == goes_on
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_a_second_signal_stops_a_run_that_waits_for_its_input(tmp_path: Path) -> None:
    """The first waits for the next checkpoint, which a silent stream never reaches."""
    rejects = tmp_path / "r.jsonl"
    command = [
        DETECTOR, "replay", "-", "--rejects", rejects, "--store", f"sqlite:///{tmp_path}/a.db",
    ]  # fmt: skip
    environment = {**os.environ, "DETECTOR_CHECKPOINT_EVERY_S": "0"}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as run:
        assert run.stdin is not None
        assert run.stderr is not None
        run.stdin.write(b"?\n")
        run.stdin.flush()
        deadline = time.monotonic() + 60.0
        while not (rejects.exists() and rejects.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.5)
        run.send_signal(signal.SIGINT)
        time.sleep(0.5)
        waits = run.poll() is None
        run.send_signal(signal.SIGINT)
        code = run.wait(10.0)

        assert (waits, code) == (True, 1)
        assert run.stderr.read().strip() == b"error: stopped"


# -- dates


@pytest.mark.parametrize("text", ["0001-01-01", "1969-12-31", "2200-01-01", "9999-12-31T23:59Z"])
@pytest.mark.parametrize("option", ["--since", "--until"])
def test_a_year_that_no_event_can_have_is_refused(
    text: str, option: str, tmp_path: Path, detector: Run
) -> None:
    """Beyond 64 bits of nanoseconds there was a traceback."""
    source = write_events(tmp_path / "e.jsonl")
    command = {
        "--since": ["replay", source],
        "--until": ["fit", source, "--output", tmp_path / "a"],
    }
    done = detector(*command[option], option, text)

    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"error: {option}: is out of range: {text!r}. Years 1970 to 2199")


@pytest.mark.parametrize("text", ["1970-01-01", "2199-12-31T23:59:59.999999-12:00"])
def test_the_first_and_the_last_known_moment_are_replayed(text: str, tmp_path: Path) -> None:
    """The bounds themselves fit into the engine's 64 bits."""
    source = write_events(tmp_path / "e.jsonl")
    options = ReplayOptions(str(source), since_ns=since_ns(text, None, "--since"))

    assert replay(options).events == 20


def test_parts_of_a_second_are_kept() -> None:
    """To the microsecond, which is all that the format holds."""
    text = "2026-03-02T08:00:00.123456+08:00"

    assert since_ns(text, None, "--since") == 1_772_409_600_123_456_000


# -- fit


def test_fit_tells_which_rows_it_left_out(tmp_path: Path, detector: Run) -> None:
    """By reason, counted once though the history is read twice; the manifest remembers."""
    source = write_events(tmp_path / "e.jsonl")
    source.write_bytes(b"?\n[]\n" + source.read_bytes() + b"?\n")
    done = detector("fit", source, "--output", tmp_path / "a")
    manifest = json.loads((tmp_path / "a" / "manifest.json").read_bytes())

    assert done.code == 0
    assert "warning: 3 rows were left out: 1 not_an_object, 2 not_json" in done.err
    assert manifest["learned_from"]["rejects"] == {"not_an_object": 1, "not_json": 2}


def test_fit_passes_on_what_the_reference_tables_lack(tmp_path: Path, detector: Run) -> None:
    """The very notices of replay, on stderr: stdout stays what a program reads."""
    source = write_events(tmp_path / "e.jsonl")
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "staff.csv").write_text("user_id,shoe_size\nu1,44\n", "utf-8")
    options = ["--reference", tmp_path / "r", "--json"]
    fitted = detector("fit", source, "--output", tmp_path / "a", *options)
    replayed = detector("replay", source, *options)

    assert "1 unknown columns are ignored" in fitted.err
    assert fitted.err == replayed.err
    assert json.loads(fitted.out)["learned_from"]["rejects"] == {}


# -- demo

SMALL = ("--users", 20, "--branches", 2, "--days", 8)
FOREIGN = {
    "a bank": {"bank/customers.xlsx": "?"},
    "a bank with events": {"bank/events.jsonl": "{}"},
    "a bank with another truth": {"bank/events.jsonl": "{}", "bank/truth.json": "[]"},
    "papers beside a simulated bank": {
        "bank/events.jsonl": "", "bank/notes.txt": "?",
        "bank/truth.json": '{"first_scored_day": "2026-03-02", "incidents": []}',
    },
    "an artifact": {"artifact/vase.txt": "Ming"},
    "a store": {"alerts.db": "?"},
    "alerts": {"alerts.jsonl": "{}"},
}  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_a_demo_deletes_nothing_that_is_not_of_a_demo(
    name: str, tmp_path: Path, detector: Run
) -> None:
    """`detector demo --dir .` in a folder that is in use."""
    for file, text in FOREIGN[name].items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(text, "utf-8")
    before = contents(tmp_path)
    done = detector("demo", "--dir", tmp_path, *SMALL)

    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert contents(tmp_path) == before


def test_a_demo_runs_again_over_its_own(tmp_path: Path, detector: Run) -> None:
    """From scratch, with the same result."""
    first = detector("demo", "--dir", tmp_path, *SMALL, "--json")
    second = detector("demo", "--dir", tmp_path, *SMALL, "--json")

    assert (first.code, second.code) == (0, 0)
    assert second.out == first.out


# -- reference folders


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("staf.csv", "Did you mean 'staff.csv'? Known tables: staff, branches"),
        ("Branches.CSV", "Did you mean 'branches.csv'?"),
        ("notes.txt", "holds no known table. Known tables: staff"),
    ],
)
def test_a_folder_without_a_known_table_is_an_error(
    file: str, words: str, tmp_path: Path, detector: Run
) -> None:
    """A run without staff and calendar would look like one with them."""
    source = write_events(tmp_path / "e.jsonl")
    folder = tmp_path / "tables"
    folder.mkdir()
    (folder / file).write_text("user_id\nu1\n", "utf-8")
    checked = detector("check", folder)
    replayed = detector("replay", source, "--reference", folder)

    assert (checked.code, replayed.code) == (3, 2)
    assert f"{folder}: holds no known table" in checked.out
    assert words in checked.out
    assert words in replayed.err


def test_a_misspelt_table_beside_a_known_one_is_a_warning(tmp_path: Path, detector: Run) -> None:
    """Of check and of replay; other kinds of file are nobody's business."""
    source = write_events(tmp_path / "e.jsonl")
    folder = tmp_path / "tables"
    folder.mkdir()
    for name in ("staff.csv", "calender.parquet", "readme.md"):
        (folder / name).write_text("user_id\nu1\n", "utf-8")
    checked = detector("check", folder)
    replayed = detector("replay", source, "--reference", folder)
    listed = json.loads(detector("check", folder, "--json").out)

    assert (checked.code, replayed.code) == (0, 0)
    assert "calender.parquet: is no known table and is ignored. Did you mean" in checked.err
    assert checked.err == replayed.err
    assert checked.err == f"warning: {listed[0]['notices'][0]}\n"
