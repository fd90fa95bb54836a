"""How often the whole bank uses each system, action, device, network, channel, class."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from detector.columns import EventBatch
from detector.plan import LEAST_SHARE
from detector.scoring.rows import value_columns, value_keys
from detector.state.layout import F64, I64, N_FIELDS

_MAX_VALUES = 200_000  # kept per field, the most frequent first


class ValueCounts:
    """Counts values batch by batch."""

    def __init__(self) -> None:
        self._counts: list[Counter[int]] = [Counter() for _ in range(N_FIELDS)]

    def add(self, batch: EventBatch) -> None:
        """Count the values of one batch."""
        for field, column in enumerate(value_columns(batch)):
            n = np.bincount(column.codes[column.codes >= 0], minlength=len(column.values))
            keys = value_keys(column, field)[: len(column.values)].tolist()
            for key, count in zip(keys, n.tolist(), strict=True):
                self._counts[field][key] += count

    def shares(self) -> tuple[I64, F64]:
        """Return sorted keys and the share of each in its field, at least LEAST_SHARE."""
        keys: list[int] = []
        shares: list[float] = []
        for counter in self._counts:
            total = sum(counter.values())
            for key, count in counter.most_common(_MAX_VALUES):
                keys.append(key)
                shares.append(max(count / total, LEAST_SHARE))
        key_array: NDArray[np.int64] = np.array(keys, dtype=np.int64)
        order = np.argsort(key_array, kind="stable")
        return key_array[order], np.array(shares, dtype=np.float64)[order]
