"""The whole store in one connection, detector's and console's tables: for backup and archive."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psycopg
import pyarrow as pa
from sqlalchemy import (
    BigInteger,
    Boolean,
    Connection,
    Date,
    Float,
    Integer,
    LargeBinary,
    Table,
    Text,
    create_engine,
    event,
    text,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from detector.errors import StoreError
from detector.store.address import SCHEME, address_of, is_postgresql, sqlite_path
from detector.store.console import console_file, refuse_another_schema, told_of
from detector.store.postgresql import PostgresqlDatabase, connect, told
from detector.store.roles import make_roles
from detector.store.sqlite import lock_file, open_file

_BUSY_TIMEOUT_S = 30.0
_ARROW = {
    BigInteger: pa.int64(), Integer: pa.int64(), Float: pa.float64(), Text: pa.string(),
    Boolean: pa.bool_(), LargeBinary: pa.binary(), Date: pa.date32(),
}  # fmt: skip


def arrow_schema(table: Table) -> pa.Schema:
    """Return a table's columns as Parquet holds them."""
    return pa.schema([(column.name, _ARROW[type(column.type)]) for column in table.c])


def prepare(url: str) -> None:
    """Make the tables that are missing, the detector's and the console's.

    Raises:
        OptionError: the URL is wrong.
        StoreError: it cannot be used.
    """
    if is_postgresql(url):
        PostgresqlDatabase(address_of(url)).close()
        return
    path = sqlite_path(url)
    for file, dialect in ((path, "sqlite"), (console_file(path), "sqlite_console")):
        with lock_file(file):
            open_file(file, dialect).close()


def grant_roles(url: str) -> None:
    """Make PostgreSQL's roles, and say what each may do.

    Raises:
        StoreError: this user may not make roles.
    """
    address = address_of(url)
    try:
        with closing(connect(address)) as db:
            make_roles(db)
    except psycopg.Error as error:
        what, hint = f"roles cannot be made ({told(error)})", "Use a user that may create roles"
        raise StoreError(what, where=address.shown, hint=hint) from None


@contextmanager
def reading(url: str) -> Iterator[Connection]:
    """Read everything on one snapshot, while detector and console go on.

    Raises:
        StoreError: it cannot be read.
    """
    with _connected(url, "ro") as db:
        if db.dialect.name == "postgresql":
            db.execute(text("set transaction isolation level repeatable read, read only"))
        yield db


@contextmanager
def writing(url: str) -> Iterator[Connection]:
    """Write everything; on SQLite, detector and console must have stopped.

    Raises:
        StoreError: it cannot be written.
    """
    with ExitStack() as locks:
        if not is_postgresql(url):
            path = sqlite_path(url)
            for file in (path, console_file(path)):
                locks.enter_context(lock_file(file))
        with _connected(url, "rw") as db:
            yield db


@contextmanager
def _connected(url: str, mode: str) -> Iterator[Connection]:
    if is_postgresql(url):
        address = address_of(url)
        where = address.shown
        dialect, creator = "postgresql+psycopg://", lambda: connect(address, autocommit=False)
    else:
        path = sqlite_path(url)
        where = f"{SCHEME}{path}"
        refuse_another_schema(path)
        if not console_file(path).exists():  # nobody has opened the console yet
            open_file(console_file(path), "sqlite_console").close()
        refuse_another_schema(console_file(path), "sqlite_console")
        dialect, creator = "sqlite://", lambda: _both_files(path, mode)  # type: ignore[assignment,return-value]
    engine = create_engine(dialect, creator=creator, poolclass=NullPool, hide_parameters=True)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "begin", lambda db: db.exec_driver_sql("begin"))
    try:
        with engine.connect() as db:
            yield db
    except (DBAPIError, psycopg.Error, sqlite3.Error) as error:
        hint = "Check that it runs, its disk space, and that this user may read and write all of it"
        what = f"cannot be used ({told_of(error)})"
        raise StoreError(what, where=where, hint=hint) from None


def _both_files(path: Path, mode: str) -> sqlite3.Connection:
    theirs, own = (file.absolute().as_uri() for file in (path, console_file(path)))
    db = sqlite3.connect(
        f"{theirs}?mode={mode}", uri=True, timeout=_BUSY_TIMEOUT_S, isolation_level=None
    )
    db.execute("attach ? as console", (f"{own}?mode={mode}",))
    return db
