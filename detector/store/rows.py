"""Alerts as rows: what people filter and sort by lies in columns of its own."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from detector.alerts import Alert

ALERT_COLUMNS = (
    "stream", "alert_id", "version", "time_ms", "day", "score", "severity", "detector", "user_id",
    "content",
)  # fmt: skip
EPISODE_COLUMNS = (
    "alert_id", "stream", "version", "time_ms", "day", "score", "severity", "detector",
    "detectors", "user_id", "user_role", "user_branch", "learning", "n_events", "n_records",
    "n_customers",
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
    }
