"""The audit log in the store: every look and act, one entry each, chained."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from sqlalchemy import Connection, RowMapping, select, text

from detector.console.journal_chain import Entry, anchor, canonical, chained
from detector.errors import OptionError
from detector.store.tables import audit_entry

_ENTRIES_AT_ONCE = 2_000
_MAX_THING_LETTERS = 200
_LOCK = 7_301_551  # any number that nothing else in the database locks


def add(db: Connection, said: Entry) -> Entry:
    """Add an entry in the transaction of what it tells: neither is saved without the other."""
    if db.dialect.name == "postgresql":  # SQLite has one writer anyway
        db.execute(text("select pg_advisory_xact_lock(:lock)").bindparams(lock=_LOCK))
    entry = chained(replace(said, thing=said.thing[:_MAX_THING_LETTERS]), _last(db))
    db.execute(
        audit_entry.insert().values(
            number=entry.number,
            at_ms=entry.at_ms,
            actor=entry.actor,
            act=entry.act,
            object=entry.thing,
            detail=canonical(entry.detail).decode(),
            previous=bytes.fromhex(entry.previous),
            digest=bytes.fromhex(entry.digest),
        )
    )
    return entry


def _last(db: Connection) -> Entry | None:
    newest = select(audit_entry).order_by(audit_entry.c.number.desc()).limit(1)
    row = db.execute(newest).mappings().first()
    return None if row is None else entry_of(row)


def entry_of(row: RowMapping) -> Entry:
    """Return a row as an entry; what is no JSON any more cannot have the right hash."""
    try:
        detail = orjson.loads(row["detail"])
    except orjson.JSONDecodeError:
        detail = {"unreadable": row["detail"]}
    return Entry(
        row["number"],
        row["at_ms"],
        row["actor"],
        row["act"],
        row["object"],
        detail,
        bytes(row["previous"]).hex(),
        bytes(row["digest"]).hex(),
    )


def entries(db: Connection) -> Iterator[Entry]:
    """Yield the whole log from its beginning."""
    number = -1
    while True:
        later = select(audit_entry).where(audit_entry.c.number > number)
        query = later.order_by(audit_entry.c.number).limit(_ENTRIES_AT_ONCE)
        rows = list(db.execute(query).mappings())
        yield from (entry_of(row) for row in rows)
        if not rows:
            return
        number = rows[-1]["number"]


def newest(db: Connection, *, before: int, limit: int, **like: str) -> list[Entry]:
    """Return entries, newest first, whose columns begin with what is asked for."""
    query = select(audit_entry).order_by(audit_entry.c.number.desc()).limit(limit)
    for name, beginning in like.items():
        if beginning:
            query = query.where(audit_entry.c[name].startswith(beginning, autoescape=True))
    if before:
        query = query.where(audit_entry.c.number < before)
    return [entry_of(row) for row in db.execute(query).mappings()]


def about(db: Connection, thing: str) -> list[Entry]:
    """Return the entries about one thing, oldest first."""
    query = select(audit_entry).where(audit_entry.c.object == thing)
    return [entry_of(row) for row in db.execute(query.order_by(audit_entry.c.number)).mappings()]


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
