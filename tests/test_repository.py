"""The repository holds what was agreed, and what its documents say about it is true."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

FOLDERS = {"detector", "models", "pipelines", "notebooks", "tests", "docker"}
FILES = {
    "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "Makefile",
    "pyproject.toml", "constraints.txt", "constraints-dev.txt",
    ".ci", ".gitignore", ".dockerignore",
}  # fmt: skip
DATA_FOLDERS = ("models", "pipelines", "notebooks", "docker")
DATED = {"tzdata"}  # a newer time-zone table is always the right one; the exact one is pinned
IGNORED = [".git", *(ROOT / ".gitignore").read_text("utf-8").split()]


def files() -> list[Path]:
    """Every file that belongs to the repository: what git tracks, or all of an unpacked archive."""
    git = shutil.which("git")
    if git is not None:
        done = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
        if done.returncode == 0:
            names = done.stdout.decode().split("\0")
            return [ROOT / name for name in names if name and (ROOT / name).exists()]
    return list(_walk())


def _walk() -> Iterator[Path]:
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if not _is_ignored(name)]
        yield from (Path(folder) / name for name in names if not _is_ignored(name))


def _is_ignored(name: str) -> bool:
    return any(fnmatch(name, pattern.strip("/")) for pattern in IGNORED)


def documents() -> list[Path]:
    """Every Markdown file."""
    return [path for path in files() if path.suffix == ".md"]


def project() -> dict[str, Any]:
    """The project table of pyproject.toml."""
    content: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return content["project"]


def test_the_top_level_holds_what_is_agreed() -> None:
    """Six folders; what is new finds its room in one of them."""
    found = {path.relative_to(ROOT).parts[0] for path in files()}

    assert found == FOLDERS | FILES


@pytest.mark.parametrize("folder", DATA_FOLDERS)
def test_data_folders_are_no_packages(folder: str) -> None:
    """`detector` is the only importable name; notebooks and recipes are scripts."""
    assert not list((ROOT / folder).rglob("__init__.py"))
    if folder not in {"notebooks", "pipelines"}:
        assert not list((ROOT / folder).rglob("*.py"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names in the wheel, built from a copy so that no build folder lies in the sources."""
    copy, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in FOLDERS | {"README.md", "LICENSE", "pyproject.toml"}:
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
            )
        else:
            shutil.copy(ROOT / name, copy / name)
    done = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out)],
        cwd=copy, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = out.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_one_package(wheel: set[str]) -> None:
    """No tests, no data folders: they would land beside everybody's packages."""
    top = {name.split("/")[0] for name in wheel}

    assert {name for name in top if not name.endswith(".dist-info")} == {"detector"}
    assert len(top) == 2


def test_the_wheel_holds_every_file_of_the_package(wheel: set[str]) -> None:
    """Policies, schema and py.typed are not Python and easily forgotten."""
    package = [path for path in files() if path.is_relative_to(ROOT / "detector")]
    names = {path.relative_to(ROOT).as_posix() for path in package}

    assert {Path(name).suffix for name in names} >= {".py", ".toml", ".sql", ".typed"}
    assert not names - wheel


@pytest.mark.parametrize("name", ["constraints.txt", "constraints-dev.txt"])
def test_constraints_pin_with_hashes_and_name_no_index(name: str) -> None:
    """The bytes are fixed; where a bank gets them from is its own affair."""
    text = (ROOT / name).read_text("utf-8")
    entries = [entry for entry in re.split(r"\n(?=\S)", text) if not entry.startswith("#")]

    assert "://" not in text
    for entry in entries:
        assert re.match(r"[\w.-]+==\S+", entry), entry.splitlines()[0]
        assert "--hash=sha256:" in entry, entry.splitlines()[0]


def test_every_dependency_is_pinned_bounded_and_justified() -> None:
    """Each is a risk taken on purpose: ARCHITECTURE says why."""
    reasons = (ROOT / "ARCHITECTURE.md").read_text("utf-8").split("## Dependencies")[1]
    pinned = (ROOT / "constraints.txt").read_text("utf-8")
    for requirement in project()["dependencies"]:
        name = re.match(r"[\w.-]+", requirement)
        assert name is not None
        assert ">=" in requirement, requirement
        assert "<" in requirement or name[0] in DATED, requirement
        assert re.search(rf"^{name[0]}==", pinned, re.MULTILINE), requirement
        assert f"| {name[0]} |" in reasons, requirement


def test_development_dependencies_are_bounded() -> None:
    """A new major version of a tool arrives when somebody looks."""
    for extra, requirements in project()["optional-dependencies"].items():
        for requirement in requirements:
            assert re.fullmatch(r"[\w.\[\]-]+>=[\d.]+,<[\d.]+", requirement), (extra, requirement)


def test_relative_links_lead_somewhere() -> None:
    """Documents outlive the files they name."""
    broken = [
        f"{path.relative_to(ROOT)}: {target}"
        for path in documents()
        for target in re.findall(r"\]\(([^)#\s]+)", path.read_text("utf-8"))
        if "://" not in target and not (path.parent / target).exists()
    ]

    assert not broken


def test_every_make_target_in_the_documents_exists() -> None:
    """And `make help` tells all of them."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    told = set(re.findall(r'@echo "make ([a-z-]+)', makefile))
    named = {
        target
        for path in documents()
        for target in re.findall(
            r"(?:^|`|&& )make ([a-z-]+)", path.read_text("utf-8"), re.MULTILINE
        )
    }

    assert named <= targets
    assert told == targets - {"help"}


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    """It would be wrong everywhere else, and tells more than it should."""
    homes = "home|Users|root|work|mnt"
    pattern = re.compile(rf"(?<![\w.}}-])/(?:{homes})/[\w.]".encode())
    found = [path.relative_to(ROOT) for path in files() if pattern.search(path.read_bytes())]

    assert not found


def test_the_ci_script_can_be_run() -> None:
    """It calls the README's own test command and forgives no skipped test."""
    script = (ROOT / ".ci/run").read_text("utf-8")

    assert os.access(ROOT / ".ci/run", os.X_OK)
    assert re.search(r"^CI=1 make test\b", script, re.MULTILINE)
    assert re.search(r"^make test$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)


def test_the_version_has_a_place_in_the_changelog() -> None:
    """Unreleased first, then the version that pyproject names."""
    headings = re.findall(
        r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), flags=re.MULTILINE
    )

    assert headings[:2] == ["Unreleased", project()["version"]]
