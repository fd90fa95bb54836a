"""Progress on stderr, and only on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from detector.hosts.inputs import total_bytes


@contextmanager
def reading(events: str, what: str, passes: int = 1) -> Iterator[Callable[[int, int], None] | None]:
    """Show how much of an input has been read, and the events read so far."""
    if not sys.stderr.isatty():
        yield None
        return
    total = total_bytes(events)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[lines]:,} events"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        size = None if total is None else total * passes
        task = bar.add_task(what, total=size, lines=0)
        yield lambda lines, n_bytes: bar.update(task, completed=n_bytes, lines=lines)


@contextmanager
def counting(what: str, total: int) -> Iterator[Callable[[int], None] | None]:
    """Show how many steps of a known number are done."""
    if not sys.stderr.isatty():
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)
