"""Count an actor's visits to branches and hand them to the cross_branch score."""

from __future__ import annotations

import numpy as np

from detector.compiled import part
from detector.scoring.cross_branch import (
    away_surprise,
    bank_share,
    branch_surprise,
    fold_visits,
    own_share,
    peer_share,
    visit_size,
)
from detector.scoring.model import Limits, Model, Rows
from detector.scoring.periods import has_period
from detector.state.layout import (
    BEST_BRANCH,
    BRANCH_LIMIT,
    COUNTS,
    DAY,
    DAYS_SEEN,
    F64,
    FOREIGN,
    HOME,
    HOME_GUESSED,
    HOME_KEY,
    HOME_VISITS,
    I64,
    N_BRANCH_PAIRS,
    N_CLOSED,
    RAW,
    ROLE,
    BranchPairs,
    Tables,
)
from detector.state.tables import add_branch, find_cell

_THOUSANDTHS = 1000.0
_LEAST_HOME_VISITS = 3000  # three days, in thousandths, before a home is guessed


@part
def is_covered(model: Model, pair: int, day: int) -> bool:
    """Tell whether the actor is on cover duty at this branch on this local day."""
    return has_period(model.cover_key, model.cover_first, model.cover_last, pair, day)


@part
def guess_home(me: I64, branch_key: int, branch_row: int, visits: float) -> None:
    """Keep the most visited branch as the home of an actor whose home nobody named."""
    weight = int(visits * _THOUSANDTHS)
    if branch_key == me[HOME_KEY]:
        me[HOME_VISITS] = weight
    elif weight >= _LEAST_HOME_VISITS and weight > me[HOME_VISITS]:
        me[HOME_KEY], me[HOME], me[HOME_VISITS] = branch_key, branch_row, weight
        me[HOME_GUESSED] = 1


@part
def count_visit(
    tables: Tables,
    rows: Rows,
    row: int,
    slot: int,
    day: I64,
    change: int,
    model: Model,
    limits: Limits,
) -> int:
    """Count a row at its record's branch; return the pair's cell if the branch is foreign.

    ``change`` is that of the day's customers without a business reason.

    Returns:
        The cell, or -1 where there is nothing to score: no branch, the home branch, cover
        duty, a home not known yet, or the limit of branches per actor.
    """
    branch = rows.branch_key[row]
    me, pairs = tables.actors.ints[slot], tables.branches
    if branch == 0 or (branch == me[HOME_KEY] and me[HOME_GUESSED] == 0):
        return -1
    if model.cover_key.size and is_covered(model, rows.branch_pair[row], day[DAY]):
        return -1
    cell = find_cell(pairs.key, rows.branch_pair[row])
    if pairs.key[cell] == 0:
        if me[N_BRANCH_PAIRS] >= limits.max_branches:
            tables.counts[BRANCH_LIMIT] += 1
            return -1
        add_branch(pairs, tables.counts, cell, rows.branch_pair[row], branch, slot, me[N_CLOSED])
        me[N_BRANCH_PAIRS] += 1
        pairs.row[cell] = max(rows.branch[row], 0)
    fold_visits(pairs, cell, me, tables.days, model.decay, limits.flagged_weight)
    if me[HOME_KEY] == 0 or me[HOME_GUESSED] == 1:
        guess_home(me, branch, max(rows.branch[row], 0), np.float64(pairs.visits[cell]))
    is_foreign = me[HOME_KEY] not in (0, branch)
    if rows.customer[row] == 0 and pairs.day[cell, day[DAY] & 1] != day[DAY]:
        change = 1  # a list of customers counts once a day
    return count_today(pairs, cell, day, change, is_foreign)


@part
def count_today(pairs: BranchPairs, cell: int, day: I64, change: int, is_foreign: bool) -> int:
    """Count customers without a business reason at a branch on a day."""
    parity = day[DAY] & 1
    if pairs.day[cell, parity] != day[DAY]:
        pairs.day[cell, parity] = day[DAY]
        pairs.today[cell, parity] = 0
    pairs.today[cell, parity] = max(pairs.today[cell, parity] + change, 0)
    if not is_foreign:
        return -1
    day[COUNTS + FOREIGN] = max(day[COUNTS + FOREIGN] + change, 0)
    return cell if change > 0 else -1


@part
def score_visit(
    tables: Tables,
    cell: int,
    slot: int,
    day: I64,
    surprise: F64,
    model: Model,
    group: int,
    busy: float,
) -> None:
    """Raise the day's raw cross_branch score by what is known of one foreign branch.

    ``busy`` scales what is expected of a visit by how busy the day is otherwise.
    """
    pairs, me, baseline = tables.branches, tables.actors.ints[slot], tables.actors.baseline[slot]
    branch = pairs.row[cell]
    n_customers = pairs.today[cell, day[DAY] & 1]
    peers = peer_share(model, me[ROLE], me[HOME], False, branch)
    visits = np.float64(pairs.visits[cell])
    share = own_share(visits, np.float64(baseline[DAYS_SEEN]), peers)
    size = busy * visit_size(model, group, visits, np.float64(pairs.size[cell]))
    spread = model.visit_size[group, 1]
    one = branch_surprise(n_customers, share, bank_share(model, branch), size, spread)
    together = away_surprise(day[COUNTS + FOREIGN], baseline, model, group, busy)
    if max(one, together) > surprise[RAW + 2]:
        surprise[RAW + 2] = max(one, together)
        day[BEST_BRANCH] = pairs.key[cell] if one >= together else 0
