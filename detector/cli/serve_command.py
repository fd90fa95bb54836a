"""`detector serve` and what belongs to a console: accounts, the audit log, verdicts."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from detector.errors import OptionError

if TYPE_CHECKING:
    from detector.console.service import Console

_FINDINGS = 3
_STORE = click.option(
    "--store", required=True, help="sqlite:///file.db or postgresql://user@host/db"
)
_ROLES = ("viewer", "analyst", "investigator", "manager", "auditor", "admin")
_FILE = click.Path(path_type=Path)
_EVENTS_AT_ONCE = 500


@click.command()
@_STORE
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65_535))
@click.option("--policy", type=_FILE, help="Runbooks, titles and the budget (TOML).")
@click.option("--events", help="Stored events to show behind the alerts; read once, at the start.")
@click.option("--reference", type=_FILE, help="Folder of tables: leave, cover, approvals, groups.")
def serve(
    store: str,
    host: str,
    port: int,
    policy: Path | None,
    events: str | None,
    reference: Path | None,
) -> None:
    """Serve the console on a store of alerts. Settings: DETECTOR_CONSOLE_..."""
    from detector.console.settings import load_settings
    from detector.console.start import has_accounts, open_console

    settings = load_settings()
    console = open_console(store, settings, policy)
    if not has_accounts(console) and settings.oidc is None and not settings.proxy.roles:
        console.store.close()
        hint = "Make one: detector account LOGIN --role admin --store ..."
        raise OptionError("nobody could sign in", where=console.store.where, hint=hint)
    run_server(with_bank(console, events, reference), host, port)


def with_bank(console: Console, events: str | None, reference: Path | None) -> Console:
    """Read what the bank knows of its people, and store the events behind alerts anew."""
    from detector.console.staff import staff_book
    from detector.reference import load_reference

    known = load_reference(reference)
    console = replace(console, staff=staff_book(known))
    if events is None:
        return console
    from detector.console import events_behind
    from detector.hosts.events import decoded
    from detector.mapping import load_mapping

    limit = console.policy.limits.max_line_bytes
    batches = (chunk.batch for chunk in decoded(events, load_mapping(None), limit))
    with console.store.writing() as db:
        zone = console.policy.clock.default_time_zone
        zones = {b.name: b.time_zone for b in known.branches if b.time_zone is not None}
        n_events = events_behind.replace_all(db, batches, zones, zone)
    click.echo(f"{n_events:,} events behind the alerts stored", err=True)
    return replace(console, has_events=n_events > 0)


def run_server(console: Console, host: str, port: int) -> None:
    """Serve until stopped."""
    import uvicorn

    from detector.console.app import create_app

    click.echo(f"console on http://{host}:{port}/", err=True)
    with console.telemetry as telemetry:  # takes in what uvicorn and the database's client log
        telemetry.log.info("console begins", store=console.store.where, sinks=len(console.webhooks))
        uvicorn.run(
            create_app(console),
            host=host,
            port=port,
            log_level="warning",
            log_config=None,
            access_log=False,
            proxy_headers=False,  # trusted proxies are our own setting
            server_header=False,
            timeout_graceful_shutdown=3,  # live pages stay open as long as they can
        )
        telemetry.log.info("console ends")


@click.command()
@click.argument("login")
@_STORE
@click.option("--role", required=True, type=click.Choice(_ROLES), help="What they may do.")
@click.option("--name", help="What colleagues see; default: the login.")
@click.option("--branch", multiple=True, help="May see these only; repeatable. Default: all.")
def account(login: str, store: str, role: str, name: str | None, branch: tuple[str, ...]) -> None:
    """Make or change a local account; the password comes from a prompt, or a line on stdin."""
    from detector.console import journal
    from detector.console.journal_chain import Entry
    from detector.console.passwords import LEAST_LETTERS, is_acceptable
    from detector.console.people import NewAccount, save
    from detector.console.roles import Role
    from detector.console.service import wall_clock_ms
    from detector.store.console import ConsoleStore

    password = _password()
    if not is_acceptable(password):
        hint = f"Use {LEAST_LETTERS} letters or more"
        raise OptionError("is too short or far too long", where="password", hint=hint)
    branches = frozenset(branch) or None
    new = NewAccount(login, name or login, Role(role), branches, password)
    opened, now = ConsoleStore(store), wall_clock_ms()
    with opened.writing() as db:
        save(db, new, now)
        told = {"role": role, "way": "command line"}
        journal.add(db, Entry(0, now, "operator", "account.save", login, told, "", ""))
    opened.close()
    click.echo(f"account {login} is {role}", err=True)


def _password() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("password", hide_input=True, confirmation_prompt=True, err=True))
    return sys.stdin.readline().rstrip("\n")


@click.command("verify-log")
@_STORE
@click.option("--anchors", type=_FILE, help="Signed lines that were kept elsewhere.")
@click.option("--key", type=_FILE, help="Public key of the anchors (PEM, ed25519).")
@click.option("--json", "as_json", is_flag=True, help="Machine output on stdout.")
def verify_log(store: str, anchors: Path | None, key: Path | None, as_json: bool) -> None:
    """Prove that the audit log is whole, or name its first broken entry (exit code 3)."""
    from detector.cli.show import print_json
    from detector.console.verification import verify
    from detector.store.console import ConsoleStore

    if (anchors is None) != (key is None):
        raise OptionError("one is missing", where="--anchors, --key", hint="Give both, or neither")
    opened = ConsoleStore(store, reads_only=True)
    with opened.reading() as db:
        found = verify(db, anchors, key)
    opened.close()
    if as_json:
        print_json(found.to_json())
    else:
        click.echo(found.sentence())
    if not found.is_whole:
        sys.exit(_FINDINGS)


@click.group()
def verdicts() -> None:
    """What people decided, as the engine reads it."""


@verdicts.command("export")
@_STORE
@click.option("--after", default=0, show_default=True, help="Number of the last verdict known.")
def export(store: str, after: int) -> None:
    """Print verdicts as JSON lines, keyed by the person they are about, in order."""
    import orjson

    from detector.console.triage_actions import verdict_events
    from detector.store.console import ConsoleStore

    opened = ConsoleStore(store, reads_only=True)
    while True:
        rows: list[dict[str, Any]]
        with opened.reading() as db:
            rows = verdict_events(db, after, _EVENTS_AT_ONCE)
        for row in rows:
            click.echo(orjson.dumps(row).decode())
        if not rows:
            break
        after = rows[-1]["number"]
    opened.close()
