"""What can be known of the image where no container engine runs."""

from __future__ import annotations

import re
import shlex
import tomllib
from fnmatch import fnmatch

import pytest

from detector.cli.main import cli
from tests.conftest import ROOT


def instructions() -> list[tuple[str, str]]:
    """(keyword, rest) of every instruction, continuation lines joined."""
    text = (ROOT / "docker/Dockerfile").read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [
        (line.split(maxsplit=1)[0], line.split(maxsplit=1)[1])
        for line in joined.splitlines()
        if line.strip()
    ]


def arguments(keyword: str) -> list[str]:
    """The rest of every instruction of one kind, in order."""
    return [rest for name, rest in instructions() if name == keyword]


def commands() -> list[list[str]]:
    """Every command of every RUN, as words."""
    return [shlex.split(part) for rest in arguments("RUN") for part in rest.split("&&")]


def copied() -> list[str]:
    """Paths that come from the repository."""
    rests = [rest.split() for rest in arguments("COPY") if "--from=" not in rest]
    return [word for words in rests for word in words[:-1] if not word.startswith("--")]


def test_everything_copied_exists() -> None:
    """A moved file would fail only where the image is built."""
    assert copied()
    assert not [path for path in copied() if not (ROOT / path).exists()]


def test_the_ignore_file_lets_through_what_is_copied_and_nothing_else() -> None:
    """The context is small, and no file of a developer's machine gets into a layer."""
    rules = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    allowed = [rule[1:] for rule in rules if rule.startswith("!")]

    assert "*" in rules
    assert sorted(allowed) == sorted(path.removeprefix("./") for path in copied())
    assert any(fnmatch("detector/__pycache__", rule.replace("**", "*")) for rule in rules)


def test_base_images_have_a_fixed_tag_and_one_python() -> None:
    """`latest` is another image tomorrow; compiled code belongs to one Python."""
    images = {rest.split()[0] for rest in arguments("FROM")}

    assert len(images) == 1
    (image,) = images
    assert re.fullmatch(r"python:3\.\d+-slim-[a-z]+", image)
    version = image.removeprefix("python:").split("-")[0]
    assert set(re.findall(r"/python(3\.\d+)/", str(instructions()))) == {version}


def test_it_does_not_run_as_root() -> None:
    """The last user counts, by number: Kubernetes cannot check a name."""
    user = arguments("USER")[-1]

    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)
    assert instructions().index(("USER", user)) > max(
        i for i, (name, _) in enumerate(instructions()) if name == "FROM"
    )


def test_dependencies_are_installed_by_hash_and_ours_without_any() -> None:
    """What is in the image is what was tested."""
    installs = [words for words in commands() if "pip" in words and "install" in words]
    by_hash = [words for words in installs if "--require-hashes" in words]
    ours = [words for words in installs if "--no-deps" in words]

    assert [words[-1] for words in by_hash] == ["constraints.txt"]
    assert len(by_hash) + len(ours) == len(installs)


def test_the_commands_it_runs_exist_with_their_options() -> None:
    """The warm-up and the entry point are commands of this version."""
    ours = [words for words in commands() if words[0].rsplit("/", 1)[-1] == "detector"]
    assert ours
    for _, name, *options in ours:
        cli.commands[name].make_context(name, list(options))
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]

    assert arguments("ENTRYPOINT") == [f'["{name}"]' for name in scripts]


@pytest.mark.parametrize("name", ["XDG_CACHE_HOME", "NUMBA_CPU_NAME"])
def test_both_stages_agree_on_the_compiled_code(name: str) -> None:
    """Another folder or processor at run time would throw the warm-up away, silently."""
    values = re.findall(rf"{name}=(\S+)", " ".join(arguments("ENV")))

    assert len(values) == 2
    assert len(set(values)) == 1
    if name == "XDG_CACHE_HOME":
        assert arguments("VOLUME") == [f'["{values[0]}"]']
