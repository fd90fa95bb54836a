"""Streaming anomaly detection on the audit logs of a bank's core systems.

For analysts, as ``import detector as ad``: ``read_events``, ``fit``, ``replay``, ``evaluate``,
``what_if``, ``plots`` and ``AccessAnomalyDetector`` (extra ``notebook``). They are loaded when
first used, so that the command line starts at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from detector import plots
    from detector.analysis import (
        Result,
        WhatIf,
        evaluate,
        example_bank,
        fit,
        read_events,
        replay,
        what_if,
    )
    from detector.estimator import AccessAnomalyDetector

_HOMES = {
    "AccessAnomalyDetector": "detector.estimator",
    "Result": "detector.analysis",
    "WhatIf": "detector.analysis",
    "evaluate": "detector.analysis",
    "example_bank": "detector.analysis",
    "fit": "detector.analysis",
    "read_events": "detector.analysis",
    "replay": "detector.analysis",
    "what_if": "detector.analysis",
}

__all__ = [
    "AccessAnomalyDetector",
    "Result",
    "WhatIf",
    "evaluate",
    "example_bank",
    "fit",
    "plots",
    "read_events",
    "replay",
    "what_if",
]


def __getattr__(name: str) -> Any:
    """Load a part of the analysts' interface when it is first asked for."""
    from importlib import import_module

    if name == "plots":
        return import_module("detector.plots")
    if name not in _HOMES:
        raise AttributeError(f"module 'detector' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Tell what can be asked for."""
    return sorted({*globals(), *__all__})
