"""Where alerts and checkpoints live."""

from __future__ import annotations

from pathlib import Path

from detector.errors import OptionError
from detector.store.base import Checkpoint, Store
from detector.store.sqlite import SqliteStore

__all__ = ["Checkpoint", "SqliteStore", "Store", "open_store"]

_SQLITE = "sqlite:///"


def open_store(url: str) -> Store:
    """Open the store behind a URL such as ``sqlite:///folder/alerts.db``.

    Raises:
        OptionError: unknown kind.
        StoreError: the store cannot be used.
    """
    if url.startswith(_SQLITE) and len(url) > len(_SQLITE):
        return SqliteStore(Path(url.removeprefix(_SQLITE)))
    kind = url.split(":", 1)[0]
    raise OptionError(
        f"stores of kind {kind!r} are not available in this version",
        where="--store",
        hint="Use sqlite:///path/file.db",
    )
