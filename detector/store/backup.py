"""Backup and restore: every table as Parquet in one zip file, with digests; for any database.

A backup of SQLite can be restored into PostgreSQL and the other way round.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Connection, Table, func, insert, select, text

from detector.errors import StoreError
from detector.store.tables import CONSOLES_TABLES, METADATA, NUMBERED
from detector.store.whole import arrow_schema, prepare, reading, writing

FORMAT = 1
_ROWS_AT_ONCE = 2_000
_MANIFEST = "manifest.json"


def back_up(url: str, file: Path) -> dict[str, int]:
    """Write the whole store to a new file, while detector and console go on.

    Args:
        url: the store.
        file: a new zip file; it appears when it is complete, readable by its owner only.

    Returns:
        Rows per table.

    Raises:
        StoreError: the store cannot be read, or the file is there already.
    """
    if file.exists():
        raise StoreError("is there already", where=str(file), hint="Name a new file")
    part = file.with_name(f"{file.name}.part")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_CREAT | os.O_WRONLY, 0o600))
    with reading(url) as db, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
        tables = {name: _write(db, table, archive) for name, table in METADATA.tables.items()}
        manifest = {"format": FORMAT, "tables": tables, "numbers": _numbers(db)}
        archive.writestr(_MANIFEST, json.dumps(manifest, indent=1))
    with part.open("rb") as written:
        os.fsync(written.fileno())
    part.rename(file)
    return {name: entry["rows"] for name, entry in tables.items()}


def restore(url: str, file: Path) -> dict[str, int]:
    """Bring a backup into an empty store; its tables are made if they are missing.

    Returns:
        Rows per table.

    Raises:
        StoreError: the file is none of ours, has changed, or is of another version; the store is
            not empty. Nothing has been written then.
    """
    try:
        with zipfile.ZipFile(file) as archive, tempfile.TemporaryDirectory() as folder:
            tables, numbers = _manifest(archive, file)
            parts = {
                name: _unpacked(archive, name, entry["digest"], Path(folder))
                for name, entry in tables.items()
            }
            prepare(url)
            with writing(url) as db, db.begin():
                return _bring_in(db, parts, numbers, url)
    except (zipfile.BadZipFile, FileNotFoundError, KeyError, ValueError, pa.ArrowException):
        raise _refused(file, "is no backup of ours") from None


def _bring_in(
    db: Connection, parts: dict[str, Path], numbers: dict[str, int], url: str
) -> dict[str, int]:
    for table in METADATA.tables.values():
        if db.execute(select(func.count()).select_from(table)).scalar_one():
            hint = "Restore into an empty store"
            where = f"{url.split(':', 1)[0]} store"
            raise StoreError(f"is not empty (table {table.name})", where=where, hint=hint)
    counts = {}
    for name, table in METADATA.tables.items():
        n_rows = 0
        for rows in _rows_of(parts[name]):
            db.execute(_inserting(db, table), rows)
            n_rows += len(rows)
        counts[name] = n_rows
        _go_on_from(db, table, numbers.get(name, 0))
    return counts


def _write(db: Connection, table: Table, archive: zipfile.ZipFile) -> dict[str, Any]:
    """Write one table; Parquet wants to seek, a zip file does not."""
    schema, n_rows = arrow_schema(table), 0
    query = select(table).order_by(*table.primary_key.columns)
    rows = db.execution_options(stream_results=True, yield_per=_ROWS_AT_ONCE).execute(query)
    with tempfile.NamedTemporaryFile() as spool:
        with pq.ParquetWriter(spool, schema, compression="zstd") as writer:
            for some in rows.mappings().partitions(_ROWS_AT_ONCE):
                n_rows += len(some)
                writer.write_table(pa.Table.from_pylist([dict(row) for row in some], schema))
        spool.flush()
        archive.write(spool.name, _entry(table.name))
        return {"rows": n_rows, "digest": _digest(Path(spool.name))}


def _numbers(db: Connection) -> dict[str, int]:
    """Return the highest number of each numbered table: archived ones are not given again."""
    if db.dialect.name == "sqlite":
        query = (
            "select name, seq from main.sqlite_sequence union all select name, seq from console."
        )
        return {name: int(seq) for name, seq in db.execute(text(f"{query}sqlite_sequence"))}
    query = "select pg_sequence_last_value(pg_get_serial_sequence(:table, :column)::regclass)"
    found = {}
    for table, column in NUMBERED.items():
        last = db.execute(text(query), {"table": table.name, "column": column}).scalar_one()
        found[table.name] = int(last or 0)
    return found


def _go_on_from(db: Connection, table: Table, number: int) -> None:
    if table not in NUMBERED or number <= 0:
        return
    if db.dialect.name == "sqlite":
        schema = "console" if table in CONSOLES_TABLES else "main"
        for statement in (
            f"delete from {schema}.sqlite_sequence where name = :name",  # noqa: S608
            f"insert into {schema}.sqlite_sequence (name, seq) values (:name, :number)",  # noqa: S608
        ):
            db.execute(text(statement), {"name": table.name, "number": number})
        return
    query = "select setval(pg_get_serial_sequence(:table, :column), :number)"
    values = {"table": table.name, "column": NUMBERED[table], "number": number}
    db.execute(text(query), values)


def _inserting(db: Connection, table: Table) -> Any:
    statement = insert(table)
    if db.dialect.name == "postgresql" and table in NUMBERED:
        columns = ", ".join(column.name for column in table.c)
        values = ", ".join(f":{column.name}" for column in table.c)
        return text(
            f"insert into {table.name} ({columns}) overriding system value values ({values})"  # noqa: S608
        )
    return statement


def _manifest(archive: zipfile.ZipFile, file: Path) -> tuple[dict[str, Any], dict[str, int]]:
    content = json.loads(archive.read(_MANIFEST))
    if content["format"] != FORMAT or set(content["tables"]) != set(METADATA.tables):
        raise _refused(file, "is of another version")
    return content["tables"], content["numbers"]


def _unpacked(archive: zipfile.ZipFile, name: str, digest: str, folder: Path) -> Path:
    file = Path(archive.filename or "")
    path = Path(archive.extract(_entry(name), folder))
    if _digest(path) != digest:
        raise _refused(file, f"has changed since it was written (table {name})")
    if not pq.read_schema(path).equals(arrow_schema(METADATA.tables[name])):
        raise _refused(file, f"is of another version (table {name})")
    return path


def _rows_of(path: Path) -> Iterator[list[dict[str, Any]]]:
    with pq.ParquetFile(path) as content:
        for batch in content.iter_batches(_ROWS_AT_ONCE):
            yield batch.to_pylist()


def _entry(name: str) -> str:
    return f"{name}.parquet"


def _digest(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "blake2b").hexdigest()


def _refused(file: Path, what: str) -> StoreError:
    hint = "Name a file that this version's `detector store backup` wrote"
    return StoreError(what, where=str(file), hint=hint)
