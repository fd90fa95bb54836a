"""Notebooks run from top to bottom, as plain scripts, from anywhere."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))


def test_there_is_a_notebook() -> None:
    """A moved folder must not turn the tests below into nothing."""
    assert NOTEBOOKS


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_runs(notebook: Path, tmp_path: Path) -> None:
    """It ends without an error or a warning, prints something, and leaves its folder alone."""
    before = sorted(notebook.parent.rglob("*"))
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(notebook)], cwd=tmp_path, env=environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert sorted(notebook.parent.rglob("*")) == before


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_asks_a_question_and_defines_little(notebook: Path) -> None:
    """The title is a question; what is longer than ten lines belongs into the package."""
    tree = ast.parse(notebook.read_text("utf-8"))
    title = (ast.get_docstring(tree) or "").splitlines()[0]
    long = [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and (node.end_lineno or 0) - node.lineno + 1 > 10
    ]

    assert title.startswith("# ")
    assert title.endswith("?")
    assert not long
