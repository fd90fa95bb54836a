"""`detector verify-log`: the chain read from its beginning, and held against anchors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from sqlalchemy import Connection, select

from detector.console import journal
from detector.console.journal_chain import Break, first_break, read_anchor
from detector.errors import OptionError
from detector.store.tables import audit_entry

_MAX_ANCHOR_BYTES = 1_000


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found: entries that fit, anchors that agree, the first break if there is one."""

    n_entries: int
    n_anchors: int
    broken: Break | None

    @property
    def is_whole(self) -> bool:
        """Tell whether nothing is wrong."""
        return self.broken is None

    def sentence(self) -> str:
        """Return the finding in words."""
        if self.broken is not None:
            return f"entry {self.broken.number}: {self.broken.reason}"
        anchored = f", {self.n_anchors:,} anchors agree" if self.n_anchors else ""
        return f"the audit log is whole: {self.n_entries:,} entries{anchored}"

    def to_json(self) -> dict[str, Any]:
        """Return the finding for programs."""
        broken = self.broken and {"number": self.broken.number, "reason": self.broken.reason}
        return {
            "whole": self.is_whole,
            "n_entries": self.n_entries,
            "n_anchors": self.n_anchors,
            "broken": broken,
        }


def verify(db: Connection, anchors: Path | None, key: Path | None) -> Verification:
    """Read the whole log, then every anchor.

    Raises:
        OptionError: anchors or key cannot be read.
    """
    last, broken = first_break(journal.entries(db))
    n_entries = 0 if last is None else last.number
    if anchors is None or key is None:
        return Verification(n_entries, 0, broken)
    n_anchors, disagreement = _held_against(db, anchors, _public_key(key))
    found = [part for part in (broken, disagreement) if part is not None]
    return Verification(n_entries, n_anchors, min(found, key=lambda b: b.number, default=None))


def _held_against(db: Connection, path: Path, key: Ed25519PublicKey) -> tuple[int, Break | None]:
    """Return how many anchors agree before the first that does not."""
    n_good = 0
    for line in _lines(path):
        told = read_anchor(line, key)
        if told is None:
            return n_good, Break(n_good + 1, f"anchor {n_good + 1} has no valid signature")
        number, digest = told
        query = select(audit_entry.c.digest).where(audit_entry.c.number == number)
        held = db.execute(query).scalar()
        if held is None or bytes(held).hex() != digest:
            what = "is missing" if held is None else "is not the one"
            return n_good, Break(number, f"{what} that was anchored")
        n_good += 1
    return n_good, None


def _lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file of anchors, none longer than an anchor can be."""
    try:
        with path.open("rb") as lines:
            yield from (line[:_MAX_ANCHOR_BYTES] for line in lines)
    except OSError as error:
        what = f"cannot be read ({error.strerror})"
        raise OptionError(what, where=str(path), hint="Check path and rights") from None


def _public_key(path: Path) -> Ed25519PublicKey:
    hint = "Make one: openssl pkey -in private.pem -pubout"
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError):
        raise OptionError("holds no public key", where=str(path), hint=hint) from None
    if not isinstance(key, Ed25519PublicKey):
        raise OptionError("holds a key of another kind", where=str(path), hint=hint)
    return key
