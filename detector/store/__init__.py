"""Where alerts and checkpoints live."""

from __future__ import annotations

from detector.store.address import address_of, is_postgresql, sqlite_path
from detector.store.base import Activation, Arrival, Checkpoint, Claim, Page, Store
from detector.store.sql import SqlStore
from detector.store.sqlite import SqliteDatabase

__all__ = ["Activation", "Arrival", "Checkpoint", "Claim", "Page", "Store", "open_store"]


def open_store(url: str) -> Store:
    """Open the store behind a URL.

    ``sqlite:///folder/alerts.db`` is one file with one process; ``postgresql://user@host/database``
    is for many, its password from PGPASSWORD, PGPASSWORD_FILE or a password file.

    Raises:
        OptionError: unknown kind, or a password in the URL.
        StoreError: the store cannot be used.
    """
    if is_postgresql(url):
        from detector.store.postgresql import PostgresqlDatabase

        return SqlStore(PostgresqlDatabase(address_of(url)))
    return SqlStore(SqliteDatabase(sqlite_path(url)))
