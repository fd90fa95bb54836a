"""The embedded database: one SQLite file, write-ahead log, one writer."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from detector.errors import StoreError
from detector.store.database import Transaction, Values
from detector.store.migrations import refuse_newer, scripts

_BUSY_TIMEOUT_S = 30.0
_DATABASE_PAGE_BYTES = 32_768  # a state page is a long value: 4 KB pages took twice the time
# sqlite3 cannot even put some messages about a damaged schema into words
_DAMAGED = (sqlite3.DatabaseError, UnicodeDecodeError)

T = TypeVar("T")


class SqliteDatabase:
    """A database in one file (mode 0600), locked for as long as it is open.

    Args:
        path: the database file; created if missing.
        dialect: which schema it holds, a folder of ``schema``.

    Raises:
        StoreError: not a database of ours, of a newer version, or in use.
    """

    may_repeat = False
    n_retries = 0
    now_ms = "cast((julianday('now') - 2440587.5) * 86400000 as integer)"
    for_update = ""

    def __init__(self, path: Path, dialect: str = "sqlite") -> None:
        self._path = path
        self.where = f"sqlite:///{path}"
        self._lock = self._locked()
        try:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._db = sqlite3.connect(
                path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
        except (sqlite3.DatabaseError, OSError) as error:
            self._lock.close()
            raise self._error(f"cannot be used ({error})", "Name another file") from None
        try:
            self._db.execute(f"pragma page_size = {_DATABASE_PAGE_BYTES}")  # of a new file
            self._db.execute("pragma journal_mode = wal")
            self._db.execute("pragma synchronous = normal")
            self._migrate(dialect)
        except _DAMAGED as error:
            self.close()
            raise self._error(f"cannot be used ({error})", "Name another file") from None
        except StoreError:
            self.close()
            raise

    def _locked(self) -> Any:
        """Take the lock; the system frees it even after kill -9."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock = Path(f"{self._path}.lock").open("a", encoding="utf-8")  # noqa: SIM115  kept open
        except OSError as error:
            what = f"cannot be used ({error.strerror})"
            raise self._error(what, "Check path and rights") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            hint = "Wait for it, or name another store"
            raise self._error("is in use by another process", hint) from None
        return lock

    def _error(self, message: str, hint: str) -> StoreError:
        return StoreError(message, where=self.where, hint=hint)

    def _migrate(self, dialect: str) -> None:
        """Bring the schema to this version's; each file and its number in one transaction."""
        known = scripts(dialect)
        (version,) = self._db.execute("pragma user_version").fetchone()
        refuse_newer(version, len(known), self.where)
        for number, script in enumerate(known[version:], start=version + 1):
            self._db.executescript(f"begin; {script}; pragma user_version = {number}; commit;")

    def read(self, work: Callable[[Transaction], T]) -> T:
        """Run ``work`` on one snapshot of the data."""
        hint = "Restore a copy, or name a new store and run from the start"
        return self._run(work, "begin", "read", hint)

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Run ``work`` in a transaction: all of it happens or nothing."""
        return self._run(work, "begin immediate", "written", "Check disk space and rights")

    def _run(self, work: Callable[[Transaction], T], begin: str, verb: str, hint: str) -> T:
        try:
            self._db.execute(begin)
            result = work(_SqliteTransaction(self._db))
            self._db.execute("commit")
        except _DAMAGED as error:
            self._roll_back()
            raise self._error(f"cannot be {verb} ({error})", hint) from None
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
        """Let go of file and lock."""
        self._db.close()
        self._lock.close()


class _SqliteTransaction:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def rows(self, statement: str, values: Values | None = None) -> list[tuple[Any, ...]]:
        return self._db.execute(statement, values or {}).fetchall()

    def each(self, statement: str, values: Iterable[Values]) -> None:
        self._db.executemany(statement, values)
