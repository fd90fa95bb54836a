"""PostgreSQL: many processes, a row lock per stream, a connection that comes back."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from functools import cache
from itertools import islice
from typing import Any, TypeVar

import psycopg
from psycopg import errors
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_delay,
    wait_random_exponential,
)

from detector.errors import StoreError
from detector.store.address import Address
from detector.store.database import Transaction, Values
from detector.store.migrations import refuse_newer, scripts
from detector.store.roles import renew_grants

_OLDEST = 150_000  # 15.0
_CONNECT_TIMEOUT_S = 10
_PATIENCE_S = 30.0
_ROWS_AT_ONCE = 128  # 8 MB of state; the rest waits outside the driver's buffers
_TIMEOUTS = {
    "statement_timeout": "30s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "30s",  # a worker that stands still frees its stream
}
_MIGRATION_LOCK, _ARRIVAL_LOCK = 7_203_418_001, 7_203_418_002
_FULL = ("53100", "53200")  # disk, memory: waiting half a minute changes nothing
_NAMED = re.compile(r"(?<!:):([a-z_]+)")

T = TypeVar("T")


class PostgresqlDatabase:
    """A PostgreSQL database, its schema brought to this version's.

    Transactions that fail because the server went away, or because of a lock, are tried again
    for ``patience_s``; ``n_retries`` counts them.

    Raises:
        StoreError: it cannot be reached, is older than 15, or holds a newer schema.
    """

    may_repeat = True
    now_ms = "cast(extract(epoch from clock_timestamp()) * 1000 as bigint)"
    for_update = "for update"

    def __init__(self, address: Address, patience_s: float = _PATIENCE_S) -> None:
        self.where = address.shown
        self.n_retries = 0
        self._address = address
        self._patience_s = patience_s
        self._one_at_a_time = threading.RLock()
        self._db: psycopg.Connection[Any] | None = None
        try:
            self._migrate(self._connected())
        except psycopg.Error as error:
            self.close()
            hint = "Check address, rights and password; `detector store init` makes the tables"
            raise self._error(error, "cannot be used", hint) from None
        except StoreError:
            self.close()
            raise

    def _connected(self) -> psycopg.Connection[Any]:
        if self._db is None or self._db.closed:
            self._db = connect(self._address)
        return self._db

    def _error(self, error: psycopg.Error, what: str, hint: str) -> StoreError:
        return StoreError(f"{what} ({told(error)})", where=self.where, hint=hint)

    def _migrate(self, db: psycopg.Connection[Any]) -> None:
        """Bring the schema to this version's; whoever comes second waits, and finds it done."""
        if db.info.server_version < _OLDEST:
            what, hint = f"is PostgreSQL {db.info.server_version // 10_000}", "Use 15 or newer"
            raise StoreError(what, where=self.where, hint=hint)
        known = scripts("postgresql")
        if self._version(db, known) == len(known):
            return
        with db.transaction():
            db.execute("set local statement_timeout = 0; set local lock_timeout = 0")
            db.execute("select pg_advisory_xact_lock(%s)", (_MIGRATION_LOCK,))
            version = self._version(db, known)
            for number, script in enumerate(known[version:], start=version + 1):
                db.execute(script)
                db.execute("insert into schema_version (number) values (%s)", (number,))
            renew_grants(db)

    def _version(self, db: psycopg.Connection[Any], known: list[str]) -> int:
        if not _value(db, "select to_regclass('schema_version') is not null"):
            return 0
        version = int(_value(db, "select coalesce(max(number), 0) from schema_version"))
        refuse_newer(version, len(known), self.where)
        return version

    def read(self, work: Callable[[Transaction], T]) -> T:
        """Run ``work`` on one snapshot of the data."""
        return self._run(work, "isolation level repeatable read, read only", "cannot be read")

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Run ``work`` in a transaction, again if the server went away meanwhile."""
        return self._run(work, "isolation level read committed, read write", "cannot be written")

    def _run(self, work: Callable[[Transaction], T], mode: str, what: str) -> T:
        retrying = Retrying(
            stop=stop_after_delay(self._patience_s),
            wait=wait_random_exponential(multiplier=0.1, max=2.0),
            retry=retry_if_exception(_may_pass),
            before_sleep=self._note_retry,
            reraise=True,
        )
        try:
            with self._one_at_a_time:
                result: T = retrying(self._once, work, mode)
        except psycopg.Error as error:
            hint = "Check that the server runs, and its disk space and rights"
            raise self._error(error, what, hint) from None
        return result

    def _note_retry(self, _state: RetryCallState) -> None:
        self.n_retries += 1

    def _once(self, work: Callable[[Transaction], T], mode: str) -> T:
        db = self._connected()
        with db.transaction():
            db.execute(f"set transaction {mode}")
            return work(_PostgresqlTransaction(db))

    def lock_arrivals(self, transaction: Transaction) -> None:
        """Number alerts one transaction after the other, so that numbers appear in order."""
        transaction.rows("select pg_advisory_xact_lock(:key)", {"key": _ARRIVAL_LOCK})

    def close(self) -> None:
        """Let go of the connection."""
        with self._one_at_a_time:
            if self._db is not None:
                self._db.close()


class _PostgresqlTransaction:
    def __init__(self, db: psycopg.Connection[Any]) -> None:
        self._db = db

    def rows(self, statement: str, values: Values | None = None) -> list[tuple[Any, ...]]:
        cursor = self._db.execute(_in_psycopg(statement), values or {}, binary=True)
        return [] if cursor.description is None else cursor.fetchall()

    def each(self, statement: str, values: Iterable[Values]) -> None:
        rest = iter(values)
        with self._db.cursor() as cursor:
            while some := list(islice(rest, _ROWS_AT_ONCE)):
                cursor.executemany(_in_psycopg(statement), some)


@cache
def _in_psycopg(statement: str) -> str:
    """Write ``:name`` as psycopg does."""
    return _NAMED.sub(r"%(\1)s", statement.replace("%", "%%"))


def connect(address: Address, *, autocommit: bool = True) -> psycopg.Connection[Any]:
    """Open a connection with time limits on everything; libpq finds the password."""
    limits = " ".join(f"-c {name}={value}" for name, value in _TIMEOUTS.items())
    defaults = {"connect_timeout": _CONNECT_TIMEOUT_S, "application_name": "detector"}
    keepalives = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
    options = {**defaults, **keepalives, **address.parameters, "options": limits}
    return psycopg.connect("", autocommit=autocommit, **options)


def _value(db: psycopg.Connection[Any], query: str) -> Any:
    ((value,),) = db.execute(query).fetchall()
    return value


def told(error: psycopg.Error) -> str:
    """Say what happened in one line, without values of rows."""
    text = error.diag.message_primary or str(error)
    return " ".join(text.split()) or type(error).__name__


def _may_pass(error: BaseException) -> bool:
    """Tell what is over in a moment: a restart, a failover, a lock, a deadlock."""
    if isinstance(error, errors.IdleInTransactionSessionTimeout):
        return True
    return isinstance(error, psycopg.OperationalError) and error.sqlstate not in _FULL
