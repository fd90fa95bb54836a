"""What one access event is: its fields, their kinds, allowed values and reasons to refuse."""

from __future__ import annotations

from typing import Final

ID, TEXT, COUNT, TIME, CHOICE, NOTE = "id", "text", "count", "time", "choice", "note"
"""Kinds of fields. A note is context: where it cannot be read, it counts as missing."""

FIELDS: Final = {
    "event_id": ID,
    "event_time": TIME,
    "user_id": ID,
    "action": TEXT,
    "system": TEXT,
    "user_role": TEXT,
    "user_branch": TEXT,
    "account_type": CHOICE,
    "customer_id": ID,
    "record_branch": TEXT,
    "record_count": COUNT,
    "data_class": CHOICE,
    "outcome": CHOICE,
    "device_id": NOTE,
    "source_ip": NOTE,
    "session_id": NOTE,
    "channel": NOTE,
    "ticket_id": NOTE,
    "purpose": NOTE,
    "verdict": CHOICE,
    "valid_until": TIME,
}
"""Canonical fields the engine reads. Others are kept in the source's bytes only.

An event with a ``verdict`` or a ``valid_until`` is no access but a statement about its actor.
"""

REQUIRED: Final = ("event_id", "event_time", "user_id", "action")

CHOICES: Final = {
    "account_type": {"person": "person", "service": "service"},
    "data_class": {
        "C1": "C1", "C2": "C2", "C3": "C3", "general": "C1", "confidential": "C2", "secret": "C3",
    },
    "outcome": {"success": "success", "denied": "denied", "error": "error"},
    "verdict": {"benign": "benign", "confirmed": "confirmed"},
}  # fmt: skip

MAX_TEXT: Final = 256
MAX_COUNT: Final = 2**31 - 1

REASONS: Final = (
    "empty_line", "line_too_long", "not_utf8", "not_json", "too_deep", "not_an_object",
    "duplicate_key", "missing_field", "wrong_type", "empty_value", "text_too_long",
    "bad_characters", "unknown_value", "unknown_time_format", "time_out_of_bounds",
    "negative_count", "count_too_large", "too_late", "time_jump", "approves_nothing", "tombstone",
)  # fmt: skip
"""Every reason code a reject can carry."""

BIDI_CONTROLS: Final = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)


def is_clean(text: str) -> bool:
    r"""Tell whether a text can be shown: no control, bidi or surrogate character.

    >>> is_clean("张三 A-1"), is_clean("a\u202eb")
    (True, False)
    """
    return text.isprintable() and not BIDI_CONTROLS.intersection(text)
