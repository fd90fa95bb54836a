"""Run every check, one after the other, and close with one summary."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

_BIN = Path(sys.executable).parent
_STATIC = {
    "ruff": ["ruff", "check", "."],
    "format": ["ruff", "format", "--check", "."],
    "types": ["mypy"],
    "layers": ["lint-imports", "--no-cache"],
}
# Services, browsers, notebooks and benchmarks take their time; the rest is heard within minutes.
_LONG = ("bench", "calibration", "monitoring", "notebooks", "readme", "store_faults")
_LONG_FILES = {f"test_{name}.py" for name in _LONG}
_QUICK = sorted(str(p) for p in Path("tests").glob("test_*.py") if p.name not in _LONG_FILES)
_FAST = {"tests": ["pytest", "-q", *_QUICK]}
_TESTS = {
    "tests": ["pytest", "-q"],
    "docstrings": ["pytest", "-q", "--doctest-modules", "detector"],
    "uncompiled": ["pytest", "-q", "-m", "uncompiled"],
}


def main() -> int:
    """Return 0 if everything is green."""
    more = {"--static": {}, "--fast": _FAST}.get("".join(sys.argv[1:]), _TESTS)
    parts = {**_STATIC, **more}
    results = {}
    for name, command in parts.items():
        environment = dict(os.environ)
        if name == "uncompiled":
            environment["NUMBA_DISABLE_JIT"] = "1"
        started = time.monotonic()
        done = subprocess.run([str(_BIN / command[0]), *command[1:]], env=environment, check=False)
        results[name] = (done.returncode, time.monotonic() - started)
    print("\nsummary")
    for name, (code, seconds) in results.items():
        print(f"  {name:12} {'ok' if code == 0 else 'FAILED':6} {seconds:6.1f} s")
    return int(any(code for code, _ in results.values()))


if __name__ == "__main__":
    sys.exit(main())
