"""Imported once in the process that workers are forked from: they start with kernels loaded."""

from __future__ import annotations

import detector.hosts.live_run
import detector.kafka.source
from detector.hosts.warm import warm

__all__ = ["detector", "warm"]

warm()
