"""Day scores of a history → broken lines of every channel, every detector, and the score.

Three layers, each calibrated on what the one before makes of the history: the channels, the
loudest channel of a detector, the combination of detectors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.detections import DETECTORS
from detector.fitting.calibration import ALLOWANCE, fit_knots
from detector.fitting.history import History
from detector.fitting.priors import settled_days
from detector.policy import Policy
from detector.scoring.builtin import N_KNOTS
from detector.state.layout import CHANNEL_DETECTOR, F64, I64, N_CHANNELS, NOVELTY_CHANNEL, RAW

_LEAST_SETTLED_DAYS = 1000
_BESIDE = 0.3  # powers of ten by which the channels beside a detector's first are taken down
_BEYOND_MODEL = 0.3  # a young history makes a day at most so much rarer than the model says
# Channels whose scores mean something only after an actor's first two weeks.
_SETTLING = frozenset({4, 6, NOVELTY_CHANNEL})

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Days:
    """The actor-days of a history, sorted out for calibration.

    ``lines`` (m,) stratum, odd where mature; ``mature`` (m,) those with enough history;
    ``typical`` (m,) the mature ones that later days will be like; ``n_lines`` twice the
    number of strata.
    """

    lines: I64
    mature: Mask
    typical: Mask
    n_lines: int


@dataclass(frozen=True, slots=True)
class Lines:
    """(strata, channels, knots) raw scores and surprises."""

    raw: F64
    surprise: F64

    def of(self, raw: F64, lines: I64, channels: list[int]) -> tuple[F64, F64]:
        """(m,) surprise of the loudest of some channels, and (m,) the raw score behind it."""
        surprise = np.stack(
            [_calibrated(raw[:, c], lines, self.raw[:, c], self.surprise[:, c]) for c in channels],
            axis=1,
        )
        loudest = surprise.argmax(axis=1)[:, np.newaxis]
        behind = np.take_along_axis(raw[:, channels], loudest, axis=1)
        return surprise.max(axis=1), behind[:, 0]


def fit_channels(
    history: History, stratum: I64, arrays: dict[str, NDArray[np.generic]], policy: Policy
) -> F64:
    """Fit ``knots_raw`` and ``knots_surprise`` in place; return (m,) scores of the history.

    Args:
        history: with the raw scores of the second pass.
        stratum: (m,) of each actor-day.
        arrays: of the artifact.
        policy: says what is mature, notable and switched off.
    """
    days = _sorted_out(history, stratum, policy, arrays["knots_raw"].shape[0])
    lines = Lines(*(arrays[name].astype(np.float64) for name in ("knots_raw", "knots_surprise")))
    raw = history.surprise[:, RAW : RAW + N_CHANNELS]
    for channel in range(N_CHANNELS):
        grid, line = _fitted(raw[:, channel], days, settling=channel in _SETTLING)
        if channel in _SETTLING:
            line = np.minimum(line, grid + _BEYOND_MODEL)
        lines.raw[:, channel], lines.surprise[:, channel] = grid, line
    squares = np.zeros(history.user.size)
    for detector, name in enumerate(DETECTORS):
        channels = [c for c, d in enumerate(CHANNEL_DETECTOR) if d == detector]
        if len(channels) > 1:
            _lower(lines, raw, channels, days)
        if policy.detectors[name].enabled:
            said = np.minimum(*lines.of(raw, days.lines, channels))
            squares += np.maximum(said - policy.detectors[name].notable, 0.0) ** 2
    total = np.sqrt(squares)
    grid, line = _fitted(total, days, settling=True)
    lines.raw[:, N_CHANNELS], lines.surprise[:, N_CHANNELS] = grid, line
    arrays["knots_raw"], arrays["knots_surprise"] = lines.raw, lines.surprise
    return _calibrated(total, days.lines, grid, line)


def _sorted_out(history: History, stratum: I64, policy: Policy, n_lines: int) -> Days:
    mature = history.n_before >= policy.learning.mature_days
    typical = settled_days(history) & mature
    enough = int(typical.sum()) >= _LEAST_SETTLED_DAYS
    return Days(2 * stratum + mature, mature, typical if enough else mature, n_lines)


def _lower(lines: Lines, raw: F64, channels: list[int], days: Days) -> None:
    """Calibrate the loudest of a detector's channels, by lowering the line of each.

    The best of several is lucky more often than each of them. The channels beside the first
    answer the detector's question less directly, and begin lower.
    """
    for channel in channels[1:]:
        lines.surprise[:, channel] = np.maximum(lines.surprise[:, channel] - _BESIDE, 0.0)
    best, _ = lines.of(raw, days.lines, channels)
    grid, line = _fitted(best, days, settling=True, allowance=1.0)
    for row in range(days.n_lines):
        for channel in channels:
            lowered = np.interp(lines.surprise[row, channel], grid[row], line[row])
            lines.surprise[row, channel] = lowered


def _fitted(
    raw: F64, days: Days, *, settling: bool, allowance: float = ALLOWANCE
) -> tuple[F64, F64]:
    """Fit one line in every stratum: (strata, knots) raw scores and surprises.

    Args:
        raw: (m,) day maxima.
        days: which of them are mature and typical.
        settling: take typical days, not all mature ones.
        allowance: as in ``fit_knots``.
    """
    mature = days.typical if settling else days.mature
    grid, surprise = np.zeros((days.n_lines, N_KNOTS)), np.zeros((days.n_lines, N_KNOTS))
    for row in range(days.n_lines):
        chosen = mature if row % 2 else ~days.mature
        pool = raw[chosen] if chosen.any() else raw
        grid[row], surprise[row] = fit_knots(pool, raw[(days.lines == row) & chosen], allowance)
    return grid, surprise


def _calibrated(raw: F64, lines: I64, grid: F64, surprise: F64) -> F64:
    """(m,) surprises of raw scores, by stratum."""
    out = np.zeros(raw.size)
    for row in np.unique(lines).tolist():
        mine = lines == row
        out[mine] = np.interp(raw[mine], grid[row], surprise[row])
    return out
