"""Which branches a role of a home branch works on: shares of days, backed off."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from detector.fitting.history import History, lookup
from detector.hashing import hash_strings
from detector.state.layout import F64, I32, I64

_LEAN_DAYS = 10.0
_LEAST_VISITS = 3.0
_FALLBACK = (0.95, 0.06, 0.03)


def fit_branches(
    history: History, roles: Mapping[str, int], branches: Mapping[str, int], region: I32
) -> dict[str, F64 | I64]:
    """Fit ``branch_share``, ``relation_share``, ``visit_key`` and ``visit_share``.

    Args:
        history: visits and active days of every actor.
        roles: row of a role.
        branches: row of a branch, from 1.
        region: (branches + 1,) region of a branch, -1 = unknown.
    """
    n_branches, n_roles = len(branches) + 1, len(roles)
    users = np.array(list(history.days_seen), dtype=np.int64)
    days = np.array(list(history.days_seen.values())) + 1.0
    role_row = {user: roles.get(name or "", -1) for user, name in history.role_of.items()}
    home_row = {user: branches.get(name or "", 0) for user, name in history.home_of.items()}
    role, home = lookup(users, role_row, -1), lookup(users, home_row, 0)
    names = list(branches)
    row_of_key = dict(zip(hash_strings(names).tolist(), branches.values(), strict=True))
    visited = lookup(history.visits[:, 1], row_of_key, 0)
    v_role, v_home = (
        lookup(history.visits[:, 0], role_row, -1),
        lookup(history.visits[:, 0], home_row, 0),
    )

    share = np.bincount(home, weights=days, minlength=n_branches)
    share += np.bincount(visited, weights=history.visit_days, minlength=n_branches)
    share = np.minimum(share / max(days.sum(), 1.0), 1.0)
    share[0] = 0.0
    relation = _relations(
        (role, home, days), (v_role, v_home, visited, history.visit_days), region, share, n_roles
    )
    keys, shares = _visit_shares(
        (role, home, days), (v_role, v_home, visited, history.visit_days), region, share, relation
    )
    return {
        "branch_share": share,
        "relation_share": relation,
        "visit_key": keys,
        "visit_share": shares,
    }


def _relation(home: I64, branch: I64, region: I32) -> I64:
    """0 home, 1 same region, 2 elsewhere or unknown."""
    same = (region[home] >= 0) & (region[home] == region[branch]) & (home > 0) & (branch > 0)
    kinds: I64 = np.where((home == branch) & (home > 0), 0, np.where(same, 1, 2))
    return kinds


def _relations(
    people: tuple[I64, I64, F64],
    visits: tuple[I64, I64, I64, F64],
    region: I32,
    share: F64,
    n_roles: int,
) -> F64:
    """(roles + 1, 3) visits per day, relative to how much work a branch has."""
    role, home, days = people
    v_role, v_home, branch, visit_days = visits
    exposure, found = np.zeros((n_roles + 1, 3)), np.zeros((n_roles + 1, 3))
    every = np.arange(share.size)
    for r, h, d in zip(role.tolist(), home.tolist(), days.tolist(), strict=True):
        kinds = _relation(np.full(every.size, h), every, region)
        exposure[r + 1] += d * np.bincount(kinds, weights=share, minlength=3)
    np.add.at(found, (v_role + 1, _relation(v_home, branch, region)), visit_days)
    exposure[0], found[0] = exposure.sum(axis=0), found.sum(axis=0)
    fallback = np.array(_FALLBACK)
    all_roles = (found[0] + fallback * _LEAN_DAYS) / (exposure[0] + _LEAN_DAYS)
    relation = (found + all_roles * _LEAN_DAYS) / (exposure + _LEAN_DAYS)
    relation[0], relation[:, 0] = all_roles, _FALLBACK[0]
    return np.asarray(np.clip(relation, 1e-4, 10.0))


def _visit_shares(
    people: tuple[I64, I64, F64],
    visits: tuple[I64, I64, I64, F64],
    region: I32,
    share: F64,
    relation: F64,
) -> tuple[I64, F64]:
    """Return (n, 3) role, home, branch rows and (n,) shares of days, where seen enough."""
    role, home, days = people
    v_role, v_home, branch, visit_days = visits
    n = share.size
    cells, inverse = np.unique(
        np.stack([v_role, v_home, branch], axis=1), axis=0, return_inverse=True
    )
    total = np.bincount(inverse.reshape(-1), weights=visit_days, minlength=len(cells))
    exposure = np.zeros((role.max(initial=-1) + 2, n))
    np.add.at(exposure, (role + 1, home), days)
    kept = (total >= _LEAST_VISITS) & (cells[:, 1] > 0) & (cells[:, 2] > 0)
    cells, total = cells[kept], total[kept]
    kinds = _relation(cells[:, 1], cells[:, 2], region)
    prior = relation[cells[:, 0] + 1, kinds] * share[cells[:, 2]]
    shares = (total + _LEAN_DAYS * prior) / (exposure[cells[:, 0] + 1, cells[:, 1]] + _LEAN_DAYS)
    return cells.astype(np.int64), np.clip(shares, 1e-6, 1.0)
