"""cross_branch: is it plausible that this person works on customers of that branch?

The chance of a visit to a branch on an active day backs off from the actor's own visits
to role × home branch, then to role × relation (home, same region, elsewhere), then to the
bank. The score is its log ratio against the population: a small branch is not suspicious
because it is small, and a role that crosses all day scores nothing. How many customers
were looked at, given a visit, comes on top.
"""

from __future__ import annotations

import math

import numpy as np

from detector.compiled import part
from detector.scoring.model import Model
from detector.scoring.negative_binomial import upper_tail_surprise
from detector.state.days import weight_of_day
from detector.state.layout import (
    AWAY_SIZE,
    DAY,
    DAYS_AWAY,
    DAYS_SEEN,
    F32,
    F64,
    I64,
    LINE,
    N_CLOSED,
    NO_DAY,
    BranchPairs,
    Days,
)
from detector.state.tables import find_cell

_OWN_DAYS = 8.0  # own days after which own visits weigh as much as the peers'
_SIZE_VISITS = 2.0
_UNKNOWN_BRANCHES = 8.0  # a branch nobody told us about stands for one of so many
_HOME, _REGION, _ELSEWHERE = range(3)


@part
def visit_cell_key(role: int, home: int, branch: int, n_branches: int) -> int:
    """Return the key of role × home × branch in the artifact's visit table, > 0."""
    return ((role + 1) * n_branches + home) * n_branches + branch + 1


@part
def spread_key(key: int) -> int:
    """Scatter a small key over 63 bits so that it can be used for open addressing."""
    return ((key * 2654435761) & 0x7FFFFFFF) << 31 | key


@part
def bank_share(model: Model, branch: int) -> float:
    """Return the share of the bank's actor-days that touch a branch."""
    if branch <= 0:
        return 1.0 / _UNKNOWN_BRANCHES
    return float(max(model.branch_share[branch], 1e-4))


@part
def peer_share(model: Model, role: int, home: int, is_home: bool, branch: int) -> float:
    """Return the chance that a colleague of the same role and home visits a branch in a day."""
    if model.visit_key.size and branch > 0 and home > 0:
        key = spread_key(visit_cell_key(role, home, branch, model.branch_share.size))
        cell = find_cell(model.visit_key, key)
        if model.visit_key[cell] == key:
            return float(model.visit_share[cell])
    if is_home:
        return float(model.relation_share[role + 1, _HOME])
    relation = _ELSEWHERE
    if branch > 0 and home > 0 and model.branch_region[branch] >= 0:
        relation = _REGION if model.branch_region[branch] == model.branch_region[home] else 2
    return float(model.relation_share[role + 1, relation]) * bank_share(model, branch)


@part
def own_share(visits: float, days: float, peers: float) -> float:
    """Blend the actor's own share of days with a visit with that of the peers."""
    return min(max((visits + _OWN_DAYS * peers) / (days + _OWN_DAYS), 1e-6), 1.0)


@part
def visit_size(model: Model, group: int, visits: float, size: float) -> float:
    """Expect so many customers in a visit of this actor to this branch."""
    prior = model.visit_size[group, 0]
    return float((_SIZE_VISITS * prior + visits * size) / (_SIZE_VISITS + visits))


@part
def branch_surprise(
    n_customers: int, share: float, bank: float, size: float, spread: float
) -> float:
    """Score one foreign branch: log ratio of the visit, plus the tail of its size."""
    ratio = max(math.log10(bank / share), 0.0)
    if n_customers <= 1:
        return ratio
    return ratio + upper_tail_surprise(n_customers - 1, size, spread)


@part
def away_surprise(n_customers: int, baseline: F32, model: Model, group: int, busy: float) -> float:
    """Score all foreign branches of the day together."""
    away = np.float64(baseline[DAYS_AWAY])
    share = own_share(away, np.float64(baseline[DAYS_SEEN]), model.away_share[group])
    rarity = -math.log10(share)
    if n_customers <= 1:
        return rarity
    size = busy * visit_size(model, group, away, np.float64(baseline[AWAY_SIZE]))
    return rarity + upper_tail_surprise(n_customers - 1, size, model.visit_size[group, 1])


@part
def fold_visits(
    pairs: BranchPairs, cell: int, me: I64, days: Days, decay: F64, flagged_weight: float
) -> None:
    """Let the visits of days that have closed meanwhile into the pair's history.

    Done when the pair is touched again: an actor never has to walk through all its branches.
    """
    age = min(me[N_CLOSED] - pairs.closed[cell], decay.size - 1)
    pairs.visits[cell] = np.float64(pairs.visits[cell]) * decay[age]
    pairs.closed[cell] = me[N_CLOSED]
    for parity in range(2):
        day = pairs.day[cell, parity]
        if day in (NO_DAY, days.ints[me[LINE + parity], DAY]):
            continue
        weight = weight_of_day(me, day, flagged_weight)
        if weight > 0.0:
            visits, n_more = np.float64(pairs.visits[cell]) + weight, pairs.today[cell, parity] - 1
            size = np.float64(pairs.size[cell])
            pairs.size[cell] = size + weight / visits * (max(n_more, 0) - size)
            pairs.visits[cell] = visits
        pairs.day[cell, parity] = NO_DAY
        pairs.today[cell, parity] = 0
