"""The embedded store: one SQLite file, write-ahead log, one writer."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

import zstandard

from detector.alerts import Alert
from detector.errors import SnapshotError, StoreError
from detector.state.snapshot import PAGE_BYTES
from detector.store.base import Checkpoint

_BUSY_TIMEOUT_S = 30.0
_DATABASE_PAGE_BYTES = 32_768  # a state page is a long value: 4 KB pages took twice the time
_PACKING_LEVEL = 1  # a third of the bytes for a quarter of the time to write them
# sqlite3 cannot even put some messages about a damaged schema into words
_DAMAGED = (sqlite3.DatabaseError, UnicodeDecodeError)


class SqliteStore:
    """A store in one file (mode 0600), locked for as long as it is open.

    Args:
        path: the database file; created if missing.

    Raises:
        StoreError: not a database of ours, of a newer version, or in use.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = self._locked()
        try:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._db = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None)
        except (sqlite3.DatabaseError, OSError) as error:
            self._lock.close()
            raise self._error(f"cannot be used ({error})", "Name another file") from None
        try:
            self._db.execute(f"pragma page_size = {_DATABASE_PAGE_BYTES}")  # of a new file
            self._db.execute("pragma journal_mode = wal")
            self._db.execute("pragma synchronous = normal")
            self._migrate()
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
        return StoreError(message, where=f"sqlite:///{self._path}", hint=hint)

    def _migrate(self) -> None:
        """Bring the schema to this version's; files are numbered and run once."""
        scripts = sorted(
            (entry.name, entry.read_text("utf-8"))
            for entry in resources.files("detector.store").iterdir()
            if entry.name.endswith(".sql")
        )
        (version,) = self._db.execute("pragma user_version").fetchone()
        if version > len(scripts):
            hint = "Use the version of the detector that wrote it, or a newer one"
            raise self._error(f"has schema {version}, this version knows {len(scripts)}", hint)
        for number, (_, script) in enumerate(scripts[version:], start=version + 1):
            self._db.executescript(f"begin; {script}; pragma user_version = {number}; commit;")

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Name the store when the database file is damaged."""
        try:
            yield
        except _DAMAGED as error:
            hint = "Restore a copy, or name a new store and run from the start"
            raise self._error(f"cannot be read ({error})", hint) from None

    def last_checkpoint(self) -> Checkpoint | None:
        """Return the newest checkpoint, None if there is none.

        Raises:
            SnapshotError: it has changed since it was written.
        """
        with self._reading():
            row = self._db.execute("select number, facts, digest from checkpoint").fetchone()
        if row is None:
            return None
        number, facts, digest = row
        self._verify("checkpoint", isinstance(facts, str) and digest == _digest(str(number), facts))
        return Checkpoint(int(number), json.loads(facts))

    def state_content(self, layout: dict[str, Any]) -> bytes:
        """Return the saved state's bytes, array after array as in ``layout``.

        Raises:
            SnapshotError: a page has changed since it was written.
        """
        query = "select page, content, digest from state_page where name = ? order by page"
        parts = []
        with self._reading():
            for name in layout:
                for page, content, digest in self._db.execute(query, (name,)):
                    self._verify(
                        f"{name}, page {page}", digest == _page_digest(name, page, content)
                    )
                    parts.append(self._unpacked(f"{name}, page {page}", content))
        return b"".join(parts)

    def _unpacked(self, part: str, content: bytes) -> bytes:
        try:
            self._verify(part, zstandard.frame_content_size(content) <= PAGE_BYTES)
            return zstandard.ZstdDecompressor().decompress(content, max_output_size=PAGE_BYTES)
        except zstandard.ZstdError:
            self._verify(part, good=False)
            raise

    def _verify(self, part: str, good: bool) -> None:
        if not good:
            where = f"sqlite:///{self._path} ({part})"
            hint = "Restore a copy, or name a new store and run from the start"
            raise SnapshotError("has changed since it was written", where=where, hint=hint)

    def commit(
        self,
        checkpoint: Checkpoint,
        alerts: Iterable[Alert],
        pages: Iterable[tuple[str, int, bytes]],
    ) -> None:
        """Save alerts, changed pages and position in one transaction."""
        db = self._db
        try:
            db.execute("begin immediate")
            self._refuse_older(checkpoint)
            db.executemany(_UPSERT_ALERT, (_alert_row(alert) for alert in alerts))
            rows = _page_rows(pages)
            db.executemany("insert or replace into state_page values (?, ?, ?, ?)", rows)
            self._drop_surplus(checkpoint.facts.get("layout", {}))
            facts = json.dumps(checkpoint.facts)
            db.execute(
                "insert or replace into checkpoint values (1, ?, ?, ?)",
                (checkpoint.number, facts, _digest(str(checkpoint.number), facts)),
            )
            db.execute("commit")
        except _DAMAGED as error:
            self._roll_back()
            raise self._error(
                f"cannot be written ({error})", "Check disk space and rights"
            ) from None
        except BaseException:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        if self._db.in_transaction:  # SQLite has rolled back itself when the disk is full
            self._db.execute("rollback")

    def _refuse_older(self, checkpoint: Checkpoint) -> None:
        held = self.last_checkpoint()
        if held is not None and held.number >= checkpoint.number:
            what = f"holds checkpoint {held.number}, refused older {checkpoint.number}"
            raise self._error(what, "Another worker went on; start again from the store")

    def _drop_surplus(self, layout: dict[str, Any]) -> None:
        """Forget pages beyond the end of an array that has become shorter."""
        for name, (dtype, shape) in layout.items():
            n_bytes = int(dtype[2:])
            for n in shape:
                n_bytes *= n
            query = "delete from state_page where name = ? and page >= ?"
            self._db.execute(query, (name, -(-n_bytes // PAGE_BYTES)))

    def alert_lines(self) -> Iterator[bytes]:
        """Yield the saved alerts as lines of the alerts file, in order of emission."""
        with self._reading():
            for (content,) in self._db.execute("select content from alert order by sequence"):
                yield content.encode() + b"\n"

    def close(self) -> None:
        """Let go of file and lock."""
        self._db.close()
        self._lock.close()


_UPSERT_ALERT = """
insert into alert (alert_id, version, time, score, severity, detector, user_id, content)
values (?, ?, ?, ?, ?, ?, ?, ?)
on conflict (alert_id, version) do update set content = excluded.content
"""


def _digest(*parts: str) -> bytes:
    return hashlib.blake2b("\x1f".join(parts).encode(), digest_size=16).digest()


def _page_digest(name: str, page: int, content: bytes) -> bytes:
    head = f"{name}\x1f{page}\x1f".encode()
    return hashlib.blake2b(head + content, digest_size=16).digest()


def _page_rows(
    pages: Iterable[tuple[str, int, bytes]],
) -> Iterator[tuple[str, int, bytes, bytes]]:
    """Pack and sign pages as they come."""
    pack = zstandard.ZstdCompressor(level=_PACKING_LEVEL).compress
    for name, page, content in pages:
        packed = pack(content)
        yield name, page, packed, _page_digest(name, page, packed)


def _alert_row(alert: Alert) -> tuple[Any, ...]:
    names = ("alert_id", "version", "time", "score", "severity", "detector", "user_id")
    text = alert.to_json_line().decode().rstrip("\n")
    return (*(alert.fields[name] for name in names), text)
