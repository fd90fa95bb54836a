"""What people do with alerts, sent on: signed webhooks, fed from the audit log.

The log is the queue, as the store is for alerts: a receiver that is slow or gone finds every act
there when it is back. Each sink's position is kept in the store; a new one begins with what
happens from then on. Of several consoles on one store, one at a time delivers.
"""

from __future__ import annotations

import secrets
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

from sqlalchemy import Connection, update
from sqlalchemy.exc import IntegrityError

from detector.console.acts import Acts
from detector.console.service import wall_clock_ms
from detector.errors import OptionError, StoreError
from detector.sinks import Outbox, Sink
from detector.store.console import ConsoleStore
from detector.store.settings import set_setting, setting_of
from detector.store.tables import setting
from detector.telemetry import Telemetry

_STREAM = "acts"
_EVERY_S = 1.0
_LEASE, _LEASE_MS, _RENEW_MS = "webhooks.lease", 30_000, 10_000
_NOT_HERE = ("format", "pseudonym_key_file", "pseudonym_key_env")
_MAX_FILE_BYTES = 100_000


def webhook_tables(path: Path) -> Mapping[str, Any]:
    """Read a file of ``[sinks.NAME]`` tables, each of kind webhook, written as in a pipeline file.

    Raises:
        OptionError: it cannot be read, or holds something else.
    """
    where, hint = f"DETECTOR_CONSOLE_WEBHOOKS {path}", "Write [sinks.NAME] with kind and url"
    try:
        with path.open("rb") as file:
            content = tomllib.loads(file.read(_MAX_FILE_BYTES).decode())
    except (OSError, ValueError) as error:
        what = f"cannot be read ({type(error).__name__})"
        raise OptionError(what, where=where, hint=hint) from None
    tables = content.get("sinks")
    if set(content) != {"sinks"} or not isinstance(tables, dict):
        raise OptionError("holds something else than sinks", where=where, hint=hint)
    for name, table in tables.items():
        if not isinstance(table, dict) or table.get("kind") != "webhook":
            hint = 'Set kind = "webhook"'
            raise OptionError("is no webhook", where=f"{where} sinks.{name}", hint=hint)
        for key in _NOT_HERE:
            if key in table:
                place, hint = f"{where} sinks.{name}.{key}", "Take it out: an act has one format"
                raise OptionError("is for alerts only", where=place, hint=hint)
    return tables


class Lease:
    """Which console delivers: who has asked last within half a minute."""

    def __init__(self, store: ConsoleStore, clock_ms: Callable[[], int]) -> None:
        self._store, self._clock_ms, self._me = store, clock_ms, secrets.token_hex(8)
        self._until_ms = 0

    def is_mine(self) -> bool:
        """Take the lease if it is free, or go on with it."""
        now = self._clock_ms()
        if now < self._until_ms - _LEASE_MS + _RENEW_MS:
            return True
        with self._store.writing() as db:
            is_mine = self._taken(db, now)
        self._until_ms = now + _LEASE_MS if is_mine else 0
        return is_mine

    def _taken(self, db: Connection, now: int) -> bool:
        mine = f"{self._me} {now + _LEASE_MS}"
        held = setting_of(db, _LEASE)
        if held is None:
            return _begun(db, mine, now)
        owner, until = held.split()
        if owner != self._me and now < int(until):
            return False
        still = (setting.c.name == _LEASE, setting.c.value == held)
        values = {"value": mine, "changed_by": "console", "changed_ms": now}
        return db.execute(update(setting).where(*still).values(**values)).rowcount == 1

    def end(self) -> None:
        """Let another console go on at once."""
        was_mine, self._until_ms = self._until_ms > 0, 0
        if was_mine:
            with self._store.writing() as db:
                values = {"value": f"{self._me} 0", "changed_ms": self._clock_ms()}
                mine = (setting.c.name == _LEASE, setting.c.value.startswith(self._me))
                db.execute(update(setting).where(*mine).values(**values))


def _begun(db: Connection, mine: str, now: int) -> bool:
    try:
        with db.begin_nested():
            set_setting(db, _LEASE, mine, now)
    except IntegrityError:
        return False  # another console was a moment earlier
    return True


class Postman:
    """The thread that feeds the sinks; ``start`` and ``close`` once each."""

    def __init__(
        self, acts: Acts, lease: Lease, sinks: Sequence[Sink], telemetry: Telemetry
    ) -> None:
        self._lease, self._log = lease, telemetry.log
        self._outbox = Outbox(acts, sinks, telemetry)
        self._follows = False
        self._stop = Event()
        self._thread = Thread(target=self._run, name="webhooks", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def close(self) -> None:
        """Give what is under way a moment, note what has arrived, stop."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(_EVERY_S):
            self._try(self._turn)
        self._try(self._outbox.close)
        self._try(self._lease.end)

    def _try(self, step: Callable[[], None]) -> None:
        try:
            step()
        except StoreError as error:
            self._log.warning("webhooks wait for the store", why=str(error))

    def _turn(self) -> None:
        is_mine = self._lease.is_mine()
        if is_mine and not self._follows:
            self._outbox.follow(_STREAM)
        elif self._follows and not is_mine:
            self._outbox.leave(_STREAM)
        self._follows = is_mine
        self._outbox.wake(_STREAM)
        self._outbox.turn()


@contextmanager
def delivering(
    store: ConsoleStore, sinks: Sequence[Sink], public_url: str, telemetry: Telemetry
) -> Iterator[None]:
    """Deliver acts while inside; without sinks, do nothing."""
    if not sinks:
        yield
        return
    acts, lease = Acts(store, public_url, wall_clock_ms), Lease(store, wall_clock_ms)
    postman = Postman(acts, lease, sinks, telemetry)
    postman.start()
    try:
        yield
    finally:
        postman.close()
