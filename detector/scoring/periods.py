"""Which periods of local days the reference tables give for a key: leave, cover duty."""

from __future__ import annotations

from detector.compiled import part
from detector.state.layout import I32, I64


@part
def has_period(keys: I64, first: I32, last: I32, key: int, day: int) -> bool:
    """Tell whether one of a key's periods holds a local day.

    Args:
        keys: (n,) sorted; a key stands once for each of its periods.
        first: (n,) first local day of each period, days since 1970-01-01.
        last: (n,) last local day, inclusive.
        key: key to look up.
        day: local day.
    """
    low, high = 0, keys.size
    while low < high:
        middle = (low + high) // 2
        if keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    while low < keys.size and keys[low] == key:
        if first[low] <= day <= last[low]:
            return True
        low += 1
    return False
