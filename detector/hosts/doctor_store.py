"""The store: there, of our schema, writable, with a clock like ours. Nothing is written."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg

from detector.hosts.doctor_finding import Finding, guarded
from detector.hosts.live_pipeline import Pipeline
from detector.hosts.live_run import store_url
from detector.store.address import SCHEME, address_of, is_postgresql
from detector.store.migrations import refuse_newer, scripts
from detector.store.postgresql import connect, told

_SAFE_SQLITE = (3, 51, 3)  # https://sqlite.org/wal.html, "The WAL-Reset Bug"
_OLDEST_POSTGRESQL = 150_000
_MAX_SKEW_S = 30.0
_RIGHTS = {"alert": "select, insert", "checkpoint": "select, insert, update"}


def examine_store(pipeline: Pipeline) -> Iterator[Finding]:
    """Look at the store the pipeline or the environment names."""
    if not pipeline.topics:
        return  # a router keeps nothing
    yield from guarded("store", "store", _store(store_url(pipeline)))


def _store(url: str) -> Iterator[Finding]:
    if is_postgresql(url):
        yield from _postgresql(url)
    elif url.startswith(SCHEME):
        yield from _sqlite(Path(url.removeprefix(SCHEME)))
    else:
        hint = "Use sqlite:///path/file.db or postgresql://user@host/database"
        kind = url.split(":", 1)[0]
        yield Finding("store", "error", "store", f"is of an unknown kind: {kind}", hint)


def _sqlite(path: Path) -> Iterator[Finding]:
    where = f"{SCHEME}{path}"
    yield from _sqlite_version(sqlite3.sqlite_version_info)
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not os.access(folder, os.W_OK):
        what = f"cannot be written: {folder} is not ours"
        yield Finding("store", "error", where, what, "Give this user the right to write there")
    if not path.exists():
        yield Finding("store", "ok", where, "does not exist yet, a first run makes it")
        return
    try:
        with closing(sqlite3.connect(f"file:{path.absolute()}?mode=ro", uri=True)) as db:
            (version,) = db.execute("pragma user_version").fetchone()
            (damage,) = db.execute("pragma quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        hint = "Name another file, or restore a copy"
        yield Finding("store", "error", where, f"is no database of ours ({error})", hint)
        return
    if damage != "ok":
        hint = "Restore a copy, or name a new store and run from the start"
        yield Finding("store", "error", where, "is damaged", hint)
        return
    yield from _schema(where, int(version), len(scripts("sqlite")))


def _sqlite_version(version: tuple[int, ...]) -> Iterator[Finding]:
    if version < _SAFE_SQLITE:
        shown = ".".join(map(str, version))
        what = f"is {shown}: before 3.51.3 several connections that write can damage a file, rarely"
        remedy = "One process writes here, so it is safe; do not write to the file with other tools"
        yield Finding("store", "warning", "SQLite", what, remedy)


def _schema(where: str, version: int, known: int) -> Iterator[Finding]:
    refuse_newer(version, known, where)
    if version < known:
        what = f"has schema {version}, the next start brings it to {known}"
        yield Finding("store", "warning", where, what, "Keep a backup before it")
    else:
        yield Finding("store", "ok", where, f"has schema {version}")


def _postgresql(url: str) -> Iterator[Finding]:
    address = address_of(url)
    try:
        with closing(connect(address)) as db:
            yield from _database(address.shown, db)
    except psycopg.Error as error:
        hint = "Check address, password, TLS and pg_hba.conf"
        yield Finding("store", "error", address.shown, f"cannot be used ({told(error)})", hint)


def _database(where: str, db: psycopg.Connection[Any]) -> Iterator[Finding]:
    before_s = time.time()
    stands_by, now_s, has_schema = _row(
        db, "select pg_is_in_recovery(), extract(epoch from clock_timestamp())::float8,"
            " to_regclass('schema_version') is not null",
    )  # fmt: skip
    yield from _skew(where, float(now_s) - (before_s + time.time()) / 2)
    if db.info.server_version < _OLDEST_POSTGRESQL:
        what = f"is PostgreSQL {db.info.server_version // 10_000}"
        yield Finding("store", "error", where, what, "Use 15 or newer")
    if stands_by:
        what = "is a standby and takes no writes"
        yield Finding("store", "error", where, what, "Name the primary: target_session_attrs")
    if not has_schema:
        what = "has no tables yet, a first run makes them"
        yield Finding("store", "ok", where, what)
        return
    (version,) = _row(db, "select coalesce(max(number), 0) from schema_version")
    yield from _schema(where, int(version), len(scripts("postgresql")))
    for table, rights in _RIGHTS.items():
        query = "select has_table_privilege(%s, %s)"
        missing = [one for one in rights.split(", ") if not _row(db, query, table, one)[0]]
        if missing:
            what = f"lets this user not {', '.join(missing)} in {table}"
            yield Finding("store", "error", where, what, "Grant the role of the writer")


def _row(db: psycopg.Connection[Any], query: str, *values: str) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = db.execute(query, values).fetchone()
    return row or ()


def _skew(where: str, ahead_s: float) -> Iterator[Finding]:
    """Judge how far the server's clock is ahead of ours."""
    if abs(ahead_s) > _MAX_SKEW_S:
        what = f"has a clock {abs(ahead_s):,.0f} s {'ahead of' if ahead_s > 0 else 'behind'} ours"
        yield Finding("store", "warning", where, what, "Synchronise both with NTP")
