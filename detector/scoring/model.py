"""What the compiled loop reads: frozen priors and thresholds, and the columns of a batch."""

from __future__ import annotations

from typing import NamedTuple

from detector.state.layout import F64, I32, I64, U8


class Model(NamedTuple):
    """Artifact, reference tables and their built-in stand-ins, as arrays.

    Role *r* is row ``r + 1`` where a table is indexed by role; row 0 is "any other role".
    Branch rows: 0 is a branch nobody told us about. Group *g* is a peer group (role, or
    role × home branch); day kind 0 is a working day, 1 a rest day.
    """

    group_of: I32  # (roles + 1, branches + 1) -> group
    mean: F64  # (groups, 2, 9) expected daily peak of each count
    dispersion: F64  # (groups, 9) within an actor
    spread: F64  # (groups, 9) relative variance of the mean between actors
    hours: F64  # (groups, 2, 96) share of active days with work in that quarter
    rest_share: F64  # (groups,) share of rest days worked
    out_volume: F64  # (groups, 2) mean and dispersion of events out of hours, if any
    away_share: F64  # (groups,) share of active days with a foreign branch
    visit_size: F64  # (groups, 2) mean and dispersion of customers per foreign visit
    relation_share: F64  # (roles + 1, 3) share of days at home, in the region, elsewhere
    visit_key: I64  # open addressing, 0 = free
    visit_share: F64  # share of days of role × home branch with a visit to a branch
    branch_share: F64  # (branches + 1,) share of the bank's actor-days that touch it
    branch_region: I32  # (branches + 1,), -1 = unknown
    branch_clock: I32  # (branches + 1,) row of the clock tables
    stratum: I32  # (groups,)
    knots_raw: F64  # (strata, 4, knots) ascending; 0-2 detectors, 3 their sum
    knots_surprise: F64  # (strata, 4, knots)
    staff_key: I64  # open addressing over user keys, 0 = free
    staff_role: I32
    staff_home: I32
    staff_home_key: I64
    cover_key: I64  # sorted mixed keys of user and branch
    cover_first: I32
    cover_last: I32
    decay: F64  # (512,) weight left after so many active days


class Limits(NamedTuple):
    """Scalars of the policy, in the kernel's units."""

    lateness_ns: int
    keep_ns: int
    max_jump_ns: int
    emit_from_ns: int
    emit_score: float
    flag_score: float
    flagged_weight: float
    winsor_sd: float
    mature_days: float
    out_share: float
    growth_score: float
    growth_share: float
    max_actors: int
    max_tail_rows: int
    max_customers: int
    max_branches: int
    threshold: F64  # (3,) from which a detector counts as fired
    enabled: U8  # (3,)


class Rows(NamedTuple):
    """Columns of one batch; -1 and 0 mean missing."""

    time_ns: I64
    event: I64
    user: I64
    customer: I64
    customer_pair: I64
    records: I64
    volume: U8
    role: I32
    home: I32
    home_key: I64
    branch: I32
    branch_key: I64
    branch_pair: I64


class Out(NamedTuple):
    """What the loop writes: one line per row, and the days that closed."""

    window: I64  # (8,) counts of the row's own 10 min and 1 h windows
    scratch: I64  # (largest tail,)
    score: F64
    code: U8
    mark: U8
    facts: I64  # (n, N_FACTS), only where raised
    figures: F64  # (n, N_FIGURES), only where raised
    n_closed: I64  # (1,)
    closed_actor: I64  # (m, 4): user, slot, group, closed days before
    closed_day: I64
    closed_surprise: F64


SCORED, DUPLICATE, TOO_LATE, JUMP, NO_ROOM = range(5)
RAISED, SAMPLE = 1, 2

(
    F_USER, F_DAY, F_OFFSET, F_FIRST, F_LAST, F_EVENTS, F_RECORDS, F_CUSTOMERS, F_CUSTOMERS_30D,
    F_LEARNING, F_FIRED, F_STAT, F_OBSERVED, F_BIN, F_REST, F_OUT_EVENTS, F_OUT_CUSTOMERS,
    F_BRANCH, F_VISITED,
) = range(19)  # fmt: skip
N_FACTS = 19
(
    G_SCORE, G_BULK, G_HOURS, G_BRANCH, G_MEAN, G_DISPERSION, G_PEER_MEAN, G_PEER_DISPERSION,
    G_HOUR_SHARE, G_ACTIVE_SHARE, G_EXPECTED, G_OWN_SHARE, G_PEER_SHARE, G_BANK_SHARE,
) = range(14)  # fmt: skip
N_FIGURES = 14
