"""What all tests share: seeds, real data, a small simulated bank."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, settings

from detector.artifacts import Artifact
from detector.cli.main import main
from detector.fitting import fit
from detector.hosts.events import decoded
from detector.mapping import load_mapping
from detector.policy import load_policy
from detector.reference import load_reference
from detector.simulate import SimulationConfig, simulate
from tests.parts.postgresql import Server, server

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("DETECTOR_SHARED_DATA", ROOT.parent / "shared" / "data"))

_COMMON = {
    "deadline": None,
    "print_blob": True,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}
settings.register_profile("default", max_examples=40, derandomize=True, **_COMMON)
settings.register_profile("long", max_examples=2_000, **_COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

_NEEDS_SHARED = {"test_real_data.py"}


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave the real-data tests out, and say so, where the data does not lie beside us."""
    if collection_path.name in _NEEDS_SHARED and not SHARED.is_dir():
        print(f"not collected: {collection_path.name} needs the event streams in {SHARED}")
        return True
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, Any]:
    """On CI a skipped test is a failed one: nothing may be missing there."""
    report = yield
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real event streams."""
    return SHARED


@pytest.fixture(scope="session")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small simulated bank with incidents."""
    folder = tmp_path_factory.mktemp("bank")
    simulate(folder, SimulationConfig(users=60, branches=6, days=14, seed=5, incidents=8))
    return folder


@pytest.fixture(scope="session")
def quiet_artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """What was learned from three weeks of a bank without incidents; one alert a day."""
    folder = tmp_path_factory.mktemp("quiet")
    simulate(folder, SimulationConfig(users=100, branches=6, days=21, seed=3, incidents=0))
    events = str(folder / "events.jsonl")
    batches = [chunk.batch for chunk in decoded(events, load_mapping(None), 1_000_000)]
    policy = load_policy(None)
    policy = replace(policy, alerts=replace(policy.alerts, budget_per_day=1.0))
    arrays, manifest = fit(lambda: iter(batches), policy, load_reference(folder / "reference"))
    return Artifact(arrays, manifest, "quiet")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A server for all tests of the session."""
    with server() as running:
        yield running


class Done(NamedTuple):
    """How a command ended."""

    code: object
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def detector(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command in this process; anything but an orderly exit fails the test."""

    def run(*arguments: object, stdin: bytes = b"") -> Done:
        monkeypatch.setattr(sys, "argv", ["detector", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as ended:
            main()
        return Done(ended.value.code, *capsys.readouterr())

    return run
