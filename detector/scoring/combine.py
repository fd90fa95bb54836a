"""From the raw scores of a day to one score: calibrate, combine what is notable, calibrate."""

from __future__ import annotations

import math

import numpy as np

from detector.compiled import part
from detector.scoring.calibration import calibrate
from detector.scoring.model import Limits, Model
from detector.state.days import set_small_number, small_number
from detector.state.layout import (
    CALIBRATED,
    F32,
    F64,
    I64,
    KNOWN,
    LOUDEST,
    N_CHANNELS,
    N_DETECTORS,
    RAW,
    SCORE,
    WHOLE,
)

_KNOWN_KEPT = 0.85  # per active day


@part
def combine(
    day: I64,
    surprise: F64,
    baseline: F32,
    model: Model,
    group: int,
    limits: Limits,
    n_closed: int,
) -> None:
    """Calibrate each channel's day maximum, combine what is notable, calibrate the result.

    A detector is as surprised as its most surprised channel. Only what a surprise has above
    the policy's ``notable`` counts; its squares are added up. One detector that is sure is
    hardly diluted by nine that say a little, as a plain sum would, and two that are sure
    still outrank one. None says more than its own model does: a tail that history made thin
    does not outrank all. What flagged days have said before counts only in part
    (``remember_flagged``).

    Source:
        Soft thresholds after Zhang, Tong, Landers & Wu (2020); squares, between Fisher's sum
        and Tippett's best of all, because detectors depend on one another.
    """
    stratum = 2 * model.stratum[group] + (1 if n_closed >= limits.mature_days else 0)
    for channel in range(N_CHANNELS):
        detector = model.detector_of[channel]
        if limits.enabled[detector] and surprise[RAW + channel] > 0.0:
            knots = model.knots_raw[stratum, channel]
            value = calibrate(
                surprise[RAW + channel], knots, model.knots_surprise[stratum, channel]
            )
            if value > surprise[CALIBRATED + detector]:
                surprise[CALIBRATED + detector] = value
                set_small_number(day, LOUDEST, detector, channel)
    whole, fresh = 0.0, 0.0
    for detector in range(N_DETECTORS):
        value = surprise[CALIBRATED + detector]
        loudest = small_number(day, LOUDEST, detector)
        if loudest >= 0:
            value = min(value, surprise[RAW + loudest])
        known = limits.known_share * np.float64(baseline[KNOWN + detector])
        notable = max(value - limits.notable[detector], 0.0)
        news = max(value - known - limits.notable[detector], 0.0)
        whole += notable * notable
        fresh += news * news
    whole, fresh = math.sqrt(whole), math.sqrt(fresh)
    grid, line = model.knots_raw[stratum, N_CHANNELS], model.knots_surprise[stratum, N_CHANNELS]
    surprise[WHOLE] = max(surprise[WHOLE], calibrate(whole, grid, line))
    surprise[SCORE] = max(surprise[SCORE], calibrate(fresh, grid, line))


@part
def remember_flagged(surprise: F64, baseline: F32, flagged: bool) -> None:
    """Keep what a flagged day has said, so that the next days are ranked by what is new.

    A team that has read yesterday's alert gains nothing from the same one today; what
    grows beyond it still ranks. Nothing fades by being learned: flagged days do not teach.
    """
    for detector in range(N_DETECTORS):
        known = np.float64(baseline[KNOWN + detector]) * _KNOWN_KEPT
        if flagged:
            known = max(known, surprise[CALIBRATED + detector])
        baseline[KNOWN + detector] = known
