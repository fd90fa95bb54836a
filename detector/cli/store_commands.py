"""`detector store`: tables, backup, restore, archive."""

from __future__ import annotations

import json
from pathlib import Path

import click

_FILE = click.Path(path_type=Path)
_STORE = click.option(
    "--store",
    "url",
    required=True,
    help="sqlite:///path/file.db or postgresql://user@host/database.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Machine output on stdout.")


@click.group()
def store() -> None:
    """Make, save, restore and thin out the store of alerts and checkpoints."""


@store.command()
@_STORE
@click.option("--roles", is_flag=True, help="PostgreSQL: make the three roles and their grants.")
@_JSON
def init(url: str, roles: bool, as_json: bool) -> None:
    """Make the tables, or bring them to this version's schema."""
    from detector.errors import OptionError
    from detector.store.address import is_postgresql
    from detector.store.roles import ROLES
    from detector.store.whole import grant_roles, prepare

    if roles and not is_postgresql(url):
        hint = "Leave it out: SQLite knows no roles, file rights decide"
        raise OptionError("is for PostgreSQL only", where="--roles", hint=hint)
    prepare(url)
    if roles:
        grant_roles(url)
    made = list(ROLES) if roles else []
    if as_json:
        click.echo(json.dumps({"ready": True, "roles": made}))
        return
    click.echo("the store is ready")
    if made:
        click.echo(f"roles: {', '.join(made)}. None has a password yet: set one with \\password.")


@store.command()
@click.argument("file", type=_FILE)
@_STORE
@_JSON
def backup(file: Path, url: str, as_json: bool) -> None:
    """Write the whole store to FILE while it is in use."""
    from detector.store.backup import back_up

    _show(back_up(url, file), f"saved to {file}", as_json=as_json)


@store.command()
@click.argument("file", type=_FILE)
@_STORE
@_JSON
def restore(file: Path, url: str, as_json: bool) -> None:
    """Bring FILE of a backup into an empty store, of either database."""
    from detector.store.backup import restore as bring_back

    _show(bring_back(url, file), f"restored from {file}", as_json=as_json)


@store.command()
@click.option("--older-than", "days", type=click.IntRange(1), required=True, help="Days to keep.")
@click.option("--to", "folder", type=_FILE, required=True, help="Folder of the Parquet files.")
@click.option(
    "--undelivered-too", is_flag=True, help="Also days a sink still waits for: it never gets them."
)
@_STORE
@_JSON
def archive(days: int, folder: Path, undelivered_too: bool, url: str, as_json: bool) -> None:
    """Move old alerts, with what was done about them, to Parquet files; run it again any time."""
    from datetime import UTC, datetime, timedelta

    from detector.store.archive import archive as move

    before = datetime.now(tz=UTC).date() - timedelta(days=days)
    done = move(url, before, folder, undelivered_too=undelivered_too)
    for sink, day in done.waiting.items():
        click.echo(f"{sink} has not delivered alerts of {day}: days from then on stay", err=True)
    _show(done.rows, f"moved to {folder}", as_json=as_json)


def _show(rows: dict[str, int], what: str, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"rows": rows}))
        return
    for name, n_rows in rows.items():
        if n_rows:
            click.echo(f"{name:16} {n_rows:12,} rows")
    click.echo(what)
