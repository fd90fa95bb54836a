"""Names that stand for staff and customers: always the same, undone by nobody without the key."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field

_ALPHABET = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "0123456789ABCDEFGHJKMNPQRSTVWXYZ")
_N_LETTERS = 10  # 50 bits: among two million people, one chance in five hundred that two share one


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """Pseudonyms under one key, 32 bytes or more. A new key gives everybody a new name."""

    key: bytes = field(repr=False)

    def staff(self, user_id: str) -> str:
        """Return the pseudonym of a member of staff.

        >>> Pseudonyms(bytes(32)).staff("u00017")
        'S-V3BE6-TZD2B'
        """
        return self._name("S", user_id)

    def customer(self, customer_id: str) -> str:
        """Return the pseudonym of a customer; never that of a member of staff."""
        return self._name("C", customer_id)

    def _name(self, kind: str, real_id: str) -> str:
        mac = hmac.new(self.key, f"{kind}\x1f{real_id}".encode(), hashlib.sha256).digest()
        letters = base64.b32encode(mac[:10]).decode().translate(_ALPHABET)[:_N_LETTERS]
        return f"{kind}-{letters[:5]}-{letters[5:]}"
