"""Where alerts go: files, webhooks, syslog; formats and stand-ins for people."""

from __future__ import annotations

from detector.sinks.base import Report, Sink
from detector.sinks.outbox import Outbox
from detector.sinks.settings import FORMATS, open_sinks

__all__ = ["FORMATS", "Outbox", "Report", "Sink", "open_sinks"]
