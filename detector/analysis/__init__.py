"""The analysts' interface: events, replays and questions in data frames."""

from detector.analysis.evaluate import evaluate
from detector.analysis.frames import read_events
from detector.analysis.replay import fit, replay
from detector.analysis.result import Result
from detector.analysis.what_if import WhatIf, what_if

__all__ = ["Result", "WhatIf", "evaluate", "fit", "read_events", "replay", "what_if"]
