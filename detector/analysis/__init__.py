"""The analysts' interface: events, replays and questions in data frames."""

from detector.analysis.answers import WhatIf, what_if
from detector.analysis.example import example_bank
from detector.analysis.frames import read_events
from detector.analysis.judge import evaluate
from detector.analysis.result import Result
from detector.analysis.runs import fit, replay

__all__ = [
    "Result",
    "WhatIf",
    "evaluate",
    "example_bank",
    "fit",
    "read_events",
    "replay",
    "what_if",
]
