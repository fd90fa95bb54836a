"""The machine: room on the disks, limits of the process, compiled code."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

from detector.compiled import CACHE, IS_KEPT
from detector.hosts.doctor_finding import Finding
from detector.hosts.live_pipeline import Pipeline
from detector.store.address import SCHEME

_LITTLE_BYTES, _TOO_LITTLE_BYTES = 5 << 30, 200 << 20
_FEW_FILES = 1_024
_LITTLE_MEMORY_BYTES = 1 << 30
_CGROUP_MEMORY = Path("/sys/fs/cgroup/memory.max")


def examine_machine(pipeline: Pipeline) -> Iterator[Finding]:
    """Look at what only shows when it is too late."""
    for folder in sorted(set(_folders(pipeline))):
        yield _room(folder)
    yield _open_files(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    yield from _memory(_CGROUP_MEMORY)
    if not IS_KEPT:
        what = "cannot be written: every start compiles for half a minute"
        remedy = "Make it writable or set XDG_CACHE_HOME"
        yield Finding("machine", "warning", str(CACHE), what, remedy)


def _folders(pipeline: Pipeline) -> Iterator[Path]:
    """Yield the folders that grow."""
    if pipeline.store is not None and pipeline.store.startswith(SCHEME):
        yield Path(pipeline.store.removeprefix(SCHEME)).parent
    if pipeline.dead_letters.file is not None:
        yield pipeline.dead_letters.file.parent
    for table in pipeline.sinks.values():
        if isinstance(table, dict) and isinstance(table.get("path"), str):
            yield Path(table["path"]).parent


def _room(folder: Path) -> Finding:
    there = next(parent for parent in (folder.absolute(), *folder.absolute().parents)
                 if parent.exists())  # fmt: skip
    free = shutil.disk_usage(there).free
    what = f"{free / (1 << 30):,.1f} GiB free"
    if free > _LITTLE_BYTES:
        return Finding("machine", "ok", str(folder), what)
    level = "error" if free < _TOO_LITTLE_BYTES else "warning"
    remedy = "Make room: a full disk stops checkpoints"
    return Finding("machine", level, str(folder), what, remedy)  # type: ignore[arg-type]


def _open_files(limit: int) -> Finding:
    if limit == resource.RLIM_INFINITY or limit >= _FEW_FILES:
        return Finding("machine", "ok", "ulimit -n", f"{limit} open files are allowed")
    what, remedy = f"only {limit} open files are allowed", f"Allow at least {_FEW_FILES}"
    return Finding("machine", "warning", "ulimit -n", what, remedy)


def _memory(cgroup: Path) -> Iterator[Finding]:
    """Read the limit of a container, if there is one."""
    text = cgroup.read_text("ascii").strip() if cgroup.is_file() else "max"
    if text.isdigit() and int(text) < _LITTLE_MEMORY_BYTES:
        what = f"the container may use {int(text) / (1 << 20):,.0f} MiB"
        remedy = "A hundred thousand people need about 1 GiB; see `detector_state_bytes`"
        yield Finding("machine", "warning", str(cgroup), what, remedy)
