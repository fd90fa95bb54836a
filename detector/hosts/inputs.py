"""Stored events of any kind as lines of JSON, resumable to the line."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from detector.errors import SourceError

SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".csv", ".parquet")
CHUNK_LINES = 4000  # more saves nothing; a step has a cost of its own per batch
_LIVE = ".jsonl"  # the name that stands for stdin
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Position:
    """Where to go on: the file of a folder, and how many of its lines are done."""

    file_index: int = 0
    line: int = 0


@dataclass(frozen=True, slots=True)
class Lines:
    """Some lines of one file; ``first_line`` is 1-based, ``end`` the position after them."""

    lines: list[bytes]
    source: str
    first_line: int
    end: Position
    loose: bool
    bytes_done: int


def files_of(path: str) -> list[Path]:
    """Return the files behind EVENTS, in reading order; none for stdin.

    Raises:
        SourceError: nothing there, or a kind of file that cannot be read.
    """
    if path == "-":
        return []
    root = Path(path)
    if root.is_dir():
        files = sorted(p for p in root.iterdir() if p.is_file() and not p.name.startswith("."))
    else:
        files = [root]
    if not root.exists() or not files:
        raise SourceError("no events there", where=path, hint="Check the path")
    for file in files:
        if not file.name.endswith(SUFFIXES):
            hint = f"Known kinds: {', '.join(SUFFIXES)}"
            raise SourceError("is of a kind that cannot be read", where=str(file), hint=hint)
    return files


def total_bytes(path: str) -> int | None:
    """Size of the input as it lies there; None for stdin."""
    files = files_of(path)
    return sum(file.stat().st_size for file in files) if files else None


def fingerprint(path: str) -> str:
    """Identify an input, so that a run goes on only with what it began with."""
    digest = hashlib.blake2b(digest_size=16)
    for file in files_of(path):
        digest.update(f"{file.name}\x1f{file.stat().st_size}\x1f".encode())
        with _opened(file) as stream:
            digest.update(stream.read(65_536))
    return digest.hexdigest() if path != "-" else "stdin"


def read_lines(
    path: str, start: Position | None = None, max_line_bytes: int = 1_000_000
) -> Iterator[Lines]:
    """Yield the lines of an input from a position on.

    A line longer than ``max_line_bytes`` is cut to one byte more: decode then rejects it,
    and nobody has held the whole.

    Raises:
        SourceError: missing or unreadable, or cut in the middle: after all whole lines of
            what is there have been yielded.
    """
    start = start or Position()
    if path == "-":
        yield from _of_file(sys.stdin.buffer, "stdin", _LIVE, start, 0, max_line_bytes)
        return
    done = 0
    for index, file in enumerate(files_of(path)):
        if index >= start.file_index:
            at = start if index == start.file_index else Position(index)
            with _opened(file) as stream:
                yield from _of_file(stream, file.name, file.name, at, done, max_line_bytes)
        done += file.stat().st_size


def _opened(file: Path) -> BinaryIO:
    try:
        return file.open("rb")
    except OSError as error:
        what = f"cannot be read ({error.strerror})"
        raise SourceError(what, where=str(file), hint="Check path and rights") from None


def _of_file(
    stream: BinaryIO, source: str, name: str, start: Position, done: int, limit: int
) -> Iterator[Lines]:
    """Yield chunks of one file; a failure comes after what could be read.

    What stdin gives is passed on as it comes, without waiting for more.
    """
    number, to_skip = start.line, start.line
    waiting: list[bytes] = []
    failure: SourceError | None = None
    loose = name.endswith((".csv", ".parquet"))

    def taken(n_lines: int) -> Lines:
        nonlocal number, waiting
        chunk, waiting = waiting[:n_lines], waiting[n_lines:]
        number += len(chunk)
        at = done + (stream.tell() if name != _LIVE else 0)
        end = Position(start.file_index, number)
        return Lines(chunk, source, number - len(chunk) + 1, end, loose, at)

    try:
        for lines in _records(stream, name, source, limit):
            waiting += lines[to_skip:]
            to_skip = max(to_skip - len(lines), 0)
            while len(waiting) >= CHUNK_LINES or (waiting and name == _LIVE):
                yield taken(CHUNK_LINES)
    except SourceError as error:
        failure = error
    if waiting:
        yield taken(CHUNK_LINES)
    if failure is not None:
        raise failure


def _records(stream: BinaryIO, name: str, source: str, limit: int) -> Iterator[list[bytes]]:
    """Yield lines as they come: those of a block together."""
    try:
        if name.endswith(".csv"):
            yield from ([line] for line in _csv_lines(stream))
        elif name.endswith(".parquet"):
            yield from ([line] for line in _parquet_lines(stream))
        else:
            yield from _text_lines(_blocks(stream, name), limit)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        hint = "All whole lines before the cut have been read. Fetch the file again"
        raise SourceError(f"is cut or damaged ({error})", where=source, hint=hint) from None
    except (OSError, ValueError, csv.Error) as error:
        hint = "Check that the file is complete and of the kind its name says"
        raise SourceError(f"cannot be read ({error})", where=source, hint=hint) from None


def _blocks(stream: BinaryIO, name: str) -> Iterator[bytes]:
    """Yield the content of a stream, without its compression, as far as it goes."""
    if name.endswith(".zst"):
        yield from _zstd_blocks(stream)
        return
    plain: Any = gzip.GzipFile(fileobj=stream) if name.endswith(".gz") else stream
    while block := plain.read1(_BLOCK_BYTES):
        yield block


def _zstd_blocks(stream: BinaryIO) -> Iterator[bytes]:
    """Decompress frame after frame; a frame that does not end is an error, not an end."""
    import zstandard

    decompressor = zstandard.ZstdDecompressor()
    frame, fed = decompressor.decompressobj(), False
    try:
        while block := stream.read(_BLOCK_BYTES // 8):
            while block:
                yield frame.decompress(block)
                block, fed = frame.unused_data, True
                if frame.eof:
                    frame, fed = decompressor.decompressobj(), False
    except zstandard.ZstdError as error:
        raise EOFError(str(error)) from None
    if fed:
        raise EOFError("the last frame does not end")


def _text_lines(blocks: Iterator[bytes], limit: int) -> Iterator[list[bytes]]:
    """Split blocks into lines; the rest of an overlong line is dropped as it comes."""
    rest, overlong = b"", False
    for block in blocks:
        lines = block.split(b"\n")
        if overlong:
            if len(lines) == 1:
                continue
            lines[0], overlong = rest, False
        else:
            lines[0] = rest + lines[0]
        rest = lines.pop()
        if lines and max(map(len, lines)) > limit:
            lines = [line[: limit + 1] for line in lines]
        yield lines
        if len(rest) > limit:
            rest, overlong = rest[: limit + 1], True
    if rest:
        yield [rest]


def _csv_lines(stream: BinaryIO) -> Iterator[bytes]:
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    reader = csv.DictReader(text, restkey="", strict=False)
    for row in reader:
        row.pop("", None)
        try:
            yield orjson.dumps(row)
        except (TypeError, orjson.JSONEncodeError):
            yield repr(row).encode("utf-8", "backslashreplace")
    text.detach()


def _parquet_lines(stream: BinaryIO) -> Iterator[bytes]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(stream)
        for batch in table.iter_batches(batch_size=10_000):
            for row in batch.to_pylist():
                yield orjson.dumps(row, default=str, option=orjson.OPT_NAIVE_UTC)
    except pa.ArrowException as error:
        raise ValueError(str(error)) from None
