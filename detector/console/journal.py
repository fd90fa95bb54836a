"""The audit log in the database: every look and act, one entry each, chained."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from sqlalchemy import Connection, Row, select

from detector.console.database import ConsoleDatabase
from detector.console.journal_chain import Entry, anchor, canonical, chained
from detector.console.tables import journal
from detector.errors import OptionError

_ENTRIES_AT_ONCE = 2_000
_MAX_SUBJECT_LETTERS = 200


def note(
    database: ConsoleDatabase,
    connection: Connection,
    *,
    at_ms: int,
    actor: str,
    action: str,
    subject: str = "",
    **detail: Any,
) -> Entry:
    """Add an entry in the transaction of what it tells: neither is saved without the other."""
    database.one_at_a_time(connection)
    said = Entry(0, at_ms, actor, action, subject[:_MAX_SUBJECT_LETTERS], detail, "", "")
    entry = chained(said, _last(connection))
    connection.execute(
        journal.insert().values(
            number=entry.number,
            at_ms=at_ms,
            actor=actor,
            action=action,
            subject=entry.subject,
            detail=canonical(detail).decode(),
            previous=entry.previous,
            digest=entry.digest,
        )
    )
    return entry


def _last(connection: Connection) -> Entry | None:
    row = connection.execute(select(journal).order_by(journal.c.number.desc()).limit(1)).first()
    return None if row is None else entry_of(row)


def entry_of(row: Row[Any]) -> Entry:
    """Return a row as an entry; what is no JSON any more cannot have the right hash."""
    try:
        detail = orjson.loads(row.detail)
    except orjson.JSONDecodeError:
        detail = {"unreadable": row.detail}
    return Entry(
        row.number,
        row.at_ms,
        row.actor,
        row.action,
        row.subject,
        detail,
        row.previous,
        row.digest,
    )


def entries(connection: Connection) -> Iterator[Entry]:
    """Yield the whole log from its beginning."""
    number = -1
    while True:
        query = select(journal).where(journal.c.number > number).order_by(journal.c.number)
        rows = list(connection.execute(query.limit(_ENTRIES_AT_ONCE)))
        yield from (entry_of(row) for row in rows)
        if not rows:
            return
        number = rows[-1].number


class Anchors:
    """Signed lines, appended to a file that should lie where the database's owner cannot write.

    Args:
        key_file: ed25519 private key, PEM without password.
        path: the file; created if missing.
        every: a line each time the log has grown by so many entries.
    """

    def __init__(self, key_file: Path, path: Path, every: int) -> None:
        self._key = read_signing_key(key_file)
        self._path = path
        self._every = every

    def follow(self, entry: Entry) -> None:
        """Write a line if this entry is due one."""
        if entry.number % self._every == 0:
            line = anchor(entry, entry.at_ms, self._key)
            with self._path.open("ab") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())


def read_signing_key(path: Path) -> Ed25519PrivateKey:
    """Read a private key.

    Raises:
        OptionError: it cannot be read, or is of another kind.
    """
    where, hint = "DETECTOR_CONSOLE_ANCHOR_KEY_FILE", "Make one: openssl genpkey -algorithm ed25519"
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError):
        raise OptionError(f"no private key can be read in {path}", where=where, hint=hint) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise OptionError(f"{path} holds a key of another kind", where=where, hint=hint)
    return key
