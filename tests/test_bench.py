"""The benchmark runs, and measures what the README shows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT


def test_the_store_s_benchmark_runs_at_its_smallest() -> None:
    """On both databases: every page of the console answers."""
    script = ROOT / "tests" / "performance" / "bench_store.py"
    command = [sys.executable, str(script), "--quick", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["found"]
    assert found["sqlite"]["pages"].keys() == found["postgresql"]["pages"].keys()


def test_the_benchmark_runs_at_its_smallest(tmp_path: Path) -> None:
    """No time is asserted: only that every row is there and is a number."""
    script = ROOT / "tests" / "performance" / "bench.py"
    command = [sys.executable, str(script), "--quick", "--rounds", "1", "--json"]
    done = subprocess.run(
        [*command, "--data", str(tmp_path)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
