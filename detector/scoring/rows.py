"""EventBatch → the columns the compiled loop reads: names become rows of the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from detector.columns import Coded, EventBatch
from detector.hashing import hash_strings, mix
from detector.scoring.account import ACCOUNT
from detector.scoring.builtin import SERVICE_ROLE
from detector.scoring.enumeration import ENUMERATION
from detector.scoring.model import (
    IS_APPROVAL,
    IS_BENIGN,
    IS_CONFIRMED,
    IS_DENIED,
    IS_EXPLAINED,
    IS_EXPORT,
    IS_NEAR_CAP,
    IS_OWN,
    IS_SECRET,
    IS_SENSITIVE,
    IS_TICKETED,
    IS_VOLUME,
    Rows,
)
from detector.scoring.networks import network_keys
from detector.scoring.reasons import is_held
from detector.scoring.sensitive import SENSITIVE_LOOKS
from detector.scoring.under_cap import NEAR_SHARE, UNDER_CAP
from detector.scoring.unfamiliar import UNFAMILIAR
from detector.state.layout import FIELDS, N_FIELDS
from detector.timestamps import NOT_A_TIME

if TYPE_CHECKING:  # the plan imports this package
    from detector.plan import Plan

_T = TypeVar("_T", bound=np.generic)
_ADDRESS = FIELDS.index("address")
_VERDICTS = {"benign": IS_BENIGN, "confirmed": IS_CONFIRMED}


def rows_of(batch: EventBatch, plan: Plan) -> Rows:
    """Translate a batch; what only detectors look at that are off is left out.

    Args:
        batch: n decoded events.
        plan: gives the row of each role and branch, and which actions are volume.

    Returns:
        (n,) columns; -1 (rows) and 0 (keys) where a field is missing.
    """
    home_key = _keys(batch.user_branch)
    branch_key = _keys(batch.record_branch)
    watched = plan.limits.watched
    pairs, shares = _values(batch, plan, N_FIELDS if watched[UNFAMILIAR] else 0)
    none = np.zeros(len(batch), dtype=np.int64)
    customer_pair = mix(batch.user_hash, batch.customer_hash)
    return Rows(
        time_ns=batch.event_time_ns,
        event=batch.event_hash,
        user=batch.user_hash,
        customer=batch.customer_hash,
        customer_pair=customer_pair,
        number=batch.customer_number if watched[ENUMERATION] else none - 1,
        records=batch.record_count,
        flags=_flags(batch, plan, branch_key, customer_pair),
        device=_keys(batch.device_id) if watched[ACCOUNT] else none,
        value_pair=pairs,
        value_share=shares,
        role=_roles(batch, plan.roles),
        home=_taken(batch.user_branch, lambda b: plan.branches.get(b, 0), -1, np.int32),
        home_key=home_key,
        branch=_taken(batch.record_branch, lambda b: plan.branches.get(b, 0), -1, np.int32),
        branch_key=branch_key,
        branch_pair=mix(batch.user_hash, branch_key),
        ticket=_keys(batch.ticket_id),
        until_ns=batch.valid_until_ns,
    )


def value_columns(batch: EventBatch) -> tuple[Coded, ...]:
    """Return the columns of ``unfamiliar``, in the order of ``state.layout.FIELDS``."""
    return (
        batch.system, batch.action, batch.device_id, batch.source_ip, batch.channel,
        batch.data_class,
    )  # fmt: skip


def value_keys(column: Coded, field: int) -> NDArray[np.int64]:
    """(values + 1,) keys of a field's distinct values; the last, for "missing", is 0.

    Addresses stand for their network.
    """
    texts = network_keys if field == _ADDRESS else hash_strings
    return _with_missing(mix(texts(column.values), np.int64(field + 1)))


def _values(
    batch: EventBatch, plan: Plan, n_fields: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(n, fields) keys of actor × value, 0 where missing, and bank-wide shares."""
    columns = value_columns(batch)[:n_fields]
    pairs = np.zeros((len(batch), len(columns)), dtype=np.int64)
    shares = np.zeros((len(batch), len(columns)), dtype=np.float64)
    for field, column in enumerate(columns):
        if not column.values:
            continue
        keys = value_keys(column, field)
        present = column.codes >= 0
        pair = mix(batch.user_hash, keys[column.codes])
        pairs[:, field] = np.where(present, pair, 0)
        shares[:, field] = plan.value_shares(keys)[column.codes]
    return pairs, shares


def _flags(
    batch: EventBatch,
    plan: Plan,
    branch_key: NDArray[np.int64],
    customer_pair: NDArray[np.int64],
) -> NDArray[np.int64]:
    """(n,) bits of ``model.IS_*``."""
    events = plan.policy.events
    volume, export = frozenset(events.volume_actions), frozenset(events.export_actions)
    business = frozenset(events.business_actions)
    action = _taken(
        batch.action,
        lambda name: (
            IS_VOLUME * (name in volume)
            + IS_EXPORT * (name in export)
            + IS_EXPLAINED * (name in business)
        ),
        0,
        np.int64,
    )
    reasons, watched = plan.reasons, plan.limits.watched
    explained = reasons.explained(batch, branch_key)
    flags = np.asarray(
        action | IS_EXPLAINED * explained | IS_TICKETED * reasons.unlisted(batch)
        | _statements(batch)
    )  # fmt: skip
    if watched[ACCOUNT]:
        flags |= _taken(batch.outcome, lambda name: IS_DENIED * (name == "denied"), 0, np.int64)
    if watched[SENSITIVE_LOOKS]:
        flags |= _taken(batch.data_class, lambda name: IS_SECRET * (name == "C3"), 0, np.int64)
        flags |= IS_SENSITIVE * is_held(batch.customer_hash, reasons.sensitive)
        flags |= IS_OWN * is_held(customer_pair, reasons.own)
    if watched[UNDER_CAP]:
        lists = np.flatnonzero((action & IS_VOLUME) != 0)
        caps = np.asarray(events.query_caps, dtype=np.float64)
        flags[lists] |= IS_NEAR_CAP * _near_cap(batch.record_count[lists], caps)
    return flags


def _statements(batch: EventBatch) -> NDArray[np.int64]:
    """(n,) bits of what says something about its actor; a verdict approves nothing."""
    verdict = _taken(batch.verdict, _VERDICTS.__getitem__, 0, np.int64)
    is_approval = (batch.valid_until_ns != NOT_A_TIME) & (verdict == 0)
    return np.asarray(verdict | IS_APPROVAL * is_approval)


def _near_cap(records: NDArray[np.int64], caps: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(n,) whether a result lies in the last stretch below one of the caps."""
    n = records[:, np.newaxis]
    return np.asarray(((n < caps) & (n >= caps * (1.0 - NEAR_SHARE))).any(axis=1))


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
    return _with_missing(hash_strings(column.values))[column.codes]


def _with_missing(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """(values + 1,) the keys, and 0 for code -1."""
    out = np.zeros(keys.size + 1, dtype=np.int64)
    out[:-1] = keys
    return out


def _roles(batch: EventBatch, roles: Mapping[str, int]) -> NDArray[np.int32]:
    """Return role rows; service accounts are their own peer group."""
    role = _taken(batch.user_role, lambda name: roles.get(name, -1), -1, np.int32)
    service = _taken(batch.account_type, lambda kind: int(kind == "service"), 0, np.uint8)
    role[service == 1] = roles[SERVICE_ROLE]
    return role
