"""Production's own decisions over columns of stored scores, instead of a replay."""

from __future__ import annotations

from detector.compiled import kernel
from detector.scoring.combine import combine
from detector.scoring.model import Limits, Model
from detector.scoring.row import fired_bits, has_grown
from detector.state.layout import (
    CALIBRATED,
    COUNTS,
    EVENTS,
    F32,
    F64,
    FIRED,
    I32,
    I64,
    KNOWN,
    N_CHANNELS,
    N_DETECTORS,
    RAW,
    RECORDS_1D,
    SAID_EVENTS,
    SAID_RECORDS,
    SAID_SCORE,
    SCORE,
    U8,
)


@kernel
def latest_rise(episode: I64, rise_row: I64, last: I64, out: I64) -> None:
    """Fill ``out`` with the latest rise of each event's actor-day; ``last`` starts as -1."""
    rise = 0
    for row in range(episode.size):
        if rise < rise_row.size and rise_row[rise] == row:
            last[episode[row]] = rise
            rise += 1
        out[row] = last[episode[row]]


@kernel
def decide_rows(
    episode: I64,
    score: F64,
    surprises: F64,
    n_events: I32,
    n_records: I64,
    days: I64,
    said: F64,
    versions: I64,
    limits: Limits,
    version: I32,
    fired: I64,
) -> None:
    """Raise versions as ``scoring.row.decide`` does, on rows that reach the threshold.

    Args:
        episode: (k,) actor-day of each row, in arrival order.
        score: (k,) the day's score, ``surprises`` (k, detectors) behind it.
        surprises: calibrated surprises.
        n_events: (k,) events of the day so far.
        n_records: (k,) records of the day so far.
        days: (episodes, N_DAY) zeros; what has been said is kept there.
        said: (episodes, N_SURPRISE) with SAID_SCORE -1.
        versions: (episodes,) zeros; versions raised so far.
        limits: those asked about.
        version: (k,) out: number of the version raised, 0 = none.
        fired: (k,) out: bits of the detectors that fired, where raised.
    """
    for row in range(episode.size):
        day, surprise = days[episode[row]], said[episode[row]]
        surprise[SCORE] = score[row]
        for detector in range(N_DETECTORS):
            surprise[CALIBRATED + detector] = surprises[row, detector]
        day[EVENTS], day[COUNTS + RECORDS_1D] = n_events[row], n_records[row]
        bits = fired_bits(surprise, limits)
        if has_grown(day, surprise, bits, limits):
            surprise[SAID_SCORE] = score[row]
            day[SAID_RECORDS], day[SAID_EVENTS] = n_records[row], n_events[row]
            day[FIRED] |= bits
            versions[episode[row]] += 1
            version[row], fired[row] = versions[episode[row]], bits


@kernel
def combine_rises(
    episode: I64,
    raw: F64,
    known: F64,
    group: I32,
    n_closed: I32,
    silent: U8,
    days: I64,
    states: F64,
    baseline: F32,
    model: Model,
    limits: Limits,
    score: F64,
    surprises: F64,
) -> None:
    """Combine raw scores anew, as ``scoring.row.score`` does, rise by rise.

    Args:
        episode: (m,) actor-day of each rise, in arrival order.
        raw: (m, channels) raw scores.
        known: (m, detectors) what flagged days had said.
        group: (m,) peer group.
        n_closed: (m,) the actor's closed days.
        silent: (channels,) 1 where a channel stays at 0 because its detector is off.
        days: (episodes, N_DAY) with LOUDEST -1.
        states: (episodes, N_SURPRISE) zeros; afterwards WHOLE is the day's.
        baseline: (N_BASELINE,) scratch.
        model: of the replay.
        limits: those asked about.
        score: (m,) out.
        surprises: (m, detectors) out.
    """
    for rise in range(episode.size):
        day, surprise = days[episode[rise]], states[episode[rise]]
        before, after = 0.0, 0.0
        for channel in range(N_CHANNELS):
            before += surprise[RAW + channel]
        for channel in range(N_CHANNELS):
            if silent[channel] == 0:
                surprise[RAW + channel] = raw[rise, channel]
            after += surprise[RAW + channel]
        if after > before:
            for detector in range(N_DETECTORS):
                baseline[KNOWN + detector] = known[rise, detector]
            combine(day, surprise, baseline, model, group[rise], limits, n_closed[rise])
        score[rise] = surprise[SCORE]
        for detector in range(N_DETECTORS):
            surprises[rise, detector] = surprise[CALIBRATED + detector]
