"""What OCSF 1.8.0 and ECS 9.4.0 say of the fields an alert uses: names, types, allowed numbers.

Written down by hand from the published references; a field that is not listed fails.
"""

from __future__ import annotations

from typing import Any

_TEXT, _WHOLE, _FLAG = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}
_SEVERITY = {"enum": [0, 1, 2, 3, 4, 5, 6, 99]}


def _one(required: list[str], **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": required,
        "properties": properties,
    }


def _many(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item}


_PRODUCT = _one([], name=_TEXT, vendor_name=_TEXT, version=_TEXT)
_METADATA = _one(
    ["product", "version"],
    product={**_PRODUCT, "anyOf": [{"required": ["name"]}, {"required": ["uid"]}]},
    version=_TEXT, uid=_TEXT, original_time=_TEXT, log_name=_TEXT, sequence=_WHOLE,
)  # fmt: skip
_ANALYTIC = _one(
    ["type_id"],
    uid=_TEXT, name=_TEXT, type=_TEXT, version=_TEXT, type_id={"enum": [*range(12), 99]},
)  # fmt: skip
_FINDING_INFO = _one(
    ["uid"],
    uid=_TEXT, title=_TEXT, desc=_TEXT, types=_many(_TEXT), created_time=_WHOLE,
    first_seen_time=_WHOLE, last_seen_time=_WHOLE, analytic=_ANALYTIC,
    related_events=_many(_one(["uid"], uid=_TEXT)), related_events_count=_WHOLE,
)  # fmt: skip
_USER = _one(
    ["uid"], uid=_TEXT, groups=_many(_one(["name"], name=_TEXT)), org=_one(["uid"], uid=_TEXT)
)
_OBSERVABLE = _one(
    ["type_id"],
    name=_TEXT, type=_TEXT, value=_TEXT, type_id={"enum": [4, 31, 99]},  # user, its id, other
)  # fmt: skip

OCSF_DETECTION_FINDING = _one(
    [
        "activity_id", "category_uid", "class_uid", "finding_info", "metadata", "severity_id",
        "time", "type_uid",
    ],
    activity_id={"enum": [0, 1, 2, 3, 99]}, activity_name=_TEXT,
    category_uid={"const": 2}, category_name=_TEXT,
    class_uid={"const": 2004}, class_name=_TEXT,
    type_uid={"enum": [200_400, 200_401, 200_402, 200_403, 200_499]}, type_name=_TEXT,
    time=_WHOLE, timezone_offset=_WHOLE, start_time=_WHOLE, end_time=_WHOLE, count=_WHOLE,
    severity_id=_SEVERITY, severity=_TEXT, status_id=_SEVERITY, status=_TEXT, is_alert=_FLAG,
    message=_TEXT, metadata=_METADATA, finding_info=_FINDING_INFO,
    evidences=_many(_one(["actor"], actor=_one(["user"], user=_USER))),
    observables=_many(_OBSERVABLE), unmapped={"type": "object"},
)  # fmt: skip

ECS_TYPES: dict[str, type] = {
    "@timestamp": str, "ecs.version": str, "message": str, "event.id": str, "event.kind": str,
    "event.category": list, "event.type": list, "event.action": str, "event.module": str,
    "event.dataset": str, "event.provider": str, "event.reason": str, "event.risk_score": float,
    "event.severity": int, "event.sequence": int, "event.start": str, "event.end": str,
    "rule.id": str, "rule.name": str, "rule.ruleset": str, "rule.version": str, "user.id": str,
    "user.roles": list, "related.user": list, "observer.vendor": str, "observer.product": str,
    "observer.version": str, "observer.type": str,
}  # fmt: skip
ECS_TIMES = ("@timestamp", "event.start", "event.end")
ECS_TYPES_OF_CATEGORY = {"intrusion_detection": {"allowed", "denied", "info"}}
