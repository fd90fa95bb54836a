"""`detector dashboards`: Grafana's pages, as files or straight to a server."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from detector.dashboards.model import Sources
from detector.errors import OptionError

if TYPE_CHECKING:
    from detector.dashboards.push import Mark

_DEFAULT = Sources()
_PAGE = 500
_MAX_MARKS = 5_000


def _with_sources(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say where data and console are; the command gets ``sources``."""

    @functools.wraps(command)
    def run(console_url: str, postgresql: str, prometheus: str, **options: object) -> None:
        command(sources=_sources(console_url, postgresql, prometheus), **options)

    told = {
        "--console-url": (_DEFAULT.console_url, "Where links lead."),
        "--postgresql": (_DEFAULT.postgresql, "Uid of the data source."),
        "--prometheus": (_DEFAULT.prometheus, "Uid of the data source."),
    }
    for name, (default, words) in reversed(told.items()):
        run = click.option(name, default=default, show_default=True, help=words)(run)
    return run


@click.group()
def dashboards() -> None:
    """Build the Grafana dashboards, or bring them to a server."""


@dashboards.command()
@click.argument("folder", type=click.Path(path_type=Path))
@_with_sources
def build(folder: Path, sources: Sources) -> None:
    """Write one JSON file a dashboard into FOLDER."""
    from detector.dashboards.catalogue import write

    for path in write(folder, sources):
        click.echo(path)


@dashboards.command()
@click.option("--store", help="Also mark the alerts of this store on the server's time axes.")
@click.option(
    "--severity",
    "severities",
    multiple=True,
    default=("critical", "high"),
    show_default=True,
    help="Of which alerts to mark; repeatable.",
)
@click.option(
    "--days", default=30, show_default=True, type=click.IntRange(1, 3_650), help="How far back."
)
@_with_sources
@click.option("--json", "as_json", is_flag=True, help="Machine output on stdout.")
def push(
    store: str | None,
    severities: tuple[str, ...],
    days: int,
    sources: Sources,
    as_json: bool,
) -> None:
    """Bring the dashboards to the server of DETECTOR_GRAFANA_URL; again changes nothing."""
    from detector.cli.show import print_json
    from detector.dashboards.push import push_dashboards, push_marks
    from detector.dashboards.server import GrafanaServer, grafana_settings

    server = GrafanaServer(grafana_settings())
    done = {"dashboards": push_dashboards(server, sources)}
    if store is not None:
        marks = _marks(store, severities, days, sources.console_url)
        done["annotations"] = push_marks(server, marks)
    if as_json:
        print_json({name: asdict(pushed) for name, pushed in done.items()})
        return
    for name, pushed in done.items():
        click.echo(f"{name}: {pushed.made} new, {pushed.changed} changed, {pushed.same} unchanged")


def _sources(console_url: str, postgresql: str, prometheus: str) -> Sources:
    if not console_url.startswith(("http://", "https://")) or set(console_url) & set("\"'<>$ "):
        hint = "Write it as https://console.bank.example"
        raise OptionError("is no address of a page", where="--console-url", hint=hint)
    return Sources(postgresql, prometheus, console_url.rstrip("/"))


def _marks(url: str, severities: tuple[str, ...], days: int, console_url: str) -> list[Mark]:
    """Read the newest alerts; says so if there are more than the limit."""
    import time
    from contextlib import closing

    from detector.dashboards.push import marks_of
    from detector.store.console import open_reader
    from detector.store.queries import Filter, list_alerts

    since_ms = (time.time_ns() // 1_000_000) - days * 86_400_000
    which = Filter(severities=severities, since_ms=since_ms)
    rows: list[dict[str, object]] = []
    cursor = None
    with closing(open_reader(url)) as store, store.reading() as db:
        while len(rows) < _MAX_MARKS:
            page = list_alerts(db, which, "time", cursor, _PAGE)
            rows += page.rows
            cursor = page.next_cursor
            if cursor is None:
                return marks_of(rows, console_url)
    click.echo(f"only the newest {_MAX_MARKS:,} alerts are marked: choose fewer --days", err=True)
    return marks_of(rows, console_url)
