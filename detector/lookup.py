"""Look many keys up at once, in a sorted table."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T", bound=np.generic)


def is_in(keys: NDArray[np.int64], table: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(n,) whether each key is in a sorted table.

    >>> is_in(np.array([3, 4]), np.array([1, 3])).tolist()
    [True, False]
    """
    if table.size == 0:
        return np.zeros(keys.size, dtype=np.bool_)
    at = np.minimum(np.searchsorted(table, keys), table.size - 1)
    return np.asarray(table[at] == keys)


def looked_up(
    keys: NDArray[np.int64], table: NDArray[np.int64], values: NDArray[T], otherwise: float
) -> NDArray[T]:
    """(n,) the value of each key, ``otherwise`` where a sorted table has no such key.

    Args:
        keys: (n,).
        table: (m,) ascending.
        values: (m,) those of the table's keys.
        otherwise: of the values' type.

    >>> looked_up(np.array([3, 4]), np.array([1, 3]), np.array([0.1, 0.3]), 0.0).tolist()
    [0.3, 0.0]
    """
    if table.size == 0:
        return np.full(keys.size, otherwise, dtype=values.dtype)
    at = np.minimum(np.searchsorted(table, keys), table.size - 1)
    return np.where(table[at] == keys, values[at], values.dtype.type(otherwise))
