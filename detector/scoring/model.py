"""What the compiled loop reads: frozen priors and thresholds, and the columns of a batch."""

from __future__ import annotations

from typing import NamedTuple

from detector.state.layout import F64, I32, I64, N_DETECTORS, N_FIELDS, U8


class Model(NamedTuple):
    """Artifact, reference tables and their built-in stand-ins, as arrays.

    Role *r* is row ``r + 1`` where a table is indexed by role; row 0 is "any other role".
    Branch rows: 0 is a branch nobody told us about. Group *g* is a peer group (role, or
    role × home branch); day kind 0 is a working day, 1 a rest day.
    """

    group_of: I32  # (roles + 1, branches + 1) -> group
    mean: F64  # (groups, 2, counts) expected daily peak of each count
    dispersion: F64  # (groups, 2, counts) within an actor, by day kind
    spread: F64  # (groups, counts) relative variance of the mean between actors
    channel_of: I64  # (counts,) channel each count speaks on, -1 = none
    detector_of: I64  # (channels,)
    hours: F64  # (groups, 2, 96) share of active days with work in that quarter
    rest_share: F64  # (groups,) share of rest days worked
    out_volume: F64  # (groups, 2) mean and dispersion of events out of hours, if any
    away_share: F64  # (groups,) share of active days with a foreign branch
    visit_size: F64  # (groups, 2) mean and dispersion of customers per foreign visit
    relation_share: F64  # (roles + 1, 3) share of days at home, in the region, elsewhere
    per_customer: U8  # (counts,) 1 if the count is held against the day's customers
    reach: F64  # (groups, levels) customers a day that reach so many distinct days
    visit_key: I64  # open addressing, 0 = free
    visit_share: F64  # share of days of role × home branch with a visit to a branch
    branch_share: F64  # (branches + 1,) share of the bank's actor-days that touch it
    branch_region: I32  # (branches + 1,), -1 = unknown
    branch_clock: I32  # (branches + 1,) row of the clock tables
    stratum: I32  # (groups,)
    knots_raw: F64  # (strata, channels + 1, knots) ascending; the last is for the sum
    knots_surprise: F64
    staff_key: I64  # open addressing over user keys, 0 = free
    staff_role: I32
    staff_home: I32
    staff_home_key: I64
    staff_left: I64  # local day after which the account has no owner, 0 = none
    leave_key: I64  # sorted user keys
    leave_first: I32
    leave_last: I32
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
    known_share: float
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
    max_values: int
    max_approvals: int
    benign_days: int
    threshold: F64  # (detectors,) from which a detector counts as fired
    notable: F64  # (detectors,) below it a detector says nothing in the score
    enabled: U8  # (detectors,) 1 if it scores
    watched: U8  # (detectors,) 1 if it counts and learns: the others cost nothing
    learned: U8  # (counts,) 1 if what is usual of a count is learned


class Rows(NamedTuple):
    """Columns of one batch; -1 and 0 mean missing."""

    time_ns: I64
    event: I64
    user: I64
    customer: I64
    customer_pair: I64
    number: I64  # record number, -1 = none
    records: I64
    flags: I64  # bits below
    device: I64
    value_pair: I64  # (n, fields) keys of actor × value
    value_share: F64  # (n, fields) share of the value in the whole bank
    role: I32
    home: I32
    home_key: I64
    branch: I32
    branch_key: I64
    branch_pair: I64
    ticket: I64
    until_ns: I64  # of approvals


class Out(NamedTuple):
    """What the loop writes: one line per row, and the days that closed."""

    window: I64  # (8,) counts of the row's own 10 min and 1 h windows
    score: F64
    code: U8
    mark: U8
    facts: I64  # (n, N_FACTS), written only where raised; user and day also for samples
    figures: F64  # (n, N_FIGURES), written only where raised
    n_closed: I64  # (1,)
    closed_actor: I64  # (m, 4): user, slot, group, closed days before
    closed_day: I64
    closed_surprise: F64
    kept_actor: I64  # (n or 0, 4): user, group, closed days before, 1 if a raw score rose
    kept_day: I64  # (n or 0, N_DAY) the day after each row
    kept_surprise: F64
    kept_known: F64  # (n or 0, detectors)


# Rows.flags
IS_VOLUME, IS_EXPORT, IS_DENIED, IS_SECRET = 1, 2, 4, 8
IS_SENSITIVE, IS_OWN, IS_EXPLAINED, IS_NEAR_CAP = 16, 32, 64, 128
IS_TICKETED = 256  # names a ticket that no table lists
IS_BENIGN, IS_CONFIRMED, IS_APPROVAL = 512, 1024, 2048
IS_STATEMENT = IS_BENIGN | IS_CONFIRMED | IS_APPROVAL  # says something about its actor: no access

SCORED, DUPLICATE, TOO_LATE, JUMP, NO_ROOM, STATED, APPROVES_NOTHING = range(7)
RAISED, SAMPLE = 1, 2

(
    F_USER, F_DAY, F_OFFSET, F_FIRST, F_LAST, F_EVENTS, F_RECORDS, F_CUSTOMERS, F_CUSTOMERS_30D,
    F_LEARNING, F_FIRED, F_BIN, F_REST, F_OUT_EVENTS, F_OUT_CUSTOMERS, F_BRANCH, F_VISITED,
    F_DRIP, F_SPAN, F_DRIP_SUM, F_LEVEL, F_RULE, F_RULE_FACT, F_UNEXPLAINED, F_EVENTS_30D,
    F_RECORDS_30D,
) = range(26)  # fmt: skip
F_STAT = 26  # count and observed value of each detector that counts, by detector
F_OBSERVED = F_STAT + N_DETECTORS
F_NEW_VALUES = F_OBSERVED + N_DETECTORS
N_FACTS = F_NEW_VALUES + N_FIELDS
(
    G_SCORE, G_HOUR_SHARE, G_ACTIVE_SHARE, G_EXPECTED, G_OWN_SHARE, G_PEER_SHARE, G_BANK_SHARE,
    G_DRIP_MEAN, G_DRIP_DISPERSION, G_DRIP_PEER, G_REACH, G_PEER_REACH, G_OTHERS,
) = range(13)  # fmt: skip
G_SURPRISE = 13  # calibrated, by detector
G_MEAN = G_SURPRISE + N_DETECTORS  # mean, dispersion, peers' mean and dispersion, by detector
N_FIGURES = G_MEAN + 4 * N_DETECTORS
