"""Reference tables of staff, branches, calendars, cover, customers. All optional, all checked."""

from __future__ import annotations

import csv
import difflib
import hashlib
import io
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from detector.customers import Approval, Customers, approvals_of, customers_of
from detector.errors import ReferenceDataError
from detector.table_rows import Row

MAX_FILE_BYTES = 1_000_000_000
MAX_ROWS = 5_000_000
DAY_KINDS = ("workday", "rest", "half")
_SUFFIXES = (".csv", ".parquet")
_REQUIRED = {
    "staff": ("user_id",),
    "branches": ("branch",),
    "calendar": ("calendar", "date", "kind"),
    "cover": ("user_id", "branch", "from", "to"),
    "customers": ("customer_id",),
    "approvals": ("ticket_id",),
}
_KNOWN = {
    "staff": (
        "user_id", "name", "role", "branch", "department", "manager_id", "account_type", "hired",
        "left", "leave",
    ),
    "branches": ("branch", "name", "region", "parent", "time_zone", "calendar"),
    "calendar": ("calendar", "date", "kind"),
    "cover": ("user_id", "branch", "from", "to"),
    "customers": (
        "customer_id", "flags", "vip", "employee", "honeytoken", "pep", "user_id",
        "employee_user_id", "household",
    ),
    "approvals": (
        "ticket_id", "user_id", "customers", "customer_id", "branch", "action", "scope", "purpose",
        "valid_from", "valid_to",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Staff:
    """The staff directory, one entry per user id; None where a cell is empty."""

    user_ids: tuple[str, ...] = ()
    roles: tuple[str | None, ...] = ()
    branches: tuple[str | None, ...] = ()
    account_types: tuple[str | None, ...] = ()
    left: tuple[date | None, ...] = ()
    leave: tuple[tuple[tuple[date, date], ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Branch:
    """An office that owns records: where it is and which calendar it keeps."""

    name: str
    region: str | None = None
    time_zone: str | None = None
    calendar: str | None = None


@dataclass(frozen=True, slots=True)
class Cover:
    """A person stands in at another branch from the first to the last local day."""

    user_id: str
    branch: str
    first_day: date
    last_day: date


@dataclass(frozen=True, slots=True)
class Reference:
    """All tables, the digest of the files they came from, and notices for the operator.

    The digest covers the bytes of the files: a run goes on only with the very same files.
    """

    staff: Staff = field(default_factory=Staff)
    branches: tuple[Branch, ...] = ()
    calendar: Mapping[tuple[str, date], str] = field(default_factory=dict)
    cover: tuple[Cover, ...] = ()
    customers: Customers = field(default_factory=Customers)
    approvals: tuple[Approval, ...] = ()
    digest: str = "none"
    notices: tuple[str, ...] = ()


def load_reference(folder: Path | None) -> Reference:
    """Read the tables (.csv or .parquet) of a reference folder.

    Args:
        folder: the reference folder; None means no reference data.

    Raises:
        ReferenceDataError: no table is there, or one cannot be read or holds a wrong value;
            names the file, the row and the column.

    >>> load_reference(None).digest
    'none'
    """
    if folder is None:
        return Reference()
    if not folder.is_dir():
        raise ReferenceDataError("is not a folder", where=str(folder), hint="Name a folder")
    digest = hashlib.blake2b(digest_size=16)
    notices = _unknown_tables(folder)
    tables = {name: _read_table(folder, name, digest, notices) for name in _REQUIRED}
    return Reference(
        staff=_staff(tables["staff"]),
        branches=_branches(tables["branches"]),
        calendar=_calendar(tables["calendar"]),
        cover=_cover(tables["cover"]),
        customers=customers_of(tables["customers"]),
        approvals=approvals_of(tables["approvals"]),
        digest=digest.hexdigest(),
        notices=tuple(notices),
    )


def _unknown_tables(folder: Path) -> list[str]:
    """Return a notice for every table that nobody reads.

    Raises:
        ReferenceDataError: there is no other table in the folder.
    """
    known = [f"{name}{suffix}" for name in _REQUIRED for suffix in _SUFFIXES]
    names = _names(folder)
    unknown = [n for n in names if n.lower().endswith(_SUFFIXES) and n not in known]
    if not set(known) & set(names):
        hint = f"{_nearest(unknown[0]) if unknown else ''}Known tables: {', '.join(_REQUIRED)}"
        raise ReferenceDataError("holds no known table", where=str(folder), hint=hint)
    tables = ", ".join(_REQUIRED)
    return [
        f"{folder / name}: is no known table and is ignored. {_nearest(name)}Known tables: {tables}"
        for name in unknown
    ]


def _names(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        what = f"cannot be read ({error.strerror})"
        raise ReferenceDataError(what, where=str(folder), hint="Check path and rights") from None


def _nearest(name: str) -> str:
    """Return the question whether a known name was meant, or nothing."""
    stem, suffix = Path(name.lower()).stem, Path(name.lower()).suffix
    near = difflib.get_close_matches(stem, _REQUIRED, n=1)
    return f"Did you mean {near[0] + suffix!r}? " if near else ""


def _read_table(folder: Path, name: str, digest: hashlib.blake2b, notices: list[str]) -> list[Row]:
    """Read one table; a missing file is an empty table."""
    for suffix in _SUFFIXES:
        path = folder / f"{name}{suffix}"
        if not path.exists():
            continue
        content = _content(path)
        digest.update(name.encode() + len(content).to_bytes(8, "big") + content)
        columns, cells = _parsed(path, content)
        missing = [column for column in _REQUIRED[name] if column not in columns]
        if missing:
            hint = f"Expected columns: {', '.join(_REQUIRED[name])}"
            raise ReferenceDataError(f"has no column {missing[0]!r}", where=str(path), hint=hint)
        unknown = [column for column in columns if column not in _KNOWN[name]]
        if unknown:
            known = ", ".join(_KNOWN[name])
            notices.append(f"{path}: {len(unknown)} unknown columns are ignored; known: {known}")
        return [Row(path, number, row) for number, row in cells]
    return []


def _content(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ReferenceDataError("is too large", where=str(path), hint="Limit: 1 GB")
        return path.read_bytes()
    except OSError as error:
        what = f"cannot be read ({error.strerror})"
        raise ReferenceDataError(what, where=str(path), hint="Check path and rights") from None


def _parsed(path: Path, content: bytes) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Return the columns, and (row number, cells) of every row."""
    try:
        if path.suffix == ".parquet":
            import pyarrow.parquet as pq

            file = pq.ParquetFile(io.BytesIO(content))
            _bounded(path, file.metadata.num_rows)
            table = file.read()
            rows = [{k: _cell(v) for k, v in row.items()} for row in table.to_pylist()]
            return table.column_names, list(enumerate(rows, start=1))
        return _parsed_csv(path, content.decode("utf-8-sig"))
    except (csv.Error, ValueError, OSError, OverflowError) as error:
        raise ReferenceDataError(
            f"cannot be read ({type(error).__name__})",
            where=str(path),
            hint="Expected UTF-8 CSV with a header, or Parquet",
        ) from None


def _parsed_csv(path: Path, text: str) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    reader = csv.reader(io.StringIO(text), strict=True)
    columns = [name.strip() for name in next(reader, [])]
    if len(set(columns)) != len(columns):
        hint = "Give every column its own name"
        raise ReferenceDataError("names a column twice", where=str(path), hint=hint)
    rows: list[tuple[int, dict[str, str]]] = []
    number = reader.line_num + 1
    for cells in reader:
        first, number = number, reader.line_num + 1
        if not cells or (len(cells) > 1 and not any(map(str.strip, cells))):
            continue  # a spreadsheet's empty row
        _bounded(path, len(rows))
        if len(cells) != len(columns):
            what = f"has {len(cells)} cells, the header has {len(columns)}"
            where = f"{path} row {first}"
            raise ReferenceDataError(what, where=where, hint="Quote cells that hold commas")
        rows.append((first, dict(zip(columns, cells, strict=True))))
    return columns, rows


def _bounded(path: Path, n_rows: int) -> None:
    if n_rows > MAX_ROWS:
        hint = f"Limit: {MAX_ROWS:,} rows"
        raise ReferenceDataError("has too many rows", where=str(path), hint=hint)


def _cell(value: object) -> str:
    """Return a Parquet value as CSV would hold it; a timestamp is its date."""
    if value is None:
        return ""
    return str(value.date()) if isinstance(value, datetime) else str(value)


def _staff(rows: list[Row]) -> Staff:
    seen: set[str] = set()
    for row in rows:
        user_id = row.required("user_id")
        if user_id in seen:
            raise row.error("user_id", f"is given twice: {user_id!r}", "Keep one row per person")
        seen.add(user_id)
        if row.text("account_type") not in {None, "person", "service"}:
            raise row.error("account_type", "is unknown", "Allowed: person, service")
    return Staff(
        user_ids=tuple(row.required("user_id") for row in rows),
        roles=tuple(row.text("role") for row in rows),
        branches=tuple(row.text("branch") for row in rows),
        account_types=tuple(row.text("account_type") for row in rows),
        left=tuple(row.optional_day("left") for row in rows),
        leave=tuple(row.periods("leave") for row in rows),
    )


def _branches(rows: list[Row]) -> tuple[Branch, ...]:
    found: dict[str, Branch] = {}
    zones = zoneinfo.available_timezones() - {"localtime"}
    for row in rows:
        name, zone = row.required("branch"), row.text("time_zone")
        if name in found:
            raise row.error("branch", f"is given twice: {name!r}", "Keep one row per branch")
        if zone is not None and zone not in zones:
            hint = "Use an IANA name such as Asia/Shanghai"
            raise row.error("time_zone", "is unknown", hint)
        found[name] = Branch(name, row.text("region"), zone, row.text("calendar"))
    return tuple(found.values())


def _calendar(rows: list[Row]) -> dict[tuple[str, date], str]:
    days = {}
    for row in rows:
        kind = row.required("kind")
        if kind not in DAY_KINDS:
            raise row.error("kind", "is unknown", f"Allowed: {', '.join(DAY_KINDS)}")
        days[row.required("calendar"), row.day("date")] = kind
    return days


def _cover(rows: list[Row]) -> tuple[Cover, ...]:
    duties = []
    for row in rows:
        first, last = row.day("from"), row.day("to")
        if first > last:
            raise row.error("from", f"is after to: {first} > {last}", "Swap the two dates")
        duties.append(Cover(row.required("user_id"), row.required("branch"), first, last))
    return tuple(duties)
