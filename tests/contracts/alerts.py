"""Alerts as the engine could raise them, for stores to keep."""

from __future__ import annotations

from dataclasses import replace

from detector.alerts import Alert, Episodes
from tests.detections import DETECTION, POLICY

DAY_NS = 86_400_000_000_000


def an_alert(user: str = "u1", version: int = 1, *, day: int = 0, score: float = 4.2) -> Alert:
    """Raise version after version of a person's day; return the last."""
    episodes = Episodes(20)
    found = replace(
        DETECTION, day=DETECTION.day + day, score=score,
        first_event_time_ns=DETECTION.first_event_time_ns + day * DAY_NS,
        last_event_time_ns=DETECTION.last_event_time_ns + day * DAY_NS,
    )  # fmt: skip
    for number in range(version):
        alert = episodes.raise_alert(
            found, user_id=user, user_role="teller", user_branch="B001",
            time_ns=found.last_event_time_ns + number * 1_000_000, event_id=f"e{number}",
            policy=POLICY, artifact_digest="builtin",
        )  # fmt: skip
    return alert


def lines(*alerts: Alert) -> list[bytes]:
    """Lines of the alerts file."""
    return [alert.to_json_line() for alert in alerts]
