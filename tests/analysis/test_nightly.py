"""A night can be killed, repeated and started twice; it does its work once."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from detector.analysis import nightly
from detector.analysis.fairness import Fairness
from detector.analysis.nightly import STAGES, NightlyOptions, run_name, run_nightly
from detector.analysis.report import report_text
from detector.errors import OptionError
from tests.analysis.conftest import SINCE
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def options(bank: Path, tmp_path_factory: pytest.TempPathFactory) -> NightlyOptions:
    """A bank's night."""
    return NightlyOptions(
        bank / "events.jsonl", tmp_path_factory.mktemp("nights"), SINCE,
        reference=bank / "reference", truth=bank / "truth.json",
    )  # fmt: skip


def content(folder: Path) -> Mapping[str, bytes]:
    """All files of a run."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_a_night_is_done_once(options: NightlyOptions, tmp_path: Path) -> None:
    """Again: nothing is done. Elsewhere: the same bytes."""
    first, again = run_nightly(options), run_nightly(options)
    other = run_nightly(replace(options, work=tmp_path / "other"))

    assert first.done + first.found == STAGES
    assert again.found == STAGES
    assert content(first.folder) == content(other.folder)
    assert {"report.en.md", "report.zh.md", "artifact/arrays.npz"} <= set(content(first.folder))


def test_a_night_that_was_killed_goes_on(
    options: NightlyOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was done before is found; the result is that of an undisturbed night."""
    broken = replace(options, work=tmp_path / "broken")
    with monkeypatch.context() as patch:
        patch.setattr(nightly, "drift", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run_nightly(broken)
    rest = run_nightly(broken)

    assert rest.found == ("fit", "calibrate", "evaluate")
    assert rest.done == ("drift", "report")
    assert content(rest.folder) == content(run_nightly(options).folder)


def test_two_nights_do_not_share_a_folder(options: NightlyOptions) -> None:
    """The second says so and leaves; the lock goes with its process."""
    with (options.work / ".lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(OptionError, match="another night runs here"):
            run_nightly(options)


def test_a_night_is_named_by_all_it_reads(options: NightlyOptions, tmp_path: Path) -> None:
    """Another byte anywhere is another run."""
    policy = tmp_path / "policy.toml"
    names = {run_name(options), run_name(replace(options, since="2026-03-10"))}
    for text in ("[alerts]\n", "[alerts]\nbudget_per_day = 1\n"):
        policy.write_text(text)
        names.add(run_name(replace(options, policy=policy)))

    assert len(names) == 4
    with pytest.raises(OptionError, match="cannot be read"):
        run_name(replace(options, policy=tmp_path / "none.toml"))


def test_the_metrics_say_what_the_files_hold(options: NightlyOptions) -> None:
    """For Prometheus' textfile collector."""
    night = run_nightly(options)
    fitted = orjson.loads((night.folder / "fit.json").read_bytes())
    lines = (options.work / "metrics.prom").read_text().splitlines()

    assert f"detector_nightly_threshold_score {fitted['threshold']}" in lines
    assert len([line for line in lines if not line.startswith("#")]) == len(night.metrics) == 6


def test_the_recipe_runs_from_the_command_line(options: NightlyOptions, tmp_path: Path) -> None:
    """As cron would; what is wrong is one line."""
    command = [
        sys.executable, ROOT / "pipelines" / "nightly.py", options.events, "--work", options.work,
        "--since", SINCE, "--reference", options.reference, "--truth", options.truth,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    command[2] = tmp_path / "none.jsonl"
    failed = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode in {0, 3}, done.stderr
    assert "5 done before" in done.stdout
    assert failed.returncode == 1
    assert failed.stderr.startswith("error: ")


def test_a_report_is_written_in_both_languages(options: NightlyOptions) -> None:
    """The same figures, other words."""
    folder = run_nightly(options).folder
    english, chinese = ((folder / f"report.{lang}.md").read_text() for lang in ("en", "zh"))

    assert "## Who carries the alerts" in english
    assert "## 告警的分布" in chinese
    assert english.count("|") == chinese.count("|") > 100
    with pytest.raises(OptionError, match="there is no language 'fr'"):
        report_text((0, 0, 0), {}, Fairness(None, ()), "fr")
