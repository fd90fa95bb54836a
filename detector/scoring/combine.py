"""From the raw scores of a day to one score: calibrate, add up what is notable, calibrate."""

from __future__ import annotations

import numpy as np

from detector.compiled import kernel
from detector.scoring.calibration import NOTABLE, calibrate
from detector.scoring.model import Limits, Model
from detector.state.layout import (
    CALIBRATED,
    F32,
    F64,
    I64,
    LOUDEST,
    N_CHANNELS,
    N_DETECTORS,
    RAW,
    SCORE,
    WEIGHTS,
)


@kernel
def combine(
    day: I64, surprise: F64, baseline: F32, model: Model, group: int, limits: Limits
) -> None:
    """Calibrate each channel's day maximum, add up what is notable, calibrate the sum.

    A detector is as surprised as its most surprised channel. Only what a surprise has above
    ``NOTABLE`` counts: one detector that is sure is not diluted by others that have nothing
    to say, and several that are half sure add up.

    Source:
        Soft-thresholding Fisher combination, Zhang, Tong, Landers & Wu (2020).
    """
    days = np.float64(baseline[WEIGHTS]) + np.float64(baseline[WEIGHTS + 1])
    stratum = 2 * model.stratum[group] + (1 if days >= limits.mature_days else 0)
    for channel in range(N_CHANNELS):
        detector = model.detector_of[channel]
        if limits.enabled[detector] and surprise[RAW + channel] > 0.0:
            knots = model.knots_raw[stratum, channel]
            value = calibrate(
                surprise[RAW + channel], knots, model.knots_surprise[stratum, channel]
            )
            if value > surprise[CALIBRATED + detector]:
                surprise[CALIBRATED + detector] = value
                day[LOUDEST + detector] = channel
    total = 0.0
    for detector in range(N_DETECTORS):
        total += max(surprise[CALIBRATED + detector] - NOTABLE, 0.0)
    last = N_CHANNELS
    value = calibrate(total, model.knots_raw[stratum, last], model.knots_surprise[stratum, last])
    surprise[SCORE] = max(surprise[SCORE], value)
