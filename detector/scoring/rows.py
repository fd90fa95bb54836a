"""EventBatch → the columns the compiled loop reads: names become rows of the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from detector.columns import Coded, EventBatch
from detector.hashing import hash_strings, mix
from detector.scoring.builtin import SERVICE_ROLE
from detector.scoring.model import Rows

if TYPE_CHECKING:  # the plan imports this package
    from detector.plan import Plan

_T = TypeVar("_T", bound=np.generic)


def rows_of(batch: EventBatch, plan: Plan) -> Rows:
    """Translate a batch.

    Args:
        batch: n decoded events.
        plan: gives the row of each role and branch, and which actions are volume.

    Returns:
        (n,) columns; -1 (rows) and 0 (keys) where a field is missing.
    """
    home_key = _keys(batch.user_branch)
    branch_key = _keys(batch.record_branch)
    volume_actions = frozenset(plan.policy.events.volume_actions)
    return Rows(
        time_ns=batch.event_time_ns,
        event=batch.event_hash,
        user=batch.user_hash,
        customer=batch.customer_hash,
        customer_pair=mix(batch.user_hash, batch.customer_hash),
        records=batch.record_count,
        volume=_taken(batch.action, lambda a: int(a in volume_actions), 0, np.uint8),
        role=_roles(batch, plan.roles),
        home=_taken(batch.user_branch, lambda b: plan.branches.get(b, 0), -1, np.int32),
        home_key=home_key,
        branch=_taken(batch.record_branch, lambda b: plan.branches.get(b, 0), -1, np.int32),
        branch_key=branch_key,
        branch_pair=mix(batch.user_hash, branch_key),
    )


def _taken(
    column: Coded,
    value_of: Callable[[str], int],
    missing: int,
    dtype: type[_T],
) -> NDArray[_T]:
    """Look each distinct text up once; code -1 picks the last entry, "missing"."""
    table = np.array([*map(value_of, column.values), missing], dtype=dtype)
    return table[column.codes]


def _keys(column: Coded) -> NDArray[np.int64]:
    return np.append(hash_strings(column.values), np.int64(0))[column.codes]


def _roles(batch: EventBatch, roles: Mapping[str, int]) -> NDArray[np.int32]:
    """Return role rows; service accounts are their own peer group."""
    role = _taken(batch.user_role, lambda name: roles.get(name, -1), -1, np.int32)
    service = _taken(batch.account_type, lambda kind: int(kind == "service"), 0, np.uint8)
    role[service == 1] = roles[SERVICE_ROLE]
    return role
