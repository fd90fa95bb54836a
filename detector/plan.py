"""What is frozen for a run: policy, artifact and reference tables, compiled into arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.artifact_model import check_model
from detector.artifacts import Artifact
from detector.detections import DETECTORS
from detector.hashing import hash_strings, mix
from detector.limits import channel_of_counts, limits_of
from detector.lookup import looked_up
from detector.policy import Policy
from detector.reference import Reference
from detector.scoring import builtin
from detector.scoring.builtin import SERVICE_ROLE
from detector.scoring.model import Limits, Model
from detector.scoring.reasons import Reasons, reasons_of
from detector.state.layout import (
    CHANNEL_DETECTOR,
    DENIED,
    I64,
    N_STATS,
    SECRET,
    SENSITIVE,
)
from detector.workhours import ClockTables, Notice, clock_tables

_HOUR_NS = 3_600_000_000_000
_EVER_NS = -(2**63)
_DECAY_DAYS = 512
_EPOCH_ORDINAL = 719_163  # date(1970, 1, 1).toordinal()
PER_CUSTOMER = (SENSITIVE, SECRET, DENIED)  # grow with the customers of a day
BUILTIN = "builtin"  # stands for the digest where nothing was learned
LEAST_SHARE = 1e-4  # of a value that the history does not hold

# What an artifact must bring; the rest of the model comes from reference tables.
MODEL_ARRAYS = (
    "mean", "dispersion", "spread", "hours", "rest_share", "out_volume", "away_share",
    "visit_size", "relation_share", "reach", "stratum", "knots_raw", "knots_surprise",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a step needs besides state and batch.

    ``roles`` and ``branches`` give the row of a name in the model; an unknown role is -1,
    an unknown branch 0.
    """

    policy: Policy
    model: Model
    clock: ClockTables
    limits: Limits
    roles: Mapping[str, int]
    branches: Mapping[str, int]
    staff: Mapping[str, tuple[str | None, str | None]]
    policy_digest: str
    artifact_digest: str
    reference_digest: str
    reasons: Reasons
    value_key: I64
    value_share: NDArray[np.float64]
    notices: tuple[Notice, ...] = ()
    keep_ledger: bool = False
    keep_rows: bool = False

    @property
    def watched(self) -> tuple[str, ...]:
        """Names of the detectors that count and learn, in the order of ``DETECTORS``."""
        every = zip(DETECTORS, self.limits.watched.tolist(), strict=True)
        return tuple(name for name, is_watched in every if is_watched)

    def value_shares(self, keys: NDArray[np.int64]) -> NDArray[np.float64]:
        """(n,) bank-wide share of each value; unknown ones get the least share."""
        return looked_up(keys, self.value_key, self.value_share, LEAST_SHARE)


def build_plan(
    policy: Policy,
    artifact: Artifact | None,
    reference: Reference,
    *,
    emit_from_ns: int | None = None,
    min_score: float | None = None,
    keep_ledger: bool = False,
) -> Plan:
    """Freeze policy, artifact and reference tables for a run.

    Args:
        policy: thresholds and limits.
        artifact: what ``fit`` has learned; None stands for the built-in priors.
        reference: staff, branches, calendars, cover; may be empty.
        emit_from_ns: raise alerts only for events from this UTC time on.
        min_score: lower (or raise) the bar for emitting. What is learned does not change:
            the score from which a day counts as flagged stays the policy's.
        keep_ledger: report every closed day in ``Step.closed``, and let detectors that are
            off learn all the same; used by fitting, whose artifact serves any policy.

    Raises:
        ArtifactError: the artifact is no model of this version.
    """
    if artifact is not None:
        check_model(artifact)
    arrays = builtin_arrays() if artifact is None else artifact.arrays
    blank: Mapping[str, Any] = {"roles": [SERVICE_ROLE], "branches": [], "threshold": None}
    manifest = blank if artifact is None else artifact.manifest
    roles = {name: row for row, name in enumerate(manifest["roles"])}
    branches = _branch_rows(reference, manifest["branches"])
    clock, notices = clock_tables(
        reference,
        default_time_zone=policy.clock.default_time_zone,
        default_calendar=policy.clock.default_calendar,
    )
    threshold = manifest["threshold"]
    if min_score is not None:
        threshold = min_score
    elif threshold is None:
        threshold = policy.alerts.builtin_threshold
    return Plan(
        policy=policy,
        model=_model(arrays, manifest, reference, roles, branches, policy),
        clock=clock,
        limits=limits_of(policy, float(threshold), emit_from_ns, watch_all=keep_ledger),
        roles=roles,
        branches=branches,
        staff=_staff_texts(reference),
        policy_digest=policy.digest,
        artifact_digest=BUILTIN if artifact is None else artifact.digest,
        reference_digest=reference.digest,
        reasons=reasons_of(reference),
        value_key=np.ascontiguousarray(arrays["value_key"], dtype=np.int64),
        value_share=np.ascontiguousarray(arrays["value_share"], dtype=np.float64),
        notices=(
            *(Notice(text, _EVER_NS) for text in reference.notices),
            *(Notice(text, _EVER_NS) for text in _mismatch(policy, manifest)),
            *notices,
        ),
        keep_ledger=keep_ledger,
    )


def _mismatch(policy: Policy, manifest: Mapping[str, Any]) -> list[str]:
    """Say that an artifact was fitted under another policy: clocks and limits may differ."""
    fitted = manifest.get("policy_digest", policy.digest)
    if fitted == policy.digest:
        return []
    return ["the artifact was fitted under another policy; fit it again if clock or events differ"]


def builtin_arrays() -> dict[str, NDArray[np.generic]]:
    """Return the arrays of an artifact for a bank without history."""
    knots_raw, knots_surprise = builtin.knots()
    return {
        "group_of": np.array([[0], [1]], dtype=np.int32),
        "mean": builtin.means(),
        "reach": builtin.reach_rates(),
        "value_key": np.zeros(0, dtype=np.int64),
        "value_share": np.zeros(0, dtype=np.float64),
        "dispersion": builtin.dispersions(),
        "spread": builtin.spreads(),
        "hours": builtin.hours(),
        "rest_share": np.array([0.06, 0.9]),
        "out_volume": np.array([[3.0, 1.0], [5.0, 2.0]]),
        "away_share": np.array([0.08, 0.9]),
        "visit_size": np.array([[2.5, 1.5], [50.0, 2.0]]),
        "relation_share": np.array([[0.95, 0.06, 0.03], [0.95, 0.9, 0.9]]),
        "visit_key": np.zeros(0, dtype=np.int64),
        "visit_share": np.zeros(0, dtype=np.float64),
        "branch_share": np.zeros(1, dtype=np.float64),
        "stratum": np.zeros(2, dtype=np.int32),
        "knots_raw": np.repeat(knots_raw, 2, axis=0),
        "knots_surprise": np.repeat(knots_surprise, 2, axis=0),
    }


def _branch_rows(reference: Reference, fitted: list[str]) -> dict[str, int]:
    """Number branches: first those of the artifact, whose rows are fixed, then the rest."""
    names = dict.fromkeys([*fitted, *(branch.name for branch in reference.branches)])
    return {name: row for row, name in enumerate(names, start=1)}


def _widened(array: NDArray[np.generic], n_branches: int) -> NDArray[np.generic]:
    """Give branches the artifact does not know the values of row 0, "unknown"."""
    missing = n_branches + 1 - array.shape[-1]
    filler = np.repeat(array[..., :1], missing, axis=-1)
    return np.concatenate([array, filler], axis=-1)


def _model(
    arrays: Mapping[str, NDArray[np.generic]],
    manifest: Mapping[str, Any],
    reference: Reference,
    roles: Mapping[str, int],
    branches: Mapping[str, int],
    policy: Policy,
) -> Model:
    n = len(branches)
    shares = np.array(_widened(arrays["branch_share"], n), dtype=np.float64)
    if not manifest["branches"] and n:
        shares[:] = 1.0 / n
    visit_key, visit_share = visit_table(arrays["visit_key"], arrays["visit_share"], n + 1)
    leave_key, leave_first, leave_last = _leave_table(reference)
    cover_key, cover_first, cover_last = _cover_table(reference)
    keep = 0.5 ** (1.0 / policy.learning.half_life_active_days)
    return Model(
        group_of=np.ascontiguousarray(_widened(arrays["group_of"], n), dtype=np.int32),
        visit_key=visit_key,
        visit_share=visit_share,
        branch_share=shares,
        branch_region=branch_regions(reference, branches),
        branch_clock=_branch_clocks(reference, branches),
        **_staff_table(reference, roles, branches),
        leave_key=leave_key,
        leave_first=leave_first,
        leave_last=leave_last,
        channel_of=channel_of_counts(),
        detector_of=np.array(CHANNEL_DETECTOR, dtype=np.int64),
        per_customer=np.isin(np.arange(N_STATS), PER_CUSTOMER).astype(np.uint8),
        cover_key=cover_key,
        cover_first=cover_first,
        cover_last=cover_last,
        decay=keep ** np.arange(_DECAY_DAYS, dtype=np.float64),
        **{name: np.ascontiguousarray(arrays[name]) for name in MODEL_ARRAYS},
    )


def branch_regions(reference: Reference, branches: Mapping[str, int]) -> NDArray[np.int32]:
    """(branches + 1,) number of each branch's region, -1 = unknown."""
    region = np.full(len(branches) + 1, -1, dtype=np.int32)
    regions = sorted({branch.region for branch in reference.branches if branch.region})
    for branch in reference.branches:
        if branch.region and branch.name in branches:
            region[branches[branch.name]] = regions.index(branch.region)
    return region


def _branch_clocks(reference: Reference, branches: Mapping[str, int]) -> NDArray[np.int32]:
    """(branches + 1,) row of each branch in the clock tables."""
    clock_row = np.zeros(len(branches) + 1, dtype=np.int32)
    for row, branch in enumerate(reference.branches, start=1):
        clock_row[branches[branch.name]] = row
    return clock_row


def _staff_texts(reference: Reference) -> dict[str, tuple[str | None, str | None]]:
    staff = reference.staff
    return dict(zip(staff.user_ids, zip(staff.roles, staff.branches, strict=True), strict=True))


def _staff_table(
    reference: Reference, roles: Mapping[str, int], branches: Mapping[str, int]
) -> dict[str, NDArray[Any]]:
    """Index the staff directory by user key."""
    staff = reference.staff
    names = [
        SERVICE_ROLE if kind == "service" else role
        for role, kind in zip(staff.roles, staff.account_types, strict=True)
    ]
    keys = hash_strings(staff.user_ids)
    table, order = open_table(keys)
    role = np.array([roles.get(name or "", -1) for name in names] + [-1], dtype=np.int32)
    home = np.array([branches.get(b or "", 0) for b in staff.branches] + [0], dtype=np.int32)
    home_key = np.append(hash_strings([b or "" for b in staff.branches]), 0).astype(np.int64)
    home[:-1][home_key[:-1] == 0] = -1
    left = [0 if day is None else day.toordinal() - _EPOCH_ORDINAL for day in staff.left]
    return {
        "staff_key": table,
        "staff_role": role[order],
        "staff_home": home[order],
        "staff_home_key": home_key[order],
        "staff_left": np.array([*left, 0], dtype=np.int64)[order],
    }


Days = NDArray[np.int32]


def _cover_table(reference: Reference) -> tuple[I64, Days, Days]:
    """Sort cover duties by mixed key of user and branch."""
    users = hash_strings([duty.user_id for duty in reference.cover])
    keys = mix(users, hash_strings([duty.branch for duty in reference.cover]))
    return _sorted_periods(keys, [(duty.first_day, duty.last_day) for duty in reference.cover])


def _leave_table(reference: Reference) -> tuple[I64, Days, Days]:
    """Sort leaves by user key."""
    staff = reference.staff
    leaves = [
        (user, period)
        for user, periods in zip(staff.user_ids, staff.leave, strict=True)
        for period in periods
    ]
    keys = hash_strings([user for user, _ in leaves])
    return _sorted_periods(keys, [period for _, period in leaves])


def _sorted_periods(keys: I64, periods: list[tuple[date, date]]) -> tuple[I64, Days, Days]:
    """Return keys in order with first and last local day, counted from 1970-01-01."""
    days = np.array(
        [(first.toordinal(), last.toordinal()) for first, last in periods], dtype=np.int32
    ).reshape(-1, 2)
    order = np.argsort(keys, kind="stable")
    days = days[order] - np.int32(_EPOCH_ORDINAL)
    return keys[order], np.ascontiguousarray(days[:, 0]), np.ascontiguousarray(days[:, 1])


def open_table(keys: I64) -> tuple[I64, NDArray[np.int64]]:
    """Lay keys out for open addressing.

    Args:
        keys: (n,) distinct, > 0.

    Returns:
        (m,) table of keys with 0 where free, and (m,) the key's position in ``keys`` (n,
        one past the end, where free).
    """
    if keys.size == 0:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    table = np.zeros(int(keys.size * 1.5) + 1, dtype=np.int64)
    order = np.full(table.size, keys.size, dtype=np.int64)
    for position, key in enumerate(keys.tolist()):
        cell = ((key >> 31) * table.size) >> 32
        while table[cell] != 0:
            cell = cell + 1 if cell + 1 < table.size else 0
        table[cell], order[cell] = key, position
    return table, order


def visit_table(
    small_keys: NDArray[np.generic], shares: NDArray[np.generic], n_branches: int
) -> tuple[I64, NDArray[np.float64]]:
    """Index the artifact's (role, home, branch) rows for a model with ``n_branches`` rows.

    Args:
        small_keys: (n, 3) role, home and branch rows; or (0,) for none.
        shares: (n,) share of days with a visit.
        n_branches: rows of the branch tables, unknown included.
    """
    if small_keys.shape[0] == 0:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float64)
    role, home, branch = np.asarray(small_keys, dtype=np.int64).T
    key = ((role + 1) * n_branches + home) * n_branches + branch + 1
    spread = (((key * 2_654_435_761) & 0x7FFFFFFF) << 31) | key
    table, order = open_table(spread)
    return table, np.append(np.asarray(shares, dtype=np.float64), 0.0)[order]
