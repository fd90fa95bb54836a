"""Alerts as rows: what people filter and sort by lies in columns of its own."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from detector.alerts import Alert

_WORD = re.compile(r"[^\W_]+")

ALERT_COLUMNS = (
    "stream", "alert_id", "version", "time_ms", "day", "score", "severity", "detector", "user_id",
    "content",
)  # fmt: skip
EPISODE_COLUMNS = (
    "alert_id", "stream", "version", "time_ms", "day", "score", "severity", "detector",
    "detectors", "user_id", "user_role", "user_branch", "learning", "n_events", "n_records",
    "n_customers", "words",
)  # fmt: skip
_AS_THEY_ARE = (
    "alert_id", "version", "score", "severity", "detector", "user_id", "user_role", "user_branch",
    "learning", "n_events", "n_records", "n_customers",
)  # fmt: skip


def row_of(stream: str, alert: Alert) -> dict[str, Any]:
    """Return every column of an alert, for both of its tables."""
    fields = alert.fields
    return {
        **{name: fields[name] for name in _AS_THEY_ARE},
        "stream": stream,
        "time_ms": round(datetime.fromisoformat(fields["time"]).timestamp() * 1000),
        "day": fields["time"][:10],
        "detectors": f",{','.join(fields['detectors'])},",
        "content": alert.to_json_line().decode().rstrip("\n"),
        "words": " ".join(_words(fields)),
    }


def words_in(text: str) -> list[str]:
    """Return what search knows as words: runs of letters and digits, lower case.

    >>> words_in("Teller_7 @B003")
    ['teller', '7', 'b003']
    """
    return _WORD.findall(text.lower())


def _words(fields: dict[str, Any]) -> list[str]:
    """Return each word a person may look for an alert by, once."""
    texts = [fields[name] or "" for name in ("alert_id", "user_id", "user_role", "user_branch")]
    texts += [*fields["detectors"], *fields["event_ids"]]
    texts += [value for value in fields["evidence"].values() if isinstance(value, str)]
    return list(dict.fromkeys(words_in(" ".join(texts))))
