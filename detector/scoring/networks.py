"""Addresses → keys of their networks: a lease changes every day, a network does not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detector.compiled import kernel, part, wrapping
from detector.hashing import BASIS, finish_hash, hash_bytes, ragged
from detector.state.layout import I64, U8

_COLON, _DOT, _ZERO, _NINE = b":.09"
_GROUPS = 4  # of an IPv6 address: its /64
_BYTES = 4  # of an IPv4 address


def network_keys(addresses: Sequence[str]) -> I64:
    """Return (n,) keys of the /24 of IPv4, the /64 of IPv6 addresses, of anything else whole.

    >>> a, b, c, d = network_keys(["10.2.3.4", "10.2.3.99", "10.2.4.4", "kiosk"]).tolist()
    >>> a == b, a == c, a == d
    (True, False, False)
    """
    text, ends = ragged(addresses)
    out = np.zeros(len(addresses), dtype=np.int64)
    with wrapping():
        _hash_networks(text, ends, out)
    return out


@kernel
def _hash_networks(text: U8, ends: I64, out: I64) -> None:
    start = 0
    for row in range(ends.size):
        stop = end_of_network(text, start, ends[row])
        if stop > start:
            out[row] = finish_hash(hash_bytes(text, start, stop, BASIS))
        start = ends[row]


@part
def end_of_network(text: U8, start: int, stop: int) -> int:
    """Return the byte after the network's part of an address."""
    n_colons, n_dots, last_dot, n_others = 0, 0, start, 0
    for at in range(start, stop):
        byte = text[at]
        if byte == _COLON:
            n_colons += 1
            if n_colons == _GROUPS:
                return at
        elif byte == _DOT:
            n_dots, last_dot, n_others = n_dots + 1, at, 0
        elif not _ZERO <= byte <= _NINE:
            n_others += 1
    is_ipv4 = n_colons == 0 and n_dots == _BYTES - 1 and n_others == 0 and last_dot + 1 < stop
    return last_dot if is_ipv4 else stop
