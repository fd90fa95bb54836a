"""Stand-ins for who and what an alert is about, for receivers who may not know it.

The same key gives the same stand-ins, so that a receiver can still count and join; without
the key nobody can go back, not even by trying every staff number. ``alert_id`` is replaced
too: it is a plain hash of person and day, and whoever has a staff list could try them all.
Role, branch and times stay.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Any

from detector.errors import OptionError

_MIN_KEY_BYTES = 16
_N_HEX = 32
_SHORTEST = 4
_TEXTS = ("explanation", "evidence")


class Pseudonyms:
    """Keyed stand-ins.

    Args:
        key: at least 16 bytes.
        where: setting the key comes from, for the error.

    Raises:
        OptionError: the key is too short to keep anybody from trying.

    >>> stand_in = Pseudonyms(b"sixteen bytes or", "x").of("user", "u00017")
    >>> stand_in == Pseudonyms(b"sixteen bytes or", "x").of("user", "u00017"), len(stand_in)
    (True, 32)
    """

    def __init__(self, key: bytes, where: str) -> None:
        if len(key) < _MIN_KEY_BYTES:
            hint = f"Give at least {_MIN_KEY_BYTES} random bytes: `openssl rand -hex 32`"
            raise OptionError("is too short a key", where=where, hint=hint)
        self._key = key

    def of(self, kind: str, text: str) -> str:
        """Return the stand-in of an id; the same id of another kind has another."""
        message = f"{kind}\x1f{text}".encode(errors="surrogatepass")
        return hmac.digest(self._key, message, hashlib.sha256).hex()[:_N_HEX]

    def alert(self, alert: dict[str, Any]) -> dict[str, Any]:
        """Return an alert with stand-ins for alert, person and events, in its texts too."""
        user = str(alert["user_id"])
        stand_in = self.of("user", user)
        told = {name: _without(alert[name], user, stand_in) for name in _TEXTS if name in alert}
        replaced: dict[str, Any] = {
            "alert_id": self.of("alert", str(alert["alert_id"])),
            "user_id": stand_in,
            "event_ids": [self.of("event", str(event)) for event in alert.get("event_ids", ())],
        }
        return {**alert, **told, **replaced}


def _without(value: Any, user: str, stand_in: str) -> Any:
    """Replace a person's number wherever it stands by itself in a JSON value.

    Shorter than four characters it is left: there it is more likely a count.
    """
    if len(user) < _SHORTEST:
        return value
    if isinstance(value, str):
        return re.sub(rf"(?<!\w){re.escape(user)}(?!\w)", stand_in, value)
    if isinstance(value, dict):
        return {
            _without(key, user, stand_in): _without(item, user, stand_in)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_without(item, user, stand_in) for item in value]
    return value
