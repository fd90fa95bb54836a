"""Settings → a console that can be served."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select

from detector.console import events_behind
from detector.console.journal import Anchors
from detector.console.pdf import find_font
from detector.console.pseudonyms import Pseudonyms
from detector.console.service import Console
from detector.console.settings import ConsoleSettings
from detector.console.webhooks import webhook_tables
from detector.errors import OptionError
from detector.policy import load_policy
from detector.sinks import open_sinks
from detector.store.console import ConsoleStore
from detector.store.settings import set_setting, setting_of
from detector.store.tables import account
from detector.telemetry import Logs, Metrics, Telemetry

_BUDGET = "daily_budget"


def open_console(url: str, settings: ConsoleSettings, policy: Path | None) -> Console:
    """Open the store and return the console on it.

    Raises:
        OptionError, PolicyError, StoreError: something cannot be used.
    """
    loaded, anchors = load_policy(policy), _anchors(settings)
    font = find_font(settings.pdf_font)
    tables = {} if settings.webhooks is None else webhook_tables(settings.webhooks)
    telemetry = Telemetry(
        Metrics(sinks=tables), address=None, logs=Logs(secrets=_secrets(settings))
    )
    sinks = tuple(open_sinks(tables, telemetry.redact.hide))
    store = ConsoleStore(url)
    with store.reading() as db:
        has_events = events_behind.are_stored(db)
    key = settings.pseudonym_key.get_secret_value().encode()
    parts = (store, settings, loaded, Pseudonyms(key), anchors, has_events, font)
    console = Console(*parts, webhooks=sinks, telemetry=telemetry)
    _tell_budget(console)
    with store.reading() as db:
        console.directory.branches(db)  # reads what there is before anybody waits for it
    return console


def _secrets(settings: ConsoleSettings) -> tuple[str, ...]:
    """Return what no log line may hold."""
    known = [settings.session_key, settings.pseudonym_key]
    if settings.oidc is not None:
        known.append(settings.oidc.client_secret)
    return tuple(secret.get_secret_value() for secret in known)


def _tell_budget(console: Console) -> None:
    """Write the budget where the dashboards look for it, so that both hold back the same."""
    budget = str(console.budget)
    with console.store.writing() as db:
        if setting_of(db, _BUDGET) != budget:
            set_setting(db, _BUDGET, budget, console.clock_ms())


def _anchors(settings: ConsoleSettings) -> Anchors | None:
    if settings.anchor_file is None and settings.anchor_key_file is None:
        return None
    if settings.anchor_file is None or settings.anchor_key_file is None:
        hint = "Set both, or neither"
        where = "DETECTOR_CONSOLE_ANCHOR_FILE and DETECTOR_CONSOLE_ANCHOR_KEY_FILE"
        raise OptionError("one of the two is missing", where=where, hint=hint)
    every = settings.anchor_every_entries
    return Anchors(settings.anchor_key_file, settings.anchor_file, every)


def has_accounts(console: Console) -> bool:
    """Tell whether anybody could sign in."""
    with console.store.reading() as db:
        return db.execute(select(account.c.name).limit(1)).first() is not None
