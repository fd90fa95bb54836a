"""What our dashboards are made of: questions, panels, variables; a part of Grafana's model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["stat", "timeseries", "table", "bargauge"]
Step = tuple[float | None, str]
"""From this value on, this colour; None: from the start."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What differs between servers: where the data is, and where the console is."""

    postgresql: str = "detector-postgresql"
    prometheus: str = "detector-prometheus"
    console_url: str = "http://localhost:8080"


@dataclass(frozen=True, slots=True)
class Sql:
    """A question to the store's views, with Grafana's macros and variables in it."""

    text: str
    is_series: bool = False


@dataclass(frozen=True, slots=True)
class PromQl:
    """A question to Prometheus; ``legend`` names a series by its labels."""

    text: str
    legend: str = ""
    instant: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """Where a click on a cell leads."""

    title: str
    url: str


@dataclass(frozen=True, slots=True)
class Column:
    """How one column or series is shown; ``name`` is that of the query."""

    name: str
    title: str = ""
    unit: str = ""
    width: int = 0
    color: str = ""
    link: Link | None = None
    as_bar: bool = False
    is_hidden: bool = False
    decimals: int | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture; widths are of 24, heights of 30 pixels. Links are those of every cell."""

    kind: Kind
    title: str
    queries: tuple[Sql | PromQl, ...]
    width: int = 12
    height: int = 8
    description: str = ""
    unit: str = "short"
    columns: tuple[Column, ...] = ()
    links: tuple[Link, ...] = ()
    steps: tuple[Step, ...] = ((None, "blue"),)
    as_bars: bool = False
    stacked: bool = False
    decimals: int | None = None


@dataclass(frozen=True, slots=True)
class Variable:
    """What a reader can choose; with ``many`` several values, or all of them."""

    name: str
    title: str
    query: Sql | PromQl
    many: bool = True


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A page; ``uid`` is its address and stays the same for ever."""

    uid: str
    title: str
    description: str
    panels: tuple[Panel, ...]
    variables: tuple[Variable, ...] = ()
    marks_alerts: bool = False
    since: str = "now-30d"
    refresh: str = "1m"
