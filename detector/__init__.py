"""Streaming anomaly detection on the audit logs of a bank's core systems."""

__version__ = "0.1.0"
