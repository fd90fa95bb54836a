"""Plots as functions: each takes a result and returns a matplotlib figure; nothing is shown.

One colour-blind safe style; labels in English or Chinese (``language="zh"``). The console and the
reports use the same.
"""

from detector.plots.people import (
    contributions,
    hour_day_heatmap,
    observed_expected,
    peer_distribution,
    user_timeline,
)
from detector.plots.quality import calibration, drift, recall_budget
from detector.plots.style import chinese_font

__all__ = [
    "calibration",
    "chinese_font",
    "contributions",
    "drift",
    "hour_day_heatmap",
    "observed_expected",
    "peer_distribution",
    "recall_budget",
    "user_timeline",
]
