"""Where alerts and checkpoints live."""

from __future__ import annotations

from pathlib import Path

from detector.errors import OptionError
from detector.store.address import address_of, is_postgresql
from detector.store.base import Activation, Arrival, Checkpoint, Claim, Page, Store
from detector.store.sql import SqlStore
from detector.store.sqlite import SCHEME, SqliteDatabase

__all__ = ["Activation", "Arrival", "Checkpoint", "Claim", "Page", "Store", "open_store"]


def open_store(url: str) -> Store:
    """Open the store behind a URL.

    ``sqlite:///folder/alerts.db`` is one file with one process; ``postgresql://user@host/database``
    is for many, its password from PGPASSWORD, PGPASSWORD_FILE or a password file.

    Raises:
        OptionError: unknown kind, or a password in the URL.
        StoreError: the store cannot be used.
    """
    if url.startswith(SCHEME) and len(url) > len(SCHEME):
        return SqlStore(SqliteDatabase(Path(url.removeprefix(SCHEME))))
    if is_postgresql(url):
        from detector.store.postgresql import PostgresqlDatabase

        return SqlStore(PostgresqlDatabase(address_of(url)))
    kind = url.split(":", 1)[0]
    raise OptionError(
        f"stores of kind {kind!r} are not available in this version",
        where="--store",
        hint="Use sqlite:///path/file.db or postgresql://user@host/database",
    )
