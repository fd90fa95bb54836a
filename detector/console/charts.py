"""Small charts as SVG made here: no script, no inline style, sizes in percent, words beside them.

Every function returns markup whose texts are escaped; positions are shares of the width, so that a
chart fits a phone and a wall without shrinking its letters.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from markupsafe import Markup

_ROW_PX, _GAP_PX = 16, 2
_LEVELS = 5


def _svg(css: str, height: int, parts: Iterable[Markup], label: str) -> Markup:
    head = Markup('<svg class="chart {}" width="100%" height="{}" role="img" aria-label="{}">')
    return head.format(css, height, label) + Markup("").join(parts) + Markup("</svg>")


def _rect(css: str, x: float, y: float, size: tuple[float, float], title: str = "") -> Markup:
    width, height = size
    text = Markup("<title>{}</title>").format(title) if title else Markup("")
    head = Markup('<rect class="{}" x="{:.2f}%" y="{:.1f}" width="{:.2f}%" height="{:.1f}" rx="2">')
    return head.format(css, x, y, max(width, 0.3), height) + text + Markup("</rect>")


def level(share: float) -> int:
    """Return how dark a cell is, 0 to 5; nothing at all is 0.

    >>> level(0.0), level(0.01), level(1.0)
    (0, 1, 5)
    """
    return 0 if share <= 0 else min(_LEVELS, 1 + int(share * _LEVELS))


def ladder(value: float, highest: float) -> float:
    """Return where a count stands, in percent of the width; logarithmic: 9 and 900 both show.

    >>> ladder(0, 100), ladder(100, 100)
    (0.0, 100.0)
    """
    return 100.0 * math.log1p(max(value, 0.0)) / math.log1p(max(highest, 1.0))


def band(span: tuple[float, float], observed: float, highest: float, label: str) -> Markup:
    """Draw a usual range and where today stands against it."""
    low, high = (ladder(edge, highest) for edge in span)
    at = ladder(observed, highest)
    outside = _rect("over", high, 7, (at - high, 6)) if at > high else Markup("")
    dot = Markup('<circle class="dot" cx="{:.2f}%" cy="10" r="6"/>').format(min(max(at, 1), 99))
    parts = [_rect("track", 0, 7, (100, 6)), _rect("usual", low, 7, (high - low, 6)), outside, dot]
    return _svg("band", 20, parts, label)


def bar(share: float, css: str, label: str) -> Markup:
    """Draw one bar, ``share`` 0 to 1 of the width."""
    filled = _rect(css, 0, 3, (100 * min(max(share, 0), 1), 8)) if share > 0 else Markup("")
    return _svg("bar", 14, [_rect("track", 0, 3, (100, 8)), filled], label)


def hours_of_days(
    rows: Sequence[tuple[str, Sequence[int], frozenset[int]]], label: str, cell: str
) -> Markup:
    """Draw days (rows) by hours (24 columns), darker for more; marked hours have a ring.

    Args:
        rows: (day's label, 24 counts, marked hours), oldest first.
        label: what the picture says, for those who cannot see it.
        cell: text of a cell with ``{day}``, ``{hour}`` and ``{n}``.
    """
    highest = max((max(counts) for _, counts, _ in rows), default=0)
    parts = []
    for row, (day, counts, marked) in enumerate(rows):
        for hour, n in enumerate(counts):
            css = f"h{level(n / highest) if highest else 0}" + (" marked" if hour in marked else "")
            size = (100 / 24 - 0.35, _ROW_PX - _GAP_PX)
            title = cell.format(day=day, hour=f"{hour:02d}", n=n)
            parts.append(_rect(css, hour * 100 / 24 + 0.15, row * _ROW_PX + 1, size, title))
    return _svg("heat", max(len(rows), 1) * _ROW_PX, parts, label)


def columns(counts: Sequence[int], titles: Sequence[str], label: str, height: int = 56) -> Markup:
    """Draw one column a count."""
    highest, width = max(counts, default=0) or 1, 100 / max(len(counts), 1)
    parts = [
        _rect(
            "c0",
            i * width + width * 0.1,
            height - (h := n / highest * (height - 2)),
            (width * 0.8, h),
            title,
        )
        for i, (n, title) in enumerate(zip(counts, titles, strict=True))
        if n > 0
    ]
    return _svg("columns", height, parts, label)


def stacks(
    days: Sequence[tuple[str, Sequence[int]]], names: Sequence[str], label: str, height: int = 150
) -> Markup:
    """Draw a column a day, stacked by name; the n-th name has the colour ``cn``."""
    highest = max((sum(counts) for _, counts in days), default=0) or 1
    width, parts = 100 / max(len(days), 1), []
    for i, (day, counts) in enumerate(days):
        top = float(height)
        for k, (name, n) in enumerate(zip(names, counts, strict=True)):
            if n > 0:
                tall = n / highest * (height - 4)
                top -= tall
                size = (width * 0.76, max(tall - 1, 1))
                parts.append(
                    _rect(f"c{k}", i * width + width * 0.12, top, size, f"{day} · {name} · {n}")
                )
    return _svg("stacks", height, parts, label)


def trend(values: Sequence[float], label: str, height: int = 64) -> Markup:
    """Draw a line over equally spaced values, filled below; the picture may be stretched."""
    highest, last = max([*values, 1e-9]), max(len(values) - 1, 1)
    points = [
        f"{100 * i / last:.2f},{height - 2 - value / highest * (height - 6):.2f}"
        for i, value in enumerate(values)
    ]
    area = Markup('<polygon class="area" points="0,{h} {p} 100,{h}"/>').format(
        h=height, p=" ".join(points)
    )
    line = Markup('<polyline class="line" points="{}"/>').format(" ".join(points))
    head = Markup(
        '<svg class="chart trend" width="100%" height="{h}" viewBox="0 0 100 {h}" '
        'preserveAspectRatio="none" role="img" aria-label="{label}">'
    ).format(h=height, label=label)
    return head + area + line + Markup("</svg>")
