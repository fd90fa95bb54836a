"""The embedded database: one SQLite file, write-ahead log, one writer."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, TypeVar

from detector.errors import StoreError
from detector.store.address import SCHEME
from detector.store.database import Transaction, Values
from detector.store.migrations import refuse_newer, scripts

_BUSY_TIMEOUT_S = 30.0
_DATABASE_PAGE_BYTES = 32_768  # a state page is a long value: 4 KB pages took twice the time
# sqlite3 cannot even put some messages about a damaged schema into words
_DAMAGED = (sqlite3.DatabaseError, UnicodeDecodeError)

T = TypeVar("T")


def lock_file(path: Path) -> IO[str]:
    """Take the lock of a database file; the system frees it even after kill -9.

    Raises:
        StoreError: another process has it.
    """
    where = f"{SCHEME}{path}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = Path(f"{path}.lock").open("a", encoding="utf-8")  # noqa: SIM115  kept open
    except OSError as error:
        what = f"cannot be used ({error.strerror})"
        raise StoreError(what, where=where, hint="Check path and rights") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        hint = "Wait for it, or name another store"
        raise StoreError("is in use by another process", where=where, hint=hint) from None
    return lock


def open_file(path: Path, dialect: str) -> sqlite3.Connection:
    """Open a database file (mode 0600, made if missing) and bring its schema to this version's.

    Args:
        path: the file.
        dialect: which schema it holds, a folder of ``schema``.

    Raises:
        StoreError: not a database of ours, or of a newer version.
    """
    db = None
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        db = sqlite3.connect(
            path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        db.execute(f"pragma page_size = {_DATABASE_PAGE_BYTES}")  # of a new file
        db.execute("pragma journal_mode = wal")
        db.execute("pragma synchronous = normal")
        _migrate(db, dialect, f"{SCHEME}{path}")
    except (*_DAMAGED, OSError) as error:
        if db is not None:
            db.close()
        what = f"cannot be used ({error})"
        raise StoreError(what, where=f"{SCHEME}{path}", hint="Name another file") from None
    except StoreError:
        if db is not None:
            db.close()
        raise
    return db


def _migrate(db: sqlite3.Connection, dialect: str, where: str) -> None:
    """Run the schema files that are new, each with its number in one transaction."""
    known = scripts(dialect)
    (version,) = db.execute("pragma user_version").fetchone()
    refuse_newer(version, len(known), where)
    for number, script in enumerate(known[version:], start=version + 1):
        db.executescript(f"begin; {script}; pragma user_version = {number}; commit;")


class SqliteDatabase:
    """A database in one file (mode 0600), locked for as long as it is open.

    Args:
        path: the database file; created if missing.

    Raises:
        StoreError: not a database of ours, of a newer version, or in use.
    """

    may_repeat = False
    n_retries = 0
    now_ms = "cast((julianday('now') - 2440587.5) * 86400000 as integer)"
    for_update = ""

    def __init__(self, path: Path) -> None:
        self.where = f"{SCHEME}{path}"
        self._one_at_a_time = threading.RLock()
        self._lock = lock_file(path)
        try:
            self._db = open_file(path, "sqlite")
        except StoreError:
            self._lock.close()
            raise

    def read(self, work: Callable[[Transaction], T]) -> T:
        """Run ``work`` on one snapshot of the data."""
        hint = "Restore a copy, or name a new store and run from the start"
        return self._run(work, "begin", "read", hint)

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Run ``work`` in a transaction: all of it happens or nothing."""
        return self._run(work, "begin immediate", "written", "Check disk space and rights")

    def _run(self, work: Callable[[Transaction], T], begin: str, verb: str, hint: str) -> T:
        with self._one_at_a_time:
            return self._run_alone(work, begin, verb, hint)

    def _run_alone(self, work: Callable[[Transaction], T], begin: str, verb: str, hint: str) -> T:
        try:
            self._db.execute(begin)
            result = work(_SqliteTransaction(self._db))
            self._db.execute("commit")
        except _DAMAGED as error:
            self._roll_back()
            what = f"cannot be {verb} ({error})"
            raise StoreError(what, where=self.where, hint=hint) from None
        except BaseException:
            self._roll_back()
            raise
        return result

    def _roll_back(self) -> None:
        if self._db.in_transaction:  # SQLite has rolled back itself when the disk is full
            self._db.execute("rollback")

    def lock_arrivals(self, transaction: Transaction) -> None:
        """Do nothing: there is one writer."""

    def close(self) -> None:
        """Let go of file and lock; tell the planner of queries what has come in."""
        with self._one_at_a_time:
            with suppress(*_DAMAGED):  # whoever reads next will say so
                self._db.execute("pragma analysis_limit = 1000")
                self._db.execute("pragma optimize")
            self._db.close()
        self._lock.close()


class _SqliteTransaction:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def rows(self, statement: str, values: Values | None = None) -> list[tuple[Any, ...]]:
        return self._db.execute(statement, values or {}).fetchall()

    def each(self, statement: str, values: Iterable[Values]) -> None:
        self._db.executemany(statement, values)
