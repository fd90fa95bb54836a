"""Decoded events as columns: what decode hands to the engine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Coded:
    """A dictionary-coded text column.

    ``codes`` is (n,) int32; -1 means missing. ``values[code]`` is the text. Codes have
    meaning within one batch only.
    """

    codes: NDArray[np.int32]
    values: tuple[str, ...]

    def at(self, row: int) -> str | None:
        """Return the text of one row, None where it is missing."""
        code = int(self.codes[row])
        return None if code < 0 else self.values[code]


@dataclass(frozen=True, slots=True)
class EventBatch:
    """n accepted events in arrival order; every column has length n.

    Hashes are 63-bit int64 (``detector.hashing.hash_strings``); 0 means the field is missing.
    ``event_hash`` covers system and event id together: it is the duplicate key.
    ``customer_number`` is the number a customer id ends with, -1 where it ends with none.
    ``raw`` keeps the source bytes so that a row rejected later can still be shown whole;
    ``line_numbers`` (1-based, in ``source``) say where it stood.
    """

    event_time_ns: NDArray[np.int64]
    event_hash: NDArray[np.int64]
    user_hash: NDArray[np.int64]
    customer_hash: NDArray[np.int64]
    customer_number: NDArray[np.int64]
    record_count: NDArray[np.int64]
    user_role: Coded
    user_branch: Coded
    record_branch: Coded
    account_type: Coded
    system: Coded
    action: Coded
    data_class: Coded
    outcome: Coded
    device_id: Coded
    source_ip: Coded
    session_id: Coded
    channel: Coded
    ticket_id: Coded
    purpose: Coded
    event_ids: list[str]
    user_ids: list[str]
    raw: list[bytes]
    source: str
    line_numbers: NDArray[np.int64]

    def __len__(self) -> int:
        """Number of events."""
        return len(self.event_ids)


@dataclass(frozen=True, slots=True)
class Reject:
    """One row that could not be used: a reason code, the place, and its bytes."""

    reason: str
    where: str
    field: str
    raw: bytes
