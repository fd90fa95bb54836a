"""The README's commands work, in their order, as a newcomer would run them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT, SHARED


def commands() -> list[str]:
    """Every `detector …` line of the README's shell blocks."""
    text = (ROOT / "README.md").read_text("utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.startswith("detector ")]


def test_the_commands_of_the_readme_run(tmp_path: Path) -> None:
    """Each ends with exit code 0; those on real data run where the data lies beside us."""
    (tmp_path / "pipelines").symlink_to(ROOT / "pipelines")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ran = []
    for command in commands():
        if "../shared/data" in command and not SHARED.is_dir():
            continue
        line = command.replace("../shared/data", str(SHARED))
        done = subprocess.run(
            ["bash", "-c", line], cwd=tmp_path, env={**os.environ, "PATH": path},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        ran.append(command.split()[1])

    assert {"simulate", "fit", "replay", "evaluate", "check"} <= set(ran)


def test_the_python_of_the_readme_runs(tmp_path: Path) -> None:
    """On the bank that the commands above it simulate."""
    text = (ROOT / "README.md").read_text("utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    (bank,) = [command for command in commands() if command.startswith("detector simulate")]
    subprocess.run(
        [Path(sys.executable).parent / "detector", *bank.split()[1:]], cwd=tmp_path, check=True
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", block], cwd=tmp_path, capture_output=True, text=True,
        check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr


def test_the_readme_names_the_make_targets_that_exist() -> None:
    """`make demo` and `make test` are what a newcomer types first."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(
        r"^make (\w+)$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE
    ):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
