"""The main path: a batch of events against the state, under a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.alerts import Alert, Episodes
from detector.columns import EventBatch, Reject
from detector.errors import SnapshotError
from detector.limits import widths_of
from detector.plan import Plan
from detector.scoring.model import APPROVES_NOTHING, JUMP, TOO_LATE, Out
from detector.scoring.output import ClosedDays, KeptRows, empty_out, raise_alerts
from detector.scoring.row import score_rows
from detector.scoring.rows import rows_of
from detector.state.layout import (
    APPROVAL_LIMIT,
    APPROVALS,
    BRANCH_LIMIT,
    CUSTOMER_LIMIT,
    DUPLICATES,
    HOME,
    JUMPS,
    LATE,
    N_ACTORS,
    ROLE,
    TAIL_LIMIT,
    UNSCORED,
    VALUE_LIMIT,
    VERDICTS,
    Tables,
    empty_tables,
)
from detector.state.memory import make_room, named_arrays
from detector.state.restore import tables_from

_COUNTERS = {
    "duplicates": DUPLICATES,
    "late": LATE,
    "jumps": JUMPS,
    "unscored": UNSCORED,
    "tail_limit": TAIL_LIMIT,
    "customer_limit": CUSTOMER_LIMIT,
    "branch_limit": BRANCH_LIMIT,
    "value_limit": VALUE_LIMIT,
    "approval_limit": APPROVAL_LIMIT,
    "approvals": APPROVALS,
    "verdicts": VERDICTS,
}
_REMEDY = "Start with an empty store, or restore an unchanged copy"
_REJECTED = {
    TOO_LATE: ("too_late", "event_time"),
    JUMP: ("time_jump", "event_time"),
    APPROVES_NOTHING: ("approves_nothing", "valid_until"),
}


@dataclass(slots=True)
class State:
    """All that is remembered between batches; only detectors that are ``watched`` remember."""

    tables: Tables
    episodes: Episodes
    branch_names: dict[int, str]
    watched: tuple[str, ...]

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return the numeric state, for a snapshot."""
        return named_arrays(self.tables)

    def meta(self) -> dict[str, object]:
        """Return the rest of the state as JSON values."""
        names = {str(key): name for key, name in sorted(self.branch_names.items())}
        return {
            "branch_names": names,
            "episodes": self.episodes.to_json().decode(),
            "detectors": list(self.watched),
        }


@dataclass(frozen=True, slots=True)
class Step:
    """What one batch gave.

    ``scores`` is (n,) float64: the actor's score of the day after each event, NaN where an
    event was not scored. ``counts`` are totals of this batch. ``closed`` are the days that
    closed, ``kept`` what stood in the state after each row; both only on demand.
    """

    state: State
    scores: NDArray[np.float64]
    alerts: list[Alert]
    rejects: list[Reject]
    counts: dict[str, int]
    closed: ClosedDays
    kept: KeptRows


def new_state(plan: Plan) -> State:
    """Return the state before the first event."""
    tables = empty_tables(widths_of(plan.limits.watched))
    return State(tables, Episodes(plan.policy.alerts.sample_events), {}, plan.watched)


def restore_state(
    plan: Plan, arrays: Mapping[str, NDArray[np.generic]], meta: Mapping[str, Any]
) -> State:
    """Return the state whose ``arrays()`` and ``meta()`` these were.

    Raises:
        SnapshotError: a part is missing, foreign, or cannot be used under this plan.
    """
    state = new_state(plan)
    _check_watched(_part(meta, "detectors"), plan)
    state.tables = tables_from(arrays, state.tables)
    _check_places(state.tables, plan)
    state.episodes.restore(_part(meta, "episodes"))
    state.branch_names = _names_from(_part(meta, "branch_names"))
    return state


def _check_watched(held: object, plan: Plan) -> None:
    """Refuse what other detectors have learned: those switched on meanwhile would know nothing."""
    if held != list(plan.watched):
        what, hint = "was made with other detectors on", "Use that policy, or an empty store"
        raise SnapshotError(what, where="detectors", hint=hint)


def _check_places(tables: Tables, plan: Plan) -> None:
    """Refuse roles and branches for which the plan has no row: kernels would read beyond it."""
    n_roles, n_branches = plan.model.group_of.shape
    ints, row = tables.actors.ints, tables.branches.row
    for name, found, end in (
        ("actors.ints", ints[:, ROLE] + 1, n_roles),
        ("actors.ints", ints[:, HOME], n_branches),
        ("branches.row", row, n_branches),
    ):
        if found.max() >= end:
            raise SnapshotError("names an unknown role or branch", where=name, hint=_REMEDY)


def _part(meta: object, name: str) -> Any:
    if not isinstance(meta, Mapping) or name not in meta:
        raise SnapshotError("is missing", where=name, hint=_REMEDY)
    return meta[name]


def _names_from(found: object) -> dict[int, str]:
    """Take the names of branches by their keys.

    Raises:
        SnapshotError: it holds anything else.
    """
    try:
        names = {int(key): name for key, name in found.items()}  # type: ignore[attr-defined]
    except (AttributeError, TypeError, ValueError):
        names = {0: None}
    if not all(isinstance(name, str) for name in names.values()):
        raise SnapshotError("holds something else", where="branch_names", hint=_REMEDY)
    return names


def step(state: State, batch: EventBatch, plan: Plan) -> Step:
    """Score a batch against the past, row by row, and let the past include it.

    ``state`` is handed over: the caller must use ``Step.state`` from now on. Inside, each
    row in arrival order goes through four verbs (``scoring/row.py``): the days that are
    over are *learned*; then *extract*, *score*, *decide*. Where a batch ends has no
    meaning.

    Raises:
        SnapshotError: the state was made under a plan with other detectors on.
    """
    _check_watched(list(state.watched), plan)
    rows = rows_of(batch, plan)
    out = empty_out(len(batch), keep_ledger=plan.keep_ledger, keep_rows=plan.keep_rows)
    before = state.tables.counts.copy()
    with np.errstate(all="ignore"):
        first = score_rows(state.tables, rows, 0, plan.model, plan.clock, plan.limits, out)
        while first < len(batch):
            state.tables = make_room(state.tables)
            first = score_rows(state.tables, rows, first, plan.model, plan.clock, plan.limits, out)
    alerts = raise_alerts(state.episodes, state.branch_names, batch, rows, out, plan)
    return Step(
        state=state,
        scores=out.score,
        alerts=alerts,
        rejects=_rejects(batch, out),
        counts=_counts(state.tables.counts - before, state.tables),
        closed=ClosedDays.of(out),
        kept=KeptRows.of(out),
    )


def _counts(delta: NDArray[np.int64], tables: Tables) -> dict[str, int]:
    counts = {name: int(delta[column]) for name, column in _COUNTERS.items()}
    return {**counts, "actors": int(tables.counts[N_ACTORS])}


def _rejects(batch: EventBatch, out: Out) -> list[Reject]:
    """Return the rows whose times cannot be used, in arrival order."""
    rejects = []
    is_reject = (out.code == TOO_LATE) | (out.code == JUMP) | (out.code == APPROVES_NOTHING)
    for row in np.flatnonzero(is_reject).tolist():
        reason, name = _REJECTED[int(out.code[row])]
        where = f"{batch.source}:{batch.line_numbers[row]}"
        rejects.append(Reject(reason, where, name, batch.raw[row]))
    return rejects
