"""Elastic Common Schema 9.4.

Source:
    https://github.com/elastic/ecs, tag v9.4.0. What ECS has no field for stands under one name
    of our own, ``AuditAnomaly``, capitalised as ECS asks of custom fields.
"""

from __future__ import annotations

from typing import Any

from detector.sinks.base import PRODUCT, VENDOR, VERSION, AlertFields, key_of
from detector.sinks.inert import inert_json, json_for_pages

ECS_VERSION = "9.4.0"
_SEVERITY = {"low": 21, "medium": 47, "high": 73, "critical": 99}  # Kibana's own risk scores
_OWN = (
    "alert_id", "version", "user_role", "user_branch", "n_events", "n_records", "n_customers",
    "learning", "detectors", "contributions", "evidence", "event_ids", "explanation",
)  # fmt: skip


def ecs_document(alert: AlertFields) -> dict[str, Any]:
    """Return an alert as an ECS document."""
    explanation = alert.get("explanation", {}).get("en")
    detector, role = alert["detector"], alert.get("user_role")
    return {
        "@timestamp": alert["time"],
        "ecs": {"version": ECS_VERSION},
        "message": explanation,
        "event": {
            "id": key_of(alert),
            "kind": "alert",
            "category": ["intrusion_detection"],
            "type": ["info"],
            "action": detector,
            "module": PRODUCT,
            "dataset": f"{PRODUCT}.alert",
            "provider": VENDOR,
            "reason": explanation,
            "risk_score": alert["score"],
            "severity": _SEVERITY.get(str(alert["severity"]), 0),
            "sequence": alert["version"],
            "start": alert["first_event_time"],
            "end": alert["last_event_time"],
        },
        "rule": {
            "id": detector,
            "name": detector,
            "ruleset": alert.get("policy_digest"),
            "version": alert.get("artifact_digest"),
        },
        "user": {"id": alert["user_id"], "roles": [] if role is None else [role]},
        "related": {"user": [alert["user_id"]]},
        "observer": {"vendor": VENDOR, "product": PRODUCT, "version": VERSION, "type": "ueba"},
        "AuditAnomaly": {name: alert[name] for name in _OWN if name in alert},
    }


def ecs(alert: AlertFields) -> bytes:
    """Return an alert as one line of ECS JSON."""
    return json_for_pages(inert_json(ecs_document(alert)))
