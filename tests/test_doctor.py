"""`detector doctor` names what is wrong with files, store, sinks, machine; it changes nothing."""

from __future__ import annotations

import json
import resource
import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from detector.artifacts import Artifact, write_artifact
from detector.cli.main import FINDINGS
from detector.hosts import doctor_files
from detector.hosts.doctor_machine import _memory, _open_files, _room
from detector.hosts.doctor_store import _skew, _sqlite_version
from detector.store import open_store
from tests.conftest import Run
from tests.sinks.receivers import web_server

Examined = Callable[..., list[dict[str, Any]]]
NOBODY = "127.0.0.1:1"


@pytest.fixture
def examined(detector: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Examined:
    """Examine a pipeline without a broker; return what was found."""
    monkeypatch.setenv("DETECTOR_KAFKA_BOOTSTRAP", NOBODY)
    monkeypatch.setenv("DETECTOR_STORE", f"sqlite:///{tmp_path}/store/alerts.db")

    def run(head: str = "", tail: str = "") -> list[dict[str, Any]]:
        pipeline = tmp_path / "pipeline.toml"
        pipeline.write_text(f'{head}\n[source]\ntopics = ["access"]\ngroup = "g"\n{tail}\n')
        done = detector("doctor", pipeline, "--json")
        assert done.code == FINDINGS
        found: list[dict[str, Any]] = json.loads(done.out)
        return found

    return run


def of(found: list[dict[str, Any]], check: str) -> list[tuple[str, str]]:
    """Return level and words of one part."""
    return [(one["level"], one["what"]) for one in found if one["check"] == check]


def test_a_broker_that_does_not_answer_is_named(examined: Examined) -> None:
    """Place, cause and remedy, each by itself."""
    errors = [one for one in examined() if one["level"] == "error"]

    assert errors == [
        {
            "check": "kafka",
            "level": "error",
            "where": NOBODY,
            "what": "does not answer (Connection refused)",
            "remedy": "Check port, firewall and whether the broker runs",
        }
    ]


def test_people_read_one_line_for_each_thing(detector: Run, tmp_path: Path) -> None:
    """Level, part, place, what, remedy; errors end with 3."""
    done = detector("doctor", tmp_path / "nowhere.toml")

    assert done.code == FINDINGS
    assert done.out == (
        f"error    pipeline   {tmp_path}/nowhere.toml: cannot be read "
        "(No such file or directory). Check path and rights\n"
    )


@pytest.mark.parametrize(
    ("key", "check", "what"),
    [
        ("mapping", "mapping", "cannot be read"),
        ("policy", "policy", "cannot be read"),
        ("artifact", "artifact", "manifest"),
        ("reference", "reference", ""),
    ],
)
def test_a_file_that_is_not_there_is_named(
    examined: Examined, key: str, check: str, what: str
) -> None:
    """And the others are looked at all the same."""
    found = examined(f'{key} = "nowhere"')
    (error,) = [one for one in found if one["level"] == "error" and one["check"] == check]

    assert "nowhere" in error["where"]
    assert what in error["what"] or what in error["where"]
    assert {one["check"] for one in found} >= {"mapping", "policy", "store", "kafka"}


def test_an_artifact_that_was_changed_is_named(
    examined: Examined, quiet_artifact: Artifact, tmp_path: Path
) -> None:
    """A digest that does not match decides nothing."""
    write_artifact(
        tmp_path / "artifact", dict(quiet_artifact.arrays), dict(quiet_artifact.manifest)
    )
    assert of(examined('artifact = "artifact"'), "artifact") == [("ok", "is valid")]
    arrays = tmp_path / "artifact" / "arrays.npz"
    arrays.write_bytes(arrays.read_bytes()[:-1] + b"?")

    ((level, _),) = of(examined('artifact = "artifact"'), "artifact")
    assert level == "error"


def test_no_artifact_is_a_warning(examined: Examined) -> None:
    """It runs, and its thresholds fit no bank in particular."""
    assert of(examined(), "artifact")[-1][0] == "warning"


def test_a_year_whose_calendar_is_not_announced_is_a_warning(
    examined: Examined, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Make-up working days of next year would count as rest days; looked at in good time."""
    told = {}
    for year in (2010, 2049):
        now_ns = (year - 1970) * 31_557_600_000_000_000
        monkeypatch.setattr(doctor_files, "time", SimpleNamespace(time_ns=lambda ns=now_ns: ns))
        told[year] = [what for level, what in of(examined(), "plan") if level == "warning"]

    assert told[2010] == []
    assert any("are not announced yet" in what for what in told[2049])


def test_a_store_that_is_not_there_yet_is_fine_and_stays_away(
    examined: Examined, tmp_path: Path
) -> None:
    """Looking makes no file."""
    assert ("ok", "does not exist yet, a first run makes it") in of(examined(), "store")
    assert not (tmp_path / "store").exists()


def test_a_store_is_judged_by_its_schema(examined: Examined, tmp_path: Path) -> None:
    """Current, to be brought forward, from the future, damaged, something else."""
    path = tmp_path / "store" / "alerts.db"
    open_store(f"sqlite:///{path}").close()
    (known,) = [what for level, what in of(examined(), "store") if level == "ok"]
    assert known.startswith("has schema ")

    for version, level, words in ((1, "warning", "the next start brings it to"),
                                  (99, "error", "has schema 99, this version knows")):  # fmt: skip
        with sqlite3.connect(path) as db:
            db.execute(f"pragma user_version = {version}")
        db.close()
        assert any(found == level and words in what for found, what in of(examined(), "store"))
    path.write_bytes(b"no database at all" * 100)
    assert any("is no database of ours" in what for _, what in of(examined(), "store"))


def test_looking_does_not_disturb_a_running_detector(examined: Examined, tmp_path: Path) -> None:
    """The file is locked by the process that writes it; reading is allowed."""
    store = open_store(f"sqlite:///{tmp_path}/store/alerts.db")
    try:
        assert any(level == "ok" for level, _ in of(examined(), "store"))
    finally:
        store.close()


def test_an_sqlite_with_the_reset_bug_is_a_warning() -> None:
    """Debian 12 has 3.40; it was mended in 3.51.3."""
    assert [finding.level for finding in _sqlite_version((3, 40, 1))] == ["warning"]
    assert list(_sqlite_version((3, 51, 3))) == []


def test_sinks_are_tried_without_sending_anything(examined: Examined) -> None:
    """An address nobody answers at is an error, settings that are wrong too."""
    with web_server() as web:
        table = '[sinks.siem]\nkind = "webhook"\nurl = "http://127.0.0.1:{}/"\n'
        found = examined(tail=table.format(web.port) + '[sinks.dead]\nkind = "syslog"\n'
                         'host = "127.0.0.1"\nport = 1\n[sinks.udp]\nkind = "syslog"\n'
                         'host = "127.0.0.1"\ntransport = "udp"\n')  # fmt: skip
        assert web.requests == []

    assert of(found, "sinks") == [
        ("ok", "answers"),
        ("error", "cannot be reached (Connection refused)"),
        ("ok", "answers"),
    ]


def test_little_room_few_files_and_little_memory_are_told(tmp_path: Path) -> None:
    """What only shows when it is too late."""
    limit = tmp_path / "memory.max"
    limit.write_text(f"{256 << 20}\n")
    told = [*_memory(limit), _open_files(256)]
    limit.write_text("max\n")

    assert [finding.level for finding in told] == ["warning", "warning"]
    assert list(_memory(limit)) == []
    assert _open_files(resource.RLIM_INFINITY).level == "ok"
    assert "GiB free" in _room(tmp_path / "not" / "yet" / "there").what


def test_a_full_disk_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With what is free, so that somebody can judge."""
    for free, level in ((100 << 20, "error"), (1 << 30, "warning"), (50 << 30, "ok")):
        usage = type("Usage", (), {"free": free})
        monkeypatch.setattr("shutil.disk_usage", lambda _path, usage=usage: usage)
        assert _room(tmp_path).level == level


@pytest.mark.parametrize(("ahead_s", "words"), [(90, "ahead of"), (-3_600, "behind")])
def test_a_clock_that_is_off_is_told_with_its_direction(ahead_s: float, words: str) -> None:
    """Half a minute is forgiven."""
    (finding,) = _skew("db", ahead_s)
    assert words in finding.what
    assert list(_skew("db", 5.0)) == []
