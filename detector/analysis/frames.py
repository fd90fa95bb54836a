"""Data frames of any kind ↔ events: what analysts hold in their hands, through the one decoder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from detector.columns import EventBatch, Reject
from detector.decode import Bounds, Rows, decode
from detector.decode_fields import column_of
from detector.decode_json import load_line
from detector.errors import SourceError
from detector.events import COUNT, FIELDS, TIME
from detector.extras import needed
from detector.hosts.events import bounds_now, decoded
from detector.hosts.inputs import CHUNK_LINES, files_of
from detector.mapping import Mapping, load_mapping

Chunk = tuple[EventBatch, list[Reject]]
_NOTHING: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Events:
    """Events that can be gone through as often as needed, chunk by chunk, in arrival order."""

    chunks: Callable[[], Iterator[Chunk]]
    mapping: Mapping
    bounds: Bounds
    is_loose: bool


def events_of(events: Any, mapping: Path | str | Mapping | None, max_line_bytes: int) -> Events:
    """Take events from wherever they are.

    Args:
        events: path of a file or folder as the command line takes it, or a data frame
            (pandas, Polars, Arrow, DuckDB and whatever else narwhals knows), lazy or not.
        mapping: how the source's fields are named; None: they are canonical.
        max_line_bytes: longer rows are rejects.

    Raises:
        SourceError: no such file, or no frame.
    """
    how = mapping if isinstance(mapping, Mapping) else load_mapping(_path(mapping))
    bounds = bounds_now(max_line_bytes)
    if isinstance(events, str | Path):
        files = files_of(str(events))
        loose = bool(files) and files[0].name.endswith((".csv", ".parquet"))

        def from_files() -> Iterator[Chunk]:
            for chunk in decoded(str(events), how, max_line_bytes, None, bounds.not_after_ns):
                yield chunk.batch, chunk.rejects

        return Events(from_files, how, bounds, loose)
    table = _table_of(events, has_mapping=mapping is not None)

    loose = _is_loose(table)

    def from_table() -> Iterator[Chunk]:
        for first in range(0, table.num_rows, CHUNK_LINES):
            lines = [_line(row) for row in table.slice(first, CHUNK_LINES).to_pylist()]
            yield decode(lines, how, bounds, source="frame", first_line=first + 1, loose=loose)

    return Events(from_table, how, bounds, loose)


def _path(path: Path | str | None) -> Path | None:
    return None if path is None else Path(path)


def _line(row: dict[str, Any]) -> bytes:
    known = {name: value for name, value in row.items() if value is not None}
    return orjson.dumps(known, default=str, option=orjson.OPT_NAIVE_UTC)


def _table_of(frame: Any, *, has_mapping: bool) -> Any:
    """Return an Arrow table whose times are texts and whose whole numbers are whole."""
    nw, pa = needed("narwhals"), needed("pyarrow")
    try:
        known = nw.from_native(frame)
        table = (known.collect() if isinstance(known, nw.LazyFrame) else known).to_arrow()
    except TypeError:
        hint = "Give a path, or a pandas, Polars or Arrow data frame"
        what = f"is neither a path nor a data frame but a {type(frame).__name__}"
        raise SourceError(what, where="events", hint=hint) from None
    except pa.ArrowException as error:
        hint = "Give every column one type, such as str"
        raise SourceError(f"cannot be read ({error})", where="events", hint=hint) from None
    for number, field in enumerate(table.schema):
        column = _plain(field.name, table.column(number), has_mapping=has_mapping)
        table = table.set_column(number, field.name, column)
    return table


def _is_loose(table: Any) -> bool:
    """Tell whether empty texts stand for nothing or texts for numbers, as in CSV.

    Where they do not, the compiled decoder reads the rows several times faster.
    """
    pc, types = needed("pyarrow.compute"), needed("pyarrow").types
    if "record_count" in table.column_names and not types.is_integer(table["record_count"].type):
        return True
    columns = (table.column(number) for number in range(table.num_columns))
    texts = (c for c in columns if types.is_string(c.type) or types.is_large_string(c.type))
    return any(pc.any(pc.equal(column, "")).as_py() for column in texts)


def _plain(name: str, column: Any, *, has_mapping: bool) -> Any:
    """Give a column the form it would have as JSON: ISO times, whole numbers, plain texts."""
    pa = needed("pyarrow")
    kind = column.type
    if pa.types.is_timestamp(kind):
        if kind.tz is None and not has_mapping and FIELDS.get(name) == TIME:
            what, hint = "has no time zone", 'Use .dt.tz_localize("Asia/Shanghai") or the like'
            raise SourceError(what, where=f"events column {name}", hint=hint)
        return _iso_texts(column, "Z" if kind.tz is not None else "")
    if pa.types.is_dictionary(kind):
        return column.cast(kind.value_type)
    if pa.types.is_floating(kind):
        values = column.drop_null().to_numpy()
        whole = bool(np.isfinite(values).all()) and bool((values == np.floor(values)).all())
        return column.cast(pa.int64()) if whole and (abs(values) < 2**53).all() else column
    return column


def _iso_texts(column: Any, zone: str) -> Any:
    """Write times with all nine digits: nothing is rounded on the way."""
    pa = needed("pyarrow")
    ns = column.cast(pa.timestamp("ns")).cast(pa.int64())
    values = ns.fill_null(0).to_numpy().astype("datetime64[ns]")
    texts = pa.array(np.char.add(np.datetime_as_string(values, unit="ns"), zone))
    return needed("pyarrow.compute").if_else(ns.is_valid(), texts, None)


def read_events(
    events: Any, mapping: Path | str | Mapping | None = None, *, max_line_bytes: int = 1_000_000
) -> Any:
    """Read events into a pandas data frame of canonical fields.

    The rows went through the decoder of the consumer: replaying the frame gives the same
    alerts as replaying what it was read from.

    Args:
        events: a path (``.jsonl``, ``.jsonl.gz``, ``.jsonl.zst``, ``.csv``, ``.parquet``, a
            folder of such) or a data frame with the source's own columns.
        mapping: TOML file that names the source's fields; None: they are canonical.
        max_line_bytes: longer rows are rejects.

    Returns:
        One row an accepted event, in arrival order: times as UTC nanoseconds (missing: NaT),
        ``record_count`` as integers, everything else as texts (missing: NA). ``attrs["rejects"]``
        counts rows that could not be used, by reason.

    Raises:
        DetectorError: the input or the mapping cannot be read.
    """
    pd = needed("pandas")
    source = events_of(events, mapping, max_line_bytes)
    rejects: Counter[str] = Counter()
    parts: dict[str, list[Any]] = {name: [] for name in FIELDS}
    for batch, refused in source.chunks():
        rejects.update(reject.reason for reject in refused)
        for name, values in _columns(batch, source).items():
            parts[name].append(values)
    columns = {name: _joined(name, values) for name, values in parts.items()}
    frame = pd.DataFrame(columns)
    frame.attrs["rejects"] = dict(sorted(rejects.items()))
    return frame


def _columns(batch: EventBatch, source: Events) -> dict[str, Any]:
    """Return the canonical fields of one batch."""
    found: dict[str, Any] = {
        "event_id": list(batch.event_ids),
        "user_id": list(batch.user_ids),
        "event_time": batch.event_time_ns,
        "record_count": batch.record_count,
        "valid_until": batch.valid_until_ns,  # NOT_A_TIME is pandas' own NaT
        "customer_id": _customers(batch, source),
    }
    for name in FIELDS:
        if name not in found:
            column = getattr(batch, name)
            texts = np.array([*column.values, None], dtype=object)
            found[name] = texts[column.codes]
    return found


def _customers(batch: EventBatch, source: Events) -> list[str | None]:
    """Read customers' ids once more: the engine keeps only their keys."""
    documents = [_document(line, source.bounds.max_line_bytes) for line in batch.raw]
    rows = Rows(documents, list(batch.raw), batch.line_numbers.tolist())
    rule = source.mapping.rules.get("customer_id")
    ids = column_of("customer_id", rule, rows, source.bounds, loose=source.is_loose)
    return [value or None for value in ids]


def _document(line: bytes, limit: int) -> dict[str, Any]:
    """Parse a line that the decoder has accepted; the strict parser takes what orjson does not."""
    try:
        document: dict[str, Any] = orjson.loads(line)
    except orjson.JSONDecodeError:
        document = load_line(line, limit)[0] or _NOTHING
    return document


def _joined(name: str, parts: list[Any]) -> Any:
    """Put the pieces of one column together."""
    pd = needed("pandas")
    if FIELDS[name] == TIME:
        whole = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
        return pd.to_datetime(whole, unit="ns", utc=True)
    if FIELDS[name] == COUNT:
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
    return pd.array([value for part in parts for value in part], dtype="str")
