"""The version that runs, as it was installed.

Not from ``detector`` itself: its interface for analysts lies above the console.
"""

from __future__ import annotations

from importlib.metadata import version

VERSION = version("audit-anomaly-detector")
