"""What is published, as messages: alerts, and records that could not be used."""

from __future__ import annotations

from detector.alerts import Alert
from detector.kafka.ports import DeadLetter

_MAX_VALUE_BYTES = 900_000  # of a message of one megabyte, which is what brokers take

Message = tuple[str, bytes | None, bytes | None, list[tuple[str, bytes]]]
"""topic, key, value, headers"""


def alert_message(topic: str, alert: Alert) -> Message:
    """Return an alert as a message, keyed by its actor."""
    key = str(alert.fields["user_id"]).encode()
    version = f"{alert.alert_id}/{alert.version}".encode()
    return topic, key, alert.to_json_line().rstrip(b"\n"), [("detector.alert", version)]


def letter_message(topic: str, letter: DeadLetter) -> Message:
    """Return a dead letter as a message: the record as it was, and why it is here."""
    headers = [(name, value or b"") for name, value in letter.headers]
    notes = {
        "topic": letter.partition.topic,
        "partition": str(letter.partition.number),
        "offset": str(letter.offset),
        "reason": letter.reason,
        "field": letter.field,
        "mapping": letter.mapping,
    }
    value = letter.value
    if value is not None and len(value) > _MAX_VALUE_BYTES:
        notes["cut_from_bytes"] = str(len(value))
        value = value[:_MAX_VALUE_BYTES]
    headers += [(f"detector.{name}", text.encode()) for name, text in notes.items()]
    return topic, letter.key, value, headers


def size_of(message: Message) -> int:
    """Return the bytes of a message: key, value and headers."""
    _, key, value, headers = message
    return len(key or b"") + len(value or b"") + sum(len(k) + len(v) for k, v in headers)
