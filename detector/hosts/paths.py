"""What a run writes must be none of what it reads, nor any of the rest that it writes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from detector.errors import OptionError

_STDIN = Path("/dev/stdin")  # leads to the file behind `< events.jsonl`
_HINT = "Name another file for the output"

Named = tuple[str, Path]
"""The option (or argument) that names a path, and the path."""


def refuse_overwriting(
    outputs: Sequence[Named], inputs: Iterable[Named], folder: Path | None
) -> None:
    """Tell before anything is opened that an output would destroy something.

    Args:
        outputs: all files that will be written.
        inputs: all files that will be read.
        folder: the folder of events, if the input is one: what is written into it would be
            read as events the next time.

    Raises:
        OptionError: two of the paths are one file, by whatever name or link.
    """
    for at, (option, path) in enumerate(outputs):
        for other, taken in (*inputs, *outputs[:at]):
            if _is_same(path, taken):
                what = f"{path} is {_named(other, taken)} too and would be overwritten"
                raise OptionError(what, where=option, hint=_HINT)
        if folder is not None and _real(path).is_relative_to(_real(folder)):
            what = f"{path} lies inside the folder of events {folder}"
            raise OptionError(what, where=option, hint=_HINT)


def stdin_file() -> list[Path]:
    """Return a path to whatever stdin is, where the system has one."""
    return [_STDIN] if _STDIN.exists() else []


def _named(option: str, path: Path) -> str:
    return option if path == _STDIN else f"{option} {path}"


def _is_same(one: Path, other: Path) -> bool:
    """Tell whether two paths lead to one file, whether or not it exists yet."""
    try:
        return one.samefile(other)
    except OSError:
        return _real(one) == _real(other)


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
