"""Medians → rows with target and measured → a table or JSON."""

from __future__ import annotations

import json
import platform
import statistics
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from detector.detections import DETECTORS
from tests.performance.measures import Numbers


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; ``met`` is None where nothing was promised."""

    what: str
    measured: str
    target: str
    met: bool | None
    value: float


@dataclass(frozen=True, slots=True)
class Size:
    """How much was measured."""

    n_events: int
    n_crowd_events: int
    crowds: tuple[int, int]


def medians(rounds: list[Numbers]) -> Numbers:
    """Median of each number over the rounds; of a ratio, the median of the rounds' ratios."""
    for numbers in rounds:
        for policy in ("three", "ten"):
            numbers[f"times_usual_{policy}"] = numbers["usual_s"] / numbers[f"replay_{policy}_s"]
        numbers["times_slower"] = numbers["many_three_s"] / numbers["few_three_s"]
        for name in DETECTORS:
            less = numbers[f"ablation_without_{name}_s"] / numbers["ablation_ten_s"]
            numbers[f"share_{name}"] = 100.0 * (1.0 - less)
    return {name: statistics.median(r[name] for r in rounds) for name in rounds[0]}


def rows_of(found: Numbers, size: Size) -> list[Row]:
    """Put what was found beside what was promised."""
    n, few, many = size.n_events, *size.crowds

    def rate(what: str, name: str, target: float | None = None, events: int = n) -> Row:
        return _row(what, events / found[name], "{:,.0f} events/s", target, at_least=True)

    def number(what: str, name: str, text: str, target: float | None, *, least: bool) -> Row:
        return _row(what, found[name], text, target, at_least=least)

    crowd = size.n_crowd_events
    times, size_of, seconds = "{:.1f} ×", "{:,.0f} bytes", "{:.2f} s"
    return [
        rate("3 detectors: replay, JSON lines to stored alerts", "replay_three_s", 150_000),
        number("… against the usual loop", "times_usual_three", times, 3.0, least=True),
        rate("… step alone, the same file", "step_three_s", 1_000_000),
        rate(f"… step alone, {few:,} users at random", "few_three_s", 1_000_000, crowd),
        rate(f"… step alone, {many:,} users at random", "many_three_s", None, crowd),
        number("… many users against few: slower", "times_slower", times, 4.0, least=False),
        number("… state per active user", "state_three_bytes", size_of, 3_072.0, least=False),
        number("… the same with room to grow", "held_three_bytes", size_of, None, least=False),
        rate("10 detectors: replay, JSON lines to stored alerts", "replay_ten_s"),
        number("… against the usual loop", "times_usual_ten", times, None, least=True),
        rate("… step alone, the same file", "step_ten_s", 500_000),
        rate(f"… step alone, {few:,} users at random", "few_ten_s", 500_000, crowd),
        number("… state per active user", "state_ten_bytes", size_of, 8_192.0, least=False),
        number("… the same with room to grow", "held_ten_bytes", size_of, None, least=False),
        number("… checkpoint of everything", "checkpoint_s", seconds, None, least=False),
        number("… in the store", "checkpoint_bytes", size_of, None, least=False),
        *(
            number(
                f"… step is faster without {name} by",
                f"share_{name}",
                "{:.0f} %",
                None,
                least=False,
            )
            for name in DETECTORS
        ),
        rate("the usual loop", "usual_s"),
        rate("decode alone", "decode_s"),
        number("decode and step of a batch of one event", "small_s", "{:.5f} s", None, least=False),
        number("detector --help, wall clock", "help_s", seconds, 0.5, least=False),
    ]


def _row(what: str, value: float, text: str, target: float | None, *, at_least: bool) -> Row:
    if target is None:
        return Row(what, text.format(value), "", None, value)
    met = value >= target if at_least else value <= target
    return Row(
        what, text.format(value), ("≥ " if at_least else "≤ ") + text.format(target), met, value
    )


def machine() -> dict[str, Any]:
    """Say where and when this was measured."""
    cpu = [line for line in _cpu_lines() if line.startswith("model name")]
    return {
        "date": datetime.now(tz=UTC).date().isoformat(),
        "cpu": cpu[0].split(":", 1)[1].strip() if cpu else platform.processor(),
        "cores": len(cpu) or None,
        "python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "numba", "orjson")},
    }


def _cpu_lines() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text("utf-8").splitlines() if path.exists() else []


def show(rows: list[Row], title: str) -> None:
    """Print the table."""
    table = Table("measured", "value", "target", "", title=title, title_justify="left")
    for row in rows:
        mark = "" if row.met is None else "met" if row.met else "short"
        table.add_row(row.what, row.measured, row.target, mark)
    Console(width=100).print(table)
    print(", ".join(f"{name} {value}" for name, value in machine().items()))


def show_json(rows: list[Row], size: Size, n_rounds: int) -> None:
    """Print one JSON object."""
    content = {
        "machine": machine(),
        "size": asdict(size),
        "rounds": n_rounds,
        "rows": [asdict(row) for row in rows],
    }
    print(json.dumps(content, indent=2, ensure_ascii=False))
