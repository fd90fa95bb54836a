"""Peer groups and what is usual in them: means, dispersions, hours, rest days, volumes.

Groups are everybody, each role, and role × home branch where enough people work. A small
group leans on the larger one it belongs to; the largest and smallest actors of a group are
trimmed, so that one whale does not become the norm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.fitting.history import History
from detector.scoring.builtin import SERVICE_ROLE
from detector.scoring.repeat_target import BITS
from detector.state.layout import (
    BINS_HIGH,
    BINS_LOW,
    COUNTS,
    DAY,
    F64,
    FOREIGN,
    I64,
    KIND,
    LEVELS,
    N_BINS,
    N_LEVELS,
    N_STATS,
    NEW,
    OUT_EVENTS,
    SETTLED_DAYS,
    UNEXPLAINED,
)

_LEAN_ACTORS = 4.0  # a group of so many actors weighs as much as its parent
_LEAN_DAYS = 25.0
_LEAN_BUILTIN_DAYS = 0.5  # hours are quickly better known than the built-in guess
_TRIM = 0.1
_LEAST_ACTORS, _LEAST_DAYS = 3, 30
_LEAST_DAYS_PER_ACTOR = 3
_HALF = N_BINS // 2
_LEAST_SETTLED_LINES = 200
_BEYOND_SURPRISE = 1e6  # mean of a count that a short history cannot tell: nothing reaches it
_NOVELTY = [NEW, UNEXPLAINED]  # mean something only once an actor has settled
_HOUR_FLOOR = 0.001
_MEAN_FLOOR = 0.02


@dataclass(frozen=True, slots=True)
class Group:
    """Lines of the history that belong to a group, and the row of the larger group."""

    role: str | None
    home: str | None
    parent: int
    lines: I64


def counts_of(day: I64) -> F64:
    """(m, counts) the counts of each day, in the order of ``state/layout.py``."""
    return day[:, COUNTS : COUNTS + N_STATS].astype(np.float64)


def make_groups(history: History) -> list[Group]:
    """Return groups: 0 everybody, 1 service accounts, then roles, then role × home."""
    role = np.array([history.role_of.get(user) for user in history.user.tolist()], dtype=object)
    home = np.array([history.home_of.get(user) for user in history.user.tolist()], dtype=object)
    is_service = role == SERVICE_ROLE
    groups = [
        Group(None, None, 0, np.flatnonzero(~is_service)),
        Group(SERVICE_ROLE, None, 0, np.flatnonzero(is_service)),
    ]
    for name in sorted({r for r in role.tolist() if r is not None and r != SERVICE_ROLE}):
        lines = np.flatnonzero(role == name)
        if not _enough(history, lines):
            continue
        parent = len(groups)
        groups.append(Group(name, None, 0, lines))
        for place in sorted({h for h in home[lines].tolist() if h is not None}):
            here = lines[home[lines] == place]
            if _enough(history, here):
                groups.append(Group(name, place, parent, here))
    return groups


def _enough(history: History, lines: I64) -> bool:
    n_actors = np.unique(history.user[lines]).size
    return bool(lines.size >= _LEAST_DAYS and n_actors >= _LEAST_ACTORS)


def fit_counts(
    history: History, groups: list[Group], fallback: dict[str, F64]
) -> tuple[F64, F64, F64]:
    """Fit (g, 2, counts) means and dispersions, (g, counts) spreads.

    Args:
        history: all actor-days.
        groups: parents come before children.
        fallback: built-in ``mean``, ``dispersion``, ``spread`` of people and services.
    """
    n = len(groups)
    mean, dispersion = np.zeros((n, 2, N_STATS)), np.zeros((n, 2, N_STATS))
    spread = np.zeros((n, N_STATS))
    counts, kind = counts_of(history.day), history.day[:, KIND]
    settled = settled_days(history)
    for row, group in enumerate(groups):
        top = row < 2
        up = row if top else group.parent
        source = fallback if top else {"mean": mean, "dispersion": dispersion, "spread": spread}
        for day_kind in range(2):
            lines = group.lines[kind[group.lines] == day_kind]
            found, n_actors = _trimmed_mean(history.user[lines], counts[lines])
            late = lines[settled[lines]]
            found[_NOVELTY] = _trimmed_mean(history.user[late], counts[late])[0][_NOVELTY]
            prior = source["mean"][up, day_kind].copy()
            if day_kind == 1 and not top:
                prior *= mean[row, 0] / np.maximum(source["mean"][up, 0], _MEAN_FLOOR)
            share = n_actors / (n_actors + _LEAN_ACTORS)
            mean[row, day_kind] = np.maximum(prior + share * (found - prior), _MEAN_FLOOR)
            within, between, n_actors = _variances(history.user[lines], counts[lines])
            of_late = _variances(history.user[late], counts[late])
            if of_late[2] > 0.0:
                within[_NOVELTY], between[_NOVELTY] = of_late[0][_NOVELTY], of_late[1][_NOVELTY]
            share = n_actors / (n_actors + _LEAN_ACTORS)
            base = source["dispersion"][up, day_kind].copy()
            if day_kind == 1:
                base *= dispersion[row, 0] / source["dispersion"][up, 0]
            dispersion[row, day_kind] = np.clip(base + share * (within - base), 0.02, 50.0)
            if day_kind == 0:
                base = source["spread"][up]
                spread[row] = np.clip(base + share * (between - base), 0.05, 10.0)
    if int(settled.sum()) < _LEAST_SETTLED_LINES:
        mean[:, :, _NOVELTY] = _BEYOND_SURPRISE
    return mean, dispersion, spread


def _actor_means(user: I64, counts: F64) -> tuple[F64, F64, NDArray[np.int64]]:
    """Return (a, counts) means, (a,) days per actor and the actor of each line."""
    _, actor = np.unique(user, return_inverse=True)
    n_days = np.bincount(actor).astype(np.float64)
    sums = np.zeros((n_days.size, counts.shape[1]))
    np.add.at(sums, actor, counts)
    return sums / n_days[:, None], n_days, actor


def _trimmed_mean(user: I64, counts: F64) -> tuple[F64, float]:
    """Return the mean over actors without the extreme tenths, and the number of actors."""
    if user.size == 0:
        return np.zeros(counts.shape[1]), 0.0
    means, _, _ = _actor_means(user, counts)
    low, high = np.quantile(means, [_TRIM, 1.0 - _TRIM], axis=0)
    kept = np.clip(means, low, high)
    return kept.mean(axis=0), float(means.shape[0])


def _variances(user: I64, counts: F64) -> tuple[F64, F64, float]:
    """Return dispersion within actors, relative variance between them, number of actors."""
    zeros = np.zeros(counts.shape[1])
    if user.size == 0:
        return zeros, zeros, 0.0
    means, n_days, actor = _actor_means(user, counts)
    fine = n_days >= _LEAST_DAYS_PER_ACTOR
    if fine.sum() < 2:
        return zeros, zeros, 0.0
    error = np.zeros_like(means)
    np.add.at(error, actor, (counts - means[actor]) ** 2)
    variance = error[fine] / (n_days[fine, None] - 1.0)
    m = np.maximum(means[fine], _MEAN_FLOOR)
    ratio = (variance - m) / (m * m)
    weight = m * m * n_days[fine, None]
    top = np.quantile(ratio, 1.0 - _TRIM, axis=0)
    within = (np.minimum(ratio, top) * weight).sum(axis=0) / weight.sum(axis=0)
    low, high = np.quantile(m, [_TRIM / 2, 1.0 - _TRIM / 2], axis=0)
    clipped = np.clip(m, low, high)
    center = clipped.mean(axis=0)
    noise = (variance / n_days[fine, None]).mean(axis=0)
    between = (clipped.var(axis=0) - noise) / (center * center)
    return within, np.maximum(between, 0.0), float(fine.sum())


def fit_hours(history: History, groups: list[Group], fallback: F64) -> F64:
    """(g, 2, 96) share of active days with work in a quarter, smoothed over neighbours."""
    bits = np.concatenate(
        [(history.day[:, [column]] >> np.arange(_HALF)) & 1 for column in (BINS_LOW, BINS_HIGH)],
        axis=1,
    ).astype(np.float64)
    smooth = 0.5 * bits + 0.25 * np.roll(bits, 1, axis=1) + 0.25 * np.roll(bits, -1, axis=1)
    kind = history.day[:, KIND]
    hours = np.zeros((len(groups), 2, N_BINS))
    for row, group in enumerate(groups):
        for day_kind in range(2):
            lines = group.lines[kind[group.lines] == day_kind]
            prior = fallback[row, day_kind] if row < 2 else hours[group.parent, day_kind]
            lean = _LEAN_BUILTIN_DAYS if row < 2 else _LEAN_DAYS
            total = smooth[lines].sum(axis=0) + lean * prior
            hours[row, day_kind] = total / (lines.size + lean) + _HOUR_FLOOR
    return hours


def fit_rest_share(history: History, groups: list[Group], rest_days: F64, fallback: F64) -> F64:
    """(g,) share of rest days worked.

    Args:
        history: all actor-days.
        groups: peer groups.
        rest_days: (m,) number of rest days in the period, per line of the history.
        fallback: (2,) built-in shares.
    """
    share = np.zeros(len(groups))
    is_rest = history.day[:, KIND] == 1
    for row, group in enumerate(groups):
        _, first = np.unique(history.user[group.lines], return_index=True)
        exposure = rest_days[group.lines[first]].sum()
        prior = fallback[row] if row < 2 else share[group.parent]
        worked = is_rest[group.lines].sum()
        share[row] = (worked + _LEAN_DAYS * prior) / (exposure + _LEAN_DAYS)
    return np.clip(share, 0.001, 1.0)


def fit_sizes(values: I64, groups: list[Group], fallback: F64) -> F64:
    """(g, 2) mean and dispersion of a count beyond the first, where there is one.

    Args:
        values: (m,) count per actor-day, 0 = none.
        groups: peer groups.
        fallback: (2, 2) built-in figures.
    """
    sizes = np.zeros((len(groups), 2))
    for row, group in enumerate(groups):
        found = values[group.lines]
        extra = np.minimum(found[found > 0] - 1, 10_000).astype(np.float64)
        prior = fallback[row] if row < 2 else sizes[group.parent]
        if extra.size:
            extra = np.minimum(extra, np.quantile(extra, 0.99))
        mean = (extra.sum() + _LEAN_DAYS * prior[0]) / (extra.size + _LEAN_DAYS)
        excess = ((extra - mean) ** 2 - mean).sum() + _LEAN_DAYS * prior[1] * mean * mean
        dispersion = excess / ((extra.size + _LEAN_DAYS) * mean * mean)
        sizes[row] = max(mean, 0.1), min(max(dispersion, 0.1), 20.0)
    return sizes


def fit_away_share(history: History, groups: list[Group], fallback: F64) -> F64:
    """(g,) share of active days that touch a foreign branch."""
    away = history.day[:, COUNTS + FOREIGN] > 0
    share = np.zeros(len(groups))
    for row, group in enumerate(groups):
        prior = fallback[row] if row < 2 else share[group.parent]
        total = away[group.lines].sum() + _LEAN_DAYS * prior
        share[row] = total / (group.lines.size + _LEAN_DAYS)
    return share


def out_events(history: History) -> I64:
    """(m,) events out of hours."""
    return history.day[:, OUT_EVENTS]


def settled_days(history: History) -> NDArray[np.bool_]:
    """(m,) whether the actor had been there for two weeks: before, every customer is new."""
    first_day: dict[int, int] = {}
    for user, day in zip(history.user.tolist(), history.day[:, DAY].tolist(), strict=True):
        first_day[user] = min(day, first_day.get(user, day))
    started = np.array([first_day[user] for user in history.user.tolist()], dtype=np.int64)
    return np.asarray(history.day[:, DAY] - started >= SETTLED_DAYS)


def fit_reach(history: History, groups: list[Group], fallback: F64) -> F64:
    """(g, levels) customers an active day that reach 2, 3, … distinct days within two weeks."""
    settled = settled_days(history)
    reached = (history.day[:, [LEVELS]] >> (BITS * np.arange(N_LEVELS))) & ((1 << BITS) - 1)
    rates = np.zeros((len(groups), N_LEVELS))
    for row, group in enumerate(groups):
        lines = group.lines[settled[group.lines]]
        prior = fallback[row] if row < 2 else rates[group.parent]
        lean = _LEAN_BUILTIN_DAYS if row < 2 else _LEAN_DAYS
        rates[row] = (reached[lines].sum(axis=0) + lean * prior) / (lines.size + lean)
    return rates
