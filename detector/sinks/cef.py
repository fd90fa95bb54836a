r"""ArcSight Common Event Format, version 0.

Source:
    Micro Focus ArcSight CEF Implementation Standard: in the header ``\`` and ``|`` are
    escaped, in the extension ``\`` and ``=``; a line break ends the message.
"""

from __future__ import annotations

from detector.sinks.base import PRODUCT, VENDOR, VERSION, AlertFields, key_of
from detector.sinks.inert import inert
from detector.sinks.times import epoch_ms

_SEVERITY = {"low": 3, "medium": 5, "high": 8, "critical": 10}
_UNKNOWN_SEVERITY = 5
_MAX_HEADER, _MAX_VALUE = 500, 1_000  # the standard allows 512 and 1,023


def cef(alert: AlertFields) -> bytes:
    """Return an alert as one CEF line."""
    header = (
        "CEF:0",
        VENDOR,
        PRODUCT,
        VERSION,
        _header(str(alert["detector"])),
        _header(f"Unusual access: {' + '.join(map(str, alert['detectors']))}"),
        str(_SEVERITY.get(str(alert["severity"]), _UNKNOWN_SEVERITY)),
    )
    return f"{'|'.join(header)}|{_extension(alert)}".encode()


def _extension(alert: AlertFields) -> str:
    explanation = alert.get("explanation", {})
    fields: dict[str, object] = {
        "externalId": key_of(alert),
        "rt": epoch_ms(str(alert["time"])),
        "start": epoch_ms(str(alert["first_event_time"])),
        "end": epoch_ms(str(alert["last_event_time"])),
        "suid": alert["user_id"],
        "cat": "learning" if alert.get("learning") else "alert",
        "cnt": alert["n_events"],
        "cfp1Label": "score",
        "cfp1": alert["score"],
        "cn1Label": "records",
        "cn1": alert["n_records"],
        "cn2Label": "customers",
        "cn2": alert["n_customers"],
        "cs1Label": "role",
        "cs1": alert.get("user_role"),
        "cs2Label": "branch",
        "cs2": alert.get("user_branch"),
        "cs3Label": "explanation_zh",
        "cs3": explanation.get("zh"),
        "cs4Label": "policy",
        "cs4": alert.get("policy_digest"),
        "cs5Label": "artifact",
        "cs5": alert.get("artifact_digest"),
        "msg": explanation.get("en"),
    }
    return " ".join(f"{key}={_value(value)}" for key, value in fields.items() if value is not None)


def _header(text: str) -> str:
    return inert(text, _MAX_HEADER).replace("\\", "\\\\").replace("|", "\\|")


def _value(value: object) -> str:
    return inert(str(value), _MAX_VALUE).replace("\\", "\\\\").replace("=", "\\=")
