"""The console's database: PostgreSQL, or a SQLite file beside the detector's."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from detector.console.tables import console_tables
from detector.errors import OptionError, StoreError
from detector.store.address import address_of, is_postgresql

_SQLITE = "sqlite:///"
_BUSY_TIMEOUT_S = 10.0
_STATEMENT_TIMEOUT_MS = 15_000
_N_CONNECTIONS = 8
_JOURNAL_LOCK = 7_301_551  # any number that nothing else in the database locks


class ConsoleDatabase:
    """Connections to the store: ``read`` sees one snapshot, ``write`` happens whole or not at all.

    Args:
        url: ``sqlite:///folder/alerts.db`` or ``postgresql://user@host/database``.

    Raises:
        OptionError: of another kind.
        StoreError: cannot be reached, or is not a store of this version.
    """

    def __init__(self, url: str) -> None:
        self.engine, self.where = _engine(url)
        try:
            console_tables.create_all(self.engine)
            with self.engine.connect() as connection:
                _refuse_foreign(connection, self.where)
        except SQLAlchemyError as error:
            raise self._unreachable(error) from None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection that sees one state of the data."""
        try:
            with self.engine.connect() as connection:
                yield connection
        except (OperationalError, DBAPIError) as error:
            raise self._unreachable(error) from None

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield a connection whose changes are saved together at the end."""
        try:
            with self.engine.connect().execution_options(detector_writes=True) as connection:
                with connection.begin():
                    yield connection
        except (OperationalError, DBAPIError) as error:
            raise self._unreachable(error) from None

    def one_at_a_time(self, connection: Connection) -> None:
        """Let no other transaction write the journal before this one has ended."""
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"select pg_advisory_xact_lock({_JOURNAL_LOCK})"))

    def _unreachable(self, error: SQLAlchemyError) -> StoreError:
        what = str(getattr(error, "orig", error)).splitlines()[0]
        hint = "Check that the database runs, its disk and its rights; nothing was saved"
        return StoreError(f"cannot be used ({what})", where=self.where, hint=hint)

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()


def _engine(url: str) -> tuple[Engine, str]:
    if url.startswith(_SQLITE) and len(url) > len(_SQLITE):
        return _sqlite_engine(Path(url.removeprefix(_SQLITE)), url), url
    if is_postgresql(url):
        address = address_of(url)
        return _postgresql_engine(address.parameters), address.shown
    kind = url.split(":", 1)[0]
    hint = "Use sqlite:///path/file.db or postgresql://user@host/database"
    raise OptionError(f"stores of kind {kind!r} are unknown", where="--store", hint=hint)


def _postgresql_engine(parameters: dict[str, Any]) -> Engine:
    import psycopg

    limits = {
        "options": f"-c statement_timeout={_STATEMENT_TIMEOUT_MS}",
        "connect_timeout": 5,
    }
    return create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(**{**limits, **parameters}),
        pool_size=_N_CONNECTIONS,
        pool_pre_ping=True,
    )


def _sqlite_engine(store: Path, where: str) -> Engine:
    if not store.is_file():
        hint = "Write one with `detector replay --store` or `detector run` first"
        raise StoreError("does not exist", where=where, hint=hint)
    own = store.with_name(f"{store.stem}.console{store.suffix}")
    own.touch(mode=0o600)

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"file:{quote(str(own.resolve()))}",
            uri=True,  # without it some builds attach a URI as the name of a new file
            timeout=_BUSY_TIMEOUT_S,
            check_same_thread=False,
            isolation_level=None,  # transactions begin where we say
        )
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = full")  # a verdict outlives a power cut
        connection.execute("pragma foreign_keys = on")
        address = f"file:{quote(str(store.resolve()))}?mode=ro"
        connection.execute("attach database ? as detector", (address,))
        return connection

    engine = create_engine(
        "sqlite://", creator=connect, poolclass=QueuePool, pool_size=_N_CONNECTIONS
    )

    def begun(connection: Connection) -> None:
        writes = connection.get_execution_options().get("detector_writes")
        connection.exec_driver_sql("begin immediate" if writes else "begin")

    event.listen(engine, "begin", begun)
    return engine


def _refuse_foreign(connection: Connection, where: str) -> None:
    schema = "detector" if connection.dialect.name == "sqlite" else None
    if "episode" not in inspect(connection).get_table_names(schema=schema):
        hint = "Run `detector replay --store` or `detector run` of this version on it once"
        raise StoreError("holds no alerts of this version", where=where, hint=hint)
