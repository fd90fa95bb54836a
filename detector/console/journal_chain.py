"""The audit log as a chain: an entry's hash covers its content and the hash before it.

A changed, removed, inserted or reordered entry breaks the chain from there on. Cutting off the end
leaves a shorter chain that is whole: signed anchors, kept elsewhere, tell how long it was.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

GENESIS = "0" * 64
"""What stands before the first entry."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Who did what to which thing, when (milliseconds, UTC). ``number`` counts from 1."""

    number: int
    at_ms: int
    actor: str
    act: str
    thing: str
    detail: Mapping[str, Any]
    previous: str
    digest: str


@dataclass(frozen=True, slots=True)
class Break:
    """The first entry that does not fit, and why."""

    number: int
    reason: str


def canonical(content: Mapping[str, Any]) -> bytes:
    r"""Return the one spelling of a JSON object: sorted keys, no spaces, ASCII.

    >>> canonical({"b": 1, "a": "ü"})
    b'{"a":"\\u00fc","b":1}'
    """
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def digest_of(entry: Entry) -> str:
    """Return the hash an entry must bear."""
    content = {
        "number": entry.number,
        "at_ms": entry.at_ms,
        "actor": entry.actor,
        "act": entry.act,
        "thing": entry.thing,
        "detail": dict(entry.detail),
        "previous": entry.previous,
    }
    return hashlib.sha256(canonical(content)).hexdigest()


def chained(entry: Entry, last: Entry | None) -> Entry:
    """Return the entry with number, previous and digest as they follow from the last one."""
    number, previous = (1, GENESIS) if last is None else (last.number + 1, last.digest)
    placed = replace(entry, number=number, previous=previous)
    return replace(placed, digest=digest_of(placed))


def first_break(entries: Iterable[Entry]) -> tuple[Entry | None, Break | None]:
    """Read a chain from its beginning.

    Returns:
        The last entry that fits, and what comes after it: None if all of it fits.
    """
    last: Entry | None = None
    for entry in entries:
        expected = chained(entry, last)
        if entry.number != expected.number:
            return last, Break(expected.number, f"entry {expected.number} is missing")
        if entry.previous != expected.previous:
            return last, Break(entry.number, "does not follow the entry before it")
        if entry.digest != expected.digest:
            return last, Break(entry.number, "has been changed")
        last = entry
    return last, None


def anchor(entry: Entry, at_ms: int, key: Ed25519PrivateKey) -> bytes:
    """Return a signed line that says: at this time the chain reached this entry."""
    said = {"number": entry.number, "digest": entry.digest, "at_ms": at_ms}
    return canonical({**said, "signature": key.sign(canonical(said)).hex()}) + b"\n"


def read_anchor(line: bytes, key: Ed25519PublicKey) -> tuple[int, str] | None:
    """Return number and digest of an anchor; None if nobody with the key has signed it."""
    try:
        said = json.loads(line)
        signature = bytes.fromhex(said.pop("signature"))
        key.verify(signature, canonical(said))
        return int(said["number"]), str(said["digest"])
    except (ValueError, KeyError, TypeError, AttributeError, InvalidSignature):
        return None
