"""Checkpoints and state pages as a database holds them: packed, and signed by a digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any

import zstandard

from detector.errors import SnapshotError
from detector.state.snapshot import PAGE_BYTES
from detector.store.base import Checkpoint, Page

_PACKING_LEVEL = 1  # a third of the bytes for a quarter of the time to write them
_REMEDY = "Restore a copy, or name a new store and run from the start"

PageRow = tuple[str, int, bytes, bytes]
"""(array, page, packed content, digest)."""


def digest_of(number: int, facts: str) -> bytes:
    """Return the digest that a checkpoint is saved with."""
    return hashlib.blake2b(f"{number}\x1f{facts}".encode(), digest_size=16).digest()


def checkpoint_of(row: tuple[Any, Any, Any, Any] | None, where: str) -> Checkpoint | None:
    """Read number, facts, digest and newest event of a checkpoint.

    Raises:
        SnapshotError: it has changed since it was written.
    """
    if row is None:
        return None
    number, facts, digest, newest_event_ms = row
    good = isinstance(facts, str) and bytes(digest) == digest_of(number, facts)
    _verify(good, where, "checkpoint")
    newest_event_ns = None if newest_event_ms is None else int(newest_event_ms) * 1_000_000
    return Checkpoint(int(number), json.loads(facts), newest_event_ns)


def packed(pages: Iterable[Page]) -> Iterator[PageRow]:
    """Pack and sign pages as they come."""
    pack = zstandard.ZstdCompressor(level=_PACKING_LEVEL).compress
    for name, page, content in pages:
        short = pack(content)
        yield name, page, short, _page_digest(name, page, short)


def unpacked(rows: Iterable[PageRow], where: str) -> Iterator[bytes]:
    """Verify and unpack saved pages.

    Raises:
        SnapshotError: a page has changed since it was written.
    """
    unpack = zstandard.ZstdDecompressor().decompress
    for name, page, content, digest in rows:
        part = f"{name}, page {page}"
        _verify(digest == _page_digest(name, page, content), where, part)
        try:
            _verify(zstandard.frame_content_size(content) <= PAGE_BYTES, where, part)
            yield unpack(content, max_output_size=PAGE_BYTES)
        except zstandard.ZstdError:
            _verify(False, where, part)


def ends_of(layout: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield each array's name and how many pages it has; pages beyond are surplus."""
    for name, (dtype, shape) in layout.items():
        n_bytes = int(dtype[2:])
        for n in shape:
            n_bytes *= n
        yield name, -(-n_bytes // PAGE_BYTES)


def _page_digest(name: str, page: int, content: bytes) -> bytes:
    head = f"{name}\x1f{page}\x1f".encode()
    return hashlib.blake2b(head + content, digest_size=16).digest()


def _verify(good: bool, where: str, part: str) -> None:
    if not good:
        raise SnapshotError(
            "has changed since it was written", where=f"{where} ({part})", hint=_REMEDY
        )
