"""What all tests share: seeds, real data, a small simulated bank."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from detector.simulate import SimulationConfig, simulate

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
