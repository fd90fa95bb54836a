"""What a host tells its operators: metrics, JSON logs, and whether it is alive and ready.

A host owns one :class:`Telemetry`; nothing below the hosts knows of it.
"""

from __future__ import annotations

from detector.telemetry.health import Health
from detector.telemetry.host import BatchReport, Logs, Telemetry
from detector.telemetry.http import Address, parse_address
from detector.telemetry.logs import Redactor
from detector.telemetry.metrics import Metrics

__all__ = [
    "Address",
    "BatchReport",
    "Health",
    "Logs",
    "Metrics",
    "Redactor",
    "Telemetry",
    "parse_address",
]
