"""Notebooks run from top to bottom, as plain scripts, from anywhere."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the notebooks find each other's simulated banks."""
    return tmp_path_factory.mktemp("notebooks")


def test_the_notebooks_are_numbered_without_a_gap() -> None:
    """They are read in an order; a moved folder must not turn the tests below into nothing."""
    numbers = [int(path.stem.split("_")[0]) for path in NOTEBOOKS]

    assert numbers == list(range(1, len(NOTEBOOKS) + 1))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_runs(notebook: Path, scratch: Path) -> None:
    """No error, no warning, an answer in words, no empty plot, and its folder left alone."""
    before = sorted(notebook.parent.rglob("*"))
    environment = {**os.environ, "TMPDIR": str(scratch), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "tests" / "notebook.py"), str(notebook)],
        cwd=scratch, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert sorted(notebook.parent.rglob("*")) == before


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_asks_a_question_and_answers_it(notebook: Path) -> None:
    """The title is a question; the last part is the answer."""
    text = notebook.read_text("utf-8")
    title = (ast.get_docstring(ast.parse(text)) or "").splitlines()[0]
    headings = re.findall(r'^"""## (.*?)"*$', text, re.MULTILINE)

    assert title.startswith("# ")
    assert title.endswith("?")
    assert headings[-1] == "The answer"


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_defines_little(notebook: Path) -> None:
    """What is longer than ten lines belongs into the package."""
    long = [
        node.name
        for node in ast.walk(ast.parse(notebook.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and (node.end_lineno or 0) - node.lineno + 1 > 10
    ]

    assert not long
