"""The console's side of a store: reads what the detector wrote, writes its own tables.

On PostgreSQL both are roles in one database. On SQLite the console's tables lie in a second file
(``alerts.db`` → ``alerts.console.db``) with a writer of its own; the detector's file is attached
read-only.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import QueuePool

from detector.errors import StoreError
from detector.store.address import SCHEME, address_of, is_postgresql, sqlite_path
from detector.store.migrations import scripts
from detector.store.postgresql import PostgresqlDatabase, connect, told
from detector.store.sqlite import lock_file, open_file

_READERS = 10
_WAIT_S = 10.0
_BUSY_TIMEOUT_S = 10.0


class ConsoleStore:
    """Connections for the console's queries; many threads may use it.

    Args:
        url: as for ``open_store``.
        reads_only: take no lock, so that a console may be running (SQLite).

    Raises:
        OptionError: the URL is wrong.
        StoreError: it cannot be used, or another console has it (SQLite).
    """

    def __init__(self, url: str, *, reads_only: bool = False) -> None:
        self._lock: IO[str] | None = None
        if is_postgresql(url):
            address = address_of(url)
            self.where = address.shown
            PostgresqlDatabase(address).close()  # the schema is this version's
            self._reader = self._writer = _engine(
                "postgresql+psycopg://", lambda: connect(address, autocommit=False), _READERS
            )
        else:
            path = sqlite_path(url)
            self.where = f"{SCHEME}{path}"
            refuse_another_schema(path)
            if not console_file(path).is_file() and reads_only:
                hint = "Begin with `detector serve` or `detector account`"
                raise StoreError("has no console yet", where=self.where, hint=hint)
            if not reads_only:
                self._lock = _own(console_file(path))
            self._reader = _engine("sqlite://", lambda: _attached(path, "ro"), _READERS)
            self._writer = _engine("sqlite://", lambda: _attached(path, "rw"), 1)
            event.listen(self._reader, "begin", lambda db: db.exec_driver_sql("begin"))
            event.listen(self._writer, "begin", lambda db: db.exec_driver_sql("begin immediate"))

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Read, on one snapshot of the data.

        Raises:
            StoreError: the database cannot be read; try again.
        """
        with self._using(self._reader) as db:
            if db.dialect.name == "postgresql":
                db.execute(text("set transaction isolation level repeatable read, read only"))
            yield db

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Write in one transaction: all of it happens or nothing.

        Raises:
            StoreError: the database cannot be written; nothing has been.
        """
        with self._using(self._writer) as db:
            yield db

    @contextmanager
    def _using(self, engine: Engine) -> Iterator[Connection]:
        try:
            with engine.begin() as db:
                yield db
        except PoolTimeoutError:
            what, hint = f"has been busy for {_WAIT_S:.0f} s", "Try again"
            raise StoreError(what, where=self.where, hint=hint) from None
        except (DBAPIError, psycopg.Error, sqlite3.Error) as error:
            what = f"cannot be used now ({told_of(error)})"
            raise StoreError(what, where=self.where, hint="Try again") from None

    def close(self) -> None:
        """Let go of all connections."""
        self._reader.dispose()
        self._writer.dispose()
        if self._lock is not None:
            self._lock.close()


def open_reader(url: str) -> ConsoleStore:
    """Open a store to read from, beside a console that may be running.

    On SQLite a store that no console has seen yet gets the console's empty tables first.

    Raises:
        OptionError, StoreError: as for ``ConsoleStore``.
    """
    if not has_console(url):
        ConsoleStore(url).close()
    return ConsoleStore(url, reads_only=True)


def refuse_another_schema(path: Path, dialect: str = "sqlite") -> None:
    """Refuse a SQLite file that this version cannot read.

    Args:
        path: the file.
        dialect: which schema it should hold, a folder of ``schema``.

    Raises:
        StoreError: it is missing, no database, or of another schema.
    """
    where = f"{SCHEME}{path}"
    if not path.is_file():
        what, hint = "does not exist", "Run the detector with this --store first"
        raise StoreError(what, where=where, hint=hint)
    known = len(scripts(dialect))
    try:
        with _opened(path, "ro") as db:
            (version,) = db.execute("pragma user_version").fetchone()
    except sqlite3.DatabaseError as error:
        what = f"cannot be used ({error})"
        raise StoreError(what, where=where, hint="Name another file") from None
    if version != known:
        what = f"has schema {version}, this version needs {known}"
        hint = "Run `detector store init` with this --store, or use the version that wrote it"
        raise StoreError(what, where=where, hint=hint)


def _own(file: Path) -> IO[str]:
    """Take the lock of the console's file, and bring its schema to this version's."""
    lock = lock_file(file)
    try:
        open_file(file, "sqlite_console").close()
    except StoreError:
        lock.close()
        raise
    return lock


def has_console(url: str) -> bool:
    """Tell whether a store has the console's tables; on SQLite they are a file of their own."""
    return is_postgresql(url) or console_file(sqlite_path(url)).is_file()


def console_file(path: Path) -> Path:
    """Return the console's file beside the detector's.

    >>> console_file(Path("bank/alerts.db")).name
    'alerts.console.db'
    """
    return path.with_name(f"{path.name.removesuffix('.db')}.console.db")


def _engine(dialect: str, creator: Any, size: int) -> Engine:
    return create_engine(
        dialect,
        creator=creator,
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=0,
        pool_timeout=_WAIT_S,
        pool_pre_ping=True,  # a restarted server costs nobody a page
        hide_parameters=True,  # names and comments stay out of errors and logs
    )


@contextmanager
def _opened(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True)
    try:
        yield db
    finally:
        db.close()


def _attached(path: Path, mode: str) -> sqlite3.Connection:
    """Open the console's file, and the detector's beside it, which it cannot write."""
    own, theirs = console_file(path).absolute().as_uri(), path.absolute().as_uri()
    db = sqlite3.connect(
        f"{own}?mode={mode}", uri=True, timeout=_BUSY_TIMEOUT_S, isolation_level=None,
        check_same_thread=False,
    )  # fmt: skip
    db.execute("attach ? as detector", (f"{theirs}?mode=ro",))
    db.execute("pragma synchronous = full")  # a verdict that was confirmed stays
    db.execute("pragma foreign_keys = on")
    return db


def told_of(error: Exception) -> str:
    """Say what happened in one line, without statements and values."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, psycopg.Error):
        return told(cause)
    return " ".join(str(cause).split()) or type(cause).__name__
