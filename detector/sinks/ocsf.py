"""OCSF 1.8 Detection Finding (class 2004).

Source:
    https://github.com/ocsf/ocsf-schema, tag 1.8.0: ``events/findings/detection_finding.json``.
    The first version of an alert creates the finding, later ones update it.
"""

from __future__ import annotations

from typing import Any

from detector.sinks.base import PRODUCT, VENDOR, VERSION, AlertFields, key_of
from detector.sinks.inert import inert_json, json_for_pages
from detector.sinks.times import epoch_ms, offset_minutes

OCSF_VERSION = "1.8.0"
_CATEGORY, _CLASS = 2, 2004
_CREATE, _UPDATE = 1, 2
_NEW = 1
_BEHAVIORAL = 2
_USER_ID = 31
_UNKNOWN = (0, "Unknown")
_SEVERITY = {
    "low": (2, "Low"),
    "medium": (3, "Medium"),
    "high": (4, "High"),
    "critical": (5, "Critical"),
}
_UNMAPPED = (
    "version", "score", "n_records", "n_customers", "learning", "detectors", "contributions",
    "evidence", "explanation", "policy_digest", "artifact_digest",
)  # fmt: skip


def ocsf_finding(alert: AlertFields) -> dict[str, Any]:
    """Return an alert as a Detection Finding."""
    activity, activity_name = (_CREATE, "Create") if alert["version"] == 1 else (_UPDATE, "Update")
    severity_id, severity = _SEVERITY.get(str(alert["severity"]), _UNKNOWN)
    time_ms = epoch_ms(alert["time"])
    return {
        "activity_id": activity,
        "activity_name": activity_name,
        "category_uid": _CATEGORY,
        "category_name": "Findings",
        "class_uid": _CLASS,
        "class_name": "Detection Finding",
        "type_uid": _CLASS * 100 + activity,
        "type_name": f"Detection Finding: {activity_name}",
        "time": time_ms,
        "timezone_offset": offset_minutes(alert["time"]),
        "start_time": epoch_ms(alert["first_event_time"]),
        "end_time": epoch_ms(alert["last_event_time"]),
        "count": alert["n_events"],
        "severity_id": severity_id,
        "severity": severity,
        "status_id": _NEW,
        "status": "New",
        "is_alert": True,
        "message": alert.get("explanation", {}).get("en", ""),
        "metadata": _metadata(alert),
        "finding_info": _finding_info(alert, time_ms),
        "evidences": [{"actor": {"user": _user(alert)}}],
        "observables": [
            {
                "name": "evidences[0].actor.user.uid",
                "type_id": _USER_ID,
                "type": "User Unique ID",
                "value": alert["user_id"],
            }
        ],
        "unmapped": {name: alert[name] for name in _UNMAPPED if name in alert},
    }


def _metadata(alert: AlertFields) -> dict[str, Any]:
    return {
        "version": OCSF_VERSION,
        "uid": key_of(alert),
        "original_time": alert["time"],
        "log_name": "alerts",
        "sequence": alert["version"],
        "product": {"name": PRODUCT, "vendor_name": VENDOR, "version": VERSION},
    }


def _finding_info(alert: AlertFields, time_ms: int) -> dict[str, Any]:
    return {
        "uid": alert["alert_id"],
        "title": f"Unusual access: {' + '.join(alert['detectors'])}",
        "desc": alert.get("explanation", {}).get("en", ""),
        "types": list(alert["detectors"]),
        "created_time": time_ms,
        "first_seen_time": epoch_ms(alert["first_event_time"]),
        "last_seen_time": epoch_ms(alert["last_event_time"]),
        "analytic": {
            "uid": alert["detector"],
            "name": alert["detector"],
            "type_id": _BEHAVIORAL,
            "type": "Behavioral",
            "version": alert.get("artifact_digest", ""),
        },
        "related_events": [{"uid": event} for event in alert.get("event_ids", ())],
        "related_events_count": len(alert.get("event_ids", ())),
    }


def _user(alert: AlertFields) -> dict[str, Any]:
    user: dict[str, Any] = {"uid": alert["user_id"]}
    if alert.get("user_role") is not None:
        user["groups"] = [{"name": alert["user_role"]}]
    if alert.get("user_branch") is not None:
        user["org"] = {"uid": alert["user_branch"]}
    return user


def ocsf(alert: AlertFields) -> bytes:
    """Return an alert as one line of OCSF JSON."""
    return json_for_pages(inert_json(ocsf_finding(alert)))
