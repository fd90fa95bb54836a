"""The command line: exit codes, one-line errors, machine output, what an operator is told."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from detector import __version__
from detector.cli.main import cli
from tests.conftest import ROOT, Run
from tests.streams import event, lines_of

DETECTOR = Path(sys.executable).parent / "detector"
NOON = datetime(2024, 3, 4, 4, 0, tzinfo=UTC)  # a Monday in a year whose holidays are known
MAPPING = ROOT / "pipelines" / "mappings" / "bpic12.toml"
POLICY = ROOT / "pipelines" / "policies" / "netherlands.toml"


def few_events(n: int = 60, **fields: Any) -> bytes:
    """Lines of one person, a second apart."""
    events = (event(i, "u1", NOON + timedelta(seconds=i), **fields) for i in range(n))
    return b"\n".join(lines_of(events)) + b"\n"


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """A file of events that raise alerts."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(few_events(records=50))
    return path


# -- 0: done


@pytest.mark.parametrize("flag", ["--help", "-h"])
@pytest.mark.parametrize("command", [None, *cli.commands])
def test_every_command_explains_itself(command: str | None, flag: str, detector: Run) -> None:
    """Usage, a sentence, and the options."""
    done = detector(*([command] if command else []), flag)

    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"Usage: detector {command or '[OPTIONS]'}")


@pytest.mark.parametrize("command", cli.commands)
def test_every_option_has_a_help_text(command: str) -> None:
    """An option without a word beside it is a riddle; a plain number shows its default."""
    silent = [
        option.name
        for option in cli.commands[command].params
        if option.param_type_name == "option" and not (option.help or option.show_default)
    ]

    assert silent == []


def test_the_promised_commands_exist() -> None:
    """People script against these names."""
    promised = {"demo", "simulate", "fit", "replay", "evaluate", "check"}

    assert promised <= set(cli.commands)


def test_help_is_quick_because_it_loads_nothing_heavy() -> None:
    """A second of waiting for a help text is felt every time."""
    program = (
        "import sys; sys.argv = ['detector', '--help']\n"
        "from detector.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'numba', 'scipy', 'pyarrow', 'holidays', 'rich'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)

    assert (done.returncode, done.stderr) == (0, b"")


def test_the_version_is_told(detector: Run) -> None:
    """The first question of every bug report."""
    assert detector("--version") == (0, f"detector, version {__version__}\n", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_completion_script(shell: str, detector: Run) -> None:
    """It calls the command back under the name that the command listens to."""
    done = detector("completion", shell)

    assert done.code == 0
    assert f"_DETECTOR_COMPLETE={shell}_complete" in done.out


def test_completion_offers_the_commands() -> None:
    """The script asks, the command answers."""
    words = {"COMP_WORDS": "detector repl", "COMP_CWORD": "1"}
    asked = {"_DETECTOR_COMPLETE": "bash_complete", **words}
    done = subprocess.run(
        [DETECTOR], env={**os.environ, **asked}, capture_output=True, text=True, check=False
    )

    assert done.stdout.split() == ["plain,replay"]


def test_events_are_read_from_stdin(events: Path, tmp_path: Path, detector: Run) -> None:
    """`zcat … | detector replay -` gives what the file gives."""
    from_file = detector("replay", events, "--alerts", tmp_path / "file.jsonl", "--json")
    piped = detector(
        "replay", "-", "--alerts", tmp_path / "pipe.jsonl", "--json", stdin=events.read_bytes()
    )

    assert (from_file.code, piped) == (0, from_file)
    assert (tmp_path / "pipe.jsonl").read_bytes() == (tmp_path / "file.jsonl").read_bytes() != b""


def test_people_see_the_alerts_in_both_languages(events: Path, detector: Run) -> None:
    """Totals first, then the best alerts with their explanations."""
    done = detector("replay", events)

    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("60 events, 1 people, 1 alerts")
    (n,) = re.findall(r"Read (\d,\d{3}) records within ten minutes", done.out)
    assert f"十分钟内读取了{n}条记录" in done.out


def test_json_is_all_that_is_on_stdout(tmp_path: Path, detector: Run) -> None:
    """Of every command that has the option; programs read it without filtering."""
    bank, artifact, alerts = tmp_path / "bank", tmp_path / "artifact", tmp_path / "alerts.jsonl"
    events, truth = bank / "events.jsonl", bank / "truth.json"
    small = ["--users", 20, "--branches", 2, "--days", 6, "--incidents", 2]
    answers = [
        detector(*command, "--json")
        for command in (
            ["simulate", bank, *small],
            ["fit", events, "--output", artifact, "--until", "2026-03-05"],
            ["replay", events, "--artifact", artifact, "--alerts", alerts],
            ["evaluate", "--alerts", alerts, "--truth", truth, "--budget", 5],
            ["check", artifact, bank / "reference"],
        )
    ]
    keys = [sorted(found) for found in (json.loads(done.out) for done in answers[:4])]

    assert [done.code for done in answers] == [0, 0, 0, 0, 0]
    assert keys[0] == ["events", "incidents", "users"]
    assert {"digest", "threshold", "learned_from"} <= set(keys[1])
    assert {"events", "alerts", "rejects", "counts", "alerts_per_day"} <= set(keys[2])
    assert keys[3] == ["budgets", "days", "incidents"]
    assert [found["error"] for found in json.loads(answers[4].out)] == [None, None]


# -- 1: the work failed


GOOD_TRUTH = '{"first_scored_day": "2024-03-04", "days": 1, "incidents": []}'
FAILURES: dict[str, tuple[list[object], str]] = {
    "no such file": (["replay", "nowhere.jsonl"], "nowhere.jsonl: no events there"),
    "an unknown kind of file": (["replay", "notes.docx"], ".jsonl.gz"),
    "an empty folder": (["replay", "empty"], "empty: no events there"),
    "a file that cannot be opened": (["replay", "loop.jsonl"], "loop.jsonl"),
    "a file cut in a gzip member": (["replay", "cut.jsonl.gz"], "cut.jsonl.gz: is cut"),
    "alerts below a file": (
        ["replay", "events.jsonl", "--alerts", "notes.docx/a.jsonl"],
        "notes.docx",
    ),
    "rejects that are a folder": (["replay", "events.jsonl", "--rejects", "empty"], "empty"),
    "a store below a file": (
        ["replay", "events.jsonl", "--store", "sqlite:///notes.docx/a.db"],
        "notes.docx/a.db",
    ),
    "a store that is a folder": (["replay", "events.jsonl", "--store", "sqlite:///empty"], "empty"),
    "a history on stdin": (["fit", "-", "--output", "a"], "cannot be fitted from stdin"),
    "an empty history": (["fit", "none.jsonl", "--output", "a"], "holds no events"),
    "a history that ends before it begins": (
        ["fit", "events.jsonl", "--output", "a", "--until", "2001-01-01"],
        "events.jsonl",
    ),
    "a history without a good row": (["fit", "bad.jsonl", "--output", "a"], "bad.jsonl"),
    "a simulation over a file": (["simulate", "notes.docx", "--days", 2], "notes.docx"),
    "no alerts file": (["evaluate", "--alerts", "x", "--truth", "good.json"], "x: cannot be read"),
    "no truth file": (["evaluate", "--alerts", "none.jsonl", "--truth", "x"], "x: cannot be read"),
    "a truth file that is none": (
        ["evaluate", "--alerts", "none.jsonl", "--truth", "events.jsonl"],
        "is no truth file",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAILURES)
def test_work_that_fails_ends_in_one_line_and_code_1(
    name: str, events: Path, monkeypatch: pytest.MonkeyPatch, detector: Run
) -> None:
    """What, where, what to do; never a traceback."""
    import gzip

    folder = events.parent
    monkeypatch.chdir(folder)
    (folder / "notes.docx").write_bytes(b"?")
    (folder / "none.jsonl").write_bytes(b"")
    (folder / "bad.jsonl").write_bytes(b"?\n")
    (folder / "good.json").write_text(GOOD_TRUTH, "utf-8")
    (folder / "empty").mkdir()
    (folder / "loop.jsonl").symlink_to("loop.jsonl")
    (folder / "cut.jsonl.gz").write_bytes(gzip.compress(events.read_bytes())[:-50])
    arguments, words = FAILURES[name]
    done = detector(*arguments)

    assert done.code == 1
    assert words in done.err
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1


def test_a_cut_file_is_scored_as_far_as_it_goes(
    tmp_path: Path, detector: Run
) -> None:  # fmt: skip
    """What could be read counts; the line says that the rest is missing."""
    import gzip

    whole = gzip.compress(few_events(3_000, records=50))
    (tmp_path / "cut.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    done = detector(
        "replay", tmp_path / "cut.jsonl.gz", "--alerts", tmp_path / "a.jsonl"
    )  # fmt: skip

    assert done.code == 1
    assert (tmp_path / "a.jsonl").read_bytes().count(b"\n") > 1


# -- 2: wrong usage or configuration

MISUSES: dict[str, tuple[list[object], str]] = {
    "an unknown command": (["reply"], "No such command 'reply'"),
    "an unknown option": (["replay", "events.jsonl", "--alert", "a"], "No such option"),
    "no events": (["replay"], "Missing argument 'EVENTS'"),
    "no output": (["fit", "events.jsonl"], "Missing option '--output'"),
    "a budget of nothing": (["evaluate", "--alerts", "a", "--truth", "t", "--budget", 0], "0"),
    "too few people": (["simulate", "bank", "--users", 3], "20"),
    "a score that is none": (["replay", "events.jsonl", "--min-score", "nan"], "--min-score"),
    "an artifact over papers": (["fit", "events.jsonl", "--output", "."], "is no artifact"),
    "an unknown shell": (["completion", "tcsh"], "'bash', 'zsh', 'fish'"),
    "nothing to check": (["check"], "Missing argument"),
    "a date that is none": (["replay", "events.jsonl", "--since", "monday"], "--since"),
    "an unknown kind of store": (["replay", "events.jsonl", "--store", "ftp://x"], "'ftp'"),
    "no such policy": (["replay", "events.jsonl", "--policy", "x.toml"], "x.toml: cannot be read"),
    "a policy typo": (["replay", "events.jsonl", "--policy", "typo.toml"], "'budget_per_day'"),
    "no such mapping": (["replay", "events.jsonl", "--mapping", "x.toml"], "x.toml"),
    "a mapping that is a policy": (["replay", "events.jsonl", "--mapping", "typo.toml"], "fields"),
    "no such artifact": (["replay", "events.jsonl", "--artifact", "x"], "x/manifest.json"),
    "no such reference": (["replay", "events.jsonl", "--reference", "x"], "x: is not a folder"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISUSES)
def test_wrong_usage_ends_with_code_2(
    name: str, events: Path, monkeypatch: pytest.MonkeyPatch, detector: Run
) -> None:
    """Before any work is done, and nothing is left behind."""
    monkeypatch.chdir(events.parent)
    (events.parent / "typo.toml").write_text("[alerts]\nbudget_per_dya = 5\n", "utf-8")
    arguments, words = MISUSES[name]
    done = detector(*arguments)

    assert (done.code, done.out) == (2, "")
    assert words in done.err
    assert sorted(path.name for path in events.parent.iterdir()) == ["events.jsonl", "typo.toml"]


def test_a_wrong_setting_ends_with_code_2(
    events: Path, monkeypatch: pytest.MonkeyPatch, detector: Run
) -> None:
    """The environment is configuration too."""
    monkeypatch.setenv("DETECTOR_CHECKPOINT_EVERY_S", "often")
    done = detector("replay", events)

    assert done.code == 2
    assert "DETECTOR_CHECKPOINT_EVERY_S" in done.err


# -- 3: findings


def test_check_finds_nothing_in_what_is_shipped(detector: Run) -> None:
    """Every mapping, policy and pipeline under pipelines/."""
    files = sorted((ROOT / "pipelines").rglob("*.toml"))
    done = detector("check", *files)

    assert (done.code, done.err) == (0, "")
    kinds = {"mappings": "mapping", "policies": "policy", "pipelines": "pipeline"}
    assert done.out == "".join(f"{file}: {kinds[file.parent.name]} ok\n" for file in files)


BROKEN = {
    "mapping": ("[fields]\nevent_id = '/a'\nevent_time = '/b'\nuser_id = '/c'\nacton = '/d'\n",
                "'action'"),
    "mapping without a user": ("[fields]\nevent_id = '/a'\nevent_time = '/b'\n", "user_id"),
    "policy": ("[alerts]\nlateness = '99h'\n", "alerts.lateness is wrong, got '99h'"),
    "policy with an unknown detector": ("[detectors.bulk_reed]\n", "'bulk_read'"),
    "no TOML": ("[alerts", "is not TOML"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_check_names_what_is_broken_and_ends_with_code_3(
    name: str, tmp_path: Path, detector: Run
) -> None:
    """File, key, value, what is allowed; good files beside it are still called good."""
    text, words = BROKEN[name]
    broken = tmp_path / "broken.toml"
    broken.write_text(text, "utf-8")
    done = detector("check", MAPPING, broken, POLICY)

    assert (done.code, done.err) == (3, "")
    assert done.out.splitlines()[0::2] == [f"{MAPPING}: mapping ok", f"{POLICY}: policy ok"]
    assert f"{broken}: " in done.out
    assert words in done.out


def test_check_finds_missing_files_and_broken_folders(tmp_path: Path, detector: Run) -> None:
    """As JSON: one entry per file, with its kind."""
    (tmp_path / "artifact").mkdir()
    (tmp_path / "artifact" / "manifest.json").write_text("{}", "utf-8")
    (tmp_path / "reference").mkdir()
    (tmp_path / "reference" / "staff.csv").write_text("user\nu1\n", "utf-8")
    names = ("artifact", "reference", "missing.toml")
    done = detector("check", "--json", *(tmp_path / name for name in names))
    found = json.loads(done.out)

    assert done.code == 3
    assert [entry["kind"] for entry in found] == ["artifact", "reference", "policy"]
    assert all(name in entry["error"] for name, entry in zip(names, found, strict=True))


def test_rejects_are_counted_by_reason_on_stdout(tmp_path: Path, detector: Run) -> None:
    """And kept, with their bytes, in the file that was asked for."""
    stdin = few_events(2) + b"?\n[]\n?\n"
    done = detector("replay", "-", "--rejects", tmp_path / "r.jsonl", stdin=stdin)
    kept = [orjson.loads(line) for line in (tmp_path / "r.jsonl").read_bytes().splitlines()]

    assert "rejected: 1 not_an_object, 2 not_json" in done.out
    assert [(row["reason"], row["where"], row["raw"]) for row in kept] == [
        ("not_json", "stdin:3", "?"), ("not_an_object", "stdin:4", "[]"),
        ("not_json", "stdin:5", "?"),
    ]  # fmt: skip


def test_a_reader_that_leaves_early_is_no_traceback(events: Path) -> None:
    """`detector replay … | head -1`."""
    line = f"{DETECTOR} replay {events} --json | head -c 1"
    done = subprocess.run(["bash", "-c", line], capture_output=True, check=False)

    assert b"Traceback" not in done.stderr
