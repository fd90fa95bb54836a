"""All dashboards, and their files."""

from __future__ import annotations

from pathlib import Path

from detector.dashboards.employee import EMPLOYEE
from detector.dashboards.freshness import FRESHNESS
from detector.dashboards.model import Sources
from detector.dashboards.overview import OVERVIEW
from detector.dashboards.pipeline import PIPELINE
from detector.dashboards.quality import QUALITY
from detector.dashboards.render import rendered

DASHBOARDS = (OVERVIEW, QUALITY, EMPLOYEE, PIPELINE, FRESHNESS)


def files(sources: Sources) -> dict[str, str]:
    """Return the text of every dashboard's file, by its name."""
    return {f"{one.uid}.json": rendered(one, sources) for one in DASHBOARDS}


def write(folder: Path, sources: Sources) -> list[Path]:
    """Write every dashboard into a folder, which is made if need be; return the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, text in files(sources).items():
        paths.append(folder / name)
        paths[-1].write_text(text, "utf-8")
    return paths
